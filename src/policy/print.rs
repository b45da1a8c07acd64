//! Documents as JSON again: equivalent to what was read, in one order and one form, and never longer.

use std::fmt::{self, Write};

use super::condition::{Condition, Scalar};
use super::document::{Any, Document, Statement, V2008, V2012, Version};
use super::principal::{Principals, TYPES};

impl fmt::Display for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut members = Members::begin(f)?;
        if let Some(version) = self.version {
            let text = if version == Version::V2008 { V2008 } else { V2012 };
            members.member("Version", |f| string(f, text))?;
        }
        if let Some(id) = &self.id {
            members.member("Id", |f| string(f, id))?;
        }
        members.member("Statement", |f| match self.statements.as_slice() {
            [only] => write!(f, "{only}"),
            statements => list(f, statements, |f, statement| write!(f, "{statement}")),
        })?;
        members.end()
    }
}

impl fmt::Display for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut members = Members::begin(f)?;
        if let Some(sid) = &self.sid {
            members.member("Sid", |f| string(f, sid))?;
        }
        members.member("Effect", |f| string(f, self.effect.as_str()))?;
        if let Some(principals) = &self.principals {
            members.member(name("Principal", principals.is_negated), |f| write_principals(f, principals))?;
        }
        members.member(name("Action", self.actions.is_negated), |f| any(f, &self.actions))?;
        members.member(name("Resource", self.resources.is_negated), |f| any(f, &self.resources))?;
        if !self.conditions.is_empty() {
            members.member("Condition", |f| write_conditions(f, &self.conditions))?;
        }
        members.end()
    }
}

fn name(plain: &'static str, is_negated: bool) -> &'static str {
    match (plain, is_negated) {
        ("Principal", true) => "NotPrincipal",
        ("Action", true) => "NotAction",
        ("Resource", true) => "NotResource",
        (plain, _) => plain,
    }
}

fn any<T>(f: &mut fmt::Formatter<'_>, any: &Any<T>) -> fmt::Result {
    one_or_many(f, any.of.iter().map(|(text, _)| text.as_str()))
}

fn write_principals(f: &mut fmt::Formatter<'_>, principals: &Principals) -> fmt::Result {
    if principals.is_bare {
        return string(f, "*");
    }
    let mut members = Members::begin(f)?;
    for principal_type in TYPES {
        let of = principals.any_of.iter().filter(|entry| entry.form.principal_type() == principal_type);
        let mut of = of.map(|entry| entry.written.as_str()).peekable();
        if of.peek().is_some() {
            members.member(principal_type, |f| one_or_many(f, of))?;
        }
    }
    members.end()
}

fn write_conditions(f: &mut fmt::Formatter<'_>, conditions: &[Condition]) -> fmt::Result {
    let mut operators = Members::begin(f)?;
    for group in conditions.chunk_by(|a, b| a.operator == b.operator) {
        let Some(first) = group.first() else { continue };
        operators.member(&first.operator.to_string(), |f| {
            let mut keys = Members::begin(f)?;
            for condition in group {
                keys.member(&condition.key, |f| match condition.written.as_slice() {
                    [only] => scalar(f, only),
                    written => list(f, written, scalar),
                })?;
            }
            keys.end()
        })?;
    }
    operators.end()
}

/// One text as it is, several as a list.
fn one_or_many<'a>(f: &mut fmt::Formatter<'_>, texts: impl Iterator<Item = &'a str>) -> fmt::Result {
    let texts: Vec<&str> = texts.collect();
    match texts.as_slice() {
        [only] => string(f, only),
        texts => list(f, texts, |f, text| string(f, text)),
    }
}

fn list<T>(
    f: &mut fmt::Formatter<'_>,
    items: &[T],
    write: impl Fn(&mut fmt::Formatter<'_>, &T) -> fmt::Result,
) -> fmt::Result {
    f.write_char('[')?;
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            f.write_char(',')?;
        }
        write(f, item)?;
    }
    f.write_char(']')
}

fn scalar(f: &mut fmt::Formatter<'_>, Scalar { text, is_bare }: &Scalar) -> fmt::Result {
    if *is_bare { f.write_str(text) } else { string(f, text) }
}

fn string(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_char('"')?;
    for c in text.chars() {
        match c {
            '"' => f.write_str("\\\"")?,
            '\\' => f.write_str("\\\\")?,
            '\n' => f.write_str("\\n")?,
            '\r' => f.write_str("\\r")?,
            '\t' => f.write_str("\\t")?,
            '\u{8}' => f.write_str("\\b")?,
            '\u{c}' => f.write_str("\\f")?,
            c if c < ' ' => write!(f, "\\u{:04x}", u32::from(c))?,
            c => f.write_char(c)?,
        }
    }
    f.write_char('"')
}

/// The members of an object, as they are written.
struct Members<'f, 'a> {
    f: &'f mut fmt::Formatter<'a>,
    is_first: bool,
}

impl<'f, 'a> Members<'f, 'a> {
    fn begin(f: &'f mut fmt::Formatter<'a>) -> Result<Self, fmt::Error> {
        f.write_char('{')?;
        Ok(Self { f, is_first: true })
    }

    fn member(&mut self, name: &str, write: impl FnOnce(&mut fmt::Formatter<'a>) -> fmt::Result) -> fmt::Result {
        if !self.is_first {
            self.f.write_char(',')?;
        }
        self.is_first = false;
        string(self.f, name)?;
        self.f.write_char(':')?;
        write(self.f)
    }

    fn end(self) -> fmt::Result {
        self.f.write_char('}')
    }
}
