//! Staging labels: which version carries which label, and how labels move.
//!
//! INVARIANT: a map from label to version, so that a label on two versions cannot be written down. Entries are kept in
//! the order in which they were attached, which is the order in which responses show them.

use crate::model::version::VersionId;

pub(crate) const CURRENT: &str = "AWSCURRENT";
pub(crate) const PREVIOUS: &str = "AWSPREVIOUS";
pub(crate) const PENDING: &str = "AWSPENDING";

/// The labels of one secret.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Stages(Vec<(String, VersionId)>);

impl Stages {
    /// From an authenticated record, in order of attachment.
    pub(crate) fn from_record(entries: Vec<(String, VersionId)>) -> Self {
        Self(entries)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &VersionId)> {
        self.0.iter().map(|(label, version)| (label.as_str(), version))
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The version that carries the label.
    pub(crate) fn holder(&self, label: &str) -> Option<&VersionId> {
        self.0.iter().find(|(held, _)| held == label).map(|(_, version)| version)
    }

    /// The labels of a version, in order of attachment.
    pub(crate) fn of(&self, version: &VersionId) -> Vec<String> {
        self.0.iter().filter(|(_, holder)| holder == version).map(|(label, _)| label.clone()).collect()
    }

    pub(crate) fn is_labelled(&self, version: &VersionId) -> bool {
        self.0.iter().any(|(_, holder)| holder == version)
    }

    pub(crate) fn detach(&mut self, label: &str) {
        self.0.retain(|(held, _)| held != label);
    }

    /// Moves the label to the version, from wherever it was.
    ///
    /// When `AWSCURRENT` leaves a version for another one, the version it left becomes `AWSPREVIOUS`. No other label
    /// ever moves by itself.
    pub(crate) fn attach(&mut self, label: &str, target: &VersionId) {
        let former = self.holder(label).cloned();
        if former.as_ref() == Some(target) {
            return;
        }
        self.detach(label);
        self.0.push((label.to_owned(), target.clone()));
        if label == CURRENT
            && let Some(former) = former
        {
            self.detach(PREVIOUS);
            self.0.push((PREVIOUS.to_owned(), former));
        }
    }

    /// Labels a version that has just received its value.
    ///
    /// `labels` are the requested ones, none meaning `AWSCURRENT`. The first version of a secret takes `AWSCURRENT` in
    /// any case. A new current version that was not requested as pending ends whatever was pending.
    pub(crate) fn label_new(&mut self, version: &VersionId, labels: &[String], is_first: bool) {
        let default = [CURRENT.to_owned()];
        let requested = if labels.is_empty() { &default[..] } else { labels };
        for label in requested {
            self.attach(label, version);
        }
        if is_first {
            self.attach(CURRENT, version);
        }
        let is_requested = |label: &str| requested.iter().any(|requested| requested == label);
        if (is_first || is_requested(CURRENT)) && !is_requested(PENDING) {
            self.detach(PENDING);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v(n: u8) -> VersionId {
        VersionId::new(format!("v{n}"))
    }

    #[test]
    fn attaching_a_label_where_it_already_is_changes_nothing() {
        let mut stages = Stages::default();
        stages.attach(CURRENT, &v(1));
        stages.attach(CURRENT, &v(2));
        let before = stages.clone();
        stages.attach(CURRENT, &v(2));
        assert_eq!(stages, before);
        assert_eq!(stages.holder(PREVIOUS), Some(&v(1)));
    }

    #[test]
    fn going_back_swaps_current_and_previous() {
        let mut stages = Stages::default();
        stages.attach(CURRENT, &v(1));
        stages.attach(CURRENT, &v(2));
        stages.attach(CURRENT, &v(1));
        assert_eq!((stages.of(&v(1)), stages.of(&v(2))), (vec![CURRENT.into()], vec![PREVIOUS.into()]));
    }

    #[test]
    fn moving_a_custom_label_leaves_previous_alone() {
        let mut stages = Stages::default();
        stages.attach(CURRENT, &v(1));
        stages.attach("blue", &v(1));
        stages.attach("blue", &v(2));
        assert_eq!(stages.holder(PREVIOUS), None);
    }
}
