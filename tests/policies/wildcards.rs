//! What wildcards mean, by their definition.

/// Whether a text fits a pattern, by the definition of the wildcards: which prefixes of the text each prefix of the pattern
/// can stand for.
pub(crate) fn fits(pattern: &str, text: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    let mut reachable = vec![false; text.len() + 1];
    reachable[0] = true;
    for wanted in pattern.chars() {
        let mut next = vec![false; text.len() + 1];
        let mut before = false;
        for at in 0..=text.len() {
            before |= reachable[at];
            next[at] = match wanted {
                '*' => before,
                wanted => at > 0 && reachable[at - 1] && (wanted == '?' || text[at - 1] == wanted),
            };
        }
        reachable = next;
    }
    reachable[text.len()]
}
