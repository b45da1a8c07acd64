//! The policies that are attached to a secret, by name. Their texts are kept as they were given, byte for byte.

use std::collections::BTreeMap;
use std::sync::Arc;

/// The policy that callers attach. Policies of other names come from the service.
pub(crate) const DEFAULT_POLICY: &str = "default";

/// The policies of a secret, in the order in which they are listed: the default one, then the others by name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct AttachedPolicies {
    default: Option<Arc<str>>,
    others: BTreeMap<String, Arc<str>>,
}

impl AttachedPolicies {
    /// From what was stored. `None` unless names are there once and in order.
    pub(crate) fn from_record(stored: Vec<(&str, &str)>) -> Option<Self> {
        if !stored.is_sorted_by(|(before, _), (after, _)| place(before) < place(after)) {
            return None;
        }
        let mut policies = Self::default();
        for (name, text) in stored {
            policies.insert(name, text.into());
        }
        Some(policies)
    }

    /// Attaches a policy, in the place of the one of that name. Says whether there was none.
    pub(crate) fn insert(&mut self, name: &str, text: Arc<str>) -> bool {
        let before = match name {
            DEFAULT_POLICY => self.default.replace(text),
            _ => self.others.insert(name.to_owned(), text),
        };
        before.is_none()
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Arc<str>> {
        if name == DEFAULT_POLICY { self.default.as_ref() } else { self.others.get(name) }
    }

    /// Detaches the policy of a name, if it is there.
    pub(crate) fn remove(&mut self, name: &str) {
        if name == DEFAULT_POLICY {
            self.default = None;
        } else {
            self.others.remove(name);
        }
    }

    /// Detaches the default policy. Says whether there was one.
    pub(crate) fn remove_default(&mut self) -> bool {
        self.default.take().is_some()
    }

    /// Names and texts, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> + Clone {
        let others = self.others.iter().map(|(name, text)| (name.as_str(), &**text));
        self.default.iter().map(|text| (DEFAULT_POLICY, &**text)).chain(others)
    }

    /// Names behind a name, which need not be there, in order.
    pub(crate) fn names_after<'a>(&'a self, name: Option<&'a str>) -> impl Iterator<Item = &'a str> {
        self.iter().map(|(name, _)| name).filter(move |listed| name.is_none_or(|name| place(listed) > place(name)))
    }

    pub(crate) fn len(&self) -> usize {
        usize::from(self.default.is_some()) + self.others.len()
    }
}

/// Where a name is listed.
fn place(name: &str) -> (bool, &str) {
    (name != DEFAULT_POLICY, name)
}

/// Whether a name has only characters that a name may have (API).
pub(crate) fn is_policy_name(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    !text.is_empty() && text.bytes().all(is_allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_policy_is_listed_first_and_the_others_by_name() {
        let mut policies = AttachedPolicies::default();
        for name in ["service", "a", "default", "Z", "b"] {
            assert!(policies.insert(name, name.into()), "{name}");
        }
        assert!(!policies.insert("a", "again".into()));
        let listed: Vec<(&str, &str)> = policies.iter().collect();
        let expected = [("default", "default"), ("Z", "Z"), ("a", "again"), ("b", "b"), ("service", "service")];
        assert_eq!(listed, expected);
        assert_eq!(policies.len(), 5);
        for (after, names) in
            [("default", &["Z", "a", "b", "service"][..]), ("aa", &["b", "service"]), ("service", &[]), ("zz", &[])]
        {
            assert_eq!(policies.names_after(Some(after)).collect::<Vec<_>>(), names, "after {after}");
        }
        assert_eq!(AttachedPolicies::from_record(listed), Some(policies.clone()));
        assert!(policies.remove_default() && !policies.remove_default());
        assert_eq!(policies.get("default"), None);
    }

    #[test]
    fn records_with_names_out_of_order_or_twice_are_refused() {
        for (names, is_good) in [
            (&["default", "a", "b"][..], true),
            (&["B", "a"], true),
            (&[], true),
            (&["a", "default"], false),
            (&["b", "a"], false),
            (&["a", "a"], false),
            (&["default", "default"], false),
        ] {
            let stored = names.iter().map(|name| (*name, "{}")).collect();
            assert_eq!(AttachedPolicies::from_record(stored).is_some(), is_good, "{names:?}");
        }
    }
}
