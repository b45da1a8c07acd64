//! AWS Signature Version 4 in the `Authorization` header, as the server of one service reads and verifies it.
//!
//! [`scope`] reads which access key and Region a request names, and believes it. [`verify`] believes nothing: it
//! computes the signature of what arrived and compares it in constant time. Both are functions of their arguments: they
//! read no file, no clock and no socket. The rules are those of the
//! [IAM User Guide](https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html); the
//! texts of refusals are the service's where they are known. Refusals never quote the `Authorization` header, in which a
//! confused client may have put its secret key.

mod canonical;
mod time;

use std::borrow::Cow;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use ring::hmac;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

pub(super) use self::canonical::hex;
use self::canonical::{canonical_request, sha256};
use self::time::{basic_text, basic_time, check_skew, http_time};
use super::credentials::Credentials;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const SERVICE: &str = "secretsmanager";
const TERMINATOR: &str = "aws4_request";

/// Bounds of what is looked at.
const HEADERS_MAX: usize = 128;
const HEADER_BYTES_MAX: usize = 64 * 1024;
const AUTHORIZATION_BYTES_MAX: usize = 16 * 1024;
const TARGET_BYTES_MAX: usize = 16 * 1024;
const REGION_BYTES_MAX: usize = 128;
const ECHO_CHARACTERS_MAX: usize = 64;

/// Stands in for the secret of an access key that does not exist, so that its absence does not show in the time taken.
const NO_SECRET: &str = "0000000000000000000000000000000000000000";

/// A request as it arrived.
#[derive(Clone, Copy)]
pub(crate) struct SignedRequest<'a> {
    pub(crate) method: &'a str,
    /// As in the request line, before the `?`.
    pub(crate) path: &'a str,
    /// As in the request line, after the `?`; empty if there is none.
    pub(crate) query: &'a str,
    /// In order, with repetitions. The case of names does not matter.
    pub(crate) headers: &'a [(&'a str, &'a [u8])],
    pub(crate) body: &'a [u8],
}

/// What a request says about who signed it, for what and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Scope<'a> {
    pub(crate) access_key_id: &'a str,
    pub(crate) date: &'a str,
    /// `None` if what stands in its place has not the form of a Region.
    pub(crate) region: Option<&'a str>,
    pub(crate) service: &'a str,
}

/// Who has signed a request, and for which Region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) account: String,
    pub(crate) principal: Option<String>,
    pub(crate) region: String,
    pub(crate) access_key_id: String,
}

/// Why a signature is refused, in the service's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SignatureError {
    code: &'static str,
    message: Cow<'static, str>,
}

impl SignatureError {
    /// The service's name of the error.
    pub(crate) fn code(&self) -> &'static str {
        self.code
    }

    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// The HTTP status: in AWS JSON 1.1 the same for all of them.
    pub(crate) fn status(&self) -> u16 {
        400
    }

    fn missing() -> Self {
        Self { code: "MissingAuthenticationTokenException", message: "Missing Authentication Token".into() }
    }

    fn incomplete(message: impl Into<Cow<'static, str>>) -> Self {
        Self { code: "IncompleteSignatureException", message: message.into() }
    }

    /// What has no more precise text.
    fn malformed() -> Self {
        Self::incomplete("The request signature does not conform to AWS standards.")
    }

    fn invalid(message: impl Into<Cow<'static, str>>) -> Self {
        Self { code: "InvalidSignatureException", message: message.into() }
    }

    fn mismatch() -> Self {
        Self::invalid(
            "The request signature we calculated does not match the signature you provided. Check your AWS Secret \
             Access Key and signing method. Consult the service documentation for details.",
        )
    }

    fn unrecognized() -> Self {
        let message = "The security token included in the request is invalid.".into();
        Self { code: "UnrecognizedClientException", message }
    }
}

impl fmt::Display for SignatureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl std::error::Error for SignatureError {}

/// Reads the credential scope of an `Authorization` header without believing or refusing anything else in it.
pub(crate) fn scope(authorization: &str) -> Option<Scope<'_>> {
    if authorization.len() > AUTHORIZATION_BYTES_MAX {
        return None;
    }
    let (_, behind) = authorization.split_once("Credential=")?;
    let credential = behind.split([',', ' ', '\t']).next()?;
    let [access_key_id, date, region, service, _] = five_parts(credential)?;
    let region = is_region(region).then_some(region);
    (!access_key_id.is_empty()).then_some(Scope { access_key_id, date, region, service })
}

/// Verifies the signature of a request, and says whose it is.
pub(crate) fn verify(
    request: &SignedRequest<'_>,
    credentials: &Credentials,
    now: DateTime<Utc>,
) -> Result<Identity, SignatureError> {
    verify_for(SERVICE, request, credentials, now)
}

fn verify_for(
    service: &str,
    request: &SignedRequest<'_>,
    credentials: &Credentials,
    now: DateTime<Utc>,
) -> Result<Identity, SignatureError> {
    let headers = Headers::of(request)?;
    let authorization = Authorization::of(&headers)?;
    let time = authorization.time;
    authorization.check_scope(service)?;
    check_skew(time, now)?;
    check_signed_headers(&authorization.signed_headers, &headers)?;

    let payload_hash = hex(sha256(request.body).as_ref());
    let canonical_request = canonical_request(request, &headers, &authorization.signed_headers, &payload_hash);
    let string_to_sign = authorization.string_to_sign(&canonical_request);

    let credential = credentials.get(authorization.access_key_id);
    let secret = credential.map_or(NO_SECRET, |credential| credential.secret_access_key());
    let expected = authorization.sign(secret, &string_to_sign);
    let is_signature_right = expected.as_bytes().ct_eq(authorization.signature.as_bytes()).into()
        && headers.are_there(&authorization.signed_headers)
        && headers.is_payload_hash(&payload_hash);
    let is_token_right = headers.is_token(credential.and_then(|credential| credential.session_token()));

    let credential = credential.filter(|_| is_token_right).ok_or_else(SignatureError::unrecognized)?;
    if !is_signature_right {
        return Err(SignatureError::mismatch());
    }
    Ok(Identity {
        account: credential.account().to_owned(),
        principal: credential.principal().map(str::to_owned),
        region: authorization.region.to_owned(),
        access_key_id: authorization.access_key_id.to_owned(),
    })
}

/// The headers of a request, names in lower case, values without the white space around them.
struct Headers<'a>(Vec<(String, &'a [u8])>);

impl<'a> Headers<'a> {
    fn of(request: &SignedRequest<'a>) -> Result<Self, SignatureError> {
        let bytes: usize = request.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        let target_bytes = request.method.len() + request.path.len() + request.query.len();
        if request.headers.len() > HEADERS_MAX || bytes > HEADER_BYTES_MAX || target_bytes > TARGET_BYTES_MAX {
            return Err(SignatureError::malformed());
        }
        let lower = |(name, value): &(&str, &'a [u8])| (name.to_ascii_lowercase(), trimmed(value));
        Ok(Self(request.headers.iter().map(lower).collect()))
    }

    fn values(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.0.iter().filter(move |(given, _)| given == name).map(|(_, value)| *value)
    }

    /// The value of a header that must not be repeated.
    fn single(&self, name: &str) -> Result<Option<&'a [u8]>, SignatureError> {
        let mut values = self.values(name);
        let value = values.next();
        if values.next().is_some() { Err(SignatureError::malformed()) } else { Ok(value) }
    }

    /// Whether the request has every header that it says is signed. One that is missing would pass for an empty one.
    fn are_there(&self, signed: &[&str]) -> bool {
        signed.iter().all(|name| self.values(name).next().is_some())
    }

    /// Whether the payload hash that the request may name is the body's. That of an unsigned or streamed payload is not.
    fn is_payload_hash(&self, payload_hash: &str) -> bool {
        self.values("x-amz-content-sha256").all(|named| named == payload_hash.as_bytes())
    }

    /// Whether the request carries this session token, or none if there is none.
    fn is_token(&self, expected: Option<&str>) -> bool {
        let mut given = self.values("x-amz-security-token");
        match (given.next(), given.next(), expected) {
            (Some(token), None, Some(expected)) => token.ct_eq(expected.as_bytes()).into(),
            (None, None, None) => true,
            _ => false,
        }
    }

    /// When the request says that it was signed; `None` if it does not say.
    fn time(&self) -> Result<Option<DateTime<Utc>>, SignatureError> {
        let (value, parse): (_, fn(&str) -> _) = match (self.single("x-amz-date")?, self.single("date")?) {
            (Some(value), _) => (value, basic_time),
            (None, Some(value)) => (value, |text| basic_time(text).or_else(|| http_time(text))),
            (None, None) => return Ok(None),
        };
        let time = std::str::from_utf8(value).ok().and_then(parse).ok_or_else(|| {
            SignatureError::incomplete(format!(
                "Date must be in ISO-8601 'basic format'. Got '{}'. See http://en.wikipedia.org/wiki/ISO_8601",
                echo(&String::from_utf8_lossy(value))
            ))
        })?;
        Ok(Some(time))
    }
}

/// The parts of an `Authorization` header, and the time that belongs to it.
struct Authorization<'a> {
    access_key_id: &'a str,
    date: &'a str,
    region: &'a str,
    service: &'a str,
    terminator: &'a str,
    signed_headers: Vec<&'a str>,
    signature: &'a str,
    time: DateTime<Utc>,
}

impl<'a> Authorization<'a> {
    fn of(headers: &Headers<'a>) -> Result<Self, SignatureError> {
        let value = headers.single("authorization")?.filter(|value| !value.is_empty());
        let value = value.ok_or_else(SignatureError::missing)?;
        let text = std::str::from_utf8(value).ok().filter(|text| text.len() <= AUTHORIZATION_BYTES_MAX);
        let text = text.ok_or_else(SignatureError::malformed)?;
        let Parts { credential, signature, signed_headers } = Parts::of(text)?;
        let (Some(credential), Some(signature), Some(signed_headers), Some(time)) =
            (credential, signature, signed_headers, headers.time()?)
        else {
            return Err(missing_parts(text, [credential, signature, signed_headers], headers.time()?));
        };
        let five = five_parts(credential).filter(|[access_key_id, ..]| !access_key_id.is_empty());
        let [access_key_id, date, region, service, terminator] = five.ok_or_else(|| {
            SignatureError::incomplete(format!(
                "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got \
                 (hashed with SHA-256 and encoded with Base64): '{}'",
                hashed(credential)
            ))
        })?;
        let signed_headers = signed_headers.split(';').collect();
        Ok(Self { access_key_id, date, region, service, terminator, signed_headers, signature, time })
    }

    fn check_scope(&self, service: &str) -> Result<(), SignatureError> {
        let mut problems = Vec::new();
        if !is_region(self.region) {
            problems.push("Credential should be scoped to a valid region.".to_owned());
        }
        if self.service != service {
            problems.push(format!("Credential should be scoped to correct service: '{service}'."));
        }
        if self.terminator != TERMINATOR {
            problems.push(format!("Credential should be scoped with a valid terminator: '{TERMINATOR}'."));
        }
        let time = basic_text(self.time);
        if time.get(..8) != Some(self.date) {
            problems.push(format!(
                "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '{}' != \
                 '{}', from '{time}'.",
                echo(self.date),
                self.time.format("%Y%m%d")
            ));
        }
        if problems.is_empty() { Ok(()) } else { Err(SignatureError::invalid(problems.join(" "))) }
    }

    fn string_to_sign(&self, canonical_request: &[u8]) -> String {
        let Self { date, region, service, terminator, .. } = self;
        let time = basic_text(self.time);
        let hash = hex(sha256(canonical_request).as_ref());
        format!("{ALGORITHM}\n{time}\n{date}/{region}/{service}/{terminator}\n{hash}")
    }

    /// The signature in hexadecimal: of the text with a key that is good for one day, Region and service.
    fn sign(&self, secret: &str, string_to_sign: &str) -> String {
        let mut key = Zeroizing::new(Vec::with_capacity(secret.len() + 4));
        key.extend_from_slice(b"AWS4");
        key.extend_from_slice(secret.as_bytes());
        for part in [self.date, self.region, self.service, self.terminator, string_to_sign] {
            let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), part.as_bytes());
            key = Zeroizing::new(tag.as_ref().to_vec());
        }
        hex(&key)
    }
}

/// The parameters of an `Authorization` header, as far as they are there.
#[derive(Default)]
struct Parts<'a> {
    credential: Option<&'a str>,
    signature: Option<&'a str>,
    signed_headers: Option<&'a str>,
}

impl<'a> Parts<'a> {
    fn of(text: &'a str) -> Result<Self, SignatureError> {
        let (algorithm, parameters) = text.split_once([' ', '\t']).unwrap_or((text, ""));
        if algorithm != ALGORITHM {
            return Err(SignatureError::malformed());
        }
        let mut parts = Self::default();
        if parameters.is_empty() {
            return Ok(parts);
        }
        for parameter in parameters.split(',') {
            let Some((name, value)) = parameter.trim_matches([' ', '\t']).split_once('=') else {
                return Err(SignatureError::incomplete(format!(
                    "Invalid key=value pair (missing equal-sign) in Authorization header (hashed with SHA-256 and \
                     encoded with Base64): '{}'.",
                    hashed(text)
                )));
            };
            let place = match name {
                "Credential" => &mut parts.credential,
                "Signature" => &mut parts.signature,
                "SignedHeaders" => &mut parts.signed_headers,
                _ => return Err(SignatureError::malformed()),
            };
            let is_odd = |c: char| c.is_whitespace() || c.is_control();
            if place.replace(value).is_some() || value.contains(is_odd) {
                return Err(SignatureError::malformed());
            }
        }
        let given = |part: Option<&'a str>| part.filter(|value| !value.is_empty());
        let Self { credential, signature, signed_headers } = parts;
        Ok(Self { credential: given(credential), signature: given(signature), signed_headers: given(signed_headers) })
    }
}

/// Says what is missing of the parameters, in the order of [`Parts`], and of the date.
fn missing_parts(authorization: &str, parts: [Option<&str>; 3], time: Option<DateTime<Utc>>) -> SignatureError {
    let mut message = String::new();
    for (name, part) in ["Credential", "Signature", "SignedHeaders"].into_iter().zip(parts) {
        if part.is_none() {
            message.push_str(&format!("Authorization header requires '{name}' parameter. "));
        }
    }
    if time.is_none() {
        message.push_str("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. ");
    }
    let hash = hashed(authorization);
    SignatureError::incomplete(format!("{message}(Hashed with SHA-256 and encoded with Base64) Authorization={hash}"))
}

/// Refuses a list of signed headers that is not in its canonical form, or leaves out what must not be changed on the way.
fn check_signed_headers(signed: &[&str], headers: &Headers<'_>) -> Result<(), SignatureError> {
    let is_name = |name: &&str| !name.is_empty() && name.bytes().all(is_lower_header_byte);
    if !signed.iter().all(is_name) || !signed.is_sorted_by(|one, next| one < next) {
        return Err(SignatureError::malformed());
    }
    if !signed.contains(&"host") {
        return Err(SignatureError::invalid(
            "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.",
        ));
    }
    headers.single("host")?;
    for (name, _) in headers.0.iter().filter(|(name, _)| name.starts_with("x-amz-")) {
        if !signed.contains(&name.as_str()) {
            let name = echo(name);
            let message = format!("'{name}' must be a 'SignedHeader' in the AWS Authorization.");
            return Err(SignatureError::invalid(message));
        }
    }
    Ok(())
}

/// A header's value without the white space that HTTP allows around it.
fn trimmed(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// Whether a name in lower case may contain the byte (RFC 9110, `token`).
fn is_lower_header_byte(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Whether the text has the form of a Region: words and a number, with hyphens between them.
fn is_region(text: &str) -> bool {
    let Some((words, number)) = text.rsplit_once('-') else { return false };
    let is_word = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase());
    text.len() <= REGION_BYTES_MAX
        && !number.is_empty()
        && number.bytes().all(|byte| byte.is_ascii_digit())
        && words.split('-').all(is_word)
}

/// Splits a credential, which has exactly five parts.
fn five_parts(credential: &str) -> Option<[&str; 5]> {
    let mut parts = credential.split('/');
    let five = [parts.next()?, parts.next()?, parts.next()?, parts.next()?, parts.next()?];
    parts.next().is_none().then_some(five)
}

/// What a refusal may repeat of a request.
fn echo(text: &str) -> String {
    text.chars().take(ECHO_CHARACTERS_MAX).collect()
}

fn hashed(text: &str) -> String {
    STANDARD.encode(sha256(text.as_bytes()))
}

#[cfg(test)]
mod tests;
