//! The two other evaluators, asked in their own forms.

use std::collections::HashMap;

use serde_json::{Value, json};
use strongroom::Decision;

use super::reasons::Reason;
use crate::generate::{Ask, Doc, KEYS, Kind, Pair, Person, Who};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Oracle {
    /// Knows statements, and nothing of accounts and of which policy is attached to what.
    IamRs,
    /// Knows users and roles of accounts, and no other principals.
    Awsim,
}

impl Oracle {
    /// The places in which it differs, in the order in which they are rewritten.
    pub(super) fn reasons(self) -> impl Iterator<Item = Reason> {
        Reason::ALL.into_iter().filter(move |reason| reason.is_of(self))
    }

    /// Its decision, or why it has none.
    pub(super) fn decision(self, pair: &Pair) -> Result<Decision, String> {
        match self {
            Self::IamRs => iam_rs(pair),
            Self::Awsim => awsim(pair),
        }
    }
}

fn kind(key: &str) -> Kind {
    KEYS.iter().find(|(known, ..)| known.eq_ignore_ascii_case(key)).map_or(Kind::Text, |(_, kind, _)| *kind)
}

fn awsim(pair: &Pair) -> Result<Decision, String> {
    let Person::Aws(arn) = &pair.ask.person else { return Err("no such principal".to_owned()) };
    let read = |doc: &Doc| awsim_iam_policy::parse_value(&doc.json()).map_err(|error| error.to_string());
    let identity: Vec<_> = pair.identity.iter().map(read).collect::<Result<_, _>>()?;
    let resource = pair.resource.as_ref().map(read).transpose()?;
    let context: HashMap<String, awsim_iam_policy::ContextValue> = pair
        .ask
        .full_context()
        .into_iter()
        .map(|(key, mut values)| {
            let value = if kind(&key) == Kind::Texts {
                awsim_iam_policy::ContextValue::StringList(values)
            } else {
                awsim_iam_policy::ContextValue::String(values.remove(0))
            };
            (key, value)
        })
        .collect();
    let request = awsim_iam_policy::AuthzRequest {
        principal_arn: arn,
        principal_account: pair.ask.person.account().unwrap(),
        action: &pair.ask.action,
        resource_arn: &pair.ask.resource,
        context: &context,
    };
    let policies = awsim_iam_policy::EvalContext {
        identity_policies: &identity,
        resource_policy: resource.as_ref(),
        ..awsim_iam_policy::EvalContext::default()
    };
    Ok(match awsim_iam_policy::evaluate(&request, &policies) {
        awsim_iam_policy::Decision::Allow => Decision::Allow,
        awsim_iam_policy::Decision::ExplicitDeny => Decision::ExplicitDeny,
        awsim_iam_policy::Decision::ImplicitDeny => Decision::ImplicitDeny,
    })
}

/// Asked of the identity policies and of the resource's policy in turn; what the two mean together follows from whose the
/// resource is.
fn iam_rs(pair: &Pair) -> Result<Decision, String> {
    let identity = iam_rs_says(&pair.identity.iter().collect::<Vec<_>>(), &pair.ask)?;
    let resource = iam_rs_says(&pair.resource.iter().collect::<Vec<_>>(), &pair.ask)?;
    if [identity, resource].contains(&iam_rs::Decision::Deny) {
        return Ok(Decision::ExplicitDeny);
    }
    let by_identity = identity == iam_rs::Decision::Allow || pair.ask.person.is_root();
    let by_resource = resource == iam_rs::Decision::Allow;
    let is_allowed = match pair.ask.person.account() {
        None => by_resource,
        account if account == pair.ask.owner() => by_identity || by_resource,
        Some(_) => by_identity && by_resource,
    };
    Ok(if is_allowed { Decision::Allow } else { Decision::ImplicitDeny })
}

fn iam_rs_says(docs: &[&Doc], ask: &Ask) -> Result<iam_rs::Decision, String> {
    let policies: Vec<iam_rs::IAMPolicy> = docs
        .iter()
        .map(|doc| serde_json::from_value(for_iam_rs(doc)).map_err(|error| error.to_string()))
        .collect::<Result<_, _>>()?;
    let id = |name: &String| iam_rs::PrincipalId::String(name.clone());
    let principal = match &ask.person {
        Person::Aws(name) => iam_rs::Principal::Aws(id(name)),
        Person::Service(name) => iam_rs::Principal::Service(id(name)),
        Person::Federated(name) => iam_rs::Principal::Federated(id(name)),
        Person::Canonical(name) => iam_rs::Principal::CanonicalUser(id(name)),
        Person::Anonymous => iam_rs::Principal::Service(id(&"anonymous.example".to_owned())),
    };
    let mut context = iam_rs::Context::new();
    for (key, mut values) in ask.full_context() {
        let value = match kind(&key) {
            Kind::Texts => iam_rs::ContextValue::StringList(values),
            Kind::Truth => iam_rs::ContextValue::Boolean(values[0] == "true"),
            _ => iam_rs::ContextValue::String(values.remove(0)),
        };
        context.insert(key, value);
    }
    let resource = iam_rs::Arn::parse(&ask.resource).map_err(|error| error.to_string())?;
    let request = iam_rs::IAMRequest::new_with_context(principal, ask.action.as_str(), resource, context);
    iam_rs::evaluate_policies(&policies, &request).map_err(|error| error.to_string())
}

/// A document in the form that it reads: always a version, one type of principals in each statement, truth values as such.
fn for_iam_rs(doc: &Doc) -> Value {
    let mut statements = Vec::new();
    for statement in &doc.statements {
        let types = statement.principal.as_ref().map(types).unwrap_or_default();
        let each: Vec<Option<Who>> =
            if types.len() > 1 { types.into_iter().map(Some).collect() } else { vec![statement.principal.clone()] };
        for principal in each {
            let mut statement = statement.clone();
            statement.principal = principal;
            let mut json = statement.json();
            if let Some(operators) = json.get_mut("Condition").and_then(Value::as_object_mut) {
                for (_, keys) in operators.iter_mut().filter(|(operator, _)| operator.contains("Bool")) {
                    for (_, value) in keys.as_object_mut().into_iter().flatten() {
                        *value = json!(value == "true");
                    }
                }
            }
            statements.push(json);
        }
    }
    json!({ "Version": doc.version.unwrap_or("2008-10-17"), "Statement": statements })
}

/// The principals of each type by themselves.
fn types(who: &Who) -> Vec<Who> {
    let of = |kind| {
        let entries: Vec<_> = who.entries.iter().filter(|(of, _)| *of == kind).cloned().collect();
        (!entries.is_empty()).then_some(Who { negated: who.negated, entries })
    };
    ["AWS", "Service", "Federated", "CanonicalUser"].into_iter().filter_map(of).collect()
}
