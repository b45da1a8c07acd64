//! The API model, trimmed to names, kinds and limits.

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

pub(crate) fn model() -> Model {
    serde_json::from_str(include_str!("api_model.json")).expect("the trimmed model is read")
}

impl Model {
    pub(crate) fn shape(&self, name: &str) -> &Shape {
        self.shapes.get(name).unwrap_or_else(|| panic!("no shape {name}"))
    }

    /// Operations by name.
    pub(crate) fn each_operation(&self) -> impl Iterator<Item = (&str, &Operation)> {
        self.operations.iter().map(|(name, operation)| (name.as_str(), operation))
    }

    /// A shape and everything inside it.
    pub(crate) fn reach<'a>(&'a self, name: &'a str, reached: &mut BTreeSet<&'a str>) {
        if !reached.insert(name) {
            return;
        }
        let shape = self.shape(name);
        let parts = [&shape.member, &shape.key, &shape.value];
        for inner in shape.members.values().chain(parts.into_iter().flatten()) {
            self.reach(inner, reached);
        }
    }
}

/// As paths in messages write a member.
pub(crate) fn lower_camel(member: &str) -> String {
    let mut letters = member.chars();
    letters.next().into_iter().flat_map(char::to_lowercase).chain(letters).collect()
}

/// Every shape of the model is used by an operation, and then checked by the tests beside this.
#[test]
fn every_shape_of_the_model_is_accounted_for() {
    let model = model();
    let mut asked = BTreeSet::new();
    let mut answered = BTreeSet::new();
    let mut errors = BTreeSet::new();
    for operation in model.operations.values() {
        model.reach(&operation.input, &mut asked);
        operation.output.iter().for_each(|output| model.reach(output, &mut answered));
        operation.errors.iter().for_each(|error| model.reach(error, &mut errors));
    }
    let used: BTreeSet<&str> = asked.union(&answered).chain(&errors).copied().collect();
    assert_eq!(used, model.shapes.keys().map(String::as_str).collect(), "a shape that nothing uses");
    assert_eq!((model.shapes.len(), model.operations.len()), (153, 26));
    assert_eq!(asked, crate::shapes::visited(&model), "the walk through the requests leaves something out");
    assert_eq!(answered, crate::answers::visited(&model), "the walk through the answers leaves something out");
    assert_eq!(errors, crate::errors::visited(&model), "the walk through the errors leaves something out");
    assert_eq!((asked.len(), answered.len(), errors.len()), (82, 89, 13));
}
