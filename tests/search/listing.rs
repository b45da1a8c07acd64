//! What a list of secrets shows, and of which secrets.

use std::collections::BTreeMap;

use strongroom::{
    CreateSecretRequest, DescribeSecretRequest, ListSecretsRequest, LocalKeyring, PutSecretValueRequest,
    RestoreSecretRequest, SecretListEntry, Tag, TagResourceRequest, UntagResourceRequest,
};

use crate::fixture::{World, filters, malformed};

fn entry(world: &World, name: &str) -> SecretListEntry {
    let request = ListSecretsRequest::new().include_planned_deletion(true);
    let listed = world.secrets.list_secrets(request).unwrap().secret_list;
    listed.into_iter().find(|entry| entry.name == name).unwrap()
}

fn with_scheduled() -> ListSecretsRequest {
    ListSecretsRequest::new().include_planned_deletion(true)
}

#[test]
fn an_empty_list_is_a_list() {
    let listed = World::new().secrets.list_secrets(ListSecretsRequest::new()).unwrap();
    assert_eq!((listed.secret_list, listed.next_token), (vec![], None));
}

/// The members of an entry that has nothing but what every secret has.
#[test]
fn an_entry_shows_only_what_the_secret_has() {
    let world = World::new();
    let arn = world.create_with(CreateSecretRequest::new("bare"));
    let SecretListEntry {
        arn: listed_arn,
        name,
        r#type,
        description,
        kms_key_id,
        last_changed_date,
        last_accessed_date,
        deleted_date,
        tags,
        secret_versions_to_stages,
        owning_service,
        created_date,
        primary_region,
        ..
    } = entry(&world, "bare");
    assert_eq!((listed_arn, name.as_str()), (arn, "bare"));
    assert_eq!(created_date.timestamp_millis(), 1_700_000_001_000);
    assert_eq!(last_changed_date, created_date);
    assert_eq!((r#type, description, kms_key_id, owning_service, primary_region), (None, None, None, None, None));
    assert_eq!((last_accessed_date, deleted_date), (None, None));
    assert_eq!((tags, secret_versions_to_stages), (None, None));
}

#[test]
fn an_entry_shows_the_members_of_its_secret() {
    let keyring = LocalKeyring::in_memory();
    let world = World::with_keyring(&keyring);
    let key = keyring.create_key(strongroom::KeyScope::new("aws", "000000000000", "us-east-1")).unwrap();
    keyring.create_alias("alias/mine", &key).unwrap();
    let request =
        CreateSecretRequest::new("full").secret_string("v").description("what it is").kms_key_id("alias/mine");
    world.create_with(request.r#type("partner").tags([Tag::new("b", "1"), Tag::new("a", "2")]));
    world.tick();
    let pending = world
        .secrets
        .put_secret_value(PutSecretValueRequest::new("full", "w").version_stages(["AWSPENDING", "mine"]))
        .unwrap()
        .version_id;
    world.days(3);
    world.read("full");
    let shown = entry(&world, "full");
    let described = world.secrets.describe_secret(DescribeSecretRequest::new("full")).unwrap();
    assert_eq!(shown.description.as_deref(), Some("what it is"));
    assert_eq!(shown.r#type.as_deref(), Some("partner"));
    assert_eq!(shown.kms_key_id.as_deref(), Some("alias/mine"));
    assert_eq!(shown.tags, Some(vec![Tag::new("b", "1"), Tag::new("a", "2")]));
    assert_eq!(shown.created_date.timestamp_millis(), 1_700_000_001_000);
    assert_eq!(shown.last_changed_date.timestamp_millis(), 1_700_000_002_000);
    // Midnight, UTC, of 2023-11-17.
    assert_eq!(shown.last_accessed_date.unwrap().timestamp_millis(), 1_700_179_200_000);
    let stages: BTreeMap<String, Vec<String>> = shown.secret_versions_to_stages.unwrap();
    assert_eq!(stages[&pending], ["AWSPENDING", "mine"]);
    assert_eq!(stages.values().filter(|labels| **labels == ["AWSCURRENT"]).count(), 1);
    assert_eq!(described.version_ids_to_stages, Some(stages));
}

/// Asking for the default key by its alias is the same as not asking.
#[test]
fn the_default_key_is_not_shown() {
    let world = World::new();
    for (name, key) in [("none", None), ("empty", Some("")), ("alias", Some("alias/aws/secretsmanager"))] {
        let mut request = CreateSecretRequest::new(name).secret_string("v");
        request.kms_key_id = key.map(str::to_owned);
        world.create_with(request);
        assert_eq!(entry(&world, name).kms_key_id, None, "{name}");
    }
}

/// Recorded: no tag list is not the same as an empty one.
#[test]
fn tags_are_absent_before_the_first_and_empty_after_the_last() {
    let world = World::new();
    world.create("never");
    world.create_with(CreateSecretRequest::new("empty").secret_string("v").tags(Vec::<Tag>::new()));
    assert_eq!(entry(&world, "never").tags, None);
    assert_eq!(entry(&world, "empty").tags, Some(vec![]));
    world.secrets.tag_resource(TagResourceRequest::new("never", [Tag::new("k", "v")])).unwrap();
    assert_eq!(entry(&world, "never").tags, Some(vec![Tag::new("k", "v")]));
    world.secrets.untag_resource(UntagResourceRequest::new("never", ["k"])).unwrap();
    assert_eq!(entry(&world, "never").tags, Some(vec![]));
}

/// Versions without labels are not shown.
#[test]
fn deprecated_versions_are_not_in_the_map_of_an_entry() {
    let world = World::new();
    world.create("s");
    let previous = world.put("s", "2");
    let current = world.put("s", "3");
    let stages = entry(&world, "s").secret_versions_to_stages.unwrap();
    let expected = [(previous, vec!["AWSPREVIOUS".to_owned()]), (current, vec!["AWSCURRENT".to_owned()])];
    assert_eq!(stages, BTreeMap::from(expected));
}

#[test]
fn listing_is_not_a_read() {
    let world = World::new();
    world.create("s");
    for _ in 0..5 {
        let shown = entry(&world, "s");
        assert_eq!((shown.last_accessed_date, shown.last_changed_date), (None, shown.created_date));
        world.tick();
    }
}

/// Scheduled secrets are listed only on request, with the date at which they go.
/// Source: <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_ListSecrets.html>
#[test]
fn scheduled_secrets_are_hidden_unless_asked_for() {
    let world = World::new();
    for name in ["stays", "goes", "returns"] {
        world.create(name);
    }
    let at = world.schedule_deletion("goes");
    world.schedule_deletion("returns");
    assert_eq!(world.names(ListSecretsRequest::new), ["stays"]);
    assert_eq!(world.names(|| ListSecretsRequest::new().include_planned_deletion(false)), ["stays"]);
    assert_eq!(world.names(with_scheduled), ["stays", "goes", "returns"]);
    assert_eq!(entry(&world, "goes").deleted_date, Some(at));
    assert_eq!(at.timestamp_millis(), 1_700_000_003_000 + 7 * 86_400_000);
    assert_eq!(entry(&world, "stays").deleted_date, None);
    assert!(entry(&world, "goes").secret_versions_to_stages.is_some());

    world.secrets.restore_secret(RestoreSecretRequest::new("returns")).unwrap();
    assert_eq!(entry(&world, "returns").deleted_date, None);
    assert_eq!(world.names(ListSecretsRequest::new), ["stays", "returns"]);

    world.days(7);
    assert_eq!(world.names(with_scheduled), ["stays", "returns"], "past its window nothing is left to list");
    assert_eq!(world.store.maintain().unwrap().purged_secrets, 1);
    assert_eq!(world.names(with_scheduled), ["stays", "returns"]);
}

/// The choice of scheduled secrets is made before filters.
#[test]
fn filters_apply_to_scheduled_secrets_too() {
    let world = World::new();
    for (name, description) in [("a1", "one"), ("a2", "one"), ("b1", "two")] {
        world.create_with(CreateSecretRequest::new(name).secret_string("v").description(description));
    }
    world.schedule_deletion("a2");
    world.schedule_deletion("b1");
    for (wanted, without, with) in [
        ("description=one", "a1", "a1 a2"),
        ("name=a", "a1", "a1 a2"),
        ("name=!a", "", "b1"),
        ("description=two", "", "b1"),
        ("all=one|two", "a1", "a1 a2 b1"),
    ] {
        assert_eq!(world.names(|| ListSecretsRequest::new().filters(filters(wanted))).join(" "), without, "{wanted}");
        assert_eq!(world.names(|| with_scheduled().filters(filters(wanted))).join(" "), with, "{wanted}");
    }
}

/// Recorded: a list never shows secrets of other accounts.
#[test]
fn a_list_shows_its_own_account_and_region_only() {
    let world = World::new();
    world.create("here");
    let mut listed = Vec::new();
    let tenants = [("000000000000", "us-east-1"), ("000000000000", "eu-west-1"), ("111111111111", "us-east-1")];
    for (account, region) in tenants {
        let manager = world.store.secrets_manager(account, region).unwrap();
        let name = format!("{account}/{region}");
        world.tick();
        manager.create_secret(CreateSecretRequest::new(name)).unwrap();
        listed.push(manager);
    }
    for manager in listed {
        let own = format!("{}/{}", manager.account(), manager.region());
        let page = manager.list_secrets(ListSecretsRequest::new()).unwrap();
        let names: Vec<_> = page.secret_list.iter().map(|entry| entry.name.as_str()).collect();
        let is_default = own == "000000000000/us-east-1";
        assert_eq!(names, if is_default { vec!["here", &own] } else { vec![own.as_str()] });
        assert!(page.secret_list.iter().all(|entry| entry.arn.contains(manager.region())));
    }
}

/// A secret that is made again under its old name is another one.
#[test]
fn a_secret_that_was_made_again_is_listed_once_with_its_new_arn() {
    let world = World::new();
    let old = world.create("again");
    world.create("other");
    world.remove("again");
    assert_eq!(world.names(with_scheduled), ["other"]);
    let new = world.create("again");
    assert_ne!(old, new);
    assert_eq!(world.names(with_scheduled), ["other", "again"]);
    assert_eq!(entry(&world, "again").arn, new);
}

#[test]
fn the_catalogue_is_the_same_whenever_it_is_built() {
    let (early, late) = (World::new(), World::new());
    early.store.warm_up().unwrap();
    for world in [&early, &late] {
        for name in ["c", "a", "b"] {
            world.create_with(CreateSecretRequest::new(name).description("x"));
        }
        world.describe("a", "y");
        world.schedule_deletion("b");
        world.create("d");
        world.remove("d");
    }
    let list = |world: &World| world.secrets.list_secrets(with_scheduled()).unwrap().secret_list;
    assert_eq!(list(&early), list(&late));
    assert_eq!(early.names(with_scheduled), ["c", "a", "b"]);
}

#[test]
fn unknown_orders_are_refused() {
    let world = World::new();
    malformed(
        world.secrets.list_secrets(ListSecretsRequest::new().sort_by("size")),
        "Value 'size' at 'sortBy' failed to satisfy constraint: Member must satisfy enum value set: \
         [created-date, last-accessed-date, last-changed-date, name]",
    );
    malformed(
        world.secrets.list_secrets(ListSecretsRequest::new().sort_order("ASC")),
        "Value 'ASC' at 'sortOrder' failed to satisfy constraint: Member must satisfy enum value set: [asc, desc]",
    );
}
