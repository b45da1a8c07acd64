//! `BatchGetSecretValue`.

use strongroom::{
    BatchGetSecretValueRequest, BatchGetSecretValueResponse, CreateSecretRequest, DescribeSecretRequest, ErrorKind,
    KeyScope, LocalKeyring, PutSecretValueRequest, Result,
};

use crate::fixture::{INVALID_NAME, INVALID_TOKEN, MARKED, NOT_FOUND, World, filters, malformed, refused, walk};

const BOTH: &str = "Either 'SecretIdList' or 'Filters' must be provided, but not both.";
const SIZE_WITHOUT_FILTERS: &str =
    "'Filters' not specified. 'Filters' must also be specified when 'MaxResults' is provided.";
const NO_CURRENT: &str = "Secrets Manager can't find the specified secret value for staging label: AWSCURRENT";

fn by_ids(world: &World, ids: &[&str]) -> Result<BatchGetSecretValueResponse> {
    world.secrets.batch_get_secret_value(BatchGetSecretValueRequest::new().secret_id_list(ids.iter().copied()))
}

fn by_filters(world: &World, wanted: &str) -> BatchGetSecretValueResponse {
    world.secrets.batch_get_secret_value(BatchGetSecretValueRequest::new().filters(filters(wanted))).unwrap()
}

fn names(response: &BatchGetSecretValueResponse) -> Vec<&str> {
    response.secret_values.iter().map(|value| value.name.as_str()).collect()
}

/// Failed ids with code and text.
fn errors(response: &BatchGetSecretValueResponse) -> Vec<(&str, &str, &str)> {
    response
        .errors
        .iter()
        .map(|failed| (failed.secret_id.as_str(), failed.error.code(), failed.error.message()))
        .collect()
}

#[test]
fn current_values_come_in_the_order_of_the_ids() {
    let world = World::new();
    world.create("a");
    let arn = world.create("b");
    world.create_with(CreateSecretRequest::new("c").secret_binary([0xff, 0, 1].as_slice()));
    let current = world.put("a", "second");
    world.tick();
    let pending = PutSecretValueRequest::new("a", "pending").version_stages(["AWSPENDING"]);
    world.secrets.put_secret_value(pending).unwrap();

    let partial = arn.rsplit_once('-').unwrap().0;
    let read = by_ids(&world, &["c", &arn, "a", partial]).unwrap();
    assert_eq!(names(&read), ["c", "b", "a", "b"]);
    assert!(read.errors.is_empty() && read.next_token.is_none());
    let [c, b, a, _] = read.secret_values.as_slice() else { panic!("{read:?}") };
    assert_eq!(c.secret_binary.as_ref().unwrap().expose(), [0xff, 0, 1]);
    assert!(c.secret_string.is_none() && a.secret_binary.is_none());
    assert_eq!(b.arn, arn);
    assert_eq!(a.secret_string.as_ref().unwrap().expose(), "second");
    assert_eq!((&a.version_id, a.version_stages.as_slice()), (&current, ["AWSCURRENT".to_owned()].as_slice()));
    assert_eq!(a.created_date.timestamp_millis(), 1_700_000_004_000, "the date is that of the version");
}

#[test]
fn an_id_that_is_named_twice_is_answered_twice() {
    let world = World::new();
    let arn = world.create("a");
    let read = by_ids(&world, &["a", "missing", "a", &arn, "missing"]).unwrap();
    assert_eq!(names(&read), ["a", "a", "a"]);
    let missing = ("missing", "ResourceNotFoundException", NOT_FOUND);
    assert_eq!(errors(&read), [missing, missing]);
}

/// What fails for one secret is what `GetSecretValue` would say, under the id of the request.
#[test]
fn a_secret_that_cannot_be_read_does_not_stop_the_others() {
    let world = World::new();
    world.create("good");
    world.create("scheduled");
    world.create_with(CreateSecretRequest::new("empty"));
    world.schedule_deletion("scheduled");
    let elsewhere = "arn:aws:secretsmanager:eu-west-1:000000000000:secret:good-AbCdEf";
    let wrong_suffix = "arn:aws:secretsmanager:us-east-1:000000000000:secret:good-AbCdEf";
    let read = by_ids(&world, &["missing", "scheduled", "empty", "good", elsewhere, wrong_suffix]).unwrap();
    assert_eq!(names(&read), ["good"]);
    assert_eq!(
        errors(&read),
        [
            ("missing", "ResourceNotFoundException", NOT_FOUND),
            ("scheduled", "InvalidRequestException", MARKED),
            ("empty", "ResourceNotFoundException", NO_CURRENT),
            (elsewhere, "ResourceNotFoundException", NOT_FOUND),
            (wrong_suffix, "ResourceNotFoundException", NOT_FOUND),
        ]
    );
    let none = by_ids(&world, &["missing"]).unwrap();
    assert!(none.secret_values.is_empty());
}

#[test]
fn a_secret_under_a_disabled_key_does_not_stop_the_others() {
    let keyring = LocalKeyring::in_memory();
    let world = World::with_keyring(&keyring);
    let key = keyring.create_key(KeyScope::new("aws", "000000000000", "us-east-1")).unwrap();
    world.create("good");
    world.create_with(CreateSecretRequest::new("locked").secret_string("v").kms_key_id(&key));
    keyring.disable_key(&key).unwrap();
    for read in [by_ids(&world, &["locked", "good"]).unwrap(), by_filters(&world, "name=")] {
        assert_eq!(names(&read), ["good"]);
        let [failed] = read.errors.as_slice() else { panic!("{read:?}") };
        assert!(failed.secret_id.contains("locked"));
        assert_eq!(failed.error.code(), "DecryptionFailure");
        assert!(matches!(failed.error.kind(), ErrorKind::DecryptionFailure(fault) if fault.key == key));
    }
}

#[test]
fn filters_select_in_the_order_of_the_list() {
    let world = World::new();
    for name in ["z", "a1", "m", "a2"] {
        world.create(name);
    }
    assert_eq!(names(&by_filters(&world, "name=a")), ["a1", "a2"]);
    assert_eq!(names(&by_filters(&world, "name=!a")), ["z", "m"]);
    let nothing = by_filters(&world, "name=nothing");
    assert!(nothing.secret_values.is_empty() && nothing.errors.is_empty() && nothing.next_token.is_none());
}

/// A match without a current value is reported, not skipped, and does not stop the others. Scheduled secrets are no
/// match.
#[test]
fn a_match_without_a_value_is_reported_and_a_scheduled_secret_is_no_match() {
    let world = World::new();
    let empty = world.create_with(CreateSecretRequest::new("a-empty"));
    world.create("a-good");
    world.create("a-scheduled");
    world.schedule_deletion("a-scheduled");
    let read = by_filters(&world, "name=a-");
    assert_eq!(names(&read), ["a-good"]);
    assert_eq!(errors(&read), [(empty.as_str(), "ResourceNotFoundException", NO_CURRENT)]);
}

#[test]
fn pages_of_a_batch_cover_every_match_once() {
    let world = World::new();
    let all: Vec<String> = (0..45).map(|number| format!("s{number:02}")).collect();
    for (index, name) in all.iter().enumerate() {
        let request = CreateSecretRequest::new(name);
        world.create_with(if index % 5 == 0 { request } else { request.secret_string("v") });
    }
    for (size, expected_pages) in [(None, 3), (Some(20), 3), (Some(7), 7), (Some(1), 45)] {
        let pages = walk(|token| {
            let mut request = BatchGetSecretValueRequest::new().filters(filters("name=s"));
            request.max_results = size;
            request.next_token = token;
            let page = world.secrets.batch_get_secret_value(request).unwrap();
            let failed = page.errors.iter().map(|failed| failed.secret_id.rsplit_once(':').unwrap().1[..3].to_owned());
            let found = page.secret_values.iter().map(|value| value.name.clone()).chain(failed).collect::<Vec<_>>();
            assert!(found.len() <= size.map_or(20, |size| usize::try_from(size).unwrap()));
            (found, page.next_token)
        });
        assert_eq!(pages.len(), expected_pages, "{size:?}");
        let mut found = pages.concat();
        found.sort();
        assert_eq!(found, all, "{size:?}");
    }
}

/// The service logs a read for every secret of a batch.
#[test]
fn a_batch_counts_as_reads() {
    let world = World::new();
    world.create("by-id");
    world.create("by-filter");
    world.create("untouched");
    world.days(1);
    by_ids(&world, &["by-id"]).unwrap();
    by_filters(&world, "name=by-filter");
    let accessed = |name: &str| {
        let described = world.secrets.describe_secret(DescribeSecretRequest::new(name)).unwrap();
        described.last_accessed_date.map(|at| at.timestamp_millis())
    };
    // Midnight, UTC, of 2023-11-15.
    assert_eq!(accessed("by-id"), Some(1_700_006_400_000));
    assert_eq!(accessed("by-filter"), Some(1_700_006_400_000));
    assert_eq!(accessed("untouched"), None);
}

#[test]
fn ids_and_filters_exclude_each_other_and_one_is_needed() {
    let world = World::new();
    world.create("a");
    let read = |request| world.secrets.batch_get_secret_value(request);
    let new = BatchGetSecretValueRequest::new;
    let invalid = "InvalidParameterException";
    refused(read(new()), invalid, BOTH);
    refused(read(new().max_results(3)), invalid, BOTH);
    refused(read(new().secret_id_list(["a"]).filters(filters("name=a"))), invalid, BOTH);
    refused(read(new().secret_id_list(["a"]).max_results(3)), invalid, SIZE_WITHOUT_FILTERS);
    refused(read(new().filters(filters("name=a")).next_token("nonsense")), "InvalidNextTokenException", INVALID_TOKEN);
}

#[test]
fn malformed_requests_are_refused() {
    let world = World::new();
    world.create("a");
    let read = |request| world.secrets.batch_get_secret_value(request);
    let new = BatchGetSecretValueRequest::new;
    let must = "failed to satisfy constraint: Member must have";
    assert_eq!(names(&read(new().secret_id_list(["a"; 20])).unwrap()).len(), 20);
    for count in [21, 10_000] {
        malformed(
            read(new().secret_id_list(vec!["a"; count])),
            &format!("at 'secretIdList' {must} length less than or equal to 20"),
        );
    }
    malformed(
        read(new().secret_id_list(Vec::<String>::new())),
        &format!("at 'secretIdList' {must} length greater than or equal to 1"),
    );
    malformed(
        read(new().secret_id_list(["a", ""])),
        &format!("Value '' at 'secretIdList.2.member' {must} length greater than or equal to 1"),
    );
    malformed(
        read(new().secret_id_list(["x".repeat(2049)])),
        &format!("at 'secretIdList.1.member' {must} length less than or equal to 2048"),
    );
    for (size, bound) in
        [(0, "greater than or equal to 1"), (-1, "greater than or equal to 1"), (21, "less than or equal to 20")]
    {
        malformed(
            read(new().filters(filters("name=a")).max_results(size)),
            &format!("Value '{size}' at 'maxResults' {must} value {bound}"),
        );
        // Shape comes before the choice between ids and filters.
        malformed(read(new().secret_id_list(["a"]).max_results(size)), bound);
    }
    refused(read(new().secret_id_list(["a", "Inv Name"])), "ValidationException", INVALID_NAME);
}

/// Nothing of a value is in the `Debug` form of a batch.
#[test]
fn a_batch_does_not_print_values() {
    let world = World::new();
    world.create_with(CreateSecretRequest::new("a").secret_string("correct horse"));
    let shown = format!("{:?}", by_ids(&world, &["a"]).unwrap());
    assert!(shown.contains("redacted") && !shown.contains("horse"), "{shown}");
}
