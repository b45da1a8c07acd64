//! Whether the caller may do what an operation asks for. Without a caller everything is allowed.

use std::borrow::Cow;
use std::sync::Arc;

use crate::access::{Access, Caller, Facts};
use crate::error::{AccessFault, Error, ErrorKind, Result};
use crate::model::id::{SUFFIX_CHARS, SecretId, SecretName, arn};
use crate::model::policy::DEFAULT_POLICY;
use crate::model::secret::Secret;
use crate::model::tag::Tag;
use crate::model::tenant::Tenant;
use crate::policy::{Asked, Decision, Evaluation, Policies, ResourcePolicy};
use crate::store::SecretsManager;

/// What an action is about.
#[derive(Debug, Clone)]
struct Target<'a> {
    /// As the request names it. `None`: no secret in particular.
    named: Option<&'a str>,
    /// The ARN that policies are matched with.
    arn: Option<Cow<'a, str>>,
    /// Whose it is.
    tenant: Cow<'a, Tenant>,
    secret: Option<&'a Secret>,
}

impl<'a> Target<'a> {
    fn nothing(tenant: &'a Tenant) -> Self {
        Self { named: None, arn: None, tenant: Cow::Borrowed(tenant), secret: None }
    }

    /// A secret that is not there: nobody knows yet how its ARN ends.
    fn absent(tenant: &'a Tenant, name: &'a SecretName) -> Self {
        let arn = arn(tenant, name, &"A".repeat(SUFFIX_CHARS));
        Self { named: Some(name.as_str()), arn: Some(Cow::Owned(arn)), ..Self::nothing(tenant) }
    }

    fn secret(secret: &'a Secret, id: &'a SecretId) -> Self {
        let arn = Some(Cow::Borrowed(secret.arn.as_str()));
        Self { named: Some(id.as_given()), arn, secret: Some(secret), ..Self::nothing(&secret.tenant) }
    }
}

/// Actions that a change of tags must not cost a caller, also where conditions ask for nothing of the request.
const KEPT_ACTIONS: [&str; 3] = ["TagResource", "UntagResource", "PutResourcePolicy"];

impl SecretsManager {
    /// Refuses what the caller may not do with a secret.
    pub(crate) fn authorize(&self, access: &Access<'_>, id: &SecretId, secret: &Secret) -> Result<()> {
        let Some(caller) = self.caller() else { return Ok(()) };
        let policies = self.resource_policies(secret)?;
        self.require(caller, access, &Target::secret(secret, id), &policies)
    }

    /// Whether the caller may do something with a secret that the request does not name.
    pub(crate) fn may(&self, access: &Access<'_>, secret: &Secret) -> Result<bool> {
        let Some(caller) = self.caller() else { return Ok(true) };
        let policies = self.resource_policies(secret)?;
        let id = SecretId::Name(secret.name.clone());
        Ok(self.require(caller, access, &Target::secret(secret, &id), &policies).is_ok())
    }

    /// Refuses what the caller may not do, where it is about no secret.
    pub(crate) fn authorize_call(&self, access: &Access<'_>) -> Result<()> {
        let Some(caller) = self.caller() else { return Ok(()) };
        self.require(caller, access, &Target::nothing(self.tenant()), &[])
    }

    /// Refuses what the caller may not do with a secret that is to be made.
    pub(crate) fn authorize_new(&self, access: &Access<'_>, name: &SecretName) -> Result<()> {
        let Some(caller) = self.caller() else { return Ok(()) };
        let target = Target::absent(self.tenant(), name);
        self.require(caller, access, &target, &[])?;
        // What belongs to the same request and is an action of its own.
        let others = [
            ("TagResource", access.request_tags.is_some()),
            ("ReplicateSecretToRegions", access.replica_regions.is_some()),
            ("PutResourcePolicy", access.is_cross_account_replica),
        ];
        for (action, _) in others.into_iter().filter(|(_, is_asked)| *is_asked) {
            self.require(caller, &Access { action, ..*access }, &target, &[])?;
        }
        Ok(())
    }

    /// Refuses to tell a caller that a secret of another account is not there. In their own account they are told, unless
    /// `is_answered` says that the operation does not fail.
    pub(crate) fn authorize_absent(&self, access: &Access<'_>, id: &SecretId, is_answered: bool) -> Result<()> {
        let Some(caller) = self.caller() else { return Ok(()) };
        let is_told = !is_answered && self.is_of_own_account(caller, self.tenant());
        match id {
            SecretId::Name(_) | SecretId::Arn { .. } if is_told => Ok(()),
            SecretId::Name(name) | SecretId::Arn { name, .. } => {
                self.require(caller, access, &Target::absent(self.tenant(), name), &[])
            }
            SecretId::Elsewhere { arn } => match id.tenant_elsewhere() {
                Some(tenant) if tenant == **self.tenant() && is_told => Ok(()),
                Some(tenant) if tenant.region() == self.region() || is_answered => {
                    let (named, arn) = (Some(arn.as_str()), Some(Cow::Borrowed(arn.as_str())));
                    let target = Target { named, arn, tenant: Cow::Owned(tenant), secret: None };
                    self.require(caller, access, &target, &[])
                }
                _ => Err(Error::secret_not_found()),
            },
        }
    }

    /// Refuses a change of tags that would cost the caller the permission to make another one, or to change the policy.
    pub(crate) fn authorize_afterwards(
        &self,
        access: &Access<'_>,
        id: &SecretId,
        old: &Secret,
        new: &Secret,
    ) -> Result<()> {
        let Some(caller) = self.caller() else { return Ok(()) };
        let policies = self.resource_policies(new)?;
        let (before, after) = (Target::secret(old, id), Target::secret(new, id));
        // The calls that would undo it.
        let keys: Vec<String> = access.request_tags.into_iter().flatten().map(|tag| tag.key.clone()).collect();
        let is_concerned =
            |tag: &&Tag| keys.contains(&tag.key) || access.tag_keys.is_some_and(|keys| keys.contains(&tag.key));
        let tags: Vec<Tag> = old.tags.iter().flatten().filter(is_concerned).cloned().collect();
        let undoing = [
            Access { request_tags: Some(&tags), ..Access::to("TagResource") },
            Access { tag_keys: Some(&keys), ..Access::to("UntagResource") },
            Access { block_public_policy: Some(true), ..Access::to("PutResourcePolicy") },
        ];
        for access in [*access].into_iter().chain(undoing).chain(KEPT_ACTIONS.map(Access::to)) {
            if self.require(caller, &access, &before, &policies).is_ok() {
                self.require(caller, &access, &after, &policies)?;
            }
        }
        Ok(())
    }

    /// Refuses to let a function be called for somebody who may not call it.
    pub(crate) fn authorize_function(&self, function_arn: &str, is_given: bool) -> Result<()> {
        let Some(caller) = self.caller() else { return Ok(()) };
        let account = function_arn.split(':').nth(4).unwrap_or_default();
        let tenant = Tenant::parse(account, self.region()).map_or(Cow::Borrowed(&**self.tenant()), Cow::Owned);
        let arn = Some(Cow::Borrowed(function_arn));
        // A function that is stored with the secret is not told to whoever may not know it.
        let target = Target { named: is_given.then_some(function_arn), arn, tenant, secret: None };
        self.require(caller, &Access::to("lambda:InvokeFunction"), &target, &[])
    }

    /// Refuses to have a role assumed for somebody who may not pass it.
    pub(crate) fn authorize_role(&self, role_arn: &str) -> Result<()> {
        let Some(caller) = self.caller() else { return Ok(()) };
        let account = role_arn.split(':').nth(4).unwrap_or_default();
        let tenant = Tenant::parse(account, self.region()).map_or(Cow::Borrowed(&**self.tenant()), Cow::Owned);
        let target = Target { named: Some(role_arn), arn: Some(Cow::Borrowed(role_arn)), tenant, secret: None };
        self.require(caller, &Access::to("iam:PassRole"), &target, &[])
    }

    /// Whether the caller could change the policy of a secret, and no longer if it were this one; or, where they are of another
    /// account or there is no caller, its own account never again, wherever it called from.
    pub(crate) fn is_locked_out(
        &self,
        access: &Access<'_>,
        secret: Result<&Secret, &SecretName>,
        policy: &ResourcePolicy,
    ) -> Result<bool> {
        let access = Access { action: "PutResourcePolicy", ..*access };
        let id;
        let target = match secret {
            Ok(secret) => {
                id = SecretId::Name(secret.name.clone());
                Target::secret(secret, &id)
            }
            Err(name) => Target::absent(self.tenant(), name),
        };
        if let Some(caller) = self.caller() {
            let present = secret.map_or_else(|_| Ok(Arc::from([])), |secret| self.resource_policies(secret))?;
            let has_default = secret.is_ok_and(|secret| secret.policies.get(DEFAULT_POLICY).is_some());
            let others = present.iter().skip(usize::from(has_default));
            let future: Vec<ResourcePolicy> = [policy].into_iter().chain(others).cloned().collect();
            let may = |policies: &[ResourcePolicy]| self.require(caller, &access, &target, policies).is_ok();
            if !may(&present) {
                return Ok(false);
            }
            let is_lost = !may(&future);
            if is_lost || self.is_of_own_account(caller, &target.tenant) {
                return Ok(is_lost);
            }
        }
        let Some(root) = target.tenant.root() else { return Ok(false) };
        Ok(self.ask(&Caller::new(root), &access, &target, |asked| policy.always_denies(asked)))
    }

    /// Refuses the value of a secret of another account under a key that only its own account can use. `is_shared`: what is
    /// asked for is under another key than the default one.
    pub(crate) fn require_shared_key(&self, secret: &Secret, is_shared: bool) -> Result<()> {
        let is_own = self.caller().is_none_or(|caller| self.is_of_own_account(caller, &secret.tenant));
        if is_own || is_shared {
            return Ok(());
        }
        Err(Error::invalid_request(
            "You can't access a secret from a different AWS account if you encrypt the secret with the default KMS service key.",
        ))
    }

    /// Refuses what only the account of a secret may do, whatever its policy says.
    pub(crate) fn require_own(&self, secret: &Secret) -> Result<()> {
        if *secret.tenant == **self.tenant() {
            return Ok(());
        }
        Err(Error::invalid_request("You must call this operation from the account that owns the primary secret."))
    }

    fn is_of_own_account(&self, caller: &Caller, tenant: &Tenant) -> bool {
        let principal = caller.principal();
        (principal.account(), principal.partition()) == (Some(tenant.account()), Some(tenant.partition()))
    }

    fn require(
        &self,
        caller: &Caller,
        access: &Access<'_>,
        target: &Target<'_>,
        policies: &[ResourcePolicy],
    ) -> Result<()> {
        let policies = Policies::new().identity(caller.policies()).resources(policies);
        let evaluation = self.ask(caller, access, target, |asked| policies.decide(asked));
        if evaluation.decision == Decision::Allow {
            return Ok(());
        }
        let is_told = self.is_of_own_account(caller, &target.tenant)
            || self.ask(caller, access, target, |asked| policies.shares(asked));
        // Of what is not shared with them, others do not even learn whether it is there.
        let evaluation = if is_told { evaluation } else { Evaluation::not_shared() };
        Err(denied(caller, access, target, evaluation))
    }

    /// Asks something about a call.
    fn ask<T>(
        &self,
        caller: &Caller,
        access: &Access<'_>,
        target: &Target<'_>,
        question: impl FnOnce(&Asked<'_, Facts<'_>>) -> T,
    ) -> T {
        question(&Asked {
            principal: caller.principal(),
            action: &action(access).to_ascii_lowercase(),
            resource: target.arn.as_deref(),
            is_of_own_account: self.is_of_own_account(caller, &target.tenant),
            known: Facts {
                caller,
                access,
                secret: target.secret,
                region: self.region(),
                resource_account: target.tenant.account(),
                now: self.now(),
            },
        })
    }

    fn resource_policies(&self, secret: &Secret) -> Result<Arc<[ResourcePolicy]>> {
        let policies = self.parsed_policies().get(secret.uid, secret.policies.iter().map(|(_, text)| text));
        policies.map_err(|_| Error::corrupted("a policy of a secret cannot be read"))
    }
}

/// An action with its service.
fn action(access: &Access<'_>) -> String {
    if access.action.contains(':') { access.action.to_owned() } else { format!("secretsmanager:{}", access.action) }
}

/// The service's text: who, what, on what, and which kind of policy stood in the way. The secret is told as the request names
/// it: who may not know its ARN does not learn it.
fn denied(caller: &Caller, access: &Access<'_>, target: &Target<'_>, evaluation: Evaluation) -> Error {
    let (principal, action) = (caller.principal().to_string(), action(access));
    let fault = AccessFault { principal, action, resource: target.named.map(str::to_owned), evaluation };
    let text = fault.to_string();
    Error::new(ErrorKind::AccessDenied(Box::new(fault)), text)
}
