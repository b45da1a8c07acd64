//! The header: the wraps of the store's root key, and a copy of it for the day on which both of its copies are lost.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use crate::envelope::provider::{DataKey, KeyHandle};
use crate::error::{Error, Result};
use crate::model::version::{KeyRole, KmsKeyId};
use crate::records::header::{HEADER_BYTES_MAX, Header, RootWrap, WRAPS_MAX};
use crate::store::backup::{cannot, given_file, new_file};
use crate::store::builder::{Builder, Failures, OpenMode, Place, derive, is_outage};
use crate::store::directory::Directory;
use crate::store::keys::rewrap::last_wrap;
use crate::store::keys::{KeyOptions, Problems};
use crate::store::{Inner, SecretStore, StoredHeader};

/// Where a problem is about the store itself.
const ROOT: &str = "the root key of the store";

impl SecretStore {
    /// Writes a copy of the store's header into a new file, for its owner alone (mode 0600).
    ///
    /// The header holds the wrapped root key: a store that has lost both copies of it is lost, unless there is a backup of
    /// the store, which has it too, or of the header. [`Builder::restore_header`] puts it back. After a change of the root
    /// key an older copy is of no use; after a change of what the root key is wrapped under, an older copy still opens with
    /// the old keys: keep it as carefully as the keys themselves.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::BackupFile`](crate::ErrorKind::BackupFile): there is such a file already. [`ErrorKind::Storage`](crate::ErrorKind::Storage): it cannot be written.
    /// [`ErrorKind::Closed`](crate::ErrorKind::Closed).
    ///
    /// ```
    /// # use strongroom::{SecretStore, StaticKey};
    /// # let directory = tempfile::tempdir().unwrap();
    /// # let directory = directory.path();
    /// let store = SecretStore::builder(directory.join("vault")).key_provider(StaticKey::new([7; 32])).open()?;
    /// store.backup_header(directory.join("vault.hdr"))?;
    /// # Ok::<(), strongroom::Error>(())
    /// ```
    pub fn backup_header(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        self.inner.records.usable()?;
        let stored = self.inner.header().stored.clone();
        let new = new_file(path)?;
        let write = || {
            new.file().write_all(&stored)?;
            new.sync()
        };
        write().map_err(cannot("write", path))?;
        new.publish().map_err(cannot("write", path))
    }
}

impl Builder {
    /// Puts a copy of a store's header back, which [`SecretStore::backup_header`] wrote, in the place of one that is lost or
    /// damaged. The store must not be open.
    ///
    /// The copy has to open with the key provider, and to be one of this very store: the anchor says so. A header that is
    /// there and sound gives way to a copy of its own generation of the root key only; if the store does not open with the
    /// copy, what was there is put back.
    ///
    /// # Errors
    ///
    /// In this order, the first that applies:
    ///
    /// 1. [`ErrorKind::Configuration`](crate::ErrorKind::Configuration): as for [`open`](Self::open), or the store is not in a directory.
    /// 2. [`ErrorKind::BackupFile`](crate::ErrorKind::BackupFile), [`ErrorKind::Storage`](crate::ErrorKind::Storage): the copy cannot be read.
    /// 3. [`ErrorKind::NotAStore`](crate::ErrorKind::NotAStore), [`ErrorKind::Corrupted`](crate::ErrorKind::Corrupted), [`ErrorKind::UnsupportedFormat`](crate::ErrorKind::UnsupportedFormat): it is no header, or damaged.
    /// 4. [`ErrorKind::AlreadyOpen`](crate::ErrorKind::AlreadyOpen): the store is open.
    /// 5. [`ErrorKind::WrongKey`](crate::ErrorKind::WrongKey) and its like: the key provider does not open it.
    /// 6. [`ErrorKind::Corrupted`](crate::ErrorKind::Corrupted): it is the header of another store, or of another time: the anchor does not fit.
    ///
    /// Then, as for [`open`](Self::open): the store is opened.
    pub fn restore_header(self, copy: impl AsRef<Path>) -> Result<SecretStore> {
        let copy = copy.as_ref();
        let mut stored = Vec::new();
        let file = given_file("file", copy)?;
        let mut bounded = std::io::Read::take(file, HEADER_BYTES_MAX as u64);
        std::io::Read::read_to_end(&mut bounded, &mut stored).map_err(cannot("read", copy))?;
        self.mode(OpenMode::OpenExisting).open_by(|maker, place, patience, cache_bytes| {
            let Place::Directory(path) = place else {
                return Err(Error::configuration("only the header of a store in a directory can be put back"));
            };
            let read = Header::read(&stored)?;
            let directory = Directory::lock(&path, false, patience)?;
            let (header, roots) = maker.open_header(read)?;
            directory.open_anchor(&roots, &header.instance).map_err(|error| {
                Error::corrupted(format!(
                    "`{}` is the header of another store, or of another time of this one: {error}",
                    copy.display()
                ))
            })?;
            let standing = directory.read_header().ok();
            let sound = standing.as_deref().and_then(|bytes| maker.open_header(Header::read(bytes).ok()?).ok());
            let is_newer =
                |(sound, _): &(Header, _)| sound.instance == header.instance && sound.generation > header.generation;
            if sound.as_ref().is_some_and(is_newer) {
                return Err(Error::corrupted(format!(
                    "`{}` is of before the store's root key was changed, and the header that is there is sound",
                    copy.display()
                )));
            }
            directory.write_header(&header.encode(&roots.newest.header))?;
            match maker.open_directory(&directory, cache_bytes) {
                Ok(opened) => Ok((opened, Some(directory))),
                Err(error) => {
                    // Whatever it was worth, it is as good as the copy. What is wrong is told by the first error.
                    let _ = standing.map(|standing| directory.write_header(&standing));
                    Err(error)
                }
            }
        })
    }
}

impl Inner {
    /// Puts another header in the place of the present one, durably and in one step.
    pub(super) fn replace_header(&self, header: Header, key: &ring::hmac::Key) -> Result<()> {
        let stored = header.encode(key);
        let directory = self.directory.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        self.records.usable()?;
        let replaced = match &*directory {
            Some(directory) => directory.replace_header(&stored),
            None => self.records.write_header(stored.clone()),
        };
        // Which header is there is not known then, nor what closing would have to seal.
        replaced.inspect_err(|_| self.records.poison())?;
        // Under the directory's lock, so that whoever compares the two sees both before or both after.
        *self.header.write().unwrap_or_else(std::sync::PoisonError::into_inner) = StoredHeader { header, stored };
        drop(directory);
        Ok(())
    }

    fn with_wraps(&self, wraps: Vec<RootWrap>) -> Result<()> {
        if wraps.len() > WRAPS_MAX {
            let text = format!("The root key of a store is wrapped under at most {WRAPS_MAX} keys.");
            return Err(Error::limit_exceeded(text));
        }
        let header = Header { wraps, ..self.header().header.clone() };
        let recipients = header.recipients();
        self.replace_header(header, &self.records.roots().newest.header)?;
        self.envelope.set_recipients(recipients);
        Ok(())
    }

    /// The wraps of the root key.
    pub(super) fn root_wraps(&self) -> Vec<RootWrap> {
        self.header().header.wraps.clone()
    }

    /// The root key, opened by whichever key opens it.
    pub(super) fn open_root_key(&self) -> Result<DataKey> {
        self.open_root_by(&self.root_wraps())
    }

    /// The root key, opened by one of these. What a provider gives is believed if the header is by it.
    fn open_root_by(&self, wraps: &[RootWrap]) -> Result<DataKey> {
        let StoredHeader { header, stored } = self.header().clone();
        let mut failures = Failures::default();
        for wrap in wraps {
            let opened = self.envelope.open_root(&wrap.wrapped).and_then(|root| {
                let keys = derive(&root, &header.store, header.generation)?;
                Header::read(&stored)?.authenticate(&keys.header).map(|_| root)
            });
            match opened {
                Ok(root) => return Ok(root),
                Err(error) => failures.add(error),
            }
        }
        Err(failures.into_error())
    }

    /// Makes a key a recipient, and wraps the root key for it.
    pub(super) fn wrap_root_for(&self, key: &KmsKeyId, handle: &KeyHandle) -> Result<()> {
        let root = self.open_root_key()?;
        let (wrapped, _) = self.envelope.wrap_root(handle, &root)?;
        let mut wraps = self.root_wraps();
        wraps.push(RootWrap { requested: key.clone(), role: KeyRole::Recovery, wrapped });
        self.with_wraps(wraps)
    }

    /// The keys that the root key is to be wrapped under.
    fn root_keys(&self, options: &KeyOptions) -> Vec<(KmsKeyId, KeyRole)> {
        let wraps = self.root_wraps();
        let successor = |key: &KmsKeyId, arn: &str| options.successor(key, arn);
        // The newest, should an operation have been interrupted that gave it another.
        let main = wraps.iter().rfind(|wrap| wrap.role == KeyRole::Secret);
        let mut keys = Vec::with_capacity(wraps.len());
        let named = match &self.root_key_id {
            Some(key) => {
                let led_to = main.filter(|main| main.requested == *key).map(|main| Arc::clone(&main.wrapped.key_arn));
                Some((key, led_to))
            }
            None => main.map(|main| (&main.requested, Some(Arc::clone(&main.wrapped.key_arn)))),
        };
        if let Some((key, led_to)) = named {
            // What the name leads to now counts, if it leads anywhere.
            let now = self.envelope.resolve_for_store(key).ok().map(|handle| handle.arn);
            let arn = if options.replaced.is_some() { now.or(led_to) } else { None };
            keys.push((successor(key, arn.as_deref().unwrap_or_default()), KeyRole::Secret));
        }
        for wrap in wraps.iter().filter(|wrap| wrap.role == KeyRole::Recovery) {
            keys.push((successor(&wrap.requested, &wrap.wrapped.key_arn), wrap.role));
        }
        keys
    }

    /// A key for the root key, as it is now. What is a recipient's has to be the one that became a recipient.
    pub(super) fn key_for_root(&self, key: &KmsKeyId, role: KeyRole) -> Result<KeyHandle> {
        let recipients = self.envelope.recipients();
        match recipients.iter().find(|recipient| role == KeyRole::Recovery && recipient.key == *key) {
            Some(recipient) => self.envelope.recipient_key(recipient),
            None => self.envelope.resolve_for_store(key),
        }
    }

    /// Wraps the root key under every key that it should be wrapped under and is not. The old wraps stay for now. Whether
    /// there was one to make.
    pub(super) fn rewrap_root(&self, options: &KeyOptions, problems: &mut Problems) -> Result<bool> {
        let mut wraps = self.root_wraps();
        let mut added = Vec::new();
        let recipients = wraps.iter().filter(|wrap| wrap.role == KeyRole::Recovery);
        let successors =
            recipients.map(|wrap| (wrap.requested.clone(), options.successor(&wrap.requested, &wrap.wrapped.key_arn)));
        let mut replaced: Vec<_> = successors.filter(|(old, new)| old != new).collect();
        for (key, role) in self.root_keys(options) {
            let handle = match self.key_for_root(&key, role) {
                Ok(handle) => handle,
                Err(error) if super::is_key_in_the_way(error.kind()) => {
                    problems.add(ROOT, None, error);
                    replaced.retain(|(_, new)| *new != key);
                    continue;
                }
                Err(error) => return Err(error),
            };
            if !wraps.iter().any(|wrap| is_under(wrap, &key, role, &handle)) {
                added.push((key, role, handle));
            }
        }
        let is_as_wanted = added.is_empty() && replaced.is_empty();
        if is_as_wanted || options.is_dry_run {
            return Ok(!is_as_wanted);
        }
        let root = self.open_root_key()?;
        // Who is replaced is no recipient any more, or everything would go on being wrapped for a key that may be lost.
        wraps.retain(|wrap| wrap.role == KeyRole::Secret || replaced.iter().all(|(old, _)| wrap.requested != *old));
        for (requested, role, handle) in added {
            let (wrapped, is_proven) = self.envelope.wrap_root(&handle, &root)?;
            let is_older = |wrap: &RootWrap| (wrap.role, &wrap.wrapped.key_arn) == (role, &wrapped.key_arn);
            if is_proven && let Some(newest) = wraps.iter().rposition(is_older) {
                // Of older material of one key the newest is enough, or the list would grow for ever.
                let mut place = 0;
                wraps.retain(|wrap| {
                    place += 1;
                    place > newest || !is_older(wrap)
                });
            }
            wraps.push(RootWrap { requested, role, wrapped });
        }
        self.with_wraps(wraps).map(|()| true)
    }

    /// Removes wraps of the root key that have given way to others, if what is left is seen to open the store.
    pub(super) fn drop_outdated_root_wraps(&self, options: &KeyOptions) -> Result<()> {
        let wraps = self.root_wraps();
        let mut kept: Vec<RootWrap> = Vec::with_capacity(wraps.len());
        for (key, role) in self.root_keys(options) {
            let handle = self.key_for_root(&key, role)?;
            let newest = wraps.iter().rfind(|wrap| is_under(wrap, &key, role, &handle));
            kept.extend(newest.filter(|newest| !kept.contains(newest)).cloned());
        }
        let has_main = kept.iter().any(|wrap| wrap.role == KeyRole::Secret);
        if kept.len() == wraps.len() || !has_main || !self.any_opens(&kept)? {
            return Ok(());
        }
        self.with_wraps(kept)
    }

    /// Removes the wraps of the root key under one key, unless nothing else opens the store. Whether there were any.
    pub(super) fn drop_root_wraps(&self, key: &str, is_dry_run: bool, problems: &mut Problems) -> Result<bool> {
        let wraps = self.root_wraps();
        let is_meant = |wrap: &RootWrap| *wrap.wrapped.key_arn == *key || wrap.requested == KmsKeyId::parse(key);
        let kept: Vec<_> = wraps.iter().filter(|wrap| !is_meant(wrap)).cloned().collect();
        if kept.len() == wraps.len() {
            return Ok(false);
        }
        let kept = if self.any_opens(&kept)? {
            kept
        } else {
            problems.add(ROOT, None, last_wrap(key));
            // The key of the store can cease to be a recipient all the same.
            let is_recipient = |wrap: &RootWrap| is_meant(wrap) && wrap.role == KeyRole::Recovery;
            wraps.iter().filter(|wrap| !is_recipient(wrap)).cloned().collect()
        };
        if kept.len() == wraps.len() {
            return Ok(false);
        }
        if is_dry_run {
            return Ok(true);
        }
        self.with_wraps(kept).map(|()| true)
    }

    /// Whether the root key can be opened by one of these. That the provider is failing is not the same as that none does.
    fn any_opens(&self, wraps: &[RootWrap]) -> Result<bool> {
        match self.open_root_by(wraps) {
            Ok(_) => Ok(true),
            Err(error) if is_outage(error.kind()) => Err(error),
            Err(_) => Ok(false),
        }
    }
}

/// Whether the root key is wrapped under the newest version of a key, for what it is meant for.
fn is_under(wrap: &RootWrap, key: &KmsKeyId, role: KeyRole, handle: &KeyHandle) -> bool {
    let RootWrap { requested, role: of, wrapped } = wrap;
    (&wrapped.key_arn, &wrapped.key_version, requested, *of) == (&handle.arn, &handle.version, key, role)
}
