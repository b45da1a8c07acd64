//! Who asks, whom a policy names, and whether the two are the same.

use std::fmt;

use super::fault::PolicyFaultReason as Reason;

/// Who makes a request.
///
/// ```
/// use strongroom::Principal;
///
/// let session = Principal::parse("arn:aws:sts::111122223333:assumed-role/deploy/build-7").unwrap();
/// assert_eq!(session.account(), Some("111122223333"));
/// assert_eq!(session.principal_arn().as_deref(), Some("arn:aws:iam::111122223333:role/deploy"));
/// assert!(Principal::parse("alice").is_none());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Principal {
    name: String,
    kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Kind {
    Anonymous,
    /// The account as a whole.
    Root(Place),
    User(Place),
    Role {
        place: Place,
        role: String,
    },
    /// A role that was assumed.
    Session {
        place: Place,
        role: String,
    },
    FederatedUser(Place),
    Service,
    Federated,
    CanonicalUser,
}

/// Partition and account of an ARN.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Place {
    partition: String,
    account: String,
}

/// An ARN of IAM or STS.
struct Arn<'a> {
    place: Place,
    service: &'a str,
    resource: &'a str,
}

impl<'a> Arn<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let mut fields = text.splitn(6, ':');
        let ("arn", partition, service, "", account, resource) =
            (fields.next()?, fields.next()?, fields.next()?, fields.next()?, fields.next()?, fields.next()?)
        else {
            return None;
        };
        let is_partition = partition.split('-').next() == Some("aws")
            && partition.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
        let is_service = matches!(service, "iam" | "sts");
        let place = Place { partition: partition.to_owned(), account: account.to_owned() };
        (is_partition && is_service && is_account(account)).then_some(Self { place, service, resource })
    }
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether the text can be the name, with or without a path, of a user, role or session.
fn is_name(text: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "_+=,.@-/".contains(c);
    !text.is_empty() && text.chars().all(is_part) && !text.starts_with('/') && !text.ends_with('/')
}

/// The last step of a path.
fn base(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

impl Principal {
    /// Longest name of a principal, in bytes.
    pub const BYTES_MAX: usize = 2048;

    /// Reads the ARN of a user, a role, a session of a role or of a federated user, or the root of an account.
    /// `None` if the text is none of these.
    #[must_use]
    pub fn parse(arn: &str) -> Option<Self> {
        if arn.len() > Self::BYTES_MAX {
            return None;
        }
        let Arn { place, service, resource } = Arn::parse(arn)?;
        let kind = match (service, resource.split_once('/')) {
            ("iam", None) if resource == "root" => Kind::Root(place),
            ("iam", Some(("user", name))) if is_name(name) => Kind::User(place),
            ("iam", Some(("role", name))) if is_name(name) => Kind::Role { place, role: base(name).to_owned() },
            ("sts", Some(("assumed-role", name))) if is_name(name) => {
                let (role, _) = name.split_once('/')?;
                Kind::Session { place, role: role.to_owned() }
            }
            ("sts", Some(("federated-user", name))) if is_name(name) => Kind::FederatedUser(place),
            _ => return None,
        };
        Some(Self { name: arn.to_owned(), kind })
    }

    /// Somebody who did not sign.
    #[must_use]
    pub fn anonymous() -> Self {
        Self { name: "anonymous".to_owned(), kind: Kind::Anonymous }
    }

    /// A service of AWS, such as `lambda.amazonaws.com`.
    #[must_use]
    pub fn service(name: impl Into<String>) -> Self {
        Self { name: name.into(), kind: Kind::Service }
    }

    /// Somebody whom an identity provider has vouched for, by the provider's name or ARN.
    #[must_use]
    pub fn federated(provider: impl Into<String>) -> Self {
        Self { name: provider.into(), kind: Kind::Federated }
    }

    /// An account by its canonical user id.
    #[must_use]
    pub fn canonical_user(id: impl Into<String>) -> Self {
        Self { name: id.into(), kind: Kind::CanonicalUser }
    }

    /// The root user of an account, as requests of the account itself are made. `None` if the account is not 12 digits.
    #[must_use]
    pub fn root(partition: &str, account: &str) -> Option<Self> {
        Self::parse(&format!("arn:{partition}:iam::{account}:root"))
    }

    /// Its account. `None` for whoever has none.
    #[must_use]
    pub fn account(&self) -> Option<&str> {
        self.place().map(|place| place.account.as_str())
    }

    /// The partition of its account.
    pub(crate) fn partition(&self) -> Option<&str> {
        self.place().map(|place| place.partition.as_str())
    }

    fn place(&self) -> Option<&Place> {
        match &self.kind {
            Kind::Root(place)
            | Kind::User(place)
            | Kind::Role { place, .. }
            | Kind::Session { place, .. }
            | Kind::FederatedUser(place) => Some(place),
            Kind::Anonymous | Kind::Service | Kind::Federated | Kind::CanonicalUser => None,
        }
    }

    /// Whether it is the root user of its account.
    #[must_use]
    pub fn is_root(&self) -> bool {
        matches!(self.kind, Kind::Root(_))
    }

    /// What `aws:PrincipalArn` says: for a session the ARN of its role, otherwise its own. `None` for whoever has none.
    ///
    /// The path of the role is not part of a session's ARN, so it is missing here too.
    #[must_use]
    pub fn principal_arn(&self) -> Option<std::borrow::Cow<'_, str>> {
        match &self.kind {
            Kind::Session { place: Place { partition, account }, role } => {
                Some(format!("arn:{partition}:iam::{account}:role/{role}").into())
            }
            _ => self.account().map(|_| self.name.as_str().into()),
        }
    }

    /// What `aws:PrincipalType` says.
    pub(super) fn principal_type(&self) -> &'static str {
        match self.kind {
            Kind::Root(_) => "Account",
            Kind::User(_) => "User",
            Kind::Role { .. } | Kind::Session { .. } => "AssumedRole",
            Kind::FederatedUser(_) => "FederatedUser",
            Kind::Service => "Service",
            Kind::Anonymous | Kind::Federated | Kind::CanonicalUser => "Anonymous",
        }
    }

    /// What an audit record calls it.
    pub(crate) fn identity_type(&self) -> &'static str {
        match self.kind {
            Kind::Root(_) => "Root",
            Kind::User(_) => "IAMUser",
            Kind::Role { .. } => "Role",
            Kind::Session { .. } => "AssumedRole",
            Kind::FederatedUser(_) => "FederatedUser",
            Kind::Service => "AWSService",
            Kind::Anonymous | Kind::Federated | Kind::CanonicalUser => "Unknown",
        }
    }

    /// What `aws:username` says: the name of a user, without its path. Nobody else has one.
    #[must_use]
    pub fn username(&self) -> Option<&str> {
        matches!(self.kind, Kind::User(_)).then(|| base(&self.name))
    }

    pub(super) fn is_anonymous(&self) -> bool {
        self.kind == Kind::Anonymous
    }

    pub(super) fn is_service(&self) -> bool {
        self.kind == Kind::Service
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// How far a `Principal` element of a policy is about somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Named {
    No,
    /// Only their account is named, which leaves the decision to the account.
    Account,
    Directly,
}

/// `Principal` or `NotPrincipal`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Principals {
    pub(super) is_negated: bool,
    /// Written as `"*"`, not as `{"AWS": "*"}`.
    pub(super) is_bare: bool,
    pub(super) any_of: Vec<Entry>,
}

/// Somebody whom a policy names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) written: String,
    pub(super) form: Form,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Form {
    Everyone,
    /// An account, by its number or the ARN of its root, which also tells the partition.
    Account {
        account: String,
        partition: Option<String>,
    },
    /// Somebody of an account.
    Aws(Principal),
    Service,
    Federated,
    CanonicalUser,
}

/// The types of principals, as a policy names them.
pub(super) const TYPES: [&str; 4] = ["AWS", "Service", "Federated", "CanonicalUser"];

impl Form {
    pub(super) fn principal_type(&self) -> &'static str {
        match self {
            Self::Everyone | Self::Account { .. } | Self::Aws(_) => "AWS",
            Self::Service => "Service",
            Self::Federated => "Federated",
            Self::CanonicalUser => "CanonicalUser",
        }
    }
}

impl Entry {
    pub(super) fn everyone() -> Self {
        Self { written: "*".to_owned(), form: Form::Everyone }
    }

    /// Reads an entry of one of the [`TYPES`].
    pub(super) fn parse(principal_type: &str, text: &str) -> Result<Self, Reason> {
        let form = match principal_type {
            "AWS" if text == "*" => Form::Everyone,
            "AWS" if is_account(text) => Form::Account { account: text.to_owned(), partition: None },
            "AWS" => {
                let principal = Principal::parse(text).ok_or(Reason::UnsupportedPrincipal)?;
                match principal.kind {
                    Kind::Root(Place { partition, account }) => Form::Account { account, partition: Some(partition) },
                    _ => Form::Aws(principal),
                }
            }
            "Service" if is_service(text) => Form::Service,
            "Service" => return Err(Reason::UnsupportedServicePrincipal),
            "Federated" if is_provider(text) => Form::Federated,
            "CanonicalUser" if text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
                Form::CanonicalUser
            }
            _ => return Err(Reason::UnsupportedPrincipal),
        };
        Ok(Self { written: text.to_owned(), form })
    }

    fn names(&self, principal: &Principal) -> Named {
        let directly = |is_same| if is_same { Named::Directly } else { Named::No };
        match (&self.form, &principal.kind) {
            (Form::Everyone, _) => Named::Directly,
            (Form::Account { .. }, Kind::Root(_)) => directly(self.is_account_of(principal)),
            (Form::Account { .. }, _) if self.is_account_of(principal) => Named::Account,
            (
                Form::Aws(Principal { kind: Kind::Role { place, role }, .. }),
                Kind::Session { place: of, role: assumed },
            ) => directly(place == of && role == assumed),
            (Form::Aws(named), _) => directly(named == principal),
            (Form::Service, Kind::Service)
            | (Form::Federated, Kind::Federated)
            | (Form::CanonicalUser, Kind::CanonicalUser) => directly(self.written == principal.name),
            (Form::Account { .. } | Form::Service | Form::Federated | Form::CanonicalUser, _) => Named::No,
        }
    }

    /// Whether it names the account of somebody.
    fn is_account_of(&self, principal: &Principal) -> bool {
        let (Form::Account { account, partition }, Some(place)) = (&self.form, principal.place()) else { return false };
        *account == place.account && partition.as_ref().is_none_or(|partition| *partition == place.partition)
    }
}

impl Principals {
    /// How far the element is about somebody.
    pub(super) fn names(&self, principal: &Principal) -> Named {
        if self.is_negated {
            return if self.spares(principal) { Named::No } else { Named::Directly };
        }
        self.any_of.iter().map(|entry| entry.names(principal)).max().unwrap_or(Named::No)
    }

    /// Whether `NotPrincipal` leaves somebody out: it must name them, their role if they have assumed one, and their
    /// account, each of them by itself.
    fn spares(&self, principal: &Principal) -> bool {
        let is_listed = |kind: &dyn Fn(&Entry) -> bool| self.any_of.iter().any(kind);
        if is_listed(&|entry| entry.form == Form::Everyone) {
            return true;
        }
        if principal.account().is_some() && !is_listed(&|entry| entry.is_account_of(principal)) {
            return false;
        }
        let is_itself = |entry: &Entry| match &entry.form {
            Form::Aws(named) => named == principal,
            _ => entry.names(principal) == Named::Directly,
        };
        let is_role = |entry: &Entry| matches!(entry.form, Form::Aws(_)) && entry.names(principal) == Named::Directly;
        match principal.kind {
            Kind::Session { .. } => is_listed(&is_itself) && is_listed(&|entry| !is_itself(entry) && is_role(entry)),
            _ => is_listed(&is_itself),
        }
    }
}

/// `name.amazonaws.com`, also with a Region in between or of another partition.
fn is_service(text: &str) -> bool {
    const ENDS: [&str; 4] = [".amazonaws.com", ".amazonaws.com.cn", ".amazonaws.eu", ".api.aws"];
    let is_part = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
            && !part.starts_with('-')
            && !part.ends_with('-')
    };
    let name = ENDS.iter().find_map(|end| text.strip_suffix(end));
    name.is_some_and(|name| name.split('.').all(is_part)) && text.len() <= 255
}

/// The ARN of an identity provider, or the host name of one.
fn is_provider(text: &str) -> bool {
    if text.starts_with("arn:") {
        return is_provider_arn(text);
    }
    let is_part =
        |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    text.contains('.') && text.split('.').all(is_part) && text.len() <= 255
}

/// Whether a provider belongs to an account, so that the account decides whom it vouches for.
pub(super) fn is_provider_arn(text: &str) -> bool {
    Arn::parse(text).is_some_and(|arn| {
        let provider =
            arn.resource.strip_prefix("saml-provider/").or_else(|| arn.resource.strip_prefix("oidc-provider/"));
        arn.service == "iam" && provider.is_some_and(is_name)
    })
}
