//! A policy document, of a resource or of an identity.
//!
//! The input is the document. If it is refused, the fault lies within it. Otherwise it is JSON; what is printed is read as an
//! equal policy, is not longer, prints the same, and decides the same. Requests are made from the texts of
//! the document: its principals, actions, resources, keys and values. `explain` tells what `evaluate` says. A statement that
//! allows never takes anything away, one that denies everything always denies, and a policy that is not public gives nothing
//! to somebody who did not sign and comes from nowhere.

#![no_main]

use std::collections::BTreeSet;

use serde::de::IgnoredAny;
use serde_json::{Value, json};
use strongroom::{
    AuthorizationRequest, Decision, IdentityPolicy, Policies, PolicyFault, PolicyFaultReason, Principal,
    RequestContext, ResourcePolicy,
};

const SECRET: &str = "arn:aws:secretsmanager:us-east-1:111122223333:secret:db/main-a1b2c3";

/// Keys that say who asks, or from where.
const CONFINING: [&str; 9] = [
    "aws:sourcearn",
    "aws:sourcevpc",
    "aws:sourcevpce",
    "aws:sourceaccount",
    "aws:principalorgid",
    "aws:principalaccount",
    "aws:principalarn",
    "aws:userid",
    "aws:sourceip",
];

/// What a document is made of.
#[derive(Default)]
struct Texts {
    /// Names that may be condition keys, and texts that may be their values.
    names: BTreeSet<String>,
    values: BTreeSet<String>,
}

impl Texts {
    fn gather(&mut self, value: &Value) {
        match value {
            Value::Object(members) => members.iter().for_each(|(name, value)| {
                self.names.insert(name.clone());
                self.gather(value);
            }),
            Value::Array(values) => values.iter().for_each(|value| self.gather(value)),
            Value::String(text) => drop(self.values.insert(text.clone())),
            other => drop(self.values.insert(other.to_string())),
        }
    }

    /// A handful of requests, the last one of somebody who did not sign and comes from nowhere.
    fn requests(&self) -> Vec<AuthorizationRequest> {
        let keys: Vec<&String> = self.names.iter().filter(|name| name.contains(':')).take(32).collect();
        let values: Vec<&String> = self.values.iter().take(64).collect();
        let value = |index: usize| values.get(index % values.len().max(1)).map_or("", |value| value.as_str());
        let context = |shift: usize, count: usize| {
            keys.iter().enumerate().fold(RequestContext::new(), |context, (index, key)| {
                context.with_list(key, (0..count).map(|more| value(index * 7 + shift + more)))
            })
        };
        let named = |is: &dyn Fn(&str) -> bool| self.values.iter().find(|value| is(value)).map(String::as_str);
        let user = Principal::parse("arn:aws:iam::111122223333:user/alice").expect("it is one");
        let other = named(&|text| Principal::parse(text).is_some()).and_then(Principal::parse);
        let action = named(&|text| text.contains(':') && !text.starts_with("arn:") && !text.contains(['*', '?']));
        let action = action.unwrap_or("secretsmanager:GetSecretValue");
        let resource = named(&|text| text.starts_with("arn:") && !text.contains("${")).unwrap_or(SECRET);
        let mut requests = vec![
            AuthorizationRequest::new(user.clone(), action, SECRET),
            AuthorizationRequest::new(user, action, "*").context(context(0, 1)),
            AuthorizationRequest::new(Principal::service("lambda.amazonaws.com"), action, resource)
                .context(context(1, 0)),
            AuthorizationRequest::new(Principal::anonymous(), action, resource).context(context(2, 2)),
        ];
        for shift in 0..4 {
            let other = other.clone().or(Principal::root("aws", "444455556666")).expect("it is one");
            requests.push(AuthorizationRequest::new(other, action, resource).context(context(shift, 1)));
        }
        let from_nowhere = keys
            .iter()
            .enumerate()
            .filter(|(_, key)| !CONFINING.contains(&key.to_lowercase().as_str()))
            .fold(RequestContext::new(), |context, (index, key)| context.with(key, value(index)));
        requests.push(AuthorizationRequest::new(Principal::anonymous(), action, resource).context(from_nowhere));
        requests
    }
}

fn lies_within(fault: &PolicyFault, input: &[u8]) {
    let valid = str::from_utf8(input).map_or_else(|error| &input[..error.valid_up_to()], |_| input);
    assert_eq!(fault.reason == PolicyFaultReason::NotUtf8, valid.len() < input.len());
    let text = str::from_utf8(valid).expect("it is valid");
    let line = text.split('\n').nth(fault.line - 1).expect("there is such a line");
    assert!((1..=line.chars().count() + 1).contains(&fault.column), "{fault}");
    assert!(!fault.to_string().is_empty());
}

/// The statement that comes last, in addition to those of a document.
fn with_statement(document: &Value, statement: Value) -> String {
    let mut document = document.clone();
    let mut statements = match document["Statement"].take() {
        Value::Array(statements) => statements,
        only => vec![only],
    };
    statements.push(statement);
    document["Statement"] = Value::Array(statements);
    document.to_string()
}

fn everything(effect: &str, of_resource: bool) -> Value {
    let mut statement = json!({"Effect": effect, "Action": "*", "Resource": "*"});
    if of_resource {
        statement["Principal"] = json!("*");
    }
    statement
}

fn decided(policies: Policies<'_>, request: &AuthorizationRequest) -> Decision {
    let (evaluation, explanation) = (policies.evaluate(request), policies.explain(request));
    assert_eq!(explanation.evaluation, evaluation);
    explanation.statements.iter().for_each(|statement| drop(statement.outcome.to_string()));
    evaluation.decision
}

/// What both kinds of policies have in common.
macro_rules! looked_at {
    ($policy:ident, $input:expr, $of_resource:expr, $decide:expr) => {
        match $policy::from_bytes($input) {
            Err(fault) => lies_within(&fault, $input),
            Ok(policy) => {
                let is_json = |text: &[u8]| serde_json::from_slice::<IgnoredAny>(text).is_ok();
                let printed = policy.to_string();
                assert!(is_json($input) && is_json(printed.as_bytes()), "it is JSON");
                let again = $policy::parse(&printed).expect("what is printed is a policy");
                assert!(again == policy && again.to_string() == printed, "{printed}");
                let length = std::str::from_utf8($input).expect("it was read").chars().count();
                assert!(printed.chars().count() <= length, "{printed}");
                // As a value of JSON some numbers are too large.
                let Ok(shown) = serde_json::from_str::<Value>(&printed) else { return };
                let mut texts = Texts::default();
                texts.gather(&shown);
                let requests = texts.requests();
                for request in &requests {
                    assert_eq!($decide(&again, request), $decide(&policy, request));
                }
                let parsed = |statement| $policy::parse(&with_statement(&shown, statement)).ok();
                if let Some(more) = parsed(everything("Allow", $of_resource)) {
                    for request in &requests {
                        let (before, after) = ($decide(&policy, request), $decide(&more, request));
                        assert!(after == before || before == Decision::ImplicitDeny && after == Decision::Allow);
                    }
                }
                if let Some(less) = parsed(everything("Deny", $of_resource)) {
                    let is_denied = |request| $decide(&less, request) == Decision::ExplicitDeny;
                    assert!(requests.iter().all(is_denied));
                }
                let from_nowhere = requests.last().expect("there are some");
                assert!(policy.may_be_public() || $decide(&policy, from_nowhere) != Decision::Allow);
            }
        }
    };
}

/// Whether a policy may give something to everybody.
trait Public {
    fn may_be_public(&self) -> bool;
}

impl Public for ResourcePolicy {
    fn may_be_public(&self) -> bool {
        self.public_statement().is_some()
    }
}

impl Public for IdentityPolicy {
    fn may_be_public(&self) -> bool {
        true
    }
}

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let of_resource =
        |policy: &ResourcePolicy, request: &AuthorizationRequest| decided(Policies::new().resource(policy), request);
    looked_at!(ResourcePolicy, input, true, of_resource);
    let of_identity = |policy: &IdentityPolicy, request: &AuthorizationRequest| {
        decided(Policies::new().identity(std::slice::from_ref(policy)), request)
    };
    looked_at!(IdentityPolicy, input, false, of_identity);
});
