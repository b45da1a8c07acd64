//! What policies say of a request: allowed, denied by a statement, or not allowed by any; and why.
//!
//! Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html>

use std::borrow::Cow;
use std::fmt;

use super::condition::Condition;
use super::context::{Known, RequestContext, Values};
use super::document::{Document, Effect, Statement};
use super::principal::{Named, Principal};
use super::{IdentityPolicy, ResourcePolicy};

/// A request that policies decide on.
///
/// The condition keys `aws:PrincipalArn`, `aws:PrincipalAccount`, `aws:PrincipalType`, `aws:PrincipalIsAWSService` and
/// `aws:username` follow from the principal, unless the context has others.
#[derive(Debug, Clone)]
pub struct AuthorizationRequest {
    principal: Principal,
    action: String,
    resource: Option<String>,
    context: RequestContext,
}

/// The policies that decide on a request.
#[derive(Debug, Clone, Copy, Default)]
pub struct Policies<'a> {
    identity: &'a [IdentityPolicy],
    resource: &'a [ResourcePolicy],
}

/// What policies say of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "there is no fourth outcome")]
pub enum Decision {
    /// It is allowed.
    Allow,
    /// A statement denies it.
    ExplicitDeny,
    /// No statement that would have to allow it does.
    ImplicitDeny,
}

/// One of the policies that decide on a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(clippy::exhaustive_enums, reason = "there are no other kinds of policies here")]
pub enum PolicySource {
    /// The identity policy at this place in the list, from 0.
    Identity(usize),
    /// The policy of the resource.
    Resource,
}

/// A statement of a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StatementRef {
    /// The policy.
    pub policy: PolicySource,
    /// The place of the statement in the policy, from 0.
    pub index: usize,
    /// Its `Sid`.
    pub sid: Option<String>,
}

/// What policies say of a request, and the statements that decided it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Evaluation {
    /// The outcome.
    pub decision: Decision,
    /// The statements that deny it, or those that allow it. Empty if nothing does, and for the root user of the account,
    /// who needs no statement.
    pub decided_by: Vec<StatementRef>,
    /// For [`Decision::ImplicitDeny`]: the kind of policy whose permission is missing.
    pub missing: Option<PolicyKind>,
}

/// A kind of policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "there are no other kinds of policies here")]
pub enum PolicyKind {
    /// Attached to a principal.
    Identity,
    /// Attached to a resource.
    Resource,
}

/// What each statement of the policies says of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Explanation {
    /// The outcome.
    pub evaluation: Evaluation,
    /// Every statement: identity policies first, in their order.
    pub statements: Vec<StatementExplanation>,
}

/// What one statement says of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StatementExplanation {
    /// The statement.
    pub statement: StatementRef,
    /// Whether it allows or denies.
    pub effect: Effect,
    /// Whether it applies, and if not, why.
    pub outcome: StatementOutcome,
}

/// Whether a statement applies to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StatementOutcome {
    /// It does.
    Applies,
    /// It names only the account of the principal, which leaves it to the policies of that account.
    AppliesToAccount,
    /// It is about others.
    OtherPrincipal,
    /// It is about other actions.
    OtherAction,
    /// It is about other resources.
    OtherResource,
    /// A condition is not met; the first such.
    ConditionNotMet {
        /// The operator, as the policy writes it.
        operator: String,
        /// The condition key, as the policy writes it.
        key: String,
        /// The values of the policy.
        expected: Vec<String>,
        /// The values of the request. `None` if it has no such key.
        found: Option<Vec<String>>,
    },
}

impl fmt::Display for StatementOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Applies => f.write_str("applies"),
            Self::AppliesToAccount => f.write_str("names the account, which decides itself"),
            Self::OtherPrincipal => f.write_str("is about another principal"),
            Self::OtherAction => f.write_str("is about another action"),
            Self::OtherResource => f.write_str("is about another resource"),
            Self::ConditionNotMet { operator, key, expected, found } => {
                write!(f, "{operator} {key} {} is not met: the request has ", expected.join(", "))?;
                match found {
                    Some(found) => f.write_str(&found.join(", ")),
                    None => f.write_str("no such key"),
                }
            }
        }
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Allow => "allowed",
            Self::ExplicitDeny => "denied by a statement",
            Self::ImplicitDeny => "not allowed",
        })
    }
}

impl AuthorizationRequest {
    /// A request of a principal for an action, such as `secretsmanager:GetSecretValue`, on a resource, which is an ARN or,
    /// for an action that is about no resource, `*`.
    pub fn new(principal: Principal, action: impl AsRef<str>, resource: impl Into<String>) -> Self {
        let resource = Some(resource.into()).filter(|resource| resource != "*");
        let action = action.as_ref().to_ascii_lowercase();
        Self { principal, action, resource, context: RequestContext::new() }
    }

    /// The same request with other condition keys.
    #[must_use]
    pub fn context(mut self, context: RequestContext) -> Self {
        self.context = context;
        self
    }

    fn asked(&self) -> Asked<'_, RequestKnown<'_>> {
        let field = |index| self.resource.as_deref().and_then(|arn| arn.split(':').nth(index));
        let account = field(4).filter(|account| !account.is_empty());
        let is_of_own_account = match account {
            None => true,
            account => account == self.principal.account() && field(1) == self.principal.partition(),
        };
        Asked {
            principal: &self.principal,
            action: &self.action,
            resource: self.resource.as_deref(),
            is_of_own_account,
            known: RequestKnown(self),
        }
    }
}

/// The keys of a request, those that follow from the principal included.
#[derive(Debug)]
struct RequestKnown<'a>(&'a AuthorizationRequest);

impl Known for RequestKnown<'_> {
    fn values<'a>(&'a self, key: &str) -> Values<'a> {
        match self.0.context.values(key) {
            Values::Absent => of_principal(&self.0.principal, key),
            values => values,
        }
    }
}

/// What condition keys say of a principal.
pub(crate) fn of_principal<'a>(principal: &'a Principal, key: &str) -> Values<'a> {
    match key {
        "aws:principalarn" => principal.principal_arn().map_or(Values::Absent, Values::One),
        "aws:principalaccount" if principal.is_anonymous() => Values::text("anonymous"),
        "aws:principalaccount" => Values::option(principal.account()),
        "aws:principaltype" => Values::text(principal.principal_type()),
        "aws:principalisawsservice" if !principal.is_anonymous() => Values::flag(Some(principal.is_service())),
        "aws:principalservicename" if principal.is_service() => Values::One(Cow::Owned(principal.to_string())),
        "aws:username" => Values::option(principal.username()),
        _ => Values::Absent,
    }
}

/// A request as the evaluator sees it.
#[derive(Debug)]
pub(crate) struct Asked<'a, K> {
    pub(crate) principal: &'a Principal,
    /// In lower case.
    pub(crate) action: &'a str,
    /// `None`: the action is about no resource.
    pub(crate) resource: Option<&'a str>,
    /// Whether the resource belongs to the account of the principal.
    pub(crate) is_of_own_account: bool,
    pub(crate) known: K,
}

/// How far the statements seen so far go.
#[derive(Default)]
struct Tally {
    denied: Vec<StatementRef>,
    by_identity: Vec<StatementRef>,
    by_resource: Vec<StatementRef>,
    /// The resource's policy allows it to the account.
    to_account: Vec<StatementRef>,
}

impl<'a> Policies<'a> {
    /// No policies at all.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with the policies of the principal.
    #[must_use]
    pub fn identity(self, identity: &'a [IdentityPolicy]) -> Self {
        Self { identity, ..self }
    }

    /// The same with the policy of the resource.
    #[must_use]
    pub fn resource(self, resource: &'a ResourcePolicy) -> Self {
        self.resources(std::slice::from_ref(resource))
    }

    /// The same with all policies of the resource, if it has several.
    #[must_use]
    pub fn resources(self, resource: &'a [ResourcePolicy]) -> Self {
        Self { resource, ..self }
    }

    /// Decides on a request.
    ///
    /// A statement that denies decides. Otherwise, within an account, it is enough that a policy of the principal or that of
    /// the resource allows it, and the root user needs neither; a resource policy that names the account, and not the
    /// principal, leaves it to the policies of the principal. From another account both must allow it, the resource's policy
    /// to the account or to the principal, and the root user needs only the resource's. Whoever has no account, such as a
    /// service, needs only the resource's policy.
    ///
    /// ```
    /// use strongroom::{AuthorizationRequest, Decision, Policies, Principal, ResourcePolicy};
    ///
    /// let policy = ResourcePolicy::parse(
    ///     r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "secretsmanager:Get*", "Resource": "*",
    ///         "Principal": {"AWS": "arn:aws:iam::111122223333:user/alice"}}}"#,
    /// )?;
    /// let secret = "arn:aws:secretsmanager:us-east-1:111122223333:secret:db-a1b2c3";
    /// for (user, decision) in [("alice", Decision::Allow), ("bob", Decision::ImplicitDeny)] {
    ///     let user = Principal::parse(&format!("arn:aws:iam::111122223333:user/{user}")).unwrap();
    ///     let request = AuthorizationRequest::new(user, "secretsmanager:GetSecretValue", secret);
    ///     assert_eq!(Policies::new().resource(&policy).evaluate(&request).decision, decision);
    /// }
    /// # Ok::<(), strongroom::PolicyFault>(())
    /// ```
    #[must_use]
    pub fn evaluate(&self, request: &AuthorizationRequest) -> Evaluation {
        self.decide(&request.asked())
    }

    /// Decides on a request, and tells what every statement says of it.
    #[must_use]
    pub fn explain(&self, request: &AuthorizationRequest) -> Explanation {
        let asked = request.asked();
        let mut statements = Vec::new();
        self.each(|policy, index, statement| {
            let outcome = match statement.look(&asked) {
                Look::Applies(Named::Account) => StatementOutcome::AppliesToAccount,
                Look::Applies(_) => StatementOutcome::Applies,
                Look::OtherPrincipal => StatementOutcome::OtherPrincipal,
                Look::OtherAction => StatementOutcome::OtherAction,
                Look::OtherResource => StatementOutcome::OtherResource,
                Look::ConditionNotMet(index) => match statement.conditions.get(index) {
                    Some(condition) => StatementOutcome::ConditionNotMet {
                        operator: condition.operator.to_string(),
                        key: condition.key.clone(),
                        expected: condition.written.iter().map(|value| value.text.clone()).collect(),
                        found: condition.found(&asked.known),
                    },
                    None => StatementOutcome::Applies,
                },
            };
            let effect = statement.effect;
            statements.push(StatementExplanation { statement: reference(policy, index, statement), effect, outcome });
        });
        Explanation { evaluation: self.decide(&asked), statements }
    }

    fn each(&self, mut visit: impl FnMut(PolicySource, usize, &Statement)) {
        let identity = self.identity.iter().enumerate();
        let identity = identity.map(|(index, policy)| (PolicySource::Identity(index), policy.document()));
        let resource = self.resource.iter().map(|policy| (PolicySource::Resource, policy.document()));
        for (policy, Document { statements, .. }) in identity.chain(resource) {
            for (index, statement) in statements.iter().enumerate() {
                visit(policy, index, statement);
            }
        }
    }

    /// Whether the policies of the resource allow it to somebody of another account, or to that account.
    pub(crate) fn shares(&self, asked: &Asked<'_, impl Known>) -> bool {
        let mut shares = false;
        self.each(|policy, _, statement| {
            let is_share = policy == PolicySource::Resource && statement.effect == Effect::Allow;
            shares |= is_share && matches!(statement.look(asked), Look::Applies(_));
        });
        shares
    }

    pub(crate) fn decide(&self, asked: &Asked<'_, impl Known>) -> Evaluation {
        let mut tally = Tally::default();
        self.each(|policy, index, statement| {
            let Look::Applies(named) = statement.look(asked) else { return };
            let list = match (statement.effect, policy, named) {
                (Effect::Deny, _, _) => &mut tally.denied,
                (Effect::Allow, PolicySource::Identity(_), _) => &mut tally.by_identity,
                (Effect::Allow, PolicySource::Resource, Named::Account) => &mut tally.to_account,
                (Effect::Allow, PolicySource::Resource, _) => &mut tally.by_resource,
            };
            list.push(reference(policy, index, statement));
        });
        tally.decide(asked)
    }
}

/// Keys that say the same of every request of a principal for a secret.
const LASTING: [&str; 8] = [
    "aws:principalaccount",
    "aws:principalarn",
    "aws:principaltype",
    "aws:principalisawsservice",
    "aws:requestedregion",
    "aws:resourceaccount",
    "secretsmanager:secretid",
    "secretsmanager:secretprimaryregion",
];

impl Evaluation {
    /// What is said of a resource that is not shared with somebody, whatever else would be to be said.
    pub(crate) fn not_shared() -> Self {
        Self { decision: Decision::ImplicitDeny, decided_by: Vec::new(), missing: Some(PolicyKind::Resource) }
    }
}

impl ResourcePolicy {
    /// Whether a statement denies it in whatever circumstances it is asked for: no condition is about something that differs
    /// from request to request.
    pub(crate) fn always_denies(&self, asked: &Asked<'_, impl Known>) -> bool {
        let is_certain = |condition: &Condition| {
            LASTING.contains(&condition.lookup.as_str()) || condition.lookup.contains(":resourcetag/")
        };
        let is_lasting =
            |statement: &&Statement| statement.effect == Effect::Deny && statement.conditions.iter().all(is_certain);
        let applies = |statement: &Statement| matches!(statement.look(asked), Look::Applies(_));
        self.document().statements.iter().filter(is_lasting).any(applies)
    }
}

impl Tally {
    fn decide(self, asked: &Asked<'_, impl Known>) -> Evaluation {
        let Self { denied, by_identity, by_resource, to_account } = self;
        if !denied.is_empty() {
            return Evaluation { decision: Decision::ExplicitDeny, decided_by: denied, missing: None };
        }
        let allow = |decided_by| Evaluation { decision: Decision::Allow, decided_by, missing: None };
        let deny =
            |missing| Evaluation { decision: Decision::ImplicitDeny, decided_by: Vec::new(), missing: Some(missing) };
        let identity_allows = asked.principal.is_root() || !by_identity.is_empty();
        match asked.principal.account() {
            None if by_resource.is_empty() => deny(PolicyKind::Resource),
            None => allow(by_resource),
            Some(_) if asked.is_of_own_account => {
                if identity_allows || !by_resource.is_empty() {
                    allow([by_identity, by_resource].concat())
                } else {
                    deny(PolicyKind::Identity)
                }
            }
            Some(_) if !identity_allows => deny(PolicyKind::Identity),
            Some(_) if by_resource.is_empty() && to_account.is_empty() => deny(PolicyKind::Resource),
            Some(_) => allow([by_identity, by_resource, to_account].concat()),
        }
    }
}

fn reference(policy: PolicySource, index: usize, statement: &Statement) -> StatementRef {
    StatementRef { policy, index, sid: statement.sid.clone() }
}

/// What a statement says of a request.
enum Look {
    Applies(Named),
    OtherPrincipal,
    OtherAction,
    OtherResource,
    /// The place of the condition.
    ConditionNotMet(usize),
}

impl Statement {
    fn look(&self, asked: &Asked<'_, impl Known>) -> Look {
        let mut named =
            self.principals.as_ref().map_or(Named::Directly, |principals| principals.names(asked.principal));
        if named == Named::No {
            return Look::OtherPrincipal;
        }
        // What is denied to an account is denied to everybody in it.
        if self.effect == Effect::Deny {
            named = Named::Directly;
        }
        if !self.actions.applies(|pattern| pattern.matches(asked.action)) {
            return Look::OtherAction;
        }
        let resource = asked.resource.unwrap_or("*");
        if !self.resources.applies(|arn| arn.matches(resource, &asked.known)) {
            return Look::OtherResource;
        }
        match self.conditions.iter().position(|condition| !condition.is_met(&asked.known)) {
            Some(index) => Look::ConditionNotMet(index),
            None => Look::Applies(named),
        }
    }
}
