//! Operations of the reference model that only read (though a read of a value is remembered).

use serde_json::{Map, Value, json};

use crate::filters::selected;
use crate::model::{DAY, Failure, Held, Outcome, Page, Secret, Tenant, Version, World, failure, not_found};
use crate::request::{Filter, Listing, Request};
use crate::shape::{Shape, id_syntax};

/// Sorts like the number.
fn sortable(number: i64) -> String {
    format!("{:020}", i128::from(number) + (1 << 62))
}

fn with<T: Into<Value>>(map: &mut Value, member: &str, value: Option<T>) {
    if let Some(value) = value {
        map[member] = value.into();
    }
}

fn page_size(max: Option<i32>, default: usize) -> usize {
    max.map_or(default, |max| usize::try_from(max).expect("its range was checked"))
}

fn check_filters(filters: &Option<Vec<Filter>>) -> Result<(), Failure> {
    for filter in filters.iter().flatten() {
        let Some(key) = &filter.key else {
            return failure("InvalidParameterException", "Invalid filter key");
        };
        if filter.values.is_empty() {
            return failure("InvalidParameterException", format!("Invalid filter values for key: {key}"));
        }
    }
    Ok(())
}

/// All that is told about a secret, here and in lists, where the map of labels has another name.
fn described(secret: &Secret, stages_name: &str) -> Value {
    let mut out = json!({
        "ARN": secret.arn,
        "Name": secret.name,
        "CreatedDate": secret.created,
        "LastChangedDate": secret.changed,
    });
    with(&mut out, "Description", secret.description.clone());
    with(&mut out, "KmsKeyId", secret.key.clone());
    with(&mut out, "Type", secret.kind.clone());
    with(&mut out, "LastAccessedDate", secret.accessed);
    with(&mut out, "DeletedDate", secret.deleted);
    if let Some(rotation) = &secret.rotation {
        out["RotationEnabled"] = json!(rotation.is_enabled);
        with(&mut out, "RotationLambdaARN", rotation.function.clone());
        with(&mut out, "RotationRules", rotation.days.map(|days| json!({ "AutomaticallyAfterDays": days })));
        with(&mut out, "LastRotatedDate", rotation.rotated.filter(|_| rotation.is_enabled));
        with(&mut out, "NextRotationDate", rotation.next);
    }
    let tags = secret.tags.iter().map(|tags| tags.iter().map(|(key, value)| json!({ "Key": key, "Value": value })));
    with(&mut out, "Tags", tags.map(Iterator::collect::<Vec<_>>).next());
    let labelled: Map<_, _> = secret
        .versions
        .iter()
        .filter(|version| !version.stages.is_empty())
        .map(|version| (version.id.clone(), json!(version.stages)))
        .collect();
    with(&mut out, stages_name, (!labelled.is_empty()).then_some(labelled));
    out
}

impl World {
    pub(crate) fn describe_secret(&self, tenant: &Tenant, id: &str) -> Outcome {
        Shape::default().secret_id(id).check()?;
        self.check_id(id)?;
        Ok(described(&self.secrets[self.lookup(tenant, id)?], "VersionIdsToStages"))
    }

    pub(crate) fn get_secret_value(
        &mut self,
        tenant: &Tenant,
        id: &str,
        version: &Option<String>,
        stage: &Option<String>,
    ) -> Outcome {
        Shape::default()
            .secret_id(id)
            .version_id("versionId", version)
            .opt_text("versionStage", stage, 1, 256)
            .check()?;
        self.check_id(id)?;
        let index = self.lookup_active(tenant, id)?;
        self.value_of(index, version, stage)
    }

    fn value_of(&mut self, index: usize, version: &Option<String>, stage: &Option<String>) -> Outcome {
        let secret = &self.secrets[index];
        let at = match (version, stage) {
            (Some(id), _) => match secret.version(id) {
                Some(at) => at,
                None => {
                    return failure(
                        "ResourceNotFoundException",
                        format!("Secrets Manager can't find the specified secret value for VersionId: {id}"),
                    );
                }
            },
            (None, stage) => {
                let label = stage.clone().unwrap_or_else(|| "AWSCURRENT".to_owned());
                match secret.holder(&label) {
                    Some(at) => at,
                    None => {
                        return failure(
                            "ResourceNotFoundException",
                            format!("Secrets Manager can't find the specified secret value for staging label: {label}"),
                        );
                    }
                }
            }
        };
        if let Some(stage) = stage
            && !secret.versions[at].stages.contains(stage)
        {
            return failure(
                "InvalidRequestException",
                "You provided a VersionStage that is not associated to the provided VersionId.",
            );
        }
        if secret.versions[at].value == Held::Nothing {
            let what = match (version, stage) {
                (Some(id), None) => format!("VersionId: {id}"),
                (_, stage) => format!("staging label: {}", stage.as_deref().unwrap_or("AWSCURRENT")),
            };
            let text = format!("Secrets Manager can't find the specified secret value for {what}");
            return failure("ResourceNotFoundException", text);
        }
        let day = self.now.div_euclid(DAY) * DAY;
        // A clock that went backwards does not take back what was noted.
        let secret = &mut self.secrets[index];
        secret.accessed = secret.accessed.max(Some(day));
        secret.versions[at].accessed = secret.versions[at].accessed.max(Some(day));
        let version = &secret.versions[at];
        let mut out = json!({
            "ARN": secret.arn,
            "Name": secret.name,
            "VersionId": version.id,
            "CreatedDate": version.created,
        });
        match &version.value {
            Held::String(string) => out["SecretString"] = json!(string),
            Held::Binary(bytes) => out["SecretBinary"] = json!(bytes),
            Held::Nothing => {}
        }
        with(&mut out, "VersionStages", (!version.stages.is_empty()).then(|| json!(version.stages)));
        Ok(out)
    }

    /// Where to go on after the page that a token was issued for.
    fn cursor(&self, query: &str, next: &Option<String>) -> Result<Option<(String, String)>, Failure> {
        let Some(next) = next else { return Ok(None) };
        match self.pages.iter().rev().find(|page| page.token == *next && page.query == query) {
            Some(page) => Ok(Some(page.last.clone())),
            None => failure("InvalidNextTokenException", "The NextToken value is invalid."),
        }
    }

    /// Remembers the token of the page that follows, which the engine chose.
    fn issue(
        &mut self,
        tenant: &Tenant,
        query: String,
        request: &Request,
        last: (String, String),
        learned: &Value,
    ) -> String {
        let token = learned["NextToken"].as_str().unwrap_or("<a token>").to_owned();
        self.pages.push(Page { tenant: tenant.clone(), token: token.clone(), query, request: request.clone(), last });
        token
    }

    /// The secrets of a list in its order, each with what it is sorted by.
    fn listed(&self, tenant: &Tenant, listing: &Listing) -> Vec<((String, String), usize)> {
        let mut all = Vec::new();
        for (index, secret) in self.secrets.iter().enumerate() {
            let is_shown = secret.deleted.is_none() || listing.planned == Some(true);
            if secret.tenant != *tenant || !self.is_there(secret) || !is_shown || !selected(secret, &listing.filters) {
                continue;
            }
            let sorted_by = match listing.sort_by.as_deref() {
                Some("name") => secret.name.clone(),
                Some("last-changed-date") => sortable(secret.changed),
                Some("last-accessed-date") => secret.accessed.map_or(String::new(), sortable),
                _ => sortable(secret.created),
            };
            all.push(((sorted_by, secret.name.clone()), index));
        }
        all.sort();
        if listing.order.as_deref() == Some("desc") {
            all.reverse();
        }
        all
    }

    /// One page of a list.
    fn page(
        &mut self,
        tenant: &Tenant,
        request: &Request,
        listing: &Listing,
        max: usize,
        learned: &Value,
    ) -> Result<(Vec<usize>, Option<String>), Failure> {
        let mut query = listing.clone();
        (query.max, query.next) = (None, None);
        query.sort_by.get_or_insert_with(|| "created-date".into());
        query.order.get_or_insert_with(|| "asc".into());
        query.planned.get_or_insert(false);
        query.filters.get_or_insert_default();
        let query = format!("{} {tenant:?} {query:?}", request.operation());
        let mut all = self.listed(tenant, listing);
        if let Some(last) = self.cursor(&query, &listing.next)? {
            let is_descending = listing.order.as_deref() == Some("desc");
            all.retain(|(key, _)| if is_descending { *key < last } else { *key > last });
        }
        let rest = all.split_off(max.min(all.len()));
        let last = all.last().map(|(key, _)| key.clone());
        let indexes = all.into_iter().map(|(_, index)| index).collect();
        let token = match last {
            Some(last) if !rest.is_empty() => Some(self.issue(tenant, query, request, last, learned)),
            _ => None,
        };
        Ok((indexes, token))
    }

    pub(crate) fn list_secrets(
        &mut self,
        tenant: &Tenant,
        request: &Request,
        listing: Listing,
        learned: &Value,
    ) -> Outcome {
        Shape::default()
            .number("maxResults", listing.max.map(i64::from), 1, 100)
            .next_token(&listing.next)
            .filters(&listing.filters)
            .one_of("sortOrder", &listing.order, &["asc", "desc"])
            .one_of("sortBy", &listing.sort_by, &["created-date", "last-accessed-date", "last-changed-date", "name"])
            .check()?;
        check_filters(&listing.filters)?;
        let max = page_size(listing.max, 100);
        let (indexes, token) = self.page(tenant, request, &listing, max, learned)?;
        let list: Vec<_> =
            indexes.iter().map(|index| described(&self.secrets[*index], "SecretVersionsToStages")).collect();
        let mut out = json!({ "SecretList": list });
        with(&mut out, "NextToken", token);
        Ok(out)
    }

    #[expect(clippy::too_many_arguments, reason = "the members of the request")]
    pub(crate) fn batch_get_secret_value(
        &mut self,
        tenant: &Tenant,
        request: &Request,
        ids: Option<Vec<String>>,
        filters: Option<Vec<Filter>>,
        max: Option<i32>,
        next: &Option<String>,
        learned: &Value,
    ) -> Outcome {
        let mut shape = Shape::default();
        if let Some(ids) = &ids {
            shape = shape.list("secretIdList", ids, 1, 20).texts("secretIdList", ids, 20, 1, 2048);
        }
        shape.filters(&filters).number("maxResults", max.map(i64::from), 1, 20).next_token(next).check()?;
        for id in ids.iter().flatten() {
            id_syntax(id)?;
        }
        if ids.is_some() == filters.is_some() {
            return failure(
                "InvalidParameterException",
                "Either 'SecretIdList' or 'Filters' must be provided, but not both.",
            );
        }
        if ids.is_some() && max.is_some() {
            return failure(
                "InvalidParameterException",
                "'Filters' not specified. 'Filters' must also be specified when 'MaxResults' is provided.",
            );
        }
        check_filters(&filters)?;
        let mut found = Vec::new();
        let mut token = None;
        if let Some(ids) = ids {
            // No token is ever issued for ids.
            if next.is_some() {
                return failure("InvalidNextTokenException", "The NextToken value is invalid.");
            }
            for id in ids {
                found.push((id.clone(), self.find(tenant, &id)));
            }
        } else {
            let max = page_size(max, 20);
            let listing = Listing { filters, next: next.clone(), ..Listing::default() };
            let (indexes, next) = self.page(tenant, request, &listing, max, learned)?;
            token = next;
            found.extend(indexes.into_iter().map(|index| (self.secrets[index].arn.clone(), Some(index))));
        }
        let (mut values, mut errors) = (Vec::new(), Vec::new());
        for (id, index) in found {
            let read = match index {
                None => not_found(),
                Some(index) if self.secrets[index].deleted.is_some() => crate::model::marked(),
                Some(index) => self.value_of(index, &None, &None),
            };
            match read {
                Ok(value) => values.push(value),
                Err(error) => errors.push(json!({
                    "SecretId": id, "ErrorCode": error.code, "Message": error.message,
                })),
            }
        }
        let mut out = json!({ "SecretValues": values, "Errors": errors });
        with(&mut out, "NextToken", token);
        Ok(out)
    }

    #[expect(clippy::too_many_arguments, reason = "the members of the request")]
    pub(crate) fn list_secret_version_ids(
        &mut self,
        tenant: &Tenant,
        request: &Request,
        id: &str,
        max: Option<i32>,
        next: &Option<String>,
        deprecated: Option<bool>,
        learned: &Value,
    ) -> Outcome {
        Shape::default().secret_id(id).number("maxResults", max.map(i64::from), 1, 100).next_token(next).check()?;
        self.check_id(id)?;
        let secret = self.secrets[self.lookup(tenant, id)?].clone();
        let query = format!("versions of {} {}", secret.arn, deprecated == Some(true));
        let mut versions: Vec<Version> = secret.versions.clone();
        if let Some(last) = self.cursor(&query, next)? {
            // What was made after it, whether it is still there or not.
            versions.retain(|version| sortable(version.number) > last.0);
        }
        versions.retain(|version| version.value != Held::Nothing);
        versions.retain(|version| deprecated == Some(true) || !version.stages.is_empty());
        let rest = versions.split_off(page_size(max, 100).min(versions.len()));
        let list: Vec<_> = versions
            .iter()
            .map(|version| {
                let keys: Vec<_> = version
                    .keys
                    .iter()
                    .map(|key| key.clone().unwrap_or_else(|| "DefaultEncryptionKey".to_owned()))
                    .collect();
                let mut entry = json!({ "VersionId": version.id, "CreatedDate": version.created, "KmsKeyIds": keys });
                with(&mut entry, "VersionStages", (!version.stages.is_empty()).then(|| json!(version.stages)));
                with(&mut entry, "LastAccessedDate", version.accessed);
                entry
            })
            .collect();
        let mut out = json!({ "ARN": secret.arn, "Name": secret.name, "Versions": list });
        if let Some(last) = versions.last()
            && !rest.is_empty()
        {
            let last = (sortable(last.number), last.id.clone());
            out["NextToken"] = json!(self.issue(tenant, query, request, last, learned));
        }
        Ok(out)
    }
}
