//! `TagResource`.

use crate::access::Access;
use crate::error::{Error, Result};
use crate::model::id::SecretId;
use crate::model::secret::Secret;
use crate::model::shape::Shape;
use crate::model::tag::{NewTags, Tag};
use crate::run::{Moment, Operation, Verdict};
use crate::store::SecretsManager;

request! {
    /// Request of [`SecretsManager::tag_resource`].
    TagResourceRequest {
        required {
            /// Name, ARN, or ARN without its random end.
            secret_id: String,
        }
        required_lists {
            /// Unique keys of 1 to 128 characters that do not begin with `aws:`, values of 0 to 256 characters.
            tags: Tag,
        }
    }
}

impl SecretsManager {
    /// Adds tags to a secret.
    ///
    /// A key that the secret has already gets the new value in its old place; new keys are appended.
    ///
    /// # Errors
    ///
    /// In this order, the first that applies:
    ///
    /// 1. [`ErrorKind::Validation`](crate::ErrorKind::Validation): members break the limits of the request; then, the
    ///    `SecretId` is neither a name nor an ARN of a secret.
    /// 2. [`ErrorKind::InvalidParameter`](crate::ErrorKind::InvalidParameter): a key appears twice or is reserved, or there
    ///    are more than 50 tags, in the request or, after step 4, on the secret.
    /// 3. [`ErrorKind::ResourceNotFound`](crate::ErrorKind::ResourceNotFound): no such secret.
    /// 4. [`ErrorKind::InvalidRequest`](crate::ErrorKind::InvalidRequest): the secret is scheduled for deletion.
    /// 5. [`ErrorKind::Storage`](crate::ErrorKind::Storage): the commit failed. Reopen the store to learn the outcome.
    ///
    /// # Example
    ///
    /// ```
    /// # use strongroom::*;
    /// # let store = SecretStore::in_memory().key_provider(StaticKey::new([7; 32])).open()?;
    /// # let secrets = store.default_secrets_manager();
    /// # secrets.create_secret(CreateSecretRequest::new("db/main").secret_string("s3cret"))?;
    /// secrets.tag_resource(TagResourceRequest::new("db/main", [Tag::new("team", "payments")]))?;
    /// assert_eq!(secrets.describe_secret(DescribeSecretRequest::new("db/main"))?.tags.unwrap().len(), 1);
    /// # Ok::<(), strongroom::Error>(())
    /// ```
    ///
    /// Source: <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_TagResource.html>
    pub fn tag_resource(&self, request: TagResourceRequest) -> Result<()> {
        self.call(request, |request| self.answer_tag_resource(request))
    }

    fn answer_tag_resource(&self, request: TagResourceRequest) -> Result<()> {
        let TagResourceRequest { secret_id, tags } = request;
        let mut shape = Shape::new();
        let secret_id = shape.secret_id(secret_id);
        let tags = shape.required("tags", tags);
        shape.tags(&tags);
        shape.finish()?;
        let id = SecretId::parse(&secret_id, self.tenant())?;
        self.run(&TagResource { id, tags: NewTags::parse(tags)? })
    }
}

#[derive(Debug)]
struct TagResource {
    id: SecretId,
    tags: NewTags,
}

impl Operation for TagResource {
    type Response = ();

    fn secret_id(&self) -> &SecretId {
        &self.id
    }

    fn access(&self) -> Access<'_> {
        Access { request_tags: Some(self.tags.as_slice()), ..Access::to("TagResource") }
    }

    fn may_lock_out(&self) -> bool {
        true
    }

    fn decide(&self, secret: Option<Secret>, _: Option<bool>, moment: &Moment<'_>) -> Result<Verdict<()>> {
        let mut secret = secret.ok_or_else(Error::secret_not_found)?;
        secret.require_active()?;
        secret.require_primary()?;
        secret.tag(self.tags.clone(), moment.now)?;
        Ok(Verdict::store(secret, ()))
    }
}
