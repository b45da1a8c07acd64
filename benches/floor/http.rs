//! A server in a process of its own, and a client that does as little as possible.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};

/// A server until it is dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    child: Child,
}

impl Server {
    /// Starts a program that says on its first line where it listens. `None` if it ends before.
    pub(crate) fn start(command: &mut Command) -> Option<Self> {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().ok()?;
        let mut line = String::new();
        let output = child.stdout.take().expect("its output is a pipe");
        BufReader::new(output).read_line(&mut line).expect("its output is text");
        let address = line.trim().rsplit('/').next().and_then(|text| text.parse().ok());
        if address.is_none() {
            let _ = child.kill();
            let _ = child.wait();
        }
        Some(Self { address: address?, child })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One connection that is kept for as long as the server keeps it.
pub(crate) struct Connection {
    address: SocketAddr,
    stream: Option<BufReader<TcpStream>>,
}

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> Self {
        Self { address, stream: Some(connect(address)) }
    }

    /// Sends a request, and gives the status and the body of the answer.
    pub(crate) fn call(&mut self, operation: &str, body: &str) -> (u16, Vec<u8>) {
        // Nobody here checks signatures, but moto finds out by the credential which service is asked.
        let request = format!(
            "POST / HTTP/1.1\r\nHost: localhost\r\nX-Amz-Target: secretsmanager.{operation}\r\n\
             Authorization: AWS4-HMAC-SHA256 Credential=bench/20260101/us-east-1/secretsmanager/aws4_request, \
             SignedHeaders=host, Signature=0\r\n\
             Content-Type: application/x-amz-json-1.1\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut stream = self.stream.take().unwrap_or_else(|| connect(self.address));
        stream.get_mut().write_all(request.as_bytes()).expect("it is sent");
        let mut status = 0;
        let mut length = 0;
        let mut is_kept = true;
        loop {
            let mut line = String::new();
            stream.read_line(&mut line).expect("it is answered");
            let line = line.trim_end().to_ascii_lowercase();
            if let Some(rest) = line.strip_prefix("http/1.1 ") {
                status = rest.get(..3).and_then(|code| code.parse().ok()).expect("a status");
            } else if let Some(number) = line.strip_prefix("content-length: ") {
                length = number.parse().expect("a length");
            } else if line == "connection: close" {
                is_kept = false;
            } else if line.is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).expect("the whole answer");
        self.stream = is_kept.then_some(stream);
        (status, body)
    }

    /// The body of an answer that has to be a good one.
    pub(crate) fn must(&mut self, operation: &str, body: &str) -> Vec<u8> {
        let (status, body) = self.call(operation, body);
        assert_eq!(status, 200, "{operation}: {}", String::from_utf8_lossy(&body));
        body
    }
}

fn connect(address: SocketAddr) -> BufReader<TcpStream> {
    let stream = TcpStream::connect(address).expect("it connects");
    stream.set_nodelay(true).expect("it takes the option");
    BufReader::new(stream)
}
