//! What `GetRandomPassword` makes, and what it refuses. How evenly it chooses is another file's subject.

use std::collections::BTreeSet;

use strongroom::{ErrorKind, GetRandomPasswordRequest, ListSecretsRequest};

use crate::fixture::{World, malformed, refused};

const TOO_SHORT: &str = "Password length is too short based on the required types.";
const TYPE_EXCLUDED: &str = "All characters of the desired type have been excluded.";
const ALL_EXCLUDED: &str = "All characters have been excluded from selection.";

const DIGITS: &str = "0123456789";
const EVERYTHING: &str =
    r##" !"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\]^_`abcdefghijklmnopqrstuvwxyz{|}~"##;

fn make(world: &World, request: GetRandomPasswordRequest) -> String {
    world.secrets.get_random_password(request).unwrap().random_password.expose().to_owned()
}

/// What a caller asked for.
#[derive(Debug, Clone, Copy)]
struct Wish {
    length: i64,
    without: &'static str,
    /// Upper case, lower case, digits, punctuation.
    excluded: [bool; 4],
    space: Option<bool>,
    each_type: Option<bool>,
}

impl Wish {
    fn request(&self) -> GetRandomPasswordRequest {
        let [upper, lower, digits, punctuation] = self.excluded;
        let mut request = GetRandomPasswordRequest::new()
            .password_length(self.length)
            .exclude_uppercase(upper)
            .exclude_lowercase(lower)
            .exclude_numbers(digits)
            .exclude_punctuation(punctuation)
            .exclude_characters(self.without);
        request.include_space = self.space;
        request.require_each_included_type = self.each_type;
        request
    }

    /// The type of a character: 0 to 3 as in `excluded`, 4 for the space.
    fn type_of(character: char) -> usize {
        match character {
            'A'..='Z' => 0,
            'a'..='z' => 1,
            '0'..='9' => 2,
            ' ' => 4,
            other if other.is_ascii_punctuation() => 3,
            other => panic!("`{other}` is of no type"),
        }
    }

    fn allows(&self, character: char) -> bool {
        let type_of = Self::type_of(character);
        let is_included = if type_of == 4 { self.space == Some(true) } else { !self.excluded[type_of] };
        is_included && !self.without.contains(character)
    }

    /// The types of which a character must appear.
    fn required(&self) -> BTreeSet<usize> {
        if self.each_type == Some(false) {
            BTreeSet::new()
        } else {
            (0..4).filter(|index| !self.excluded[*index]).collect()
        }
    }

    /// The text that the service refuses the wish with.
    fn refusal(&self) -> Option<&'static str> {
        let left: Vec<char> = EVERYTHING.chars().filter(|character| self.allows(*character)).collect();
        let left_types: BTreeSet<usize> = left.iter().map(|character| Self::type_of(*character)).collect();
        if left.is_empty() {
            Some(ALL_EXCLUDED)
        } else if !self.required().is_subset(&left_types) {
            Some(TYPE_EXCLUDED)
        } else if usize::try_from(self.length).unwrap() < self.required().len() {
            Some(TOO_SHORT)
        } else {
            None
        }
    }

    fn check(&self, world: &World) -> bool {
        let result = world.secrets.get_random_password(self.request());
        if let Some(text) = self.refusal() {
            let error = result.unwrap_err();
            assert_eq!((error.code(), error.message()), ("InvalidParameterException", text), "{self:?}");
            return false;
        }
        let made = result.unwrap().random_password;
        let made = made.expose();
        assert_eq!(i64::try_from(made.chars().count()).unwrap(), self.length, "{self:?}");
        assert!(made.chars().all(|character| self.allows(character)), "{self:?}: {made}");
        let types: BTreeSet<usize> = made.chars().map(Self::type_of).collect();
        assert!(self.required().is_subset(&types), "{self:?}: {made}");
        true
    }
}

/// Every combination of the flags, with every kind of exclusion and lengths around the number of types, against the
/// documented rules.
/// Source: <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetRandomPassword.html>
#[test]
fn every_combination_of_flags_follows_the_rules() {
    let world = World::new();
    let (mut made, mut refused) = (0, 0);
    for flags in 0..16_u8 {
        let excluded = [0, 1, 2, 3].map(|bit| flags >> bit & 1 == 1);
        for space in [None, Some(false), Some(true)] {
            for each_type in [None, Some(false), Some(true)] {
                for without in
                    ["", DIGITS, "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "aeiouAEIOU01 ~\"\\", " ", EVERYTHING, &EVERYTHING[1..]]
                {
                    for length in [1, 2, 3, 4, 5, 32, 200] {
                        let is_made = Wish { length, without, excluded, space, each_type }.check(&world);
                        *(if is_made { &mut made } else { &mut refused }) += 1;
                    }
                }
            }
        }
    }
    assert!(made > 1_000 && refused > 1_000, "{made} made, {refused} refused");
}

#[test]
fn by_default_there_are_32_characters_of_four_types_and_no_space() {
    let world = World::new();
    let wish = Wish { length: 32, without: "", excluded: [false; 4], space: None, each_type: None };
    for _ in 0..200 {
        let made = make(&world, GetRandomPasswordRequest::new());
        assert_eq!(made.len(), 32);
        assert!(made.chars().all(|character| wish.allows(character)), "{made}");
        assert_eq!(made.chars().map(Wish::type_of).collect::<BTreeSet<_>>(), BTreeSet::from([0, 1, 2, 3]), "{made}");
    }
}

#[test]
fn the_four_types_are_the_documented_ones() {
    let world = World::new();
    for (index, characters) in [
        "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
        "abcdefghijklmnopqrstuvwxyz",
        "0123456789",
        r##"!"#$%&'()*+,-./:;<=>?@[\]^_`{|}~"##,
    ]
    .into_iter()
    .enumerate()
    {
        let mut excluded = [true; 4];
        excluded[index] = false;
        let wish = Wish { length: 4096, without: "", excluded, space: None, each_type: None };
        let made: BTreeSet<char> = make(&world, wish.request()).chars().collect();
        assert_eq!(made.into_iter().collect::<BTreeSet<_>>(), characters.chars().collect::<BTreeSet<_>>());
    }
}

/// Recorded: the length is exact and nothing that was excluded appears, also where both are asked for.
#[test]
fn excluded_characters_never_appear() {
    let world = World::new();
    for without in
        ["xyzDje@?!.", "\"'\\`$", "0oO1lI", "aaaaAAAA", "\u{e9}\u{1f511}\u{0}", "]^-[", EVERYTHING.split_at(40).0]
    {
        for length in [4, 30, 4096] {
            let request = GetRandomPasswordRequest::new()
                .password_length(length)
                .exclude_characters(without)
                .require_each_included_type(false);
            let made = make(&world, request);
            assert_eq!(i64::try_from(made.len()).unwrap(), length);
            assert!(!made.chars().any(|character| without.contains(character)), "without {without}: {made}");
        }
    }
}

/// A space may appear, and need not.
#[test]
fn a_space_is_never_required() {
    let world = World::new();
    let one = |length| Wish { length, without: "", excluded: [false; 4], space: Some(true), each_type: Some(true) };
    let short: Vec<String> = (0..200).map(|_| make(&world, one(4).request())).collect();
    assert!(short.iter().all(|made| !made.contains(' ')), "four characters are taken by four types");
    let long: Vec<String> = (0..200).map(|_| make(&world, one(20).request())).collect();
    assert!(long.iter().any(|made| made.contains(' ')) && long.iter().any(|made| !made.contains(' ')));
}

#[test]
fn a_password_of_spaces_alone_can_be_asked_for() {
    let world = World::new();
    for each_type in [None, Some(true), Some(false)] {
        let wish = Wish { length: 5, without: "", excluded: [true; 4], space: Some(true), each_type };
        assert_eq!(make(&world, wish.request()), "     ");
    }
}

/// The three refusals, and which of them comes first.
#[test]
fn impossible_wishes_are_refused_in_order() {
    let world = World::new();
    let new = GetRandomPasswordRequest::new;
    let make = |request| world.secrets.get_random_password(request);
    let invalid = "InvalidParameterException";
    for length in 1..4 {
        refused(make(new().password_length(length)), invalid, TOO_SHORT);
    }
    refused(make(new().exclude_characters(DIGITS)), invalid, TYPE_EXCLUDED);
    refused(make(new().exclude_characters(DIGITS).password_length(1)), invalid, TYPE_EXCLUDED);
    refused(make(new().exclude_characters(EVERYTHING)), invalid, ALL_EXCLUDED);
    refused(make(new().exclude_characters(EVERYTHING).password_length(1)), invalid, ALL_EXCLUDED);
    refused(make(new().exclude_characters(EVERYTHING).require_each_included_type(false)), invalid, ALL_EXCLUDED);
    let nothing =
        || new().exclude_uppercase(true).exclude_lowercase(true).exclude_numbers(true).exclude_punctuation(true);
    refused(make(nothing()), invalid, ALL_EXCLUDED);
    refused(make(nothing().include_space(true).exclude_characters(" ")), invalid, ALL_EXCLUDED);
    assert!(make(new().exclude_characters(DIGITS).exclude_numbers(true)).is_ok());
    assert!(make(new().exclude_characters(DIGITS).require_each_included_type(false)).is_ok());
    assert!(make(new().password_length(1).require_each_included_type(false)).is_ok());
    assert!(make(new().password_length(3).exclude_numbers(true)).is_ok());
}

#[test]
fn malformed_wishes_are_refused() {
    let world = World::new();
    let make = |request| world.secrets.get_random_password(request);
    let new = GetRandomPasswordRequest::new;
    let at = "at 'passwordLength' failed to satisfy constraint: Member must have value";
    for length in [0, -1, i64::MIN] {
        let text = format!("1 validation error detected: Value '{length}' {at} greater than or equal to 1");
        refused(make(new().password_length(length)), "ValidationException", &text);
    }
    for length in [4097, 1_000_000_000_000, i64::MAX] {
        let text = format!("1 validation error detected: Value '{length}' {at} less than or equal to 4096");
        refused(make(new().password_length(length)), "ValidationException", &text);
    }
    let ending =
        "at 'excludeCharacters' failed to satisfy constraint: Member must have length less than or equal to 4096";
    for count in [4097, 1_000_000] {
        malformed(make(new().exclude_characters("x".repeat(count))), ending);
        malformed(make(new().exclude_characters("\u{e9}".repeat(count))), ending);
    }
    assert!(make(new().exclude_characters("x".repeat(4096))).is_ok());
    assert!(make(new().exclude_characters("\u{1f511}".repeat(4096))).is_ok(), "characters are counted, not bytes");
    // Shape comes before everything else, and every violation is in the message.
    let request = new().password_length(0).exclude_characters(EVERYTHING.repeat(100));
    let error = make(request).unwrap_err();
    assert!(error.message().starts_with("2 validation errors detected: Value '0' at 'passwordLength'"), "{error}");
}

/// Nothing is stored and no secret is touched.
#[test]
fn a_password_leaves_no_trace() {
    let world = World::new();
    world.create("s");
    let before = world.store.stats().unwrap();
    for _ in 0..10 {
        make(&world, GetRandomPasswordRequest::new());
    }
    assert_eq!(world.store.stats().unwrap(), before);
    assert_eq!(world.names(ListSecretsRequest::new), ["s"]);
}

#[test]
fn a_password_is_not_printed() {
    let world = World::new();
    let response = world.secrets.get_random_password(GetRandomPasswordRequest::new()).unwrap();
    assert!(!format!("{response:?}").contains(response.random_password.expose()));
}

#[test]
fn a_failing_source_of_randomness_makes_no_password() {
    #[derive(Debug)]
    struct Dry(std::sync::atomic::AtomicUsize);
    impl strongroom::Entropy for Dry {
        fn fill(&self, dest: &mut [u8]) -> Result<(), strongroom::EntropyError> {
            // Enough to make the store, and then no more.
            let given = self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            dest.iter_mut().for_each(|byte| *byte = 7);
            if given < 1_000 { Ok(()) } else { Err(strongroom::EntropyError::new()) }
        }
    }
    let entropy = Dry(0.into());
    let store = strongroom::SecretStore::in_memory()
        .key_provider(strongroom::StaticKey::new([7; 32]))
        .entropy(entropy)
        .open()
        .unwrap();
    let secrets = store.default_secrets_manager();
    let failure = (0..2_000).find_map(|_| secrets.get_random_password(GetRandomPasswordRequest::new()).err()).unwrap();
    assert_eq!(failure.code(), "InternalServiceError");
    assert!(matches!(failure.kind(), ErrorKind::Entropy));
}
