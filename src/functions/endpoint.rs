//! Rotation functions behind an HTTP endpoint that speaks Lambda's API.

use std::fmt::Write as _;
use std::io::{self, Read as _};
use std::time::Duration;

use serde::Deserialize;
use ureq::http::uri::{PathAndQuery, Scheme};
use ureq::http::{HeaderName, HeaderValue, Response, StatusCode, Uri};
use ureq::{Agent, Body, Timeout};

use crate::error::{Error, Result};
use crate::functions::event::{cleaned, event};
use crate::json::from_line;
use crate::store::{RotationCall, RotationError, RotationFunction};

/// As long as the service lets a function run.
const TIMEOUT: Duration = Duration::from_secs(15 * 60);

/// `RotateSecret` waits for the answer whether there is such a function.
const QUESTION_TIMEOUT: Duration = Duration::from_secs(5);

/// Longest that looking up a name, or connecting, may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes of an answer that are read.
const ANSWER_BYTES_MAX: u64 = 64 * 1024;

const INVOCATION_TYPE: &str = "x-amz-invocation-type";
const FUNCTION_ERROR: &str = "x-amz-function-error";

/// A [`RotationFunction`] that calls functions behind an HTTP endpoint that speaks the API `Invoke` of Lambda (feature
/// `cli`): an emulator, or the local endpoint of a development tool.
///
/// A step is a `POST` to `{base}/2015-03-31/functions/{ARN}/invocations` with the event of the service. It has succeeded if
/// the answer has status 200 and no header `X-Amz-Function-Error`; what the function returned is ignored. Otherwise the
/// error of the answer is the reason. Nothing is signed, nothing is encrypted, redirects are not followed, and proxies of
/// the environment are not used.
///
/// ```
/// use strongroom::{LambdaEndpointFunction, SecretStore, StaticKey};
///
/// let store = SecretStore::in_memory()
///     .key_provider(StaticKey::new([7; 32]))
///     .rotation_function("arn:aws:lambda:*", LambdaEndpointFunction::new("http://127.0.0.1:3001")?)
///     .open()?;
/// # Ok::<(), strongroom::Error>(())
/// ```
///
/// Source: <https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html>
#[derive(Debug, Clone)]
pub struct LambdaEndpointFunction {
    /// With no slash at its end.
    base: String,
    function_name: Option<String>,
    headers: Vec<(HeaderName, HeaderValue)>,
    timeout: Duration,
    agent: Agent,
}

impl LambdaEndpointFunction {
    /// Calls functions at this URL, which may have a path.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`](crate::ErrorKind::Configuration): it is not an `http` URL with a host, or it has a user,
    /// a query or a fragment.
    pub fn new(base_url: &str) -> Result<Self> {
        let refused = |why: &str| Err(Error::configuration(format!("the URL of a Lambda endpoint {why}")));
        let Ok(url) = base_url.parse::<Uri>() else { return refused("cannot be read") };
        if url.scheme() != Some(&Scheme::HTTP) {
            return refused("does not begin with http://");
        }
        let Some(authority) = url.authority().filter(|authority| !authority.host().is_empty()) else {
            return refused("names no host");
        };
        let port = authority.as_str().strip_prefix(authority.host()).unwrap_or_default();
        if authority.as_str().contains('@') || !(port.is_empty() || authority.port_u16().is_some_and(|port| port > 0)) {
            return refused("has a user, or something else than a port behind the host");
        }
        let has_query = url.path_and_query().is_some_and(|path| path.query().is_some());
        if has_query || base_url.contains('#') {
            return refused("has a query or a fragment");
        }
        let path = url.path_and_query().map_or("", PathAndQuery::path).trim_end_matches('/');
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(None)
            // A connection that was kept may be closed by the time of the next step, and a call is not repeated.
            .max_idle_connections(0)
            .max_response_header_size(64 * 1024)
            .user_agent(concat!("strongroom/", env!("CARGO_PKG_VERSION")))
            .build()
            .new_agent();
        let base = format!("http://{authority}{path}");
        Ok(Self { base, function_name: None, headers: Vec::new(), timeout: TIMEOUT, agent })
    }

    /// Calls this function whatever the ARN is: a name or an ARN. For endpoints that have one function only, under a name
    /// of theirs.
    #[must_use]
    pub fn function_name(mut self, name: impl Into<String>) -> Self {
        self.function_name = Some(name.into());
        self
    }

    /// Adds a header to every request.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`](crate::ErrorKind::Configuration): the name or the value cannot be in a header.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self> {
        let refused = || Error::configuration("the header for a Lambda endpoint is none");
        let mut value: HeaderValue = value.parse().map_err(|_| refused())?;
        value.set_sensitive(true);
        self.headers.push((name.parse().map_err(|_| refused())?, value));
        Ok(self)
    }

    /// How long a step may take, with everything. Default: 15 minutes.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    fn post(&self, arn: &str, kind: &str, body: &[u8], timeout: Duration) -> Result<Response<Body>, ureq::Error> {
        let function = encoded(self.function_name.as_deref().unwrap_or(arn));
        let mut request = self.agent.post(format!("{}/2015-03-31/functions/{function}/invocations", self.base));
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        request = request.header("content-type", "application/json").header(INVOCATION_TYPE, kind);
        // No system can tell a later time, and none is meant.
        let timeout = Some(timeout).filter(|timeout| *timeout < Duration::from_secs(u32::MAX.into()));
        // Shorter than the whole, so that it is known afterwards whether there was a connection.
        let connect = timeout.map_or(CONNECT_TIMEOUT, |timeout| (timeout / 2).min(CONNECT_TIMEOUT));
        let config = request.config().timeout_global(timeout);
        config.timeout_resolve(Some(connect)).timeout_connect(Some(connect)).build().send(body)
    }
}

impl RotationFunction for LambdaEndpointFunction {
    fn invoke(&self, call: &RotationCall) -> Result<(), RotationError> {
        let arn = call.function_arn.as_deref().or(self.function_name.as_deref());
        let arn = arn.ok_or("the secret has no function ARN, which the Lambda endpoint could be asked for")?;
        let answer = self.post(arn, "RequestResponse", &event(call)?, self.timeout);
        let mut answer = answer.map_err(|error| not_answered(&error))?;
        let is_function_error = answer.headers().contains_key(FUNCTION_ERROR);
        if answer.status() == StatusCode::OK && !is_function_error {
            return Ok(());
        }
        let what = if is_function_error {
            "the function failed".to_owned()
        } else {
            format!("the Lambda endpoint answered with status {}", answer.status().as_u16())
        };
        let why = complaint(answer.body_mut());
        let colon = if why.is_empty() { "" } else { ": " };
        Err(RotationError::new(format!("{what}{colon}{why}")))
    }

    /// Asks the endpoint, which is reached if there is any answer. Only the statuses 403 and 404 mean that there is no such
    /// function: not every endpoint knows the question.
    fn is_invocable(&self, function_arn: &str) -> bool {
        match self.post(function_arn, "DryRun", b"{}", self.timeout.min(QUESTION_TIMEOUT)) {
            Ok(answer) => ![StatusCode::FORBIDDEN, StatusCode::NOT_FOUND].contains(&answer.status()),
            Err(error) => is_connected(&error),
        }
    }
}

/// The error that an answer tells, as far as it can be read.
#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct Told {
    #[serde(rename = "errorType")]
    error_type: Option<String>,
    #[serde(rename = "errorMessage", alias = "message", alias = "Message")]
    message: Option<String>,
}

fn complaint(body: &mut Body) -> String {
    let mut bytes = Vec::new();
    // What was read until it failed, or until it was enough, is what there is to tell.
    let _ = body.as_reader().take(ANSWER_BYTES_MAX).read_to_end(&mut bytes);
    let told = std::str::from_utf8(&bytes).ok().and_then(|text| from_line(text).ok()).unwrap_or_default();
    match told {
        Told { error_type: Some(kind), message: Some(message) } => cleaned(format!("{kind}: {message}").as_bytes()),
        Told { error_type: Some(text), message: None } | Told { error_type: None, message: Some(text) } => {
            cleaned(text.as_bytes())
        }
        Told { error_type: None, message: None } => cleaned(&bytes),
    }
}

fn not_answered(error: &ureq::Error) -> RotationError {
    let why = match error {
        ureq::Error::Timeout(_) => "did not answer in time".to_owned(),
        error if !is_connected(error) => format!("cannot be reached: {error}"),
        error => format!("gave no answer that can be read: {error}"),
    };
    RotationError::new(cleaned(format!("the Lambda endpoint {why}").as_bytes()))
}

/// Whether anybody was there, so that what went wrong came later. A name that leads nowhere has no kind of its own, so
/// the errors of connections that were there are told apart instead.
fn is_connected(error: &ureq::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, InvalidData, UnexpectedEof};
    match error {
        ureq::Error::HostNotFound | ureq::Error::ConnectionFailed => false,
        ureq::Error::BadUri(_) | ureq::Error::Http(_) => false,
        ureq::Error::Timeout(Timeout::Connect | Timeout::Resolve) => false,
        ureq::Error::Io(error) => {
            [BrokenPipe, ConnectionAborted, ConnectionReset, InvalidData, UnexpectedEof].contains(&error.kind())
        }
        _ => true,
    }
}

/// A text as one part of a path, as SDKs write it there: everything but letters, digits and `-._~` is encoded.
fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(byte.into());
        } else {
            // Writing into a text does not fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn only_plain_http_urls_are_endpoints() {
        let rows = [
            ("http://127.0.0.1:3001", "http://127.0.0.1:3001"),
            ("http://127.0.0.1:3001/", "http://127.0.0.1:3001"),
            ("http://localhost", "http://localhost"),
            ("http://[::1]:9000/base/path//", "http://[::1]:9000/base/path"),
            ("HTTP://Host.test/", "http://Host.test"),
        ];
        for (url, base) in rows {
            assert_eq!(LambdaEndpointFunction::new(url).unwrap().base, base, "{url}");
        }
        let bad = [
            "",
            "http",
            "http:",
            "http://",
            "http:///path",
            "127.0.0.1:3001",
            "localhost:3001",
            "/path",
            "https://host",
            "ftp://host",
            "file:///etc/passwd",
            "http://user@host",
            "http://user:pass@host",
            "http://host?q",
            "http://host/#f",
            "http://host:port",
            "http://host:99999",
            "http://host:0",
            "http://host:",
            "http://ho st",
            "http://h\u{f6}st",
            "http://host\r\nX: y",
            " http://host",
        ];
        for url in bad {
            let error = LambdaEndpointFunction::new(url).expect_err(url);
            assert_eq!(*error.kind(), ErrorKind::Configuration, "{url}");
            assert!(!error.to_string().contains("pass"), "{error}");
        }
        let endpoint = LambdaEndpointFunction::new("http://host").unwrap();
        for (name, value) in [("", "x"), ("a b", "x"), ("a", "x\r\ny: z"), ("a\n", "x")] {
            let error = endpoint.clone().header(name, value).expect_err(name);
            assert_eq!(*error.kind(), ErrorKind::Configuration);
        }
    }

    #[test]
    fn an_arn_is_one_part_of_the_path() {
        let arn = "arn:aws:lambda:us-east-1:000000000000:function:a-b_c:$LATEST/..?#%\u{e9}";
        let expected =
            "arn%3Aaws%3Alambda%3Aus-east-1%3A000000000000%3Afunction%3Aa-b_c%3A%24LATEST%2F..%3F%23%25%C3%A9";
        assert_eq!(encoded(arn), expected);
    }
}
