//! `strongroom list`.

use strongroom::{Filter, ListSecretsRequest, SecretListEntry};

use crate::arguments::List;
use crate::commands::pair;
use crate::failure::Failure;
use crate::{output, place};

pub(crate) fn run(arguments: List) -> Result<(), Failure> {
    let List { place, filters, include_deleted, sort_by, descending, format } = arguments;
    let filter = |text: &String| pair(text, "--filter").map(|(key, value)| Filter::new(key, [value]));
    let filters: Vec<Filter> = filters.iter().map(filter).collect::<Result<_, _>>()?;
    let request = || {
        let request = ListSecretsRequest::new()
            .include_planned_deletion(include_deleted)
            .sort_by(sort_by.as_str())
            .sort_order(if descending { "desc" } else { "asc" });
        if filters.is_empty() { request } else { request.filters(filters.clone()) }
    };

    let secrets = place::open(&place)?;
    let waiting = place::waiting("listing");
    let mut listed = secrets.list_secrets(request())?;
    while let Some(token) = listed.next_token.take() {
        let page = secrets.list_secrets(request().next_token(token))?;
        listed.secret_list.extend(page.secret_list);
        listed.next_token = page.next_token;
    }
    waiting.finish_and_clear();

    if format.json {
        return output::json(&listed);
    }
    output::table(&["NAME", "CHANGED", "READ", "VERSIONS", "STATE", "DESCRIPTION"], listed.secret_list.iter().map(row))
}

fn row(entry: &SecretListEntry) -> Vec<String> {
    let state = match &entry.deleted_date {
        Some(at) => format!("deletion on {}", at.format("%Y-%m-%d")),
        None => String::new(),
    };
    vec![
        entry.name.clone(),
        output::date(&entry.last_changed_date),
        entry.last_accessed_date.map_or_else(|| "never".to_owned(), |at| at.format("%Y-%m-%d").to_string()),
        entry.secret_versions_to_stages.as_ref().map_or(0, |labelled| labelled.len()).to_string(),
        state,
        entry.description.clone().unwrap_or_default(),
    ]
}
