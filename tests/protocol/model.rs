//! The API model, trimmed to names, kinds and limits, and which part of it is not there yet.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

#[derive(Debug, Deserialize)]
pub(crate) struct Model {
    pub(crate) operations: BTreeMap<String, Operation>,
    pub(crate) shapes: BTreeMap<String, Shape>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Operation {
    pub(crate) input: String,
    pub(crate) output: Option<String>,
    pub(crate) errors: Vec<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Shape {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    #[serde(default)]
    pub(crate) members: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) required: Vec<String>,
    pub(crate) min: Option<usize>,
    pub(crate) max: Option<usize>,
    pub(crate) pattern: Option<String>,
    #[serde(default, rename = "enum")]
    pub(crate) values: Vec<String>,
    #[serde(default)]
    pub(crate) sensitive: bool,
    #[serde(default)]
    pub(crate) exception: bool,
    pub(crate) member: Option<String>,
    pub(crate) key: Option<String>,
    pub(crate) value: Option<String>,
}

/// Operations that are refused as not implemented.
pub(crate) const MISSING_OPERATIONS: [&str; 5] = [
    "AssociateCrossAccountReplica",
    "DisassociateCrossAccountReplica",
    "RemoveRegionsFromReplication",
    "ReplicateSecretToRegions",
    "StopReplicationToReplica",
];

/// Members of requests that are refused as not implemented, because ignoring them would do something else.
pub(crate) const REFUSED_MEMBERS: [(&str, &str); 2] =
    [("CreateSecretRequest", "AddReplicaRegions"), ("CreateSecretRequest", "CrossAccountPrimaryARN")];

/// Members of requests that are ignored: they change something only together with those that are refused.
pub(crate) const IGNORED_MEMBERS: [(&str, &str); 1] = [("CreateSecretRequest", "ForceOverwriteReplicaSecret")];

/// Members of answers that cannot appear before there is replication.
pub(crate) const MISSING_ANSWERS: [(&str, &str); 6] = [
    ("CreateSecretResponse", "ReplicationStatus"),
    ("DescribeSecretResponse", "CrossAccountPrimary"),
    ("DescribeSecretResponse", "CrossAccountReplicas"),
    ("DescribeSecretResponse", "PrimaryRegion"),
    ("DescribeSecretResponse", "ReplicationStatus"),
    ("SecretListEntry", "PrimaryRegion"),
];

pub(crate) fn model() -> Model {
    serde_json::from_str(include_str!("api_model.json")).expect("the trimmed model is read")
}

impl Model {
    pub(crate) fn shape(&self, name: &str) -> &Shape {
        self.shapes.get(name).unwrap_or_else(|| panic!("no shape {name}"))
    }

    /// Operations that are there.
    pub(crate) fn implemented(&self) -> impl Iterator<Item = (&str, &Operation)> {
        let all = self.operations.iter().map(|(name, operation)| (name.as_str(), operation));
        all.filter(|(name, _)| !MISSING_OPERATIONS.contains(name))
    }

    /// A shape and everything inside it, except behind some members.
    pub(crate) fn reach<'a>(&'a self, name: &'a str, except: &[(&str, &str)], reached: &mut BTreeSet<&'a str>) {
        if !reached.insert(name) {
            return;
        }
        let shape = self.shape(name);
        let members = shape.members.iter().filter(|(member, _)| !except.contains(&(name, member.as_str())));
        let parts = [&shape.member, &shape.key, &shape.value];
        for inner in members.map(|(_, shape)| shape).chain(parts.into_iter().flatten()) {
            self.reach(inner, except, reached);
        }
    }
}

/// As paths in messages write a member.
pub(crate) fn lower_camel(member: &str) -> String {
    let mut letters = member.chars();
    letters.next().into_iter().flat_map(char::to_lowercase).chain(letters).collect()
}

/// Every shape of the model is either used by something that is there, and then checked by the tests beside this, or
/// only by something that is not.
#[test]
fn every_shape_of_the_model_is_accounted_for() {
    let model = model();
    let not_read = [REFUSED_MEMBERS.as_slice(), &IGNORED_MEMBERS].concat();
    let mut asked = BTreeSet::new();
    let mut answered = BTreeSet::new();
    let mut errors = BTreeSet::new();
    let mut all = BTreeSet::new();
    for (_, operation) in model.implemented() {
        model.reach(&operation.input, &not_read, &mut asked);
        operation.output.iter().for_each(|output| model.reach(output, &MISSING_ANSWERS, &mut answered));
    }
    for operation in model.operations.values() {
        for shape in [&operation.input].into_iter().chain(&operation.output) {
            model.reach(shape, &[], &mut all);
        }
        operation.errors.iter().for_each(|error| model.reach(error, &[], &mut errors));
    }
    let used: BTreeSet<&str> = asked.union(&answered).copied().collect();
    let known: BTreeSet<&str> = all.union(&errors).copied().collect();
    assert_eq!(known, model.shapes.keys().map(String::as_str).collect(), "a shape that nothing uses");
    assert_eq!(model.shapes.len(), 153);
    assert_eq!(model.operations.len(), 26);
    assert_eq!(model.implemented().count(), 26 - MISSING_OPERATIONS.len());
    assert_eq!(asked, crate::shapes::visited(&model), "the walk through the requests leaves something out");
    assert_eq!(answered, crate::answers::visited(&model), "the walk through the answers leaves something out");
    assert_eq!(errors, crate::errors::visited(&model), "the walk through the errors leaves something out");
    let only_missing = all.iter().filter(|shape| !used.contains(*shape) && !errors.contains(*shape)).count();
    assert_eq!((asked.len(), answered.len(), errors.len(), only_missing), (71, 76, 13, 22));
}
