//! `ListSecretVersionIds`.

use chrono::TimeDelta;
use strongroom::{
    CreateSecretRequest, GetSecretValueRequest, ListSecretVersionIdsRequest, PutSecretValueRequest,
    SecretVersionsListEntry, UpdateSecretVersionStageRequest,
};

use crate::fixture::{INVALID_NAME, NOT_FOUND, World, malformed, refused, walk};

/// A token of a version by its number: what the tests call `v1` is version `1`.
fn id(number: usize) -> String {
    format!("00000000-0000-4000-8000-{number:012}")
}

fn number(version_id: &str) -> usize {
    version_id.rsplit('-').next().unwrap().parse().unwrap()
}

/// A second later than anything before it, adds a version with its number for a value.
fn put(world: &World, name: &str, version: usize, labels: &[&str]) {
    world.tick();
    let mut request = PutSecretValueRequest::new(name, version.to_string()).client_request_token(id(version));
    if !labels.is_empty() {
        request = request.version_stages(labels.iter().copied());
    }
    world.secrets.put_secret_value(request).unwrap();
}

fn versions(world: &World, name: &str, with_deprecated: Option<bool>) -> Vec<SecretVersionsListEntry> {
    let mut request = ListSecretVersionIdsRequest::new(name);
    request.include_deprecated = with_deprecated;
    world.secrets.list_secret_version_ids(request).unwrap().versions
}

/// As `v1[] v2[AWSPREVIOUS] v3[AWSCURRENT,mine]`.
fn shown(world: &World, with_deprecated: bool) -> String {
    let show = |version: &SecretVersionsListEntry| {
        let labels = version.version_stages.clone();
        assert_ne!(labels, Some(vec![]), "labels are absent rather than empty");
        format!("v{}[{}]", number(&version.version_id), labels.unwrap_or_default().join(","))
    };
    versions(world, "s", Some(with_deprecated)).iter().map(show).collect::<Vec<_>>().join(" ")
}

fn with_versions(count: usize) -> World {
    let world = World::new();
    world.create_with(CreateSecretRequest::new("s"));
    for version in 1..=count {
        put(&world, "s", version, &[]);
    }
    world
}

#[test]
fn a_secret_without_a_value_has_an_empty_list() {
    let world = World::new();
    let arn = world.create_with(CreateSecretRequest::new("s"));
    for with_deprecated in [false, true] {
        let request = ListSecretVersionIdsRequest::new("s").include_deprecated(with_deprecated);
        let listed = world.secrets.list_secret_version_ids(request).unwrap();
        assert_eq!((listed.versions, listed.next_token), (vec![], None));
        assert_eq!((listed.arn.as_str(), listed.name.as_str()), (arn.as_str(), "s"));
    }
}

/// Recorded: versions without labels come only on request, all of them, without a list of labels.
#[test]
fn deprecated_versions_are_listed_only_on_request() {
    let world = with_versions(4);
    assert_eq!(shown(&world, false), "v3[AWSPREVIOUS] v4[AWSCURRENT]");
    assert_eq!(shown(&world, true), "v1[] v2[] v3[AWSPREVIOUS] v4[AWSCURRENT]");
    assert_eq!(versions(&world, "s", None), versions(&world, "s", Some(false)), "absent means no");
    assert!(versions(&world, "s", Some(true))[..2].iter().all(|version| version.version_stages.is_none()));
}

/// Labels come in the order in which they were attached.
#[test]
fn the_list_follows_the_labels() {
    let world = with_versions(2);
    put(&world, "s", 3, &["AWSPENDING", "mine", "alpha"]);
    assert_eq!(shown(&world, false), "v1[AWSPREVIOUS] v2[AWSCURRENT] v3[AWSPENDING,mine,alpha]");
    let move_to = |label: &str, from: Option<usize>, to: Option<usize>| {
        let mut request = UpdateSecretVersionStageRequest::new("s", label);
        request.remove_from_version_id = from.map(id);
        request.move_to_version_id = to.map(id);
        world.secrets.update_secret_version_stage(request).unwrap();
    };
    move_to("AWSCURRENT", Some(2), Some(3));
    assert_eq!(shown(&world, false), "v2[AWSPREVIOUS] v3[AWSPENDING,mine,alpha,AWSCURRENT]");
    assert_eq!(shown(&world, true), "v1[] v2[AWSPREVIOUS] v3[AWSPENDING,mine,alpha,AWSCURRENT]");
    move_to("mine", Some(3), Some(1));
    assert_eq!(shown(&world, false), "v1[mine] v2[AWSPREVIOUS] v3[AWSPENDING,alpha,AWSCURRENT]");
    move_to("mine", Some(1), None);
    assert_eq!(shown(&world, false), "v2[AWSPREVIOUS] v3[AWSPENDING,alpha,AWSCURRENT]");
}

#[test]
fn an_entry_shows_dates_and_keys() {
    let world = with_versions(2);
    world.days(2);
    world.secrets.get_secret_value(GetSecretValueRequest::new("s").version_id(id(1))).unwrap();
    let listed = versions(&world, "s", Some(true));
    let [first, second] = listed.as_slice() else { panic!("{listed:?}") };
    assert_eq!(first.created_date.timestamp_millis(), 1_700_000_002_000);
    assert_eq!(second.created_date.timestamp_millis(), 1_700_000_003_000);
    // Midnight, UTC, of 2023-11-16.
    assert_eq!(first.last_accessed_date.unwrap().timestamp_millis(), 1_700_092_800_000);
    assert_eq!(second.last_accessed_date, None);
    // Recorded: the default key has this name in version lists.
    assert_eq!(first.kms_key_ids, ["DefaultEncryptionKey"]);
    assert_eq!(second.kms_key_ids, ["DefaultEncryptionKey"]);
}

#[test]
fn a_failed_read_is_not_an_access() {
    let world = with_versions(2);
    let wrong = GetSecretValueRequest::new("s").version_id(id(1)).version_stage("AWSCURRENT");
    assert!(world.secrets.get_secret_value(wrong).is_err());
    assert!(versions(&world, "s", Some(true)).iter().all(|version| version.last_accessed_date.is_none()));
}

#[test]
fn a_scheduled_secret_still_lists_its_versions() {
    let world = with_versions(3);
    world.schedule_deletion("s");
    assert_eq!(shown(&world, true), "v1[] v2[AWSPREVIOUS] v3[AWSCURRENT]");
    world.days(7);
    refused(
        world.secrets.list_secret_version_ids(ListSecretVersionIdsRequest::new("s")),
        "ResourceNotFoundException",
        NOT_FOUND,
    );
}

fn walked(world: &World, size: i32, with_deprecated: bool, mut between: impl FnMut(usize)) -> Vec<usize> {
    let mut page_number = 0;
    walk(|token| {
        let mut request = ListSecretVersionIdsRequest::new("s").max_results(size).include_deprecated(with_deprecated);
        request.next_token = token;
        let page = world.secrets.list_secret_version_ids(request).unwrap();
        assert!(i32::try_from(page.versions.len()).unwrap() <= size);
        between(page_number);
        page_number += 1;
        (page.versions.iter().map(|version| number(&version.version_id)).collect(), page.next_token)
    })
    .concat()
}

#[test]
fn a_walk_shows_every_version_once_oldest_first() {
    let world = with_versions(130);
    let all: Vec<usize> = (1..=130).collect();
    for size in [1, 2, 7, 65, 100] {
        assert_eq!(walked(&world, size, true, |_| {}), all, "pages of {size}");
        assert_eq!(walked(&world, size, false, |_| {}), [129, 130], "pages of {size}");
    }
    let page = world.secrets.list_secret_version_ids(ListSecretVersionIdsRequest::new("s").include_deprecated(true));
    let page = page.unwrap();
    assert_eq!(page.versions.len(), 100, "a page has a hundred entries unless asked otherwise");
    assert!(page.next_token.is_some());
}

#[test]
fn a_walk_sees_versions_that_are_added_meanwhile() {
    let world = with_versions(5);
    let mut next = 6;
    let shown = walked(&world, 2, true, |page| {
        if page < 2 {
            put(&world, "s", next, &[]);
            next += 1;
        }
    });
    assert_eq!(shown, [1, 2, 3, 4, 5, 6, 7]);
}

/// Old versions beyond a hundred are removed while the list is walked, also the one at which a page ended. The rest is
/// shown once.
#[test]
fn a_walk_goes_on_when_the_version_at_its_place_is_removed() {
    let world = with_versions(150);
    let shown = walked(&world, 10, true, |page| {
        if page == 0 {
            world.clock.advance(TimeDelta::hours(25));
            assert_eq!(world.store.maintain().unwrap().removed_versions, 50);
        }
    });
    assert_eq!(shown, (1..=10).chain(51..=150).collect::<Vec<_>>());
}

/// The same with versions that were all made in the same millisecond.
#[test]
fn a_walk_goes_on_when_the_removed_version_is_as_old_as_the_others() {
    let world = World::new();
    world.create_with(CreateSecretRequest::new("s"));
    for version in 1..=150 {
        let request = PutSecretValueRequest::new("s", "v").client_request_token(id(version));
        world.secrets.put_secret_value(request).unwrap();
    }
    let shown = walked(&world, 10, true, |page| {
        if page == 0 {
            world.clock.advance(TimeDelta::hours(25));
            assert_eq!(world.store.maintain().unwrap().removed_versions, 50);
        }
    });
    assert_eq!(shown, (1..=10).chain(51..=150).collect::<Vec<_>>());
}

#[test]
fn malformed_requests_are_refused() {
    let world = with_versions(1);
    let list = |request| world.secrets.list_secret_version_ids(request);
    let must = "failed to satisfy constraint: Member must have";
    malformed(
        list(ListSecretVersionIdsRequest::new("")),
        &format!("Value '' at 'secretId' {must} length greater than or equal to 1"),
    );
    malformed(
        list(ListSecretVersionIdsRequest::new("x".repeat(2049))),
        &format!("at 'secretId' {must} length less than or equal to 2048"),
    );
    for size in [0, -5] {
        malformed(
            list(ListSecretVersionIdsRequest::new("s").max_results(size)),
            &format!("Value '{size}' at 'maxResults' {must} value greater than or equal to 1"),
        );
    }
    malformed(
        list(ListSecretVersionIdsRequest::new("s").max_results(101)),
        &format!("Value '101' at 'maxResults' {must} value less than or equal to 100"),
    );
    for name in ["Inv Name", " Inv Name", " Inv*Name? ", " Inv *?!]Name\\-", "caf\u{e9}", "a\0b"] {
        refused(list(ListSecretVersionIdsRequest::new(name)), "ValidationException", INVALID_NAME);
    }
    refused(list(ListSecretVersionIdsRequest::new("missing")), "ResourceNotFoundException", NOT_FOUND);
    // A missing secret is reported before a token that is good for nothing.
    let request = ListSecretVersionIdsRequest::new("missing").next_token("nonsense");
    refused(list(request), "ResourceNotFoundException", NOT_FOUND);
}
