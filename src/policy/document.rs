//! A policy document that was understood.

use super::condition::Condition;
use super::pattern::Pattern;
use super::principal::Principals;
use super::template::Resource;

/// A policy of either kind.
#[derive(Debug, Clone)]
pub(super) struct Document {
    pub(super) version: Option<Version>,
    pub(super) id: Option<String>,
    pub(super) statements: Vec<Statement>,
}

/// The version of the policy language. Without one it is the older one, which has no policy variables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    V2008,
    V2012,
}

pub(super) const V2008: &str = "2008-10-17";
pub(super) const V2012: &str = "2012-10-17";

/// Whether a statement allows or denies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "the policy language has these two")]
pub enum Effect {
    /// It allows.
    Allow,
    /// It denies, whatever others allow.
    Deny,
}

#[derive(Debug, Clone)]
pub(super) struct Statement {
    pub(super) sid: Option<String>,
    pub(super) effect: Effect,
    /// `None` in an identity policy.
    pub(super) principals: Option<Principals>,
    pub(super) actions: Any<Pattern>,
    pub(super) resources: Any<Resource>,
    /// All of them must be met. Those of one operator stand together.
    pub(super) conditions: Vec<Condition>,
}

/// `Action` or `NotAction`, `Resource` or `NotResource`: each with its text.
#[derive(Debug, Clone)]
pub(super) struct Any<T> {
    pub(super) is_negated: bool,
    pub(super) of: Vec<(String, T)>,
}

impl<T> Any<T> {
    fn is_same(&self, other: &Self) -> bool {
        let texts = |any: &Self| any.of.iter().map(|(text, _)| text.clone()).collect::<Vec<_>>();
        self.is_negated == other.is_negated && texts(self) == texts(other)
    }

    pub(super) fn applies(&self, matches: impl Fn(&T) -> bool) -> bool {
        self.of.iter().any(|(_, pattern)| matches(pattern)) != self.is_negated
    }
}

/// Two documents are equal if they are written with the same texts: in whatever order elements stand, with whatever spaces, and
/// numbers and truth values with or without quotation marks.
impl PartialEq for Document {
    fn eq(&self, other: &Self) -> bool {
        (self.version, &self.id, &self.statements) == (other.version, &other.id, &other.statements)
    }
}

impl PartialEq for Statement {
    fn eq(&self, other: &Self) -> bool {
        let Self { sid, effect, principals, actions, resources, conditions } = self;
        (sid, effect, principals, conditions) == (&other.sid, &other.effect, &other.principals, &other.conditions)
            && actions.is_same(&other.actions)
            && resources.is_same(&other.resources)
    }
}

impl PartialEq for Condition {
    fn eq(&self, other: &Self) -> bool {
        let texts = |condition: &Self| condition.written.iter().map(|value| value.text.clone()).collect::<Vec<_>>();
        (self.operator, &self.key) == (other.operator, &other.key) && texts(self) == texts(other)
    }
}

impl Effect {
    /// As a policy writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "Allow",
            Self::Deny => "Deny",
        }
    }
}
