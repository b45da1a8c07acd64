//! What needs which right to a key: nothing but values needs any, and a change of the key needs two.
//!
//! Source: <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_UpdateSecret.html>

use strongroom::{
    CreateSecretRequest, DeleteSecretRequest, DescribeSecretRequest, Filter, FilterKey, GetRandomPasswordRequest,
    KeyError, KeyFaultReason, KeyOperation, ListSecretVersionIdsRequest, ListSecretsRequest, RestoreSecretRequest,
    Result, SecretsManager, Tag, TagResourceRequest, UntagResourceRequest, UpdateSecretRequest,
    UpdateSecretVersionStageRequest,
};

use crate::fixture::{World, home, id, key_failure};
use crate::kms_service::Kms;

/// A call that must succeed.
type Call = fn(&SecretsManager) -> Result<()>;

/// Everything that a client can do without a value, in an order in which it can be done.
const WITHOUT_VALUES: [(&str, Call); 15] = [
    ("describe", |secrets| secrets.describe_secret(DescribeSecretRequest::new("s")).map(drop)),
    ("list", |secrets| {
        let filter = Filter::new(FilterKey::All, ["s"]);
        secrets.list_secrets(ListSecretsRequest::new().filters([filter])).map(drop)
    }),
    ("list versions", |secrets| secrets.list_secret_version_ids(ListSecretVersionIdsRequest::new("s")).map(drop)),
    ("tag", |secrets| secrets.tag_resource(TagResourceRequest::new("s", [Tag::new("k", "v")]))),
    ("untag", |secrets| secrets.untag_resource(UntagResourceRequest::new("s", ["k"]))),
    ("describe anew", |secrets| secrets.update_secret(UpdateSecretRequest::new("s").description("d")).map(drop)),
    ("attach a label", |secrets| {
        let request = UpdateSecretVersionStageRequest::new("s", "mine").move_to_version_id(id(1));
        secrets.update_secret_version_stage(request).map(drop)
    }),
    ("move a label", |secrets| {
        let request = UpdateSecretVersionStageRequest::new("s", "AWSCURRENT").remove_from_version_id(id(2));
        secrets.update_secret_version_stage(request.move_to_version_id(id(1))).map(drop)
    }),
    ("detach a label", |secrets| {
        let request = UpdateSecretVersionStageRequest::new("s", "mine").remove_from_version_id(id(1));
        secrets.update_secret_version_stage(request).map(drop)
    }),
    ("delete", |secrets| secrets.delete_secret(DeleteSecretRequest::new("s")).map(drop)),
    ("restore", |secrets| secrets.restore_secret(RestoreSecretRequest::new("s")).map(drop)),
    ("create without a value", |secrets| secrets.create_secret(CreateSecretRequest::new("valueless")).map(drop)),
    ("random password", |secrets| secrets.get_random_password(GetRandomPasswordRequest::new()).map(drop)),
    ("purge", |secrets| {
        secrets.delete_secret(DeleteSecretRequest::new("s").force_delete_without_recovery(true)).map(drop)
    }),
    ("list nothing", |secrets| secrets.list_secrets(ListSecretsRequest::new()).map(drop)),
];

/// Not only do they work without any right: nobody is even asked.
#[test]
fn what_needs_no_value_needs_no_key() {
    for error in [KeyError::AccessDenied, KeyError::Disabled, KeyError::NotFound, KeyError::Unavailable] {
        let kms = Kms::new();
        let world = World::over(kms.clone());
        let key = kms.keyring.create_key(home()).unwrap();
        world.create("s", &key).unwrap();
        world.put("s", 2, &[]).unwrap();
        let default = kms.keyring.keys().into_iter().find(|key| key.aws_managed).unwrap().arn;
        kms.refuse_all(&key, &error);
        kms.refuse_all(&default, &error);
        let calls = kms.calls();
        for (what, call) in WITHOUT_VALUES {
            call(&world.secrets).expect(what);
        }
        assert_eq!(kms.calls(), calls);
    }
}

/// What becomes of the existing versions and of the call, if a right to the old key or the new one is missing.
#[derive(Clone, Copy, PartialEq)]
enum Outcome {
    /// Labelled versions open under the new key too.
    Wrapped,
    /// All versions stay as they were, and the secret has the new key.
    Left,
    /// The call fails with this code and reason, and nothing changes.
    Refused(&'static str, KeyFaultReason),
}

#[test]
fn a_change_of_the_key_leaves_what_may_not_be_wrapped() {
    use KeyError as E;
    use KeyFaultReason as R;
    use KeyOperation as O;
    use Outcome::{Left, Refused, Wrapped};
    const OUTAGE: &str = "InternalServiceError";
    const OLD: bool = true;
    const NEW: bool = false;
    let rows = [
        // Nothing is asked of the old key but to open the versions.
        (OLD, O::Resolve, E::AccessDenied, Wrapped),
        (OLD, O::Wrap, E::AccessDenied, Wrapped),
        (OLD, O::Unwrap, E::AccessDenied, Left),
        (OLD, O::Unwrap, E::NotFound, Left),
        (OLD, O::Unwrap, E::Disabled, Left),
        (OLD, O::Unwrap, E::PendingDeletion, Left),
        (OLD, O::Unwrap, E::PendingImport, Left),
        (OLD, O::Unwrap, E::Throttled, Refused(OUTAGE, R::Throttled)),
        (OLD, O::Unwrap, E::Unavailable, Refused(OUTAGE, R::Unavailable)),
        (OLD, O::Unwrap, E::Timeout, Refused(OUTAGE, R::Timeout)),
        (OLD, O::Unwrap, E::Internal, Refused(OUTAGE, R::Internal)),
        // Without permission to encrypt under the new key the versions stay; without permission to decrypt they do not.
        (NEW, O::Wrap, E::AccessDenied, Left),
        (NEW, O::Unwrap, E::AccessDenied, Wrapped),
        (NEW, O::Resolve, E::AccessDenied, Refused("AccessDeniedException", R::AccessDenied)),
        (NEW, O::Resolve, E::NotFound, Refused("AccessDeniedException", R::NotFound)),
        (NEW, O::Wrap, E::NotFound, Refused("AccessDeniedException", R::NotFound)),
        (NEW, O::Wrap, E::Disabled, Refused("EncryptionFailure", R::Disabled)),
        (NEW, O::Wrap, E::PendingDeletion, Refused("EncryptionFailure", R::PendingDeletion)),
        (NEW, O::Wrap, E::PendingImport, Refused("EncryptionFailure", R::PendingImport)),
        (NEW, O::Wrap, E::WrongUsage, Refused("EncryptionFailure", R::WrongUsage)),
        (NEW, O::Wrap, E::Unavailable, Refused(OUTAGE, R::Unavailable)),
        (NEW, O::Wrap, E::Throttled, Refused(OUTAGE, R::Throttled)),
    ];
    for (index, (of_old, operation, error, outcome)) in rows.iter().enumerate() {
        let kms = Kms::new();
        let world = World::over(kms.clone());
        let [old, new] = [(); 2].map(|()| kms.keyring.create_key(home()).unwrap());
        // Version 1 has no labels, 2 is `AWSPREVIOUS`, 3 is `AWSCURRENT`, 4 is `AWSPENDING`.
        world.create("s", &old).unwrap();
        for (version, labels) in [(2, &[][..]), (3, &[]), (4, &["AWSPENDING"])] {
            world.put("s", version, labels).unwrap();
        }
        let seen = || (world.describe("s"), world.version_keys("s"), world.store.stats().unwrap());
        let before = seen();
        let refused = if *of_old { &old } else { &new };
        kms.refuse(*operation, refused, error.clone());
        let changed = world.change_key("s", &new);
        let under_old = vec![vec![old.clone()]; 4];
        let readable_under_new = match outcome {
            Refused(code, reason) => {
                key_failure(changed, code, refused, *reason, *operation);
                assert_eq!(seen(), before, "row {index}");
                kms.permit();
                [false; 4]
            }
            Left => {
                changed.unwrap();
                assert_eq!((world.describe("s").kms_key_id.as_ref(), world.version_keys("s")), (Some(&new), under_old));
                [false; 4]
            }
            Wrapped => {
                changed.unwrap();
                let both = vec![old.clone(), new.clone()];
                assert_eq!(world.describe("s").kms_key_id.as_ref(), Some(&new));
                assert_eq!(world.version_keys("s"), [under_old[0].clone(), both.clone(), both.clone(), both]);
                [false, true, true, true]
            }
        };
        // Which versions open without the old key, and which without the new one.
        kms.permit();
        for (switched_off, readable) in [(&old, readable_under_new), (&new, [true; 4])] {
            kms.keyring.disable_key(switched_off).unwrap();
            let read = [1, 2, 3, 4].map(|version| world.read_version("s", version).is_ok());
            assert_eq!(read, readable, "row {index}");
            kms.keyring.enable_key(switched_off).unwrap();
        }
        // What is stored next is under the key that the secret has now, and under no other.
        world.put("s", 5, &[]).unwrap();
        let (key, other) = if matches!(outcome, Refused(..)) { (&old, &new) } else { (&new, &old) };
        assert_eq!(world.version_keys("s")[4], std::slice::from_ref(key));
        kms.keyring.disable_key(other).unwrap();
        assert_eq!(world.read("s").unwrap(), "5");
        kms.keyring.disable_key(key).unwrap();
        key_failure(world.read("s"), "DecryptionFailure", key, R::Disabled, O::Unwrap);
    }
    eprintln!("{} missing rights", rows.len());
}

/// A version that was left behind is wrapped by the next change, once the rights are there.
#[test]
fn a_version_that_was_left_is_wrapped_when_the_key_is_named_again() {
    let kms = Kms::new();
    let world = World::over(kms.clone());
    let [old, new] = [(); 2].map(|()| kms.keyring.create_key(home()).unwrap());
    world.create("s", &old).unwrap();
    kms.refuse(KeyOperation::Wrap, &new, KeyError::AccessDenied);
    world.change_key("s", &new).unwrap();
    assert_eq!(world.version_keys("s"), [[old.clone()]]);
    kms.permit();
    world.change_key("s", &new).unwrap();
    assert_eq!(world.version_keys("s"), [[old.clone(), new]]);
    kms.keyring.disable_key(&old).unwrap();
    assert_eq!(world.read("s").unwrap(), "1");
}

/// If no key opens a version, the caller is told of the secret's own key; if that key made no wrap of it, of the newest.
#[test]
fn the_key_that_is_told_is_the_one_that_the_secret_has_now() {
    let kms = Kms::new();
    let world = World::over(kms.clone());
    let [one, two] = [(); 2].map(|()| kms.keyring.create_key(home()).unwrap());
    world.create("s", &one).unwrap();
    world.put("s", 2, &[]).unwrap();
    world.put("s", 3, &[]).unwrap();
    world.change_key("s", &two).unwrap();
    kms.keyring.disable_key(&one).unwrap();
    kms.keyring.schedule_key_deletion(&two).unwrap();
    for (current, version, told, reason) in [
        ("two", 3, &two, KeyFaultReason::PendingDeletion),
        ("two", 2, &two, KeyFaultReason::PendingDeletion),
        ("two", 1, &one, KeyFaultReason::Disabled),
    ] {
        let read = world.read_version("s", version);
        key_failure(read, "DecryptionFailure", told, reason, KeyOperation::Unwrap);
        assert_eq!(world.describe("s").kms_key_id.as_ref(), Some(&two), "{current}");
    }
    // Back under the first key, without the labels' versions being opened by anyone: the first key is told of.
    kms.keyring.enable_key(&one).unwrap();
    world.change_key("s", &one).unwrap();
    kms.keyring.disable_key(&one).unwrap();
    for version in [1, 2, 3] {
        let read = world.read_version("s", version);
        key_failure(read, "DecryptionFailure", &one, KeyFaultReason::Disabled, KeyOperation::Unwrap);
    }
}
