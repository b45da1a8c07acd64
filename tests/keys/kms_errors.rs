//! What a key that cannot be used is answered with: when it is set, and when a value is read.
//!
//! Source: <https://docs.aws.amazon.com/secretsmanager/latest/userguide/troubleshoot.html>
//! Source: <https://docs.aws.amazon.com/kms/latest/developerguide/key-state.html>

use strongroom::testing::{ManualClock, SeededEntropy};
use strongroom::{
    BatchGetSecretValueRequest, Builder, CreateSecretRequest, DeleteSecretRequest, ErrorKind, Filter, FilterKey,
    GetSecretValueRequest, KeyError, KeyFaultReason, KeyOperation, KeyScope, KeyState, ListSecretsRequest,
    PutSecretValueRequest, Result, SecretStore, SecretsManager, Tag, UpdateSecretRequest,
};

use crate::fixture::{NO_ACCESS, START_MILLIS, World, fault, home, id, key_failure};
use crate::kms_service::Kms;

pub(crate) const CANNOT_ENCRYPT: &str = "Secrets Manager can't encrypt the protected secret text using the provided KMS \
                                         key. Check that the KMS key is available, enabled, and not in an invalid state.";
pub(crate) const CANNOT_DECRYPT: &str =
    "Secrets Manager can't decrypt the protected secret text using the provided KMS key.";
pub(crate) const ASYMMETRIC: &str = "Cannot generate a data key with an asymmetric KMS key";
pub(crate) const SERVER_SIDE: &str = "An error occurred on the server side.";

/// A way to give a secret a key. The secret `s` has a value, `empty` has none, `new` does not exist.
struct Way {
    name: &'static str,
    /// Whether a value of the secret has to be sealed or wrapped.
    has_value: bool,
    /// Whether the request brings that value.
    brings_value: bool,
    set: fn(&SecretsManager, &str) -> Result<()>,
}

const WAYS: [Way; 8] = [
    Way {
        name: "create with a text",
        has_value: true,
        brings_value: true,
        set: |secrets, key| {
            let request = CreateSecretRequest::new("new").secret_string("v").description("d");
            secrets.create_secret(request.kms_key_id(key).tags([Tag::new("k", "v")])).map(drop)
        },
    },
    Way {
        name: "create with bytes",
        has_value: true,
        brings_value: true,
        set: |secrets, key| {
            let request = CreateSecretRequest::new("new").secret_binary(vec![0, 1, 2]);
            secrets.create_secret(request.kms_key_id(key)).map(drop)
        },
    },
    Way {
        name: "create without a value",
        has_value: false,
        brings_value: false,
        set: |secrets, key| secrets.create_secret(CreateSecretRequest::new("new").kms_key_id(key)).map(drop),
    },
    Way {
        name: "update of the key",
        has_value: true,
        brings_value: false,
        set: |secrets, key| secrets.update_secret(UpdateSecretRequest::new("s").kms_key_id(key)).map(drop),
    },
    Way {
        name: "update of key, description and type",
        has_value: true,
        brings_value: false,
        set: |secrets, key| {
            let request = UpdateSecretRequest::new("s").kms_key_id(key).description("other");
            secrets.update_secret(request.r#type("other")).map(drop)
        },
    },
    Way {
        name: "update of key and value",
        has_value: true,
        brings_value: true,
        set: |secrets, key| {
            let request = UpdateSecretRequest::new("s").kms_key_id(key).secret_string("w").description("other");
            secrets.update_secret(request).map(drop)
        },
    },
    Way {
        name: "update of the key of a secret without a value",
        has_value: false,
        brings_value: false,
        set: |secrets, key| {
            let request = UpdateSecretRequest::new("empty").kms_key_id(key).description("other");
            secrets.update_secret(request).map(drop)
        },
    },
    Way {
        name: "first value with the key",
        has_value: true,
        brings_value: true,
        set: |secrets, key| {
            secrets.update_secret(UpdateSecretRequest::new("empty").kms_key_id(key).secret_string("w")).map(drop)
        },
    },
];

/// A store with the secrets that [`WAYS`] are about, and a customer's key.
fn prepared() -> (Kms, World, String) {
    let kms = Kms::new();
    let world = World::over(kms.clone());
    let key = kms.keyring.create_key(home()).unwrap();
    world.create("s", "").unwrap();
    world.put("s", 2, &[]).unwrap();
    world.secrets.create_secret(CreateSecretRequest::new("empty")).unwrap();
    (kms, world, key)
}

/// Everything that a client could see of a change.
fn everything(world: &World) -> impl PartialEq + std::fmt::Debug {
    let list = world.secrets.list_secrets(ListSecretsRequest::new().include_planned_deletion(true)).unwrap();
    let versions = ["s", "empty"].map(|name| world.version_keys(name));
    let described = ["s", "empty"].map(|name| world.describe(name));
    (list.secret_list, versions, described, world.store.stats().unwrap())
}

/// Sets a key that is refused in this way, and sees that nothing has changed.
#[track_caller]
fn refuse_to_set(world: &World, way: &Way, key: &str, code: &str, text: &str) -> strongroom::Error {
    let before = everything(world);
    let error = (way.set)(&world.secrets, key).expect_err(way.name);
    assert_eq!((error.code(), error.message()), (code, text), "{}: {key}", way.name);
    assert_eq!(everything(world), before, "{}: {key}", way.name);
    error
}

/// No key, no permission to see it, or an alias that belongs to another service: nobody is told which.
#[test]
fn a_key_that_cannot_be_found_is_refused_wherever_it_is_set() {
    let (kms, world, forbidden) = prepared();
    let forbidden_id = forbidden.rsplit_once('/').unwrap().1;
    kms.keyring.create_alias("alias/forbidden", &forbidden).unwrap();
    kms.refuse_all(&forbidden, &KeyError::AccessDenied);
    let rows = [
        ("1234abcd-12ab-34cd-56ef-1234567890ab", KeyFaultReason::NotFound),
        ("mrk-1234abcd12ab34cd56ef1234567890ab", KeyFaultReason::NotFound),
        ("arn:aws:kms:us-east-1:000000000000:key/1234abcd-12ab-34cd-56ef-1234567890ab", KeyFaultReason::NotFound),
        ("alias/missing", KeyFaultReason::NotFound),
        ("arn:aws:kms:us-east-1:000000000000:alias/missing", KeyFaultReason::NotFound),
        ("alias/aws/s3", KeyFaultReason::NotFound),
        ("arn:aws:kms:us-east-1:000000000000:alias/aws/s3", KeyFaultReason::NotFound),
        ("alias/aws/secretsmanager/", KeyFaultReason::NotFound),
        ("alias/aws/SecretsManager", KeyFaultReason::NotFound),
        (" ", KeyFaultReason::NotFound),
        ("arn:", KeyFaultReason::NotFound),
        ("arn:aws:kms", KeyFaultReason::NotFound),
        ("arn:aws:kms:us-east-1", KeyFaultReason::NotFound),
        ("arn:aws-cn:kms:us-east-1:000000000000:alias/aws/secretsmanager", KeyFaultReason::NotFound),
        ("arn:aws:s3:us-east-1:000000000000:alias/aws/secretsmanager", KeyFaultReason::NotFound),
        ("\u{1f511}\0", KeyFaultReason::NotFound),
        (forbidden.as_str(), KeyFaultReason::AccessDenied),
        (forbidden_id, KeyFaultReason::AccessDenied),
        ("alias/forbidden", KeyFaultReason::AccessDenied),
    ];
    for (key, reason) in &rows {
        for way in &WAYS {
            let error = refuse_to_set(&world, way, key, "AccessDeniedException", NO_ACCESS);
            let ErrorKind::KeyAccessDenied(fault) = error.kind() else { panic!("{error:?}") };
            assert_eq!((fault.key.as_str(), fault.reason), (*key, *reason));
            assert_eq!((fault.operation, error.is_retryable()), (KeyOperation::Resolve, false));
        }
    }
    eprintln!("{} keys that cannot be found, each in {} ways", rows.len(), WAYS.len());
}

/// The Region that an ARN names is looked at before the key is, so it is told whether there is such a key or not.
#[test]
fn a_key_of_another_region_is_refused_wherever_it_is_set() {
    let (kms, world, _) = prepared();
    let elsewhere = kms.keyring.create_key(KeyScope::new("aws", "000000000000", "eu-west-1")).unwrap();
    for (key, region) in [
        (elsewhere.as_str(), "eu-west-1"),
        ("arn:aws:kms:eu-west-1:000000000000:alias/aws/secretsmanager", "eu-west-1"),
        ("arn:aws:kms:us-east-2:111111111111:alias/missing", "us-east-2"),
        ("arn:aws-cn:kms:cn-north-1:000000000000:key/mrk-1234abcd12ab34cd56ef1234567890ab", "cn-north-1"),
        ("arn:aws:kms::000000000000:alias/aws/secretsmanager", ""),
        ("arn:aws:kms:US-EAST-1:000000000000:alias/aws/secretsmanager", "US-EAST-1"),
    ] {
        let text = format!("The operation failed because of an invalid KMS key: Invalid arn {region}");
        for way in &WAYS {
            kms.asked();
            let error = refuse_to_set(&world, way, key, "InvalidRequestException", &text);
            let reason = KeyFaultReason::WrongRegion;
            key_failure(Err::<(), _>(error), "InvalidRequestException", key, reason, KeyOperation::Resolve);
            assert!(kms.asked().is_empty(), "nobody is asked for a key of another Region");
        }
    }
}

/// States in which a key seals nothing, and what a client and the caller are told.
const STATES: [(KeyState, &str, &str, KeyFaultReason); 4] = [
    (KeyState::Disabled, "EncryptionFailure", CANNOT_ENCRYPT, KeyFaultReason::Disabled),
    (KeyState::PendingDeletion, "EncryptionFailure", CANNOT_ENCRYPT, KeyFaultReason::PendingDeletion),
    (KeyState::PendingImport, "EncryptionFailure", CANNOT_ENCRYPT, KeyFaultReason::PendingImport),
    (KeyState::Unavailable, "InternalServiceError", SERVER_SIDE, KeyFaultReason::Unavailable),
];

fn check_states(ways: impl Fn(&Way) -> bool) {
    for (state, code, text, reason) in STATES {
        let (kms, world, key) = prepared();
        kms.keyring.create_alias("alias/off", &key).unwrap();
        kms.put_into(&key, state);
        for way in WAYS.iter().filter(|way| ways(way)) {
            for name in [key.as_str(), "alias/off"] {
                let error = refuse_to_set(&world, way, name, code, text);
                key_failure(Err::<(), _>(error), code, &key, reason, KeyOperation::Wrap);
            }
        }
        // Once the state permits it, the same requests succeed.
        kms.permit();
        for way in WAYS.iter().filter(|way| ways(way)) {
            (way.set)(&world.secrets, "alias/off").expect(way.name);
            let gone = DeleteSecretRequest::new("new").force_delete_without_recovery(true);
            world.secrets.delete_secret(gone).unwrap();
        }
    }
}

#[test]
fn a_key_in_a_state_that_forbids_its_use_is_refused_when_there_is_a_value() {
    check_states(|way| way.has_value);
}

/// Also where nothing is sealed yet: the secret could not be given a value afterwards.
#[test]
fn a_key_in_a_state_that_forbids_its_use_is_refused_when_there_is_no_value_yet() {
    check_states(|way| !way.has_value);
}

/// An asymmetric key is told by the service when it is looked up, or only when it is to make a data key.
#[test]
fn an_asymmetric_key_is_refused() {
    for operation in [KeyOperation::Resolve, KeyOperation::Wrap] {
        let (kms, world, key) = prepared();
        kms.refuse(operation, &key, KeyError::WrongUsage);
        for way in WAYS.iter().filter(|way| way.has_value || operation == KeyOperation::Resolve) {
            let error = refuse_to_set(&world, way, &key, "EncryptionFailure", ASYMMETRIC);
            key_failure(Err::<(), _>(error), "EncryptionFailure", &key, KeyFaultReason::WrongUsage, operation);
        }
    }
}

/// A value that comes with a key under which the caller may not seal is refused with everything else of the request.
#[test]
fn a_value_is_refused_without_permission_to_seal_it() {
    let (kms, world, key) = prepared();
    kms.refuse(KeyOperation::Wrap, &key, KeyError::AccessDenied);
    for way in WAYS.iter().filter(|way| way.brings_value) {
        let error = refuse_to_set(&world, way, &key, "AccessDeniedException", NO_ACCESS);
        let reason = KeyFaultReason::AccessDenied;
        key_failure(Err::<(), _>(error), "AccessDeniedException", &key, reason, KeyOperation::Wrap);
    }
}

/// A store that is almost full and strict about tokens, in which `s` has versions 1 and 2 and `gone` is scheduled for
/// deletion.
fn strict(kms: &Kms) -> World {
    let clock = ManualClock::at_millis(START_MILLIS);
    let settings = |builder: Builder| builder.require_client_request_token(true).versions_per_secret_max(2);
    let store = settings(SecretStore::in_memory()).secrets_max(2).key_provider(kms.clone()).clock(clock.clone());
    let store = store.entropy(SeededEntropy::new(1)).open().unwrap();
    let world = World { clock, secrets: store.default_secrets_manager(), store };
    world.create("s", "").unwrap();
    world.put("s", 2, &["mine"]).unwrap();
    world.create("gone", "").unwrap();
    world.secrets.delete_secret(DeleteSecretRequest::new("gone")).unwrap();
    world
}

fn creation(name: &str) -> CreateSecretRequest {
    CreateSecretRequest::new(name).client_request_token(id(1)).secret_string("1")
}

fn update(name: &str) -> UpdateSecretRequest {
    UpdateSecretRequest::new(name).client_request_token(id(3)).secret_string("x")
}

/// Makes a request.
type Make<T> = fn() -> T;

/// A call that must succeed or fail.
type Call = fn(&SecretsManager) -> Result<()>;

/// Creations with something wrong other than the key, and their errors; none for a repetition.
const CREATIONS: [(Make<CreateSecretRequest>, &str); 9] = [
    (|| creation(""), "ValidationException"),
    (|| creation("no name"), "ValidationException"),
    (|| creation("new").secret_binary(vec![1]), "InvalidParameterException"),
    (|| creation("new").tags([Tag::new("aws:k", "v")]), "InvalidParameterException"),
    (|| CreateSecretRequest::new("new"), "InvalidRequestException"),
    (|| creation("gone"), "InvalidRequestException"),
    (|| creation("s").client_request_token(id(9)), "ResourceExistsException"),
    (|| creation("s").secret_string("other"), "ResourceExistsException"),
    (|| creation("s"), ""),
];

/// Updates with something wrong other than the key.
const UPDATES: [(Make<UpdateSecretRequest>, &str); 9] = [
    (|| update(""), "ValidationException"),
    (|| update("no name"), "ValidationException"),
    (|| update("s").description("d".repeat(2049)), "ValidationException"),
    (|| update("s").secret_binary(vec![1]), "InvalidParameterException"),
    (|| UpdateSecretRequest::new("s"), "InvalidRequestException"),
    (|| update("missing"), "ResourceNotFoundException"),
    (|| update("gone"), "InvalidRequestException"),
    (|| update("s").client_request_token(id(1)), "ResourceExistsException"),
    // The secret has as many versions as it may have.
    (|| update("s"), "LimitExceededException"),
];

/// The key is looked at last: whatever else is wrong with a request is told first, and a repetition does not look at it.
#[test]
fn every_other_error_is_told_before_that_of_the_key() {
    let kms = Kms::new();
    let world = strict(&kms);
    let off = kms.keyring.create_key(home()).unwrap();
    kms.keyring.disable_key(&off).unwrap();
    let keys = ["alias/missing", "arn:aws:kms:eu-west-1:000000000000:alias/x", off.as_str()];
    let mut rows = 0;
    let mut check = |code: &str, with: Result<()>, without: Result<()>| {
        rows += 1;
        let told = |result: Result<()>| result.map_err(|error| (error.code(), error.message().to_owned())).err();
        let (with, without) = (told(with), told(without));
        assert_eq!(with, without, "{code}: the key makes a difference");
        assert_eq!(with.as_ref().map_or("", |(code, _)| *code), code);
        assert!(with.is_none_or(|(_, text)| !text.contains("KMS")));
    };
    for key in keys {
        let epoch = world.store.stats().unwrap().epoch;
        for (request, code) in CREATIONS {
            let send = |request| world.secrets.create_secret(request).map(drop);
            check(code, send(request().kms_key_id(key)), send(request()));
        }
        for (request, code) in UPDATES {
            let send = |request| world.secrets.update_secret(request).map(drop);
            check(code, send(request().kms_key_id(key)), send(request()));
        }
        assert_eq!(world.store.stats().unwrap().epoch, epoch, "nothing was stored");
        // With nothing else wrong it is the key.
        world.secrets.update_secret(UpdateSecretRequest::new("s").client_request_token(id(3))).unwrap();
        let request = UpdateSecretRequest::new("s").client_request_token(id(3)).kms_key_id(key);
        assert!(world.secrets.update_secret(request).is_err(), "{key}");
        // Only whether there is room for one secret more is looked at after the key.
        let error = world.secrets.create_secret(creation("new").kms_key_id(key)).map(drop).unwrap_err();
        assert_ne!(error.code(), "LimitExceededException", "{key}");
        let error = world.secrets.create_secret(creation("new")).map(drop).unwrap_err();
        assert_eq!(error.code(), "LimitExceededException");
    }
    eprintln!("{rows} requests with something else wrong");
}

/// A key that is too long is a violation of its own, told with all others at once.
#[test]
fn a_key_that_is_too_long_is_told_with_the_other_violations() {
    let (_, world, _) = prepared();
    let long = "k".repeat(2049);
    let create = CreateSecretRequest::new("").kms_key_id(&long).secret_string("v");
    let update = UpdateSecretRequest::new("").kms_key_id(&long).secret_string("v");
    for error in [
        world.secrets.create_secret(create).map(drop).unwrap_err(),
        world.secrets.update_secret(update).map(drop).unwrap_err(),
    ] {
        assert_eq!(error.code(), "ValidationException");
        assert!(error.message().starts_with("2 validation errors detected: "), "{error}");
        let ending = "at 'kmsKeyId' failed to satisfy constraint: Member must have length less than or equal to 2048";
        assert!(error.message().ends_with(ending), "{error}");
    }
}

/// Every way to read a value, or to need it for a comparison. The secret `s` has versions 1 and 2.
const READS: [(&str, Call); 9] = [
    ("current", |secrets| secrets.get_secret_value(GetSecretValueRequest::new("s")).map(drop)),
    ("by id", |secrets| secrets.get_secret_value(GetSecretValueRequest::new("s").version_id(id(1))).map(drop)),
    ("by label", |secrets| {
        secrets.get_secret_value(GetSecretValueRequest::new("s").version_stage("AWSPREVIOUS")).map(drop)
    }),
    ("by both", |secrets| {
        let request = GetSecretValueRequest::new("s").version_id(id(2)).version_stage("AWSCURRENT");
        secrets.get_secret_value(request).map(drop)
    }),
    ("batch of ids", |secrets| {
        let request = BatchGetSecretValueRequest::new().secret_id_list(["other", "s", "other"]);
        one_of(secrets.batch_get_secret_value(request)?, "s", 2)
    }),
    ("batch by filter", |secrets| {
        let request = BatchGetSecretValueRequest::new().filters([Filter::new(FilterKey::Name, ["s", "other"])]);
        let arn = secrets.describe_secret(strongroom::DescribeSecretRequest::new("s")).unwrap().arn;
        one_of(secrets.batch_get_secret_value(request)?, &arn, 1)
    }),
    ("repeated put", |secrets| {
        let request = PutSecretValueRequest::new("s", "2").client_request_token(id(2));
        secrets.put_secret_value(request).map(drop)
    }),
    ("repeated update", |secrets| {
        let request = UpdateSecretRequest::new("s").secret_string("2").client_request_token(id(2));
        secrets.update_secret(request).map(drop)
    }),
    ("repeated creation", |secrets| {
        let request = CreateSecretRequest::new("s").secret_string("1").client_request_token(id(1));
        secrets.create_secret(request).map(drop)
    }),
];

/// What a batch says of one secret; all others must be there.
fn one_of(batch: strongroom::BatchGetSecretValueResponse, id: &str, others: usize) -> Result<()> {
    assert_eq!(batch.secret_values.iter().filter(|entry| entry.name == "other").count(), others);
    assert_eq!(batch.secret_values.len() + batch.errors.len(), others + 1);
    match batch.errors.into_iter().next() {
        Some(failed) => {
            assert_eq!(failed.secret_id, id);
            Err(failed.error)
        }
        None => Ok(()),
    }
}

/// What is told to a client, and to the caller, of a key that does not open a value.
#[test]
fn a_key_that_opens_nothing_is_told_wherever_a_value_is_needed() {
    use KeyFaultReason as R;
    let rows = [
        (KeyError::Disabled, "DecryptionFailure", CANNOT_DECRYPT, R::Disabled),
        (KeyError::PendingDeletion, "DecryptionFailure", CANNOT_DECRYPT, R::PendingDeletion),
        (KeyError::PendingImport, "DecryptionFailure", CANNOT_DECRYPT, R::PendingImport),
        (KeyError::NotFound, "DecryptionFailure", CANNOT_DECRYPT, R::NotFound),
        (KeyError::WrongUsage, "DecryptionFailure", CANNOT_DECRYPT, R::WrongUsage),
        (KeyError::Corrupt, "DecryptionFailure", CANNOT_DECRYPT, R::Corrupt),
        (KeyError::AccessDenied, "AccessDeniedException", NO_ACCESS, R::AccessDenied),
        (KeyError::Throttled, "InternalServiceError", SERVER_SIDE, R::Throttled),
        (KeyError::Unavailable, "InternalServiceError", SERVER_SIDE, R::Unavailable),
        (KeyError::Timeout, "InternalServiceError", SERVER_SIDE, R::Timeout),
        (KeyError::Internal, "InternalServiceError", SERVER_SIDE, R::Internal),
    ];
    for (error, code, text, reason) in &rows {
        let kms = Kms::new();
        let world = World::over(kms.clone());
        let key = kms.keyring.create_key(home()).unwrap();
        world.create("s", &key).unwrap();
        world.put("s", 2, &[]).unwrap();
        world.create("other", "").unwrap();
        world.read("other").unwrap();
        let before = (world.describe("s"), world.store.stats().unwrap());
        kms.refuse(KeyOperation::Unwrap, &key, error.clone());
        for (way, read) in READS {
            let failed = read(&world.secrets).expect_err(way);
            assert_eq!((failed.code(), failed.message()), (*code, *text), "{way}: {error}");
            assert_eq!(failed.is_retryable(), *code == "InternalServiceError", "{way}: {error}");
            let (_, fault) = fault(Err::<(), _>(failed));
            let told = (fault.key.as_str(), fault.reason, fault.operation);
            assert_eq!(told, (key.as_str(), *reason, KeyOperation::Unwrap), "{way}: {error}");
        }
        // A failed read is no access, and leaves nothing behind.
        assert_eq!((world.describe("s"), world.store.stats().unwrap()), before, "{error}");
        kms.permit();
        for (way, read) in READS {
            read(&world.secrets).expect(way);
        }
    }
    eprintln!("{} failures, each in {} reads", rows.len(), READS.len());
}
