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
    let mut file = private_options().write(true).create_new(true).open(&unfinished)?;
    // The umask may have taken away more than others' rights.
    set_private(&unfinished, false)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&unfinished, path)?;
    sync_directory(parent(path))
}

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
