//! The client's own paginators.

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::types::{Filter, FilterNameStringType, SortOrderType};

use crate::server::Server;

async fn with_secrets(client: &Client) -> Vec<String> {
    let names: Vec<String> = (0..23).map(|number| format!("app/{number:02}")).collect();
    for name in &names {
        client.create_secret().name(name).secret_string(format!("value of {name}")).send().await.unwrap();
    }
    names
}

#[tokio::test]
async fn every_secret_is_listed_once() {
    let server = Server::start();
    let client = server.client();
    let names = with_secrets(&client).await;
    for size in [1, 7, 23, 100] {
        let mut pages = client.list_secrets().into_paginator().page_size(size).send();
        let mut found = Vec::new();
        while let Some(page) = pages.try_next().await.unwrap() {
            assert!(page.secret_list().len() <= usize::try_from(size).unwrap());
            found.extend(page.secret_list.unwrap_or_default().into_iter().filter_map(|entry| entry.name));
        }
        assert_eq!(found, names);
    }
    let mut pages = client.list_secrets().sort_order(SortOrderType::Desc).into_paginator().page_size(5).send();
    let mut found = Vec::new();
    while let Some(page) = pages.try_next().await.unwrap() {
        found.extend(page.secret_list.unwrap_or_default().into_iter().filter_map(|entry| entry.name));
    }
    assert!(found.iter().eq(names.iter().rev()));
}

#[tokio::test]
async fn every_value_is_read_once() {
    let server = Server::start();
    let client = server.client();
    let names = with_secrets(&client).await;
    let filter = Filter::builder().key(FilterNameStringType::Name).values("app/").build();
    let mut pages = client.batch_get_secret_value().filters(filter).into_paginator().page_size(6).send();
    let mut found = Vec::new();
    while let Some(page) = pages.try_next().await.unwrap() {
        assert!(page.errors().is_empty());
        found.extend(page.secret_values.unwrap_or_default().into_iter().filter_map(|value| value.secret_string));
    }
    assert_eq!(found, names.iter().map(|name| format!("value of {name}")).collect::<Vec<_>>());
}

#[tokio::test]
async fn every_version_is_listed_once() {
    let server = Server::start();
    let client = server.client();
    let versions: Vec<String> = (0..9).map(|number| format!("{number:032}")).collect();
    client.create_secret().name("a").send().await.unwrap();
    for version in &versions {
        let put = client.put_secret_value().secret_id("a").secret_string("x").client_request_token(version);
        put.send().await.unwrap();
    }
    let list = client.list_secret_version_ids().secret_id("a").include_deprecated(true);
    let mut pages = list.into_paginator().page_size(2).send();
    let mut found = Vec::new();
    while let Some(page) = pages.try_next().await.unwrap() {
        found.extend(page.versions.unwrap_or_default().into_iter().filter_map(|version| version.version_id));
    }
    assert_eq!(found, versions);
}
