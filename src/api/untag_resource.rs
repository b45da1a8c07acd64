//! `UntagResource`.

use crate::access::Access;
use crate::error::{Error, Result};
use crate::model::id::SecretId;
use crate::model::secret::Secret;
use crate::model::shape::{LISTED_MAX, Shape};
use crate::run::{Moment, Operation, Verdict};
use crate::store::SecretsManager;

request! {
    /// Request of [`SecretsManager::untag_resource`].
    UntagResourceRequest {
        required {
            /// Name, ARN, or ARN without its random end.
            secret_id: String,
        }
        required_lists {
            /// Keys of 1 to 128 characters. Keys that the secret does not have are ignored.
            tag_keys: String,
        }
    }
}

impl SecretsManager {
    /// Removes tags from a secret.
    ///
    /// A secret that loses its last tag is left with an empty list of tags.
    ///
    /// # Errors
    ///
    /// In this order, the first that applies:
    ///
    /// 1. [`ErrorKind::Validation`](crate::ErrorKind::Validation): members break the limits of the request; then, the
    ///    `SecretId` is neither a name nor an ARN of a secret.
    /// 2. [`ErrorKind::ResourceNotFound`](crate::ErrorKind::ResourceNotFound): no such secret.
    /// 3. [`ErrorKind::InvalidRequest`](crate::ErrorKind::InvalidRequest): the secret is scheduled for deletion.
    /// 4. [`ErrorKind::Storage`](crate::ErrorKind::Storage): the commit failed. Reopen the store to learn the outcome.
    ///
    /// # Example
    ///
    /// ```
    /// # use strongroom::*;
    /// # let store = SecretStore::in_memory().key_provider(StaticKey::new([7; 32])).open()?;
    /// # let secrets = store.default_secrets_manager();
    /// # secrets.create_secret(CreateSecretRequest::new("db/main").secret_string("s3cret"))?;
    /// secrets.tag_resource(TagResourceRequest::new("db/main", [Tag::new("team", "payments")]))?;
    /// secrets.untag_resource(UntagResourceRequest::new("db/main", ["team"]))?;
    /// assert_eq!(secrets.describe_secret(DescribeSecretRequest::new("db/main"))?.tags, Some(vec![]));
    /// # Ok::<(), strongroom::Error>(())
    /// ```
    ///
    /// Source: <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_UntagResource.html>
    pub fn untag_resource(&self, request: UntagResourceRequest) -> Result<()> {
        self.call(request, |request| self.answer_untag_resource(request))
    }

    fn answer_untag_resource(&self, request: UntagResourceRequest) -> Result<()> {
        let UntagResourceRequest { secret_id, tag_keys } = request;
        let mut shape = Shape::new();
        let secret_id = shape.secret_id(secret_id);
        let tag_keys = shape.required("tagKeys", tag_keys);
        // DIFFERENCE: the model has no such limit. Nobody has that many tags to remove, and conditions look at every one.
        shape.list("tagKeys", &tag_keys, 0, LISTED_MAX);
        for (key, index) in tag_keys.iter().take(LISTED_MAX).zip(1..) {
            shape.tag_key(&format!("tagKeys.{index}.member"), key);
        }
        shape.finish()?;
        let id = SecretId::parse(&secret_id, self.tenant())?;
        self.run(&UntagResource { id, tag_keys })
    }
}

#[derive(Debug)]
struct UntagResource {
    id: SecretId,
    tag_keys: Vec<String>,
}

impl Operation for UntagResource {
    type Response = ();

    fn secret_id(&self) -> &SecretId {
        &self.id
    }

    fn access(&self) -> Access<'_> {
        Access { tag_keys: Some(&self.tag_keys), ..Access::to("UntagResource") }
    }

    fn may_lock_out(&self) -> bool {
        true
    }

    fn decide(&self, secret: Option<Secret>, _: Option<bool>, moment: &Moment<'_>) -> Result<Verdict<()>> {
        let mut secret = secret.ok_or_else(Error::secret_not_found)?;
        secret.require_active()?;
        secret.require_primary()?;
        secret.untag(&self.tag_keys, moment.now);
        Ok(Verdict::store(secret, ()))
    }
}
