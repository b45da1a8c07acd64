//! The credentials file: access keys, their secrets, and the accounts and principals that they stand for.
//!
//! The file is JSON, for its owner alone:
//!
//! ```json
//! {"credentials": [{"access_key_id": "AKIDEXAMPLE", "secret_access_key": "…", "session_token": "…",
//!                   "account": "111122223333", "principal": "arn:aws:iam::111122223333:user/alice",
//!                   "policies": [{"Version": "2012-10-17", "Statement": […]}], "tags": {"team": "payments"},
//!                   "organization": "o-a1b2c3d4e5", "user_id": "AIDAEXAMPLE"}]}
//! ```
//!
//! All but the first two and `account` may be left out; where policies are enforced, `principal` must be there. No message
//! quotes a value, because any of them may be a secret that was put in the wrong place.

mod acting;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use strongroom::Caller;
use zeroize::Zeroizing;

use self::acting::Acting;

/// Longest file that is read.
const FILE_BYTES_MAX: u64 = 1024 * 1024;
/// Most entries of a file.
const ENTRIES_MAX: usize = 1000;

const ACCESS_KEY_ID_BYTES_MAX: usize = 128;
const SECRET_BYTES_MAX: usize = 1024;
const TOKEN_BYTES_MAX: usize = 8192;
const PRINCIPAL_BYTES_MAX: usize = 2048;
const ACCOUNT_DIGITS: usize = 12;

/// The members of an entry.
const ACCESS_KEY_ID: &str = "access_key_id";
const SECRET_ACCESS_KEY: &str = "secret_access_key";
const SESSION_TOKEN: &str = "session_token";
const ACCOUNT: &str = "account";
const PRINCIPAL: &str = "principal";
const MEMBERS: [&str; 9] = [
    ACCESS_KEY_ID,
    SECRET_ACCESS_KEY,
    SESSION_TOKEN,
    ACCOUNT,
    PRINCIPAL,
    acting::POLICIES,
    acting::TAGS,
    acting::ORGANIZATION,
    acting::USER_ID,
];

/// What an access key id stands for. Secrets are wiped when it is dropped.
pub(super) struct Credential {
    secret_access_key: Zeroizing<String>,
    session_token: Option<Zeroizing<String>>,
    account: String,
    principal: Option<String>,
    /// On whose behalf it calls where policies are enforced.
    acting: Acting,
}

impl Credential {
    /// One that is given out for a while, and calls on nobody's behalf.
    pub(super) fn temporary(secret_access_key: &str, session_token: &str, account: &str) -> Self {
        Self {
            secret_access_key: Zeroizing::new(secret_access_key.to_owned()),
            session_token: Some(Zeroizing::new(session_token.to_owned())),
            account: account.to_owned(),
            principal: None,
            acting: Err(acting::ABSENT),
        }
    }

    pub(super) fn secret_access_key(&self) -> &str {
        &self.secret_access_key
    }

    pub(super) fn session_token(&self) -> Option<&str> {
        self.session_token.as_ref().map(|token| token.as_str())
    }

    pub(super) fn account(&self) -> &str {
        &self.account
    }

    pub(super) fn principal(&self) -> Option<&str> {
        self.principal.as_deref()
    }
}

/// Every credential that the server knows, by its access key id.
#[derive(Default)]
pub(crate) struct Credentials {
    by_access_key_id: HashMap<String, Credential>,
    /// What is wrong with the first entry that stands for no caller.
    no_caller: Option<String>,
}

impl Credentials {
    /// Reads a file that nobody but its owner may read or write. Where policies are enforced, every entry must stand for a
    /// caller.
    pub(crate) fn read(path: &Path, enforces_policies: bool) -> Result<Self, String> {
        let shown = path.display();
        let bytes = read_private(path).map_err(|problem| format!("credentials file `{shown}` {problem}"))?;
        let named = |problem| format!("credentials file `{shown}`: {problem}");
        let credentials = Self::parse(&bytes).map_err(named)?;
        if enforces_policies {
            credentials.require_callers().map_err(named)?;
        }
        Ok(credentials)
    }

    /// Fails unless every entry stands for a caller.
    fn require_callers(&self) -> Result<(), String> {
        self.no_caller.clone().map_or(Ok(()), Err)
    }

    /// Whether nobody is known.
    pub(crate) fn is_empty(&self) -> bool {
        self.by_access_key_id.is_empty()
    }

    /// Reads the text of a file.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, String> {
        if bytes.len() as u64 > FILE_BYTES_MAX {
            return Err(format!("it is longer than {FILE_BYTES_MAX} bytes"));
        }
        let mut by_access_key_id = HashMap::new();
        let mut no_caller = None;
        for (index, entry) in entries(bytes)?.into_iter().enumerate() {
            let named = |problem| format!("entry {}: {problem}", index + 1);
            let (access_key_id, credential) = credential(entry).map_err(named)?;
            if let Err(why) = &credential.acting {
                no_caller.get_or_insert_with(|| named(acting::problem(why)));
            }
            match by_access_key_id.entry(access_key_id) {
                Entry::Vacant(place) => place.insert(credential),
                Entry::Occupied(_) => return Err(named(format!("`{ACCESS_KEY_ID}` is that of an earlier entry"))),
            };
        }
        Ok(Self { by_access_key_id, no_caller })
    }

    /// The account and the principal that an access key id stands for.
    pub(crate) fn identify(&self, access_key_id: &str) -> Option<(&str, Option<&str>)> {
        self.get(access_key_id).map(|credential| (credential.account(), credential.principal()))
    }

    /// On whose behalf calls with an access key id are made. `None`: on nobody's.
    pub(crate) fn caller(&self, access_key_id: &str) -> Option<Arc<Caller>> {
        self.get(access_key_id).and_then(|credential| credential.acting.clone().ok())
    }

    /// Adds a credential.
    pub(super) fn insert(&mut self, access_key_id: String, credential: Credential) {
        self.by_access_key_id.insert(access_key_id, credential);
    }

    pub(super) fn remove(&mut self, access_key_id: &str) {
        self.by_access_key_id.remove(access_key_id);
    }

    pub(super) fn get(&self, access_key_id: &str) -> Option<&Credential> {
        self.by_access_key_id.get(access_key_id)
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("entries", &self.by_access_key_id.len()).finish_non_exhaustive()
    }
}

/// The bytes of a file, or what is wrong with it as the end of a sentence.
fn read_private(path: &Path) -> Result<Zeroizing<Vec<u8>>, String> {
    let unreadable = |error: io::Error| format!("cannot be read: {error}");
    // Before it is opened, because opening a pipe would wait for a writer.
    if !fs::symlink_metadata(path).map_err(unreadable)?.is_file() {
        return Err("is a symbolic link or not a file".to_owned());
    }
    let file = File::open(path).map_err(unreadable)?;
    let about = file.metadata().map_err(unreadable)?;
    if is_exposed(&about) {
        return Err(format!("can be read or written by others; run `chmod 600 {}`", path.display()));
    }
    if about.len() > FILE_BYTES_MAX {
        return Err(format!("is longer than {FILE_BYTES_MAX} bytes"));
    }
    // One byte more than is read, so that reading to the end never makes the buffer grow and leave a copy behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(about.len()).unwrap_or_default() + 1));
    file.take(about.len()).read_to_end(&mut bytes).map_err(unreadable)?;
    Ok(bytes)
}

/// Whether somebody other than the owner may read or write the file.
#[cfg(unix)]
fn is_exposed(about: &fs::Metadata) -> bool {
    std::os::unix::fs::PermissionsExt::mode(&about.permissions()) & 0o077 != 0
}

#[cfg(not(unix))]
fn is_exposed(_: &fs::Metadata) -> bool {
    false
}

/// The entries of a file, not yet looked at.
fn entries(bytes: &[u8]) -> Result<Vec<&RawValue>, String> {
    let wrong = |error: serde_json::Error| {
        format!("it is not of the form {{\"credentials\": [{{…}}]}} (line {}, column {})", error.line(), error.column())
    };
    let Members(members) = serde_json::from_slice(bytes).map_err(wrong)?;
    let mut entries = None;
    for (name, value) in members {
        if name != "credentials" {
            return Err(format!("there is no member `{}`", name.escape_debug()));
        }
        let list: Vec<&RawValue> =
            serde_json::from_str(value.get()).map_err(|_| "`credentials` is not a list".to_owned())?;
        if entries.replace(list).is_some() {
            return Err("`credentials` is given twice".to_owned());
        }
    }
    let entries = entries.ok_or("`credentials` is missing")?;
    if entries.len() > ENTRIES_MAX {
        return Err(format!("there are more than {ENTRIES_MAX} entries"));
    }
    Ok(entries)
}

fn credential(entry: &RawValue) -> Result<(String, Credential), String> {
    let members: Members<'_> = serde_json::from_str(entry.get()).map_err(|_| "it is not an object".to_owned())?;
    members.check_names()?;
    let access_key_id = members.required(ACCESS_KEY_ID, is_access_key_id)?;
    let secret_access_key = members.required(SECRET_ACCESS_KEY, |text| is_secret(text, SECRET_BYTES_MAX))?;
    let session_token = members.optional(SESSION_TOKEN, |text| is_secret(text, TOKEN_BYTES_MAX))?;
    let account = members.required(ACCOUNT, is_account)?;
    let principal = members.optional(PRINCIPAL, is_principal)?;
    let account = account.to_string();
    let principal = principal.map(|principal| principal.to_string());
    let acting = acting::read(&members, &account, principal.as_deref())?;
    Ok((access_key_id.to_string(), Credential { secret_access_key, session_token, account, principal, acting }))
}

/// The rules for the members, each with the rest of the sentence that is said when it is broken.
type Rule = Result<(), &'static str>;

fn is_access_key_id(text: &str) -> Rule {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    let is_good = (1..=ACCESS_KEY_ID_BYTES_MAX).contains(&text.len()) && text.bytes().all(is_part);
    is_good.then_some(()).ok_or("must be 1 to 128 letters, digits, `_`, `-` or `.`")
}

fn is_secret(text: &str, bytes_max: usize) -> Rule {
    if text.is_empty() {
        return Err("is empty");
    }
    if text.len() > bytes_max {
        return Err("is too long");
    }
    text.bytes().all(|byte| byte.is_ascii_graphic()).then_some(()).ok_or("must be ASCII characters without spaces")
}

fn is_account(text: &str) -> Rule {
    let is_good = text.len() == ACCOUNT_DIGITS && text.bytes().all(|byte| byte.is_ascii_digit());
    is_good.then_some(()).ok_or("must be 12 digits")
}

fn is_principal(text: &str) -> Rule {
    let is_good = (1..=PRINCIPAL_BYTES_MAX).contains(&text.len()) && !text.chars().any(char::is_control);
    is_good.then_some(()).ok_or("must be 1 to 2048 bytes without control characters")
}

/// The members of an object in order, with values that no parser has copied yet.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl Members<'_> {
    fn check_names(&self) -> Result<(), String> {
        for (index, (name, _)) in self.0.iter().enumerate() {
            if !MEMBERS.contains(&name.as_str()) {
                return Err(format!("there is no member `{}`", name.escape_debug()));
            }
            if self.0.iter().take(index).any(|(earlier, _)| earlier == name) {
                return Err(format!("`{name}` is given twice"));
            }
        }
        Ok(())
    }

    fn raw(&self, name: &str) -> Option<&RawValue> {
        self.0.iter().find(|(given, _)| given == name).map(|(_, value)| *value)
    }

    fn optional(&self, name: &str, rule: impl Fn(&str) -> Rule) -> Result<Option<Zeroizing<String>>, String> {
        let Some(value) = self.raw(name) else { return Ok(None) };
        let text = plain_text(value).ok_or_else(|| format!("`{name}` is not a text of plain characters"))?;
        rule(&text).map_err(|problem| format!("`{name}` {problem}"))?;
        Ok(Some(text))
    }

    fn required(&self, name: &str, rule: impl Fn(&str) -> Rule) -> Result<Zeroizing<String>, String> {
        self.optional(name, rule)?.ok_or_else(|| format!("`{name}` is missing"))
    }
}

/// The text of a JSON string. Escapes are resolved here, because the parser's own buffer for them is not wiped; those
/// by number stand for characters that no member needs.
fn plain_text(value: &RawValue) -> Option<Zeroizing<String>> {
    let quoted = value.get().strip_prefix('"')?.strip_suffix('"')?;
    let mut text = Zeroizing::new(String::with_capacity(quoted.len()));
    let mut characters = quoted.chars();
    while let Some(character) = characters.next() {
        text.push(match character {
            '\\' => characters.next().filter(|escaped| matches!(escaped, '"' | '\\' | '/'))?,
            plain => plain,
        });
    }
    Some(text)
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor).map(Members)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Vec<(String, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALICE: &str = r#"{"access_key_id": "AKIDEXAMPLE", "secret_access_key": "s3cr3t-of-alice", "account":
                           "111122223333", "principal": "arn:aws:iam::111122223333:user/alice"}"#;
    const BOB: &str = r#"{"access_key_id": "ASIA.bob_2-x", "secret_access_key": "a\/b+c\"d\\e", "session_token": "t/+=",
                         "account": "000000000001"}"#;

    fn file(entries: &[&str]) -> String {
        format!(r#"{{"credentials": [{}]}}"#, entries.join(","))
    }

    /// An entry like Alice's with one member written otherwise, or removed.
    fn with(member: &str, value: Option<&str>) -> String {
        let mut members: Vec<(String, String)> = vec![
            ("access_key_id".into(), r#""AKIDEXAMPLE""#.into()),
            ("secret_access_key".into(), r#""s3cr3t-of-alice""#.into()),
            ("account".into(), r#""111122223333""#.into()),
        ];
        members.retain(|(name, _)| name != member);
        members.extend(value.map(|value| (member.to_owned(), value.to_owned())));
        let members: Vec<String> = members.iter().map(|(name, value)| format!(r#""{name}": {value}"#)).collect();
        format!("{{{}}}", members.join(","))
    }

    #[test]
    fn a_file_says_who_stands_behind_each_access_key() {
        let credentials = Credentials::parse(file(&[ALICE, BOB]).as_bytes()).unwrap();
        let alice = Some("arn:aws:iam::111122223333:user/alice");
        assert_eq!(credentials.identify("AKIDEXAMPLE"), Some(("111122223333", alice)));
        assert_eq!(credentials.identify("ASIA.bob_2-x"), Some(("000000000001", None)));
        assert_eq!(credentials.identify("akidexample"), None);
        let bob = credentials.get("ASIA.bob_2-x").unwrap();
        assert_eq!((bob.secret_access_key(), bob.session_token()), ("a/b+c\"d\\e", Some("t/+=")));
        assert_eq!(credentials.get("AKIDEXAMPLE").unwrap().session_token(), None);
        assert!(Credentials::parse(file(&[]).as_bytes()).is_ok());
    }

    #[test]
    fn what_is_wrong_is_named_with_its_entry_and_member() {
        let secret = "`secret_access_key` must be ASCII characters without spaces";
        let plain = "is not a text of plain characters";
        for (member, value, message) in [
            ("access_key_id", None, "`access_key_id` is missing"),
            ("secret_access_key", None, "`secret_access_key` is missing"),
            ("account", None, "`account` is missing"),
            ("access_key_id", Some("\"\""), "`access_key_id` must be 1 to 128 letters, digits, `_`, `-` or `.`"),
            ("access_key_id", Some("\"a/b\""), "`access_key_id` must be 1 to 128 letters, digits, `_`, `-` or `.`"),
            ("secret_access_key", Some("\"\""), "`secret_access_key` is empty"),
            ("secret_access_key", Some("\"two words\""), secret),
            ("secret_access_key", Some("\"schlüssel\""), secret),
            ("secret_access_key", Some("4711"), &format!("`secret_access_key` {plain}")),
            ("secret_access_key", Some("null"), &format!("`secret_access_key` {plain}")),
            ("secret_access_key", Some("\"a\\u0062\""), &format!("`secret_access_key` {plain}")),
            ("session_token", Some("\"\""), "`session_token` is empty"),
            ("session_token", Some("[\"t\"]"), &format!("`session_token` {plain}")),
            ("account", Some("\"11112222333\""), "`account` must be 12 digits"),
            ("account", Some("\"1111222233334\""), "`account` must be 12 digits"),
            ("account", Some("\"11112222333x\""), "`account` must be 12 digits"),
            ("account", Some("111122223333"), &format!("`account` {plain}")),
            ("principal", Some("\"\""), "`principal` must be 1 to 2048 bytes without control characters"),
            ("secret_key", Some("\"s\""), "there is no member `secret_key`"),
            ("Account", Some("\"111122223333\""), "there is no member `Account`"),
        ] {
            let entry = with(member, value);
            let problem = Credentials::parse(file(&[BOB, &entry]).as_bytes()).unwrap_err();
            assert_eq!(problem, format!("entry 2: {message}"), "{entry}");
        }
        let twice = ALICE.replacen('{', "{\"account\": \"000000000000\",", 1);
        for (entries, message) in [
            (vec![ALICE, BOB, ALICE], "entry 3: `access_key_id` is that of an earlier entry"),
            (vec![twice.as_str()], "entry 1: `account` is given twice"),
            (vec![ALICE, "[]"], "entry 2: it is not an object"),
            (vec![ALICE, "\"s3cr3t\""], "entry 2: it is not an object"),
        ] {
            assert_eq!(Credentials::parse(file(&entries).as_bytes()).unwrap_err(), message);
        }
    }

    #[test]
    fn a_file_of_another_form_is_refused_without_being_quoted() {
        for (text, message) in [
            ("", "it is not of the form"),
            ("s3cr3t", "it is not of the form"),
            ("\"s3cr3t\"", "it is not of the form"),
            ("[]", "it is not of the form"),
            ("{\"credentials\": [", "it is not of the form"),
            ("{\"credentials\": []} s3cr3t", "it is not of the form"),
            ("{}", "`credentials` is missing"),
            ("{\"credentials\": \"s3cr3t\"}", "`credentials` is not a list"),
            ("{\"credentials\": [], \"credentials\": []}", "`credentials` is given twice"),
            ("{\"credential\": []}", "there is no member `credential`"),
        ] {
            let problem = Credentials::parse(text.as_bytes()).unwrap_err();
            assert!(problem.starts_with(message) && !problem.contains("s3cr3t"), "{text}: {problem}");
        }
        assert!(Credentials::parse(&[0xff, 0xfe]).is_err());
    }

    #[test]
    fn a_file_has_a_bound() {
        let entry = |index: usize| ALICE.replace("AKIDEXAMPLE", &format!("AKID{index}"));
        let many = |count: usize| (0..count).map(entry).collect::<Vec<_>>();
        let parse = |entries: &[String]| {
            Credentials::parse(file(&entries.iter().map(String::as_str).collect::<Vec<_>>()).as_bytes()).map(drop)
        };
        assert_eq!(parse(&many(ENTRIES_MAX)), Ok(()));
        assert_eq!(parse(&many(ENTRIES_MAX + 1)), Err("there are more than 1000 entries".to_owned()));
        let padded = file(&[]) + &" ".repeat(1024 * 1024);
        assert_eq!(Credentials::parse(padded.as_bytes()).unwrap_err(), "it is longer than 1048576 bytes");
        for (member, length) in [("secret_access_key", SECRET_BYTES_MAX), ("session_token", TOKEN_BYTES_MAX)] {
            let of = |length: usize| parse(&[with(member, Some(&format!("\"{}\"", "x".repeat(length))))]);
            assert_eq!(of(length), Ok(()));
            assert_eq!(of(length + 1), Err(format!("entry 1: `{member}` is too long")));
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        let credentials = Credentials::parse(file(&[ALICE, BOB]).as_bytes()).unwrap();
        assert_eq!(format!("{credentials:?}"), "Credentials { entries: 2, .. }");
    }

    #[cfg(unix)]
    #[test]
    fn only_a_file_that_others_cannot_read_or_write_is_read() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("credentials.json");
        let read = |path: &Path| Credentials::read(path, false).map(drop);
        assert!(read(&path).unwrap_err().contains("cannot be read"));
        fs::write(&path, file(&[ALICE])).unwrap();
        let advice = format!("can be read or written by others; run `chmod 600 {}`", path.display());
        for mode in [0o600, 0o400, 0o700, 0o640, 0o620, 0o610, 0o604, 0o602, 0o601, 0o666] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let found = read(&path);
            let is_private = mode & 0o077 == 0;
            assert_eq!(found.is_ok(), is_private, "{mode:o}: {found:?}");
            assert!(is_private || found.unwrap_err().contains(&advice), "{mode:o}");
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let link = directory.path().join("link");
        symlink(&path, &link).unwrap();
        assert!(read(&link).unwrap_err().contains("is a symbolic link or not a file"));
        assert!(read(directory.path()).unwrap_err().contains("is a symbolic link or not a file"));
        fs::write(&path, file(&[ALICE, "1"])).unwrap();
        let named = format!("credentials file `{}`: entry 2: it is not an object", path.display());
        assert_eq!(read(&path), Err(named));
        fs::write(&path, " ".repeat(1024 * 1024 + 1)).unwrap();
        assert!(read(&path).unwrap_err().contains("is longer than 1048576 bytes"));
    }
}
