//! Keys whose beginning is not told where they stand, because the page that tells it is lost.

use std::collections::HashMap;

use super::mend::NO_PAGE;
use super::{Place, Reading, Word};

/// Bytes of an end of a key by which the key is known again.
const TAIL_BYTES: usize = 8;

/// Beginnings that are tried for one key.
const BEGINNINGS_MAX: usize = 512;

/// Pages that are looked at for beginnings, for all keys together.
const LOOKS_MAX: usize = 100_000_000;

/// A value, or a removal, of a key of which the end is known.
#[derive(Debug)]
pub(super) struct Orphan {
    pub(super) suffix: Vec<u8>,
    pub(super) page: u64,
    pub(super) order: u64,
    pub(super) is_removed: bool,
    pub(super) place: Option<Place>,
}

impl Reading {
    /// Finds the keys of the orphans: one that is known and ends so, or one that an index says the page is for.
    pub(super) fn resolve_orphans(&mut self) {
        let mut known: HashMap<[u8; TAIL_BYTES], Vec<Vec<u8>>> = HashMap::new();
        for key in self.keys.keys() {
            if let Some(tail) = key.last_chunk() {
                known.entry(*tail).or_default().push(key.clone());
            }
        }
        // What indexes say, also of pages whose newest writing is lost and an older one is not.
        let mut told: Vec<(u64, Vec<u8>, Vec<u8>)> = Vec::new();
        told.extend(self.children.iter().map(|(page, (lo, hi))| (*page, lo.clone(), hi.clone())));
        told.sort();
        let mut rest: Vec<(u64, Vec<u8>, Vec<u8>)> = Vec::new();
        rest.extend(self.pages.iter().map(|(page, leaf)| (*page, leaf.lo.clone(), leaf.hi.clone())));
        rest.sort();
        let mut looks = 0;
        for orphan in std::mem::take(&mut self.orphans) {
            let Orphan { suffix, page, order, is_removed, place } = orphan;
            let alike = suffix.last_chunk().and_then(|tail: &[u8; TAIL_BYTES]| known.get(tail));
            let mut keys: Vec<Vec<u8>> = alike
                .into_iter()
                .flatten()
                .filter(|key| key.ends_with(&suffix))
                .take(BEGINNINGS_MAX)
                .cloned()
                .collect();
            // What was written again since is history, and needs no new keys.
            let is_history = self.pages.get(&page).is_some_and(|leaf| leaf.is_whole && leaf.order > order);
            if keys.is_empty() && !is_history {
                let is_key = self.shape.is_key;
                let begun = |(_, lo, hi): &(u64, Vec<u8>, Vec<u8>)| {
                    let shared = lo.iter().zip(hi).take_while(|(a, b)| a == b).count();
                    let key = [lo.get(..shared)?, suffix.as_slice()].concat();
                    let is_for_it =
                        lo.as_slice() <= key.as_slice() && (hi.is_empty() || key.as_slice() < hi.as_slice());
                    (is_for_it && is_key(&key)).then_some(key)
                };
                let mut free = LOOKS_MAX.saturating_sub(looks);
                if page != NO_PAGE {
                    let of_page = told.iter().take(free).filter(|(other, ..)| *other == page);
                    keys = of_page.filter_map(begun).take(BEGINNINGS_MAX).collect();
                    looks += told.len();
                    free = free.saturating_sub(told.len());
                }
                // What does not tell its page, or what is damaged and may tell a wrong one, may be of any.
                let is_damaged = place.as_ref().is_some_and(|place| place.is_guess);
                if keys.is_empty() && (page == NO_PAGE || is_damaged) {
                    let of_any = told.iter().chain(&rest).take(free);
                    keys = of_any.filter_map(begun).take(BEGINNINGS_MAX).collect();
                    looks += told.len() + rest.len();
                }
            }
            for key in keys {
                self.note(key, place.clone(), Word { page, base: 0, order, is_removed });
            }
        }
    }
}
