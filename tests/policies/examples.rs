//! The examples of the documentation, each with its page and what the page says of it. Policies are written in a form of our
//! own; accounts, users and secrets are those of the other tests.

mod logic;
mod multivalued;
mod operators;
mod principals;
mod samples;
mod service;
mod variables;

use strongroom::{AuthorizationRequest, Decision, IdentityPolicy, Policies, Principal, RequestContext, ResourcePolicy};

/// Keys of a request and their values. A list of one is a single value.
type Context = &'static [(&'static str, &'static [&'static str])];

/// A condition, and requests that meet it or do not.
struct Condition {
    /// The page, below one of [`IAM`], [`SECRETS`] and [`S3`].
    page: &'static str,
    says: &'static str,
    condition: &'static str,
    met: &'static [Context],
    unmet: &'static [Context],
}

/// Policies, and what they say of requests.
struct Example {
    page: &'static str,
    says: &'static str,
    identity: &'static [&'static str],
    resource: Option<&'static str>,
    asks: &'static [Ask],
}

/// Principal, action, resource, context, and the decision.
struct Ask(&'static str, &'static str, &'static str, Context, Decision);

const IAM: &str = "https://docs.aws.amazon.com/IAM/latest/UserGuide/";
const SECRETS: &str = "https://docs.aws.amazon.com/secretsmanager/latest/userguide/";
const S3: &str = "https://docs.aws.amazon.com/AmazonS3/latest/userguide/";

const ALICE: &str = "arn:aws:iam::111122223333:user/alice";
const BOB: &str = "arn:aws:iam::111122223333:user/bob";
const ROOT: &str = "arn:aws:iam::111122223333:root";
const DEPLOY: &str = "arn:aws:iam::111122223333:role/deploy";
const SESSION: &str = "arn:aws:sts::111122223333:assumed-role/deploy/build-7";
const FEDERATED_USER: &str = "arn:aws:sts::111122223333:federated-user/fred";
const PARTNER_ALICE: &str = "arn:aws:iam::444455556666:user/alice";
const PARTNER_SESSION: &str = "arn:aws:sts::444455556666:assumed-role/deploy/build-7";
const PARTNER_ROOT: &str = "arn:aws:iam::444455556666:root";
const STRANGER: &str = "arn:aws:iam::777788889999:user/eve";
const ANONYMOUS: &str = "anonymous";
const LAMBDA: &str = "service lambda.amazonaws.com";

const GET: &str = "secretsmanager:GetSecretValue";
const DESCRIBE: &str = "secretsmanager:DescribeSecret";
const SECRET: &str = "arn:aws:secretsmanager:us-east-1:111122223333:secret:db/main-a1b2c3";

/// May do everything.
const ALLOW_ALL: &str =
    r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}"#;

fn principal(text: &str) -> Principal {
    match text.split_once(' ') {
        Some(("service", name)) => Principal::service(name),
        Some(("federated", name)) => Principal::federated(name),
        Some(("canonical", id)) => Principal::canonical_user(id),
        _ if text == ANONYMOUS => Principal::anonymous(),
        _ => Principal::parse(text).unwrap(),
    }
}

fn context(context: Context) -> RequestContext {
    context.iter().fold(RequestContext::new(), |known, (key, values)| known.with_list(key, values.iter().copied()))
}

/// What went wrong, and how many rows there were.
#[derive(Default)]
struct Report {
    rows: usize,
    examples: usize,
    wrong: Vec<String>,
}

impl Report {
    fn row(&mut self, page: &str, says: &str, policies: Policies<'_>, ask: &Ask) {
        let Ask(who, action, resource, keys, expected) = ask;
        let request = AuthorizationRequest::new(principal(who), action, *resource).context(context(keys));
        let explanation = policies.explain(&request);
        let evaluation = policies.evaluate(&request);
        self.rows += 1;
        if evaluation.decision != *expected || explanation.evaluation != evaluation {
            let found = evaluation.decision;
            let statements: Vec<String> =
                explanation.statements.iter().map(|statement| statement.outcome.to_string()).collect();
            self.wrong.push(format!(
                "{page}: {says}\n    {who} {action} {resource} {keys:?}: {found:?} and not {expected:?} ({})",
                statements.join("; ")
            ));
        }
    }

    fn condition(&mut self, case: &Condition) {
        let text = format!(
            r#"{{"Version": "2012-10-17", "Statement": {{"Effect": "Allow", "Action": "*", "Resource": "*",
                "Condition": {}}}}}"#,
            case.condition
        );
        let policy = [IdentityPolicy::parse(&text).unwrap_or_else(|fault| panic!("{fault}: {text}"))];
        self.examples += 1;
        assert!(!case.met.is_empty() || !case.unmet.is_empty(), "{text} is not tried");
        for (contexts, decision) in [(case.met, Decision::Allow), (case.unmet, Decision::ImplicitDeny)] {
            for keys in contexts {
                let ask = Ask(ALICE, GET, SECRET, keys, decision);
                self.row(case.page, case.says, Policies::new().identity(&policy), &ask);
            }
        }
    }

    fn example(&mut self, example: &Example) {
        let parsed = |text: &&str| IdentityPolicy::parse(text).unwrap_or_else(|fault| panic!("{fault}: {text}"));
        let identity: Vec<IdentityPolicy> = example.identity.iter().map(parsed).collect();
        let parsed = |text: &str| ResourcePolicy::parse(text).unwrap_or_else(|fault| panic!("{fault}: {text}"));
        let resource = example.resource.map(parsed);
        self.examples += 1;
        for ask in example.asks {
            let policies = Policies::new().identity(&identity);
            let policies = resource.as_ref().map_or(policies, |resource| policies.resource(resource));
            self.row(example.page, example.says, policies, ask);
        }
    }
}

#[test]
fn every_example_of_the_documentation_is_decided_as_it_says() {
    let mut report = Report::default();
    let conditions = [operators::CONDITIONS, multivalued::CONDITIONS, variables::CONDITIONS];
    conditions.into_iter().flatten().for_each(|case| report.condition(case));
    let examples = [
        logic::EXAMPLES,
        principals::EXAMPLES,
        samples::EXAMPLES,
        service::EXAMPLES,
        variables::EXAMPLES,
        operators::EXAMPLES,
    ];
    examples.into_iter().flatten().for_each(|example| report.example(example));
    let Report { rows, examples, wrong } = report;
    eprintln!("{rows} rows of {examples} examples of the documentation, {} decided otherwise", wrong.len());
    assert!(rows >= 150, "only {rows} rows");
    let pages = format!("IAM {IAM}, Secrets Manager {SECRETS}, S3 {S3}");
    assert!(wrong.is_empty(), "pages of {pages}\n{}", wrong.join("\n"));
}
