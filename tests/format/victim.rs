//! The store that hostile hands change, and the questions that it is asked afterwards.

use strongroom::{
    CheckRecords, CreateSecretRequest, DeleteSecretRequest, Error, ErrorKind, ListSecretsRequest,
    PutSecretValueRequest, SecretStore, Tag,
};

use crate::contents::Secret;
use crate::fixture::{Records, backend, builder, records};
use crate::insider::Insider;

pub(crate) const A: [&str; 2] = ["111122223333", "eu-central-1"];
pub(crate) const B: [&str; 2] = ["444455556666", "eu-central-1"];
/// Every secret of the store.
const SECRETS: [([&str; 2], &str); 5] = [(A, "one"), (A, "two"), (A, "sooner"), (A, "later"), (B, "one")];

/// The records of a store of two tenants; the seed decides about its keys and ids.
pub(crate) fn store(seed: u64) -> Records {
    let shared = backend(&Records::new());
    let store = builder(shared.clone(), seed).open().unwrap();
    let [a, b] = [A, B].map(|[account, region]| store.secrets_manager(account, region).unwrap());
    a.create_secret(CreateSecretRequest::new("one").secret_string("one of A").tags([Tag::new("k", "v")])).unwrap();
    a.put_secret_value(PutSecretValueRequest::new("one", "one of A, again")).unwrap();
    a.create_secret(CreateSecretRequest::new("two").secret_binary(&[2; 40])).unwrap();
    b.create_secret(CreateSecretRequest::new("one").secret_string("one of B")).unwrap();
    for (name, days) in [("sooner", 7), ("later", 8)] {
        a.create_secret(CreateSecretRequest::new(name).secret_string(name)).unwrap();
        a.delete_secret(DeleteSecretRequest::new(name).recovery_window_in_days(days)).unwrap();
    }
    store.close().unwrap();
    records(&shared)
}

/// Opens a store of these records.
pub(crate) fn open(records: &Records, check: CheckRecords) -> Result<SecretStore, Error> {
    builder(backend(records), 2).check_records(check).open()
}

/// The store is not opened, whether the check is asked for or not: its records are not those that were acknowledged.
#[track_caller]
pub(crate) fn is_not_opened(what: &str, records: &Records) {
    for check in [CheckRecords::UnlessSealed, CheckRecords::Always] {
        let error = open(records, check).map(drop).expect_err(what);
        assert_eq!(*error.kind(), ErrorKind::Corrupted, "{what}: {check:?}: {error}");
    }
}

/// What is asked, and what the answer was.
pub(crate) type Answer = (String, Result<String, Error>);

fn ask(store: &SecretStore, which: impl Fn(&str) -> bool) -> Vec<Answer> {
    let mut answers = Vec::new();
    let mut question = |name: String, answer: &dyn Fn() -> Result<String, Error>| {
        if which(&name) {
            let answer = answer();
            answers.push((name, answer));
        }
    };
    question("maintenance".to_owned(), &|| store.maintain().map(|report| format!("{report:?}")));
    for [account, region] in [A, B] {
        let manager = store.secrets_manager(account, region).unwrap();
        question(format!("list of {account}"), &|| {
            let list = manager.list_secrets(ListSecretsRequest::new().include_planned_deletion(true))?;
            Ok(format!("{:?}", list.secret_list))
        });
    }
    for ([account, region], name) in SECRETS {
        let manager = store.secrets_manager(account, region).unwrap();
        question(format!("{name} of {account}"), &|| Secret::of(&manager, name).map(|secret| format!("{secret:?}")));
    }
    answers
}

fn is_typed(error: &Error) -> bool {
    use ErrorKind as K;
    matches!(error.kind(), K::Corrupted | K::DecryptionFailure(_) | K::UnsupportedFormat { .. } | K::NotAStore)
}

/// A store, its keys, and what it answers as long as nobody changes it.
#[derive(Debug)]
pub(crate) struct Victim {
    pub(crate) records: Records,
    pub(crate) insider: Insider,
    right: Vec<Answer>,
}

impl Victim {
    pub(crate) fn new() -> Self {
        let records = store(1);
        let insider = Insider::of(&records);
        assert_eq!(insider.tally(&records), insider.right_tally(&records), "the head counts the records");
        let right = ask(&open(&records, CheckRecords::UnlessSealed).unwrap(), |_| true);
        assert!(right.len() == 8 && right.iter().all(|(_, answer)| answer.is_ok()), "{right:?}");
        Self { records, insider, right }
    }

    pub(crate) fn secret(&self, tenant: [&str; 2], name: &str) -> Vec<u8> {
        self.insider.secret(tenant, name)
    }

    /// The keys of a family, in order.
    pub(crate) fn family(&self, family: u8) -> Vec<Vec<u8>> {
        self.records.keys().filter(|key| key[0] == family).cloned().collect()
    }

    /// The key of the record of the current version of `one` of A: the one without which that secret cannot be read,
    /// but all others can.
    pub(crate) fn value_of_one(&self) -> Vec<u8> {
        let find = |key: &Vec<u8>| {
            let mut records = self.records.clone();
            records.remove(key);
            let answers = ask(&open(&records, CheckRecords::Never).unwrap(), |name| name == "one of 111122223333");
            answers[0].1.is_err()
        };
        self.family(b'v').into_iter().find(find).unwrap()
    }

    /// Opens what is left of the store without counting its records, and asks. Every answer is the right one or a typed error; gives the errors,
    /// with what was asked.
    #[track_caller]
    pub(crate) fn errors(&self, what: &str, records: &Records, which: impl Fn(&str) -> bool) -> Vec<(String, Error)> {
        let answers = match open(records, CheckRecords::Never) {
            Ok(store) => ask(&store, which),
            Err(error) => vec![("open".to_owned(), Err(error))],
        };
        let mut errors = Vec::new();
        for (question, answer) in answers {
            match answer {
                Ok(answer) => {
                    let right = self.right.iter().find(|(name, _)| *name == question).unwrap();
                    assert_eq!(&answer, right.1.as_ref().unwrap(), "{what}: a wrong answer to: {question}");
                }
                Err(error) => {
                    assert!(is_typed(&error), "{what}: {question}: {error:?}");
                    errors.push((question, error));
                }
            }
        }
        errors
    }

    /// One record exchanged: the store is not opened, and where it is opened without counting its records, the exchange
    /// is noticed by each of these questions, and by no other. Of the secrets of A that only
    /// stand beside, one is asked for.
    #[track_caller]
    pub(crate) fn check(&self, what: &str, key: &[u8], value: Option<&[u8]>, noticed_by: &[&str]) {
        let mut records = self.records.clone();
        match value {
            Some(value) => records.insert(key.to_vec(), value.to_vec()),
            None => records.remove(key),
        };
        if matches!(key, b"h" | b"m") {
            assert!(open(&records, CheckRecords::UnlessSealed).is_err(), "{what}: opened");
        } else {
            is_not_opened(what, &records);
        }
        let is_asked = |question: &str| !question.starts_with("sooner") && !question.starts_with("later");
        Self::assert_noticed(what, &self.errors(what, &records, is_asked), noticed_by);
    }

    #[track_caller]
    pub(crate) fn check_all(&self, what: &str, records: &Records, noticed_by: &[&str]) {
        Self::assert_noticed(what, &self.errors(what, records, |_| true), noticed_by);
    }

    #[track_caller]
    fn assert_noticed(what: &str, errors: &[(String, Error)], by: &[&str]) {
        let asked: Vec<_> = errors.iter().map(|(question, _)| question.as_str()).collect();
        assert_eq!(asked, by, "{what}: {errors:?}");
    }
}
