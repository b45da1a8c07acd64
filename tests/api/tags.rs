//! Tags.
//!
//! Sources: <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_TagResource.html>,
//! <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_UntagResource.html>

use strongroom::{
    CreateSecretRequest, DeleteSecretRequest, ListSecretsRequest, RestoreSecretRequest, Tag, TagResourceRequest,
    UntagResourceRequest,
};

use crate::fixture::{Fixture, MARKED, NOT_FOUND, code, creation, refused};

/// What is done to the tags.
#[derive(Debug)]
enum Call {
    Tag(&'static [(&'static str, &'static str)]),
    Untag(&'static [&'static str]),
}

/// A call, and the tags after it; `None` is an absent list.
type Row = (Call, Option<&'static [(&'static str, &'static str)]>);

fn made(tags: &[(&str, &str)]) -> Vec<Tag> {
    tags.iter().map(|(key, value)| Tag::new(*key, *value)).collect()
}

fn perform(fixture: &Fixture, call: &Call) {
    match call {
        Call::Tag(tags) => fixture.secrets.tag_resource(TagResourceRequest::new("app", made(tags))).unwrap(),
        Call::Untag(keys) => {
            fixture.secrets.untag_resource(UntagResourceRequest::new("app", keys.iter().copied())).unwrap();
        }
    }
}

/// Described and listed alike; `None` is an absent list.
fn check(fixture: &Fixture, expected: Option<&[(&str, &str)]>, case: &str) {
    let expected = expected.map(made);
    assert_eq!(fixture.describe("app").tags, expected, "{case}");
    let listed = fixture.secrets.list_secrets(ListSecretsRequest::new()).unwrap().secret_list.remove(0);
    assert_eq!(listed.tags, expected, "{case}, listed");
}

#[test]
fn tags_keep_their_order_are_overwritten_in_place_and_removed_by_key() {
    let fixture = Fixture::with_value("app");
    check(&fixture, None, "a secret that never had tags has no list");
    let rows: &[Row] = &[
        (Call::Untag(&["a"]), None),
        (Call::Tag(&[("a", "1")]), Some(&[("a", "1")])),
        (Call::Tag(&[("b", "2"), ("A", "3")]), Some(&[("a", "1"), ("b", "2"), ("A", "3")])),
        (Call::Tag(&[("c", ""), ("b", "4")]), Some(&[("a", "1"), ("b", "4"), ("A", "3"), ("c", "")])),
        (Call::Untag(&["b", "unknown"]), Some(&[("a", "1"), ("A", "3"), ("c", "")])),
        (Call::Untag(&["unknown"]), Some(&[("a", "1"), ("A", "3"), ("c", "")])),
        (Call::Tag(&[("b", "5")]), Some(&[("a", "1"), ("A", "3"), ("c", ""), ("b", "5")])),
        (Call::Untag(&["a", "c", "c"]), Some(&[("A", "3"), ("b", "5")])),
        (Call::Untag(&["b", "A"]), Some(&[])),
        (Call::Untag(&["a"]), Some(&[])),
        (Call::Tag(&[("aws", "x"), ("my aws:key", "y")]), Some(&[("aws", "x"), ("my aws:key", "y")])),
    ];
    for (call, expected) in rows {
        perform(&fixture, call);
        check(&fixture, *expected, &format!("{call:?}"));
    }
}

#[test]
fn a_creation_with_an_empty_list_of_tags_is_not_one_without_a_list() {
    for (request, expected) in [
        (creation("app", 1), None),
        (creation("app", 1).tags(Vec::<Tag>::new()), Some(&[][..])),
        (creation("app", 1).tags([Tag::new("b", "1"), Tag::new("a", "2")]), Some(&[("b", "1"), ("a", "2")])),
    ] {
        let fixture = Fixture::new();
        fixture.secrets.create_secret(request).unwrap();
        check(&fixture, expected, "created");
        fixture.secrets.delete_secret(DeleteSecretRequest::new("app")).unwrap();
        fixture.secrets.restore_secret(RestoreSecretRequest::new("app")).unwrap();
        check(&fixture, expected, "restored");
    }
}

#[test]
fn a_key_twice_in_one_request_or_a_reserved_key_is_refused_and_nothing_is_tagged() {
    let fixture = Fixture::with_value("app");
    fixture.secrets.tag_resource(TagResourceRequest::new("app", [Tag::new("a", "1")])).unwrap();
    for tags in [
        &[("b", "1"), ("b", "1")][..],
        &[("b", "1"), ("c", "1"), ("b", "2")],
        &[("b", "1"), ("aws:b", "1")],
        &[("AWS:b", "1")],
        &[("aWs:", "1")],
    ] {
        let tag = TagResourceRequest::new("app", made(tags));
        assert_eq!(code(fixture.secrets.tag_resource(tag)), "InvalidParameterException", "{tags:?}");
        let create = CreateSecretRequest::new("new").tags(made(tags));
        assert_eq!(code(fixture.secrets.create_secret(create)), "InvalidParameterException", "{tags:?}");
    }
    check(&fixture, Some(&[("a", "1")]), "afterwards");
}

#[test]
fn tags_of_an_unknown_or_scheduled_secret_cannot_be_changed() {
    let fixture = Fixture::new();
    fixture.secrets.create_secret(creation("app", 1).tags([Tag::new("a", "1")])).unwrap();
    let tag = |id: &str| fixture.secrets.tag_resource(TagResourceRequest::new(id, [Tag::new("b", "2")]));
    let untag = |id: &str| fixture.secrets.untag_resource(UntagResourceRequest::new(id, ["a"]));
    refused(tag("nope"), NOT_FOUND);
    refused(untag("nope"), NOT_FOUND);
    fixture.secrets.delete_secret(DeleteSecretRequest::new("app")).unwrap();
    refused(tag("app"), MARKED);
    refused(untag("app"), MARKED);
    assert_eq!(fixture.describe("app").tags, Some(made(&[("a", "1")])));
}

#[test]
fn changing_tags_touches_neither_values_nor_labels() {
    let fixture = Fixture::with_value("app");
    fixture.put("app", 2, &[]);
    let before = fixture.labels("app");
    perform(&fixture, &Call::Tag(&[("a", "1")]));
    perform(&fixture, &Call::Untag(&["a"]));
    assert_eq!(fixture.labels("app"), before);
    assert_eq!(fixture.read("app"), "value 2");
}
