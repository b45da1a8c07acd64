//! The items of a leaf in which something is out of place: every one that can still be told from its neighbours.
//!
//! A leaf is its keys and then its values, each behind its length. Reading from the front is right up to the first damaged
//! length. From the end it is known of every place how many items lie between it and the end, if an item begins there; so
//! what is behind the damage is found by its number, counted from the end.

use std::ops::Range;

use super::format::{PageHead, Reader};
use crate::storage::{KEY_BYTES_MAX, RECORD_BYTES_MAX};

/// Places that are tried for one item.
const CANDIDATES_MAX: usize = 192;

/// Pairs that are tried for one leaf.
const PAIRS_MAX: usize = 16 * 1024;

/// Keys and values of a damaged leaf that may belong together. What is damaged itself is among them.
pub(super) fn pairs(
    bytes: &[u8],
    body: &Range<usize>,
    head: &PageHead,
    is_key: &dyn Fn(&[u8]) -> bool,
) -> Vec<(Range<usize>, Range<usize>)> {
    let items = candidates(bytes, body, head, is_key);
    let (keys, values) = items.split_at_checked(head.count).unwrap_or_default();
    let mut pairs = Vec::new();
    for (keys, values) in keys.iter().zip(values) {
        pair_up(keys, values, &mut pairs);
    }
    pairs
}

fn pair_up(keys: &[Range<usize>], values: &[Range<usize>], pairs: &mut Vec<(Range<usize>, Range<usize>)>) {
    for key in keys {
        let free = PAIRS_MAX.saturating_sub(pairs.len());
        pairs.extend(values.iter().take(free).map(|value| (key.clone(), value.clone())));
    }
}

/// For each item, where it may be.
fn candidates(
    bytes: &[u8],
    body: &Range<usize>,
    head: &PageHead,
    is_key: &dyn Fn(&[u8]) -> bool,
) -> Vec<Vec<Range<usize>>> {
    let count = 2 * head.count;
    let Some(bytes) = bytes.get(..body.end) else { return Vec::new() };
    let fits = |index: usize, item: &Range<usize>| {
        index >= head.count || item.len() <= KEY_BYTES_MAX && bytes.get(item.clone()).is_some_and(is_key)
    };
    let to_end = items_to_end(bytes, head.items);
    let still_to_come = |at: usize| at.checked_sub(head.items).and_then(|index| to_end.get(index)).copied().flatten();
    let mut found = vec![Vec::new(); count];

    let mut reader = Reader::new(bytes, head.items);
    for (index, found) in found.iter_mut().enumerate() {
        let Some(item) = reader.item(RECORD_BYTES_MAX) else { break };
        if fits(index, &item) {
            found.push(item);
        }
    }
    let votes = votes(bytes, head.items);
    let mut places: Vec<(u32, usize)> = votes.into_iter().zip(head.items..bytes.len()).collect();
    places.sort_unstable_by(|a, b| b.cmp(a));
    for (_, at) in places {
        let Some(index) = still_to_come(at).and_then(|rest| count.checked_sub(rest.into())) else { continue };
        let Some(found) = found.get_mut(index) else { continue };
        if found.len() >= CANDIDATES_MAX {
            continue;
        }
        let Some(item) = Reader::new(bytes, at).item(RECORD_BYTES_MAX) else { continue };
        if fits(index, &item) && !found.contains(&item) {
            found.push(item);
        }
    }
    found
}

/// For each place from `start` on: how many items there are to the end, if one begins there and the last ends at the end.
pub(super) fn items_to_end(bytes: &[u8], start: usize) -> Vec<Option<u16>> {
    let mut to_end = vec![None; bytes.len().saturating_sub(start) + 1];
    if let Some(last) = to_end.last_mut() {
        *last = Some(0);
    }
    for at in (start..bytes.len()).rev() {
        let mut reader = Reader::new(bytes, at);
        let next = reader.item(RECORD_BYTES_MAX).and_then(|_| to_end.get(reader.at - start)).copied().flatten();
        if let (Some(next), Some(here)) = (next, to_end.get_mut(at - start)) {
            *here = u16::checked_add(next, 1);
        }
    }
    to_end
}

/// For each place from `start` on: from how many places before it one gets there, item by item. Wherever one begins, one
/// soon gets to where items do begin.
fn votes(bytes: &[u8], start: usize) -> Vec<u32> {
    let mut votes = vec![0_u32; bytes.len().saturating_sub(start)];
    for at in start..bytes.len() {
        let so_far = votes.get(at - start).copied().unwrap_or_default();
        let mut reader = Reader::new(bytes, at);
        let next = reader.item(RECORD_BYTES_MAX).and_then(|_| votes.get_mut(reader.at - start));
        next.into_iter().for_each(|next| *next = next.saturating_add(so_far).saturating_add(1));
    }
    votes
}

/// Keys and values of a leaf whose end is missing.
pub(super) fn first_pairs(bytes: &[u8], body: &Range<usize>, head: &PageHead) -> Vec<(Range<usize>, Range<usize>)> {
    let Some(bytes) = bytes.get(..body.end) else { return Vec::new() };
    let mut reader = Reader::new(bytes, head.items);
    let Some(keys) = (0..head.count).map(|_| reader.item(KEY_BYTES_MAX)).collect::<Option<Vec<_>>>() else {
        return Vec::new();
    };
    keys.into_iter().map_while(|key| Some((key, reader.item(RECORD_BYTES_MAX)?))).collect()
}

/// Leaves of more items than this do not survive the loss of their beginning.
const LAST_PAIRS_MAX: usize = 32;

/// Places that are tried for one item of such a leaf.
const LAST_CANDIDATES_MAX: usize = 4;

/// Places that are tried for the only key that is left of such a leaf.
const ONLY_CANDIDATES_MAX: usize = 12;

/// Keys shorter than this are not known again without what they begin with.
const KEY_BYTES_MIN: usize = 8;

/// Keys and values that may stand at the end of a leaf whose beginning is lost: the last key belongs to the last value.
pub(super) fn last_pairs(bytes: &[u8], start: usize) -> Vec<(Range<usize>, Range<usize>)> {
    let to_end = items_to_end(bytes, start);
    // By how many items there are to the end: what may be a key, and what may be a value.
    let mut by_count = vec![(Vec::new(), Vec::new()); 2 * LAST_PAIRS_MAX + 1];
    let mut places: Vec<(u32, usize)> = votes(bytes, start).into_iter().zip(start..).collect();
    places.sort_unstable_by(|a, b| b.cmp(a));
    for (_, at) in places {
        let count = to_end.get(at - start).copied().flatten();
        let Some((keys, values)) = count.and_then(|count| by_count.get_mut(usize::from(count))) else { continue };
        let Some(item) = Reader::new(bytes, at).item(RECORD_BYTES_MAX) else { continue };
        if (KEY_BYTES_MIN..=KEY_BYTES_MAX).contains(&item.len()) && keys.len() < LAST_CANDIDATES_MAX {
            keys.push(item.clone());
        }
        if values.len() < LAST_CANDIDATES_MAX {
            values.push(item);
        }
    }
    let mut pairs = run_pairs(bytes, start, &to_end);
    only_pairs(bytes, start, &to_end, by_count.get(1).map(|(_, values)| values.as_slice()), &mut pairs);
    for count in 1..=LAST_PAIRS_MAX {
        for from_end in 1..=count {
            let keys = by_count.get(count + from_end).map(|(keys, _)| keys.as_slice()).unwrap_or_default();
            let values = by_count.get(from_end).map(|(_, values)| values.as_slice()).unwrap_or_default();
            if keys.is_empty() {
                break;
            }
            pair_up(keys, values, &mut pairs);
        }
    }
    pairs
}

/// What may be the only key that is left, and its value, which is the last one. It stands right behind the damage, where
/// hardly anything leads to it, so the first places are the likeliest.
fn only_pairs(
    bytes: &[u8],
    start: usize,
    to_end: &[Option<u16>],
    last_values: Option<&[Range<usize>]>,
    pairs: &mut Vec<(Range<usize>, Range<usize>)>,
) {
    let mut tried = [0_usize; LAST_PAIRS_MAX + 2];
    for (at, count) in (start..).zip(to_end) {
        let Some(tried) = count.and_then(|count| tried.get_mut(usize::from(count))) else { continue };
        let key = Reader::new(bytes, at).item(KEY_BYTES_MAX).filter(|key| key.len() >= KEY_BYTES_MIN);
        if let Some(key) = key.filter(|_| *tried < ONLY_CANDIDATES_MAX) {
            *tried += 1;
            pair_up(&[key], last_values.unwrap_or_default(), pairs);
        }
    }
}

/// Runs that are tried for one leaf.
const RUNS_MAX: usize = 8;

/// Keys of one leaf are mostly of one length, so several of them in a row are conspicuous. From them on everything is
/// told: the items behind the run are the values, and the last key belongs to the last value.
fn run_pairs(bytes: &[u8], start: usize, to_end: &[Option<u16>]) -> Vec<(Range<usize>, Range<usize>)> {
    let is_placed = |at: usize| to_end.get(at - start).is_some_and(Option::is_some);
    let item_at = |at: usize| Reader::new(bytes, at).item(RECORD_BYTES_MAX).filter(|_| is_placed(at));
    let is_like_a_key = |item: &Range<usize>| (KEY_BYTES_MIN..=KEY_BYTES_MAX).contains(&item.len());
    // For each place, the length of the run that begins there.
    let mut runs = vec![0_usize; to_end.len()];
    for at in (start..bytes.len()).rev() {
        let Some(item) = item_at(at).filter(is_like_a_key) else { continue };
        let next = item_at(item.end).filter(|next| next.len() == item.len());
        let behind = next.and_then(|_| runs.get(item.end - start)).copied().unwrap_or_default();
        if let Some(run) = runs.get_mut(at - start) {
            *run = behind + 1;
        }
    }
    let mut firsts: Vec<(usize, usize)> = runs.into_iter().zip(start..).filter(|(run, _)| *run > 1).collect();
    firsts.sort_unstable_by(|a, b| b.cmp(a));
    firsts.truncate(RUNS_MAX);
    let mut pairs = Vec::new();
    for (run, first) in firsts {
        let items: Vec<Range<usize>> =
            std::iter::successors(item_at(first), |item| item_at(item.end)).take(4 * LAST_PAIRS_MAX).collect();
        // Keys of another family may follow the run, or the first value may be as long as a key.
        for keys in run.saturating_sub(1)..=run + LAST_PAIRS_MAX {
            let Some((keys, values)) = items.split_at_checked(keys) else { break };
            if keys.len() > values.len() || !keys.iter().all(is_like_a_key) {
                break;
            }
            pairs.extend(keys.iter().rev().cloned().zip(values.iter().rev().cloned()));
        }
    }
    pairs
}
