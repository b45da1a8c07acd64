//! Opening the store that the arguments name, with the keys that they name.

use std::fs::File;
use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use indicatif::ProgressBar;
use strongroom::{
    Builder, KeyFileProvider, KeyProvider, LocalKeyring, OpenMode, PassphraseProvider, SecretStore, SecretString,
    SecretsManager,
};
use zeroize::Zeroizing;

use crate::arguments::{Key, Place};
use crate::failure::{Code, Failure};

/// Longest passphrase that is read, in bytes.
const PASSPHRASE_BYTES_MAX: usize = 64 * 1024;

/// A store that is there, opened for one account and Region.
pub(crate) fn open(place: &Place) -> Result<SecretsManager, Failure> {
    let keys = Keys::new(place, false)?;
    let store = keys.open(keys.builder().mode(OpenMode::OpenExisting))?;
    Ok(store.default_secrets_manager())
}

/// What the arguments say about a store: where it is and what opens it. Keys are read, or asked for, once.
#[derive(Debug, Clone)]
pub(crate) struct Keys {
    place: Place,
    provider: Arc<dyn KeyProvider>,
}

impl Keys {
    /// Makes missing keys only for a store that may be made and is not there: another key never opens one that is.
    pub(crate) fn new(place: &Place, may_make_store: bool) -> Result<Self, Failure> {
        let is_new = !is_store(&place.dir);
        if is_new && !may_make_store {
            return Err(Failure::new(Code::NotFound, format!("there is no store in `{}`", place.dir.display()))
                .hint("`strongroom init --dir DIR` makes one"));
        }
        let directory = std::path::absolute(&place.dir)?;
        let provider = provider(&directory, &place.key, is_new)?;
        // Links are followed once, so that a reset puts the new store where the old one was.
        let directory = directory.canonicalize().unwrap_or(directory);
        Ok(Self { place: Place { dir: directory, ..place.clone() }, provider })
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.place.dir
    }

    pub(crate) fn builder(&self) -> Builder {
        let Place { dir, account, region, key: _ } = &self.place;
        SecretStore::builder(dir).key_provider(Arc::clone(&self.provider)).account(account).region(region)
    }

    /// Opens the store, and shows that something is going on if it takes long.
    pub(crate) fn open(&self, builder: Builder) -> Result<SecretStore, Failure> {
        let waiting = waiting(format!("opening {}", self.place.dir.display()));
        let opened = builder.open();
        waiting.finish_and_clear();
        Ok(opened?)
    }
}

/// A spinner on standard error, if that is a terminal.
pub(crate) fn waiting(what: impl Into<String>) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let spinner = ProgressBar::new_spinner().with_message(what.into());
    spinner.enable_steady_tick(Duration::from_millis(100));
    spinner
}

pub(crate) fn is_store(directory: &Path) -> bool {
    directory.join("store.hdr").exists()
}

fn provider(directory: &Path, key: &Key, may_make: bool) -> Result<Arc<dyn KeyProvider>, Failure> {
    match key {
        Key { key_file: Some(path), .. } if may_make && !path.exists() => {
            let provider = KeyFileProvider::create(path)?;
            tell_made("a key file", path);
            Ok(Arc::new(provider))
        }
        Key { key_file: Some(path), .. } => Ok(Arc::new(KeyFileProvider::open(path)?)),
        Key { passphrase: true, .. } => Ok(Arc::new(PassphraseProvider::new(ask(may_make)?)?)),
        Key { passphrase_fd: Some(descriptor), .. } => {
            Ok(Arc::new(PassphraseProvider::new(read_descriptor(*descriptor)?)?))
        }
        Key { keyring, .. } => {
            let path = keyring.clone().unwrap_or_else(|| beside(directory));
            if may_make && !path.exists() {
                let provider = LocalKeyring::open_or_create(&path)?;
                tell_made("a keyring", &path);
                return Ok(Arc::new(provider));
            }
            Ok(Arc::new(LocalKeyring::open(&path)?))
        }
    }
}

/// A keyring is never inside the store's directory: a copy of that would carry both.
fn beside(directory: &Path) -> PathBuf {
    let mut name = directory.components().as_path().as_os_str().to_owned();
    name.push(".keyring");
    name.into()
}

fn tell_made(what: &str, path: &Path) {
    let path = path.display();
    // Nobody is left to be told if this fails.
    let _ = writeln!(
        io::stderr(),
        "made {what}: {path}\nWithout it nothing in the store can be read. Back it up, apart from the store."
    );
}

fn ask(is_new: bool) -> Result<SecretString, Failure> {
    let passphrase = Zeroizing::new(rpassword::prompt_password("Passphrase: ")?);
    if is_new {
        let again = Zeroizing::new(rpassword::prompt_password("The same again: ")?);
        if *passphrase != *again {
            return Err(Failure::usage("the two passphrases differ"));
        }
    }
    Ok(SecretString::from(passphrase.as_str()))
}

fn read_descriptor(descriptor: u32) -> Result<SecretString, Failure> {
    let read = || -> io::Result<SecretString> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(PASSPHRASE_BYTES_MAX + 1));
        open_descriptor(descriptor)?.take(PASSPHRASE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?;
        if bytes.len() > PASSPHRASE_BYTES_MAX {
            return Err(io::Error::other("the passphrase is too long"));
        }
        let text = std::str::from_utf8(&bytes).map_err(io::Error::other)?;
        Ok(SecretString::from(text.strip_suffix('\n').unwrap_or(text)))
    };
    read().map_err(|error| Failure::new(Code::Key, error.to_string()).during("the passphrase cannot be read"))
}

/// A second handle to an inherited descriptor, by the name that the operating system gives it.
fn open_descriptor(descriptor: u32) -> io::Result<File> {
    let names = [format!("/proc/self/fd/{descriptor}"), format!("/dev/fd/{descriptor}")];
    let mut failure = io::Error::from(io::ErrorKind::NotFound);
    for name in names {
        match File::open(name) {
            Ok(file) => return Ok(file),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}
