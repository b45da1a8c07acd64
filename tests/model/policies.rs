//! Resource policies in the reference model: a map from name to text. What a text means is not worked out, but known: the
//! texts that are tried are here, each with what is wrong with it.

use serde_json::{Value, json};

use crate::choices;
use crate::model::{Failure, Outcome, Tenant, World, failure, not_found};
use crate::shape::Shape;

/// What is known of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    Good,
    /// It gives everybody access.
    Public,
    /// It keeps these accounts from changing it; all of them if none is named.
    LocksOut(Option<&'static str>),
    /// Both.
    PublicAndLocksOut,
    NotJson,
    NotPolicy,
    Principal,
    Service,
}

/// The texts that are tried.
pub(crate) const TEXTS: [(&str, Known); 13] = [
    (
        r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":"*","Resource":"*"}}"#,
        Known::Good,
    ),
    (
        "\n{ \"Id\": \"gr\u{f6}\u{df}er\", \"Statement\": [{\"Effect\": \"Allow\", \"Principal\": {\"AWS\": \"arn:aws:iam::111122223333:role/r\"}, \"NotAction\": \"s3:*\", \"Resource\": \"*\"}] }\n",
        Known::Good,
    ),
    (r#"{"Statement":{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}}"#, Known::Public),
    (
        r#"{"Statement":{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*","Condition":{"StringEquals":{"aws:SourceVpc":"vpc-1"}}}}"#,
        Known::Good,
    ),
    (r#"{"Statement":{"Effect":"Deny","Principal":"*","Action":"*","Resource":"*"}}"#, Known::LocksOut(None)),
    (
        r#"{"Statement":{"Effect":"Deny","Principal":{"AWS":"123456789012"},"Action":"*","Resource":"*"}}"#,
        Known::LocksOut(Some("123456789012")),
    ),
    (
        r#"{"Statement":[{"Effect":"Deny","Principal":"*","Action":"*","Resource":"*"},{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}]}"#,
        Known::PublicAndLocksOut,
    ),
    (r#"{"Statement":{"Effect":"Allow","Principal":{"AWS":"alice"},"Action":"*","Resource":"*"}}"#, Known::Principal),
    (r#"{"Statement":{"Effect":"Allow","Principal":{"Service":"alice"},"Action":"*","Resource":"*"}}"#, Known::Service),
    (r#"{"Statement":{"Effect":"Permit","Principal":"*","Action":"*","Resource":"*"}}"#, Known::NotPolicy),
    ("{}", Known::NotPolicy),
    (r#"{"Statement":"#, Known::NotJson),
    ("policy", Known::NotJson),
];

const SYNTAX: &str = "This resource policy contains a syntax error.";
const PRINCIPAL: &str = "This resource policy contains an unsupported principal.";
const SERVICE: &str = "This resource policy contains an invalid service principal.";
const LOCK_OUT: &str = "Your requested changes will not allow you to manage this secret in the future.";
const BROAD: &str = "This resource policy grants broad access to your secret. Secrets Manager does not allow creating and \
                     applying such policies in the console.";

fn known(text: &str) -> Known {
    let found = TEXTS.iter().find(|(tried, _)| *tried == text);
    found.map_or_else(|| panic!("nothing is known of {text}"), |(_, known)| *known)
}

impl Known {
    fn syntax(self) -> Option<&'static str> {
        match self {
            Self::NotJson | Self::NotPolicy => Some(SYNTAX),
            Self::Principal => Some(PRINCIPAL),
            Self::Service => Some(SERVICE),
            _ => None,
        }
    }

    fn locks_out(self, tenant: &Tenant) -> bool {
        match self {
            Self::LocksOut(Some(account)) => tenant.account == account,
            Self::LocksOut(None) | Self::PublicAndLocksOut => true,
            _ => false,
        }
    }

    fn is_public(self) -> bool {
        matches!(self, Self::Public | Self::PublicAndLocksOut)
    }
}

fn malformed<T>(text: &str) -> Result<T, Failure> {
    failure("MalformedPolicyDocumentException", text)
}

impl World {
    pub(crate) fn put_resource_policy(
        &mut self,
        tenant: &Tenant,
        id: &str,
        policy: &str,
        name: &Option<String>,
        block: Option<bool>,
    ) -> Outcome {
        Shape::default().secret_id(id).text("resourcePolicy", policy, 1, 20_480).policy_name(name).check()?;
        self.check_id(id)?;
        if name.as_ref().is_some_and(|name| name != "default") {
            return failure("InvalidParameterException", choices::PUT_OTHER_POLICY);
        }
        let index = self.lookup_active(tenant, id)?;
        let known = known(policy);
        if let Some(text) = known.syntax() {
            return malformed(text);
        }
        if known.locks_out(tenant) {
            return failure("InvalidParameterException", LOCK_OUT);
        }
        if known.is_public() && block == Some(true) {
            return failure(
                "PublicPolicyException",
                "You can't attach a resource-based policy that allows broad access to the secret.",
            );
        }
        self.secrets[index].policies.insert("default".to_owned(), policy.to_owned());
        self.touch(index);
        let secret = &self.secrets[index];
        Ok(json!({ "ARN": secret.arn, "Name": secret.name, "PolicyName": "default" }))
    }

    pub(crate) fn get_resource_policy(&mut self, tenant: &Tenant, id: &str, name: &Option<String>) -> Outcome {
        Shape::default().secret_id(id).policy_name(name).check()?;
        self.check_id(id)?;
        let secret = &self.secrets[self.lookup_active(tenant, id)?];
        let name = name.as_deref().unwrap_or("default");
        let policy = secret.policies.get(name);
        if policy.is_none() && name != "default" {
            return not_found();
        }
        let mut out = json!({ "ARN": secret.arn, "Name": secret.name, "PolicyName": name });
        if let Some(policy) = policy {
            out["ResourcePolicy"] = json!(policy);
        }
        Ok(out)
    }

    pub(crate) fn delete_resource_policy(&mut self, tenant: &Tenant, id: &str, name: &Option<String>) -> Outcome {
        Shape::default().secret_id(id).policy_name(name).check()?;
        self.check_id(id)?;
        if name.as_ref().is_some_and(|name| name != "default") {
            return failure("InvalidParameterException", choices::DELETE_OTHER_POLICY);
        }
        let index = self.lookup_active(tenant, id)?;
        if self.secrets[index].policies.remove("default").is_some() {
            self.touch(index);
        }
        let secret = &self.secrets[index];
        Ok(json!({ "ARN": secret.arn, "Name": secret.name, "PolicyName": "default" }))
    }

    pub(crate) fn list_resource_policies(
        &mut self,
        tenant: &Tenant,
        id: &str,
        max: Option<i32>,
        next: &Option<String>,
    ) -> Outcome {
        Shape::default().secret_id(id).number("maxResults", max.map(i64::from), 1, 100).next_token(next).check()?;
        self.check_id(id)?;
        let secret = &self.secrets[self.lookup_active(tenant, id)?];
        if next.is_some() {
            // One policy is always on the first page.
            return failure("InvalidNextTokenException", "The NextToken value is invalid.");
        }
        let names: Vec<Value> = secret.policies.keys().map(|name| json!({ "PolicyName": name })).collect();
        Ok(json!({ "ResourcePolicies": names }))
    }

    pub(crate) fn validate_resource_policy(&mut self, tenant: &Tenant, id: &Option<String>, policy: &str) -> Outcome {
        let shape = Shape::default();
        let shape = if let Some(id) = id { shape.secret_id(id) } else { shape };
        shape.text("resourcePolicy", policy, 1, 20_480).check()?;
        if let Some(id) = id {
            self.check_id(id)?;
            self.lookup_active(tenant, id)?;
        }
        let known = known(policy);
        if known == Known::NotJson {
            return malformed(SYNTAX);
        }
        let failed = [
            ("SyntaxCheck", known.syntax()),
            ("LockOutCheck", known.locks_out(tenant).then_some(LOCK_OUT)),
            ("BlockPublicPolicyCheck", known.is_public().then_some(BROAD)),
        ];
        let failed = failed.into_iter().filter_map(|(name, text)| text.map(|text| (name, text)));
        let entries: Vec<Value> =
            failed.map(|(name, text)| json!({ "CheckName": name, "ErrorMessage": text })).collect();
        Ok(json!({ "PolicyValidationPassed": entries.is_empty(), "ValidationErrors": entries }))
    }
}
