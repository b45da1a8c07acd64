//! Limits of the members of a request, and the sentences in which their violations are told.

use crate::choices::{list_shown, value_shown};
use crate::model::{Failure, failure};
use crate::request::{Filter, Given, Tags};

/// Violations in the order in which they were found.
#[derive(Default)]
pub(crate) struct Shape {
    violations: Vec<String>,
}

impl Shape {
    pub(crate) fn check(self) -> Result<(), Failure> {
        let count = self.violations.len();
        if count == 0 {
            return Ok(());
        }
        let noun = if count == 1 { "error" } else { "errors" };
        failure("ValidationException", format!("{count} validation {noun} detected: {}", self.violations.join("; ")))
    }

    fn violated(&mut self, value: Option<&str>, path: &str, constraint: String) {
        let value = value.map_or(String::new(), |value| format!(" '{}'", value_shown(value)));
        self.violations
            .push(format!("Value{value} at '{path}' failed to satisfy constraint: Member must {constraint}"));
    }

    fn length(&mut self, shown: Option<&str>, path: &str, length: usize, min: usize, max: usize) {
        if length < min {
            self.violated(shown, path, format!("have length greater than or equal to {min}"));
        } else if length > max {
            self.violated(shown, path, format!("have length less than or equal to {max}"));
        }
    }

    pub(crate) fn text(mut self, path: &str, text: &str, min: usize, max: usize) -> Self {
        self.length(Some(text), path, text.chars().count(), min, max);
        self
    }

    pub(crate) fn opt_text(self, path: &str, text: &Option<String>, min: usize, max: usize) -> Self {
        match text {
            Some(text) => self.text(path, text, min, max),
            None => self,
        }
    }

    pub(crate) fn secret_id(self, id: &str) -> Self {
        self.text("secretId", id, 1, 2048)
    }

    pub(crate) fn version_id(self, path: &str, id: &Option<String>) -> Self {
        self.opt_text(path, id, 32, 64)
    }

    pub(crate) fn next_token(self, token: &Option<String>) -> Self {
        self.opt_text("nextToken", token, 1, 4096)
    }

    pub(crate) fn value(mut self, value: &Given) -> Self {
        if let Some(string) = &value.string {
            self.length(None, "secretString", string.len(), 1, 65_536);
        }
        if let Some(binary) = &value.binary {
            self.length(None, "secretBinary", binary.0.len(), 1, 65_536);
        }
        self
    }

    pub(crate) fn rotation_token(mut self, token: &Option<String>) -> Self {
        if let Some(token) = token {
            self.length(None, "rotationToken", token.chars().count(), 36, 256);
            if token.is_empty() || !token.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
                self.violated(None, "rotationToken", r"satisfy regular expression pattern: ^[a-zA-Z0-9\-]+$".into());
            }
        }
        self
    }

    pub(crate) fn policy_name(mut self, name: &Option<String>) -> Self {
        let Some(name) = name else { return self };
        self = self.text("policyName", name, 1, 64);
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_') {
            self.violated(Some(name), "policyName", r"satisfy regular expression pattern: [0-9A-Za-z\-\_]+".into());
        }
        self
    }

    pub(crate) fn number(mut self, path: &str, number: Option<i64>, min: i64, max: i64) -> Self {
        if let Some(number) = number {
            if number < min {
                self.violated(Some(&number.to_string()), path, format!("have value greater than or equal to {min}"));
            } else if number > max {
                self.violated(Some(&number.to_string()), path, format!("have value less than or equal to {max}"));
            }
        }
        self
    }

    pub(crate) fn one_of(mut self, path: &str, value: &Option<String>, known: &[&str]) -> Self {
        if let Some(value) = value
            && !known.contains(&value.as_str())
        {
            self.violated(Some(value), path, format!("satisfy enum value set: [{}]", known.join(", ")));
        }
        self
    }

    pub(crate) fn list<T>(mut self, path: &str, list: &[T], min: usize, max: usize) -> Self {
        self.length(Some(&list_shown(list.len())), path, list.len(), min, max);
        self
    }

    /// The members of a list. Of one that is too long, only as many as may be are looked at.
    pub(crate) fn texts(mut self, path: &str, list: &[String], most: usize, min: usize, max: usize) -> Self {
        for (index, text) in list.iter().take(most).enumerate() {
            self = self.text(&format!("{path}.{}.member", index + 1), text, min, max);
        }
        self
    }

    pub(crate) fn stages(self, stages: &Option<Vec<String>>) -> Self {
        match stages {
            Some(stages) => self.list("versionStages", stages, 1, 20).texts("versionStages", stages, 20, 1, 256),
            None => self,
        }
    }

    pub(crate) fn tags(mut self, tags: &Tags) -> Self {
        for (index, (key, value)) in tags.iter().enumerate() {
            let path = format!("tags.{}.member", index + 1);
            self = self.text(&format!("{path}.key"), key, 1, 128).text(&format!("{path}.value"), value, 0, 256);
        }
        self
    }

    pub(crate) fn filters(mut self, filters: &Option<Vec<Filter>>) -> Self {
        const KEYS: [&str; 7] =
            ["description", "name", "tag-key", "tag-value", "primary-region", "owning-service", "all"];
        let Some(filters) = filters else { return self };
        self = self.list("filters", filters, 0, 10);
        for (index, filter) in filters.iter().take(10).enumerate() {
            let path = format!("filters.{}.member", index + 1);
            self = self.one_of(&format!("{path}.key"), &filter.key, &KEYS);
            self = self.list(&format!("{path}.values"), &filter.values, 0, 10);
            for (index, value) in filter.values.iter().take(10).enumerate() {
                let path = format!("{path}.values.{}.member", index + 1);
                self = self.text(&path, value, 0, 512);
                if !value.chars().all(|c| c.is_ascii_alphanumeric() || " :_@/+=.-!".contains(c)) {
                    self.violated(
                        Some(value),
                        &path,
                        r"satisfy regular expression pattern: ^\!?[a-zA-Z0-9 :_@\/\+\=\.\-\!]*$".into(),
                    );
                }
            }
        }
        self
    }
}

/// The characters of a name. An ARN is not looked at here.
pub(crate) fn name_syntax(name: &str) -> Result<(), Failure> {
    if name.chars().all(|c| c.is_ascii_alphanumeric() || "/_+=.@!-".contains(c)) { Ok(()) } else { invalid_name() }
}

fn invalid_name() -> Result<(), Failure> {
    failure(
        "ValidationException",
        "Invalid name. Must be a valid name containing alphanumeric characters, or any of the following: -/_+=.@!",
    )
}

/// A name, or something that begins as an ARN does, which must then be one of a secret.
pub(crate) fn id_syntax(id: &str) -> Result<(), Failure> {
    if !id.starts_with("arn:") {
        return name_syntax(id);
    }
    let fields: Vec<_> = id.splitn(7, ':').collect();
    match fields[..] {
        ["arn", _, "secretsmanager", _, _, "secret", resource] if !resource.is_empty() => Ok(()),
        _ => invalid_name(),
    }
}
