//! The secrets of each account and Region in order, in memory: what filters and listings look at.
//!
//! Built on the first call that needs it and kept current by every commit. Applying a change twice does no harm, so it
//! does not matter whether a commit falls before, into or after the building.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::ops::Bound;
use std::sync::{Arc, PoisonError, RwLock};

use crate::error::Result;
use crate::model::filter::{Filters, Searchable, SortBy};
use crate::model::id::SecretName;
use crate::model::secret::Secret;
use crate::model::tag::Tag;
use crate::model::tenant::Tenant;
use crate::records::Loaded;
use crate::records::codec::Cursor;
use crate::time::Timestamp;

/// What a listing needs to know of a secret before it reads it.
#[derive(Debug)]
pub(crate) struct Entry {
    tenant: Arc<Tenant>,
    pub(crate) name: SecretName,
    description: Option<Box<str>>,
    tags: Box<[Tag]>,
    primary_region: Option<Box<str>>,
    owning_service: Option<Box<str>>,
    created_at: Timestamp,
    last_changed_at: Timestamp,
    accessed_on: Option<Timestamp>,
    deletion_at: Option<Timestamp>,
}

/// What a commit does to the catalogue.
#[derive(Debug)]
pub(crate) enum CatalogueChange {
    Put(Arc<Entry>),
    Remove { tenant: Arc<Tenant>, name: SecretName },
    Nothing,
}

/// Which secrets, in which order.
#[derive(Debug)]
pub(crate) struct Listing<'a> {
    pub(crate) filters: &'a Filters,
    pub(crate) sort_by: &'a SortBy,
    pub(crate) is_descending: bool,
    pub(crate) with_scheduled: bool,
    pub(crate) now: Timestamp,
}

#[derive(Debug, Default)]
pub(crate) struct Catalogue {
    tenants: RwLock<Option<HashMap<Arc<Tenant>, Tenancy>>>,
}

#[derive(Debug, Default)]
struct Tenancy {
    by_name: BTreeMap<SecretName, Arc<Entry>>,
    /// By creation, then name: the default order.
    by_creation: BTreeMap<(Timestamp, SecretName), Arc<Entry>>,
}

/// Where an entry stands in an order: by its date, if the order has one and the entry has it, then by name.
type Position<'a> = (Option<i64>, &'a str);

impl Entry {
    pub(super) fn new(secret: &Secret) -> Self {
        Self {
            tenant: secret.tenant.clone(),
            name: secret.name.clone(),
            description: secret.description.as_deref().map(Into::into),
            tags: secret.tags.as_deref().unwrap_or_default().into(),
            primary_region: secret.primary_region.as_deref().map(Into::into),
            owning_service: secret.owning_service.as_deref().map(Into::into),
            created_at: secret.created_at,
            last_changed_at: secret.last_changed_at,
            accessed_on: secret.accessed_on,
            deletion_at: secret.deletion_at,
        }
    }

    fn searchable(&self) -> Searchable<'_> {
        Searchable {
            name: self.name.as_str(),
            description: self.description.as_deref(),
            tags: &self.tags,
            primary_region: self.primary_region.as_deref(),
            owning_service: self.owning_service.as_deref(),
        }
    }

    fn position(&self, sort_by: &SortBy) -> Position<'_> {
        let at = match sort_by {
            SortBy::CreatedDate | SortBy::Unknown(_) => Some(self.created_at),
            SortBy::LastChangedDate => Some(self.last_changed_at),
            SortBy::LastAccessedDate => self.accessed_on,
            SortBy::Name => None,
        };
        (at.map(|at| at.timestamp_millis()), self.name.as_str())
    }

    /// What a page token has to remember to go on after this entry.
    pub(crate) fn cursor(&self, sort_by: &SortBy) -> Cursor {
        let (at, name) = self.position(sort_by);
        Cursor { at, name: name.to_owned() }
    }
}

impl Listing<'_> {
    fn shows(&self, entry: &Entry) -> bool {
        self.is_visible(entry.deletion_at) && self.filters.matches(&entry.searchable())
    }

    /// Whether a secret still belongs into the listing, which may have changed since the catalogue was looked at.
    pub(crate) fn still_shows(&self, secret: &Secret) -> bool {
        self.is_visible(secret.deletion_at) && self.filters.matches(&secret.searchable())
    }

    fn is_visible(&self, deletion_at: Option<Timestamp>) -> bool {
        deletion_at.is_none_or(|at| self.with_scheduled && at > self.now)
    }

    fn compare(&self, a: Position<'_>, b: Position<'_>) -> Ordering {
        if self.is_descending { b.cmp(&a) } else { a.cmp(&b) }
    }

    fn is_after(&self, entry: &Entry, cursor: Option<&Cursor>) -> bool {
        cursor.is_none_or(|Cursor { at, name }| {
            self.compare(entry.position(self.sort_by), (*at, name)) == Ordering::Greater
        })
    }
}

impl Catalogue {
    /// Builds the catalogue from every secret of the store, unless that has been done.
    pub(super) fn build(&self, for_each: impl FnOnce(&mut dyn FnMut(Loaded)) -> Result<()>) -> Result<()> {
        if self.tenants.read().unwrap_or_else(PoisonError::into_inner).is_some() {
            return Ok(());
        }
        // Commits that finish meanwhile wait here with what they have to add.
        let mut tenants = self.tenants.write().unwrap_or_else(PoisonError::into_inner);
        if tenants.is_some() {
            return Ok(());
        }
        let mut built = HashMap::new();
        for_each(&mut |loaded| put(&mut built, Arc::new(Entry::new(&loaded.secret))))?;
        *tenants = Some(built);
        Ok(())
    }

    /// Takes over what a group of commits changed, in their order.
    pub(super) fn apply<'a>(&self, changes: impl Iterator<Item = &'a CatalogueChange>) {
        let mut tenants = self.tenants.write().unwrap_or_else(PoisonError::into_inner);
        let Some(tenants) = &mut *tenants else { return };
        for change in changes {
            match change {
                CatalogueChange::Put(entry) => put(tenants, Arc::clone(entry)),
                CatalogueChange::Remove { tenant, name } => {
                    if let Some(tenancy) = tenants.get_mut(tenant) {
                        tenancy.remove(name);
                    }
                }
                CatalogueChange::Nothing => {}
            }
        }
    }

    /// Secrets of an account and Region that are not past their recovery window. 0 before the catalogue is built.
    pub(super) fn count(&self, tenant: &Tenant, now: Timestamp) -> u64 {
        let tenants = self.tenants.read().unwrap_or_else(PoisonError::into_inner);
        let tenancy = tenants.as_ref().and_then(|tenants| tenants.get(tenant));
        let is_there = |entry: &&Arc<Entry>| entry.deletion_at.is_none_or(|at| at > now);
        tenancy.map_or(0, |tenancy| tenancy.by_name.values().filter(is_there).count() as u64)
    }

    /// Every account and Region that has secrets, in order.
    pub(crate) fn tenants(&self) -> Vec<Arc<Tenant>> {
        let tenants = self.tenants.read().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> = tenants.iter().flat_map(HashMap::keys).cloned().collect();
        all.sort_by(|a, b| (a.account(), a.region()).cmp(&(b.account(), b.region())));
        all
    }

    /// The first `limit` names of an account and Region after the one given, in order, whatever their state.
    pub(crate) fn names(&self, tenant: &Tenant, after: Option<&SecretName>, limit: usize) -> Vec<SecretName> {
        let tenants = self.tenants.read().unwrap_or_else(PoisonError::into_inner);
        let Some(tenancy) = tenants.as_ref().and_then(|tenants| tenants.get(tenant)) else { return Vec::new() };
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        tenancy
            .by_name
            .range::<SecretName, _>((from, Bound::Unbounded))
            .map(|(name, _)| name.clone())
            .take(limit)
            .collect()
    }

    /// The first `limit` entries of a listing after the cursor.
    pub(crate) fn page(
        &self,
        tenant: &Tenant,
        listing: &Listing<'_>,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> Vec<Arc<Entry>> {
        let tenants = self.tenants.read().unwrap_or_else(PoisonError::into_inner);
        let Some(tenancy) = tenants.as_ref().and_then(|tenants| tenants.get(tenant)) else { return Vec::new() };
        let shown = |entry: &&Arc<Entry>| listing.shows(entry);
        match listing.sort_by {
            SortBy::Name => {
                let range = bounds(cursor.map(|cursor| SecretName::from_record(&cursor.name)), listing);
                take(tenancy.by_name.range(range).map(|(_, entry)| entry), listing, limit, shown)
            }
            SortBy::CreatedDate | SortBy::Unknown(_) => {
                let at = |cursor: &Cursor| crate::time::from_millis(cursor.at.unwrap_or(i64::MIN));
                let from = cursor.map(|cursor| (at(cursor), SecretName::from_record(&cursor.name)));
                take(tenancy.by_creation.range(bounds(from, listing)).map(|(_, entry)| entry), listing, limit, shown)
            }
            SortBy::LastAccessedDate | SortBy::LastChangedDate => {
                // No order is kept for these: the best `limit` of all entries, in one pass.
                let mut best = BinaryHeap::with_capacity(limit + 1);
                let candidates = tenancy.by_name.values().filter(|entry| listing.is_after(entry, cursor)).filter(shown);
                for entry in candidates {
                    best.push(Ranked { listing, entry });
                    if best.len() > limit {
                        best.pop();
                    }
                }
                best.into_sorted_vec().into_iter().map(|ranked| Arc::clone(ranked.entry)).collect()
            }
        }
    }
}

/// What lies beyond the cursor.
fn bounds<K>(cursor: Option<K>, listing: &Listing<'_>) -> (Bound<K>, Bound<K>) {
    match cursor {
        None => (Bound::Unbounded, Bound::Unbounded),
        Some(cursor) if listing.is_descending => (Bound::Unbounded, Bound::Excluded(cursor)),
        Some(cursor) => (Bound::Excluded(cursor), Bound::Unbounded),
    }
}

fn take<'a>(
    entries: impl DoubleEndedIterator<Item = &'a Arc<Entry>>,
    listing: &Listing<'_>,
    limit: usize,
    shown: impl Fn(&&Arc<Entry>) -> bool,
) -> Vec<Arc<Entry>> {
    if listing.is_descending {
        entries.rev().filter(shown).take(limit).cloned().collect()
    } else {
        entries.filter(shown).take(limit).cloned().collect()
    }
}

/// An entry that compares by its place in a listing.
struct Ranked<'a> {
    listing: &'a Listing<'a>,
    entry: &'a Arc<Entry>,
}

impl Ord for Ranked<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        let sort_by = self.listing.sort_by;
        self.listing.compare(self.entry.position(sort_by), other.entry.position(sort_by))
    }
}

impl PartialOrd for Ranked<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Ranked<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Ranked<'_> {}

impl Tenancy {
    fn remove(&mut self, name: &SecretName) {
        if let Some(old) = self.by_name.remove(name) {
            self.by_creation.remove(&(old.created_at, name.clone()));
        }
    }
}

fn put(tenants: &mut HashMap<Arc<Tenant>, Tenancy>, entry: Arc<Entry>) {
    let tenancy = tenants.entry(entry.tenant.clone()).or_default();
    tenancy.remove(&entry.name);
    let (name, created_at) = (entry.name.clone(), entry.created_at);
    tenancy.by_creation.insert((created_at, name.clone()), Arc::clone(&entry));
    tenancy.by_name.insert(name, entry);
}
