//! What filters find. Every row is checked with `ListSecrets` and with `BatchGetSecretValue`, which share them.
//!
//! Where a table says "recorded", its rows were recorded against the service.

use strongroom::{BatchGetSecretValueRequest, CreateSecretRequest, Filter, ListSecretsRequest, Tag};

use crate::fixture::{World, filters, malformed, refused};

/// Filters, and the names that they find, in order of creation.
type Row<'a> = (&'a str, &'a str);

fn check(world: &World, rows: &[Row<'_>]) {
    for (wanted, names) in rows {
        let names: Vec<&str> = names.split_whitespace().collect();
        let listed = world.names(|| ListSecretsRequest::new().filters(filters(wanted)));
        assert_eq!(listed, names, "ListSecrets by `{wanted}`");
        assert_eq!(world.batch_names(|| filters(wanted)), names, "BatchGetSecretValue by `{wanted}`");
    }
}

/// A world of secrets with descriptions.
fn described(secrets: &[(&str, &str)]) -> World {
    let world = World::new();
    for (name, description) in secrets {
        world.create_with(CreateSecretRequest::new(*name).secret_string("v").description(*description));
    }
    world
}

/// A secret with tags, each written as `key=value`.
fn tagged(world: &World, name: &str, tags: &[&str]) {
    let tags = tags.iter().map(|tag| tag.split_once('=').unwrap()).map(|(key, value)| Tag::new(key, value));
    world.create_with(CreateSecretRequest::new(name).secret_string("v").tags(tags));
}

/// Recorded: words of a description, in any case, from their beginning; `!` turns a value round; filters are combined
/// with AND.
/// Source: <https://docs.aws.amazon.com/secretsmanager/latest/userguide/manage_search-secret.html>
#[test]
fn a_description_is_found_by_the_beginnings_of_its_words() {
    let world = described(&[("D1", "a secret"), ("D2", "an secret"), ("D3", "asecret"), ("D4", "thesecret")]);
    check(
        &world,
        &[
            ("description=a", "D1 D2 D3"),
            ("description=!a", "D4"),
            ("description=a secret", "D1 D2"),
            ("description=!c", "D1 D2 D3 D4"),
            ("description=a & name=secret", ""),
            ("description=a & name=an", ""),
            ("description=A SECRET", "D1 D2"),
            ("description=secret a", "D1 D2"),
            ("description=secret", "D1 D2"),
            ("description=ecret", ""),
        ],
    );
}

/// Recorded: all words of a value must be found, in any order, with other words between them.
#[test]
fn every_word_of_a_value_must_be_found() {
    let world =
        described(&[("foo", "one two"), ("bar", "one and two"), ("baz", "one"), ("qux", "two"), ("none", "unrelated")]);
    check(
        &world,
        &[
            ("description=one two", "foo bar"),
            ("description=o t", "foo bar"),
            ("description=two one", "foo bar"),
            ("description=t", "foo bar qux"),
        ],
    );
}

/// Recorded for the repeated key: filters are combined with AND, values of one filter with OR.
#[test]
fn filters_are_combined_with_and_and_their_values_with_or() {
    let world =
        described(&[("foo", "one two"), ("bar", "one and two"), ("baz", "one"), ("qux", "two"), ("none", "unrelated")]);
    check(
        &world,
        &[
            ("description=one & description=two", "foo bar"),
            ("description=one|two", "foo bar baz qux"),
            ("description=one|unrelated", "foo bar baz none"),
            ("description=one|!two", "foo bar baz none"),
            ("description=!one|!two", "baz qux none"),
            ("description=!one & description=!two", "none"),
            ("description=one & name=b", "bar baz"),
            ("description=one & name=b|q & description=!two", "baz"),
            ("description=nothing|nowhere", ""),
        ],
    );
}

/// Recorded: a name is found by its beginning as a whole, case by case, whatever separators it has.
#[test]
fn a_name_is_found_by_its_beginning() {
    let world = World::new();
    for name in ["/leading", "testing1/one", "testing1/two", "testing2/one", "Testing1/one"] {
        world.create(name);
    }
    let all = "/leading testing1/one testing1/two testing2/one Testing1/one";
    check(
        &world,
        &[
            ("name=/", "/leading"),
            ("name=testing1", "testing1/one testing1/two"),
            ("name=testing1 one", ""),
            ("name=Testing", "Testing1/one"),
            ("name=TESTING", ""),
            ("name=one", ""),
            ("name=!testing", "/leading Testing1/one"),
            ("name=!/", "testing1/one testing1/two testing2/one Testing1/one"),
            ("name=testing1/one|testing2", "testing1/one testing2/one"),
            ("name=testing1/one|!testing", "/leading testing1/one Testing1/one"),
            ("name=testing1/one-and-more", ""),
            ("name=", all),
            ("name=!", ""),
        ],
    );
}

/// A tag is found by the beginning of its key or of its value, case by case. A negated value is satisfied only if no tag
/// of the secret matches.
#[test]
fn a_tag_is_found_by_the_beginning_of_its_key_or_value() {
    let world = World::new();
    tagged(&world, "both", &["team=payments", "stage=prod"]);
    tagged(&world, "team", &["team=Search"]);
    tagged(&world, "stage", &["stage=test", "empty="]);
    world.create("bare");
    check(
        &world,
        &[
            ("tag-key=team", "both team"),
            ("tag-key=te", "both team"),
            ("tag-key=Te", ""),
            ("tag-key=eam", ""),
            ("tag-key=payments", ""),
            ("tag-key=!team", "stage bare"),
            ("tag-key=!stage", "team bare"),
            ("tag-key=team & tag-key=stage", "both"),
            ("tag-key=", "both team stage"),
            ("tag-key=!", "bare"),
            ("tag-value=p", "both"),
            ("tag-value=prod", "both"),
            ("tag-value=search", ""),
            ("tag-value=S", "team"),
            ("tag-value=team", ""),
            ("tag-value=!p", "team stage bare"),
            ("tag-value=t & tag-key=stage", "stage"),
            ("tag-value=", "both team stage"),
        ],
    );
}

/// A secret without the attribute is never found by a value, and always by a negated one.
#[test]
fn a_secret_without_the_attribute_is_found_only_by_negation() {
    let world = described(&[("described", "words"), ("bare", "")]);
    check(
        &world,
        &[
            ("description=words", "described"),
            ("description=!words", "bare"),
            ("description=!other", "described bare"),
            ("description=", "described"),
            ("description=!", "bare"),
            ("tag-key=x", ""),
            ("tag-key=!x", "described bare"),
            ("tag-value=!x", "described bare"),
            ("owning-service=rds", ""),
            ("owning-service=!rds", "described bare"),
        ],
    );
}

/// Secrets that were never replicated have no primary Region, and are found by none, negated or not.
#[test]
fn a_secret_that_was_never_replicated_has_no_primary_region_to_be_found_by() {
    let world = World::new();
    world.create("one");
    check(
        &world,
        &[
            ("primary-region=us-east-1", ""),
            ("primary-region=", ""),
            ("primary-region=!us-east-1", ""),
            ("primary-region=!", ""),
        ],
    );
}

/// Recorded: `all` looks for words in the name, the description, the tag keys and the tag values, in any case.
#[test]
fn all_looks_everywhere() {
    let world = World::new();
    world.create("SecretOne");
    world.create_with(CreateSecretRequest::new("SecretTwo").secret_string("v").description("DescTwo"));
    world.create("Thirdsecret");
    tagged(&world, "SecretFTag", &["1=foo"]);
    tagged(&world, "SecretFValue", &["foo=v"]);
    world.create("none");
    check(
        &world,
        &[
            ("all=SecretOne", "SecretOne"),
            ("all=foo", "SecretFTag SecretFValue"),
            ("all=Secret", "SecretOne SecretTwo SecretFTag SecretFValue"),
            ("all=secret", "SecretOne SecretTwo SecretFTag SecretFValue"),
            ("all=sec", "SecretOne SecretTwo SecretFTag SecretFValue"),
            ("all=ret", ""),
            ("all=SomeSecret", ""),
            ("all=d", "SecretTwo"),
            ("all=d t", "SecretTwo"),
            ("all=t", "SecretTwo Thirdsecret SecretFTag"),
            ("all=third", "Thirdsecret"),
            ("all=", "SecretOne SecretTwo Thirdsecret SecretFTag SecretFValue none"),
            ("all=!", ""),
            ("all=!secret", "Thirdsecret none"),
            ("all=!foo", "SecretOne SecretTwo Thirdsecret none"),
        ],
    );
}

/// All words of one value must be in the same attribute.
#[test]
fn the_words_of_one_value_are_not_gathered_from_several_attributes() {
    let world = World::new();
    let request = CreateSecretRequest::new("alpha").secret_string("v").description("beta").tags([Tag::new("g", "d")]);
    world.create_with(request);
    check(
        &world,
        &[
            ("all=alpha", "alpha"),
            ("all=beta", "alpha"),
            ("all=alpha beta", ""),
            ("all=g d", ""),
            ("all=alpha & all=beta & all=g & all=d", "alpha"),
        ],
    );
}

/// Recorded: names split into words at every separator.
#[test]
fn all_splits_names_at_separators_and_capitals() {
    let world = World::new();
    let mut seven = Vec::new();
    for separator in "/_+=.@-".chars() {
        let name = format!("prod{separator}AppBeta{separator}kxvqzj");
        world.create(&name);
        seven.push(name);
    }
    world.create("uat/COMPANY/kxvqzj");
    world.create("uat/COMPANYthings/kxvqzj");
    let seven = seven.join(" ");
    let nine = format!("{seven} uat/COMPANY/kxvqzj uat/COMPANYthings/kxvqzj");
    check(
        &world,
        &[
            ("all=AppBeta", &seven),
            ("all=Beta", &seven),
            ("all=AppBeta|prod", &seven),
            ("all=+", ""),
            ("all=kxvqzj", &nine),
            ("all=company", "uat/COMPANY/kxvqzj"),
            ("all=things", ""),
            ("all=Ythings", "uat/COMPANYthings/kxvqzj"),
            ("all=N", ""),
            ("all=pany", ""),
        ],
    );
}

/// Words end at every kind of punctuation, also two kinds in one name, and where letters and digits meet. Filter values
/// split in the same way.
/// Source: <https://docs.aws.amazon.com/secretsmanager/latest/userguide/manage_search-secret.html>
#[test]
fn words_end_at_punctuation_and_digits_too() {
    let world = described(&[
        ("prod-AppBeta/x", "credsDatabase#892"),
        ("mixed", "MyTest (old), see v2:final"),
        ("digits", "abc123DEF"),
    ]);
    check(
        &world,
        &[
            ("all=AppBeta", "prod-AppBeta/x"),
            ("all=beta x", "prod-AppBeta/x"),
            ("description=creds", "prod-AppBeta/x"),
            ("description=database", "prod-AppBeta/x"),
            ("description=892", "prod-AppBeta/x"),
            ("description=89", "prod-AppBeta/x"),
            ("description=92", ""),
            ("description=credsDatabase", "prod-AppBeta/x"),
            ("description=Database892", "prod-AppBeta/x"),
            ("description=my", "mixed"),
            ("description=test-old", "mixed"),
            ("description=final", "mixed"),
            ("description=v2", "mixed"),
            ("description=est", ""),
            ("description=123", "digits"),
            ("description=def", "digits"),
            ("description=abc123", "digits"),
        ],
    );
}

/// A value without any word finds nothing.
#[test]
fn a_value_without_words_finds_nothing() {
    let world = described(&[("one", "a + b"), ("two", "c")]);
    for value in ["+", " ", "-/.", "@ :"] {
        check(&world, &[(&format!("all={value}"), ""), (&format!("description={value}"), "")]);
    }
    check(&world, &[("all=!+", "one two"), ("description=a|+", "one")]);
}

#[test]
fn filters_see_changes_at_once() {
    let world = described(&[("one", "first"), ("two", "second")]);
    check(&world, &[("description=first", "one")]);
    world.describe("two", "first");
    world.describe("one", "");
    check(&world, &[("description=first", "two"), ("description=", "two")]);
    tagged(&world, "three", &["k=v"]);
    check(&world, &[("tag-key=k", "three")]);
    world.remove("three");
    check(&world, &[("tag-key=k", ""), ("name=three", "")]);
}

#[test]
fn filters_find_nothing_of_another_account_or_region() {
    let world = World::new();
    world.create("here");
    for (account, region) in [("111111111111", "us-east-1"), ("000000000000", "eu-west-1")] {
        let elsewhere = world.store.secrets_manager(account, region).unwrap();
        elsewhere.create_secret(CreateSecretRequest::new("there").secret_string("v")).unwrap();
        let found = elsewhere.list_secrets(ListSecretsRequest::new().filters(filters("all=here"))).unwrap();
        assert_eq!(found.secret_list, []);
    }
    check(&world, &[("name=", "here"), ("all=there", "")]);
}

/// The longest legal request: ten filters with ten values each, of 512 characters.
#[test]
fn the_largest_legal_filters_are_taken() {
    let world = described(&[("one", &"w ".repeat(1024)), ("two", "x")]);
    let value = "w ".repeat(256);
    let ten = || (0..10).map(|_| Filter::new("description", vec![value.clone(); 10])).collect::<Vec<_>>();
    assert_eq!(world.names(|| ListSecretsRequest::new().filters(ten())), ["one"]);
    assert_eq!(world.batch_names(ten), ["one"]);
    // A list without filters is no condition.
    assert_eq!(world.names(|| ListSecretsRequest::new().filters(Vec::<Filter>::new())), ["one", "two"]);
}

fn both(world: &World, filters: impl Fn() -> Vec<Filter>, check: impl Fn(strongroom::Result<()>)) {
    check(world.secrets.list_secrets(ListSecretsRequest::new().filters(filters())).map(drop));
    check(world.secrets.batch_get_secret_value(BatchGetSecretValueRequest::new().filters(filters())).map(drop));
}

#[test]
fn filters_without_a_key_or_values_are_refused() {
    let world = described(&[("one", "first")]);
    let keyless = || {
        let mut filter = Filter::new("name", ["x"]);
        filter.key = None;
        vec![filter]
    };
    both(&world, keyless, |result| refused(result, "InvalidParameterException", "Invalid filter key"));
    for key in ["name", "tag-key", "description", "all"] {
        both(
            &world,
            || vec![Filter::new(key, Vec::<String>::new())],
            |result| {
                refused(result, "InvalidParameterException", &format!("Invalid filter values for key: {key}"));
            },
        );
    }
}

/// Constraints of the API model, with every violation in one message.
/// Source: <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_Filter.html>
#[test]
fn malformed_filters_are_refused_in_the_words_of_the_service() {
    let world = described(&[("one", "first")]);
    let keys = "[description, name, tag-key, tag-value, primary-region, owning-service, all]";
    let pattern = r"^\!?[a-zA-Z0-9 :_@\/\+\=\.\-\!]*$";
    let detected = "1 validation error detected: ";
    for key in ["names", "Name", "NAME", "name ", " ", "tag", "all,name"] {
        let text = format!(
            "{detected}Value '{key}' at 'filters.1.member.key' failed to satisfy constraint: Member must satisfy enum \
             value set: {keys}"
        );
        both(&world, || vec![Filter::new(key, ["x"])], |result| refused(result, "ValidationException", &text));
    }
    for value in ["a#b", "caf\u{e9}", "a*", "a\nb", "\u{0}", "(x)", "a,b", "\u{202e}", "!\u{1f512}"] {
        let text = format!(
            "{detected}Value '{value}' at 'filters.2.member.values.1.member' failed to satisfy constraint: Member must \
             satisfy regular expression pattern: {pattern}"
        );
        let wanted = || vec![Filter::new("name", ["x"]), Filter::new("all", [value])];
        both(&world, wanted, |result| refused(result, "ValidationException", &text));
    }
    let long = "x".repeat(513);
    let text = format!(
        "{detected}Value '{long}' at 'filters.1.member.values.1.member' failed to satisfy constraint: Member must have \
         length less than or equal to 512"
    );
    both(
        &world,
        || vec![Filter::new("name", [long.clone()])],
        |result| {
            refused(result, "ValidationException", &text);
        },
    );
    let two = format!(
        "2 validation errors detected: Value 'nope' at 'filters.1.member.key' failed to satisfy constraint: Member must \
         satisfy enum value set: {keys}; Value '#' at 'filters.1.member.values.2.member' failed to satisfy constraint: \
         Member must satisfy regular expression pattern: {pattern}"
    );
    both(&world, || vec![Filter::new("nope", ["x", "#"])], |result| refused(result, "ValidationException", &two));
}

#[test]
fn too_many_filters_or_values_are_refused_without_a_message_without_end() {
    let world = described(&[("one", "first")]);
    let ending = "failed to satisfy constraint: Member must have length less than or equal to 10";
    for count in [11, 1_000, 200_000] {
        let many = || vec![Filter::new("name", ["x"]); count];
        both(&world, many, |result| malformed(result, &format!("at 'filters' {ending}")));
        let values = || vec![Filter::new("name", vec!["x"; count])];
        both(&world, values, |result| malformed(result, &format!("at 'filters.1.member.values' {ending}")));
    }
    let worst = || (0..5_000).map(|_| Filter::new("#".repeat(10_000), vec!["#".repeat(600); 20])).collect::<Vec<_>>();
    both(&world, worst, |result| {
        let error = result.unwrap_err();
        assert_eq!(error.code(), "ValidationException");
        assert!(error.message().len() < 512 * 1024, "{} bytes of message", error.message().len());
    });
}

/// Shape is checked before everything else.
#[test]
fn a_malformed_filter_is_reported_before_a_missing_key_or_a_bad_token() {
    let world = described(&[("one", "first")]);
    let mut keyless = Filter::new("name", ["#"]);
    keyless.key = None;
    let request = ListSecretsRequest::new().filters([keyless]).next_token("nonsense");
    malformed(world.secrets.list_secrets(request), r"regular expression pattern: ^\!?[a-zA-Z0-9 :_@\/\+\=\.\-\!]*$");
    let mut keyless = Filter::new("name", ["x"]);
    keyless.key = None;
    let request = ListSecretsRequest::new().filters([keyless]).next_token("nonsense");
    refused(world.secrets.list_secrets(request), "InvalidParameterException", "Invalid filter key");
}
