//! The largest contents, and where the engine puts them.

use std::fs;

use strongroom::{
    CreateSecretRequest, DescribeSecretRequest, Durability, ErrorKind, GetSecretValueRequest, PutSecretValueRequest,
    SecretStore, StaticKey, Tag, UpdateSecretRequest, limits,
};

const SECRETS: usize = 40;

/// The longest text of so many characters, in bytes.
fn long(start: usize, characters: usize) -> String {
    let start = format!("{start:04}");
    let rest = characters - start.len();
    start + &"\u{1f511}".repeat(rest)
}

fn largest_tags() -> impl Iterator<Item = Tag> {
    let tag = |index| Tag::new(long(index, limits::TAG_KEY_CHARS_MAX), long(index, limits::TAG_VALUE_CHARS_MAX));
    (0..limits::TAGS_MAX).map(tag)
}

fn value(number: usize) -> String {
    format!("{number:08}").repeat(limits::VALUE_BYTES_MAX / 8)
}

/// sled writes large pages to files that it never syncs, so that a power cut loses them. No legal content may get there.
#[test]
fn the_largest_contents_stay_in_the_log_that_is_synced() {
    let place = tempfile::tempdir().unwrap();
    let open = || {
        let builder = SecretStore::builder(place.path().join("store")).key_provider(StaticKey::new([7; 32]));
        builder.durability(Durability::Eventual).open().unwrap()
    };
    let check = |store: &SecretStore, stage: &str| {
        assert_eq!(store.stats().unwrap().unsynced_bytes, 0, "{stage}");
        let blobs = fs::read_dir(place.path().join("store/sled/blobs"));
        let blobs: Vec<_> = blobs.map(|blobs| blobs.map(|entry| entry.unwrap().path()).collect()).unwrap_or_default();
        assert!(blobs.is_empty(), "{stage}: {blobs:?}");
    };
    let store = open();
    let secrets = store.default_secrets_manager();
    for number in 0..SECRETS {
        let name = format!("{number:0>width$}", width = limits::NAME_CHARS_MAX);
        let create = CreateSecretRequest::new(&name).secret_string(value(number)).tags(largest_tags());
        secrets.create_secret(create.description(long(number, limits::DESCRIPTION_CHARS_MAX))).unwrap();
        let labels = (0..limits::LABELS_MAX - 2).map(|label| long(label, limits::LABEL_CHARS_MAX));
        secrets.put_secret_value(PutSecretValueRequest::new(&name, value(number + 1)).version_stages(labels)).unwrap();
        if number % 10 == 0 {
            store.flush().unwrap();
            check(&store, "while it is filled");
        }
    }
    store.flush().unwrap();
    check(&store, "filled");
    for number in 0..SECRETS {
        let name = format!("{number:0>width$}", width = limits::NAME_CHARS_MAX);
        let update = UpdateSecretRequest::new(&name).description(long(number + 1, limits::DESCRIPTION_CHARS_MAX));
        secrets.update_secret(update.secret_binary(value(number + 2).into_bytes())).unwrap();
    }
    store.flush().unwrap();
    check(&store, "updated");
    store.close().unwrap();
    let store = open();
    check(&store, "opened again");
    let secrets = store.default_secrets_manager();
    for number in 0..SECRETS {
        let name = format!("{number:0>width$}", width = limits::NAME_CHARS_MAX);
        let read = secrets.get_secret_value(GetSecretValueRequest::new(&name)).unwrap();
        assert!(read.secret_binary.unwrap().expose() == value(number + 2).as_bytes(), "value {number}");
        let about = secrets.describe_secret(DescribeSecretRequest::new(&name)).unwrap();
        assert!(about.tags.unwrap().into_iter().eq(largest_tags()), "tags {number}");
        assert_eq!(about.description.unwrap(), long(number + 1, limits::DESCRIPTION_CHARS_MAX));
    }
}

/// What could get there is refused before anything is stored: here, versions that pile up beside the largest metadata.
#[test]
fn metadata_that_does_not_fit_into_a_record_is_refused() {
    let store = SecretStore::in_memory().key_provider(StaticKey::new([7; 32])).open().unwrap();
    let secrets = store.default_secrets_manager();
    let create = CreateSecretRequest::new("large").secret_string("value").tags(largest_tags());
    secrets.create_secret(create.description(long(0, limits::DESCRIPTION_CHARS_MAX))).unwrap();
    let labels = (0..limits::LABELS_MAX - 2).map(|label| long(label, limits::LABEL_CHARS_MAX));
    let put = PutSecretValueRequest::new("large", "value 0").version_stages(labels);
    secrets.put_secret_value(put).expect("the largest legal metadata fits");
    let mut versions = 0;
    let error = loop {
        let epoch = store.stats().unwrap().epoch;
        let token = format!("{:\u{1f511}<64}", versions);
        let value = format!("value {versions}");
        match secrets.put_secret_value(PutSecretValueRequest::new("large", value).client_request_token(token)) {
            Ok(_) => versions += 1,
            Err(error) => {
                assert_eq!(store.stats().unwrap().epoch, epoch, "something was stored");
                break error;
            }
        }
    };
    assert_eq!(*error.kind(), ErrorKind::LimitExceeded, "after {versions} versions: {error:?}");
    assert!(versions < limits::VERSIONS_KEPT, "the number of versions was the reason");
    let read = secrets.get_secret_value(GetSecretValueRequest::new("large")).unwrap();
    assert_eq!(read.secret_string.unwrap().expose(), format!("value {}", versions - 1));
}
