//! Documents that are no resource policies: what is wrong with each, where, and that nothing is stored of it.
//!
//! Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html>

use strongroom::PolicyFaultReason as Reason;
use strongroom::{ErrorKind, PolicyFault, ResourcePolicy};

use crate::fixture::{Fixture, allow, refused};

/// What is wrong, a document with this mark in front of the place, the reason, and the element.
type Row = (&'static str, String, Reason, &'static str);

const MARK: char = '§';

/// The document without its mark, and the line and the column of the mark, in characters from 1.
fn marked(text: &str) -> (String, usize, usize) {
    let (before, after) = text.split_once(MARK).expect("every document has a mark");
    let line = before.chars().filter(|c| *c == '\n').count() + 1;
    let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
    (format!("{before}{after}"), line, column)
}

/// A document of one statement, about everybody, of which an element is another.
fn with(element: &str, instead: &str) -> String {
    let elements = [("Effect", r#""Allow""#), ("Principal", r#""*""#), ("Action", r#""*""#), ("Resource", r#""*""#)];
    let written = elements.iter().map(|(name, value)| {
        let written = format!(r#""{name}": {value}"#);
        if *name == element { instead.to_owned() } else { written }
    });
    let more = if elements.iter().any(|(name, _)| *name == element) { String::new() } else { format!(", {instead}") };
    let written: Vec<String> = written.filter(|written| !written.is_empty()).collect();
    format!(r#"{{"Version": "2012-10-17", "Statement": {{{}{more}}}}}"#, written.join(", "))
}

/// The same with a condition.
fn when(condition: &str) -> String {
    with("Condition", &format!(r#""Condition": {condition}"#))
}

fn json_rows() -> Vec<Row> {
    let text = |text: &str| text.to_owned();
    let deep = |levels: usize| format!("{}{MARK}{}", "[".repeat(16), "[".repeat(levels - 16));
    let deeper = format!(r#"{}{MARK}{{"a": {{}}}}{}"#, r#"{"a": "#.repeat(16), "}".repeat(16));
    let lists = "[0]".repeat(16).leak();
    vec![
        ("white space only", text(" \n\t§"), Reason::NotJson, ""),
        ("a word", text("§policy"), Reason::NotJson, ""),
        ("a word in upper case", text("§NULL"), Reason::NotJson, ""),
        ("an open object", text(r#"{"Statement": []§"#), Reason::NotJson, ""),
        ("an open list", text("{\n  \"Statement\": [\n§"), Reason::NotJson, "Statement[0]"),
        ("an open text", text(r#"{"Statement§"#), Reason::NotJson, ""),
        ("something behind", text("{} §{}"), Reason::NotJson, ""),
        ("a comma too many in a list", text(r#"{"Statement": [1, §]}"#), Reason::NotJson, "Statement[1]"),
        ("a comma too many in an object", text(r#"{"Statement": 1, §}"#), Reason::NotJson, ""),
        ("no comma", text(r#"{"Version": "2012-10-17" §"Statement": []}"#), Reason::NotJson, ""),
        ("no colon", text(r#"{"Statement" §[]}"#), Reason::NotJson, ""),
        ("no name", text("{§Statement: []}"), Reason::NotJson, ""),
        ("single quotes", text("{§'Statement': []}"), Reason::NotJson, ""),
        ("a comment", text("§// allow\n{}"), Reason::NotJson, ""),
        ("a byte order mark", text("§\u{feff}{}"), Reason::NotJson, ""),
        ("a space that is none", text("{§\u{a0}}"), Reason::NotJson, ""),
        ("a line break in a text", text("{\"Id\": \"a§\nb\"}"), Reason::NotJson, "Id"),
        ("a NUL", text("{\"Id\": \"a§\0\"}"), Reason::NotJson, "Id"),
        ("an unknown escape", text(r#"{"Id": "\§x41"}"#), Reason::NotJson, "Id"),
        ("half an escape", text(r#"{"Id": "\u§00"}"#), Reason::NotJson, "Id"),
        ("a surrogate alone", text(r#"{"Id": "\ud83d§"}"#), Reason::NotJson, "Id"),
        ("a surrogate before text", text(r#"{"Id": "\ud83d§x"}"#), Reason::NotJson, "Id"),
        ("two first surrogates", text(r#"{"Id": "\§ud83d\ud83d"}"#), Reason::NotJson, "Id"),
        ("a second surrogate alone", text(r#"{"Id": "\§udd11"}"#), Reason::NotJson, "Id"),
        ("a surrogate in a name", text(r#"{"\ud83d§": 1}"#), Reason::NotJson, ""),
        ("a number with a zero in front", text(r#"{"Id": 0§1}"#), Reason::NotJson, ""),
        ("a number with a plus", text(r#"{"Id": §+1}"#), Reason::NotJson, "Id"),
        ("a number that ends with its point", text(r#"{"Id": 1.§}"#), Reason::NotJson, "Id"),
        ("no number", text(r#"{"Id": §NaN}"#), Reason::NotJson, "Id"),
        ("seventeen lists", deep(17), Reason::TooDeep, lists),
        ("as many lists as fit", deep(20_480), Reason::TooDeep, lists),
        ("seventeen objects", deeper, Reason::TooDeep, ["a"; 16].join(".").leak()),
        (
            "a member twice",
            text(r#"{"Version": "2012-10-17", §"Version": "2012-10-17"}"#),
            Reason::DuplicateMember,
            "Version",
        ),
        ("a member twice, written otherwise", text(r#"{"Id": "a", §"\u0049d": "a"}"#), Reason::DuplicateMember, "Id"),
        ("an element twice", with("Sid", r#"§"Effect": "Deny""#), Reason::DuplicateMember, "Statement.Effect"),
        (
            "an operator twice",
            when(r#"{"Bool": {"aws:a": "true"}, §"Bool": {"aws:b": "true"}}"#),
            Reason::DuplicateMember,
            "Statement.Condition.Bool",
        ),
        (
            "a condition key twice",
            when(r#"{"Bool": {"aws:a": "true", §"aws:a": "true"}}"#),
            Reason::DuplicateMember,
            "Statement.Condition.Bool.aws:a",
        ),
    ]
}

fn element_rows() -> Vec<Row> {
    let text = |text: &str| text.to_owned();
    let list = |second: &str| {
        let first = r#"{"Sid": "a", "Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}"#;
        format!("{{\"Statement\": [\n{first},\n{second}\n]}}")
    };
    vec![
        ("null", text("§null"), Reason::WrongType, ""),
        ("a list", text("§[]"), Reason::WrongType, ""),
        ("a text", text(r#"§"{}""#), Reason::WrongType, ""),
        ("nothing in it", text("§{}"), Reason::MissingElement, "Statement"),
        ("another case", text(r#"{§"statement": []}"#), Reason::UnknownElement, "statement"),
        ("no statement in the list", text(r#"{"Statement": §[]}"#), Reason::Empty, "Statement"),
        ("a statement that is a text", text(r#"{"Statement": §"Allow"}"#), Reason::WrongType, "Statement"),
        ("a statement that is null", list("§null"), Reason::WrongType, "Statement[1]"),
        ("a list in the list", list("§[]"), Reason::WrongType, "Statement[1]"),
        ("an unknown element", text(r#"{"Statement": {}, §"Comment": ""}"#), Reason::UnknownElement, "Comment"),
        (
            "an unknown element of a statement",
            with("Sid", r#"§"Comment": """#),
            Reason::UnknownElement,
            "Statement.Comment",
        ),
        (
            "a version of the future",
            text(r#"{"Version": §"2030-01-01", "Statement": {}}"#),
            Reason::InvalidVersion,
            "Version",
        ),
        ("a version that is a number", text(r#"{"Version": §2012, "Statement": {}}"#), Reason::WrongType, "Version"),
        ("an id that is a number", text(r#"{"Id": §1, "Statement": {}}"#), Reason::WrongType, "Id"),
        ("a Sid that is a list", with("Sid", r#""Sid": §["a"]"#), Reason::WrongType, "Statement.Sid"),
        (
            "a Sid twice",
            list(r#"{"Sid": §"a", "Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}"#),
            Reason::DuplicateSid,
            "Statement[1].Sid",
        ),
        (
            "no effect",
            with("Effect", "").replace("{\"Principal", "§{\"Principal"),
            Reason::MissingElement,
            "Statement.Effect",
        ),
        ("an effect of its own", with("Effect", r#""Effect": §"Permit""#), Reason::InvalidEffect, "Statement.Effect"),
        ("an effect in lower case", with("Effect", r#""Effect": §"allow""#), Reason::InvalidEffect, "Statement.Effect"),
        ("an effect that is a list", with("Effect", r#""Effect": §["Allow"]"#), Reason::WrongType, "Statement.Effect"),
        (
            "no principal",
            with("Principal", "").replace("{\"Effect", "§{\"Effect"),
            Reason::MissingElement,
            "Statement.Principal",
        ),
        (
            "NotPrincipal with Allow",
            with("Principal", r#""NotPrincipal": §{"AWS": "111122223333"}"#),
            Reason::NotPrincipalNotAllowed,
            "Statement.NotPrincipal",
        ),
        (
            "Principal and NotPrincipal",
            with("Principal", r#""Principal": "*", §"NotPrincipal": "*""#),
            Reason::ConflictingElements,
            "Statement.NotPrincipal",
        ),
        (
            "no action",
            with("Action", "").replace("{\"Effect", "§{\"Effect"),
            Reason::MissingElement,
            "Statement.Action",
        ),
        (
            "Action and NotAction",
            with("Sid", r#"§"NotAction": "*""#),
            Reason::ConflictingElements,
            "Statement.NotAction",
        ),
        ("no action in the list", with("Action", r#""Action": §[]"#), Reason::Empty, "Statement.Action"),
        (
            "an action without a service",
            with("Action", r#""Action": §"Get*""#),
            Reason::InvalidAction,
            "Statement.Action",
        ),
        ("an action without a name", with("Action", r#""Action": §"s3:""#), Reason::InvalidAction, "Statement.Action"),
        (
            "a part of a service",
            with("Action", r#""Action": §"secrets*:Get""#),
            Reason::InvalidAction,
            "Statement.Action",
        ),
        ("an empty action", with("Action", r#""Action": ["*", §""]"#), Reason::InvalidAction, "Statement.Action[1]"),
        ("an action that is a number", with("Action", r#""Action": [§7]"#), Reason::WrongType, "Statement.Action[0]"),
        (
            "no resource",
            with("Resource", "").replace("{\"Effect", "§{\"Effect"),
            Reason::MissingElement,
            "Statement.Resource",
        ),
        (
            "Resource and NotResource",
            with("Sid", r#"§"NotResource": "*""#),
            Reason::ConflictingElements,
            "Statement.NotResource",
        ),
        ("no resource in the list", with("Resource", r#""Resource": §[]"#), Reason::Empty, "Statement.Resource"),
        (
            "the name of a secret",
            with("Resource", r#""Resource": §"app""#),
            Reason::InvalidResource,
            "Statement.Resource",
        ),
        ("an empty resource", with("Resource", r#""Resource": §"""#), Reason::InvalidResource, "Statement.Resource"),
        (
            "a variable without end",
            with("Resource", r#""Resource": §"arn:aws:s3:::${a""#),
            Reason::InvalidVariable,
            "Statement.Resource",
        ),
    ]
}

fn principal_rows() -> Vec<Row> {
    let principal = |principal: &str| with("Principal", &format!(r#""Principal": {principal}"#));
    let aws = |name: &str| principal(&format!(r#"{{"AWS": §"{name}"}}"#));
    let at = "Statement.Principal.AWS";
    vec![
        ("a number", principal("§7"), Reason::WrongType, "Statement.Principal"),
        ("null", principal("§null"), Reason::WrongType, "Statement.Principal"),
        ("a list", principal(r#"§["*"]"#), Reason::WrongType, "Statement.Principal"),
        ("an account without its type", principal(r#"§"111122223333""#), Reason::WrongType, "Statement.Principal"),
        ("nobody", principal("§{}"), Reason::Empty, "Statement.Principal"),
        ("a list of nobody", principal(r#"{"AWS": §[]}"#), Reason::Empty, at),
        ("an account that is a number", principal(r#"{"AWS": §111122223333}"#), Reason::WrongType, at),
        ("a number in a list", principal(r#"{"AWS": ["*", §7]}"#), Reason::WrongType, "Statement.Principal.AWS[1]"),
        ("a list in a list", principal(r#"{"AWS": [§["*"]]}"#), Reason::WrongType, "Statement.Principal.AWS[0]"),
        ("an object in a list", principal(r#"{"AWS": [§{}]}"#), Reason::WrongType, "Statement.Principal.AWS[0]"),
        ("an unknown type", principal(r#"{§"Aws": "*"}"#), Reason::UnsupportedPrincipal, "Statement.Principal.Aws"),
        ("an empty name", aws(""), Reason::UnsupportedPrincipal, at),
        ("a short account", aws("11112222333"), Reason::UnsupportedPrincipal, at),
        ("a name", aws("alice"), Reason::UnsupportedPrincipal, at),
        ("a unique id", aws("AIDACKCEVSQ6C2EXAMPLE"), Reason::UnsupportedPrincipal, at),
        ("a group", aws("arn:aws:iam::111122223333:group/g"), Reason::UnsupportedPrincipal, at),
        ("a user by a wildcard", aws("arn:aws:iam::111122223333:user/*"), Reason::UnsupportedPrincipal, at),
        ("an account by a wildcard", aws("arn:aws:iam::*:root"), Reason::UnsupportedPrincipal, at),
        ("another service's ARN", aws("arn:aws:s3:::bucket"), Reason::UnsupportedPrincipal, at),
        ("a variable", aws("${aws:PrincipalArn}"), Reason::UnsupportedPrincipal, at),
        (
            "everybody of another type",
            principal(r#"{"Federated": §"*"}"#),
            Reason::UnsupportedPrincipal,
            "Statement.Principal.Federated",
        ),
        (
            "a short canonical user",
            principal(r#"{"CanonicalUser": §"79a59df9"}"#),
            Reason::UnsupportedPrincipal,
            "Statement.Principal.CanonicalUser",
        ),
        (
            "a service without its domain",
            principal(r#"{"Service": §"lambda"}"#),
            Reason::UnsupportedServicePrincipal,
            "Statement.Principal.Service",
        ),
        (
            "every service",
            principal(r#"{"Service": ["lambda.amazonaws.com", §"*"]}"#),
            Reason::UnsupportedServicePrincipal,
            "Statement.Principal.Service[1]",
        ),
    ]
}

fn condition_rows() -> Vec<Row> {
    let test = |operator: &str, value: &str| when(&format!(r#"{{"{operator}": {{"aws:k": {value}}}}}"#));
    vec![
        ("a list", when("§[]"), Reason::WrongType, "Statement.Condition"),
        ("an unknown operator", when(r#"{§"StringIs": {}}"#), Reason::InvalidOperator, "Statement.Condition.StringIs"),
        ("an operator in lower case", when(r#"{§"bool": {}}"#), Reason::InvalidOperator, "Statement.Condition.bool"),
        (
            "an unknown quantifier",
            when(r#"{§"ForSome:Bool": {}}"#),
            Reason::InvalidOperator,
            "Statement.Condition.ForSome:Bool",
        ),
        (
            "Null if it exists",
            when(r#"{§"NullIfExists": {}}"#),
            Reason::InvalidOperator,
            "Statement.Condition.NullIfExists",
        ),
        ("a key that is a text", when(r#"{"Bool": §"aws:k"}"#), Reason::WrongType, "Statement.Condition.Bool"),
        ("no key", when(r#"{"Bool": §{}}"#), Reason::Empty, "Statement.Condition.Bool"),
        (
            "a key without its service",
            when(r#"{"Bool": {§"SecureTransport": "true"}}"#),
            Reason::InvalidConditionKey,
            "Statement.Condition.Bool.SecureTransport",
        ),
        ("no value", test("StringEquals", "§[]"), Reason::Empty, "Statement.Condition.StringEquals.aws:k"),
        ("null", test("StringEquals", "§null"), Reason::WrongType, "Statement.Condition.StringEquals.aws:k"),
        (
            "an object",
            test("StringEquals", r#"["a", §{}]"#),
            Reason::WrongType,
            "Statement.Condition.StringEquals.aws:k[1]",
        ),
        ("neither true nor false", test("Bool", r#"§"yes""#), Reason::InvalidValue, "Statement.Condition.Bool.aws:k"),
        (
            "no number",
            test("NumericEquals", r#"["1", §"one"]"#),
            Reason::InvalidValue,
            "Statement.Condition.NumericEquals.aws:k[1]",
        ),
        (
            "no date",
            test("DateLessThan", r#"§"2009-13-31""#),
            Reason::InvalidValue,
            "Statement.Condition.DateLessThan.aws:k",
        ),
        (
            "no address",
            test("IpAddress", r#"§"10.0.0.0/33""#),
            Reason::InvalidValue,
            "Statement.Condition.IpAddress.aws:k",
        ),
        ("no base64", test("BinaryEquals", r#"§"!""#), Reason::InvalidValue, "Statement.Condition.BinaryEquals.aws:k"),
        (
            "a variable without end",
            test("StringLike", r#"§"${aws:a""#),
            Reason::InvalidVariable,
            "Statement.Condition.StringLike.aws:k",
        ),
    ]
}

/// Reads a document, and fails unless it has this fault.
#[track_caller]
fn check(what: &str, text: &str, expected: &PolicyFault) {
    let fault = ResourcePolicy::parse(text).map(drop).expect_err(what);
    assert_eq!(&fault, expected, "{what}: {text:.200}");
    assert_eq!(ResourcePolicy::from_bytes(text.as_bytes()).map(drop), Err(fault), "{what}");
}

#[test]
fn what_is_wrong_and_where_is_told_and_nothing_is_stored() {
    let fixture = Fixture::new();
    let former = allow("111122223333");
    fixture.put(&former).unwrap();
    let before = (fixture.epoch(), fixture.last_changed());
    let rows = [json_rows(), element_rows(), principal_rows(), condition_rows()].concat();
    let count = rows.len();
    // The form in which the fault of a row is compared.
    let mut example = ResourcePolicy::parse("").map(drop).unwrap_err();
    for (what, text, reason, path) in rows {
        let (text, line, column) = marked(&text);
        (example.reason, example.line, example.column, example.path) = (reason, line, column, path.to_owned());
        check(what, &text, &example);

        let error = fixture.put(&text).unwrap_err();
        assert_eq!(*error.kind(), ErrorKind::MalformedPolicyDocument(example.clone()), "{what}");
        assert_eq!(error.code(), "MalformedPolicyDocumentException", "{what}");
        assert_eq!((fixture.epoch(), fixture.last_changed()), before, "{what}: something was stored");
    }
    assert_eq!(fixture.policy(), Some(former), "the former policy stands");
    eprintln!("documents that are no policies: {count}, each with its reason and its place");
}

/// Written out, so that the counting above is checked too.
#[test]
fn lines_and_columns_count_characters_from_one() {
    for (text, line, column, path) in [
        ("x", 1, 1, ""),
        ("", 1, 1, ""),
        ("{\n}", 1, 1, "Statement"),
        ("{\"Id\": \"größer 🔑\", \"Statement\": 7}", 1, 33, "Statement"),
        ("{\r\n\t\"Id\": \"é\",\r\n\t\"Id\": \"\"}", 3, 2, "Id"),
        ("{\"Statement\":\n\n  [\n    {\"Effect\": 1}]}", 4, 16, "Statement[0].Effect"),
    ] {
        let fault = ResourcePolicy::parse(text).unwrap_err();
        assert_eq!((fault.line, fault.column, fault.path.as_str()), (line, column, path), "{text:?}");
    }
}

#[test]
fn bytes_that_are_not_utf_8_are_told_by_their_place() {
    for (what, bytes, line, column) in [
        ("nothing else", &b"\xff"[..], 1, 1),
        ("in a text", b"{\"Id\": \"\xff\"}", 1, 9),
        ("behind characters of several bytes", b"{\"Id\":\n \"\xc3\xa9\xc3\xa9\xf0\x9f\x94\x91\x80\"}", 2, 6),
        ("cut short", b"{} \xf0\x9f\x94", 1, 4),
        ("an overlong form", b"\xc0\xaf", 1, 1),
        ("a surrogate", b"\"\xed\xa0\x80\"", 1, 2),
        ("UTF-16", b"\xff\xfe{\0}\0", 1, 1),
    ] {
        let fault = ResourcePolicy::from_bytes(bytes).map(drop).unwrap_err();
        let found = (fault.reason, fault.line, fault.column, fault.path.as_str());
        assert_eq!(found, (Reason::NotUtf8, line, column, ""), "{what}");
    }
}

/// Characters are counted, not bytes. The operations refuse it as the limit of the API model that it is.
#[test]
fn a_document_has_at_most_20480_characters() {
    let fixture = Fixture::new();
    let good = allow("111122223333");
    let filled = |count: usize| format!("{good}{}", " ".repeat(count - good.len()));
    let id = |count: usize| {
        let rest = good.replacen('{', r#"{"Id": "", "#, 1);
        rest.replacen(r#""Id": """#, &format!(r#""Id": "{}""#, "é".repeat(count - rest.len())), 1)
    };
    for text in [filled(20_480), id(20_480)] {
        assert_eq!(text.chars().count(), 20_480);
        fixture.put(&text).unwrap();
    }
    let former = fixture.policy();
    for text in [filled(20_481), id(20_481), "[".repeat(100_000), "*".repeat(1_000_000)] {
        let fault = ResourcePolicy::parse(&text).unwrap_err();
        assert_eq!((fault.reason, fault.line, fault.column), (Reason::TooLong, 1, 20_481));
        let error = fixture.put(&text).unwrap_err();
        assert_eq!(*error.kind(), ErrorKind::Validation);
        assert!(error.message().ends_with(
            "' at 'resourcePolicy' failed to satisfy constraint: Member must have length less than or equal to 20480"
        ));
        assert!(error.message().len() < 100_000);
    }
    refused(
        "nothing",
        fixture.put(""),
        (
            "ValidationException",
            "1 validation error detected: Value '' at 'resourcePolicy' failed to satisfy constraint: Member must have \
             length greater than or equal to 1",
        ),
    );
    assert_eq!(fixture.policy(), former);
}

/// As much of everything as fits: it is read, judged and shown, and comes to an end.
#[test]
fn documents_that_are_good_and_hostile_are_taken_and_judged() {
    let fixture = Fixture::new();
    let room = 20_000;
    let listed = |entry: &str| {
        let count = room / (entry.len() + 4);
        format!("[{}]", vec![format!(r#""{entry}""#); count].join(", "))
    };
    let statement = r#"{"Effect":"Deny","Principal":{"AWS":"111122223333"},"NotAction":"a:*b","Resource":"*"}"#;
    let statements = vec![statement; room / (statement.len() + 1)].join(",");
    let rows = [
        ("stars in an action", with("Action", &format!(r#""Action": "s3:{}""#, "*".repeat(room)))),
        ("stars and letters in an action", with("Action", &format!(r#""Action": "s3:{}b""#, "*a".repeat(room / 2)))),
        ("marks in an action", with("Action", &format!(r#""Action": "s3:{}""#, "*?".repeat(room / 2)))),
        ("stars in a resource", with("Resource", &format!(r#""Resource": "arn:aws:s3:::{}x""#, "*a".repeat(room / 2)))),
        ("colons in a resource", with("Resource", &format!(r#""Resource": "arn:aws:s3::{}""#, ":*".repeat(room / 2)))),
        ("actions", with("Action", &format!(r#""Action": {}"#, listed("s3:*a*a*a*b")))),
        ("principals", with("Principal", &format!(r#""Principal": {{"AWS": {}}}"#, listed("111122223333")))),
        ("statements", format!(r#"{{"Version":"2012-10-17","Statement":[{statements}]}}"#)),
        ("values", when(&format!(r#"{{"StringLike": {{"aws:PrincipalArn": {}}}}}"#, listed("*a*a*a*b")))),
        ("variables", when(&format!(r#"{{"StringLike": {{"aws:k": "{}"}}}}"#, "${*}${?}".repeat(room / 8)))),
        ("blocks", when(&format!(r#"{{"IpAddress": {{"aws:SourceIp": {}}}}}"#, listed("2001:db8::/128")))),
        ("digits", when(&format!(r#"{{"NumericEquals": {{"aws:k": {}}}}}"#, "9".repeat(300)))),
    ];
    for (what, policy) in rows {
        assert!(policy.chars().count() <= 20_480, "{what}");
        // Denied instead, it is weighed for its caller too.
        for policy in [policy.replace("Deny", "Allow"), policy.replace("Allow", "Deny")] {
            let result = fixture.put(&policy);
            let code = result.as_ref().map_or_else(strongroom::Error::code, |_| "");
            assert!(["", "InvalidParameterException"].contains(&code), "{what}: {result:?}");
            fixture.secrets.validate_resource_policy(crate::fixture::validate(&policy).secret_id("app")).unwrap();
        }
    }
}
