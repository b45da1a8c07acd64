//! The command under test as a child process, and clients for it.

use std::env;
use std::fmt::Debug;
use std::fs::{self, DirBuilder, File};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{self, Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use aws_sdk_secretsmanager::config::retry::RetryConfig;
use aws_sdk_secretsmanager::config::{Credentials, Region};
use aws_sdk_secretsmanager::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_secretsmanager::operation::RequestId;
use aws_sdk_secretsmanager::{Client, Config};
use aws_smithy_http_client::Builder;

const BINARY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../target/debug/strongroom");

/// A folder of the test's own, gone with it.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("strongroom-sdk-{}-{}", process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = env::temp_dir().join(name);
        DirBuilder::new().mode(0o700).create(&path).unwrap();
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A running server, killed at the end.
pub struct Server {
    process: Child,
    port: u16,
    /// Removed after the process has ended.
    folder: Option<Folder>,
}

impl Server {
    /// Serves an empty store.
    pub fn start() -> Self {
        let folder = Folder::new();
        let mut server = Self::start_in(&folder, &[]);
        server.folder = Some(folder);
        server
    }

    /// Serves the store in a folder.
    pub fn start_in(folder: &Folder, options: &[&str]) -> Self {
        let log = File::options().create(true).append(true).open(folder.path().join("log")).unwrap();
        let mut process = Command::new(env::var("STRONGROOM_BIN").unwrap_or(BINARY.to_owned()))
            .args(["serve", "--listen", "127.0.0.1:0", "--dir"])
            .arg(folder.path().join("store"))
            .args(options)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.trim_end().strip_prefix("listening on http://127.0.0.1:").and_then(|port| port.parse().ok());
        let Some(port) = port else {
            let _ = process.kill();
            let log = fs::read_to_string(folder.path().join("log")).unwrap_or_default();
            panic!("the server did not start: {line:?}\n{log}");
        };
        Self { process, port, folder: None }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// A client of the account `111122223333`.
    pub fn client(&self) -> Client {
        self.client_of("111122223333", "us-east-1")
    }

    pub fn client_of(&self, account: &str, region: &'static str) -> Client {
        client(self.port, region, Credentials::new(account, "any", None, None, "test"))
    }

    /// Ends it without a warning.
    pub fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub fn client(port: u16, region: &'static str, credentials: Credentials) -> Client {
    let config = Config::builder()
        .behavior_version_latest()
        .region(Region::new(region))
        .endpoint_url(format!("http://127.0.0.1:{port}"))
        .credentials_provider(credentials)
        .retry_config(RetryConfig::standard().with_initial_backoff(std::time::Duration::from_millis(1)))
        .http_client(Builder::new().build_http())
        .build();
    Client::from_conf(config)
}

/// The error of a call that must be refused by the service with this code and text, as the client's own type.
#[track_caller]
pub fn refused<T: Debug, E>(answer: Result<T, SdkError<E>>, status: u16, code: &str, text: Option<&str>) -> E
where
    E: ProvideErrorMetadata + Debug,
{
    let error = answer.unwrap_err();
    assert!(error.request_id().is_some_and(|id| !id.is_empty()));
    assert_eq!(error.raw_response().map(|response| response.status().as_u16()), Some(status));
    assert_eq!(error.code(), Some(code));
    match text {
        Some(text) => assert_eq!(error.message(), Some(text)),
        None => assert!(error.message().is_some_and(|text| !text.is_empty())),
    }
    let SdkError::ServiceError(error) = error else { panic!("{error:?}") };
    error.into_err()
}
