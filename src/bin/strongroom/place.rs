//! Opening the store that the arguments name, with the keys that they name.

use std::fs::{self, DirBuilder, File};
use std::io::{self, IsTerminal as _, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use indicatif::ProgressBar;
use strongroom::{
    Builder, Error, ErrorKind, KeyFileProvider, KeyProvider, LocalKeyring, OpenMode, PassphraseProvider, Progress,
    SecretStore, SecretString, SecretsManager, StaticKey,
};
use zeroize::Zeroizing;

use crate::arguments::upkeep::Whole;
use crate::arguments::{Key, Place};
use crate::failure::{Code, DAMAGED, Failure};
use crate::progress;

/// Longest passphrase that is read, in bytes.
const PASSPHRASE_BYTES_MAX: usize = 64 * 1024;

/// A store that is there, opened for one account and Region.
pub(crate) fn open(place: &Place) -> Result<SecretsManager, Failure> {
    require_store(place)?;
    let keys = Keys::new(place, tell_made)?;
    let store = keys.open(keys.builder().mode(OpenMode::OpenExisting))?;
    Ok(store.default_secrets_manager())
}

/// The whole of a store that is there.
pub(crate) fn open_whole(whole: &Whole) -> Result<SecretStore, Failure> {
    require_store_in(&whole.dir)?;
    let keys = WholeKeys::new(whole, &whole.dir)?;
    keys.opened(format!("opening {}", whole.dir.display()), |builder, _| builder.mode(OpenMode::OpenExisting).open())
}

/// Fails if there is no store.
pub(crate) fn require_store(place: &Place) -> Result<(), Failure> {
    require_store_in(&place.dir)
}

pub(crate) fn require_store_in(directory: &Path) -> Result<(), Failure> {
    if SecretStore::exists(directory)? {
        return Ok(());
    }
    Err(Failure::new(Code::NotFound, format!("there is no store in `{}`", directory.display()))
        .hint("`strongroom init --dir DIR` makes one"))
}

/// Fails if there is a file already, or no directory for it.
pub(crate) fn require_new_file(path: &Path) -> Result<(), Failure> {
    if path.symlink_metadata().is_ok() {
        return Err(Failure::new(Code::Conflict, format!("`{}` exists already", path.display()))
            .hint("nothing is overwritten: give another name, or move it away"));
    }
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() && !parent.is_dir() => {
            let text = format!("cannot write `{}`: there is no directory `{}`", path.display(), parent.display());
            Err(Failure::new(Code::Other, text))
        }
        _ => Ok(()),
    }
}

/// Fails if there is no file.
pub(crate) fn require_old_file(path: &Path) -> Result<(), Failure> {
    match path.try_exists() {
        Ok(false) => Err(Failure::new(Code::NotFound, format!("there is no file `{}`", path.display()))),
        Ok(true) | Err(_) => Ok(()),
    }
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
        let directory = named(&place.dir)?;
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
        opened.map_err(|error| not_opened(&self.place.dir, error))
    }
}

/// The path of a directory by which it has a name of its own to put a keyring beside: `..` at the end has none.
fn named(directory: &Path) -> Result<PathBuf, Failure> {
    let named = std::path::absolute(directory)?;
    Ok(if named.file_name().is_none() { named.canonicalize()? } else { named })
}

fn not_opened(directory: &Path, error: Error) -> Failure {
    let is_damaged = *error.kind() == ErrorKind::NotAStore && directory.join("store.hdr").exists();
    let failure = Failure::from(error);
    if is_damaged { failure.code(Code::Damaged).hint(DAMAGED) } else { failure }
}

/// What opens a whole store, also one that is damaged or still to be made. The keys are there already: none is made.
#[derive(Debug)]
pub(crate) struct WholeKeys {
    directory: PathBuf,
    provider: Arc<dyn KeyProvider>,
}

impl WholeKeys {
    /// Reads the keys. The default keyring lies beside `keys_of`, the directory of the store to which they belong.
    pub(crate) fn new(whole: &Whole, keys_of: &Path) -> Result<Self, Failure> {
        let directory = named(&whole.dir)?;
        let provider = provider(&named(keys_of)?, &whole.key, None)?;
        Ok(Self { directory, provider })
    }

    /// Does long work on the store, and shows how far it has come.
    pub(crate) fn opened<T>(
        &self,
        what: String,
        work: impl FnOnce(Builder, &mut dyn FnMut(Progress)) -> strongroom::Result<T>,
    ) -> Result<T, Failure> {
        let builder = SecretStore::builder(&self.directory).key_provider(Arc::clone(&self.provider));
        progress::follow(what, |tell| work(builder, tell)).map_err(|error| not_opened(&self.directory, error))
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
        return by_passphrase(passphrase_fd, "Passphrase: ", tell.is_some());
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

/// A passphrase from a descriptor, or from the terminal: twice if it is a new one.
pub(crate) fn by_passphrase(
    descriptor: Option<u32>,
    prompt: &str,
    is_new: bool,
) -> Result<Arc<dyn KeyProvider>, Failure> {
    let passphrase = descriptor.map_or_else(|| ask(prompt, is_new), read_descriptor)?;
    let provider = PassphraseProvider::new(passphrase).map_err(|error| Failure::from(error).code(Code::Key))?;
    Ok(Arc::new(provider))
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
pub(crate) fn beside(directory: &Path) -> PathBuf {
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

fn ask(question: &str, is_new: bool) -> Result<SecretString, Failure> {
    let prompt = |text| {
        rpassword::prompt_password(text).map(Zeroizing::new).map_err(|error| {
            Failure::new(Code::Key, format!("the passphrase cannot be asked for on a terminal: {error}"))
                .hint("--passphrase-fd FD reads it from a file or a pipe")
        })
    };
    let passphrase = prompt(question)?;
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
