//! Opening the store that the arguments name, with the keys that they name.

use std::fs::{self, DirBuilder, File};
use std::io::{self, IsTerminal as _, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use indicatif::ProgressBar;
use strongroom::{
    Builder, ErrorKind, KeyFileProvider, KeyProvider, LocalKeyring, OpenMode, PassphraseProvider, SecretStore,
    SecretString, SecretsManager, StaticKey,
};
use zeroize::Zeroizing;

use crate::arguments::{Key, Place};
use crate::failure::{Code, Failure};

/// Longest passphrase that is read, in bytes.
const PASSPHRASE_BYTES_MAX: usize = 64 * 1024;

/// A store that is there, opened for one account and Region.
pub(crate) fn open(place: &Place) -> Result<SecretsManager, Failure> {
    require_store(place)?;
    let keys = Keys::new(place, tell_made)?;
    let store = keys.open(keys.builder().mode(OpenMode::OpenExisting))?;
    Ok(store.default_secrets_manager())
}

/// Fails if there is no store.
pub(crate) fn require_store(place: &Place) -> Result<(), Failure> {
    if SecretStore::exists(&place.dir)? {
        return Ok(());
    }
    Err(Failure::new(Code::NotFound, format!("there is no store in `{}`", place.dir.display()))
        .hint("`strongroom init --dir DIR` makes one"))
}

/// Whether there is a store, where one may be made: anything else there is in the way.
pub(crate) fn is_made(directory: &Path) -> Result<bool, Failure> {
    SecretStore::exists(directory).map_err(|error| {
        let is_in_the_way = *error.kind() == ErrorKind::NotAStore;
        let failure = Failure::from(error);
        if is_in_the_way { failure.code(Code::Conflict) } else { failure }
    })
}

/// What the arguments say about a store: where it is and what opens it. Keys are read, or asked for, once.
#[derive(Debug, Clone)]
pub(crate) struct Keys {
    place: Place,
    provider: Arc<dyn KeyProvider>,
}

impl Keys {
    /// Reads the keys. Missing ones are made only for a store that is not there, and can be made: no new key opens a store
    /// that is.
    pub(crate) fn new(place: &Place, tell: fn(&str, &Path)) -> Result<Self, Failure> {
        let mut directory = std::path::absolute(&place.dir)?;
        // `..` at the end has no name of its own to put a keyring beside.
        if directory.file_name().is_none() {
            directory = directory.canonicalize()?;
        }
        let is_new = !is_made(&directory)?;
        require_settings(place)?;
        let provider = provider(&directory, &place.key, is_new.then_some(tell))?;
        Ok(Self { place: Place { dir: directory, ..place.clone() }, provider })
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
        opened.map_err(|error| {
            let is_damaged = *error.kind() == ErrorKind::NotAStore && self.place.dir.join("store.hdr").exists();
            let failure = Failure::from(error);
            if is_damaged { failure.code(Code::Damaged) } else { failure }
        })
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

/// An account and a Region that are none are told before anything is made.
fn require_settings(place: &Place) -> Result<(), Failure> {
    let Place { dir: _, key: _, account, region } = place;
    SecretStore::in_memory().key_provider(StaticKey::new([0; 32])).account(account).region(region).open()?;
    Ok(())
}

/// The keys that are named. Missing files are made if somebody can be told.
fn provider(directory: &Path, key: &Key, tell: Option<fn(&str, &Path)>) -> Result<Arc<dyn KeyProvider>, Failure> {
    let Key { keyring, key_file, passphrase, passphrase_fd } = key.or_from_environment()?;
    if let Some(path) = key_file {
        if let Some(tell) = tell.filter(|_| !path.exists()) {
            let provider = KeyFileProvider::create(&path)?;
            tell("a key file", &path);
            return Ok(Arc::new(provider));
        }
        require_file("key file", &path)?;
        return Ok(Arc::new(KeyFileProvider::open(&path)?));
    }
    if passphrase || passphrase_fd.is_some() {
        let passphrase = passphrase_fd.map_or_else(|| ask(tell.is_some()), read_descriptor)?;
        let provider = PassphraseProvider::new(passphrase).map_err(|error| Failure::from(error).code(Code::Key))?;
        return Ok(Arc::new(provider));
    }
    let path = match keyring {
        Some(path) => path,
        None => beside(directory),
    };
    if let Some(tell) = tell.filter(|_| !path.exists()) {
        make_parents(&path)?;
        let provider = LocalKeyring::open_or_create(&path)?;
        tell("a keyring", &path);
        return Ok(Arc::new(provider));
    }
    require_file("keyring", &path)?;
    Ok(Arc::new(LocalKeyring::open(&path)?))
}

/// The default place of a keyring need not exist before the store does.
fn make_parents(path: &Path) -> Result<(), Failure> {
    let Some(parent) = path.parent() else { return Ok(()) };
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
        .create(parent)
        .map_err(|error| Failure::from(error).during(format_args!("cannot make `{}`", parent.display())))
}

fn require_file(what: &str, path: &Path) -> Result<(), Failure> {
    match path.try_exists() {
        Ok(false) => Err(Failure::new(Code::Key, format!("there is no {what} `{}`", path.display()))
            .hint("--keyring, --key-file, --passphrase and --passphrase-fd say what opens the store")),
        Ok(true) | Err(_) => Ok(()),
    }
}

/// A keyring is never inside the store's directory: a copy of that would carry both.
fn beside(directory: &Path) -> PathBuf {
    let mut name = directory.components().as_path().as_os_str().to_owned();
    name.push(".keyring");
    name.into()
}

pub(crate) fn tell_made(what: &str, path: &Path) {
    let path = path.display();
    // Nobody is left to be told if this fails.
    let _ = writeln!(
        io::stderr(),
        "made {what}: {path}\nWithout it nothing in the store can be read. Back it up, apart from the store."
    );
}

fn ask(is_new: bool) -> Result<SecretString, Failure> {
    let prompt = |text| {
        rpassword::prompt_password(text).map(Zeroizing::new).map_err(|error| {
            Failure::new(Code::Key, format!("the passphrase cannot be asked for on a terminal: {error}"))
                .hint("--passphrase-fd FD reads it from a file or a pipe")
        })
    };
    let passphrase = prompt("Passphrase: ")?;
    if is_new {
        let again = prompt("The same again: ")?;
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
    if matches!(descriptor, 1 | 2) {
        return Err(io::Error::other("descriptors 1 and 2 are for output"));
    }
    let mut file = File::open(format!("/dev/fd/{descriptor}")).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => io::Error::other(format!("file descriptor {descriptor} is not open")),
        _ => error,
    })?;
    // Where that opens a file anew, it is at its beginning, and not where whoever handed it over has read to.
    if file.metadata()?.is_file()
        && let Ok(about) = fs::read_to_string(format!("/proc/self/fdinfo/{descriptor}"))
        && let Some(position) = about.lines().find_map(|line| line.strip_prefix("pos:")?.trim().parse().ok())
    {
        file.seek(SeekFrom::Start(position))?;
    }
    Ok(file)
}
