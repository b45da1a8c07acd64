//! The secrets of each account and Region in order, in memory: what filters and listings look at.
//!
//! Built on the first call that needs it and kept current by every commit. Applying a change twice does no harm, so it
//! does not matter whether a commit falls before, into or after the building.

mod entry;

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};

use crate::error::Result;
use crate::model::filter::{Filters, SortBy};
use crate::model::id::SecretName;
use crate::model::secret::Secret;
use crate::model::tenant::Tenant;
use crate::records::Loaded;
use crate::records::codec::Cursor;
use crate::time::Timestamp;

use self::entry::Date;
pub(crate) use self::entry::Entry;

/// Entries that a listing looks at before commits that wait are let in.
const LOOKED_AT_ONCE: usize = 4096;

/// What a commit does to the catalogue.
#[derive(Debug)]
pub(crate) enum CatalogueChange {
    Put { tenant: Arc<Tenant>, entry: Arc<Entry> },
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
    tenants: RwLock<Option<Tenants>>,
    /// Held by whoever changes them or waits to do so. The lock alone would go to the reader that has just let go of it.
    gate: Mutex<()>,
}

type Tenants = HashMap<Arc<Tenant>, Tenancy>;

/// The secrets of one account and Region, in every order that a listing can have.
#[derive(Debug, Default)]
struct Tenancy {
    by_name: Order<Name>,
    by_creation: Order<Created>,
    by_change: Order<LastChanged>,
    by_access: Order<LastAccessed>,
    /// How many recovery windows end when.
    deletions: BTreeMap<i64, usize>,
}

/// Entries by a date, then by name.
type Order<R> = BTreeSet<Ranked<R>>;

/// What an order goes by.
trait Rank: Sized {
    const DATE: Option<Date>;

    fn order_of(tenancy: &Tenancy) -> &Order<Self>;
}

/// Declares the orders.
macro_rules! ranks {
    ($($rank:ident = $date:expr, $order:ident;)+) => {$(
        #[derive(Debug)]
        struct $rank;

        impl Rank for $rank {
            const DATE: Option<Date> = $date;

            fn order_of(tenancy: &Tenancy) -> &Order<Self> {
                &tenancy.$order
            }
        }
    )+};
}

ranks! {
    Name = None, by_name;
    Created = Some(Date::Created), by_creation;
    LastChanged = Some(Date::LastChanged), by_change;
    LastAccessed = Some(Date::LastAccessed), by_access;
}

/// An entry that compares by its place in an order. Entries without the date come first.
#[derive(Debug)]
struct Ranked<R> {
    entry: Arc<Entry>,
    rank: std::marker::PhantomData<R>,
}

impl<R: Rank> Ranked<R> {
    fn new(entry: &Arc<Entry>) -> Self {
        Self { entry: Arc::clone(entry), rank: std::marker::PhantomData }
    }

    fn date(&self) -> Option<i64> {
        R::DATE.and_then(|date| self.entry.date(date))
    }
}

impl<R: Rank> Ord for Ranked<R> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.date().cmp(&other.date()).then_with(|| self.entry.name_bytes().cmp(other.entry.name_bytes()))
    }
}

impl<R: Rank> PartialOrd for Ranked<R> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<R: Rank> PartialEq for Ranked<R> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<R: Rank> Eq for Ranked<R> {}

impl Listing<'_> {
    fn shows(&self, entry: &Entry) -> bool {
        self.is_visible(entry.deletion_at()) && self.filters.matches(&entry.searchable())
    }

    /// Whether a secret still belongs into the listing, which may have changed since the catalogue was looked at.
    pub(crate) fn still_shows(&self, secret: &Secret) -> bool {
        let deletion_at = secret.deletion_at.map(|at| at.timestamp_millis());
        self.is_visible(deletion_at) && self.filters.matches(&secret.searchable())
    }

    fn is_visible(&self, deletion_at: Option<i64>) -> bool {
        deletion_at.is_none_or(|at| self.with_scheduled && at > self.now.timestamp_millis())
    }

    fn date(&self) -> Option<Date> {
        match self.sort_by {
            SortBy::CreatedDate | SortBy::Unknown(_) => Some(Date::Created),
            SortBy::LastChangedDate => Some(Date::LastChanged),
            SortBy::LastAccessedDate => Some(Date::LastAccessed),
            SortBy::Name => None,
        }
    }

    /// What a page token has to remember to go on after an entry.
    pub(crate) fn cursor(&self, entry: &Entry) -> Cursor {
        Cursor { at: self.date().and_then(|date| entry.date(date)), name: entry.name().to_owned() }
    }
}

impl Catalogue {
    /// Builds the catalogue from every secret of the store, unless that has been done.
    pub(super) fn build(&self, for_each: impl FnOnce(&mut dyn FnMut(Loaded)) -> Result<()>) -> Result<()> {
        if self.read().is_some() {
            return Ok(());
        }
        // Commits that finish meanwhile wait here with what they have to add.
        let mut tenants = self.tenants.write().unwrap_or_else(PoisonError::into_inner);
        if tenants.is_some() {
            return Ok(());
        }
        let mut entries: HashMap<Arc<Tenant>, Vec<Arc<Entry>>> = HashMap::new();
        for_each(&mut |Loaded { secret, .. }| {
            let entry = Arc::new(Entry::new(&secret));
            entries.entry(Arc::clone(&secret.tenant)).or_default().push(entry);
        })?;
        *tenants = Some(entries.into_iter().map(|(tenant, entries)| (tenant, Tenancy::of(entries))).collect());
        Ok(())
    }

    fn read(&self) -> RwLockReadGuard<'_, Option<Tenants>> {
        self.tenants.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes over what a group of commits changed, in their order.
    pub(super) fn apply<'a>(&self, changes: impl Iterator<Item = &'a CatalogueChange>) {
        let _gate = self.gate.lock().unwrap_or_else(PoisonError::into_inner);
        let mut tenants = self.tenants.write().unwrap_or_else(PoisonError::into_inner);
        let Some(tenants) = &mut *tenants else { return };
        for change in changes {
            match change {
                CatalogueChange::Put { tenant, entry } => {
                    tenants.entry(Arc::clone(tenant)).or_default().put(entry);
                }
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
        let tenants = self.read();
        let tenancy = tenants.as_ref().and_then(|tenants| tenants.get(tenant));
        tenancy.map_or(0, |tenancy| {
            let gone: usize = tenancy.deletions.range(..=now.timestamp_millis()).map(|(_, count)| count).sum();
            tenancy.by_name.len().saturating_sub(gone) as u64
        })
    }

    /// Every account and Region that has secrets, in order.
    pub(crate) fn tenants(&self) -> Vec<Arc<Tenant>> {
        let tenants = self.read();
        let mut all: Vec<_> = tenants.iter().flat_map(HashMap::keys).cloned().collect();
        all.sort_by(|a, b| (a.account(), a.region()).cmp(&(b.account(), b.region())));
        all
    }

    /// The first `limit` names of an account and Region after the one given, in order, whatever their state.
    pub(crate) fn names(&self, tenant: &Tenant, after: Option<&SecretName>, limit: usize) -> Vec<SecretName> {
        let tenants = self.read();
        let Some(tenancy) = tenants.as_ref().and_then(|tenants| tenants.get(tenant)) else { return Vec::new() };
        let after = after.map(|name| Ranked::new(&Arc::new(Entry::at(&Cursor { at: None, name: name.to_string() }))));
        let from = after.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let rest = tenancy.by_name.range((from, Bound::Unbounded));
        rest.map(|ranked| SecretName::from_record(ranked.entry.name())).take(limit).collect()
    }

    /// The first `limit` entries of a listing after the cursor.
    pub(crate) fn page(
        &self,
        tenant: &Tenant,
        listing: &Listing<'_>,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> Vec<Arc<Entry>> {
        match listing.date() {
            None => self.page_of::<Name>(tenant, listing, cursor, limit),
            Some(Date::Created) => self.page_of::<Created>(tenant, listing, cursor, limit),
            Some(Date::LastChanged) => self.page_of::<LastChanged>(tenant, listing, cursor, limit),
            Some(Date::LastAccessed) => self.page_of::<LastAccessed>(tenant, listing, cursor, limit),
        }
    }

    fn page_of<R: Rank>(
        &self,
        tenant: &Tenant,
        listing: &Listing<'_>,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> Vec<Arc<Entry>> {
        let mut found: Vec<Arc<Entry>> = Vec::new();
        let mut last: Option<Ranked<R>> = cursor.map(|cursor| Ranked::new(&Arc::new(Entry::at(cursor))));
        // Where the order ends at first, and how many may be looked at that have come behind it meanwhile.
        let mut end: Option<(Ranked<R>, usize)> = None;
        loop {
            let is_resumed = end.is_some();
            if is_resumed {
                // Commits that wait go first.
                drop(self.gate.lock().unwrap_or_else(PoisonError::into_inner));
            }
            let tenants = self.read();
            let Some(tenancy) = tenants.as_ref().and_then(|tenants| tenants.get(tenant)) else { return found };
            let order = R::order_of(tenancy);
            let Some(outermost) = (if listing.is_descending { order.first() } else { order.last() }) else {
                return found;
            };
            let (end, late_left) = end.get_or_insert_with(|| (Ranked::new(&outermost.entry), order.len()));
            let mut looked_at = 0;
            for ranked in beyond(order, last.as_ref(), listing.is_descending).take(LOOKED_AT_ONCE) {
                looked_at += 1;
                let entry = &ranked.entry;
                let is_late = if listing.is_descending { ranked < end } else { ranked > end };
                if is_late {
                    // It was made or moved there meanwhile, and others may be for ever.
                    let Some(fewer) = late_left.checked_sub(1) else { return found };
                    *late_left = fewer;
                }
                if listing.shows(entry) && !(is_resumed && is_among(entry, &found)) {
                    found.push(Arc::clone(entry));
                }
                if found.len() == limit {
                    return found;
                }
                if looked_at == LOOKED_AT_ONCE {
                    last = Some(Ranked::new(entry));
                }
            }
            if looked_at < LOOKED_AT_ONCE {
                return found;
            }
        }
    }
}

/// Whether an entry was found already, and comes by once more because it was moved meanwhile.
fn is_among(entry: &Entry, found: &[Arc<Entry>]) -> bool {
    found.iter().any(|known| known.name_bytes() == entry.name_bytes())
}

/// What comes after a place in an order.
fn beyond<'a, R: Rank>(
    order: &'a Order<R>,
    place: Option<&Ranked<R>>,
    is_descending: bool,
) -> Box<dyn Iterator<Item = &'a Ranked<R>> + 'a> {
    let place = place.map_or(Bound::Unbounded, Bound::Excluded);
    if is_descending {
        Box::new(order.range((Bound::Unbounded, place)).rev())
    } else {
        Box::new(order.range((place, Bound::Unbounded)))
    }
}

impl Tenancy {
    /// Of entries in any order. One that comes twice counts as it came last.
    fn of(mut entries: Vec<Arc<Entry>>) -> Self {
        entries.sort_by(|a, b| a.name_bytes().cmp(b.name_bytes()));
        entries.dedup_by(|later, earlier| {
            let is_same = later.name_bytes() == earlier.name_bytes();
            if is_same {
                std::mem::swap(later, earlier);
            }
            is_same
        });
        let mut deletions = BTreeMap::new();
        for at in entries.iter().filter_map(|entry| entry.deletion_at()) {
            *deletions.entry(at).or_default() += 1;
        }
        Self {
            by_name: entries.iter().map(Ranked::new).collect(),
            by_creation: ordered(&entries),
            by_change: ordered(&entries),
            by_access: ordered(&entries),
            deletions,
        }
    }

    fn put(&mut self, entry: &Arc<Entry>) {
        let old = self.by_name.replace(Ranked::new(entry)).map(|ranked| ranked.entry);
        let old = old.as_ref();
        put(&mut self.by_creation, old, entry);
        put(&mut self.by_change, old, entry);
        put(&mut self.by_access, old, entry);
        if let Some(at) = old.and_then(|old| old.deletion_at()) {
            self.forget_deletion(at);
        }
        if let Some(at) = entry.deletion_at() {
            *self.deletions.entry(at).or_default() += 1;
        }
    }

    fn remove(&mut self, name: &SecretName) {
        let place = Arc::new(Entry::at(&Cursor { at: None, name: name.to_string() }));
        let Some(Ranked { entry, .. }) = self.by_name.take(&Ranked::new(&place)) else { return };
        self.by_creation.remove(&Ranked::new(&entry));
        self.by_change.remove(&Ranked::new(&entry));
        self.by_access.remove(&Ranked::new(&entry));
        if let Some(at) = entry.deletion_at() {
            self.forget_deletion(at);
        }
    }

    fn forget_deletion(&mut self, at: i64) {
        if let Some(count) = self.deletions.get_mut(&at) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.deletions.remove(&at);
            }
        }
    }
}

/// An order of entries that are sorted by name.
fn ordered<R: Rank>(by_name: &[Arc<Entry>]) -> Order<R> {
    let mut ranked: Vec<Ranked<R>> = by_name.iter().map(Ranked::new).collect();
    // Stable, so that names stay in order where dates are the same.
    ranked.sort_by_key(Ranked::date);
    ranked.into_iter().collect()
}

/// Puts an entry into an order, in the place of what it was before.
fn put<R: Rank>(order: &mut Order<R>, old: Option<&Arc<Entry>>, new: &Arc<Entry>) {
    let new = Ranked::new(new);
    if let Some(old) = old.map(Ranked::new).filter(|old| old.date() != new.date()) {
        order.remove(&old);
    }
    order.replace(new);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::filter::Filter;
    use crate::records::codec::tests::secret;
    use crate::time::from_millis;
    use std::sync::atomic::AtomicBool;
    use std::thread;

    fn put(catalogue: &Catalogue, name: &str, accessed_on: Option<i64>) {
        let mut secret = secret(0, 0, 0);
        secret.name = SecretName::from_record(name);
        secret.accessed_on = accessed_on.map(from_millis);
        let change = CatalogueChange::Put { tenant: Arc::clone(&secret.tenant), entry: Arc::new(Entry::new(&secret)) };
        catalogue.apply([&change].into_iter());
    }

    #[test]
    fn what_was_there_all_the_time_is_found_whatever_is_made_or_moved_meanwhile() {
        let filters = Filters::parse(&[Filter::new("name", ["zzz"])]).unwrap();
        let tenant = secret(0, 0, 0).tenant;
        let rows = [(SortBy::Name, false), (SortBy::LastAccessedDate, false), (SortBy::LastAccessedDate, true)];
        for (sort_by, is_descending) in rows {
            let catalogue = Catalogue::default();
            catalogue.build(|_| Ok(())).unwrap();
            (0..3 * LOOKED_AT_ONCE).for_each(|number| put(&catalogue, &format!("many/{number:05}"), None));
            put(&catalogue, "zzz", Some(i64::from(!is_descending)));
            let listing = Listing {
                filters: &filters,
                sort_by: &sort_by,
                is_descending,
                with_scheduled: false,
                now: from_millis(0),
            };
            let is_over = AtomicBool::new(false);
            thread::scope(|scope| {
                // In between where the page is and what it looks for.
                scope.spawn(|| {
                    for number in 0..20_000 {
                        if is_over.load(std::sync::atomic::Ordering::Relaxed) {
                            break;
                        }
                        put(&catalogue, &format!("many/99999/{number}"), Some(number % 2).filter(|at| *at > 0));
                    }
                });
                let missed = (0..100).filter(|_| catalogue.page(&tenant, &listing, None, 1).is_empty()).count();
                is_over.store(true, std::sync::atomic::Ordering::Relaxed);
                assert_eq!(missed, 0, "of 100 pages, {sort_by:?}, descending: {is_descending}");
                let made = catalogue.count(&tenant, from_millis(0)) - 3 * LOOKED_AT_ONCE as u64;
                // The last row finds what it looks for at once.
                assert!(is_descending || made > 10, "changes are let in: {made}");
            });
        }
    }
}
