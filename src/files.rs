//! Files that are for their owner alone, and replacement of a file in one durable step.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Mode of the directories and files we make, whatever the process's umask.
#[cfg(unix)]
const DIRECTORY_MODE: u32 = 0o700;
#[cfg(unix)]
const FILE_MODE: u32 = 0o600;

/// Options that make new files private from the start.
fn private_options() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, FILE_MODE);
    options
}

/// Opens a file that is there to be locked, and makes it if it is missing.
pub(crate) fn open_lock(path: &Path) -> io::Result<File> {
    if fs::symlink_metadata(path).is_ok_and(|about| about.is_symlink()) {
        return Err(io::Error::other("it is a symbolic link"));
    }
    let file = private_options().read(true).write(true).create(true).truncate(false).open(path)?;
    set_private(path, false)?;
    Ok(file)
}

/// Opens a file that the caller named, also through symbolic links.
pub(crate) fn open_given(path: &Path) -> io::Result<File> {
    // Before it is opened: opening a pipe would wait for whoever writes into it.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a file"));
    }
    File::open(path)
}

/// Opens a file that is there. Symbolic links, and what is not a file, are refused.
pub(crate) fn open_regular(path: &Path, is_written: bool) -> io::Result<File> {
    if !fs::symlink_metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a file"));
    }
    OpenOptions::new().read(true).write(is_written).open(path)
}

/// Makes a private file where there is none.
pub(crate) fn create_private(path: &Path) -> io::Result<File> {
    let file = private_options().read(true).write(true).create_new(true).open(path)?;
    // The umask may have taken away more than others' rights.
    set_private(path, false)?;
    Ok(file)
}

/// Overwrites bytes in the middle of a file.
pub(crate) fn write_at(file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
    #[cfg(unix)]
    return std::os::unix::fs::FileExt::write_all_at(file, bytes, at);
    #[cfg(not(unix))]
    {
        let mut file = file;
        io::Seek::seek(&mut file, io::SeekFrom::Start(at))?;
        file.write_all(bytes)
    }
}

/// Makes a directory, and those above it that are missing, private from the start.
pub(crate) fn create_private_directory(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, DIRECTORY_MODE);
    builder.create(path)?;
    set_private(path, true)
}

/// Makes an existing file or directory private.
#[cfg(unix)]
pub(crate) fn set_private(path: &Path, is_directory: bool) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let mode = if is_directory { DIRECTORY_MODE } else { FILE_MODE };
    let about = fs::symlink_metadata(path)?;
    // Whatever a symbolic link points at is not ours.
    if about.is_symlink() || about.permissions().mode() & 0o777 == mode {
        return Ok(());
    }
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

#[cfg(not(unix))]
pub(crate) fn set_private(_: &Path, _: bool) -> io::Result<()> {
    Ok(())
}

/// Whether somebody other than the owner may read or write the file.
#[cfg(unix)]
pub(crate) fn is_exposed(about: &fs::Metadata) -> bool {
    std::os::unix::fs::PermissionsExt::mode(&about.permissions()) & 0o077 != 0
}

#[cfg(not(unix))]
pub(crate) fn is_exposed(_: &fs::Metadata) -> bool {
    false
}

/// The path with something appended to its last component.
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Replaces a file, or makes it, so that a crash leaves the old bytes or the new ones. Durable on return.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let unfinished = beside(path, ".tmp");
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = create_private(&unfinished)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&unfinished, path)?;
    sync_directory(parent(path))
}

/// Replaces a file as [`replace`] does, and then writes over the old bytes where they are on the medium, as far as the file
/// system lets it.
pub(crate) fn replace_and_erase(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let old = open_regular(path, true)?;
    let length = usize::try_from(old.metadata()?.len()).unwrap_or(usize::MAX).min(ERASED_BYTES_MAX);
    replace(path, bytes)?;
    write_at(&old, &vec![0; length], 0)?;
    old.sync_all()
}

/// Longest file that is erased.
const ERASED_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The directory that a path is in.
pub(crate) fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Makes the entries of a directory durable.
pub(crate) fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Bytes of a file that take no room on the medium.
#[cfg(unix)]
pub(crate) fn holes(about: &fs::Metadata) -> u64 {
    const BLOCK_BYTES: u64 = 512;
    let blocks = std::os::unix::fs::MetadataExt::blocks(about);
    about.len().saturating_sub(blocks.saturating_mul(BLOCK_BYTES))
}

#[cfg(not(unix))]
pub(crate) fn holes(_: &fs::Metadata) -> u64 {
    0
}

/// Copies the files of a directory into a new one, privately. Not durable on return.
pub(crate) fn copy_tree(from: &Path, to: &Path) -> io::Result<()> {
    create_private_directory(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_tree(&entry.path(), &to)?;
        } else {
            let mut source = open_regular(&entry.path(), false)?;
            io::copy(&mut source, &mut create_private(&to)?)?;
        }
    }
    Ok(())
}

/// Makes every file in a directory, and the directory, durable.
pub(crate) fn sync_tree(path: &Path) -> io::Result<()> {
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_tree(&entry.path())?;
        } else {
            File::open(entry.path())?.sync_all()?;
        }
    }
    sync_directory(path)
}

/// A file that appears under its name when it is complete. Dropped before, it leaves nothing.
#[derive(Debug)]
pub(crate) struct NewFile {
    file: File,
    unfinished: PathBuf,
    path: PathBuf,
}

impl NewFile {
    /// Begins a private file beside its place. Fails if the place is taken.
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        refuse_taken(path)?;
        let mut attempt = 0_u32;
        loop {
            // A name of its own: others may be making the same file, and what is there already is not ours.
            let unfinished = beside(path, &format!(".{}-{attempt}.tmp", std::process::id()));
            match create_private(&unfinished) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    attempt = attempt.checked_add(1).ok_or(error)?;
                }
                file => return Ok(Self { file: file?, unfinished, path: path.to_owned() }),
            }
        }
    }

    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// Where it is until it is complete.
    pub(crate) fn unfinished_path(&self) -> &Path {
        &self.unfinished
    }

    pub(crate) fn sync(&self) -> io::Result<()> {
        self.file.sync_all()
    }

    /// Gives it its name, durably, unless that has been taken meanwhile.
    pub(crate) fn publish(self) -> io::Result<()> {
        self.sync()?;
        match fs::hard_link(&self.unfinished, &self.path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(error),
            // Some file systems have no links.
            Err(_) => {
                refuse_taken(&self.path)?;
                fs::rename(&self.unfinished, &self.path)?;
            }
        }
        let directory = parent(&self.path).to_owned();
        drop(self);
        sync_directory(&directory)
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        // What cannot be removed has a name of its own and is in nobody's way.
        let _ = fs::remove_file(&self.unfinished);
    }
}

fn refuse_taken(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(_) => Err(io::ErrorKind::AlreadyExists.into()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}
