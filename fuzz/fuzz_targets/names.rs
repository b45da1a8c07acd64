//! Texts that name something: the first byte of an input says what, the rest is the text.
//!
//! | byte | the text is |
//! |---|---|
//! | `s` | a `SecretId` |
//! | `n` | the name of a new secret |
//! | `t` | a `ClientRequestToken` |
//! | `k` | a `KmsKeyId` |
//! | `l` | a staging label |
//! | `g` | a tag key, and a tag value behind a line feed |
//! | `a` | an account, and a Region behind a line feed |
//!
//! In the text, `@ARN@` and `@KEY@` stand for the ARNs of a secret and a key. What is legal is said here once more, plainly;
//! what is legal works and is shown as it was given, and everything else is refused and leaves nothing.

#![no_main]

use strongroom::testing::{ManualClock, SeededEntropy};
use strongroom::{
    BatchGetSecretValueRequest, CreateSecretRequest, DescribeSecretRequest, Error, GetSecretValueRequest, KeyScope,
    ListSecretVersionIdsRequest, LocalKeyring, PutSecretValueRequest, SecretStore, SecretsManager, Tag,
    TagResourceRequest,
};
use strongroom_fuzz::{START, VALIDATION, code};

const TOKEN: &str = "token-of-the-first-version-000000001";
const SECRETS: [&str; 4] = ["app", "app-a1b2c3", "db/main", "arn"];
const ELSEWHERE: &str = "elsewhere";
const NOT_FOUND: &str = "ResourceNotFoundException";

struct World {
    store: SecretStore,
    secrets: SecretsManager,
    arns: Vec<String>,
    key: String,
}

impl World {
    fn new() -> Self {
        let keyring = LocalKeyring::in_memory_with_entropy(SeededEntropy::new(2));
        let key = keyring.create_key(KeyScope::new("aws", "000000000000", "us-east-1")).expect("a key is made");
        let alias = "arn:aws:kms:us-east-1:000000000000:alias/own";
        keyring.create_alias(alias, &key).or_else(|_| keyring.create_alias("alias/own", &key)).expect("it is named");
        let store = SecretStore::in_memory()
            .key_provider(keyring)
            .clock(ManualClock::at_millis(START))
            .entropy(SeededEntropy::new(1))
            .open()
            .expect("a store is made");
        let create = |secrets: &SecretsManager, name: &str| {
            let create = CreateSecretRequest::new(name).secret_string(name).client_request_token(TOKEN);
            secrets.create_secret(create).expect("a secret is made").arn
        };
        let secrets = store.default_secrets_manager();
        let arns = SECRETS.map(|name| create(&secrets, name)).into();
        create(&store.secrets_manager("000000000000", "eu-west-1").expect("it is a Region"), ELSEWHERE);
        Self { secrets, arns, key, store }
    }

    fn epoch(&self) -> u64 {
        self.store.stats().expect("a store in memory can be asked").epoch
    }

    fn describe(&self, id: &str) -> Result<strongroom::DescribeSecretResponse, Error> {
        self.secrets.describe_secret(DescribeSecretRequest::new(id))
    }

    fn read(&self, get: GetSecretValueRequest) -> Option<String> {
        self.secrets.get_secret_value(get).ok()?.secret_string.map(|value| value.expose().to_owned())
    }

    /// The secret that a `SecretId` means, or the code of the refusal.
    fn meant(&self, id: &str) -> Result<&'static str, &'static str> {
        if !(1..=2048).contains(&id.chars().count()) {
            return Err(VALIDATION);
        }
        if !id.starts_with("arn:") {
            let legal = is_name(id).then_some(()).ok_or(VALIDATION);
            return legal.and(SECRETS.into_iter().find(|name| *name == id).ok_or(NOT_FOUND));
        }
        let fields: Vec<&str> = id.split(':').collect();
        let is_of_a_secret = fields.len() >= 7
            && fields[2] == "secretsmanager"
            && fields[5] == "secret"
            && !fields[6..].concat().is_empty();
        if !is_of_a_secret && !(fields.len() > 7 && fields[2] == "secretsmanager" && fields[5] == "secret") {
            return Err(VALIDATION);
        }
        let is_whole = self.arns.iter().position(|arn| arn == id);
        let is_part = self.arns.iter().position(|arn| arn[..arn.len() - 7] == *id && !ends_like_an_arn(id));
        is_whole.or(is_part).map(|index| SECRETS[index]).ok_or(NOT_FOUND)
    }

    fn secret_id(&self, id: &str) {
        let meant = self.meant(id);
        let described = self.describe(id).map(|secret| secret.name);
        let got = self.secrets.get_secret_value(GetSecretValueRequest::new(id)).map(|read| read.name);
        let versions = self.secrets.list_secret_version_ids(ListSecretVersionIdsRequest::new(id)).map(|list| list.name);
        for outcome in [&described, &got, &versions] {
            match meant {
                Ok(name) => assert_eq!(outcome.as_ref().expect("the secret is found"), name),
                Err(expected) => assert_eq!(code(outcome), expected, "{id}"),
            }
        }
        let batch = self.secrets.batch_get_secret_value(BatchGetSecretValueRequest::new().secret_id_list([id]));
        match (meant, batch) {
            (Ok(name), Ok(batch)) => assert_eq!(batch.secret_values[0].name, name),
            (Err(NOT_FOUND), Ok(batch)) => {
                assert_eq!((batch.errors[0].secret_id.as_str(), batch.errors[0].error.code()), (id, NOT_FOUND));
            }
            (Err(expected), Err(error)) => assert_eq!(error.code(), expected),
            (meant, batch) => panic!("{id}: {meant:?}, and in a batch {batch:?}"),
        }
    }

    fn new_name(&self, name: &str) {
        let before = self.epoch();
        let created = self.secrets.create_secret(CreateSecretRequest::new(name).secret_string("new"));
        let is_legal = is_name(name) && name.len() <= 512;
        if !is_legal || SECRETS.contains(&name) {
            let expected = if is_legal { "ResourceExistsException" } else { VALIDATION };
            assert_eq!(code(&created), expected, "{name}");
            assert_eq!(self.epoch(), before);
            return;
        }
        let created = created.expect("the name is legal");
        let suffix = created.arn.strip_prefix(&format!("arn:aws:secretsmanager:us-east-1:000000000000:secret:{name}-"));
        assert!(suffix.is_some_and(|suffix| suffix.len() == 6 && suffix.bytes().all(|c| c.is_ascii_alphanumeric())));
        for id in [name, &created.arn] {
            assert_eq!(self.read(GetSecretValueRequest::new(id)).as_deref(), Some("new"));
        }
        let part = self.read(GetSecretValueRequest::new(&created.arn[..created.arn.len() - 7]));
        assert_eq!(part.is_some(), !ends_like_an_arn(name), "{name}");
    }

    fn token(&self, token: &str) {
        let put = |value: &str| {
            let put = PutSecretValueRequest::new("db/main", value).client_request_token(token);
            self.secrets.put_secret_value(put).map(|put| put.version_id)
        };
        let before = self.epoch();
        let first = put("second");
        if !(32..=64).contains(&token.chars().count()) {
            assert_eq!((code(&first), self.epoch()), (VALIDATION, before));
            return;
        }
        if token == TOKEN {
            assert_eq!((code(&first), self.epoch()), ("ResourceExistsException", before));
            return;
        }
        assert_eq!(first.expect("the token is legal"), token);
        let get = || GetSecretValueRequest::new("db/main").version_id(token);
        assert_eq!(self.read(get()).as_deref(), Some("second"));
        let after = self.epoch();
        assert_eq!(put("second").expect("a repetition"), token);
        assert_eq!(code(&put("third")), "ResourceExistsException");
        assert_eq!(self.epoch(), after);
        assert_eq!(self.read(get()).as_deref(), Some("second"));
    }

    fn key(&self, key: &str) {
        let before = self.epoch();
        let created = self.secrets.create_secret(CreateSecretRequest::new("k").secret_string("v").kms_key_id(key));
        let start = "arn:aws:kms:us-east-1:000000000000:";
        let id = self.key.rsplit('/').next().unwrap_or_default();
        let own = [self.key.clone(), id.to_owned(), "alias/own".to_owned(), format!("{start}alias/own")];
        let aws = ["".to_owned(), "alias/aws/secretsmanager".to_owned(), format!("{start}alias/aws/secretsmanager")];
        match &created {
            Ok(_) => {
                assert!(own.iter().chain(&aws).any(|known| known == key), "there is no key {key}");
                let shown = self.describe("k").expect("it is there").kms_key_id;
                let expected = own.iter().find(|known| *known == key).map(String::as_str);
                assert!(shown.as_deref() == expected || aws.iter().any(|known| known == key), "{shown:?} for {key}");
                assert_eq!(self.read(GetSecretValueRequest::new("k")).as_deref(), Some("v"));
            }
            Err(error) => {
                assert!(!own.iter().chain(&aws[..2]).any(|known| known == key), "{key} is a key: {error}");
                let is_long = key.chars().count() > 2048;
                let code = error.code();
                // An ARN names its Region in the fourth field, and keys are used only in their own.
                let region = key.strip_prefix("arn:").and_then(|rest| rest.split(':').nth(2));
                let expected = match region {
                    _ if is_long => VALIDATION,
                    Some(region) if region != "us-east-1" => "InvalidRequestException",
                    _ => "AccessDeniedException",
                };
                assert_eq!(code, expected, "{error:?}");
                assert_eq!(self.epoch(), before);
                assert_eq!(code_of_missing(self), NOT_FOUND);
            }
        }
    }

    fn label(&self, label: &str) {
        let before = self.epoch();
        let put = PutSecretValueRequest::new("app", "labelled").version_stages([label]);
        let put = self.secrets.put_secret_value(put);
        if !(1..=256).contains(&label.chars().count()) {
            assert_eq!((code(&put), self.epoch()), (VALIDATION, before));
            return;
        }
        put.expect("the label is legal");
        assert_eq!(self.read(GetSecretValueRequest::new("app").version_stage(label)).as_deref(), Some("labelled"));
        let is_current = label == "AWSCURRENT";
        let current = self.read(GetSecretValueRequest::new("app"));
        assert_eq!(current.as_deref(), Some(if is_current { "labelled" } else { "app" }));
    }

    fn tag(&self, key: &str, value: &str) {
        let before = self.epoch();
        let tagged = self.secrets.tag_resource(TagResourceRequest::new("app", [Tag::new(key, value)]));
        if !(1..=128).contains(&key.chars().count()) || value.chars().count() > 256 {
            assert_eq!((code(&tagged), self.epoch()), (VALIDATION, before));
        } else if key.to_lowercase().starts_with("aws:") {
            assert_eq!((code(&tagged), self.epoch()), ("InvalidParameterException", before), "{key}");
        } else {
            tagged.expect("the tag is legal");
            let tags = self.describe("app").expect("it is there").tags;
            assert_eq!(tags, Some(vec![Tag::new(key, value)]));
        }
    }

    fn tenant(&self, account: &str, region: &str) {
        let is_account = account.chars().count() == 12 && account.chars().all(|c| c.is_ascii_digit());
        let parts: Vec<&str> = region.split('-').collect();
        let (words, number) = parts.split_at(parts.len() - 1);
        let is_word = |word: &&str| !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase());
        let is_number = !number[0].is_empty() && number[0].chars().all(|c| c.is_ascii_digit());
        let is_region = region.len() <= 128 && !words.is_empty() && words.iter().all(is_word) && is_number;
        let handle = self.store.secrets_manager(account, region);
        assert_eq!(handle.is_ok(), is_account && is_region, "{account} {region}");
        let Ok(handle) = handle else { return };
        let arn = handle.create_secret(CreateSecretRequest::new("new").secret_string("v")).expect("it is made").arn;
        let fields: Vec<&str> = arn.split(':').collect();
        assert!(fields[1].starts_with("aws") && fields[3..6] == [region, account, "secret"], "{arn}");
        let found = handle.describe_secret(DescribeSecretRequest::new(arn.as_str())).map(|secret| secret.arn);
        assert_eq!(found.expect("its own ARN finds it"), arn);
    }
}

fn code_of_missing(world: &World) -> &'static str {
    world.describe("k").err().map_or("", |error| error.code())
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "-/_+=.@!".contains(c))
}

/// A hyphen, then six letters or digits.
fn ends_like_an_arn(text: &str) -> bool {
    let Some((start, end)) = text.rsplit_once('-') else { return false };
    end.len() == 6 && end.chars().all(|c| c.is_ascii_alphanumeric()) && !start.ends_with(':') && !start.is_empty()
}

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some((kind, text)) = input.split_first() else { return };
    let world = World::new();
    let text = String::from_utf8_lossy(text).replace("@ARN@", &world.arns[0]).replace("@KEY@", &world.key);
    let (first, second) = text.split_once('\n').unwrap_or((&text, ""));
    match kind {
        b'n' => world.new_name(&text),
        b't' => world.token(&text),
        b'k' => world.key(&text),
        b'l' => world.label(&text),
        b'g' => world.tag(first, second),
        b'a' => world.tenant(first, second),
        _ => world.secret_id(&text),
    }
});
