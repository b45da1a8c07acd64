//! Policies of secrets that were read a short while ago, so that not every call has to read them.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use uuid::Uuid;

use crate::policy::{PolicyFault, ResourcePolicy};

/// Secrets whose policies are kept, and the bytes of their texts. What is kept can be fifty times as large as its text.
const KEPT_MAX: usize = 1_024;
const KEPT_BYTES_MAX: usize = 512 * 1024;

/// The policies of secrets, by the uid of the secret.
#[derive(Debug, Default)]
pub(crate) struct ParsedPolicies(RwLock<Kept>);

#[derive(Debug, Default)]
struct Kept {
    by_secret: HashMap<Uuid, OfSecret>,
    bytes: usize,
}

#[derive(Debug)]
struct OfSecret {
    texts: Vec<String>,
    policies: Arc<[ResourcePolicy]>,
}

impl OfSecret {
    fn bytes(&self) -> usize {
        self.texts.iter().map(String::len).sum()
    }
}

impl ParsedPolicies {
    /// The policies that the texts of a secret are.
    ///
    /// # Errors
    ///
    /// One is none, which was not so when it was stored.
    pub(crate) fn get<'a>(
        &self,
        secret: Uuid,
        texts: impl Iterator<Item = &'a str> + Clone,
    ) -> Result<Arc<[ResourcePolicy]>, PolicyFault> {
        let kept = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = kept.by_secret.get(&secret)
            && known.texts.iter().map(String::as_str).eq(texts.clone())
        {
            return Ok(Arc::clone(&known.policies));
        }
        drop(kept);
        let policies: Arc<[ResourcePolicy]> = texts.clone().map(ResourcePolicy::parse).collect::<Result<_, _>>()?;
        let new = OfSecret { texts: texts.map(str::to_owned).collect(), policies: Arc::clone(&policies) };
        let mut kept = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if kept.by_secret.len() >= KEPT_MAX || kept.bytes + new.bytes() > KEPT_BYTES_MAX {
            *kept = Kept::default();
        }
        kept.bytes += new.bytes();
        let former = kept.by_secret.insert(secret, new);
        kept.bytes = kept.bytes.saturating_sub(former.map_or(0, |former| former.bytes()));
        Ok(policies)
    }
}
