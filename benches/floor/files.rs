//! Stores that are copied, and sled by itself on the files of a store.

use std::fs;
use std::path::Path;
use std::time::Duration;

use measure::timed;
use tempfile::TempDir;

use crate::store;

/// Copies a directory: opening changes files.
pub(crate) fn copy(from: &Path) -> TempDir {
    let to = store::directory();
    copy_into(from, to.path());
    to
}

fn copy_into(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).expect("the directory is read") {
        let entry = entry.expect("the directory is read");
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            fs::create_dir(&to).expect("a directory is made");
            copy_into(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), &to).expect("the file is copied");
            // Otherwise the system writes the copy back while the opening is measured.
            fs::File::open(&to).and_then(|file| file.sync_all()).expect("the copy is synced");
        }
    }
}

/// How long sled takes to open the files of a store.
pub(crate) fn open_sled(path: &Path, cache_bytes: u64) -> f64 {
    let files = path.join("sled");
    let mut opened = None;
    let seconds = timed(|| opened = Some(store::raw_sled(&files, cache_bytes)));
    drop(opened);
    // sled's threads outlive its handle.
    let log = fs::File::open(files.join("db")).expect("sled has a log");
    while log.try_lock().is_err() {
        std::thread::sleep(Duration::from_millis(1));
    }
    seconds
}
