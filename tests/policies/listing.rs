//! The list of the policies of a secret, page by page.

use std::collections::BTreeSet;

use strongroom::{
    CreateSecretRequest, DeleteResourcePolicyRequest, DeleteSecretRequest, ListResourcePoliciesRequest,
    ListSecretVersionIdsRequest, PutResourcePolicyRequest,
};

use crate::fixture::{Fixture, NOT_FOUND, allow, list, refused};

fn names(fixture: &Fixture, page: Option<i32>) -> (Vec<String>, usize) {
    let (mut names, mut pages, mut token) = (Vec::new(), 0, None);
    loop {
        let mut request = ListResourcePoliciesRequest::new("shared");
        (request.max_results, request.next_token) = (page, token);
        let answer = fixture.secrets.list_resource_policies(request).unwrap();
        assert!(answer.resource_policies.len() <= usize::try_from(page.unwrap_or(100)).unwrap());
        names.extend(answer.resource_policies.into_iter().map(|policy| policy.policy_name));
        pages += 1;
        token = answer.next_token;
        if token.is_none() {
            return (names, pages);
        }
    }
}

#[test]
fn a_secret_without_policies_has_an_empty_list() {
    let answer = Fixture::new().secrets.list_resource_policies(list()).unwrap();
    assert_eq!((answer.resource_policies.len(), answer.next_token), (0, None));
}

#[test]
fn the_default_policy_is_the_first_and_the_others_follow_by_name() {
    let fixture = Fixture::empty();
    fixture.import(&["b", "a-1", "Z", "a_1", "default-2", "0", "zz"]).unwrap();
    fixture.secrets.put_resource_policy(PutResourcePolicyRequest::new("shared", allow("*"))).unwrap();
    let expected = ["default", "0", "Z", "a-1", "a_1", "b", "default-2", "zz"].map(str::to_owned);
    for (page, pages) in [(None, 1), (Some(100), 1), (Some(8), 1), (Some(7), 2), (Some(3), 3), (Some(1), 8)] {
        assert_eq!(names(&fixture, page), (expected.to_vec(), pages), "{page:?}");
    }
}

/// As many as a secret can have, and one more than a page holds.
#[test]
fn a_page_holds_up_to_a_hundred() {
    let fixture = Fixture::empty();
    let many: Vec<String> = (0..100).map(|number| format!("p{number:03}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    fixture.import(&many).unwrap();
    assert_eq!(names(&fixture, None).1, 1);
    fixture.secrets.put_resource_policy(PutResourcePolicyRequest::new("shared", allow("*"))).unwrap();
    let (listed, pages) = names(&fixture, None);
    assert_eq!((listed.len(), listed[0].as_str(), pages), (101, "default", 2));
    assert_eq!(listed.iter().collect::<BTreeSet<_>>().len(), 101, "each once");
}

/// What comes and goes between two pages moves nothing else.
#[test]
fn a_list_goes_on_behind_the_last_name_that_was_shown() {
    let fixture = Fixture::empty();
    fixture.import(&["a", "b"]).unwrap();
    fixture.secrets.put_resource_policy(PutResourcePolicyRequest::new("shared", allow("*"))).unwrap();
    let first = ListResourcePoliciesRequest::new("shared").max_results(1);
    let first = fixture.secrets.list_resource_policies(first).unwrap();
    assert_eq!(first.resource_policies[0].policy_name, "default");
    fixture.secrets.delete_resource_policy(DeleteResourcePolicyRequest::new("shared")).unwrap();
    let mut next = ListResourcePoliciesRequest::new("shared");
    next.next_token = first.next_token;
    let next = fixture.secrets.list_resource_policies(next).unwrap();
    assert_eq!(next.resource_policies.iter().map(|policy| policy.policy_name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
}

#[test]
fn a_token_is_good_for_its_own_query_only() {
    let fixture = Fixture::new();
    fixture.import(&["a", "b"]).unwrap();
    let shared = || ListResourcePoliciesRequest::new("shared");
    let token = fixture.secrets.list_resource_policies(shared().max_results(1)).unwrap().next_token.unwrap();
    let invalid = ("InvalidNextTokenException", "The NextToken value is invalid.");
    refused("another secret", fixture.secrets.list_resource_policies(list().next_token(&token)), invalid);
    let versions = ListSecretVersionIdsRequest::new("shared").next_token(&token);
    refused("another operation", fixture.secrets.list_secret_version_ids(versions), invalid);
    for foreign in ["mine", "", "00", &token[1..], &format!("{token}00")] {
        let result = fixture.secrets.list_resource_policies(shared().next_token(foreign));
        assert!(
            ["InvalidNextTokenException", "ValidationException"].contains(&result.unwrap_err().code()),
            "{foreign}"
        );
    }
    // The size of a page is no part of the query.
    let rest = fixture.secrets.list_resource_policies(shared().next_token(&token).max_results(50)).unwrap();
    assert_eq!(rest.resource_policies.len(), 1);
    // A secret that is made again is another one.
    let force = DeleteSecretRequest::new("shared").force_delete_without_recovery(true);
    fixture.secrets.delete_secret(force).unwrap();
    fixture.secrets.create_secret(CreateSecretRequest::new("shared")).unwrap();
    refused("its successor", fixture.secrets.list_resource_policies(shared().next_token(&token)), invalid);
    refused("unknown", fixture.secrets.list_resource_policies(ListResourcePoliciesRequest::new("nope")), NOT_FOUND);
}
