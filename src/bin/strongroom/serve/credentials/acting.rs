//! On whose behalf an entry of the credentials file calls, as policies see it: the principal, and what is known of it.

use std::sync::Arc;

use serde_json::value::RawValue;
use strongroom::limits::{TAG_KEY_CHARS_MAX, TAG_VALUE_CHARS_MAX, TAGS_MAX};
use strongroom::{Caller, IdentityPolicy, Principal, Tag};

use super::{Members, PRINCIPAL, Rule, plain_text};

/// The members of an entry that say it.
pub(super) const POLICIES: &str = "policies";
pub(super) const TAGS: &str = "tags";
pub(super) const ORGANIZATION: &str = "organization";
pub(super) const USER_ID: &str = "user_id";

/// Longest organization and user id.
const ID_BYTES_MAX: usize = 256;

/// A caller, or why the entry stands for none: what its principal must.
pub(super) type Acting = Result<Arc<Caller>, &'static str>;

/// What the principal of an entry without one must.
pub(super) const ABSENT: &str = "be there";

/// Reads what an entry says of its caller. Everything is checked, also where there is no principal to call for.
pub(super) fn read(members: &Members<'_>, account: &str, principal: Option<&str>) -> Result<Acting, String> {
    let policies = members.raw(POLICIES).map(policies).transpose()?.unwrap_or_default();
    let tags = members.raw(TAGS).map(tags).transpose()?.unwrap_or_default();
    let organization = members.optional(ORGANIZATION, is_id)?;
    let user_id = members.optional(USER_ID, is_id)?;
    Ok(find(account, principal).map(|principal| {
        let caller = Caller::new(principal).identity_policies(policies).tags(tags).secure_transport(false);
        let caller = match organization {
            Some(id) => caller.organization(id.as_str()),
            None => caller,
        };
        Arc::new(match user_id {
            Some(id) => caller.user_id(id.as_str()),
            None => caller,
        })
    }))
}

fn find(account: &str, principal: Option<&str>) -> Result<Principal, &'static str> {
    let principal = principal.ok_or(ABSENT)?;
    let principal = Principal::parse(principal).ok_or("be the ARN of a user, role, session or account root")?;
    if principal.account() == Some(account) { Ok(principal) } else { Err("be of the `account`") }
}

/// What is wrong with the principal, as a sentence.
pub(super) fn problem(why: &str) -> String {
    format!("with --enforce-policies `{PRINCIPAL}` must {why}")
}

/// The policies, in the order of the file. Places are told within each document.
fn policies(list: &RawValue) -> Result<Vec<IdentityPolicy>, String> {
    let documents: Vec<&RawValue> =
        serde_json::from_str(list.get()).map_err(|_| format!("`{POLICIES}` is not a list of policies"))?;
    let read = |(index, document): (usize, &&RawValue)| {
        IdentityPolicy::parse(document.get()).map_err(|fault| format!("policy {}: {fault}", index + 1))
    };
    documents.iter().enumerate().map(read).collect()
}

fn tags(object: &RawValue) -> Result<Vec<Tag>, String> {
    let Members(members) =
        serde_json::from_str(object.get()).map_err(|_| format!("`{TAGS}` is not an object of texts"))?;
    if members.len() > TAGS_MAX {
        return Err(format!("`{TAGS}` has more than {TAGS_MAX} tags"));
    }
    let mut tags: Vec<Tag> = Vec::with_capacity(members.len());
    for (key, value) in members {
        let value = plain_text(value).ok_or_else(|| format!("`{TAGS}` is not an object of plain texts"))?;
        let is_long = key.chars().count() > TAG_KEY_CHARS_MAX || value.chars().count() > TAG_VALUE_CHARS_MAX;
        if key.is_empty() || is_long {
            return Err(format!(
                "`{TAGS}` must have keys of 1 to {TAG_KEY_CHARS_MAX} characters and values of up to {TAG_VALUE_CHARS_MAX}"
            ));
        }
        // Conditions do not tell upper case from lower case.
        if tags.iter().any(|tag| tag.key.to_lowercase() == key.to_lowercase()) {
            return Err(format!("`{TAGS}` has a key twice"));
        }
        tags.push(Tag::new(key, value.as_str()));
    }
    Ok(tags)
}

fn is_id(text: &str) -> Rule {
    let is_good =
        (1..=ID_BYTES_MAX).contains(&text.len()) && !text.chars().any(|c| c.is_control() || c.is_whitespace());
    is_good.then_some(()).ok_or("must be 1 to 256 bytes without spaces")
}

#[cfg(test)]
mod tests {
    use crate::serve::credentials::Credentials;

    const READ: &str = r#"{"Statement": {"Effect": "Allow", "Action": "secretsmanager:Get*", "Resource": "*"}}"#;
    const ALICE: &str = "arn:aws:iam::111122223333:user/alice";

    /// A file of one good entry and one with further members, which are written as they are.
    fn parse(members: &str) -> Result<Credentials, String> {
        let entry = |id: &str, members: &str| {
            format!(r#"{{"access_key_id": "{id}", "secret_access_key": "hush", "account": "111122223333"{members}}}"#)
        };
        let first = entry("AKIDROOT", r#", "principal": "arn:aws:iam::111122223333:root""#);
        let text = format!(r#"{{"credentials": [{first}, {}]}}"#, entry("AKIDALICE", members));
        Credentials::parse(text.as_bytes())
    }

    #[test]
    fn an_entry_says_who_calls_and_what_they_may() {
        let members = format!(
            r#", "principal": "{ALICE}", "policies": [{READ}, {READ}], "tags": {{"team": "payments", "Stage": ""}},
               "organization": "o-a1b2c3d4e5", "user_id": "AIDAALICE""#
        );
        let credentials = parse(&members).unwrap();
        assert_eq!(credentials.require_callers(), Ok(()));
        let caller = credentials.caller("AKIDALICE").unwrap();
        assert_eq!(caller.principal().to_string(), ALICE);
        let told = format!("{caller:?}");
        for part in [
            "team",
            "payments",
            "Stage",
            r#""aws:securetransport": ["false"]"#,
            r#""aws:principalorgid": ["o-a1b2c3d4e5"]"#,
            r#""aws:userid": ["AIDAALICE"]"#,
        ] {
            assert!(told.contains(part), "{part}: {told}");
        }
        assert_eq!(told.matches("IdentityPolicy").count(), 2, "{told}");
        assert!(credentials.caller("AKIDNOBODY").is_none());
    }

    #[test]
    fn only_where_policies_are_enforced_must_everybody_be_a_principal_of_their_account() {
        for (members, problem) in [
            (String::new(), "be there"),
            (r#", "principal": "alice""#.to_owned(), "be the ARN of a user, role, session or account root"),
            (
                r#", "principal": "lambda.amazonaws.com""#.to_owned(),
                "be the ARN of a user, role, session or account root",
            ),
            (
                r#", "principal": "arn:aws:iam::111122223333:group/all""#.to_owned(),
                "be the ARN of a user, role, session or account root",
            ),
            (r#", "principal": "arn:aws:iam::444455556666:user/alice""#.to_owned(), "be of the `account`"),
        ] {
            let credentials = parse(&members).unwrap();
            assert!(credentials.caller("AKIDALICE").is_none() && credentials.caller("AKIDROOT").is_some(), "{members}");
            let expected = format!("entry 2: with --enforce-policies `principal` must {problem}");
            assert_eq!(credentials.require_callers(), Err(expected));
        }
        for principal in [
            ALICE,
            "arn:aws:iam::111122223333:root",
            "arn:aws:iam::111122223333:role/path/deploy",
            "arn:aws:sts::111122223333:assumed-role/deploy/build-7",
            "arn:aws:sts::111122223333:federated-user/bob",
        ] {
            let credentials = parse(&format!(r#", "principal": "{principal}""#)).unwrap();
            assert_eq!(credentials.require_callers(), Ok(()), "{principal}");
        }
    }

    #[test]
    fn what_is_wrong_is_named_whether_policies_are_enforced_or_not() {
        let long = |length: usize| "x".repeat(length);
        let many: Vec<String> = (0..51).map(|index| format!(r#""k{index}": "v""#)).collect();
        let tags = "`tags` must have keys of 1 to 128 characters and values of up to 256";
        let id = "must be 1 to 256 bytes without spaces";
        for (members, problem) in [
            (r#""policies": {}"#.to_owned(), "`policies` is not a list of policies".to_owned()),
            (r#""policies": "hush""#.to_owned(), "`policies` is not a list of policies".to_owned()),
            (
                format!("\"policies\": [{READ},\n {{\"Statement\":\n   {{\"Effect\": \"hush\"}}}}]"),
                "policy 2: line 2, column 15, Statement.Effect: the effect is neither Allow nor Deny".to_owned(),
            ),
            (
                r#""policies": ["hush"]"#.to_owned(),
                "policy 1: line 1, column 1: the element has the wrong type".to_owned(),
            ),
            (
                format!(r#""policies": [{}]"#, READ.replace("Allow", "Allow\", \"Effect\": \"hush")),
                "policy 1: line 1, column 35, Statement.Effect: the member is there twice".to_owned(),
            ),
            (
                format!(r#""policies": [{}]"#, READ.replace(r#""Action""#, r#""Principal": "*", "Action""#)),
                "policy 1: line 1, column 48, Statement.Principal: an identity policy names no principal".to_owned(),
            ),
            (r#""tags": ["hush"]"#.to_owned(), "`tags` is not an object of texts".to_owned()),
            (r#""tags": {"team": 1}"#.to_owned(), "`tags` is not an object of plain texts".to_owned()),
            (r#""tags": {"team": "hush", "Team": "x"}"#.to_owned(), "`tags` has a key twice".to_owned()),
            (r#""tags": {"": "hush"}"#.to_owned(), tags.to_owned()),
            (format!(r#""tags": {{"{}": "v"}}"#, long(129)), tags.to_owned()),
            (format!(r#""tags": {{"k": "{}"}}"#, long(257)), tags.to_owned()),
            (format!(r#""tags": {{{}}}"#, many.join(",")), "`tags` has more than 50 tags".to_owned()),
            (r#""organization": "hush hush""#.to_owned(), format!("`organization` {id}")),
            (r#""organization": 1"#.to_owned(), "`organization` is not a text of plain characters".to_owned()),
            (r#""user_id": """#.to_owned(), format!("`user_id` {id}")),
            (format!(r#""user_id": "{}""#, long(257)), format!("`user_id` {id}")),
            (r#""tags": {}, "tags": {}"#.to_owned(), "`tags` is given twice".to_owned()),
            (r#""policy": []"#.to_owned(), "there is no member `policy`".to_owned()),
        ] {
            let found = parse(&format!(r#", "principal": "{ALICE}", {members}"#)).map(drop).unwrap_err();
            assert_eq!(found, format!("entry 2: {problem}"), "{members}");
            assert!(!found.contains("hush"), "{found}");
        }
        for members in [
            r#""policies": [], "tags": {}"#.to_owned(),
            format!(r#""tags": {{"{}": "{}"}}"#, long(128), long(256)),
            format!(r#""user_id": "{}""#, long(256)),
        ] {
            assert!(parse(&format!(", {members}")).is_ok(), "{members}");
        }
    }
}
