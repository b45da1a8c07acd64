//! `CreateSecret`.

use crate::access::Access;
use crate::api::ReplicationStatusType;
use crate::api::associate_cross_account_replica::counterpart;
use crate::api::write::{Token, kms_key_id, token, token_taken, value};
use crate::error::{Error, ErrorKind, Result};
use crate::model::id::{SecretId, SecretName, arn};
use crate::model::limits as lim;
use crate::model::policy::AttachedPolicies;
use crate::model::replication::{Links, NewReplica, ReplicaRegionType, require_own_key};
use crate::model::secret::{Owner, Secret};
use crate::model::shape::Shape;
use crate::model::stages::Stages;
use crate::model::tag::{NewTags, Tag};
use crate::model::tenant::Tenant;
use crate::model::value::{SecretBytes, SecretString, SecretValue};
use crate::model::version::{KmsKeyId, VersionId};
use crate::run::{KeyWork, Moment, Operation, Plan, Verdict, arn_suffix, new_uid};
use crate::store::SecretsManager;
use std::sync::Arc;

request! {
    /// Request of [`SecretsManager::create_secret`].
    CreateSecretRequest {
        required {
            /// 1 to 512 of the characters `A-Z a-z 0-9 / _ + = . @ - !`, unique in the account and Region.
            name: String,
        }
        optional {
            /// 32 to 64 characters; becomes the id of the first version.
            client_request_token: String,
            /// At most 2,048 characters. Empty is the same as none.
            description: String,
            /// The key that protects the values: a key id, key ARN, alias or alias ARN. Absent or empty: the default key.
            kms_key_id: String,
            /// The first value, as text: 1 to 65,536 bytes of UTF-8. Excludes `secret_binary`.
            secret_string: SecretString,
            /// The first value, as bytes: 1 to 65,536. Excludes `secret_string`.
            secret_binary: SecretBytes,
            /// The partner of a managed external secret, at most 256 characters (`Type` in the API).
            r#type: String,
            /// Whether secrets that have the same name in the Regions of replicas are replaced. They are gone at once.
            force_overwrite_replica_secret: bool,
        }
        renamed {
            /// Makes the secret the replica of one in another account, of the same Region and partition, which then has to
            /// associate it. Excludes values, a description, a type and replica Regions, and needs a key of the own account.
            cross_account_primary_arn as "CrossAccountPrimaryARN": String,
        }
        lists {
            /// Regions to replicate the secret to, at least one, as for
            /// [`replicate_secret_to_regions`](SecretsManager::replicate_secret_to_regions).
            add_replica_regions: ReplicaRegionType,
            /// At most 50, with unique keys that do not begin with `aws:`. An empty list is not the same as none.
            tags: Tag,
        }
    }
}

response! {
    /// Response of [`SecretsManager::create_secret`].
    #[derive(Debug, Clone, PartialEq, Eq)]
    CreateSecretResponse {
        /// The ARN of the secret, which ends in six random letters and digits.
        arn: String,
        /// The name of the secret.
        name: String,
        /// The id of the first version, if the request brought a value.
        version_id: Option<String>,
        /// The status of the replicas, if the request asked for any.
        replication_status: Option<Vec<ReplicationStatusType>>,
    }
}

impl SecretsManager {
    /// Creates a secret, with a first value or without one.
    ///
    /// The first version takes the label `AWSCURRENT`. On `Ok` the secret is durable.
    ///
    /// # Idempotency
    ///
    /// Repeating a call with the same token and the same value changes nothing and gives the same response; what else
    /// the request says is not compared.
    ///
    /// # Errors
    ///
    /// In this order, the first that applies:
    ///
    /// 1. [`ErrorKind::Validation`]: members break the limits given at [`CreateSecretRequest`], all of them in one
    ///    message; then, the name has other characters.
    /// 2. [`ErrorKind::InvalidParameter`]: both forms of value are given; then, there are too many tags, or a tag key is
    ///    reserved or appears twice; then, what goes with `cross_account_primary_arn` is missing or excluded; then, a replica
    ///    Region is unknown, in another partition, the own one, or given twice.
    /// 3. [`ErrorKind::InvalidRequest`]: there is no token, and the store requires one.
    /// 4. [`ErrorKind::InvalidRequest`]: a secret of this name is scheduled for deletion.
    /// 5. [`ErrorKind::ResourceExists`]: a secret of this name exists, and the token names none of its versions, or one
    ///    with another value. [`ErrorKind::DecryptionFailure`]: that version could not be opened to compare.
    /// 6. [`ErrorKind::KeyAccessDenied`], [`ErrorKind::InvalidKey`], [`ErrorKind::EncryptionFailure`],
    ///    [`ErrorKind::KeyProviderOutage`]: the key does not exist, is in another Region, is in a state that forbids its
    ///    use, or its provider fails.
    /// 7. [`ErrorKind::LimitExceeded`]: the account and Region are full, or the metadata does not fit.
    /// 8. [`ErrorKind::Storage`]: the commit failed. Reopen the store to learn the outcome.
    ///
    /// # Example
    ///
    /// ```
    /// # use strongroom::{CreateSecretRequest, SecretStore, StaticKey, Tag};
    /// # let store = SecretStore::in_memory().key_provider(StaticKey::new([7; 32])).open()?;
    /// # let secrets = store.default_secrets_manager();
    /// let created = secrets.create_secret(
    ///     CreateSecretRequest::new("db/main").secret_string("s3cret").tags([Tag::new("team", "payments")]),
    /// )?;
    /// assert!(created.arn.starts_with("arn:aws:secretsmanager:us-east-1:000000000000:secret:db/main-"));
    /// # Ok::<(), strongroom::Error>(())
    /// ```
    ///
    /// Source: <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html>
    pub fn create_secret(&self, request: CreateSecretRequest) -> Result<CreateSecretResponse> {
        self.call(request, |request| {
            let operation = CreateSecret::parse(self, request)?;
            let mut response = self.run(&operation)?;
            if operation.replicas.is_some() {
                response.replication_status = Some(self.replication_statuses_of(&response.arn)?);
            }
            Ok(response)
        })
    }
}

/// The tag that tells to which service a secret belongs.
const OWNING_SERVICE_TAG: &str = "aws:secretsmanager:owningService";

#[derive(Debug)]
struct CreateSecret {
    tenant: Arc<Tenant>,
    id: SecretId,
    name: SecretName,
    token: VersionId,
    value: Option<SecretValue>,
    description: String,
    /// `None`: not given, so it need not be looked up before it is used.
    kms_key_id: Option<KmsKeyId>,
    /// As it was asked for, the default key included.
    kms_key_text: Option<String>,
    external_type: Option<String>,
    tags: Option<NewTags>,
    replicas: Option<Vec<NewReplica>>,
    overwrite: Option<bool>,
    /// The secret in another account that it is to be the replica of, and its account.
    primary: Option<(String, Arc<Tenant>)>,
    versions_max: usize,
    owner: Owner,
}

impl CreateSecret {
    fn parse(manager: &SecretsManager, request: CreateSecretRequest) -> Result<Self> {
        let CreateSecretRequest {
            name,
            client_request_token,
            description,
            kms_key_id: key,
            secret_string,
            secret_binary,
            r#type,
            force_overwrite_replica_secret,
            cross_account_primary_arn,
            add_replica_regions,
            tags,
        } = request;
        let mut shape = Shape::new();
        let name = shape.required_text("name", name, 1, lim::NAME_CHARS_MAX);
        shape.client_request_token(client_request_token.as_ref());
        shape.metadata(description.as_ref(), key.as_ref());
        shape.value(secret_string.as_ref(), secret_binary.as_ref());
        if let Some(tags) = &tags {
            shape.tags(tags);
        }
        shape.optional_text("type", r#type.as_ref(), 0, lim::TYPE_CHARS_MAX);
        if let Some(regions) = &add_replica_regions {
            shape.replica_regions(regions);
        }
        shape.secret_arn("crossAccountPrimaryARN", cross_account_primary_arn.as_ref());
        shape.finish()?;
        let name = SecretName::parse(&name)?;
        let value = value(secret_string, secret_binary)?;
        let owner = manager.owner().0.as_deref();
        let parse = if owner.is_some() { NewTags::parse_any } else { NewTags::parse };
        let tags = owned(tags, owner).map(parse).transpose()?;
        let primary = match cross_account_primary_arn {
            Some(arn) => {
                let excluded = [
                    ("AddReplicaRegions", add_replica_regions.is_some()),
                    ("Description", description.is_some()),
                    ("SecretBinary or SecretString", value.is_some()),
                    ("Type", r#type.is_some()),
                ];
                if let Some((member, _)) = excluded.into_iter().find(|(_, is_given)| *is_given) {
                    return Err(Error::invalid_parameter(format!(
                        "You can't specify {member} together with CrossAccountPrimaryARN."
                    )));
                }
                require_own_key(&key.as_deref().map(KmsKeyId::parse).unwrap_or_default())?;
                let (tenant, _) = counterpart(&arn, manager.tenant())?;
                Some((arn, tenant))
            }
            None => None,
        };
        let regions = &manager.settings().replication.regions;
        let replicas =
            add_replica_regions.map(|asked| NewReplica::parse_all(asked, manager.tenant(), regions)).transpose()?;
        let token = manager.client_request_token(client_request_token)?;
        let kms_key_text = key.clone();
        let key = key.map(|key| kms_key_id(&key, manager.tenant()));
        Ok(Self {
            tenant: Arc::clone(manager.tenant()),
            id: SecretId::Name(name.clone()),
            name,
            token,
            value,
            description: description.unwrap_or_default(),
            kms_key_id: key,
            kms_key_text,
            external_type: r#type.filter(|text| !text.is_empty()),
            tags,
            replicas,
            overwrite: force_overwrite_replica_secret,
            primary,
            versions_max: manager.settings().versions_max,
            owner: manager.owner().clone(),
        })
    }

    /// The name is taken: the call is a repetition, or an error.
    fn repeat(&self, secret: &Secret, is_same: Option<bool>) -> Result<Verdict<CreateSecretResponse>> {
        if secret.deletion_at.is_some() {
            return Err(Error::invalid_request(
                "You can't create this secret because a secret with this name is already scheduled for deletion.",
            ));
        }
        match (&self.value, token(secret, &self.token, is_same)) {
            (Some(_), Token::Taken { is_same: None }) => Ok(Verdict::Compare(self.token.clone())),
            (Some(_), Token::Taken { is_same: Some(true) }) => Ok(Verdict::Answer(self.response(secret))),
            (_, Token::Taken { .. }) => Err(token_taken(secret, &self.token)),
            (_, Token::New) => Err(Error::new(
                ErrorKind::ResourceExists,
                format!("The operation failed because the secret {} already exists.", self.name),
            )),
        }
    }

    fn response(&self, secret: &Secret) -> CreateSecretResponse {
        CreateSecretResponse {
            arn: secret.arn.clone(),
            name: secret.name.to_string(),
            version_id: self.value.is_some().then(|| self.token.to_string()),
            replication_status: None,
        }
    }
}

impl Operation for CreateSecret {
    type Response = CreateSecretResponse;

    fn secret_id(&self) -> &SecretId {
        &self.id
    }

    fn access(&self) -> Access<'_> {
        Access {
            name: Some(self.name.as_str()),
            description: Some(self.description.as_str()).filter(|text| !text.is_empty()),
            kms_key_id: self.kms_key_text.as_deref(),
            secret_type: self.external_type.as_deref(),
            replica_regions: self.replicas.as_deref(),
            force_overwrite_replica_secret: self.overwrite,
            is_cross_account_replica: self.primary.is_some(),
            request_tags: self.tags.as_ref().map(NewTags::as_slice),
            ..Access::to("CreateSecret")
        }
    }

    fn new_name(&self) -> Option<&SecretName> {
        Some(&self.name)
    }

    fn value(&self) -> Option<&SecretValue> {
        self.value.as_ref()
    }

    fn decide(
        &self,
        secret: Option<Secret>,
        is_same: Option<bool>,
        moment: &Moment<'_>,
    ) -> Result<Verdict<CreateSecretResponse>> {
        if let Some(secret) = secret {
            return self.repeat(&secret, is_same);
        }
        let mut secret = Secret {
            tenant: Arc::clone(&self.tenant),
            uid: new_uid(moment.entropy)?,
            name: self.name.clone(),
            arn: arn(&self.tenant, &self.name, &arn_suffix(moment.entropy)?),
            description: None,
            kms_key_id: self.kms_key_id.clone().unwrap_or_default(),
            external_type: self.external_type.clone(),
            tags: self.tags.clone().map(NewTags::into_vec),
            created_at: moment.now,
            last_changed_at: moment.now,
            accessed_on: None,
            deletion_at: None,
            owning_service: self.owner.0.as_deref().map(str::to_owned),
            primary_region: None,
            links: Links::default(),
            rotation: None,
            policies: AttachedPolicies::default(),
            versions_made: 0,
            versions: Vec::new(),
            stages: Stages::default(),
        };
        secret.describe(self.description.clone());
        let seal = match &self.value {
            Some(_) => {
                secret.add_version(&self.token, &[], self.versions_max, moment.now)?;
                secret.last_changed_at = moment.now;
                Some(self.token.clone())
            }
            None => None,
        };
        if let Some(replicas) = &self.replicas {
            secret.add_regions(replicas, self.overwrite == Some(true), moment.now);
            secret.last_changed_at = moment.now;
        }
        if let Some((primary_arn, tenant)) = &self.primary {
            secret.await_primary(primary_arn.clone(), tenant);
        }
        let key = if self.kms_key_id.is_some() { KeyWork::Check } else { KeyWork::None };
        let response = self.response(&secret);
        Ok(Verdict::Store(Box::new(Plan { secret, seal, key, response })))
    }
}

/// The tags of a secret that a service makes tell the service.
fn owned(tags: Option<Vec<Tag>>, owner: Option<&str>) -> Option<Vec<Tag>> {
    let Some(owner) = owner else { return tags };
    let mut tags = tags.unwrap_or_default();
    tags.retain(|tag| tag.key != OWNING_SERVICE_TAG);
    tags.insert(0, Tag::new(OWNING_SERVICE_TAG, owner));
    Some(tags)
}
