//! Verification against signatures that others have made, and against everything that may be wrong with one.

use std::sync::LazyLock;

use serde_json::{Value, json};

use super::*;

mod changes;
mod header;
mod time;

const PUBLISHED: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/wire/sigv4/published.json"));
const RECORDED: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/wire/sigv4/recorded.json"));

const INCOMPLETE: &str = "IncompleteSignatureException";
const INVALID: &str = "InvalidSignatureException";
const UNRECOGNIZED: &str = "UnrecognizedClientException";
const MISMATCH: &str = "The request signature we calculated does not match the signature you provided. Check your AWS \
                        Secret Access Key and signing method. Consult the service documentation for details.";
const NO_STANDARD: &str = "The request signature does not conform to AWS standards.";

/// A signed request, and what the server knows when it arrives.
#[derive(Debug, Clone)]
struct Row {
    name: String,
    service: &'static str,
    now: DateTime<Utc>,
    region: String,
    credential: Value,
    method: String,
    path: String,
    query: String,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
    signature: String,
    canonical_request: Option<String>,
}

/// The rows of a file of known answers.
fn rows(file: &str, list: &str, service: &'static str) -> Vec<Row> {
    let file: Value = serde_json::from_str(file).unwrap();
    file[list].as_array().unwrap().iter().map(|row| Row::of(row, service)).collect()
}

fn recorded() -> Vec<Row> {
    let rows = rows(RECORDED, "rows", SERVICE);
    assert_eq!(rows.len(), 55);
    rows
}

fn usual() -> Row {
    static USUAL: LazyLock<Row> =
        LazyLock::new(|| recorded().into_iter().find(|row| row.name == "usual").expect("the first row"));
    USUAL.clone()
}

impl Row {
    fn of(row: &Value, service: &'static str) -> Self {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let header = |header: &Value| (text(&header[0]), text(&header[1]).into_bytes());
        Self {
            name: text(&row["name"]),
            service,
            now: basic_time(&text(&row["now"])).unwrap(),
            region: text(&row["region"]),
            credential: row["credential"].clone(),
            method: text(&row["method"]),
            path: text(&row["path"]),
            query: text(&row["query"]),
            headers: row["headers"].as_array().unwrap().iter().map(header).collect(),
            body: text(&row["body"]).into_bytes(),
            signature: text(&row["signature"]),
            canonical_request: row["canonical_request"].as_str().map(str::to_owned),
        }
    }

    fn changed(&self, change: impl FnOnce(&mut Self)) -> Self {
        let mut row = self.clone();
        change(&mut row);
        row
    }

    fn with_request<T>(&self, use_it: impl FnOnce(&SignedRequest<'_>) -> T) -> T {
        let Self { method, path, query, body, .. } = self;
        let headers: Vec<(&str, &[u8])> =
            self.headers.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
        use_it(&SignedRequest { method, path, query, headers: &headers, body })
    }

    fn verify(&self) -> Result<Identity, SignatureError> {
        let file = json!({ "credentials": [self.credential] }).to_string();
        let credentials = Credentials::parse(file.as_bytes()).unwrap();
        self.with_request(|request| verify_for(self.service, request, &credentials, self.now))
    }

    fn accepted(&self, what: &str) {
        let identity = self.verify().unwrap_or_else(|error| panic!("{}, {what}: {error}", self.name));
        let expected = Identity {
            account: "111122223333".to_owned(),
            principal: None,
            region: self.region.clone(),
            access_key_id: self.credential["access_key_id"].as_str().unwrap().to_owned(),
        };
        assert_eq!(identity, expected, "{}, {what}", self.name);
    }

    /// Refused with a code, and with the text if there is one.
    fn refused(&self, what: &str, code: &str, message: Option<&str>) {
        let error = self.verify().expect_err(&format!("{}, {what}: accepted", self.name));
        assert_eq!((error.code(), error.status()), (code, 400), "{}, {what}: {error}", self.name);
        if let Some(message) = message {
            assert_eq!(error.message(), message, "{}, {what}", self.name);
        }
    }

    fn has_token(&self) -> bool {
        self.credential.get("session_token").is_some()
    }

    fn authorization(&self) -> String {
        let (_, value) = self.headers.iter().find(|(name, _)| name == "Authorization").unwrap();
        String::from_utf8(value.clone()).unwrap()
    }

    fn set(&mut self, header: &str, value: &str) {
        self.headers.retain(|(name, _)| !name.eq_ignore_ascii_case(header));
        self.headers.push((header.to_owned(), value.as_bytes().to_vec()));
    }

    fn with_authorization(&self, change: impl FnOnce(&str) -> String) -> Self {
        self.changed(|row| row.set("Authorization", &change(&row.authorization())))
    }

    fn replacing(&self, from: &str, to: &str) -> Self {
        assert!(self.authorization().contains(from), "{}: no {from}", self.name);
        self.with_authorization(|text| text.replacen(from, to, 1))
    }

    fn signed_headers(&self) -> Vec<String> {
        let text = self.authorization();
        let names = text.split("SignedHeaders=").nth(1).unwrap().split(',').next().unwrap();
        names.split(';').map(str::to_owned).collect()
    }
}

#[test]
fn the_published_suite_is_canonicalised_and_signed_as_it_says() {
    let rows = rows(PUBLISHED, "rows", "service");
    assert_eq!(rows.len(), 30);
    for row in rows {
        let names = row.signed_headers();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let canonical = row.with_request(|request| {
            canonical_request(request, &Headers::of(request).unwrap(), &names, &hex(sha256(request.body).as_ref()))
        });
        assert_eq!(String::from_utf8(canonical).ok(), row.canonical_request, "{}", row.name);
        assert!(row.authorization().ends_with(&row.signature), "{}", row.name);
        row.accepted("as it is");
        row.changed(|row| row.body.push(b' ')).refused("with a longer body", INVALID, None);
    }
}

#[test]
fn requests_as_the_sdk_signs_them_are_accepted() {
    for row in recorded() {
        assert!(row.authorization().ends_with(&row.signature), "{}", row.name);
        row.accepted("as it is");
    }
}

#[test]
fn requests_for_something_else_are_refused_although_they_are_signed_properly() {
    let service = Some("Credential should be scoped to correct service: 'secretsmanager'.");
    let region = Some("Credential should be scoped to a valid region.");
    let rows = rows(RECORDED, "refused", SERVICE);
    let messages = [Some(MISMATCH); 4].into_iter().chain([service; 2]).chain([region; 3]);
    assert_eq!(rows.len(), 9);
    for (row, message) in rows.iter().zip(messages) {
        row.refused("as it is", INVALID, message);
    }
}
