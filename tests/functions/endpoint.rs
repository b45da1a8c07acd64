//! Endpoints that speak Lambda's API, and some that do not.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use strongroom::{LambdaEndpointFunction, RotationCall, RotationFunction, RotationStep};

use crate::fixture::{ARN, FUNCTION, TOKEN, call, in_time, invoke, reason, secrets};

const PATH: &str =
    "/2015-03-31/functions/arn%3Aaws%3Alambda%3Aeu-central-1%3A123456789012%3Afunction%3Arotate/invocations";

/// What the endpoint does with a request that it has read.
#[derive(Clone)]
enum Then {
    Answer(Vec<u8>),
    /// Sends this again and again until nobody listens.
    Repeat(Vec<u8>, Vec<u8>),
    /// Says this, and then nothing.
    Hang(Vec<u8>),
}

/// Requests as they came, heads and bodies.
type Requests = Arc<Mutex<Vec<(String, Vec<u8>)>>>;

/// An endpoint that does the same with every request.
struct Endpoint {
    url: String,
    requests: Requests,
}

impl Endpoint {
    fn new(then: Then) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Requests::default();
        let seen = Arc::clone(&requests);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (then, seen) = (then.clone(), Arc::clone(&seen));
                thread::spawn(move || serve(stream.unwrap(), &then, &seen));
            }
        });
        Self { url, requests }
    }

    fn answering(text: impl AsRef<[u8]>) -> Self {
        Self::new(Then::Answer(text.as_ref().to_vec()))
    }

    fn function(&self) -> LambdaEndpointFunction {
        LambdaEndpointFunction::new(&self.url).unwrap().timeout(Duration::from_secs(20))
    }

    /// The one request: its first line, its other lines in lower case, and its body.
    fn request(&self) -> (String, Vec<String>, Vec<u8>) {
        let requests = self.requests.lock().unwrap();
        assert_eq!(requests.len(), 1, "requests");
        let (head, body) = &requests[0];
        let mut lines = head.lines();
        let first = lines.next().unwrap().to_owned();
        (first, lines.map(str::to_ascii_lowercase).collect(), body.clone())
    }
}

fn serve(mut stream: TcpStream, then: &Then, seen: &Requests) {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    let (head, body) = loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8(bytes[..at].to_vec()).unwrap();
            let length = head.to_ascii_lowercase().lines().find_map(|line| {
                line.strip_prefix("content-length:").map(|length| length.trim().parse::<usize>().unwrap())
            });
            if bytes.len() >= at + 4 + length.unwrap_or_default() {
                break (head, bytes[at + 4..].to_vec());
            }
        }
        match stream.read(&mut chunk) {
            Ok(0) | Err(_) => return,
            Ok(length) => bytes.extend_from_slice(&chunk[..length]),
        }
    };
    seen.lock().unwrap().push((head, body));
    match then {
        Then::Answer(answer) => drop(stream.write_all(answer)),
        Then::Repeat(first, again) => {
            let mut sent = stream.write_all(first);
            while sent.is_ok() {
                sent = stream.write_all(again);
            }
        }
        Then::Hang(first) => {
            drop(stream.write_all(first));
            // Until the other side has had enough.
            drop(stream.read(&mut chunk));
        }
    }
}

fn http(head: &str, body: &str) -> String {
    format!("HTTP/1.1 {head}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

/// An address at which nobody listens.
fn nowhere() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

#[test]
fn a_step_is_an_invocation_with_the_event() {
    for step in RotationStep::ALL {
        let endpoint = Endpoint::answering(http("200 OK", "null"));
        let function = endpoint.function().header("X-Mine", "here").unwrap();
        in_time("a step", move || function.invoke(&call(step))).unwrap();
        let (first, headers, body) = endpoint.request();
        assert_eq!(first, format!("POST {PATH} HTTP/1.1"));
        for header in ["x-amz-invocation-type: requestresponse", "content-type: application/json", "x-mine: here"] {
            assert!(headers.iter().any(|found| found == header), "{header}: {headers:?}");
        }
        let token = "the rotation's \"token\"";
        let expected =
            json!({"Step": step.as_str(), "SecretId": ARN, "ClientRequestToken": TOKEN, "RotationToken": token});
        assert_eq!(serde_json::from_slice::<Value>(&body).unwrap(), expected);
    }
}

#[test]
fn the_url_may_have_a_path_and_the_function_a_name_of_its_own() {
    let rows = [("", None, PATH.to_owned()), ("/", None, PATH.to_owned()), ("/base/", None, format!("/base{PATH}"))];
    let named = ("", Some("my function"), "/2015-03-31/functions/my%20function/invocations".to_owned());
    for (path, name, expected) in rows.into_iter().chain([named]) {
        let endpoint = Endpoint::answering(http("200 OK", ""));
        let mut function = LambdaEndpointFunction::new(&format!("{}{path}", endpoint.url)).unwrap();
        if let Some(name) = name {
            function = function.function_name(name);
        }
        invoke(path, function).unwrap();
        assert_eq!(endpoint.request().0, format!("POST {expected} HTTP/1.1"));
    }
}

#[test]
fn a_secret_without_a_function_needs_a_name() {
    let endpoint = Endpoint::answering(http("200 OK", ""));
    let managed = || RotationCall::new(RotationStep::CreateSecret, ARN, TOKEN, secrets());
    endpoint.function().invoke(&managed()).unwrap_err();
    assert!(endpoint.requests.lock().unwrap().is_empty());
    let function = endpoint.function().function_name("function");
    in_time("with a name", move || function.invoke(&managed())).unwrap();
    assert_eq!(endpoint.requests.lock().unwrap().len(), 1);
}

#[test]
fn success_is_status_200_without_a_function_error() {
    let error = "X-Amz-Function-Error: Unhandled";
    let rows = [
        (http("200 OK", "null"), None),
        (http("200 OK", ""), None),
        (http("200 OK", "not JSON"), None),
        // A function may return what looks like an error.
        (http("200 OK", r#"{"errorMessage":"x"}"#), None),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nnull\r\n0\r\n\r\n".to_owned(), None),
        ("HTTP/1.0 200 OK\r\n\r\n".to_owned(), None),
        (
            http(
                &format!("200 OK\r\n{error}"),
                r#"{"errorMessage": "no such\nuser", "errorType": "ValueError", "stackTrace": []}"#,
            ),
            Some("the function failed: ValueError: no such user"),
        ),
        (http(&format!("200 OK\r\n{error}"), r#"{"errorMessage": "alone"}"#), Some("the function failed: alone")),
        (
            http(&format!("200 OK\r\n{error}"), r#"{"errorType": "Runtime.Exit"}"#),
            Some("the function failed: Runtime.Exit"),
        ),
        (http(&format!("200 OK\r\n{error}"), "\u{1b}[31mtext\u{1b}"), Some("the function failed: [31mtext")),
        (http(&format!("200 OK\r\n{error}"), ""), Some("the function failed")),
        (http(&format!("200 OK\r\n{error}"), "[1]"), Some("the function failed: [1]")),
        (http("200 OK\r\nx-amz-function-error: Handled", "{}"), Some("the function failed: {}")),
        (
            format!(
                "HTTP/1.1 200 OK\r\n{error}\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n{{\"errorMe\r\nc\r\nssage\":\"ch\"}}\r\n0\r\n\r\n"
            ),
            Some("the function failed: ch"),
        ),
        (
            http("404 Not Found", r#"{"Message": "Function not found: rotate", "Type": "User"}"#),
            Some("the Lambda endpoint answered with status 404: Function not found: rotate"),
        ),
        (http("500 Oh", "<html>no</html>"), Some("the Lambda endpoint answered with status 500: <html>no</html>")),
        (http("202 Accepted", ""), Some("the Lambda endpoint answered with status 202")),
        (http("204 No Content", ""), Some("the Lambda endpoint answered with status 204")),
        (http("302 Found\r\nLocation: /elsewhere", ""), Some("the Lambda endpoint answered with status 302")),
        (http("307 Again\r\nLocation: http://127.0.0.1:1/", ""), Some("the Lambda endpoint answered with status 307")),
    ];
    for (answer, expected) in rows {
        let endpoint = Endpoint::answering(&answer);
        match expected {
            None => invoke(&answer, endpoint.function()).unwrap(),
            Some(expected) => assert_eq!(reason(&answer, endpoint.function()), expected),
        }
        // No redirect was followed, and nothing was tried again.
        assert_eq!(endpoint.requests.lock().unwrap().len(), 1, "{answer}");
    }
}

#[test]
fn what_is_no_answer_is_a_failed_step() {
    let rows: [(&[u8], &str); 9] = [
        (b"", "no answer that can be read"),
        (b"garbage\r\n\r\n", "no answer that can be read"),
        (b"\0\0\0\0", "no answer that can be read"),
        (b"HTTP/1.1", "no answer that can be read"),
        (b"HTTP/1.1 200 OK\r\n", "no answer that can be read"),
        (b"HTTP/1.1 999999 OK\r\n\r\n", "no answer that can be read"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: minus\r\n\r\n", "no answer that can be read"),
        (b"HTTP/2 200\r\n\r\n", "no answer that can be read"),
        (b"HTTP/1.1 500 Oh\r\nContent-Length: 100\r\n\r\ncut sho", "status 500: cut sho"),
    ];
    for (answer, expected) in rows {
        let endpoint = Endpoint::answering(answer);
        let shown = String::from_utf8_lossy(answer).into_owned();
        let reason = reason(&shown, endpoint.function());
        assert!(reason.contains(expected), "{shown}: {reason}");
    }
    let reason = reason("nobody", LambdaEndpointFunction::new(&nowhere()).unwrap());
    assert!(reason.contains("cannot be reached"), "{reason}");
}

#[test]
fn an_endpoint_that_hangs_is_given_up() {
    let failed = "HTTP/1.1 200 OK\r\nX-Amz-Function-Error: x\r\nContent-Length: 100\r\n\r\ntext";
    let rows = [("", "in time"), ("HTTP/1.1 200", "in time"), (failed, "the function failed")];
    for (first, expected) in rows {
        let endpoint = Endpoint::new(Then::Hang(first.as_bytes().to_vec()));
        let reason = reason(first, endpoint.function().timeout(Duration::from_millis(300)));
        assert!(reason.contains(expected), "{first}: {reason}");
    }
    let endpoint = Endpoint::answering(http("200 OK", ""));
    reason("no time at all", endpoint.function().timeout(Duration::ZERO));
    invoke("time without end", endpoint.function().timeout(Duration::MAX)).unwrap();
}

#[test]
fn an_endless_answer_is_cut() {
    let body = b"no end to this ".repeat(4096);
    let chunk = [b"f000\r\n".as_slice(), &body, b"\r\n"].concat();
    let rows = [
        ("HTTP/1.1 200 OK\r\nX-Amz-Function-Error: x\r\nContent-Length: 9000000000000\r\n\r\n", body.clone(), "no end"),
        ("HTTP/1.1 500 Oh\r\nConnection: close\r\n\r\n", body.clone(), "no end"),
        ("HTTP/1.1 500 Oh\r\nTransfer-Encoding: chunked\r\n\r\n", chunk, "no end"),
        ("HTTP/1.1 200 OK\r\n", b"X-More: and more\r\n".repeat(4096), "no answer that can be read"),
        ("HTTP/1.1 200 ", body.clone(), "no answer that can be read"),
    ];
    for (first, again, expected) in rows {
        let endpoint = Endpoint::new(Then::Repeat(first.as_bytes().to_vec(), again));
        let reason = reason(first, endpoint.function());
        assert!(reason.contains(expected), "{first}: {reason}");
    }
    // What a function returned is not looked at, however long it is.
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 9000000000000\r\n\r\n".to_vec();
    let endpoint = Endpoint::new(Then::Repeat(head, body));
    invoke("an endless success", endpoint.function()).unwrap();
}

#[test]
fn only_an_endpoint_that_says_so_has_no_such_function() {
    let rows = [
        (http("204 No Content", ""), true),
        (http("200 OK", "null"), true),
        (http("404 Not Found", "{}"), false),
        (http("403 Forbidden", ""), false),
        (http("400 Bad Request", ""), true),
        (http("405 Method Not Allowed", ""), true),
        (http("500 Oh", ""), true),
        (http("501 Not Implemented", ""), true),
        (http("301 Moved\r\nLocation: /", ""), true),
        ("garbage\r\n\r\n".to_owned(), true),
        (String::new(), true),
    ];
    for (answer, expected) in rows {
        let endpoint = Endpoint::answering(&answer);
        let function = endpoint.function();
        let found = in_time(&answer, move || function.is_invocable(FUNCTION));
        assert_eq!(found, expected, "{answer}");
        let (first, headers, _) = endpoint.request();
        assert_eq!(first, format!("POST {PATH} HTTP/1.1"));
        assert!(headers.contains(&"x-amz-invocation-type: dryrun".to_owned()), "{headers:?}");
    }
    let hanging = Endpoint::new(Then::Hang(Vec::new())).function().timeout(Duration::from_millis(300));
    assert!(in_time("hanging", move || hanging.is_invocable(FUNCTION)));
    for url in [nowhere(), "http://name.invalid".to_owned()] {
        let function = LambdaEndpointFunction::new(&url).unwrap().timeout(Duration::from_secs(5));
        assert!(!in_time("nobody", move || function.is_invocable(FUNCTION)), "{url}");
    }
}

#[test]
fn a_header_that_opens_the_endpoint_is_not_shown() {
    let function = LambdaEndpointFunction::new("http://host").unwrap().header("Authorization", "hunter2").unwrap();
    let shown = format!("{function:?}");
    assert!(shown.contains("http://host") && shown.contains("authorization") && !shown.contains("hunter2"), "{shown}");
}
