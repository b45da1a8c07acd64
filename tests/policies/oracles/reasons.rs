//! Where the other evaluators differ from the documentation, and how the same question is put so that it does not matter.

use super::evaluators::Oracle;
use crate::generate::{Ask, Cond, Doc, KEYS, Kind, Pair, Person, Stmt, Who, plain_date};

/// Why an evaluator gives another answer. The order is that of the rewritings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reason {
    /// `NotPrincipal` is taken for the mere opposite of `Principal`. The user guide (`NotPrincipal`): whoever is to be left
    /// out must be named together with their account, and for a session with its role.
    NotPrincipalAlone,
    /// An account stands for everybody in it directly (awsim), or for nobody but its root user (iam-rs). The user guide
    /// (`Principal`, account principals): it delegates to the account, whose own policies then decide.
    AccountEntry,
    /// The root user needs a policy. The user guide (root user): it has access to everything in its account.
    RootNeedsPolicy,
    /// A session is not known to be one of its role. The user guide (`Principal`, role principals): permissions granted to a
    /// role are those of its sessions.
    RoleNamesSession,
    /// Without a policy of the resource, those of the identity are enough in any account. The user guide (cross-account
    /// evaluation logic): both sides have to allow.
    CrossAccountWithoutPolicy,
    /// Names of condition keys tell upper case from lower case. The user guide (`Condition`): they do not.
    KeyCase,
    /// Policy variables are replaced in resources only, and by nothing if the key is missing (iam-rs), or have no default
    /// values, or are known to everybody (awsim). The user guide (policy variables): in resources and in conditions on texts
    /// and ARNs, with default values; a missing key fits nothing; only users have `aws:username`.
    Variables,
    /// Variables have a meaning in documents of version 2008-10-17. The user guide (`Version`): they are plain text there.
    OldVersion,
    /// `${*}`, `${?}` and `${$}` are not the characters themselves. The user guide (policy variables, special characters).
    Specials,
    /// `ArnEquals` and `ArnNotEquals` compare texts. The user guide (ARN condition operators): it behaves as `ArnLike`.
    ArnEquals,
    /// A wildcard goes beyond its part of an ARN. The user guide (ARN condition operators): the six parts are checked one by
    /// one.
    ArnParts,
    /// Dates are read only with a time to the second, or as whole seconds. The user guide (date condition operators): any of
    /// the forms of ISO 8601 of the W3C, and epoch time.
    DateForms,
    /// `NumericNotEquals` and `DateNotEquals` are met if one value of several differs. The user guide (several keys or
    /// values): a negated operator is met if none fits.
    NegatedAny,
    /// `IgnoreCase` knows only ASCII. The user guide (string condition operators): the case is ignored.
    AsciiCase,
    /// `?` is a byte, and other characters than ASCII are garbled next to a variable. The user guide (string condition
    /// operators): a single character.
    Bytes,
    /// Base64 is compared without regard to the case. The user guide (binary condition operator): byte for byte.
    Base64Case,
    /// An identity provider stands for those whose names begin like its own. The user guide (`Principal`): a provider is
    /// named exactly.
    ProviderPrefix,
    /// `{"AWS": "*"}` is nobody but principals of accounts. The user guide (`Principal`, all principals): it is the same
    /// as `"*"`.
    AwsEverybody,
    /// A key that has no values is there. The user guide (set operators): an empty set of values is as good as no key.
    EmptyList,
}

impl Reason {
    pub(super) const ALL: [Self; 19] = [
        Self::NotPrincipalAlone,
        Self::AccountEntry,
        Self::RootNeedsPolicy,
        Self::RoleNamesSession,
        Self::CrossAccountWithoutPolicy,
        Self::KeyCase,
        Self::Variables,
        Self::OldVersion,
        Self::Specials,
        Self::ArnEquals,
        Self::ArnParts,
        Self::DateForms,
        Self::NegatedAny,
        Self::AsciiCase,
        Self::Bytes,
        Self::Base64Case,
        Self::ProviderPrefix,
        Self::AwsEverybody,
        Self::EmptyList,
    ];

    pub(super) fn is_of(self, oracle: Oracle) -> bool {
        match self {
            Self::NotPrincipalAlone
            | Self::AccountEntry
            | Self::RoleNamesSession
            | Self::Variables
            | Self::OldVersion
            | Self::Specials
            | Self::ArnEquals
            | Self::DateForms
            | Self::AsciiCase => true,
            Self::RootNeedsPolicy
            | Self::CrossAccountWithoutPolicy
            | Self::KeyCase
            | Self::NegatedAny
            | Self::Bytes => oracle == Oracle::Awsim,
            Self::ArnParts | Self::Base64Case | Self::ProviderPrefix | Self::AwsEverybody | Self::EmptyList => {
                oracle == Oracle::IamRs
            }
        }
    }

    /// The same question in another form. `None` if it is the same form.
    pub(super) fn rewrite(self, oracle: Oracle, pair: &Pair) -> Option<Pair> {
        let mut next = pair.clone();
        let ask = pair.ask.clone();
        match self {
            Self::NotPrincipalAlone => {
                if let Some(doc) = &mut next.resource {
                    doc.statements.retain(|statement| !negated(statement).is_some_and(|who| is_spared(who, &ask)));
                    doc.statements.iter_mut().filter(|statement| negated(statement).is_some()).for_each(everybody);
                    never_empty(doc);
                }
            }
            Self::AccountEntry => account_entries(oracle, &mut next),
            Self::RootNeedsPolicy => {
                if ask.person.is_root() {
                    next.identity.push(everything());
                }
            }
            Self::RoleNamesSession => {
                if let Some((account, role)) = ask.person.session() {
                    let session = ask.person.entry();
                    each_principal(&mut next, |who| {
                        if who.negated {
                            return;
                        }
                        let is_role =
                            |(kind, name): &&mut (&str, String)| *kind == "AWS" && is_role(name, account, role);
                        who.entries
                            .iter_mut()
                            .filter(is_role)
                            .for_each(|entry| entry.clone_from(session.as_ref().unwrap()));
                    });
                }
            }
            Self::CrossAccountWithoutPolicy => {
                if next.resource.is_none() && ask.person.account() != ask.owner() {
                    let mut doc = Doc { version: None, statements: Vec::new() };
                    never_empty(&mut doc);
                    next.resource = Some(doc);
                }
            }
            Self::KeyCase => each_condition(&mut next, |_, condition| {
                if let Some((key, ..)) = KEYS.iter().find(|(key, ..)| key.eq_ignore_ascii_case(&condition.key)) {
                    condition.key = (*key).to_owned();
                }
            }),
            Self::Variables => variables(&mut next),
            Self::OldVersion => {
                for doc in next.docs_mut().filter(|doc| !doc.has_variables()) {
                    each_text(doc, &mut |text, _| *text = text.replace("${", "%("));
                }
                each_value(&mut next.ask, |_, value| value.replace("${", "%("));
            }
            Self::Specials => specials(&mut next),
            Self::ArnEquals => decided_by_parts(&mut next, "Equals"),
            Self::ArnParts => decided_by_parts(&mut next, "Like"),
            Self::NegatedAny => negated_any(&mut next),
            Self::DateForms => {
                each_condition(&mut next, |_, condition| {
                    if condition.operator.contains("Date") {
                        condition.values.iter_mut().for_each(|value| *value = plain_date(value).to_owned());
                    }
                });
                each_value(
                    &mut next.ask,
                    |kind, value| {
                        if kind == Kind::Date { plain_date(&value).to_owned() } else { value }
                    },
                );
            }
            Self::AsciiCase => each_condition(&mut next, |_, condition| {
                if condition.operator.contains("IgnoreCase") {
                    // The form in which the request has it, if it has it in another one.
                    for held in ask.values(&condition.key).unwrap_or_default() {
                        let is_same = |value: &&mut String| value.to_lowercase() == held.to_lowercase();
                        condition.values.iter_mut().filter(is_same).for_each(|value| value.clone_from(&held));
                    }
                }
            }),
            Self::Bytes => {
                let ascii = |text: &str| text.replace('é', "(").replace('É', ")").replace('ß', "=");
                next.docs_mut().for_each(|doc| each_text(doc, &mut |text, _| *text = ascii(text)));
                each_value(&mut next.ask, |_, value| ascii(&value));
            }
            Self::Base64Case => {
                let renamed = |text: &str| if text == "qujd" { "enp6".to_owned() } else { text.to_owned() };
                each_condition(&mut next, |_, condition| {
                    condition.values.iter_mut().for_each(|value| *value = renamed(value));
                });
                each_value(&mut next.ask, |_, value| renamed(&value));
            }
            Self::ProviderPrefix => {
                let renamed = |name: &str| name.replace("/corp2", "/other");
                each_principal(&mut next, |who| who.entries.iter_mut().for_each(|(_, name)| *name = renamed(name)));
                if let Person::Federated(name) = &mut next.ask.person {
                    *name = renamed(name);
                }
            }
            Self::AwsEverybody => each_principal(&mut next, |who| {
                if !who.negated && who.entries.iter().any(|(_, name)| name == "*") {
                    who.entries.clear();
                }
            }),
            Self::EmptyList => next.ask.context.retain(|_, values| !values.is_empty()),
        }
        (next != *pair).then_some(next)
    }
}

/// Puts what they fit in the place of the patterns of some of the conditions on ARNs.
fn decided_by_parts(pair: &mut Pair, test: &str) {
    let ask = pair.ask.clone();
    each_condition(pair, |_, condition| {
        if !condition.operator.contains("Arn") || !condition.operator.contains(test) {
            return;
        }
        let held = ask.values(&condition.key).unwrap_or_default();
        for pattern in condition.values.iter_mut().filter(|text| text.contains(['*', '?']) && !text.contains("${")) {
            let fits = |value: &&String| pattern == "*" || fits_by_parts(pattern, value);
            *pattern = held.iter().find(fits).cloned().unwrap_or_else(|| NO_ARN.to_owned());
        }
    });
}

/// What nothing is.
const NO_ARN: &str = "arn:none:none:none:none:none";

fn negated(statement: &Stmt) -> Option<&Who> {
    statement.principal.as_ref().filter(|who| who.negated)
}

fn everybody(statement: &mut Stmt) {
    statement.principal = Some(Who { negated: false, entries: Vec::new() });
}

fn everything() -> Doc {
    let json = crate::generate::List { negated: false, of: vec!["*".to_owned()] };
    let statement = Stmt {
        sid: None,
        effect: "Allow",
        principal: None,
        actions: json.clone(),
        resources: json,
        conditions: Vec::new(),
    };
    Doc { version: None, statements: vec![statement] }
}

/// Gives a policy of a resource without statements one that is about nobody.
fn never_empty(doc: &mut Doc) {
    if doc.statements.is_empty() {
        let mut statement = everything().statements.remove(0);
        statement.principal = Some(Who { negated: false, entries: vec![nobody()] });
        doc.statements.push(statement);
    }
}

fn nobody() -> (&'static str, String) {
    ("AWS", "arn:aws:iam::999999999999:user/nobody".to_owned())
}

fn is_account(name: &str, account: &str) -> bool {
    name == account || name == format!("arn:aws:iam::{account}:root")
}

/// Whether an entry is the role, with whatever path.
fn is_role(name: &str, account: &str, role: &str) -> bool {
    let path = name.strip_prefix(&format!("arn:aws:iam::{account}:role/"));
    path.is_some_and(|path| path.rsplit('/').next() == Some(role))
}

/// Whether `NotPrincipal` leaves somebody out.
fn is_spared(who: &Who, ask: &Ask) -> bool {
    let names = |is: &dyn Fn(&str) -> bool| who.entries.iter().any(|(kind, name)| *kind == "AWS" && is(name));
    let Some(account) = ask.person.account() else {
        return ask.person.entry().is_some_and(|entry| who.entries.contains(&entry));
    };
    let itself = ask.person.is_root() || who.entries.contains(&ask.person.entry().unwrap());
    let role = ask.person.session().is_none_or(|(account, role)| names(&|name| is_role(name, account, role)));
    itself && role && names(&|name| is_account(name, account))
}

/// Entries that are the account of whoever asks.
fn account_entries(oracle: Oracle, pair: &mut Pair) {
    let person = pair.ask.person.clone();
    let Some(account) = person.account() else { return };
    let is_own = person.account() == pair.ask.owner();
    let Some(doc) = &mut pair.resource else { return };
    for statement in &mut doc.statements {
        let Some(who) = statement.principal.as_mut().filter(|who| !who.negated && !who.entries.is_empty()) else {
            continue;
        };
        if statement.effect == "Allow" && is_own && !person.is_root() {
            who.entries.retain(|(kind, name)| *kind != "AWS" || !is_account(name, account));
            if who.entries.is_empty() {
                who.entries.push(nobody());
            }
        } else if oracle == Oracle::IamRs {
            for entry in &mut who.entries {
                if entry.0 == "AWS" && is_account(&entry.1, account) {
                    *entry = person.entry().unwrap();
                }
            }
        }
    }
}

fn each_principal(pair: &mut Pair, mut edit: impl FnMut(&mut Who)) {
    let statements = pair.resource.iter_mut().flat_map(|doc| &mut doc.statements);
    statements.filter_map(|statement| statement.principal.as_mut()).for_each(&mut edit);
}

fn each_condition(pair: &mut Pair, mut edit: impl FnMut(bool, &mut Cond)) {
    for doc in pair.docs_mut() {
        let has_variables = doc.has_variables();
        for statement in &mut doc.statements {
            statement.conditions.iter_mut().for_each(|condition| edit(has_variables, condition));
        }
    }
}

/// What a text of a policy is matched as.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Plain,
    Pattern,
    Arn,
}

/// The texts that may have variables: resources, and values of conditions on texts and ARNs.
fn each_text(doc: &mut Doc, edit: &mut dyn FnMut(&mut String, Place)) {
    for statement in &mut doc.statements {
        statement.resources.of.iter_mut().for_each(|text| edit(text, Place::Arn));
        for condition in &mut statement.conditions {
            let place = match condition.operator.as_str() {
                operator if operator.contains("Arn") => Place::Arn,
                operator if operator.contains("Like") => Place::Pattern,
                operator if operator.contains("String") => Place::Plain,
                _ => continue,
            };
            condition.values.iter_mut().for_each(|text| edit(text, place));
        }
    }
}

/// The values of a request, its resource included.
fn each_value(ask: &mut Ask, edit: impl Fn(Kind, String) -> String) {
    for (key, kind, _) in KEYS {
        if let Some(values) = ask.context.get_mut(key) {
            values.iter_mut().for_each(|value| *value = edit(kind, std::mem::take(value)));
        }
    }
    ask.resource =
        if ask.resource == "*" { "*".to_owned() } else { edit(Kind::Arn, std::mem::take(&mut ask.resource)) };
}

/// Puts the values of the request in the place of variables.
fn variables(pair: &mut Pair) {
    let ask = pair.ask.clone();
    for doc in pair.docs_mut().filter(|doc| doc.has_variables()) {
        each_text(doc, &mut |text, place| {
            let mut resolved = String::new();
            let mut rest = text.as_str();
            while let Some((before, after)) = rest.split_once("${") {
                let (inside, after) = after.split_once('}').unwrap();
                resolved.push_str(before);
                rest = after;
                if matches!(inside, "*" | "?" | "$") {
                    resolved.push_str(&format!("${{{inside}}}"));
                    continue;
                }
                let (key, otherwise) = inside.split_once(',').map_or((inside, None), |(key, text)| (key, Some(text)));
                let value = match ask.values(key.trim()).as_deref() {
                    Some([value]) => Some(value.clone()),
                    _ => otherwise.map(|text| text.trim().trim_matches('\'').to_owned()),
                };
                match value {
                    Some(value) => value.chars().for_each(|c| match c {
                        '*' | '?' | '$' => resolved.push_str(&format!("${{{c}}}")),
                        c => resolved.push(c),
                    }),
                    None => {
                        *text = if place == Place::Arn { NO_ARN.to_owned() } else { "nothing fits".to_owned() };
                        return;
                    }
                }
            }
            resolved.push_str(rest);
            *text = resolved;
        });
    }
}

/// Puts other characters in the place of those that stand for themselves.
fn specials(pair: &mut Pair) {
    let plain = |text: &str| {
        // What is left of a variable stays.
        text.replace("${", "\u{1}").replace('*', "~").replace('?', "!").replace('$', "^").replace('\u{1}', "${")
    };
    for doc in pair.docs_mut() {
        let has_variables = doc.has_variables();
        each_text(doc, &mut |text, place| {
            let mut next = text.clone();
            if has_variables {
                next = next.replace("${*}", "~").replace("${?}", "!").replace("${$}", "^");
            }
            if place == Place::Plain {
                next = plain(&next);
            } else {
                next = next.replace("${", "\u{1}").replace('$', "^").replace('\u{1}', "${");
            }
            *text = next;
        });
    }
    each_value(&mut pair.ask, |_, value| plain(&value));
}

/// Asks of each value under a name of its own.
fn negated_any(pair: &mut Pair) {
    let mut copies: Vec<(String, usize)> = Vec::new();
    for doc in pair.docs_mut() {
        for statement in &mut doc.statements {
            let mut split = Vec::new();
            for condition in &mut statement.conditions {
                let is_it = ["NumericNotEquals", "DateNotEquals"].iter().any(|test| condition.operator.contains(test));
                // With `ForAnyValue` it is one value that must differ from all.
                if is_it && condition.values.len() > 1 {
                    for (index, value) in condition.values.drain(1..).enumerate() {
                        let key = format!("{}-{index}", condition.key);
                        copies.push((condition.key.clone(), index));
                        split.push(Cond { operator: condition.operator.clone(), key, values: vec![value] });
                    }
                }
            }
            statement.conditions.extend(split);
        }
    }
    for (key, index) in copies {
        let held =
            pair.ask.context.iter().find(|(known, _)| known.eq_ignore_ascii_case(&key)).map(|(_, held)| held.clone());
        if let Some(held) = held {
            pair.ask.context.insert(format!("{key}-{index}"), held);
        }
    }
}

/// Whether an ARN fits a pattern, part by part.
fn fits_by_parts(pattern: &str, arn: &str) -> bool {
    let (patterns, parts): (Vec<&str>, Vec<&str>) = (pattern.splitn(6, ':').collect(), arn.splitn(6, ':').collect());
    patterns.len() == 6
        && parts.len() == 6
        && patterns.iter().zip(&parts).all(|(pattern, part)| crate::wildcards::fits(pattern, part))
}
