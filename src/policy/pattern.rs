//! Wildcards: `*` for any characters, also none, and `?` for exactly one.
//!
//! Nothing is ever tried twice. What stands between two `*` is looked for once, from where the last piece ended: a piece of
//! plain characters by a search that never goes back, a piece with `?` by following all its places at once, 64 characters of
//! the piece per step. So matching takes time linear in the text, times one for every 64 characters of a piece with `?`.

use std::collections::HashMap;

/// What a pattern is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    Text(String),
    /// `?`
    One,
    /// `*`
    Many,
}

/// A pattern that is ready to be matched.
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    first: Piece,
    /// What follows each `*`. Without any, the first piece is the whole pattern.
    others: Vec<Piece>,
}

/// What stands between two `*`.
#[derive(Debug, Clone)]
enum Piece {
    Plain(Box<str>),
    /// `None` is `?`. At least one.
    Masked(Box<[Option<char>]>, Option<Short>),
}

impl Pattern {
    pub(super) fn new(tokens: &[Token]) -> Self {
        let mut pieces: Vec<Vec<Option<char>>> = vec![Vec::new()];
        for token in tokens {
            match (token, pieces.last_mut()) {
                (Token::Text(text), Some(piece)) => piece.extend(text.chars().map(Some)),
                (Token::One, Some(piece)) => piece.push(None),
                (Token::Many, _) => pieces.push(Vec::new()),
                (_, None) => {}
            }
        }
        let last = pieces.len() - 1;
        // Two `*` in a row are one.
        let kept = |(index, piece): &(usize, Vec<Option<char>>)| *index == 0 || *index == last || !piece.is_empty();
        let mut pieces = pieces.into_iter().enumerate().filter(kept).map(|(_, piece)| Piece::new(piece));
        let first = pieces.next().unwrap_or(Piece::Plain("".into()));
        Self { first, others: pieces.collect() }
    }

    /// The pattern of a text in which `*` and `?` are wildcards.
    pub(super) fn parse(text: &str) -> Self {
        Self::new(&tokens(text))
    }

    pub(super) fn matches(&self, text: &str) -> bool {
        let Some((last, middle)) = self.others.split_last() else { return self.first.strip_from(text) == Some("") };
        let Some(rest) = self.first.strip_from(text) else { return false };
        let Some(mut rest) = last.strip_from_end(rest) else { return false };
        for piece in middle {
            match piece.find_in(rest) {
                Some(after) => rest = after,
                None => return false,
            }
        }
        true
    }
}

/// The tokens of a text in which `*` and `?` are wildcards.
pub(super) fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    for part in text.split_inclusive(['*', '?']) {
        let (plain, wildcard) = match part.strip_suffix('*') {
            Some(plain) => (plain, Some(Token::Many)),
            None => part.strip_suffix('?').map_or((part, None), |plain| (plain, Some(Token::One))),
        };
        if !plain.is_empty() {
            tokens.push(Token::Text(plain.to_owned()));
        }
        tokens.extend(wildcard);
    }
    tokens
}

impl Piece {
    fn new(characters: Vec<Option<char>>) -> Self {
        match characters.iter().copied().collect::<Option<String>>() {
            Some(text) => Self::Plain(text.into()),
            None => {
                let short = (characters.len() <= 64).then(|| Short::new(&characters));
                Self::Masked(characters.into(), short)
            }
        }
    }

    /// What follows the piece at the beginning of a text.
    fn strip_from<'a>(&self, text: &'a str) -> Option<&'a str> {
        match self {
            Self::Plain(plain) => text.strip_prefix(&**plain),
            Self::Masked(mask, _) => {
                let mut rest = text.chars();
                let fits = |wanted: &Option<char>| rest.next().is_some_and(|c| wanted.is_none_or(|wanted| wanted == c));
                mask.iter().all(fits).then_some(rest.as_str())
            }
        }
    }

    /// What precedes the piece at the end of a text.
    fn strip_from_end<'a>(&self, text: &'a str) -> Option<&'a str> {
        match self {
            Self::Plain(plain) => text.strip_suffix(&**plain),
            Self::Masked(mask, _) => {
                let mut rest = text.chars();
                let fits =
                    |wanted: &Option<char>| rest.next_back().is_some_and(|c| wanted.is_none_or(|wanted| wanted == c));
                mask.iter().rev().all(fits).then_some(rest.as_str())
            }
        }
    }

    /// What follows the first place at which the piece is in a text.
    fn find_in<'a>(&self, text: &'a str) -> Option<&'a str> {
        match self {
            Self::Plain(plain) => text.split_once(&**plain).map(|(_, after)| after),
            Self::Masked(mask, _) if mask.iter().all(Option::is_none) => self.strip_from(text),
            Self::Masked(_, Some(short)) => short.find_in(text),
            Self::Masked(mask, None) => find_mask(mask, text),
        }
    }
}

/// A mask of at most 64 characters: the places of each of its characters, one bit each (Shift-And).
#[derive(Debug, Clone)]
struct Short {
    /// In order of the characters.
    places: Box<[(char, u64)]>,
    /// The places of `?`, which fit every other character.
    anything: u64,
    accept: u64,
}

impl Short {
    fn new(mask: &[Option<char>]) -> Self {
        let mut characters: Vec<char> = mask.iter().copied().flatten().collect();
        characters.sort_unstable();
        characters.dedup();
        let places = |c: char| (c, bits(mask, |wanted| wanted.is_none_or(|wanted| wanted == c)));
        Self {
            places: characters.into_iter().map(places).collect(),
            anything: bits(mask, |wanted| wanted.is_none()),
            accept: 1 << (mask.len().saturating_sub(1) % 64),
        }
    }

    fn find_in<'a>(&self, text: &'a str) -> Option<&'a str> {
        let mut state = 0_u64;
        let mut rest = text.chars();
        while let Some(c) = rest.next() {
            let place = self.places.binary_search_by_key(&c, |(place, _)| *place).ok();
            let fits = place.and_then(|index| self.places.get(index)).map_or(self.anything, |(_, bits)| *bits);
            state = ((state << 1) | 1) & fits;
            if state & self.accept != 0 {
                return Some(rest.as_str());
            }
        }
        None
    }
}

/// The places of a character in a long mask.
enum Places {
    /// One bit each, those of `?` included: for characters with many.
    Bits(Vec<u64>),
    Few(Vec<usize>),
}

/// The same for longer masks, block by block.
fn find_mask<'a>(mask: &[Option<char>], text: &'a str) -> Option<&'a str> {
    // A mask that is longer than the text is nowhere in it.
    if mask.len() > text.len() {
        return None;
    }
    let blocks = mask.len().div_ceil(64);
    let anything: Vec<u64> = mask.chunks(64).map(|part| bits(part, |wanted| wanted.is_none())).collect();
    let mut few: HashMap<char, Vec<usize>> = HashMap::new();
    for (at, wanted) in mask.iter().enumerate() {
        if let Some(c) = wanted {
            few.entry(*c).or_default().push(at);
        }
    }
    let places: HashMap<char, Places> = few.into_iter().map(|(c, at)| (c, Places::new(at, &anything))).collect();
    let accept = 1_u64 << ((mask.len() - 1) % 64);
    let (mut state, mut moved) = (vec![0_u64; blocks], vec![0_u64; blocks]);
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        let mut carry = 1;
        for (block, next) in state.iter().zip(&mut moved) {
            *next = (block << 1) | carry;
            carry = block >> 63;
        }
        let (fitting, few): (&[u64], &[usize]) = match places.get(&c) {
            Some(Places::Bits(bits)) => (bits, &[]),
            Some(Places::Few(few)) => (&anything, few),
            None => (&anything, &[]),
        };
        for ((block, next), fits) in state.iter_mut().zip(&moved).zip(fitting) {
            *block = next & fits;
        }
        for at in few {
            if let (Some(block), Some(next)) = (state.get_mut(at / 64), moved.get(at / 64)) {
                *block |= next & (1 << (at % 64));
            }
        }
        if state.last().is_some_and(|block| block & accept != 0) {
            return Some(rest.as_str());
        }
    }
    None
}

impl Places {
    fn new(at: Vec<usize>, anything: &[u64]) -> Self {
        if at.len() <= anything.len() {
            return Self::Few(at);
        }
        let mut bits = anything.to_vec();
        for at in at {
            if let Some(block) = bits.get_mut(at / 64) {
                *block |= 1 << (at % 64);
            }
        }
        Self::Bits(bits)
    }
}

fn bits(part: &[Option<char>], fits: impl Fn(&Option<char>) -> bool) -> u64 {
    part.iter().enumerate().fold(0, |bits, (index, wanted)| bits | (u64::from(fits(wanted)) << index))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn wildcards_stand_for_any_characters_and_for_one() {
        for (pattern, text, matches) in [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("*", "anything", true),
            ("**", "", true),
            ("?", "", false),
            ("?", "é", true),
            ("?", "ab", false),
            ("a*", "a", true),
            ("a*b", "ab", true),
            ("a*b", "a-b-b", true),
            ("a*b", "a-b-c", false),
            ("*a*", "bab", true),
            ("*a?c*", "abdabcab", true),
            ("*a?c", "abdabcab", false),
            ("a*a", "a", false),
            ("*??*", "a", false),
            ("*??*", "éè", true),
            ("x*?y", "xy", false),
            ("x*?y", "xzy", true),
            ("secret:*-??????", "secret:db/main-a1b2c3", true),
            ("secret:*-??????", "secret:db/main-a1b2c", false),
            ("*ab?ab*", "ababxab", true),
        ] {
            assert_eq!(Pattern::parse(pattern).matches(text), matches, "{pattern} {text}");
        }
    }

    /// By the book: every way to divide the text is tried.
    fn by_definition(pattern: &[char], text: &[char]) -> bool {
        let mut reachable = vec![false; text.len() + 1];
        reachable[0] = true;
        for wanted in pattern {
            let mut next = vec![false; text.len() + 1];
            for at in 0..=text.len() {
                match wanted {
                    '*' => next[at] = reachable[at] || (at > 0 && next[at - 1]),
                    '?' => next[at] = at > 0 && reachable[at - 1],
                    plain => next[at] = at > 0 && reachable[at - 1] && text[at - 1] == *plain,
                }
            }
            reachable = next;
        }
        reachable[text.len()]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]

        #[test]
        fn a_pattern_matches_what_the_definition_says(pattern in "[ab?*é]{0,12}", text in "[abé]{0,14}") {
            let expected = by_definition(&pattern.chars().collect::<Vec<_>>(), &text.chars().collect::<Vec<_>>());
            prop_assert_eq!(Pattern::parse(&pattern).matches(&text), expected);
        }

        #[test]
        fn pieces_of_more_than_64_characters_are_found_too(
            before in "[ab]{0,90}", mask in "[ab?]{60,140}", fill in "[ab]{140}", after in "[ab]{0,30}"
        ) {
            let mut fill = fill.chars();
            let inside: String = mask.chars().map(|c| if c == '?' { fill.next().unwrap() } else { c }).collect();
            let text = format!("{before}{inside}{after}");
            let pattern = format!("*{mask}*");
            prop_assert!(Pattern::parse(&pattern).matches(&text));
            let other = text.replace('a', "c");
            let expected = by_definition(&pattern.chars().collect::<Vec<_>>(), &other.chars().collect::<Vec<_>>());
            prop_assert_eq!(Pattern::parse(&pattern).matches(&other), expected);
        }
    }
}
