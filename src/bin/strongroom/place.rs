//! Opening the store that the arguments name, with the keys that they name.

use std::fs::{self, DirBuilder, File};
use std::io::{self, IsTerminal as _, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use indicatif::ProgressBar;
use strongroom::{
    Builder, Error, ErrorKind, KeyFileProvider, KeyProvider, LocalKeyring, OpenMode, PassphraseProvider, Progress,
    RouterProvider, SecretStore, SecretString, SecretsManager, StaticKey,
};
use zeroize::Zeroizing;

use crate::arguments::keys::NewPassphrase;
use crate::arguments::standby::StandbyKey;
use crate::arguments::upkeep::Whole;
use crate::arguments::{AlsoKeyFile, Key, Place};
use crate::failure::{Code, DAMAGED, Failure};
use crate::progress;

/// Longest passphrase that is read, in bytes.
const PASSPHRASE_BYTES_MAX: usize = 64 * 1024;

/// How long another command may keep a store open: whoever brings a standby up to date has it for a moment, now and then.
const LOCK_PATIENCE: Duration = Duration::from_secs(1);

/// A store that is there, opened for one account and Region.
pub(crate) fn open(place: &Place) -> Result<SecretsManager, Failure> {
    Ok(open_store(place)?.default_secrets_manager())
}

/// A store that is there, in which names of keys are those of one account and Region.
pub(crate) fn open_store(place: &Place) -> Result<SecretStore, Failure> {
    open_with(place, |builder| builder)
}

/// The same with further settings.
pub(crate) fn open_with(place: &Place, adjust: impl FnOnce(Builder) -> Builder) -> Result<SecretStore, Failure> {
    require_store(place)?;
    let keys = Keys::new(place, tell_made)?;
    keys.open(adjust(keys.builder()).mode(OpenMode::OpenExisting))
}

/// A store that is there and opens with a passphrase, or with another one that takes its place: new wraps are under that.
pub(crate) fn open_changing(place: &Place, new: &NewPassphrase) -> Result<SecretStore, Failure> {
    require_store(place)?;
    require_settings(place)?;
    let Key { passphrase, passphrase_fd, also_key_file, .. } = place.key.or_from_environment()?;
    if !passphrase && passphrase_fd.is_none() {
        return Err(Failure::usage("only a store that opens with a passphrase has one that can be changed")
            .hint("--passphrase and --passphrase-fd say where the present one comes from"));
    }
    if passphrase_fd.is_some() && passphrase_fd == new.new_passphrase_fd {
        return Err(Failure::usage("one descriptor cannot hold both the present passphrase and the new one"));
    }
    let old = read_passphrase(passphrase_fd, "Passphrase: ", false)?;
    let new = match &new.new_passphrase_file {
        Some(path) => File::open(path).and_then(read_all).map_err(|error| unread(&error).during(path.display()))?,
        None => read_passphrase(new.new_passphrase_fd, "New passphrase: ", true)?,
    };
    let provider = PassphraseProvider::changing(old, new).map_err(|error| Failure::from(error).code(Code::Key))?;
    let place = Place { dir: named(&place.dir)?, ..place.clone() };
    let keys = Keys { place, provider: with_others(Arc::new(provider), &also_key_file)? };
    keys.open(keys.builder().mode(OpenMode::OpenExisting))
}

/// The keyring of a store that is there, which may be open elsewhere.
pub(crate) fn open_keyring(place: &Place) -> Result<LocalKeyring, Failure> {
    find_keyring(place, false)
}

/// The same, or a new one where one is named that is not there: for a store whose keyring is lost.
pub(crate) fn open_or_make_keyring(place: &Place) -> Result<LocalKeyring, Failure> {
    find_keyring(place, true)
}

fn find_keyring(place: &Place, may_make: bool) -> Result<LocalKeyring, Failure> {
    require_store(place)?;
    let Key { keyring, key_file, passphrase, passphrase_fd, .. } = place.key.or_from_environment()?;
    let other = match key_file {
        Some(_) => Some("a key file"),
        None if passphrase || passphrase_fd.is_some() => Some("a passphrase"),
        None => None,
    };
    if let Some(other) = other {
        return Err(Failure::usage(format!(
            "only a keyring has keys with names and states, and {other} is no keyring"
        ))
        .hint("a key file or a passphrase is one key, which stands for every KMS key id, ARN and alias"));
    }
    match keyring {
        Some(path) if may_make && !path.exists() => {
            let keyring = LocalKeyring::open_or_create(&path)?;
            tell_made("a keyring", &path);
            Ok(keyring)
        }
        Some(path) => existing_keyring(&path),
        None => existing_keyring(&beside(&named(&place.dir)?)),
    }
}

fn existing_keyring(path: &Path) -> Result<LocalKeyring, Failure> {
    require_file("keyring", path)?;
    Ok(LocalKeyring::open(path)?)
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
        let builder = SecretStore::builder(dir).key_provider(Arc::clone(&self.provider)).wait_for_lock(LOCK_PATIENCE);
        builder.account(account).region(region)
    }

    /// The standby of the store.
    pub(crate) fn standby(
        &self,
        directory: &Path,
        key: &StandbyKey,
        tell: fn(&str, &Path),
    ) -> Result<Builder, Failure> {
        standby(&self.place.dir, &self.provider, directory, key, tell)
    }

    /// The account and the Region that are meant if nothing else is said.
    pub(crate) fn tenant(&self) -> (&str, &str) {
        (&self.place.account, &self.place.region)
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
        let builder = builder.wait_for_lock(LOCK_PATIENCE);
        progress::follow(what, |tell| work(builder, tell)).map_err(|error| not_opened(&self.directory, error))
    }

    /// The standby of the store.
    pub(crate) fn standby(&self, directory: &Path, key: &StandbyKey) -> Result<Builder, Failure> {
        standby(&self.directory, &self.provider, directory, key, tell_made)
    }
}

/// The standby of a store, with the keys of the store unless it has some of its own. Missing ones are made with it.
fn standby(
    store: &Path,
    provider: &Arc<dyn KeyProvider>,
    directory: &Path,
    key: &StandbyKey,
    tell: fn(&str, &Path),
) -> Result<Builder, Failure> {
    let directory = named(directory)?;
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let (there, here) = (real(&directory), real(store));
    if there.starts_with(&here) || here.starts_with(&there) {
        return Err(Failure::usage("a store and its standby cannot be in the same directory, or one inside the other"));
    }
    let is_new = !is_made(&directory)?;
    let provider = match key.own() {
        Some(key) => main_provider(&directory, key, is_new.then_some(tell))?,
        None => Arc::clone(provider),
    };
    Ok(SecretStore::builder(directory).key_provider(provider).wait_for_lock(LOCK_PATIENCE))
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
    require_tenant(&place.account, &place.region)
}

pub(crate) fn require_tenant(account: &str, region: &str) -> Result<(), Failure> {
    in_memory(account, region).map(|_| ())
}

fn in_memory(account: &str, region: &str) -> Result<SecretsManager, Failure> {
    let builder = SecretStore::in_memory().key_provider(StaticKey::new([0; 32]));
    Ok(builder.account(account).region(region).open()?.default_secrets_manager())
}

/// The keys that are named. Missing files are made if somebody can be told.
fn provider(directory: &Path, key: &Key, tell: Option<fn(&str, &Path)>) -> Result<Arc<dyn KeyProvider>, Failure> {
    let key = key.or_from_environment()?;
    let others = key.also_key_file.clone();
    with_others(main_provider(directory, key, tell)?, &others)
}

/// The same with key files besides. Whoever writes an alias may write its ARN, so both lead to the file.
fn with_others(main: Arc<dyn KeyProvider>, others: &[AlsoKeyFile]) -> Result<Arc<dyn KeyProvider>, Failure> {
    if others.is_empty() {
        return Ok(main);
    }
    let mut router = RouterProvider::new(main);
    for AlsoKeyFile { alias, path } in others {
        require_file("key file", path)?;
        let provider = Arc::new(KeyFileProvider::open(path)?);
        router = match alias {
            Some(alias) => router.route(alias, Arc::clone(&provider)).route(format!("arn:*:{alias}"), provider),
            None => router.also(provider),
        };
    }
    Ok(Arc::new(router))
}

/// Makes the key files that are given besides and are not there, for a store that is known to open.
pub(crate) fn make_others(place: &Place) -> Result<(), Failure> {
    let key = place.key.or_from_environment()?;
    let missing: Vec<_> = key.also_key_file.iter().filter(|other| !other.path.exists()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    if let Some(AlsoKeyFile { path, .. }) = missing.iter().find(|other| other.alias.is_none()) {
        return Err(Failure::usage(format!("there is no key file `{}`, and no name for a new one", path.display()))
            .hint(format!("--also-key-file alias/recovery={} makes one of that name", path.display())));
    }
    let there = key.also_key_file.iter().filter(|other| other.path.exists()).cloned().collect();
    open_store(&Place { key: Key { also_key_file: there, ..key.clone() }, ..place.clone() })?.close()?;
    for AlsoKeyFile { path, .. } in missing {
        KeyFileProvider::create(path)?;
        tell_made("a key file", path);
    }
    Ok(())
}

fn main_provider(directory: &Path, key: Key, tell: Option<fn(&str, &Path)>) -> Result<Arc<dyn KeyProvider>, Failure> {
    let Key { keyring, key_file, passphrase, passphrase_fd, also_key_file: _ } = key;
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
    Ok(Arc::new(existing_keyring(&path)?))
}

/// A passphrase from a descriptor, or from the terminal: twice if it is a new one.
pub(crate) fn by_passphrase(
    descriptor: Option<u32>,
    prompt: &str,
    is_new: bool,
) -> Result<Arc<dyn KeyProvider>, Failure> {
    let passphrase = read_passphrase(descriptor, prompt, is_new)?;
    let provider = PassphraseProvider::new(passphrase).map_err(|error| Failure::from(error).code(Code::Key))?;
    Ok(Arc::new(provider))
}

fn read_passphrase(descriptor: Option<u32>, prompt: &str, is_new: bool) -> Result<SecretString, Failure> {
    match descriptor {
        Some(descriptor) => open_descriptor(descriptor).and_then(read_all).map_err(|error| unread(&error)),
        None => ask(prompt, is_new),
    }
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

/// All of a file or a pipe, without one newline at its end.
fn read_all(file: File) -> io::Result<SecretString> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(PASSPHRASE_BYTES_MAX + 1));
    file.take(PASSPHRASE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > PASSPHRASE_BYTES_MAX {
        return Err(io::Error::other("the passphrase is too long"));
    }
    let text = std::str::from_utf8(&bytes).map_err(io::Error::other)?;
    Ok(SecretString::from(text.strip_suffix('\n').unwrap_or(text)))
}

fn unread(error: &io::Error) -> Failure {
    Failure::new(Code::Key, error.to_string()).during("the passphrase cannot be read")
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
