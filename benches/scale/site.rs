//! A store of so many secrets, open and warm, and what is done with it.

use std::hint::black_box;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use measure::timed;
use strongroom::{
    BatchGetSecretValueRequest, DescribeSecretRequest, Filter, FilterKey, GetSecretValueRequest, ListSecretsRequest,
    PutSecretValueRequest, SecretStore, SecretsManager, SortBy, SortOrder,
};

use crate::{CACHE_BYTES, store};

/// Every order of a listing, and how it is called.
pub(crate) const ORDERS: [(SortBy, SortOrder, &str); 8] = [
    (SortBy::Name, SortOrder::Asc, "by name, ascending"),
    (SortBy::Name, SortOrder::Desc, "by name, descending"),
    (SortBy::CreatedDate, SortOrder::Asc, "by creation, ascending"),
    (SortBy::CreatedDate, SortOrder::Desc, "by creation, descending"),
    (SortBy::LastChangedDate, SortOrder::Asc, "by last change, ascending"),
    (SortBy::LastChangedDate, SortOrder::Desc, "by last change, descending"),
    (SortBy::LastAccessedDate, SortOrder::Asc, "by last access, ascending"),
    (SortBy::LastAccessedDate, SortOrder::Desc, "by last access, descending"),
];
const PAGE: usize = 100;
const BATCH: usize = 20;
/// Longest time that following tokens to the middle of a listing may take.
const DEEP_SECONDS: f64 = 4.0;

pub(crate) struct Site {
    pub(crate) store: SecretStore,
    pub(crate) secrets: usize,
    manager: SecretsManager,
    names: Vec<String>,
    at: AtomicUsize,
    /// A token that leads into the middle, for each of the orders. `None`: there is one page only.
    tokens: Vec<Option<String>>,
}

impl Site {
    /// Opens a store, and reads everything once.
    pub(crate) fn open(path: &Path, secrets: usize) -> Self {
        let store = store::open(path, CACHE_BYTES);
        let manager = store.default_secrets_manager();
        let names = (0..secrets).map(store::name).collect();
        let site = Self { store, secrets, manager, names, at: AtomicUsize::new(0), tokens: Vec::new() };
        site.get(secrets);
        site
    }

    pub(crate) fn close(self) {
        self.store.close().expect("the store closes");
    }

    /// A secret in an order that no cache can guess: all come once before any comes again.
    fn next(&self) -> usize {
        // A prime far above every size.
        self.at.fetch_add(1, Ordering::Relaxed) * 1_000_000_007 % self.secrets
    }

    pub(crate) fn get(&self, operations: usize) {
        for _ in 0..operations {
            let request = GetSecretValueRequest::new(self.names[self.next()].as_str());
            black_box(self.manager.get_secret_value(request).expect("the value is read").secret_string);
        }
    }

    pub(crate) fn batch_get(&self, operations: usize) {
        for _ in 0..operations {
            let ids: Vec<&str> = (0..BATCH).map(|_| self.names[self.next()].as_str()).collect();
            let request = BatchGetSecretValueRequest::new().secret_id_list(ids);
            let read = self.manager.batch_get_secret_value(request).expect("the values are read");
            assert!(read.errors.is_empty(), "every value is read");
            black_box(read.secret_values);
        }
    }

    pub(crate) fn describe(&self, operations: usize) {
        for _ in 0..operations {
            let request = DescribeSecretRequest::new(self.names[self.next()].as_str());
            black_box(self.manager.describe_secret(request).expect("the secret is described"));
        }
    }

    /// Durable puts all over the store, by so many threads at a time.
    pub(crate) fn put(&self, threads: usize, operations: usize) {
        thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    for _ in 0..operations.div_ceil(threads) {
                        let number = self.next();
                        let request = PutSecretValueRequest::new(self.names[number].as_str(), store::value(number));
                        self.manager.put_secret_value(request).expect("the value is put");
                    }
                });
            }
        });
    }

    /// One page of 100 in one of the orders: the first one, or that behind a token.
    fn page(&self, order: usize, token: Option<&String>) -> Option<String> {
        let (sort_by, sort_order, _) = ORDERS[order].clone();
        let mut request = ListSecretsRequest::new().sort_by(sort_by).sort_order(sort_order);
        request.next_token = token.cloned();
        let page = self.manager.list_secrets(request).expect("a page");
        assert_eq!(page.secret_list.len(), PAGE.min(self.secrets), "the page is full");
        black_box(page.secret_list);
        page.next_token
    }

    pub(crate) fn first_page(&self, order: usize, operations: usize) {
        (0..operations).for_each(|_| drop(self.page(order, None)));
    }

    pub(crate) fn middle_page(&self, order: usize, operations: usize) {
        (0..operations).for_each(|_| drop(self.page(order, self.tokens[order].as_ref())));
    }

    /// Follows tokens in every order, as far as the middle or as far as it gets in a few seconds.
    pub(crate) fn find_middles(mut self) -> Self {
        self.tokens = (0..ORDERS.len()).map(|order| self.middle_of(order)).collect();
        self
    }

    fn middle_of(&self, order: usize) -> Option<String> {
        let mut token = None;
        let (mut seconds, mut pages) = (0.0, 0);
        while pages < self.secrets / PAGE / 2 && seconds < DEEP_SECONDS {
            seconds += timed(|| token = self.page(order, token.as_ref()));
            pages += 1;
        }
        token
    }

    pub(crate) fn find_nothing(&self, key: &FilterKey, operations: usize) {
        for _ in 0..operations {
            let request = ListSecretsRequest::new().filters([Filter::new(key.clone(), ["nowhere"])]);
            let page = self.manager.list_secrets(request).expect("a page");
            assert!(page.secret_list.is_empty(), "nothing has that name");
        }
    }

    pub(crate) fn maintain(&self, operations: usize) {
        for _ in 0..operations {
            let report = self.store.maintain().expect("the store is maintained");
            assert!(report.next_due_at.is_none(), "nothing is due");
        }
    }
}
