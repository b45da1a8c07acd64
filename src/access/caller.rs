//! Who calls.

use std::net::IpAddr;

use crate::model::tag::Tag;
use crate::policy::{IdentityPolicy, Principal, RequestContext};

/// On whose behalf operations are called, and what their policies allow.
///
/// ```
/// use strongroom::*;
///
/// # let store = SecretStore::in_memory().key_provider(StaticKey::new([7; 32])).open()?;
/// # let secrets = store.default_secrets_manager();
/// # secrets.create_secret(CreateSecretRequest::new("db/main").secret_string("s3cret"))?;
/// let alice = Principal::parse("arn:aws:iam::000000000000:user/alice").unwrap();
/// let read = r#"{"Statement": {"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": "*"}}"#;
/// let alice = Caller::new(alice).identity_policies([IdentityPolicy::parse(read).unwrap()]);
///
/// let secrets = secrets.as_caller(alice);
/// assert!(secrets.get_secret_value(GetSecretValueRequest::new("db/main")).is_ok());
/// let error = secrets.delete_secret(DeleteSecretRequest::new("db/main")).unwrap_err();
/// assert_eq!(error.code(), "AccessDeniedException");
/// # Ok::<(), strongroom::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Caller {
    principal: Principal,
    identity_policies: Vec<IdentityPolicy>,
    tags: Vec<Tag>,
    context: RequestContext,
}

impl Caller {
    /// A principal to whom no policy is attached, of whom nothing else is known.
    #[must_use]
    pub fn new(principal: Principal) -> Self {
        Self { principal, identity_policies: Vec::new(), tags: Vec::new(), context: RequestContext::new() }
    }

    /// The policies of the principal: those attached to the user and their groups, or to the role.
    #[must_use]
    pub fn identity_policies(mut self, policies: impl IntoIterator<Item = IdentityPolicy>) -> Self {
        self.identity_policies = policies.into_iter().collect();
        self
    }

    /// The tags of the principal and of the session (`aws:PrincipalTag/…`).
    #[must_use]
    pub fn tags(mut self, tags: impl IntoIterator<Item = Tag>) -> Self {
        self.tags = tags.into_iter().collect();
        self
    }

    /// The address that the request comes from (`aws:SourceIp`).
    #[must_use]
    pub fn source_ip(self, address: IpAddr) -> Self {
        self.context_key("aws:SourceIp", address.to_canonical().to_string())
    }

    /// The VPC that the request comes from (`aws:SourceVpc`).
    #[must_use]
    pub fn source_vpc(self, vpc: impl Into<String>) -> Self {
        self.context_key("aws:SourceVpc", vpc)
    }

    /// The VPC endpoint that the request comes through (`aws:SourceVpce`).
    #[must_use]
    pub fn source_vpce(self, endpoint: impl Into<String>) -> Self {
        self.context_key("aws:SourceVpce", endpoint)
    }

    /// Whether the request came over TLS (`aws:SecureTransport`).
    #[must_use]
    pub fn secure_transport(self, is_secure: bool) -> Self {
        self.context_key("aws:SecureTransport", is_secure.to_string())
    }

    /// The organization of the principal's account (`aws:PrincipalOrgID`).
    #[must_use]
    pub fn organization(self, id: impl Into<String>) -> Self {
        self.context_key("aws:PrincipalOrgID", id)
    }

    /// The unique id of the principal (`aws:userid`).
    #[must_use]
    pub fn user_id(self, id: impl Into<String>) -> Self {
        self.context_key("aws:userid", id)
    }

    /// Any other condition key. `aws:PrincipalArn` is one for a role that has a path, which the ARN of its session does not tell.
    /// Those that follow from the request itself cannot be set: keys of the service,
    /// `aws:CurrentTime`, `aws:EpochTime`, `aws:RequestedRegion`, `aws:ResourceAccount`, `aws:TagKeys`, `aws:RequestTag/…`,
    /// `aws:ResourceTag/…`; tags of the principal are set by [`tags`](Self::tags).
    #[must_use]
    pub fn context_key(mut self, key: impl AsRef<str>, value: impl Into<String>) -> Self {
        self.context = self.context.with(key, value);
        self
    }

    /// The same for a key that has a list of values, such as `aws:PrincipalOrgPaths`.
    #[must_use]
    pub fn context_list<V: Into<String>>(mut self, key: impl AsRef<str>, values: impl IntoIterator<Item = V>) -> Self {
        self.context = self.context.with_list(key, values);
        self
    }

    /// Who calls.
    #[must_use]
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    pub(super) fn context(&self) -> &RequestContext {
        &self.context
    }

    pub(super) fn principal_tags(&self) -> &[Tag] {
        &self.tags
    }

    pub(crate) fn policies(&self) -> &[IdentityPolicy] {
        &self.identity_policies
    }
}
