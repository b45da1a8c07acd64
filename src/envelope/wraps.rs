//! The wrapped keys of a version: taken apart, made anew, put together.

use std::sync::Arc;

use crate::envelope::ad::{self, Ad, Fields, push_field};
use crate::envelope::provider::{
    DataKey, EncryptionContext, KeyError, KeyHandle, ProviderFailure, WRAPPED_KEY_BYTES_MAX, WrappedKey,
};
use crate::envelope::root::{RootKeys, Roots};
use crate::envelope::seal::{self, Label, sealed_len};
use crate::envelope::{
    Envelope, Identity, Opened, SealedVersion, StoredVersion, VERSION_BYTES_MAX, checked, context, damaged, on_read,
    on_write, unopened,
};
use crate::error::{Error, KeyOperation, Result};
use crate::model::value::ValueKind;
use crate::model::version::{Content, KeyRole, KeyUse, KmsKeyId};

/// Keys that one version can be wrapped under.
pub(crate) const WRAPS_MAX: usize = 8;

/// What became of a version that was to be wrapped under another key.
#[derive(Debug)]
pub(crate) enum Rewrapped {
    /// The version now has one wrap more.
    Added(SealedVersion),
    /// The version stays as it was: it has that wrap already, or a key did not permit it.
    Unchanged,
}

/// A wrap that a version is to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// The one at this place, as it is.
    Kept(usize),
    /// A new one under this key, which is usable.
    New { requested: KmsKeyId, role: KeyRole, key: KeyHandle },
}

/// What is done to a version besides giving it the wraps that it is to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Renewal {
    /// Nothing: same data key, same ciphertext.
    Wraps,
    /// It gets a data key and a ciphertext of its own. None of its wraps can be kept.
    Value,
}

/// What became of a version whose wraps were made anew.
#[derive(Debug)]
pub(crate) enum Renewed {
    Done(SealedVersion),
    /// None of its keys opens it: the error of the first. It stays as it is.
    Closed(Error),
}

/// One wrap of a version.
pub(super) struct Wrap {
    wrapped: WrappedKey,
    /// Its place in the record that it was read from.
    place: Option<u8>,
    pub(super) used: Arc<KeyUse>,
}

impl Wrap {
    pub(super) fn new(requested: &KmsKeyId, role: KeyRole, wrapped: WrappedKey) -> Self {
        let used = KeyUse {
            requested: requested.clone(),
            provider: wrapped.provider.clone(),
            key_arn: wrapped.key_arn.clone(),
            key_version: wrapped.key_version.clone(),
            role,
        };
        Self { wrapped, place: None, used: Arc::new(used) }
    }

    /// One that was carried here from another store.
    pub(super) fn carried(used: &Arc<KeyUse>, blob: &[u8]) -> Self {
        let wrapped = WrappedKey {
            provider: Arc::clone(&used.provider),
            key_arn: Arc::clone(&used.key_arn),
            key_version: Arc::clone(&used.key_version),
            blob: blob.into(),
        };
        Self { wrapped, place: None, used: Arc::clone(used) }
    }

    /// What the provider returned.
    pub(super) fn blob(&self) -> &[u8] {
        &self.wrapped.blob
    }

    /// Bytes that it takes in the record of a version.
    fn stored_len(&self) -> usize {
        4 + sealed_len(self.wrapped.blob.len())
    }
}

/// The stored bytes of a version, taken apart: a count, that many length-prefixed sealed wraps, the sealed value.
pub(super) struct Record<'a> {
    pub(super) wraps: Vec<&'a [u8]>,
    pub(super) value: &'a [u8],
}

impl<'a> Record<'a> {
    /// Refuses bytes that are not of this form or do not fit what the secret's own record says of them.
    pub(super) fn parse(stored: &StoredVersion<'a>) -> Result<Self> {
        let parse = || {
            let (&count, after_count) = stored.record.split_first()?;
            if usize::from(count) != stored.content.keys.len() {
                return None;
            }
            let mut fields = Fields::new(after_count);
            let field = |_| fields.field(sealed_len(WRAPPED_KEY_BYTES_MAX));
            let wraps = (0..count).map(field).collect::<Option<Vec<_>>>()?;
            Some(Self { wraps, value: fields.rest() })
        };
        parse().ok_or_else(damaged)
    }
}

impl Envelope {
    /// Wraps the data key of a version under one key more. The value itself is not touched.
    ///
    /// A wrap under older material of the same key is replaced. Beyond [`WRAPS_MAX`] keys the oldest wraps go, but for
    /// the one that has just worked and those of recipients.
    pub(crate) fn rewrap(
        &self,
        stored: &StoredVersion<'_>,
        to: &Roots,
        requested: &KmsKeyId,
        key: &KeyHandle,
    ) -> Result<Rewrapped> {
        let StoredVersion { identity, content, .. } = stored;
        let failed =
            |error| on_write(ProviderFailure { key: key.arn.to_string(), operation: KeyOperation::Wrap, error });
        key.state.require_enabled().map_err(failed)?;
        let is_there = |used: &Arc<KeyUse>| {
            used.role == KeyRole::Secret && used.key_arn == key.arn && used.key_version == key.version
        };
        if content.keys.iter().any(is_there) {
            return Ok(Rewrapped::Unchanged);
        }
        let parsed = Record::parse(stored)?;
        // The value is opened, not only the key: a wrong key must not be wrapped anew.
        let Opened { data_key, index: opened_by, .. } = match self.open_any(stored, &parsed, &self.call())? {
            Ok(opened) => opened,
            Err(failure) if failure.error.is_outage() => return Err(on_write(failure)),
            Err(_) => return Ok(Rewrapped::Unchanged),
        };
        let pairs = context(identity);
        let context = EncryptionContext::new(&pairs);
        let wrapped = match self.provider.wrap(key, &data_key, &context, &self.call()) {
            Ok(wrapped) => checked(wrapped).map_err(failed)?,
            Err(KeyError::AccessDenied) => return Ok(Rewrapped::Unchanged),
            Err(error) => return Err(failed(error)),
        };
        self.prove(&wrapped, &data_key, &context)?;
        let added = Wrap::new(requested, KeyRole::Secret, wrapped);
        let mut kept: Vec<(u8, Wrap)> = (0..).zip(self.open_wraps(stored, &parsed)?).collect();
        kept.retain(|(_, wrap)| wrap.used.key_arn != key.arn);
        let recipients = self.recipients();
        loop {
            let bytes = kept.iter().map(|(_, wrap)| wrap.stored_len()).sum::<usize>();
            let fits = 1 + bytes + added.stored_len() + parsed.value.len() <= VERSION_BYTES_MAX;
            // A recipient may have been the secret's own key when this was wrapped.
            let is_recipient = |wrap: &Wrap| {
                wrap.used.role == KeyRole::Recovery
                    || recipients.iter().any(|one| one.root.key_arn == wrap.used.key_arn)
            };
            let can_go = |(index, wrap): &(u8, Wrap)| *index != opened_by && !is_recipient(wrap);
            match kept.iter().position(can_go) {
                Some(oldest) if !fits || kept.len() >= WRAPS_MAX => kept.remove(oldest),
                _ => break,
            };
        }
        let wraps = kept.into_iter().map(|(_, wrap)| wrap).chain([added]).collect();
        self.assemble(to, identity, content.kind, wraps, parsed.value).map(Rewrapped::Added)
    }

    /// Gives a version exactly the wraps that it is to have, and proves that each new one opens it before giving it back.
    ///
    /// # Errors
    ///
    /// A key under which a new wrap is to be cannot be used, or the provider cannot be reached, or the version is damaged.
    pub(crate) fn renew(
        &self,
        stored: &StoredVersion<'_>,
        to: &Roots,
        wanted: &[Wanted],
        renewal: Renewal,
    ) -> Result<Renewed> {
        let StoredVersion { identity, current, content, .. } = stored;
        let parsed = Record::parse(stored)?;
        let pairs = context(identity);
        let context = EncryptionContext::new(&pairs);
        // The value is opened, not only the key: a wrong key must not be wrapped anew.
        let opened = match self.open_any(stored, &parsed, &self.call())? {
            Ok(opened) => opened,
            Err(failure) if failure.error.is_outage() => return Err(on_write(failure)),
            Err(failure) => return Ok(Renewed::Closed(on_read(failure))),
        };
        let fresh = match renewal {
            Renewal::Value => Some(DataKey::generate(&*self.entropy)?),
            Renewal::Wraps => None,
        };
        let data_key = fresh.as_ref().unwrap_or(&opened.data_key);
        let mut there: Vec<Option<Wrap>> = self.open_wraps(stored, &parsed)?.into_iter().map(Some).collect();
        let mut wraps = Vec::with_capacity(wanted.len());
        let mut is_proven = false;
        for wanted in wanted {
            wraps.push(match wanted {
                Wanted::Kept(place) if renewal == Renewal::Wraps => {
                    there.get_mut(*place).and_then(Option::take).ok_or_else(damaged)?
                }
                Wanted::New { requested, role, key } => {
                    let wrapped = self.wrap(key, data_key, &context)?;
                    is_proven |= self.prove(&wrapped, data_key, &context)?;
                    Wrap::new(requested, *role, wrapped)
                }
                Wanted::Kept(_) => {
                    return Err(Error::corrupted("a wrapped key was to be kept that does not belong to its value"));
                }
            });
        }
        self.make_room(&mut wraps, opened.index, parsed.value.len());
        let value = match &fresh {
            Some(data_key) => {
                let sealed = self.seal_value(identity, content.kind, &opened.plaintext, data_key)?;
                let ad = self.value_ad(identity, content.kind);
                let reads_back = seal::open(data_key.expose(), Label::Value, ad.as_bytes(), &sealed)
                    .is_ok_and(|plaintext| *plaintext == *opened.plaintext);
                if !reads_back {
                    return Err(Error::corrupted("a value that was sealed anew does not open"));
                }
                std::borrow::Cow::Owned(sealed)
            }
            None => std::borrow::Cow::Borrowed(parsed.value),
        };
        let renewed = self.assemble(to, identity, content.kind, wraps, &value)?;
        if !is_proven {
            // No wrap is new, or none that is was seen to open: what there is has to open the value by itself.
            let SealedVersion { content, record, .. } = &renewed;
            let left = StoredVersion { root: &to.newest, identity: *identity, current, content, record };
            match self.open_any(&left, &Record::parse(&left)?, &self.proof())? {
                Ok(_) => {}
                Err(failure) if failure.error.is_outage() => return Err(on_write(failure)),
                Err(failure) => return Ok(Renewed::Closed(on_read(failure))),
            }
        }
        Ok(Renewed::Done(renewed))
    }

    /// Gives up the oldest wraps under keys of the secret's own where there are too many, but for the one that has just opened
    /// it, the newest, and those of recipients.
    fn make_room(&self, wraps: &mut Vec<Wrap>, opened_by: u8, value_bytes: usize) {
        let recipients = self.recipients();
        loop {
            let bytes = 1 + wraps.iter().map(Wrap::stored_len).sum::<usize>() + value_bytes;
            if wraps.len() <= WRAPS_MAX && bytes <= VERSION_BYTES_MAX {
                return;
            }
            let newest = wraps.iter().rposition(|wrap| wrap.used.role == KeyRole::Secret);
            let can_go = |(place, wrap): (usize, &Wrap)| {
                let is_recipient = || recipients.iter().any(|one| one.root.key_arn == wrap.used.key_arn);
                wrap.used.role == KeyRole::Secret
                    && Some(place) != newest
                    && wrap.place != Some(opened_by)
                    && !is_recipient()
            };
            match wraps.iter().enumerate().position(can_go) {
                Some(oldest) => drop(wraps.remove(oldest)),
                None => return,
            }
        }
    }

    /// Moves a version to another generation of the root key. Nobody is asked for anything.
    pub(crate) fn reseal(&self, stored: &StoredVersion<'_>, to: &Roots) -> Result<SealedVersion> {
        let parsed = Record::parse(stored)?;
        let wraps = self.open_wraps(stored, &parsed)?;
        self.assemble(to, &stored.identity, stored.content.kind, wraps, parsed.value)
    }

    /// Every wrap of a version, as the provider returned it.
    pub(super) fn open_wraps(&self, stored: &StoredVersion<'_>, parsed: &Record<'_>) -> Result<Vec<Wrap>> {
        let StoredVersion { root, identity, content, .. } = stored;
        let open = |(index, (used, sealed)): (u8, (&Arc<KeyUse>, &&[u8]))| {
            let wrapped = self.open_wrap(root, identity, index, used, sealed)?;
            Ok(Wrap { wrapped, place: Some(index), used: Arc::clone(used) })
        };
        (0..).zip(content.keys.iter().zip(&parsed.wraps)).map(open).collect()
    }

    /// Sees whether the provider gives back what it has just wrapped. Whoever may only encrypt cannot be asked for proof.
    pub(super) fn prove(
        &self,
        wrapped: &WrappedKey,
        data_key: &DataKey,
        context: &EncryptionContext<'_>,
    ) -> Result<bool> {
        let error = match self.provider.unwrap(wrapped, context, &self.proof()) {
            Ok(unwrapped) if unwrapped == *data_key => return Ok(true),
            Err(KeyError::AccessDenied) => return Ok(false),
            Ok(_) => KeyError::Internal,
            Err(error) => error,
        };
        let key = wrapped.key_arn.to_string();
        Err(on_write(ProviderFailure { key, operation: KeyOperation::Wrap, error }))
    }

    /// The record of a version with these wraps.
    pub(super) fn assemble(
        &self,
        roots: &Roots,
        identity: &Identity<'_>,
        kind: ValueKind,
        wraps: Vec<Wrap>,
        value: &[u8],
    ) -> Result<SealedVersion> {
        let bytes = 1 + wraps.iter().map(Wrap::stored_len).sum::<usize>() + value.len();
        if wraps.is_empty() || wraps.len() > WRAPS_MAX || bytes > VERSION_BYTES_MAX {
            return Err(Error::limit_exceeded(format!(
                "A version is wrapped under 1 to {WRAPS_MAX} keys, and takes at most {VERSION_BYTES_MAX} bytes with them."
            )));
        }
        let mut record = Vec::with_capacity(bytes);
        record.extend(u8::try_from(wraps.len()));
        for (index, wrap) in (0..).zip(&wraps) {
            push_field(&mut record, &self.seal_wrap(&roots.newest, identity, index, &wrap.wrapped)?);
        }
        record.extend_from_slice(value);
        let keys = wraps.into_iter().map(|wrap| wrap.used).collect();
        Ok(SealedVersion { content: Content { kind, keys }, record, time: roots.time() })
    }

    pub(super) fn open_wrap(
        &self,
        root: &RootKeys,
        identity: &Identity<'_>,
        index: u8,
        used: &KeyUse,
        sealed: &[u8],
    ) -> Result<WrappedKey> {
        let ad = self.wrap_ad(identity, index, [&used.provider, &used.key_arn, &used.key_version]);
        let blob = root.outer.open(Label::DataKey, ad.as_bytes(), sealed).map_err(unopened)?;
        Ok(WrappedKey {
            provider: used.provider.clone(),
            key_arn: used.key_arn.clone(),
            key_version: used.key_version.clone(),
            blob: blob.as_slice().into(),
        })
    }

    fn seal_wrap(&self, root: &RootKeys, identity: &Identity<'_>, index: u8, wrapped: &WrappedKey) -> Result<Vec<u8>> {
        let ad = self.wrap_ad(identity, index, [&wrapped.provider, &wrapped.key_arn, &wrapped.key_version]);
        Ok(root.outer.seal(Label::DataKey, ad.as_bytes(), &wrapped.blob, &*self.entropy)?)
    }

    fn wrap_ad(&self, identity: &Identity<'_>, index: u8, key: [&str; 3]) -> Ad {
        ad::data_key(&self.store, identity.uid, identity.version.as_str(), key, index)
    }
}
