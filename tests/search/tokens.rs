//! Page tokens: opaque, and valid for the query, the account, the Region and the store that they were issued for.

use strongroom::{
    BatchGetSecretValueRequest, Filter, ListSecretVersionIdsRequest, ListSecretsRequest, MemoryBackend, Result,
    SecretsManager,
};

use crate::fixture::{INVALID_TOKEN, World, filters, malformed, refused};

/// A query that can be paged, with pages of one entry: the names or ids of a page, and the token of the next one.
type Paged = fn(&SecretsManager, Option<&str>) -> Result<(Vec<String>, Option<String>)>;

fn list(
    manager: &SecretsManager,
    token: Option<&str>,
    request: ListSecretsRequest,
) -> Result<(Vec<String>, Option<String>)> {
    let mut request = request.max_results(1);
    request.next_token = token.map(str::to_owned);
    let page = manager.list_secrets(request)?;
    Ok((page.secret_list.into_iter().map(|entry| entry.name).collect(), page.next_token))
}

fn versions(
    manager: &SecretsManager,
    token: Option<&str>,
    name: &str,
    all: bool,
) -> Result<(Vec<String>, Option<String>)> {
    let mut request = ListSecretVersionIdsRequest::new(name).max_results(1).include_deprecated(all);
    request.next_token = token.map(str::to_owned);
    let page = manager.list_secret_version_ids(request)?;
    Ok((page.versions.into_iter().map(|version| version.version_id).collect(), page.next_token))
}

fn batch(manager: &SecretsManager, token: Option<&str>, wanted: &[Filter]) -> Result<(Vec<String>, Option<String>)> {
    let mut request = BatchGetSecretValueRequest::new().filters(wanted.to_vec()).max_results(1);
    request.next_token = token.map(str::to_owned);
    let page = manager.batch_get_secret_value(request)?;
    Ok((page.secret_values.into_iter().map(|value| value.name).collect(), page.next_token))
}

/// Queries of which each gives several pages, and no two are the same.
const QUERIES: &[(&str, Paged)] = &[
    ("all secrets", |manager, token| list(manager, token, ListSecretsRequest::new())),
    ("newest first", |manager, token| list(manager, token, ListSecretsRequest::new().sort_order("desc"))),
    ("by name", |manager, token| list(manager, token, ListSecretsRequest::new().sort_by("name"))),
    ("by read", |manager, token| list(manager, token, ListSecretsRequest::new().sort_by("last-accessed-date"))),
    ("by change", |manager, token| list(manager, token, ListSecretsRequest::new().sort_by("last-changed-date"))),
    ("scheduled too", |manager, token| list(manager, token, ListSecretsRequest::new().include_planned_deletion(true))),
    ("one filter", |manager, token| list(manager, token, ListSecretsRequest::new().filters(filters("name=s")))),
    ("no value", |manager, token| list(manager, token, ListSecretsRequest::new().filters(filters("name=")))),
    ("another key", |manager, token| list(manager, token, ListSecretsRequest::new().filters(filters("all=s")))),
    ("two values", |manager, token| list(manager, token, ListSecretsRequest::new().filters(filters("name=s|t")))),
    ("other order", |manager, token| list(manager, token, ListSecretsRequest::new().filters(filters("name=t|s")))),
    ("joined value", |manager, token| list(manager, token, ListSecretsRequest::new().filters(filters("name=!st")))),
    ("two filters", |manager, token| {
        list(manager, token, ListSecretsRequest::new().filters(filters("name=s & name=!t")))
    }),
    ("batch", |manager, token| batch(manager, token, &filters("name=s"))),
    ("batch by all", |manager, token| batch(manager, token, &filters("all=s"))),
    ("versions", |manager, token| versions(manager, token, "s1", false)),
    ("all versions", |manager, token| versions(manager, token, "s1", true)),
    ("other versions", |manager, token| versions(manager, token, "s2", false)),
];

fn fill(world: &World) {
    for name in ["s1", "s2", "s3", "s4"] {
        world.create(name);
        world.put(name, "second");
        world.put(name, "third");
    }
}

fn filled() -> World {
    let world = World::new();
    fill(&world);
    world
}

fn first_token(world: &World, query: Paged) -> String {
    query(&world.secrets, None).unwrap().1.unwrap()
}

#[test]
fn a_token_is_good_for_its_own_query_only() {
    let world = filled();
    for (name, query) in QUERIES {
        let token = first_token(&world, *query);
        for (other_name, other) in QUERIES {
            let result = other(&world.secrets, Some(&token));
            if name == other_name {
                assert_eq!(result.unwrap().0.len(), 1, "{name}");
            } else {
                let error = result.unwrap_err();
                let case = format!("a token of `{name}` for `{other_name}`");
                assert_eq!((error.code(), error.message()), ("InvalidNextTokenException", INVALID_TOKEN), "{case}");
            }
        }
    }
}

/// Asking for what is the default anyway is the same query.
#[test]
fn naming_the_defaults_does_not_change_the_query() {
    let world = filled();
    let token = first_token(&world, QUERIES[0].1);
    let explicit = ListSecretsRequest::new()
        .sort_by("created-date")
        .sort_order("asc")
        .include_planned_deletion(false)
        .filters(Vec::<Filter>::new());
    assert_eq!(list(&world.secrets, Some(&token), explicit).unwrap().0, ["s2"]);
    let by_arn = world.secrets.list_secrets(ListSecretsRequest::new()).unwrap().secret_list[0].arn.clone();
    let token = versions(&world.secrets, None, "s1", false).unwrap().1.unwrap();
    assert_eq!(versions(&world.secrets, Some(&token), &by_arn, false).unwrap().0.len(), 1);
}

#[test]
fn an_edited_token_is_refused() {
    let world = filled();
    for name in ["all secrets", "batch", "versions"] {
        let query = QUERIES.iter().find(|(other, _)| *other == name).unwrap().1;
        let token = first_token(&world, query);
        for position in 0..token.len() {
            for replacement in ["0", "f", "G", " "] {
                let mut edited = token.clone();
                edited.replace_range(position..=position, replacement);
                if edited != token {
                    let case = format!("{name}: position {position} became `{replacement}`");
                    let error = query(&world.secrets, Some(&edited)).expect_err(&case);
                    assert_eq!((error.code(), error.message()), ("InvalidNextTokenException", INVALID_TOKEN), "{case}");
                }
            }
        }
    }
}

#[test]
fn a_cut_or_extended_token_is_refused() {
    let world = filled();
    for (_, query) in QUERIES {
        let token = first_token(&world, *query);
        for length in 1..token.len() {
            let invalid =
                |part: &str| refused(query(&world.secrets, Some(part)), "InvalidNextTokenException", INVALID_TOKEN);
            invalid(&token[..length]);
            invalid(&token[length..]);
        }
        for other in [format!("{token}00"), format!("00{token}"), format!("{token} "), format!("{token}{token}")] {
            refused(query(&world.secrets, Some(&other)), "InvalidNextTokenException", INVALID_TOKEN);
        }
    }
}

/// Two tokens of the same query do not make a third.
#[test]
fn halves_of_two_tokens_are_refused() {
    let world = filled();
    let query = QUERIES[0].1;
    let (_, first) = query(&world.secrets, None).unwrap();
    let first = first.unwrap();
    world.tick();
    let (_, second) = query(&world.secrets, Some(&first)).unwrap();
    let second = second.unwrap();
    for cut in (2..first.len().min(second.len()) - 2).step_by(2) {
        for spliced in [format!("{}{}", &first[..cut], &second[cut..]), format!("{}{}", &second[..cut], &first[cut..])]
        {
            if spliced != first && spliced != second {
                refused(query(&world.secrets, Some(&spliced)), "InvalidNextTokenException", INVALID_TOKEN);
            }
        }
    }
}

#[test]
fn what_nobody_issued_is_refused() {
    let world = filled();
    let forged = [
        "x",
        "0",
        "00",
        "1",
        "null",
        "s1",
        "\u{0}",
        "\u{1f511}",
        "../../etc/passwd",
        "AAAAAAAA==",
        "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    ];
    for (_, query) in QUERIES {
        for token in forged {
            refused(query(&world.secrets, Some(token)), "InvalidNextTokenException", INVALID_TOKEN);
        }
        for token in ["0".repeat(4096), "f".repeat(4095), "7fffffffffffffff".repeat(100)] {
            refused(query(&world.secrets, Some(&token)), "InvalidNextTokenException", INVALID_TOKEN);
        }
    }
}

/// Source: <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_ListSecrets.html>
#[test]
fn a_token_of_an_impossible_length_is_refused_for_its_shape() {
    let world = filled();
    let must = "at 'nextToken' failed to satisfy constraint: Member must have length";
    for (_, query) in QUERIES {
        malformed(query(&world.secrets, Some("")), &format!("{must} greater than or equal to 1"));
        let long = "0".repeat(4097);
        malformed(query(&world.secrets, Some(&long)), &format!("{must} less than or equal to 4096"));
    }
}

#[test]
fn a_token_is_good_for_its_own_account_and_region_only() {
    let world = filled();
    let tenants = [("111111111111", "us-east-1"), ("000000000000", "eu-west-1"), ("000000000000", "us-east-2")];
    for (account, region) in tenants {
        let elsewhere = world.store.secrets_manager(account, region).unwrap();
        for name in ["s1", "s2", "s3", "s4"] {
            let request = strongroom::CreateSecretRequest::new(name).secret_string("v");
            elsewhere.create_secret(request).unwrap();
            elsewhere.put_secret_value(strongroom::PutSecretValueRequest::new(name, "w")).unwrap();
        }
        for (_, query) in QUERIES {
            let token = first_token(&world, *query);
            refused(query(&elsewhere, Some(&token)), "InvalidNextTokenException", INVALID_TOKEN);
            let foreign = query(&elsewhere, None).unwrap().1.unwrap();
            refused(query(&world.secrets, Some(&foreign)), "InvalidNextTokenException", INVALID_TOKEN);
        }
    }
}

/// Two stores with the same contents, the same key and the same time, made of different randomness.
#[test]
fn a_token_is_good_for_its_own_store_only() {
    let (one, other) = (World::on(MemoryBackend::new(), 1), World::on(MemoryBackend::new(), 2));
    fill(&one);
    fill(&other);
    for (_, query) in QUERIES {
        let token = first_token(&one, *query);
        refused(query(&other.secrets, Some(&token)), "InvalidNextTokenException", INVALID_TOKEN);
    }
}

/// A token is a place in a list, not a ticket: using it again shows what comes after that place now.
#[test]
fn a_token_can_be_used_again() {
    let world = filled();
    for (name, query) in QUERIES {
        let token = first_token(&world, *query);
        let once = query(&world.secrets, Some(&token)).unwrap().0;
        world.tick();
        assert_eq!(query(&world.secrets, Some(&token)).unwrap().0, once, "{name}");
    }
    let token = first_token(&world, QUERIES[0].1);
    world.remove("s2");
    assert_eq!(QUERIES[0].1(&world.secrets, Some(&token)).unwrap().0, ["s3"]);
}

/// The version list of a secret that was made again under the same name is another list.
#[test]
fn a_token_of_a_removed_secret_is_refused_for_its_successor() {
    let world = filled();
    let token = versions(&world.secrets, None, "s1", false).unwrap().1.unwrap();
    world.remove("s1");
    world.create("s1");
    world.put("s1", "w");
    refused(versions(&world.secrets, Some(&token), "s1", false), "InvalidNextTokenException", INVALID_TOKEN);
}

/// Nothing of the place that it stands for can be read from a token.
#[test]
fn a_token_shows_nothing_of_what_it_stands_for() {
    let world = filled();
    for (name, query) in QUERIES {
        let token = first_token(&world, *query).to_lowercase();
        let shown = query(&world.secrets, None).unwrap().0.concat();
        let hex: String = shown.bytes().map(|byte| format!("{byte:02x}")).collect();
        let reads_as_hex = shown.len() > 2 && token.contains(&hex);
        assert!(!token.contains(&shown) && !reads_as_hex, "{name}: {token}");
    }
}
