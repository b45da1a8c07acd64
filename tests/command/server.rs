//! A running server, and HTTP without a client library, so that anything can be sent.

use std::fmt;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, ChildStdout, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde_json::Value;

use crate::fixture::{self, Folder, command, end_of};

const READY: &str = "listening on http://127.0.0.1:";

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A server on the store `vault` of a folder. It is killed when it is dropped.
pub(crate) struct Server {
    pub(crate) child: Child,
    pub(crate) port: u16,
    stdout: BufReader<ChildStdout>,
    log: Arc<Mutex<String>>,
    listener: Option<JoinHandle<()>>,
}

impl Server {
    pub(crate) fn start(folder: &Folder, options: &str) -> Self {
        Self::start_with_log(folder, options, Stdio::piped())
    }

    /// What it writes to standard error is kept if that is a pipe of ours.
    pub(crate) fn start_with_log(folder: &Folder, options: &str, log: Stdio) -> Self {
        let mut child = folder
            .command(&["serve", "--dir", "vault", "--listen", "127.0.0.1:0"])
            .args(options.split_whitespace())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let stderr = child.stderr.take().map(BufReader::new);
        let written = Arc::clone(&log);
        let listener = thread::spawn(move || {
            for line in stderr.into_iter().flat_map(std::io::BufRead::lines) {
                let mut log = written.lock().unwrap();
                log.push_str(&line.unwrap());
                log.push('\n');
            }
        });
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let port = line.trim_end().strip_prefix(READY).and_then(|port| port.parse().ok());
        let Some(port) = port else {
            let _ = child.kill();
            panic!("the server did not start: {line:?}\n{}", log.lock().unwrap());
        };
        Self { child, port, stdout, log, listener: Some(listener) }
    }

    /// What it has written to standard error until now.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    pub(crate) fn signal(&self, name: &str) {
        let done = fixture::run(command("sh").args(["-c", &format!("kill -{name} {}", self.child.id())]), b"");
        assert_eq!(done.code, Some(0), "{done:?}");
    }

    /// Waits until it has ended. Gives its exit code, the rest of its standard output and all of its log.
    pub(crate) fn end(&mut self) -> (Option<i32>, String, String) {
        let status = end_of(&mut self.child);
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).unwrap();
        self.listener.take().unwrap().join().unwrap();
        (status.code(), rest, self.log())
    }

    pub(crate) fn stop(&mut self) {
        self.signal("TERM");
        assert_eq!(self.end().0, Some(0));
    }

    pub(crate) fn connect(&self) -> Connection {
        Connection::open(self.port)
    }

    /// Sends one request on a connection of its own.
    pub(crate) fn send(&self, head: &[&str], body: &[u8]) -> Answer {
        let mut connection = self.connect();
        connection.send(head, body);
        connection.answer()
    }

    /// Calls an operation of the API. Changes get a token, as an SDK gives them one.
    pub(crate) fn call(&self, operation: &str, body: &str) -> Answer {
        let body = match operation {
            "CreateSecret" | "PutSecretValue" | "UpdateSecret" => with_token(body),
            _ => body.to_owned(),
        };
        self.send(&api(operation).each_ref().map(String::as_str), body.as_bytes())
    }

    /// Calls the administrative endpoint: GET without a body, POST with one.
    pub(crate) fn admin(&self, action: &str, body: Option<&str>) -> Answer {
        let method = if body.is_some() { "POST" } else { "GET" };
        let line = format!("{method} /_strongroom/{action} HTTP/1.1");
        self.send(&[&line, "Host: localhost", "Content-Type: application/json"], body.unwrap_or_default().as_bytes())
    }

    pub(crate) fn is_well(&self) -> bool {
        let answer = self.send(&["GET /health HTTP/1.1", "Host: localhost"], b"");
        (answer.status, answer.body.as_slice()) == (200, br#"{"status":"ok"}"#.as_slice())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A JSON object with a further member: a token that was never used before.
pub(crate) fn with_token(body: &str) -> String {
    static TOKENS: AtomicU64 = AtomicU64::new(0);
    let token = TOKENS.fetch_add(1, Ordering::Relaxed);
    match body.strip_prefix('{') {
        Some(rest) => format!(r#"{{"ClientRequestToken": "00000000-0000-4000-8000-{token:012x}", {rest}"#),
        None => body.to_owned(),
    }
}

/// The head of a call of the API, without the length of its body.
pub(crate) fn api(operation: &str) -> [String; 4] {
    [
        "POST / HTTP/1.1".to_owned(),
        "Host: localhost".to_owned(),
        "Content-Type: application/x-amz-json-1.1".to_owned(),
        format!("X-Amz-Target: secretsmanager.{operation}"),
    ]
}

pub(crate) struct Connection(BufReader<TcpStream>);

impl Connection {
    pub(crate) fn open(port: u16) -> Self {
        Self::new(TcpStream::connect(("127.0.0.1", port)).unwrap())
    }

    /// The next one that somebody else opens.
    pub(crate) fn accept(listener: &TcpListener) -> Self {
        Self::new(listener.accept().unwrap().0)
    }

    fn new(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Self(BufReader::new(stream))
    }

    /// Sends bytes as they are. A server that has seen enough may have hung up.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> bool {
        self.0.get_mut().write_all(bytes).is_ok()
    }

    /// Sends a request; its head lacks only the length of the body.
    pub(crate) fn send(&mut self, head: &[&str], body: &[u8]) {
        let mut bytes = format!("{}\r\nContent-Length: {}\r\n\r\n", head.join("\r\n"), body.len()).into_bytes();
        bytes.extend_from_slice(body);
        assert!(self.write(&bytes), "the server hung up");
    }

    /// Reads a request that somebody else sends: its head in lines, and its body.
    pub(crate) fn request(&mut self) -> (Vec<String>, Vec<u8>) {
        let mut head = Vec::new();
        while let Some(line) = self.line().filter(|line| !line.is_empty()) {
            head.push(line);
        }
        let named = |line: &String| line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok();
        let mut body = vec![0; head.iter().find_map(named).unwrap_or(0)];
        self.0.read_exact(&mut body).unwrap();
        (head, body)
    }

    /// The next line, `None` at the end of the connection.
    pub(crate) fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        match self.0.read_line(&mut line) {
            Ok(0) => None,
            Ok(_) => Some(line.trim_end().to_owned()),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => None,
            Err(error) => panic!("no answer came: {error}"),
        }
    }

    pub(crate) fn try_answer(&mut self) -> Option<Answer> {
        let status_line = self.line()?;
        let status = status_line.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        let mut headers = Vec::new();
        loop {
            let line = self.line()?;
            match line.split_once(':') {
                Some((name, value)) => headers.push((name.to_ascii_lowercase(), value.trim().to_owned())),
                None => break,
            }
        }
        let mut answer = Answer { status, headers, body: Vec::new() };
        let length = answer.header("content-length").map_or(0, |length| length.parse().unwrap());
        answer.body.resize(length, 0);
        self.0.read_exact(&mut answer.body).ok()?;
        Some(answer)
    }

    pub(crate) fn answer(&mut self) -> Answer {
        self.try_answer().expect("the server hung up without an answer")
    }

    /// Whether the server has closed the connection.
    pub(crate) fn is_over(&mut self) -> bool {
        self.line().is_none()
    }
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?} {}", self.status, self.headers, String::from_utf8_lossy(&self.body))
    }
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The code of an error.
    pub(crate) fn code(&self) -> String {
        self.json()["__type"].as_str().unwrap_or_else(|| panic!("{self:?}")).to_owned()
    }

    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert_eq!(self.status, 200, "{self:?}");
        self
    }
}
