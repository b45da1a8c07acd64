//! From JSON to a document: the grammar of policies.
//!
//! Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html>

use std::collections::HashSet;

use super::condition::{BadCondition, Condition, Operator, Scalar};
use super::document::{Any, Document, Effect, Statement, V2008, V2012, Version};
use super::fault::{Found, PolicyFaultReason as Reason};
use super::json::{self, Member, Node, Value};
use super::pattern::Pattern;
use super::principal::{Entry, Principals, TYPES};
use super::template::Resource;

/// What a policy is attached to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Attachment {
    /// To a resource: every statement says whom it is about.
    Resource,
    /// To an identity: it is about that one.
    Identity,
}

/// Reads a document. Principals that are not supported are told last: only of a document that is a policy otherwise.
pub(super) fn document(text: &str, attachment: Attachment) -> Result<Document, Found> {
    let node = json::read(text)?;
    match elements(&node, attachment, Strictness::Full) {
        Err(found) if matches!(found.reason, Reason::UnsupportedPrincipal | Reason::UnsupportedServicePrincipal) => {
            Err(elements(&node, attachment, Strictness::Grammar).err().unwrap_or(found))
        }
        read => read,
    }
}

/// What counts as a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Strictness {
    Full,
    /// All but principals that are not supported.
    Grammar,
}

fn elements(node: &Node<'_>, attachment: Attachment, strictness: Strictness) -> Result<Document, Found> {
    let members = object(node)?;
    let mut elements = Elements::new(node, members, &DOCUMENT)?;
    let version = elements.take("Version").map(|node| inside("Version", version(node))).transpose()?;
    let id = elements.take("Id").map(|node| inside("Id", string(node))).transpose()?;
    let statement = elements.required("Statement")?;
    let read = |node: &Node<'_>| statement_of(node, attachment, version, strictness);
    let statements = inside("Statement", one_or_many(statement, read))?;
    check_sids(statement, &statements)?;
    Ok(Document { version, id: id.map(str::to_owned), statements })
}

/// The elements of a document, and those of a statement.
const DOCUMENT: [&str; 3] = ["Version", "Id", "Statement"];
const STATEMENT: [&str; 9] =
    ["Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition"];

/// The members of an object that were not asked for yet.
struct Elements<'n, 'a> {
    offset: usize,
    members: Vec<&'n Member<'a>>,
}

impl<'n, 'a> Elements<'n, 'a> {
    /// What is not known is told first: it may be what is missing, misspelt.
    fn new(node: &Node<'a>, members: &'n [Member<'a>], known: &[&str]) -> Result<Self, Found> {
        match members.iter().find(|member| !known.contains(&member.name.as_str())) {
            Some(unknown) => Err(Found::new(Reason::UnknownElement, unknown.offset).inside(&unknown.name)),
            None => Ok(Self { offset: node.offset, members: members.iter().collect() }),
        }
    }

    fn take_member(&mut self, name: &str) -> Option<&'n Member<'a>> {
        let index = self.members.iter().position(|member| member.name == name)?;
        Some(self.members.swap_remove(index))
    }

    fn take(&mut self, name: &str) -> Option<&'n Node<'a>> {
        self.take_member(name).map(|member| &member.value)
    }

    fn required(&mut self, name: &str) -> Result<&'n Node<'a>, Found> {
        self.take(name).ok_or_else(|| Found::new(Reason::MissingElement, self.offset).inside(name))
    }

    /// An element, or its opposite.
    fn either(&mut self, name: &'static str) -> Result<Option<(&'n Node<'a>, &'static str, bool)>, Found> {
        let opposite = match name {
            "Principal" => "NotPrincipal",
            "Action" => "NotAction",
            _ => "NotResource",
        };
        match (self.take_member(name), self.take_member(opposite)) {
            (None, None) => Ok(None),
            (Some(member), None) => Ok(Some((&member.value, name, false))),
            (None, Some(member)) => Ok(Some((&member.value, opposite, true))),
            (Some(_), Some(member)) => Err(Found::new(Reason::ConflictingElements, member.offset).inside(opposite)),
        }
    }
}

fn inside<T>(name: &str, read: Result<T, Found>) -> Result<T, Found> {
    read.map_err(|found| found.inside(name))
}

fn object<'n, 'a>(node: &'n Node<'a>) -> Result<&'n [Member<'a>], Found> {
    match &node.value {
        Value::Object(members) => Ok(members),
        _ => Err(Found::new(Reason::WrongType, node.offset)),
    }
}

fn string<'n>(node: &'n Node<'_>) -> Result<&'n str, Found> {
    match &node.value {
        Value::Text(text) => Ok(text),
        _ => Err(Found::new(Reason::WrongType, node.offset)),
    }
}

/// One, or a list of at least one.
fn one_or_many<'a, T>(node: &Node<'a>, read: impl Fn(&Node<'a>) -> Result<T, Found>) -> Result<Vec<T>, Found> {
    match &node.value {
        Value::List(nodes) if nodes.is_empty() => Err(Found::new(Reason::Empty, node.offset)),
        Value::List(nodes) => {
            nodes.iter().enumerate().map(|(index, node)| read(node).map_err(|found| found.at(index))).collect()
        }
        _ => Ok(vec![read(node)?]),
    }
}

fn version(node: &Node<'_>) -> Result<Version, Found> {
    match string(node)? {
        V2008 => Ok(Version::V2008),
        V2012 => Ok(Version::V2012),
        _ => Err(Found::new(Reason::InvalidVersion, node.offset)),
    }
}

/// Sids tell statements apart; an empty one tells nothing.
fn check_sids(node: &Node<'_>, statements: &[Statement]) -> Result<(), Found> {
    let mut sids = HashSet::new();
    for (index, statement) in statements.iter().enumerate() {
        let Some(sid) = statement.sid.as_deref().filter(|sid| !sid.is_empty()) else { continue };
        if !sids.insert(sid) {
            let place = match &node.value {
                Value::List(nodes) => nodes.get(index).unwrap_or(node),
                _ => node,
            };
            let members = object(place)?;
            let offset =
                members.iter().find(|member| member.name == "Sid").map_or(place.offset, |sid| sid.value.offset);
            return Err(Found::new(Reason::DuplicateSid, offset).inside("Sid").at(index).inside("Statement"));
        }
    }
    Ok(())
}

fn statement_of(
    node: &Node<'_>,
    attachment: Attachment,
    version: Option<Version>,
    strictness: Strictness,
) -> Result<Statement, Found> {
    let variables = version == Some(Version::V2012);
    let mut elements = Elements::new(node, object(node)?, &STATEMENT)?;
    let sid = elements.take("Sid").map(|node| inside("Sid", string(node))).transpose()?;
    let effect = inside("Effect", effect(elements.required("Effect")?))?;
    let principals = match (elements.either("Principal")?, attachment) {
        (None, Attachment::Identity) => None,
        (None, Attachment::Resource) => {
            return Err(Found::new(Reason::MissingElement, node.offset).inside("Principal"));
        }
        (Some((node, name, _)), Attachment::Identity) => {
            return Err(Found::new(Reason::PrincipalNotAllowed, node.offset).inside(name));
        }
        (Some((node, name, true)), Attachment::Resource) if effect == Effect::Allow => {
            return Err(Found::new(Reason::NotPrincipalNotAllowed, node.offset).inside(name));
        }
        (Some((node, name, is_negated)), Attachment::Resource) => {
            Some(inside(name, principals(node, is_negated, strictness))?)
        }
    };
    let missing = |name| Found::new(Reason::MissingElement, node.offset).inside(name);
    let (actions, name, is_negated) = elements.either("Action")?.ok_or_else(|| missing("Action"))?;
    let actions = Any { is_negated, of: inside(name, one_or_many(actions, action))? };
    let (resources, name, is_negated) = elements.either("Resource")?.ok_or_else(|| missing("Resource"))?;
    let resources = Any { is_negated, of: inside(name, one_or_many(resources, |node| resource(node, variables)))? };
    let conditions = match elements.take("Condition") {
        Some(node) => inside("Condition", conditions(node, variables))?,
        None => Vec::new(),
    };
    Ok(Statement { sid: sid.map(str::to_owned), effect, principals, actions, resources, conditions })
}

fn effect(node: &Node<'_>) -> Result<Effect, Found> {
    match string(node)? {
        "Allow" => Ok(Effect::Allow),
        "Deny" => Ok(Effect::Deny),
        _ => Err(Found::new(Reason::InvalidEffect, node.offset)),
    }
}

fn principals(node: &Node<'_>, is_negated: bool, strictness: Strictness) -> Result<Principals, Found> {
    if let Value::Text(text) = &node.value {
        return if text == "*" {
            Ok(Principals { is_negated, is_bare: true, any_of: vec![Entry::everyone()] })
        } else {
            Err(Found::new(Reason::WrongType, node.offset))
        };
    }
    let members = object(node)?;
    if members.is_empty() {
        return Err(Found::new(Reason::Empty, node.offset));
    }
    let mut any_of = Vec::new();
    for Member { name, offset, value } in members {
        if !TYPES.contains(&name.as_str()) && strictness == Strictness::Full {
            return Err(Found::new(Reason::UnsupportedPrincipal, *offset).inside(name));
        }
        let entry = |node: &Node<'_>| match Entry::parse(name, string(node)?) {
            Ok(entry) => Ok(entry),
            Err(_) if strictness == Strictness::Grammar => Ok(Entry::everyone()),
            Err(reason) => Err(Found::new(reason, node.offset)),
        };
        any_of.extend(inside(name, one_or_many(value, entry))?);
    }
    // In one order, whatever the document's is.
    any_of.sort_by_key(|entry: &Entry| TYPES.iter().position(|known| *known == entry.form.principal_type()));
    Ok(Principals { is_negated, is_bare: false, any_of })
}

/// `*`, or a service and the name of an action, which do not tell upper case from lower case.
fn action(node: &Node<'_>) -> Result<(String, Pattern), Found> {
    let text = string(node)?;
    let is_word = |text: &str, more: &[u8]| {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || more.contains(&byte))
    };
    let is_service = |service: &str| service == "*" || is_word(service, b"-");
    let is_name = |name: &str| is_word(name, b"*?-_");
    let is_action =
        text == "*" || text.split_once(':').is_some_and(|(service, name)| is_service(service) && is_name(name));
    if !is_action {
        return Err(Found::new(Reason::InvalidAction, node.offset));
    }
    Ok((text.to_owned(), Pattern::parse(&text.to_ascii_lowercase())))
}

fn resource(node: &Node<'_>, variables: bool) -> Result<(String, Resource), Found> {
    let refused = |reason| Found::new(reason, node.offset);
    let text = string(node)?;
    let read = Resource::parse(text, variables).map_err(|_| refused(Reason::InvalidVariable))?;
    read.map(|arn| (text.to_owned(), arn)).ok_or_else(|| refused(Reason::InvalidResource))
}

fn conditions(node: &Node<'_>, variables: bool) -> Result<Vec<Condition>, Found> {
    let mut conditions = Vec::new();
    for Member { name, offset, value } in object(node)? {
        let operator =
            Operator::parse(name).ok_or_else(|| Found::new(Reason::InvalidOperator, *offset).inside(name))?;
        let read = |member| condition(member, operator, variables);
        let keys = inside(name, object(value))?;
        if keys.is_empty() {
            return Err(Found::new(Reason::Empty, value.offset).inside(name));
        }
        let mut lookups = HashSet::new();
        for member in keys {
            let condition = inside(name, read(member))?;
            // Two names that differ in case are one.
            if !lookups.insert(condition.lookup.clone()) {
                return Err(Found::new(Reason::DuplicateMember, member.offset).inside(&member.name).inside(name));
            }
            conditions.push(condition);
        }
    }
    Ok(conditions)
}

/// Longest name of a condition key.
const KEY_CHARS_MAX: usize = 512;

fn condition(member: &Member<'_>, operator: Operator, variables: bool) -> Result<Condition, Found> {
    let Member { name, offset, value } = member;
    let is_key = name.split_once(':').is_some_and(|(service, key)| !service.is_empty() && !key.is_empty());
    if !is_key || name.chars().count() > KEY_CHARS_MAX {
        return Err(Found::new(Reason::InvalidConditionKey, *offset).inside(name));
    }
    let written = inside(name, one_or_many(value, scalar))?;
    Condition::new(operator, name, written, variables).map_err(|bad| {
        // Which of the values it is, so that it can be pointed at.
        let single = |node: &Node<'_>| {
            let read = Condition::new(operator, name, vec![scalar(node)?], variables);
            read.map_err(|bad| refused(&bad, node.offset))
        };
        let culprit = one_or_many(value, single).err();
        culprit.unwrap_or_else(|| refused(&bad, value.offset)).inside(name)
    })
}

fn refused(bad: &BadCondition, offset: usize) -> Found {
    let reason = match bad {
        BadCondition::Value => Reason::InvalidValue,
        BadCondition::Variable => Reason::InvalidVariable,
    };
    Found::new(reason, offset)
}

/// A value of a condition, as text.
fn scalar(node: &Node<'_>) -> Result<Scalar, Found> {
    let scalar = |text, is_bare| Ok(Scalar { text, is_bare });
    match &node.value {
        Value::Text(text) => scalar(text.clone(), false),
        Value::Number(digits) => scalar((*digits).to_owned(), true),
        Value::Bool(flag) => scalar(flag.to_string(), true),
        Value::Null | Value::List(_) | Value::Object(_) => Err(Found::new(Reason::WrongType, node.offset)),
    }
}
