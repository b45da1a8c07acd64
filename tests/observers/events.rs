//! Records as events of `tracing`.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use strongroom::{CreateSecretRequest, DescribeSecretRequest, TracingObserver};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use crate::fixture::{Seen, builder, observed_by};

type Fields = BTreeMap<String, String>;

/// Keeps every event.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<(Level, String, Fields)>>>);

#[derive(Default)]
struct Collect(Fields);

impl Visit for Collect {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}"));
    }
}

impl Subscriber for Log {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut fields = Collect::default();
        event.record(&mut fields);
        let metadata = event.metadata();
        self.0.lock().unwrap().push((*metadata.level(), metadata.target().to_owned(), fields.0));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[test]
fn every_record_is_an_event_whose_level_tells_how_it_ended() {
    let log = Log::default();
    let seen = Seen::default();
    let store = builder().observer(seen.clone()).observer(TracingObserver::default()).open().unwrap();
    let secrets = store.default_secrets_manager();
    tracing::subscriber::with_default(log.clone(), || {
        let request = CreateSecretRequest::new("a").secret_string("CANARY").description("not told");
        secrets.with_request_id("r1").create_secret(request).unwrap();
        secrets.describe_secret(DescribeSecretRequest::new("nope")).unwrap_err();
        store.close().unwrap();
        secrets.describe_secret(DescribeSecretRequest::new("a")).unwrap_err();
    });
    let records = seen.take();
    let events = log.0.lock().unwrap().clone();
    assert_eq!((events.len(), records.len()), (3, 3));
    let arn = records[0].secret_id().unwrap();
    let rows: [(Level, &[(&str, &str)]); 3] = [
        (
            Level::INFO,
            &[("event_name", "CreateSecret"), ("read_only", "false"), ("secret_id", arn), ("request_id", "r1")],
        ),
        (
            Level::WARN,
            &[
                ("event_name", "DescribeSecret"),
                ("read_only", "true"),
                ("secret_id", "nope"),
                ("error_code", "ResourceNotFoundException"),
                ("error_message", "Secrets Manager can't find the specified secret."),
            ],
        ),
        (
            Level::ERROR,
            &[
                ("event_name", "DescribeSecret"),
                ("read_only", "true"),
                ("secret_id", "a"),
                ("error_code", "InternalServiceError"),
                ("error_message", "An error occurred on the server side."),
            ],
        ),
    ];
    for ((event, record), (level, fields)) in events.iter().zip(&records).zip(rows) {
        let id = record.event_id.to_string();
        let mut expected: Fields =
            fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        for (name, value) in [("account", "000000000000"), ("region", "us-east-1"), ("event_id", &id)] {
            expected.insert(name.to_owned(), value.to_owned());
        }
        assert_eq!(*event, (level, "strongroom::audit".to_owned(), expected));
    }
}

/// Nobody who has not asked for events pays for them.
#[test]
fn without_a_subscriber_nothing_happens() {
    let (_store, secrets) = observed_by(TracingObserver::default());
    secrets.create_secret(CreateSecretRequest::new("a")).unwrap();
}
