//! What is measured in a process of its own: memory, where nothing that was freed before is used again unseen, and a
//! process that is killed.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use measure::{Quantiles, Run, timed};
use strongroom::{DescribeSecretRequest, GetSecretValueRequest, PutSecretValueRequest, VerifyOptions};

use crate::{CACHE_BYTES, figure, files, store, title};

/// The argument that makes this program such a process.
pub(crate) const FLAG: &str = "as-child";
/// Most memory that the catalogue may take for a secret.
const CATALOGUE_BAR_BYTES: f64 = 300.0;
/// Of the store that is verified and backed up: less than any store takes, so that what grows is not the cache.
const SMALL_CACHE_BYTES: u64 = 1024 * 1024;
/// Most memory that verifying or a backup may take for itself, however large the store is.
const PEAK_BAR_BYTES: f64 = 64.0e6;
/// Durable puts before the process is killed.
const PUTS: usize = 50;

/// Measures what processes of their own tell. Gives the bytes of a backup of the store.
pub(crate) fn measure(run: &mut Run, path: &Path, scratch: &Path, secrets: usize) -> f64 {
    let told = ask(&["memory", &path.to_string_lossy(), &secrets.to_string()]);
    let between = |from: &str, to: &str| told[to] - told[from];
    let catalogue = Quantiles::of(vec![between("described", "catalogue") / secrets as f64]);
    let what = title("memory of the catalogue for each secret", secrets);
    run.figure(&what, catalogue, "bytes", Some(0.0..=CATALOGUE_BAR_BYTES));
    figure(run, "resident memory after opening", secrets, told["opened"], "bytes");
    figure(run, "resident memory with everything in the cache and the catalogue", secrets, told["read"], "bytes");
    for (line, key) in [("opened", "opened"), ("everything in the cache", "read")] {
        run.point("memory", line, secrets as f64, Quantiles::of(vec![told[key]]), "bytes");
    }
    let each = Quantiles::of(vec![between("described", "catalogue")]);
    run.point("memory", "the catalogue", secrets as f64, each, "bytes");

    let backup = scratch.join("backup");
    let backed_up = ask(&["backup", &path.to_string_lossy(), &backup.to_string_lossy()]);
    let verified = ask(&["verify", &path.to_string_lossy()]);
    // Of a backup and of what is verified, which are the same records.
    let bytes = backed_up["bytes"];
    // What of the memory is the storage engine's. It gets a copy, because it leaves files otherwise than a store does.
    let copy = files::copy(path);
    let scan = ask(&["scan", &copy.path().join("sled").to_string_lossy()])["peak"];
    for (work, told) in [("verify", verified), ("backup", backed_up)] {
        let seconds = told["seconds"];
        figure(run, &format!("{work}, records a second"), secrets, told["records"] / seconds, "1/s");
        figure(run, &format!("{work}, secrets a second"), secrets, secrets as f64 / seconds, "1/s");
        figure(run, &format!("{work}, bytes a second"), secrets, bytes / seconds, "bytes/s");
        let peak = Quantiles::of(vec![told["peak"]]);
        let what = title(&format!("{work}, most memory at a time beyond that of the open store"), secrets);
        run.figure(&what, peak, "bytes", Some(0.0..=PEAK_BAR_BYTES));
        run.point("peak memory", work, secrets as f64, peak, "bytes");
        let ratio = Quantiles::of(vec![told["peak"] / scan]);
        run.figure(&title(&format!("{work}, the same to that of a scan by sled alone"), secrets), ratio, "x", None);
        run.point("the whole store", work, secrets as f64, Quantiles::of(vec![seconds]), "s");
    }
    fs::remove_file(backup).expect("the backup is removed");
    let what = "a scan by sled alone, most memory at a time beyond that of the open database";
    figure(run, what, secrets, scan, "bytes");
    let scan = Quantiles::of(vec![scan]);
    run.point("peak memory", "a scan by sled alone", secrets as f64, scan, "bytes");
    bytes
}

/// Has a process put to a store until it is killed. Gives a secret that it had put to, and the value that was acknowledged.
pub(crate) fn die_at_work(path: &Path, secrets: usize) -> (usize, String) {
    let (mut child, lines) = start(&["crash", &path.to_string_lossy(), &secrets.to_string()]);
    let mut puts = 0;
    for line in lines.lines().take(PUTS) {
        puts = line.expect("it says what it did").parse().expect("a number");
    }
    child.kill().expect("it is killed");
    child.wait().expect("it ends");
    (puts % secrets, store::value(puts))
}

fn start(arguments: &[&str]) -> (Child, BufReader<ChildStdout>) {
    let program = std::env::current_exe().expect("this program has a path");
    let mut child = Command::new(program)
        .arg(FLAG)
        .args(arguments)
        .stdout(Stdio::piped())
        .stdin(Stdio::null())
        .spawn()
        .expect("it starts");
    let output = child.stdout.take().expect("its output is a pipe");
    (child, BufReader::new(output))
}

/// Numbers by name.
fn ask(arguments: &[&str]) -> HashMap<String, f64> {
    let (mut child, lines) = start(arguments);
    let mut told = HashMap::new();
    for line in lines.lines() {
        let line = line.expect("it says something");
        let (name, number) = line.split_once(' ').expect("a name and a number");
        told.insert(name.to_owned(), number.parse().expect("a number"));
    }
    assert!(child.wait().expect("it ends").success(), "it works");
    told
}

/// What the process does.
pub(crate) fn main(arguments: &[String]) {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["memory", path, secrets] => memory(Path::new(path), secrets.parse().expect("a number")),
        ["verify", path] => verify(Path::new(path)),
        ["scan", path] => scan(Path::new(path)),
        ["backup", path, to] => backup(Path::new(path), Path::new(to)),
        ["crash", path, secrets] => crash(Path::new(path), secrets.parse().expect("a number")),
        _ => eprintln!("this is for the bench itself"),
    }
}

fn tell(name: &str, number: f64) {
    let mut output = std::io::stdout().lock();
    writeln!(output, "{name} {number}").and_then(|()| output.flush()).expect("somebody listens");
}

/// A figure of `/proc/self/status` in bytes.
fn status(label: &str) -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(label)).unwrap_or_default();
    let kib = line.trim_start_matches(':').trim().trim_end_matches(" kB").parse::<f64>();
    kib.unwrap_or(f64::NAN) * 1024.0
}

/// Resident memory, step by step.
fn memory(path: &Path, secrets: usize) {
    let store = store::open(path, CACHE_BYTES);
    let manager = store.default_secrets_manager();
    tell("opened", status("VmRSS"));
    // All that the catalogue is built of is in the cache before it is built.
    for index in 0..secrets {
        manager.describe_secret(DescribeSecretRequest::new(store::name(index))).expect("the secret is described");
    }
    tell("described", status("VmRSS"));
    store.warm_up().expect("the catalogue is built");
    tell("catalogue", status("VmRSS"));
    for index in 0..secrets {
        manager.get_secret_value(GetSecretValueRequest::new(store::name(index))).expect("the value is read");
    }
    tell("read", status("VmRSS"));
    store.close().expect("the store closes");
}

/// Opens every value, and tells how long it took and how much memory.
fn verify(path: &Path) {
    let store = store::open(path, SMALL_CACHE_BYTES);
    let before = begin_peak();
    let mut verified = None;
    let seconds = timed(|| verified = Some(store.verify(VerifyOptions::new(), &mut |_| {})));
    tell("peak", status("VmHWM") - before);
    tell("seconds", seconds);
    let verified = verified.expect("it was verified").expect("the store is read");
    assert!(verified.is_clean() && verified.opened_values == verified.versions, "every value was opened");
    tell("records", verified.records as f64);
    store.close().expect("the store closes");
}

/// The same of a backup.
fn backup(path: &Path, to: &Path) {
    let store = store::open(path, SMALL_CACHE_BYTES);
    let before = begin_peak();
    let mut written = None;
    let seconds = timed(|| written = Some(store.backup(to, &mut |_| {})));
    tell("peak", status("VmHWM") - before);
    tell("seconds", seconds);
    let written = written.expect("it was backed up").expect("the backup is written");
    tell("records", written.records as f64);
    tell("bytes", written.bytes as f64);
    store.close().expect("the store closes");
}

/// Reads all that sled has, in its order.
fn scan(path: &Path) {
    let db = store::raw_sled(path, SMALL_CACHE_BYTES);
    let before = begin_peak();
    let bytes: usize =
        db.iter().map(|found| found.expect("sled scans")).map(|(key, value)| key.len() + value.len()).sum();
    tell("peak", status("VmHWM") - before);
    tell("bytes", bytes as f64);
}

/// Forgets the peak of before. Gives the memory of now.
fn begin_peak() -> f64 {
    // Where the system does not let one, the peak is that since the start, which is not less.
    let _ = fs::write("/proc/self/clear_refs", "5");
    status("VmRSS")
}

/// Puts until it is killed.
fn crash(path: &Path, secrets: usize) {
    let store = store::open(path, CACHE_BYTES);
    let manager = store.default_secrets_manager();
    for number in 1.. {
        let request = PutSecretValueRequest::new(store::name(number % secrets), store::value(number));
        manager.put_secret_value(request).expect("the value is put");
        let mut output = std::io::stdout().lock();
        writeln!(output, "{number}").and_then(|()| output.flush()).expect("somebody listens");
    }
}
