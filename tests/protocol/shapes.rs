//! Requests: every member of every shape has the name, the kind and the limits of the API model.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::fixture::{Answer, Server, base64, policy, replica_arn, token};
use crate::model::{Model, Shape, lower_camel, model};

const VALIDATION: &str = "ValidationException";
const SERIALIZATION: &str = "SerializationException";

/// Where the model's limit is not enforced as a limit of the shape, deliberately.
const EXCEPTIONS: [(&str, &str); 4] = [
    // What is too short is against the pattern as well.
    ("DurationType", "min"),
    ("ScheduleExpressionType", "min"),
    ("ResourcePolicyNameType", "min"),
    // The service says `Invalid filter values for key` for no values at all; an empty list is the same as none.
    ("FilterValuesStringList", "min"),
];

/// A step into a request.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Step<'a> {
    Member(&'a str),
    /// Into the second entry of a list.
    Item,
}

/// A place in the requests of an operation where a value of a shape stands.
#[derive(Debug)]
struct Place<'a> {
    operation: &'a str,
    steps: Vec<Step<'a>>,
    shape: &'a str,
    is_required: bool,
}

impl Place<'_> {
    /// As messages write it.
    fn path(&self) -> String {
        let part = |step: &Step<'_>| match step {
            Step::Member(name) => format!(".{}", lower_camel(name)),
            Step::Item => ".2.member".to_owned(),
        };
        self.steps.iter().map(part).collect::<String>().trim_start_matches('.').to_owned()
    }

    fn row(&self, case: &str) -> String {
        format!("{} {}: {case}", self.operation, self.path())
    }
}

fn places(model: &Model) -> Vec<Place<'_>> {
    let mut places = Vec::new();
    for (operation, declared) in model.each_operation() {
        walk(model, operation, &declared.input, &[], &mut places);
    }
    places
}

fn walk<'a>(model: &'a Model, operation: &'a str, name: &'a str, steps: &[Step<'a>], places: &mut Vec<Place<'a>>) {
    let shape = model.shape(name);
    let members = shape.members.iter();
    let members = members.map(|(member, inner)| (Step::Member(member), inner, shape.required.contains(member)));
    for (step, inner, is_required) in members.chain(shape.member.iter().map(|inner| (Step::Item, inner, false))) {
        let steps = [steps, &[step]].concat();
        walk(model, operation, inner, &steps, places);
        places.push(Place { operation, steps, shape: inner, is_required });
    }
}

/// The shapes that the tests here look at.
pub(crate) fn visited(model: &Model) -> BTreeSet<&str> {
    let inputs = model.each_operation().map(|(_, operation)| operation.input.as_str());
    inputs.chain(places(model).into_iter().map(|place| place.shape)).collect()
}

/// A request that succeeds on a server with a secret `app`.
fn base(operation: &str) -> Value {
    match operation {
        "AssociateCrossAccountReplica" | "DisassociateCrossAccountReplica" => {
            json!({"SecretId": "primary", "CrossAccountReplicaARN": replica_arn()})
        }
        "BatchGetSecretValue" | "ListSecrets" => json!({"Filters": [{"Key": "name", "Values": ["app"]}]}),
        "CancelRotateSecret" => json!({"SecretId": "managed"}),
        "CreateSecret" => json!({"Name": "new"}),
        "GetRandomPassword" => json!({}),
        "PutResourcePolicy" => json!({"SecretId": "app", "ResourcePolicy": policy("*")}),
        "PutSecretValue" => json!({"SecretId": "app", "SecretString": "three", "ClientRequestToken": token(3)}),
        "RemoveRegionsFromReplication" => json!({"SecretId": "app", "RemoveReplicaRegions": ["eu-west-1"]}),
        "ReplicateSecretToRegions" => json!({"SecretId": "app", "AddReplicaRegions": [{"Region": "eu-west-1"}]}),
        "RotateSecret" => json!({"SecretId": "managed", "ClientRequestToken": token(3)}),
        "StopReplicationToReplica" => json!({"SecretId": "replica"}),
        "TagResource" => json!({"SecretId": "app", "Tags": [{"Key": "k", "Value": "v"}]}),
        "UntagResource" => json!({"SecretId": "app", "TagKeys": ["k"]}),
        "UpdateSecretVersionStage" => {
            json!({"SecretId": "app", "VersionStage": "more", "MoveToVersionId": token(1)})
        }
        "ValidateResourcePolicy" => json!({"ResourcePolicy": policy("*")}),
        _ => json!({"SecretId": "app"}),
    }
}

/// A legal value of a shape; other numbers give others.
fn legal(model: &Model, name: &str, number: u8) -> Value {
    let shape = model.shape(name);
    match shape.kind.as_str() {
        "string" if !shape.values.is_empty() => json!(shape.values[0]),
        "string" if name == "DurationType" => json!("3h"),
        "string" if name == "RegionType" => json!(format!("eu-west-{}", 1 + number % 3)),
        "string" if name == "ScheduleExpressionType" => json!("rate(9 days)"),
        // Days go with no expression.
        "structure" if name == "RotationRulesType" => json!({"ScheduleExpression": "rate(9 days)", "Duration": "3h"}),
        "string" => {
            json!(format!("{}{}", char::from(b'a' + number % 26), "x".repeat(shape.min.unwrap_or_default().max(3))))
        }
        "blob" => json!("YWJj"),
        "boolean" => json!(false),
        "integer" | "long" => json!(7),
        "list" => json!([legal(model, shape.member.as_ref().unwrap(), number)]),
        "structure" => {
            let members = shape.members.iter().map(|(member, inner)| (member.clone(), legal(model, inner, number)));
            Value::Object(members.collect())
        }
        other => panic!("{name} is {other}"),
    }
}

/// The base request with a value at a place, or without one.
fn request(model: &Model, place: &Place<'_>, value: Option<&Value>) -> Map<String, Value> {
    let mut request = base(place.operation).as_object().unwrap().clone();
    let input = model.operations[place.operation].input.as_str();
    put(model, input, &mut request, &place.steps, value);
    request
}

fn put(model: &Model, name: &str, into: &mut Map<String, Value>, steps: &[Step<'_>], value: Option<&Value>) {
    let Some((Step::Member(member), rest)) = steps.split_first() else { panic!("{steps:?} leads nowhere") };
    let inner = model.shape(name).members[*member].as_str();
    match build(model, inner, rest, value) {
        Some(built) => into.insert((*member).to_owned(), built),
        None => into.remove(*member),
    };
}

fn build(model: &Model, name: &str, steps: &[Step<'_>], value: Option<&Value>) -> Option<Value> {
    match steps.split_first() {
        None => value.cloned(),
        Some((Step::Item, rest)) => {
            let entry = model.shape(name).member.as_ref().unwrap();
            let entries = [Some(legal(model, entry, 0)), build(model, entry, rest, value)];
            Some(Value::Array(entries.into_iter().flatten().collect()))
        }
        Some((Step::Member(_), _)) => {
            let mut structure = legal(model, name, 1).as_object().unwrap().clone();
            put(model, name, &mut structure, steps, value);
            Some(Value::Object(structure))
        }
    }
}

/// One request to a server of its own.
fn send(operation: &str, request: &Map<String, Value>) -> Answer {
    Server::with_app().send(operation, &Value::Object(request.clone()))
}

/// One value of each kind that JSON has.
fn kinds() -> [(&'static str, Value); 7] {
    [
        ("text", json!("a")),
        ("number", json!(7)),
        ("fraction", json!(7.5)),
        ("true", json!(true)),
        ("list", json!([])),
        ("list of lists", json!([[]])),
        ("object", json!({})),
    ]
}

/// Values that a shape does not take.
fn wrong_kinds(shape: &Shape) -> Vec<Value> {
    let right: &[&str] = match shape.kind.as_str() {
        "string" => &["text"],
        // Text that is not base64 is as wrong.
        "blob" => &[],
        "boolean" => &["true"],
        "integer" | "long" => &["number"],
        "list" => &["list"],
        "structure" => &["object"],
        other => panic!("{other} in a request"),
    };
    let mut wrong: Vec<Value> =
        kinds().into_iter().filter(|(kind, _)| !right.contains(kind)).map(|(_, value)| value).collect();
    match shape.kind.as_str() {
        "integer" => wrong.extend([json!(2_147_483_648_i64), json!(-2_147_483_649_i64), json!(1e300)]),
        "long" => wrong.extend([json!(9_223_372_036_854_775_808_u64), json!(-1e19), json!(1e300)]),
        _ => {}
    }
    wrong
}

#[test]
fn every_member_has_its_name_and_takes_only_its_kind() {
    let model = model();
    for place in places(&model) {
        for wrong in wrong_kinds(model.shape(place.shape)) {
            let row = place.row(&wrong.to_string());
            // Every member on its line, the one in question last.
            let request = request(&model, &place, Some(&wrong));
            let Step::Member(last) = place.steps[0] else { panic!("{row}") };
            let lines = request
                .iter()
                .filter(|(member, _)| *member != last)
                .chain([(&last.to_owned(), &request[last])])
                .map(|(member, value)| format!("{}: {value}", json!(member)))
                .collect::<Vec<_>>();
            let (line, columns) = (lines.len(), lines.last().unwrap().len());
            let body = format!("{{{}\n}}", lines.join(",\n"));
            let server = Server::with_app();
            let before = server.epoch();
            let answer = server.send_bytes(place.operation, body.as_bytes());
            assert_eq!((answer.status, answer.code.as_str()), (400, SERIALIZATION), "{row}: {answer}");
            let message = answer.message();
            let told = message
                .strip_prefix("A member of the request is of the wrong type or appears twice, before line ")
                .and_then(|rest| rest.strip_suffix('.')?.split_once(", column "))
                .unwrap_or_else(|| panic!("{row}: {message}"));
            // Or before the brace behind it.
            let [told_line, told_column] = [told.0, told.1].map(|number| number.parse::<usize>().unwrap());
            let is_here = told_line == line && told_column <= columns + 2;
            assert!(is_here || (told_line == line + 1 && told_column <= 1), "{row}: {message} in {body}");
            assert_eq!(server.epoch(), before, "{row}");
        }
    }
}

#[test]
fn a_member_that_is_null_is_the_same_as_none() {
    let model = model();
    for place in places(&model) {
        let null = send(place.operation, &request(&model, &place, Some(&Value::Null)));
        if place.steps.last() == Some(&Step::Item) {
            assert_eq!(null.code, SERIALIZATION, "{}: {null}", place.row("null in a list"));
        } else {
            let absent = send(place.operation, &request(&model, &place, None));
            assert_eq!(null, absent, "{}", place.row("null"));
        }
    }
}

#[test]
fn members_that_an_operation_does_not_have_are_ignored_whatever_they_are() {
    let model = model();
    let mut names = BTreeSet::from(["NoSuchMember", "", "__type"]);
    for (_, operation) in model.each_operation() {
        names.extend(model.shape(&operation.input).members.keys().map(String::as_str));
    }
    for (operation, declared) in model.each_operation() {
        let base = base(operation).as_object().unwrap().clone();
        let expected = send(operation, &base);
        assert_eq!(expected.status, 200, "{operation}: {expected}");
        let members = &model.shape(&declared.input).members;
        let mut foreign: Vec<String> =
            names.iter().filter(|name| !members.contains_key(**name)).map(|name| (*name).to_owned()).collect();
        // Names are case-sensitive.
        foreign.extend(members.keys().flat_map(|name| [lower_camel(name), name.to_uppercase(), format!(" {name}")]));
        // All at once: none of them matters, so neither do they together.
        for (kind, value) in kinds() {
            let mut request = base.clone();
            for name in foreign.iter().filter(|name| !members.contains_key(*name)) {
                request.insert(name.clone(), value.clone());
            }
            assert_eq!(send(operation, &request), expected, "{operation}, {kind} for {foreign:?}");
        }
    }
}

#[test]
fn unknown_members_of_structures_are_ignored() {
    let model = model();
    let structures = places(&model).into_iter().filter(|place| model.shape(place.shape).kind == "structure");
    let mut visited = 0;
    for place in structures {
        let known = legal(&model, place.shape, 1);
        let mut more = known.clone();
        for (kind, value) in kinds() {
            more[format!("Unknown {kind}")] = value;
        }
        let expected = send(place.operation, &request(&model, &place, Some(&known)));
        assert_eq!(expected.status, 200, "{}", place.row("known"));
        assert_eq!(send(place.operation, &request(&model, &place, Some(&more))), expected, "{}", place.row("more"));
        visited += 1;
    }
    // Tags of CreateSecret and TagResource, filters of ListSecrets and BatchGetSecretValue, rules and metadata of RotateSecret,
    // Regions of CreateSecret and ReplicateSecretToRegions.
    assert_eq!(visited, 8);
}

/// Something that breaks one limit of a shape, and how the message goes on.
struct Violation {
    limit: &'static str,
    value: Value,
    /// What the message shows; `None` if it is not to be compared.
    shown: Option<String>,
    constraint: String,
}

fn violations(model: &Model, name: &str) -> Vec<Violation> {
    let shape = model.shape(name);
    let mut found = Vec::new();
    let mut add = |limit, value: Value, constraint: String| {
        let shown = match &value {
            Value::String(text) => Some(text.clone()),
            Value::Array(_) => None,
            other => Some(other.to_string()),
        };
        if !EXCEPTIONS.contains(&(name, limit)) {
            found.push(Violation { limit, value, shown, constraint });
        }
    };
    let measure = if matches!(shape.kind.as_str(), "integer" | "long") { "value" } else { "length" };
    if let Some(min) = shape.min.filter(|min| *min > 0) {
        let constraint = format!("Member must have {measure} greater than or equal to {min}");
        add("min", sized(model, name, min - 1), constraint);
    }
    if let Some(max) = shape.max {
        add("max", sized(model, name, max + 1), format!("Member must have {measure} less than or equal to {max}"));
    }
    if let Some(pattern) = &shape.pattern {
        let illegal = if pattern.contains(r"\*") { '@' } else { '*' };
        let text = format!("{}{illegal}", "a".repeat(shape.min.unwrap_or_default()));
        add("pattern", json!(text), format!("Member must satisfy regular expression pattern: {pattern}"));
    }
    if !shape.values.is_empty() {
        let constraint = format!("Member must satisfy enum value set: [{}]", shape.values.join(", "));
        for text in ["colour", "", &shape.values[0].to_uppercase()] {
            add("enum", json!(text), constraint.clone());
        }
    }
    found
}

/// A value of a shape of this size.
fn sized(model: &Model, name: &str, size: usize) -> Value {
    let shape = model.shape(name);
    match shape.kind.as_str() {
        // Characters are counted, not bytes, except where only ASCII is legal, and of values.
        "string" if ["NameType", "SecretIdType", "KmsKeyIdType"].contains(&name) => json!("n".repeat(size)),
        "string" if name == "DurationType" => json!(format!("{}h", "1".repeat(size - 1))),
        // The shortest one that fits the pattern has three characters.
        "string" if name == "RegionType" && size > 0 => json!(format!("{}-1", "n".repeat(size.max(3) - 2))),
        "string" if shape.pattern.is_some() || name == "SecretStringType" => json!("n".repeat(size)),
        "string" => json!("é".repeat(size)),
        "blob" => json!(base64(&vec![b'b'; size])),
        "integer" | "long" => json!(size),
        "list" => {
            let entry = |number| legal(model, shape.member.as_ref().unwrap(), u8::try_from(number).unwrap());
            Value::Array((0..size).map(entry).collect())
        }
        other => panic!("{name} is {other}"),
    }
}

#[test]
fn every_limit_is_enforced_one_past_it_and_told_in_the_services_words() {
    let model = model();
    let mut checked = 0;
    for place in places(&model) {
        let shape = model.shape(place.shape);
        for Violation { limit, value, shown, constraint } in violations(&model, place.shape) {
            let row = place.row(limit);
            let server = Server::with_app();
            let before = server.epoch();
            let answer = server.send(place.operation, &Value::Object(request(&model, &place, Some(&value))));
            assert_eq!((answer.status, answer.code.as_str()), (400, VALIDATION), "{row}: {answer}");
            let message = answer.message();
            let end = format!(" at '{}' failed to satisfy constraint: {constraint}", place.path());
            let start = "1 validation error detected: Value";
            match shown {
                _ if shape.sensitive => assert_eq!(message, format!("{start}{end}"), "{row}"),
                Some(shown) => assert_eq!(message, format!("{start} '{shown}'{end}"), "{row}"),
                None => assert!(message.starts_with(start) && message.ends_with(&end), "{row}: {message}"),
            }
            assert_eq!(server.epoch(), before, "{row}");
            checked += 1;
        }
    }
    assert_eq!(checked, 188, "limits of the model");
}

#[test]
fn every_limit_is_reached_without_being_broken() {
    let model = model();
    for place in places(&model) {
        let shape = model.shape(place.shape);
        let mut legal: Vec<Value> =
            [shape.min, shape.max].into_iter().flatten().map(|size| sized(&model, place.shape, size)).collect();
        legal.extend(shape.values.iter().map(|value| json!(value)));
        if let Some(pattern) = &shape.pattern {
            legal.push(match place.shape {
                "DurationType" => json!("09h"),
                "RegionType" => json!("az-z-a-09"),
                "ScheduleExpressionType" => json!("azAZ09 (),-*/#?"),
                _ if pattern.contains('!') => json!("!azAZ09 :_@/+=.-!".repeat(6)),
                _ => json!("azAZ09-".repeat(6)),
            });
        }
        for value in legal {
            let answer = send(place.operation, &request(&model, &place, Some(&value)));
            let shown: String = value.to_string().chars().take(60).collect();
            let row = place.row(&shown);
            assert!(![VALIDATION, SERIALIZATION].contains(&answer.code.as_str()), "{row}: {answer}");
            assert!([200, 400].contains(&answer.status), "{row}: {answer}");
        }
    }
}

/// Recorded in public for `secretId`: `Value null at 'secretId' failed to satisfy constraint: Member must not be null`.
#[test]
fn a_required_member_that_is_missing_is_named() {
    let model = model();
    let mut required = 0;
    for place in places(&model) {
        for value in [None, Some(&Value::Null)] {
            let answer = send(place.operation, &request(&model, &place, value));
            let message = format!(
                "1 validation error detected: Value null at '{}' failed to satisfy constraint: Member must not be null",
                place.path()
            );
            if place.is_required {
                answer.check(&place.row("missing"), 400, VALIDATION, &message);
                required += 1;
            } else if answer.code == VALIDATION {
                assert_ne!(answer.message(), message, "{}", place.row("missing"));
            }
        }
    }
    assert_eq!(required, 2 * 31);
}

/// Every limit of an operation that can be broken together with the others is broken in one request.
#[test]
fn all_violations_are_told_at_once() {
    let model = model();
    for (operation, declared) in model.each_operation() {
        let mut body = Map::new();
        let mut expected = BTreeSet::new();
        for place in places(&model).iter().filter(|place| place.operation == operation && place.steps.len() == 1) {
            let Step::Member(member) = place.steps[0] else { panic!("{place:?}") };
            let violation = violations(&model, place.shape).into_iter().next();
            let is_left_out = place.is_required && (violation.is_none() || expected.len() % 2 == 1);
            if is_left_out {
                let path = place.path();
                expected
                    .insert(format!("Value null at '{path}' failed to satisfy constraint: Member must not be null"));
            } else if let Some(violation) = violation {
                let single = send(operation, &request(&model, place, Some(&violation.value))).message();
                expected.insert(single.strip_prefix("1 validation error detected: ").unwrap().to_owned());
                body.insert(member.to_owned(), violation.value);
            }
        }
        if expected.is_empty() {
            assert!(model.shape(&declared.input).required.is_empty(), "{operation}");
            continue;
        }
        let answer = send(operation, &body);
        assert_eq!((answer.status, answer.code.as_str()), (400, VALIDATION), "{operation}: {answer}");
        let message = answer.message();
        let plural = if expected.len() == 1 { "error" } else { "errors" };
        let parts = message.strip_prefix(&format!("{} validation {plural} detected: ", expected.len()));
        let parts = parts.unwrap_or_else(|| panic!("{operation}: {message}"));
        assert_eq!(parts.split("; ").map(str::to_owned).collect::<BTreeSet<_>>(), expected, "{operation}");
    }
}

#[test]
fn violations_in_lists_are_told_by_their_places() {
    let filters = json!({
        "Filters": [{"Key": "colour", "Values": ["a", "b*"]}, {"Key": "name", "Values": ["x".repeat(513)]}],
        "SortOrder": "up",
    });
    let keys = "[description, name, tag-key, tag-value, primary-region, owning-service, all]";
    let expected = [
        "4 validation errors detected: ".to_owned(),
        format!(
            "Value 'colour' at 'filters.1.member.key' failed to satisfy constraint: Member must satisfy enum value set: {keys}; "
        ),
        "Value 'b*' at 'filters.1.member.values.2.member' failed to satisfy constraint: ".to_owned(),
        r"Member must satisfy regular expression pattern: ^\!?[a-zA-Z0-9 :_@\/\+\=\.\-\!]*$; ".to_owned(),
        format!("Value '{}' at 'filters.2.member.values.1.member' failed to satisfy constraint: ", "x".repeat(513)),
        "Member must have length less than or equal to 512; ".to_owned(),
        "Value 'up' at 'sortOrder' failed to satisfy constraint: Member must satisfy enum value set: [asc, desc]"
            .to_owned(),
    ];
    Server::new().send("ListSecrets", &filters).check("filters", 400, VALIDATION, &expected.concat());
    let tags = json!({"SecretId": "", "Tags": [{"Key": "", "Value": "v"}, {"Key": "k", "Value": "x".repeat(257)}]});
    let expected = format!(
        "3 validation errors detected: \
         Value '' at 'secretId' failed to satisfy constraint: Member must have length greater than or equal to 1; \
         Value '' at 'tags.1.member.key' failed to satisfy constraint: Member must have length greater than or equal to 1; \
         Value '{}' at 'tags.2.member.value' failed to satisfy constraint: Member must have length less than or equal to 256",
        "x".repeat(257)
    );
    Server::new().send("TagResource", &tags).check("tags", 400, VALIDATION, &expected);
}

/// What the service says in its own words, and not as a limit of a shape, although the model has one or seems to.
#[test]
fn what_is_not_refused_as_a_limit_of_a_shape_is_refused_in_its_own_words() {
    let days = "The RecoveryWindowInDays value must be between 7 and 30 days (inclusive).";
    let (key, values) = ("Invalid filter key", "Invalid filter values for key: name");
    let short = "1 validation error detected: Value '' at 'tags.1.member.key' failed to satisfy constraint: \
                 Member must have length greater than or equal to 1";
    let no_region = "1 validation error detected: Value '' at 'addReplicaRegions.1.member.region' failed to satisfy \
                     constraint: Member must have length greater than or equal to 1";
    let invalid = "InvalidParameterException";
    let rows = [
        // The range of days is in the documentation of the operation, not in the model.
        ("DeleteSecret", json!({"SecretId": "app", "RecoveryWindowInDays": 6}), invalid, days),
        ("DeleteSecret", json!({"SecretId": "app", "RecoveryWindowInDays": 31}), invalid, days),
        // The model requires neither member of a filter.
        ("ListSecrets", json!({"Filters": [{"Values": ["a"]}]}), invalid, key),
        ("ListSecrets", json!({"Filters": [{"Key": "name"}]}), invalid, values),
        ("BatchGetSecretValue", json!({"Filters": [{"Key": "name", "Values": []}]}), invalid, values),
        // Nor of a tag: a value that is missing is empty, and so is a key, which then is too short.
        ("TagResource", json!({"SecretId": "app", "Tags": [{"Value": "v"}]}), VALIDATION, short),
        // Nor of a replica its Region.
        (
            "CreateSecret",
            json!({"Name": "new", "AddReplicaRegions": [{"KmsKeyId": "alias/own"}]}),
            VALIDATION,
            no_region,
        ),
    ];
    for (operation, body, code, message) in rows {
        Server::with_app().send(operation, &body).check(&body.to_string(), 400, code, message);
    }
}

/// The quota of the service is in bytes, the model's limit in characters.
#[test]
fn a_value_is_limited_in_bytes() {
    let create = |text: String| send("CreateSecret", json!({"Name": "new", "SecretString": text}).as_object().unwrap());
    assert_eq!(create("é".repeat(32_768)).status, 200);
    let message = "1 validation error detected: Value at 'secretString' failed to satisfy constraint: \
                   Member must have length less than or equal to 65536";
    create(format!("{}a", "é".repeat(32_768))).check("65,537 bytes", 400, VALIDATION, message);
}
