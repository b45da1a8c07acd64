//! Texts of a policy that may hold policy variables, wildcards, or both; ARNs are such texts in six fields.

use std::borrow::Cow;

use super::context::Known;
use super::pattern::{Pattern, Token, tokens};

/// What a text is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Fixed(Token),
    /// `${key}` or `${key, 'otherwise'}`, the key in lower case.
    Variable {
        key: String,
        otherwise: Option<String>,
    },
}

/// How a text of a policy is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reading {
    /// Policy variables have a meaning (`Version` 2012-10-17).
    pub(super) variables: bool,
    /// `*` and `?` have one.
    pub(super) wildcards: bool,
    /// Upper and lower case are the same.
    pub(super) caseless: bool,
}

/// A text of a policy.
#[derive(Debug, Clone)]
pub(super) enum Template {
    /// Without variables and wildcards.
    Text(String),
    Pattern(Pattern),
    Variable(Variables),
}

/// Parts of which at least one is a variable.
#[derive(Debug, Clone)]
pub(super) struct Variables(Vec<Part>);

/// A variable that cannot be read.
#[derive(Debug)]
pub(super) struct BadVariable;

impl Template {
    pub(super) fn parse(text: &str, reading: Reading) -> Result<Self, BadVariable> {
        Ok(Self::of(parts(text, reading)?, reading))
    }

    fn of(parts: Vec<Part>, reading: Reading) -> Self {
        match without_variables(&parts) {
            None => Self::Variable(Variables(parts)),
            Some(tokens) => Self::fixed(&tokens, reading.caseless),
        }
    }

    fn fixed(tokens: &[Token], caseless: bool) -> Self {
        let fold = |text: &str| if caseless { text.to_lowercase() } else { text.to_owned() };
        let plain: Option<String> =
            tokens.iter().map(|token| if let Token::Text(text) = token { Some(fold(text)) } else { None }).collect();
        plain.map_or_else(|| Self::Pattern(Pattern::new(tokens)), Self::Text)
    }

    /// Whether it stands for exactly one text, whatever the request is.
    pub(super) fn as_fixed(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    /// With the values of the request in the place of variables. `None` if one is missing, or is not a single one.
    pub(super) fn resolved(&self, known: &impl Known, caseless: bool) -> Option<Cow<'_, Self>> {
        match self {
            Self::Text(_) | Self::Pattern(_) => Some(Cow::Borrowed(self)),
            Self::Variable(Variables(parts)) => Some(Cow::Owned(Self::fixed(&resolve(parts, known)?, caseless))),
        }
    }

    /// Whether a text without variables is meant. `text` is in lower case if the reading is caseless.
    pub(super) fn matches(&self, text: &str) -> bool {
        match self {
            Self::Text(expected) => expected == text,
            Self::Pattern(pattern) => pattern.matches(text),
            Self::Variable(_) => false,
        }
    }
}

/// The tokens, if no part is a variable.
fn without_variables(parts: &[Part]) -> Option<Vec<Token>> {
    parts.iter().map(|part| if let Part::Fixed(token) = part { Some(token.clone()) } else { None }).collect()
}

/// With the values of the request. `None` if one is missing, or is not a single one.
fn resolve(parts: &[Part], known: &impl Known) -> Option<Vec<Token>> {
    parts
        .iter()
        .map(|part| match part {
            Part::Fixed(token) => Some(token.clone()),
            Part::Variable { key, otherwise } => {
                let value = known.values(key).single().map(Cow::into_owned).or_else(|| otherwise.clone());
                value.map(Token::Text)
            }
        })
        .collect()
}

/// Longest name of a variable that is read.
const VARIABLE_CHARS_MAX: usize = 512;

fn parts(text: &str, reading: Reading) -> Result<Vec<Part>, BadVariable> {
    let mut parts: Vec<Part> = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let Some((before, after)) = rest.split_once("${").filter(|_| reading.variables) else {
            push(&mut parts, rest, reading);
            break;
        };
        push(&mut parts, before, reading);
        let (variable, after) = split_variable(after)?;
        parts.push(variable);
        rest = after;
    }
    Ok(parts)
}

fn push(parts: &mut Vec<Part>, text: &str, reading: Reading) {
    if reading.wildcards {
        parts.extend(tokens(text).into_iter().map(Part::Fixed));
    } else if !text.is_empty() {
        parts.push(Part::Fixed(Token::Text(text.to_owned())));
    }
}

/// What stands behind `${`.
fn split_variable(text: &str) -> Result<(Part, &str), BadVariable> {
    for special in ["*", "?", "$"] {
        if let Some(after) = text.strip_prefix(special).and_then(|after| after.strip_prefix('}')) {
            return Ok((Part::Fixed(Token::Text(special.to_owned())), after));
        }
    }
    let end = text.find(['}', ',', '{', '$']).ok_or(BadVariable)?;
    let (key, after) = text.split_at_checked(end).ok_or(BadVariable)?;
    let (otherwise, after) = match after.strip_prefix(',') {
        Some(after) => {
            let quoted = after.trim_start_matches(' ').strip_prefix('\'').ok_or(BadVariable)?;
            let (otherwise, after) = quoted.split_once('\'').ok_or(BadVariable)?;
            (Some(otherwise.to_owned()), after.trim_start_matches(' '))
        }
        None => (None, after),
    };
    let after = after.strip_prefix('}').ok_or(BadVariable)?;
    let key = key.trim();
    let is_key = key.split_once(':').is_some_and(|(service, name)| !service.is_empty() && !name.is_empty());
    if !is_key || key.chars().count() > VARIABLE_CHARS_MAX {
        return Err(BadVariable);
    }
    Ok((Part::Variable { key: key.to_lowercase(), otherwise }, after))
}

/// The fields of an ARN.
const ARN_FIELDS: usize = 6;

/// What a policy compares ARNs with: field by field in conditions.
#[derive(Debug, Clone)]
pub(super) enum ArnTemplate {
    /// `*` alone.
    Everything,
    Fields(Box<[Template; ARN_FIELDS]>),
    Variable(Variables),
    /// Not an ARN; nothing matches it.
    Other,
}

impl ArnTemplate {
    pub(super) fn parse(text: &str, variables: bool) -> Result<Self, BadVariable> {
        let parts = parts(text, Reading { variables, wildcards: true, caseless: false })?;
        Ok(match without_variables(&parts) {
            None => Self::Variable(Variables(parts)),
            Some(tokens) => Self::fixed(&tokens),
        })
    }

    /// Fields that are missing at the end are anything.
    fn fixed(tokens: &[Token]) -> Self {
        if !tokens.is_empty() && tokens.iter().all(|token| *token == Token::Many) {
            return Self::Everything;
        }
        let mut fields: Vec<Vec<Token>> = vec![Vec::new()];
        for token in tokens {
            let Token::Text(text) = token else {
                push_token(&mut fields, token.clone());
                continue;
            };
            let mut rest = text.as_str();
            while fields.len() < ARN_FIELDS
                && let Some((before, after)) = rest.split_once(':')
            {
                push_token(&mut fields, Token::Text(before.to_owned()));
                fields.push(Vec::new());
                rest = after;
            }
            push_token(&mut fields, Token::Text(rest.to_owned()));
        }
        if fields.first().is_none_or(|scheme| *scheme != [Token::Text("arn".to_owned())]) {
            return Self::Other;
        }
        fields.resize(ARN_FIELDS, vec![Token::Many]);
        let fields: Vec<Template> = fields.iter().map(|field| Template::fixed(field, false)).collect();
        fields.try_into().map_or(Self::Other, |fields| Self::Fields(Box::new(fields)))
    }

    /// Whether it can be compared with ARNs, as far as that is known without a request.
    pub(super) fn is_arn(&self) -> bool {
        !matches!(self, Self::Other)
    }

    /// Whether it stands for exactly one ARN, whatever the request is.
    pub(super) fn is_fixed(&self) -> bool {
        match self {
            Self::Fields(fields) => fields.iter().all(|field| field.as_fixed().is_some()),
            Self::Everything | Self::Variable(_) | Self::Other => false,
        }
    }

    /// With the values of the request in the place of variables. `None` if one is missing, or is not a single one.
    pub(super) fn resolved(&self, known: &impl Known) -> Option<Cow<'_, Self>> {
        match self {
            Self::Variable(Variables(parts)) => Some(Cow::Owned(Self::fixed(&resolve(parts, known)?))),
            Self::Everything | Self::Fields(_) | Self::Other => Some(Cow::Borrowed(self)),
        }
    }

    /// Whether an ARN is meant by one without variables.
    pub(super) fn matches(&self, arn: &str) -> bool {
        match self {
            Self::Everything => true,
            Self::Variable(_) | Self::Other => false,
            Self::Fields(fields) => {
                let mut given = arn.splitn(ARN_FIELDS, ':');
                fields.iter().all(|field| given.next().is_some_and(|text| field.matches(text)))
            }
        }
    }
}

fn push_token(fields: &mut [Vec<Token>], token: Token) {
    if let Some(field) = fields.last_mut()
        && token != Token::Text(String::new())
    {
        field.push(token);
    }
}

/// What a statement is about: `*`, or an ARN, compared as a whole, so that `*` also stands for colons.
#[derive(Debug, Clone)]
pub(super) struct Resource {
    as_written: Template,
    /// With fields at the end that are anything, if it has fewer than an ARN. Nobody knows whether a `*` or a variable stands
    /// for the others.
    completed: Option<Template>,
}

impl Resource {
    /// `Ok(None)`: it is neither.
    pub(super) fn parse(text: &str, variables: bool) -> Result<Option<Self>, BadVariable> {
        let reading = Reading { variables, wildcards: true, caseless: false };
        let mut parts = parts(text, reading)?;
        let as_written = Template::of(parts.clone(), reading);
        let is_everything = !parts.is_empty() && parts.iter().all(|part| *part == Part::Fixed(Token::Many));
        if is_everything {
            return Ok(Some(Self { as_written, completed: None }));
        }
        if !text.starts_with("arn:") {
            return Ok(None);
        }
        let colons = |part: &Part| match part {
            Part::Fixed(Token::Text(text)) => text.matches(':').count(),
            Part::Fixed(_) | Part::Variable { .. } => 0,
        };
        let missing = (ARN_FIELDS - 1).saturating_sub(parts.iter().map(colons).sum());
        for _ in 0..missing {
            parts.extend([Part::Fixed(Token::Text(":".to_owned())), Part::Fixed(Token::Many)]);
        }
        let completed = (missing > 0).then(|| Template::of(parts, reading));
        Ok(Some(Self { as_written, completed }))
    }

    pub(super) fn matches(&self, arn: &str, known: &impl Known) -> bool {
        let is_meant = |form: &Template| form.resolved(known, false).is_some_and(|form| form.matches(arn));
        is_meant(&self.as_written) || self.completed.as_ref().is_some_and(is_meant)
    }
}
