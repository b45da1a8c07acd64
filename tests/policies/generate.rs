//! Policies and requests that follow from a seed. Values come from small sets, so that policies and requests often meet.

#[path = "generate/pools.rs"]
mod pools;

use std::collections::BTreeMap;

use pools::{
    ACTION_PATTERNS, ACTIONS, ARN_PATTERNS, BLOCKS, NAME_PATTERNS, OTHERS, OWNER, PARTNER, PEOPLE, RESOURCE_PATTERNS,
    RESOURCES, TEXT_PATTERNS,
};
pub(crate) use pools::{CANONICAL, KEYS, Kind, plain_date};
use serde_json::{Map, Value, json};
use strongroom::{AuthorizationRequest, Decision, IdentityPolicy, Policies, Principal, RequestContext, ResourcePolicy};

/// Numbers that follow from a seed.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end).unwrap()).unwrap()
    }

    pub(crate) fn percent(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub(crate) fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Doc {
    pub(crate) version: Option<&'static str>,
    pub(crate) statements: Vec<Stmt>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Stmt {
    pub(crate) sid: Option<String>,
    pub(crate) effect: &'static str,
    pub(crate) principal: Option<Who>,
    pub(crate) actions: List,
    pub(crate) resources: List,
    pub(crate) conditions: Vec<Cond>,
}

/// `Principal` or `NotPrincipal`: types and names. Without any it is `"*"`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Who {
    pub(crate) negated: bool,
    pub(crate) entries: Vec<(&'static str, String)>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct List {
    pub(crate) negated: bool,
    pub(crate) of: Vec<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Cond {
    pub(crate) operator: String,
    pub(crate) key: String,
    pub(crate) values: Vec<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Ask {
    pub(crate) person: Person,
    pub(crate) action: String,
    pub(crate) resource: String,
    pub(crate) context: BTreeMap<String, Vec<String>>,
}

/// Who asks.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Person {
    /// By ARN.
    Aws(String),
    Service(String),
    Federated(String),
    Canonical(String),
    Anonymous,
}

/// Policies and a request.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Pair {
    pub(crate) identity: Vec<Doc>,
    pub(crate) resource: Option<Doc>,
    pub(crate) ask: Ask,
}

fn one_or_many(values: &[String]) -> Value {
    if let [only] = values { json!(only) } else { json!(values) }
}

impl Doc {
    pub(crate) fn json(&self) -> Value {
        let mut members = Map::new();
        if let Some(version) = self.version {
            members.insert("Version".to_owned(), json!(version));
        }
        let statements: Vec<Value> = self.statements.iter().map(Stmt::json).collect();
        members.insert("Statement".to_owned(), json!(statements));
        Value::Object(members)
    }

    pub(crate) fn text(&self) -> String {
        self.json().to_string()
    }

    pub(crate) fn has_variables(&self) -> bool {
        self.version == Some("2012-10-17")
    }
}

impl Stmt {
    pub(crate) fn json(&self) -> Value {
        let mut members = Map::new();
        let mut add = |name: String, value| drop(members.insert(name, value));
        if let Some(sid) = &self.sid {
            add("Sid".to_owned(), json!(sid));
        }
        add("Effect".to_owned(), json!(self.effect));
        let name = |negated: bool, name: &str| if negated { format!("Not{name}") } else { name.to_owned() };
        if let Some(who) = &self.principal {
            add(name(who.negated, "Principal"), who.json());
        }
        add(name(self.actions.negated, "Action"), one_or_many(&self.actions.of));
        add(name(self.resources.negated, "Resource"), one_or_many(&self.resources.of));
        if !self.conditions.is_empty() {
            let mut operators: Map<String, Value> = Map::new();
            for Cond { operator, key, values } in &self.conditions {
                let keys = operators.entry(operator.clone()).or_insert_with(|| json!({}));
                keys[key] = one_or_many(values);
            }
            add("Condition".to_owned(), Value::Object(operators));
        }
        Value::Object(members)
    }
}

impl Who {
    fn json(&self) -> Value {
        if self.entries.is_empty() {
            return json!("*");
        }
        let mut types: Map<String, Value> = Map::new();
        for kind in ["AWS", "Service", "Federated", "CanonicalUser"] {
            let of: Vec<String> =
                self.entries.iter().filter(|(of, _)| *of == kind).map(|(_, name)| name.clone()).collect();
            if !of.is_empty() {
                types.insert(kind.to_owned(), one_or_many(&of));
            }
        }
        Value::Object(types)
    }
}

impl Person {
    pub(crate) fn principal(&self) -> Principal {
        match self {
            Self::Aws(arn) => Principal::parse(arn).unwrap(),
            Self::Service(name) => Principal::service(name.as_str()),
            Self::Federated(name) => Principal::federated(name.as_str()),
            Self::Canonical(id) => Principal::canonical_user(id.as_str()),
            Self::Anonymous => Principal::anonymous(),
        }
    }

    /// As a policy names exactly them: type and name.
    pub(crate) fn entry(&self) -> Option<(&'static str, String)> {
        match self {
            Self::Aws(arn) => Some(("AWS", arn.clone())),
            Self::Service(name) => Some(("Service", name.clone())),
            Self::Federated(name) => Some(("Federated", name.clone())),
            Self::Canonical(id) => Some(("CanonicalUser", id.clone())),
            Self::Anonymous => None,
        }
    }

    pub(crate) fn account(&self) -> Option<&str> {
        if let Self::Aws(arn) = self { arn.split(':').nth(4) } else { None }
    }

    pub(crate) fn is_root(&self) -> bool {
        matches!(self, Self::Aws(arn) if arn.ends_with(":root"))
    }

    /// The account and the name of the role that a session is of.
    pub(crate) fn session(&self) -> Option<(&str, &str)> {
        let Self::Aws(arn) = self else { return None };
        let role = arn.split_once(":assumed-role/")?.1.split('/').next()?;
        Some((self.account()?, role))
    }

    /// The condition keys that follow from somebody of an account.
    fn keys(&self) -> Vec<(&'static str, String)> {
        let Self::Aws(arn) = self else {
            let is_service = matches!(self, Self::Service(_));
            return vec![
                ("aws:PrincipalIsAWSService", is_service.to_string()),
                ("aws:PrincipalType", if is_service { "Service" } else { "Anonymous" }.to_owned()),
            ];
        };
        let account = self.account().unwrap();
        let shown = self.session().map(|(account, role)| format!("arn:aws:iam::{account}:role/{role}"));
        let kind = match arn.rsplit(':').next().unwrap().split('/').next().unwrap() {
            "root" => "Account",
            "user" => "User",
            "federated-user" => "FederatedUser",
            _ => "AssumedRole",
        };
        let mut keys = vec![
            ("aws:PrincipalArn", shown.unwrap_or_else(|| arn.clone())),
            ("aws:PrincipalAccount", account.to_owned()),
            ("aws:PrincipalType", kind.to_owned()),
            ("aws:PrincipalIsAWSService", "false".to_owned()),
        ];
        if kind == "User" {
            keys.push(("aws:username", arn.rsplit('/').next().unwrap().to_owned()));
        }
        keys
    }
}

impl Ask {
    pub(crate) fn request(&self) -> AuthorizationRequest {
        let context =
            self.context.iter().fold(RequestContext::new(), |context, (key, values)| match values.as_slice() {
                [value] => context.with(key, value),
                values => context.with_list(key, values.iter().cloned()),
            });
        AuthorizationRequest::new(self.person.principal(), &self.action, self.resource.clone()).context(context)
    }

    /// The context with the keys that follow from whoever asks.
    pub(crate) fn full_context(&self) -> BTreeMap<String, Vec<String>> {
        let keys = self.person.keys().into_iter().map(|(key, value)| (key.to_owned(), vec![value]));
        let mut all: BTreeMap<String, Vec<String>> = keys.collect();
        all.extend(self.context.clone());
        all
    }

    /// The values of a key, whatever the case of its name.
    pub(crate) fn values(&self, key: &str) -> Option<Vec<String>> {
        self.full_context().into_iter().find(|(known, _)| known.eq_ignore_ascii_case(key)).map(|(_, values)| values)
    }

    /// The account that has the resource.
    pub(crate) fn owner(&self) -> Option<&str> {
        self.resource.split(':').nth(4).filter(|account| !account.is_empty()).or(self.person.account())
    }
}

impl Pair {
    pub(crate) fn decision(&self) -> Decision {
        let identity: Vec<IdentityPolicy> =
            self.identity.iter().map(|doc| read(doc, IdentityPolicy::parse(&doc.text()))).collect();
        let resource = self.resource.as_ref().map(|doc| read(doc, ResourcePolicy::parse(&doc.text())));
        let policies = Policies::new().identity(&identity);
        let policies = resource.as_ref().map_or(policies, |resource| policies.resource(resource));
        policies.evaluate(&self.ask.request()).decision
    }

    pub(crate) fn docs_mut(&mut self) -> impl Iterator<Item = &mut Doc> {
        self.identity.iter_mut().chain(&mut self.resource)
    }

    pub(crate) fn shown(&self) -> String {
        let identity: Vec<String> = self.identity.iter().map(Doc::text).collect();
        let resource = self.resource.as_ref().map(Doc::text);
        format!("identity {identity:#?}\nresource {resource:#?}\nrequest {:#?}", self.ask)
    }
}

fn read<T>(doc: &Doc, parsed: Result<T, strongroom::PolicyFault>) -> T {
    parsed.unwrap_or_else(|fault| panic!("{fault}: {}", doc.text()))
}

/// For whom pairs are generated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    /// Whoever knows nothing of accounts, and sets only of texts, ARNs and truth values.
    Statements,
    /// Whoever knows only principals that have an account.
    Accounts,
    /// Whoever reads everything.
    Language,
}

impl Profile {
    /// `ForAnyValue` and `ForAllValues` with numbers, dates, addresses and bytes, and with `IfExists`.
    fn has_all_sets(self) -> bool {
        self != Self::Statements
    }

    /// Requests about no resource.
    fn has_no_resource(self) -> bool {
        self != Self::Statements
    }

    /// Whoever has no account.
    fn has_others(self) -> bool {
        self != Self::Accounts
    }

    /// Operators without a prefix on keys with several values, for which the documentation gives no rule.
    fn has_plain_on_lists(self) -> bool {
        self == Self::Language
    }
}

pub(crate) fn pair(random: &mut Random, profile: Profile) -> Pair {
    let ask = ask(random, profile);
    let identity = (0..*random.pick(&[0, 1, 1, 1, 2])).map(|_| doc(random, profile, &ask, false)).collect();
    let resource = random.percent(70).then(|| doc(random, profile, &ask, true));
    Pair { identity, resource, ask }
}

fn ask(random: &mut Random, profile: Profile) -> Ask {
    let person = if profile.has_others() && random.percent(25) {
        match random.pick(&OTHERS) {
            ("Service", name) => Person::Service((*name).to_owned()),
            ("Federated", name) => Person::Federated((*name).to_owned()),
            ("CanonicalUser", id) => Person::Canonical((*id).to_owned()),
            _ => Person::Anonymous,
        }
    } else {
        Person::Aws((*random.pick(&PEOPLE)).to_owned())
    };
    let resources = if profile.has_no_resource() { &RESOURCES[..] } else { &RESOURCES[..RESOURCES.len() - 1] };
    let mut context = BTreeMap::new();
    for (key, kind, values) in KEYS {
        if person.keys().iter().any(|(known, _)| *known == key) || key == "aws:username" || random.percent(35) {
            continue;
        }
        let count = if kind == Kind::Texts { random.below(4) } else { 1 };
        let mut held: Vec<String> = Vec::new();
        for _ in 0..count {
            let value = (*random.pick(values)).to_owned();
            if !held.contains(&value) {
                held.push(value);
            }
        }
        context.insert(key.to_owned(), held);
    }
    Ask { person, action: (*random.pick(&ACTIONS)).to_owned(), resource: (*random.pick(resources)).to_owned(), context }
}

/// A document about a request, or about something near to it.
pub(crate) fn doc(random: &mut Random, profile: Profile, ask: &Ask, of_resource: bool) -> Doc {
    let version = if random.percent(70) { Some("2012-10-17") } else { *random.pick(&[Some("2008-10-17"), None]) };
    let count = 1 + random.below(3);
    Doc { version, statements: (0..count).map(|_| statement(random, profile, ask, of_resource)).collect() }
}

fn statement(random: &mut Random, profile: Profile, ask: &Ask, of_resource: bool) -> Stmt {
    let effect = if random.percent(70) { "Allow" } else { "Deny" };
    let principal = of_resource.then(|| principal(random, ask, effect));
    let mut conditions: Vec<Cond> = Vec::new();
    for _ in 0..*random.pick(&[0, 1, 1, 1, 1, 2]) {
        let condition = condition(random, profile, ask);
        let is_same =
            |other: &Cond| other.operator == condition.operator && other.key.eq_ignore_ascii_case(&condition.key);
        if !conditions.iter().any(is_same) {
            conditions.push(condition);
        }
    }
    Stmt {
        sid: None,
        effect,
        principal,
        actions: list(random, &ACTION_PATTERNS, &ask.action),
        resources: list(random, &RESOURCE_PATTERNS, &ask.resource),
        conditions,
    }
}

fn list(random: &mut Random, patterns: &[&str], asked: &str) -> List {
    let count = 1 + random.below(2);
    let mut of: Vec<String> = (0..count).map(|_| (*random.pick(patterns)).to_owned()).collect();
    if random.percent(25) && (asked.contains(':') || asked == "*") && !asked.contains("odd*") {
        of.push(asked.to_owned());
    }
    List { negated: random.percent(15), of }
}

fn principal(random: &mut Random, ask: &Ask, effect: &str) -> Who {
    let negated = effect == "Deny" && random.percent(35);
    if !negated && random.percent(20) {
        return Who { negated, entries: Vec::new() };
    }
    let mut entries = Vec::new();
    for _ in 0..1 + random.below(3) {
        entries.push(match random.below(10) {
            0..=2 => ("AWS", (*random.pick(&PEOPLE)).to_owned()),
            3 => ("AWS", (*random.pick(&[OWNER, PARTNER])).to_owned()),
            4 | 5 => {
                let (kind, name) = random.pick(&OTHERS[..8]);
                (*kind, (*name).to_owned())
            }
            7 if !negated && ask.person.session().is_some() => {
                let (account, role) = ask.person.session().unwrap();
                ("AWS", format!("arn:aws:iam::{account}:role/{role}"))
            }
            6 if !negated => ("AWS", "*".to_owned()),
            _ => ask.person.entry().unwrap_or(("AWS", OWNER.to_owned())),
        });
    }
    if negated && random.percent(60) {
        // As the documentation says that it has to be done.
        entries.extend(ask.person.entry());
        entries.extend(ask.person.account().map(|account| ("AWS", format!("arn:aws:iam::{account}:root"))));
        let role = ask.person.session().map(|(account, role)| format!("arn:aws:iam::{account}:role/{role}"));
        entries.extend(role.filter(|_| random.percent(70)).map(|role| ("AWS", role)));
    }
    Who { negated, entries }
}

fn condition(random: &mut Random, profile: Profile, ask: &Ask) -> Cond {
    // Those with many forms more often.
    let key = if random.percent(25) {
        *random.pick(&["aws:PrincipalTag/team", "aws:SourceArn", "secretsmanager:Name"])
    } else {
        random.pick(&KEYS).0
    };
    let (key, kind, values) = *KEYS.iter().find(|(known, ..)| *known == key).unwrap();
    let known = ask.values(key).unwrap_or_default();
    if random.percent(8) {
        let absent = (*random.pick(&["true", "false"])).to_owned();
        return Cond { operator: "Null".to_owned(), key: cased(random, key), values: vec![absent] };
    }
    let (tests, patterns): (&[&str], &[&str]) = match kind {
        Kind::Text if key == "aws:PrincipalTag/team" && random.percent(20) => {
            (&["StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase"], &["É", "é"])
        }
        Kind::Text if key == "secretsmanager:Name" && random.percent(60) => {
            (&["StringLike", "StringNotLike"], &NAME_PATTERNS)
        }
        Kind::Text | Kind::Texts => match random.below(2) {
            0 => (&["StringLike", "StringNotLike"], &TEXT_PATTERNS),
            _ => (
                &["StringEquals", "StringNotEquals", "StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase"],
                &["${aws:username}", "a${*}b", "${aws:PrincipalTag/team, 'red'}", "a*b", "RED", "É", "é"],
            ),
        },
        Kind::Number => (
            &[
                "NumericEquals",
                "NumericNotEquals",
                "NumericLessThan",
                "NumericLessThanEquals",
                "NumericGreaterThan",
                "NumericGreaterThanEquals",
            ],
            values,
        ),
        Kind::Date => (
            &[
                "DateEquals",
                "DateNotEquals",
                "DateLessThan",
                "DateLessThanEquals",
                "DateGreaterThan",
                "DateGreaterThanEquals",
            ],
            values,
        ),
        Kind::Truth => (&["Bool"], values),
        Kind::Address => (&["IpAddress", "NotIpAddress"], &BLOCKS),
        Kind::Arn => (&["ArnEquals", "ArnLike", "ArnNotEquals", "ArnNotLike"], &ARN_PATTERNS),
        Kind::Bytes => (&["BinaryEquals"], values),
    };
    let test = *random.pick(tests);
    let is_text = matches!(kind, Kind::Text | Kind::Texts | Kind::Arn);
    let quantifier = match kind {
        Kind::Texts if !profile.has_plain_on_lists() || random.percent(70) => {
            *random.pick(&["ForAnyValue:", "ForAllValues:"])
        }
        _ if (is_text || kind == Kind::Truth || profile.has_all_sets()) && random.percent(12) => {
            *random.pick(&["ForAnyValue:", "ForAllValues:"])
        }
        _ => "",
    };
    let if_exists =
        if random.percent(15) && (quantifier.is_empty() || profile.has_all_sets()) { "IfExists" } else { "" };
    let count = if kind == Kind::Truth { 1 } else { 1 + random.below(3) };
    let mut expected: Vec<String> = Vec::new();
    for _ in 0..count {
        let value = match random.below(10) {
            0..=3 if !known.is_empty() && kind != Kind::Address && !known[0].contains("$5") => {
                random.pick(&known).as_str()
            }
            4..=6 => *random.pick(patterns),
            _ if kind == Kind::Address => *random.pick(patterns),
            _ => *random.pick(values),
        };
        expected.push(value.to_owned());
    }
    Cond { operator: format!("{quantifier}{test}{if_exists}"), key: cased(random, key), values: expected }
}

/// A key, perhaps in another case.
fn cased(random: &mut Random, key: &str) -> String {
    if random.percent(10) { key.to_ascii_lowercase() } else { key.to_owned() }
}
