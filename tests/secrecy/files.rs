//! Files: nothing that a caller ever said can be read from them.

use std::fs;
use std::path::Path;

use strongroom::{
    CreateSecretRequest, DeleteSecretRequest, DescribeSecretRequest, GetSecretValueRequest, KeyScope,
    ListSecretVersionIdsRequest, ListSecretsRequest, LocalKeyring, PutSecretValueRequest, RestoreSecretRequest,
    SecretStore, SecretsManager, Tag, TagResourceRequest, UntagResourceRequest, UpdateSecretRequest,
    UpdateSecretVersionStageRequest,
};

const ACCOUNT: &str = "918273645546";
const REGION: &str = "eu-west-3";

/// Texts that appear in one place of the calls each.
#[derive(Default)]
struct Marks(Vec<(String, Vec<u8>)>);

impl Marks {
    /// A text of this kind that is like no other.
    fn text(&mut self, what: &str) -> String {
        // 36 characters, so that it also does for tokens.
        let text = format!(
            "{}-{:028x}",
            what.split(' ').next().unwrap(),
            (self.0.len() as u128 + 1) * 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced
        );
        self.add(what, text.as_bytes());
        text
    }

    fn add(&mut self, what: &str, bytes: &[u8]) {
        self.0.push((what.to_owned(), bytes.to_vec()));
    }
}

/// Every operation, with marked texts wherever there can be one.
fn live(secrets: &SecretsManager, keyring: &LocalKeyring, marks: &mut Marks) {
    let scope = KeyScope::new("aws", ACCOUNT, REGION);
    let key = keyring.create_key(scope).unwrap();
    marks.add("id of a key", key.rsplit('/').next().unwrap().as_bytes());
    let alias = format!("alias/{}", marks.text("alias"));
    keyring.create_alias(&alias, &key).unwrap();
    for round in 0..12 {
        let name = marks.text("name");
        let tag = |marks: &mut Marks| Tag::new(marks.text("tag key"), marks.text("tag value"));
        let tags = [tag(marks), tag(marks)];
        let create = CreateSecretRequest::new(&name).client_request_token(marks.text("token")).tags(tags);
        let create = create.description(marks.text("description")).kms_key_id(&alias).r#type(marks.text("type"));
        let created = secrets.create_secret(create.secret_string(marks.text("value"))).unwrap();
        marks.add("ARN", created.arn.rsplit(':').next().unwrap().as_bytes());

        let put = PutSecretValueRequest::new(&name, marks.text("bytes").into_bytes());
        let put =
            put.client_request_token(marks.text("token")).version_stages([marks.text("label"), marks.text("label")]);
        let put = secrets.put_secret_value(put).unwrap();
        let next = secrets.put_secret_value(PutSecretValueRequest::new(&name, marks.text("value"))).unwrap();
        marks.add("id of a version", next.version_id.as_bytes());
        let label = UpdateSecretVersionStageRequest::new(&name, marks.text("label"));
        secrets.update_secret_version_stage(label.move_to_version_id(&put.version_id)).unwrap();
        let update = UpdateSecretRequest::new(&name).description(marks.text("description"));
        secrets.update_secret(update.kms_key_id("").secret_string(marks.text("value").repeat(500))).unwrap();
        let tag = tag(marks);
        secrets.tag_resource(TagResourceRequest::new(&name, [tag.clone()])).unwrap();
        secrets.untag_resource(UntagResourceRequest::new(&name, [tag.key])).unwrap();

        secrets.get_secret_value(GetSecretValueRequest::new(&name)).unwrap();
        secrets.describe_secret(DescribeSecretRequest::new(&name)).unwrap();
        secrets.list_secret_version_ids(ListSecretVersionIdsRequest::new(&name).include_deprecated(true)).unwrap();
        secrets.list_secrets(ListSecretsRequest::new().max_results(1)).unwrap();
        let delete = DeleteSecretRequest::new(&name);
        match round % 4 {
            0 => drop(secrets.delete_secret(delete.force_delete_without_recovery(true)).unwrap()),
            1 => drop(secrets.delete_secret(delete).unwrap()),
            2 => {
                secrets.delete_secret(delete).unwrap();
                secrets.restore_secret(RestoreSecretRequest::new(&name)).unwrap();
            }
            _ => {}
        }
        let failed = PutSecretValueRequest::new(marks.text("name"), marks.text("value"));
        secrets.put_secret_value(failed).unwrap_err();
    }
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// What is certain to appear in the base64 text of anything that contains these bytes `skipped` bytes after a group of
/// three begins.
fn base64(bytes: &[u8], skipped: usize) -> Vec<u8> {
    let whole = bytes.get((3 - skipped) % 3..).unwrap_or_default();
    let groups = whole.chunks_exact(3).flat_map(|group| {
        let bits = group.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
        [18, 12, 6, 0].map(|shift| ALPHABET[(bits >> shift & 63) as usize])
    });
    groups.collect()
}

/// A text in every form in which somebody might have written it down.
fn forms(bytes: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let wide = |unit: fn(u16) -> [u8; 2]| bytes.iter().flat_map(|byte| unit(u16::from(*byte))).collect::<Vec<u8>>();
    let hex = |digits: &[u8; 16]| {
        let digits = bytes.iter().flat_map(|byte| [digits[usize::from(byte >> 4)], digits[usize::from(byte & 15)]]);
        digits.collect::<Vec<u8>>()
    };
    vec![
        ("as it is", bytes.to_vec()),
        ("backwards", bytes.iter().rev().copied().collect()),
        ("in small hex", hex(b"0123456789abcdef")),
        ("in capital hex", hex(b"0123456789ABCDEF")),
        ("in base64", base64(bytes, 0)),
        ("in base64, one byte on", base64(bytes, 1)),
        ("in base64, two bytes on", base64(bytes, 2)),
        ("in UTF-16, big end first", wide(u16::to_be_bytes)),
        ("in UTF-16, little end first", wide(|unit| u16::swap_bytes(unit).to_be_bytes())),
    ]
}

/// Which texts are in which files, except what the header has to say.
fn readable(directory: &Path, marks: &Marks) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = vec![directory.to_owned()];
    while let Some(path) = rest.pop() {
        if path.is_dir() {
            rest.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        let bytes = fs::read(&path).unwrap();
        let index = Index::new(&bytes);
        for (what, mark) in &marks.0 {
            for (form, wanted) in forms(mark) {
                if index.contains(&wanted) {
                    found.push(format!("{what} {form} in {}", path.display()));
                }
            }
        }
        let name = path.file_name().unwrap().as_encoded_bytes();
        found.extend(
            marks.0.iter().filter(|(_, mark)| contains(name, mark)).map(|(what, _)| format!("{what} in a file name")),
        );
    }
    found
}

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}

/// Where each pair of bytes is in a file, so that hundreds of texts are found quickly.
struct Index<'a> {
    bytes: &'a [u8],
    places: Vec<Vec<usize>>,
}

impl<'a> Index<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        let mut places = vec![Vec::new(); 1 << 16];
        for (at, pair) in bytes.windows(2).enumerate() {
            // The unwritten rest of the engine's log.
            if pair != [0, 0] {
                places[usize::from(u16::from_be_bytes([pair[0], pair[1]]))].push(at);
            }
        }
        Self { bytes, places }
    }

    fn contains(&self, wanted: &[u8]) -> bool {
        let places = &self.places[usize::from(u16::from_be_bytes([wanted[0], wanted[1]]))];
        places.iter().any(|at| self.bytes[*at..].starts_with(wanted))
    }
}

#[test]
fn the_search_finds_every_form() {
    let place = tempfile::tempdir().unwrap();
    let mut marks = Marks::default();
    let text = marks.text("name");
    for (form, wanted) in forms(text.as_bytes()) {
        fs::write(place.path().join("file"), [b"before", wanted.as_slice(), b"after"].concat()).unwrap();
        assert!(!readable(place.path(), &marks).is_empty(), "{form}");
    }
    fs::write(place.path().join("file"), &text.as_bytes()[1..]).unwrap();
    assert_eq!(readable(place.path(), &marks), [""; 0]);
    // "hello" as it stands in the base64 of "hello", of "xhello" and of "xxhello".
    assert_eq!(
        [0, 1, 2].map(|skipped| base64(b"hello", skipped)),
        [b"aGVs".to_vec(), b"bGxv".to_vec(), b"ZWxs".to_vec()]
    );
}

/// What a reader of the files learns is the number, the padded size and the age of records, and which key protects the
/// store; nothing else.
#[test]
fn nothing_that_was_said_can_be_read_from_the_files_of_a_store() {
    let place = tempfile::tempdir().unwrap();
    let directory = place.path().join("store");
    let keyring = LocalKeyring::open_or_create(place.path().join("keys")).unwrap();
    let open = || SecretStore::builder(&directory).key_provider(keyring.clone()).open().unwrap();
    let mut marks = Marks::default();
    marks.add("account", ACCOUNT.as_bytes());
    marks.add("Region", REGION.as_bytes());
    for word in ["AWSCURRENT", "AWSPREVIOUS", "secretsmanager:", "DefaultEncryptionKey"] {
        marks.add(word, word.as_bytes());
    }

    let store = open();
    live(&store.secrets_manager(ACCOUNT, REGION).unwrap(), &keyring, &mut marks);
    assert_eq!(readable(&directory, &marks), [""; 0], "while it is open");
    store.maintain().unwrap();
    store.close().unwrap();
    assert_eq!(readable(&directory, &marks), [""; 0], "closed");
    let store = open();
    live(&store.secrets_manager(ACCOUNT, REGION).unwrap(), &keyring, &mut marks);
    assert_eq!(readable(&directory, &marks), [""; 0], "opened again");
    store.close().unwrap();
    assert_eq!(readable(&directory, &marks), [""; 0], "closed again");

    let header = fs::read(directory.join("store.hdr")).unwrap();
    let default = keyring.keys().into_iter().find(|key| key.arn.contains(":000000000000:")).unwrap();
    assert!(contains(&header, default.arn.as_bytes()), "the header names the key of the root key");
    let mut names = Marks::default();
    names.add("key of the root key", default.arn.as_bytes());
    let places = readable(&directory, &names);
    assert!(places.iter().all(|place| place.ends_with("store.hdr")) && !places.is_empty(), "{places:?}");
}
