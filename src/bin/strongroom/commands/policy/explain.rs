//! `strongroom policy explain`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;
use strongroom::{
    AuthorizationRequest, Clock as _, Decision, DescribeSecretRequest, DescribeSecretResponse, Evaluation, Explanation,
    GetResourcePolicyRequest, IdentityPolicy, ListResourcePoliciesRequest, Policies, PolicyFault, PolicyKind,
    PolicySource, RequestContext, ResourcePolicy, SecretsManager, StatementExplanation, StatementOutcome, SystemClock,
    Timestamp,
};

use crate::arguments::Key;
use crate::arguments::policy::Explain;
use crate::commands::pair;
use crate::commands::policy::read;
use crate::failure::{Code, Failure};
use crate::{output, place};

pub(crate) fn run(arguments: Explain) -> Result<(), Failure> {
    let Explain { principal, action, secret, resource, policy, identity_policies, context, place, format } = arguments;
    let files: Vec<&PathBuf> = policy.iter().chain(&identity_policies).collect();
    if files.iter().filter(|path| path.as_path() == Path::new("-")).count() > 1 {
        return Err(Failure::usage("standard input can be one policy only"));
    }
    // Before a store is opened: whoever makes a policy may need it.
    let (key, region) = (place.key.clone(), place.region.clone());
    let given = policy.map(|path| parse(&path, &key, ResourcePolicy::parse)).transpose()?;
    let identity = identity_policies.iter().map(|path| parse(path, &key, IdentityPolicy::parse));
    let identity = identity.collect::<Result<Vec<_>, _>>()?;
    let asked = asked_context(&context)?;

    let mut known = Known::default();
    known.add("aws:CurrentTime", SystemClock.now().format("%Y-%m-%dT%H:%M:%SZ").to_string());
    known.add("aws:EpochTime", Timestamp::timestamp(&SystemClock.now()).to_string());
    let (resource, policy): (String, Vec<ResourcePolicy>) = match (secret, resource) {
        (Some(id), _) => {
            let secrets = place::open(&place.of_secret()?)?;
            let described = secrets.describe_secret(DescribeSecretRequest::new(id))?;
            known.add_secret(&described);
            let attached = match given {
                Some(policy) => vec![policy],
                None => every_policy(&secrets, &described)?,
            };
            (described.arn, attached)
        }
        (None, resource) => (resource.unwrap_or_else(|| "*".to_owned()), given.into_iter().collect()),
    };
    known.add_resource(&resource, &region);
    let context = known.into_context(asked);

    let action = if action.contains(':') || action == "*" { action } else { format!("secretsmanager:{action}") };
    let request = AuthorizationRequest::new(principal.clone(), &action, resource.as_str()).context(context);
    let policies = Policies::new().identity(&identity).resources(&policy);
    let explanation = policies.explain(&request);
    if format.json {
        output::json(&Written::new(&explanation))?;
    } else {
        print(&explanation)?;
    }
    match explanation.evaluation.decision {
        Decision::Allow => Ok(()),
        Decision::ExplicitDeny | Decision::ImplicitDeny => {
            let text = format!("{principal} may not do {action} on {resource}");
            Err(Failure::new(Code::Denied, text))
        }
    }
}

fn parse<T>(path: &Path, key: &Key, parse: impl Fn(&str) -> Result<T, PolicyFault>) -> Result<T, Failure> {
    parse(&read(path, key)?).map_err(|fault| Failure::new(Code::Invalid, fault.to_string()).during(path.display()))
}

/// All policies of a secret: an import may have brought others than the one that can be attached.
fn every_policy(secrets: &SecretsManager, secret: &DescribeSecretResponse) -> Result<Vec<ResourcePolicy>, Failure> {
    let mut policies = Vec::new();
    let mut token = None;
    loop {
        let mut request = ListResourcePoliciesRequest::new(secret.arn.as_str());
        request.next_token = token;
        let listed = secrets.list_resource_policies(request)?;
        for policy in listed.resource_policies {
            let request = GetResourcePolicyRequest::new(secret.arn.as_str()).policy_name(policy.policy_name);
            let text = secrets.get_resource_policy(request)?.resource_policy;
            policies.extend(text.map(|text| attached(&text, &secret.name)).transpose()?);
        }
        token = listed.next_token;
        if token.is_none() {
            return Ok(policies);
        }
    }
}

/// The policy that a secret has. It was read before it was attached.
fn attached(text: &str, name: &str) -> Result<ResourcePolicy, Failure> {
    ResourcePolicy::parse(text).map_err(|fault| {
        Failure::new(Code::Damaged, fault.to_string()).during(format_args!("the policy of `{name}` cannot be read"))
    })
}

/// Condition keys and their values. Names do not tell upper case from lower case.
#[derive(Default)]
struct Known(BTreeMap<String, Vec<String>>);

impl Known {
    fn add(&mut self, key: &str, value: impl Into<String>) {
        self.0.entry(key.to_lowercase()).or_default().push(value.into());
    }

    /// What the ARN of a resource says; without one, only the Region is known.
    fn add_resource(&mut self, resource: &str, region: &str) {
        let mut fields = resource.split(':').skip(3);
        let (of, account) = (fields.next().unwrap_or(region), fields.next().unwrap_or_default());
        for (key, value) in [("aws:RequestedRegion", of), ("aws:ResourceAccount", account)] {
            if !value.is_empty() {
                self.add(key, value);
            }
        }
    }

    fn add_secret(&mut self, secret: &DescribeSecretResponse) {
        self.add("secretsmanager:SecretId", secret.arn.as_str());
        let region = secret.primary_region.as_deref().or_else(|| secret.arn.split(':').nth(3));
        self.add("secretsmanager:SecretPrimaryRegion", region.unwrap_or_default());
        if let Some(function) = &secret.rotation_lambda_arn {
            self.add("secretsmanager:resource/AllowRotationLambdaArn", function.as_str());
        }
        for tag in secret.tags.iter().flatten() {
            for prefix in ["aws", "secretsmanager"] {
                self.add(&format!("{prefix}:ResourceTag/{}", tag.key), tag.value.as_str());
            }
        }
    }

    /// What is known, and what was asked for in the place of it.
    fn into_context(self, asked: Self) -> RequestContext {
        let all = self.0.into_iter().chain(asked.0);
        all.fold(RequestContext::new(), |context, (key, values)| context.with_list(key, values))
    }
}

fn asked_context(pairs: &[String]) -> Result<Known, Failure> {
    let mut known = Known::default();
    for text in pairs {
        let (key, value) = pair(text, "--context")?;
        known.add(key, value);
    }
    Ok(known)
}

fn print(explanation: &Explanation) -> Result<(), Failure> {
    output::line(verdict(&explanation.evaluation))?;
    if explanation.statements.is_empty() {
        return Ok(());
    }
    output::line("")?;
    output::table(&["POLICY", "STATEMENT", "EFFECT", "OUTCOME"], explanation.statements.iter().map(row))
}

fn verdict(evaluation: &Evaluation) -> String {
    let decision = evaluation.decision;
    match (decision, evaluation.missing) {
        (Decision::Allow, _) if evaluation.decided_by.is_empty() => {
            format!("{decision} to the root user of the account, who needs no statement")
        }
        (Decision::ImplicitDeny, Some(PolicyKind::Identity)) => {
            format!(
                "{decision}: no policy of the principal allows it, and that of the resource is not enough by itself"
            )
        }
        (Decision::ImplicitDeny, Some(PolicyKind::Resource)) => {
            format!("{decision}: the policy of the resource does not allow it")
        }
        _ => decision.to_string(),
    }
}

fn row(explained: &StatementExplanation) -> Vec<String> {
    let StatementExplanation { statement, effect, outcome, .. } = explained;
    let number = statement.index + 1;
    vec![
        match statement.policy {
            PolicySource::Identity(index) => format!("identity {}", index + 1),
            PolicySource::Resource => "resource".to_owned(),
        },
        statement.sid.as_ref().map_or_else(|| number.to_string(), |sid| format!("{number} {sid}")),
        effect.as_str().to_owned(),
        outcome.to_string(),
    ]
}

/// For programs.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Written {
    decision: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    missing: Option<&'static str>,
    statements: Vec<WrittenStatement>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct WrittenStatement {
    policy: &'static str,
    /// Of identity policies, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    policy_number: Option<usize>,
    /// From 1.
    statement: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    sid: Option<String>,
    effect: &'static str,
    applies: bool,
    decides: bool,
    outcome: String,
}

const IDENTITY: &str = "identity";
const RESOURCE: &str = "resource";

impl Written {
    fn new(explanation: &Explanation) -> Self {
        let Evaluation { decision, decided_by, missing, .. } = &explanation.evaluation;
        let statement = |explained: &StatementExplanation| {
            let StatementExplanation { statement, effect, outcome, .. } = explained;
            let (policy, policy_number) = match statement.policy {
                PolicySource::Identity(index) => (IDENTITY, Some(index + 1)),
                PolicySource::Resource => (RESOURCE, None),
            };
            WrittenStatement {
                policy,
                policy_number,
                statement: statement.index + 1,
                sid: statement.sid.clone(),
                effect: effect.as_str(),
                applies: matches!(outcome, StatementOutcome::Applies | StatementOutcome::AppliesToAccount),
                decides: decided_by.contains(statement),
                outcome: outcome.to_string(),
            }
        };
        Self {
            decision: match decision {
                Decision::Allow => "Allow",
                Decision::ExplicitDeny => "ExplicitDeny",
                Decision::ImplicitDeny => "ImplicitDeny",
            },
            missing: missing.map(|kind| match kind {
                PolicyKind::Identity => IDENTITY,
                PolicyKind::Resource => RESOURCE,
            }),
            statements: explanation.statements.iter().map(statement).collect(),
        }
    }
}
