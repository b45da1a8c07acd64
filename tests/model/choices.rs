//! What the service leaves open, as this engine has chosen.

pub(crate) const LABELS: &str = "A secret can have at most 20 staging labels over all its versions.";
pub(crate) const TAGS: &str = "A secret can have at most 50 tags.";
pub(crate) const PUT_OTHER_POLICY: &str = "You can only attach the resource policy with the name default.";
pub(crate) const DELETE_OTHER_POLICY: &str = "You can only delete the resource policy with the name default.";
pub(crate) const NO_VERSION: &str = "You must provide RemoveFromVersionId, MoveToVersionId, or both.";

pub(crate) fn secrets(max: usize) -> String {
    format!("You can have at most {max} secrets in an account and Region.")
}

pub(crate) fn reserved_tag(key: &str) -> String {
    format!("Tag keys that begin with aws: are reserved for system use. Remove the tag with key {key}.")
}

pub(crate) fn duplicate_tag(key: &str) -> String {
    format!("Tag key {key} appears more than once in the request.")
}

/// The service declares no error of its own for a token that names a version, so this has the text of the other operations.
pub(crate) fn token_of_version(token: &str, arn: &str) -> String {
    format!(
        "You can't use ClientRequestToken {token} because that value is already in use for a version of secret {arn}."
    )
}

/// How a list is shown that has too few or too many members.
pub(crate) fn list_shown(length: usize) -> String {
    if length == 0 { "[]".to_owned() } else { format!("[{length} members]") }
}

pub(crate) fn versions(max: usize) -> String {
    format!(
        "The secret has {max} versions that can't be removed yet. Versions without staging labels are removed when they \
         are older than 24 hours."
    )
}

pub(crate) fn elsewhere(stage: &str, holder: Option<&String>) -> String {
    let which = holder.map_or(String::new(), |holder| format!(", which is {holder}"));
    format!(
        "When you move staging label {stage}, if you specify RemoveFromVersionId, it must be set to the version that \
         currently has the staging label{which}."
    )
}

/// How much of a refused value a message repeats.
pub(crate) fn value_shown(value: &str) -> String {
    value.chars().take(24_576).collect()
}
