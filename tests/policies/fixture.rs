//! A store in memory with a clock that is moved by hand, documents, and how the tests here look at answers.

use std::fmt::Debug;

use chrono::TimeDelta;
use strongroom::testing::{ManualClock, SeededEntropy};
use strongroom::{
    CreateSecretRequest, DeleteResourcePolicyRequest, DescribeSecretRequest, GetResourcePolicyRequest, ImportOptions,
    ImportReport, ListResourcePoliciesRequest, PutResourcePolicyRequest, PutResourcePolicyResponse, Result,
    SecretStore, SecretsManager, StaticKey, Timestamp, ValidateResourcePolicyRequest,
};

/// 2023-11-14T22:13:20Z.
pub(crate) const START_MILLIS: i64 = 1_700_000_000_000;

/// A code and its text.
pub(crate) type Refusal<'a> = (&'a str, &'a str);

pub(crate) const NOT_FOUND: Refusal<'_> =
    ("ResourceNotFoundException", "Secrets Manager can't find the specified secret.");
pub(crate) const MARKED: Refusal<'_> =
    ("InvalidRequestException", "You can't perform this operation on the secret because it was marked for deletion.");
pub(crate) const SYNTAX: Refusal<'_> =
    ("MalformedPolicyDocumentException", "This resource policy contains a syntax error.");
pub(crate) const PRINCIPAL: Refusal<'_> =
    ("MalformedPolicyDocumentException", "This resource policy contains an unsupported principal.");
pub(crate) const SERVICE: Refusal<'_> =
    ("MalformedPolicyDocumentException", "This resource policy contains an invalid service principal.");
pub(crate) const LOCK_OUT: Refusal<'_> =
    ("InvalidParameterException", "Your requested changes will not allow you to manage this secret in the future.");
pub(crate) const PUBLIC: Refusal<'_> =
    ("PublicPolicyException", "You can't attach a resource-based policy that allows broad access to the secret.");

pub(crate) struct Fixture {
    pub(crate) store: SecretStore,
    pub(crate) secrets: SecretsManager,
    pub(crate) clock: ManualClock,
}

impl Fixture {
    /// A store with one secret, `app`.
    pub(crate) fn new() -> Self {
        let fixture = Self::empty();
        fixture.secrets.create_secret(CreateSecretRequest::new("app").secret_string("v")).unwrap();
        fixture
    }

    pub(crate) fn empty() -> Self {
        let clock = ManualClock::at_millis(START_MILLIS);
        let builder = SecretStore::in_memory().key_provider(StaticKey::new([7; 32]));
        let store = builder.clock(clock.clone()).entropy(SeededEntropy::new(1)).open().unwrap();
        Self { secrets: store.default_secrets_manager(), store, clock }
    }

    pub(crate) fn put(&self, policy: &str) -> Result<PutResourcePolicyResponse> {
        self.secrets.put_resource_policy(put(policy))
    }

    /// The default policy of `app`.
    pub(crate) fn policy(&self) -> Option<String> {
        policy_of(&self.secrets, "app")
    }

    pub(crate) fn last_changed(&self) -> Timestamp {
        self.secrets.describe_secret(DescribeSecretRequest::new("app")).unwrap().last_changed_date
    }

    /// Rises with every commit.
    pub(crate) fn epoch(&self) -> u64 {
        self.store.stats().unwrap().epoch
    }

    pub(crate) fn advance(&self, millis: i64) {
        self.clock.advance(TimeDelta::milliseconds(millis));
    }

    /// Brings a secret `shared` with policies of these names, as a service attaches them: one document for all.
    pub(crate) fn import(&self, names: &[&str]) -> Result<ImportReport> {
        let policy = |name: &&str| serde_json::json!({"PolicyName": name, "ResourcePolicy": allow("111122223333")});
        let policies: Vec<_> = names.iter().map(policy).collect();
        self.import_policies(&serde_json::json!(policies))
    }

    /// The same with any list of policies.
    pub(crate) fn import_policies(&self, policies: &serde_json::Value) -> Result<ImportReport> {
        let header = serde_json::json!({"Format": "strongroom-plaintext-export", "FormatVersion": 1});
        let secret = serde_json::json!({
            "Name": "shared", "ARN": "arn:aws:secretsmanager:us-east-1:000000000000:secret:shared-AbCdEf",
            "CreatedDate": 1_600_000_000, "LastChangedDate": 1_600_000_000, "VersionsMade": 0, "Versions": [],
            "Policies": policies,
        });
        let end = serde_json::json!({"SecretCount": 1, "VersionCount": 0});
        let mut lines = std::io::Cursor::new(format!("{header}\n{secret}\n{end}\n"));
        self.store.import_plaintext(&mut lines, &ImportOptions::new(), &mut |_| {})
    }
}

/// The default policy of a secret.
pub(crate) fn policy_of(secrets: &SecretsManager, id: &str) -> Option<String> {
    secrets.get_resource_policy(GetResourcePolicyRequest::new(id)).unwrap().resource_policy
}

pub(crate) fn put(policy: &str) -> PutResourcePolicyRequest {
    PutResourcePolicyRequest::new("app", policy)
}

pub(crate) fn get() -> GetResourcePolicyRequest {
    GetResourcePolicyRequest::new("app")
}

pub(crate) fn delete() -> DeleteResourcePolicyRequest {
    DeleteResourcePolicyRequest::new("app")
}

pub(crate) fn list() -> ListResourcePoliciesRequest {
    ListResourcePoliciesRequest::new("app")
}

pub(crate) fn validate(policy: &str) -> ValidateResourcePolicyRequest {
    ValidateResourcePolicyRequest::new(policy)
}

/// A statement with this effect about this principal, which is JSON.
pub(crate) fn statement(effect: &str, principal: &str, action: &str) -> String {
    format!(r#"{{"Effect": "{effect}", "Principal": {principal}, "Action": "{action}", "Resource": "*"}}"#)
}

pub(crate) fn document(statements: &[String]) -> String {
    format!(r#"{{"Version": "2012-10-17", "Statement": [{}]}}"#, statements.join(", "))
}

/// A policy that lets a principal of AWS read the value.
pub(crate) fn allow(principal: &str) -> String {
    document(&[statement("Allow", &format!(r#"{{"AWS": "{principal}"}}"#), "secretsmanager:GetSecretValue")])
}

/// A policy that keeps everybody from everything.
pub(crate) fn deny_all() -> String {
    document(&[statement("Deny", r#""*""#, "*")])
}

/// The call is refused with exactly this code and text.
#[track_caller]
pub(crate) fn refused<T: Debug>(what: &str, result: Result<T>, (code, text): Refusal<'_>) {
    match result {
        Ok(answer) => panic!("{what}: {answer:?}"),
        Err(error) => assert_eq!((error.code(), error.message()), (code, text), "{what}"),
    }
}
