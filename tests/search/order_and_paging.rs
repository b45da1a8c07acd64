//! The order of lists, and walks over their pages while secrets come and go.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use strongroom::{ListSecretsRequest, MemoryBackend};

use crate::fixture::{World, filters, malformed, paged, walk};

const ORDERS: [&str; 4] = ["created-date", "last-accessed-date", "last-changed-date", "name"];

fn sorted(sort_by: &str, sort_order: &str) -> ListSecretsRequest {
    ListSecretsRequest::new().sort_by(sort_by).sort_order(sort_order)
}

/// Page by page, with something done after each page.
fn pages(world: &World, request: impl Fn() -> ListSecretsRequest, mut between: impl FnMut(usize)) -> Vec<Vec<String>> {
    let mut number = 0;
    walk(|token| {
        let page = world.secrets.list_secrets(paged(request(), token)).unwrap();
        between(number);
        number += 1;
        (page.secret_list.into_iter().map(|entry| entry.name).collect(), page.next_token)
    })
}

/// Recorded: lists come in order of creation, which is not that of the alphabet.
#[test]
fn a_list_is_in_order_of_creation() {
    let world = World::new();
    for name in ["m", "z", "a", "B", "b"] {
        world.create(name);
    }
    assert_eq!(world.names(ListSecretsRequest::new), ["m", "z", "a", "B", "b"]);
    assert_eq!(world.batch_names(|| filters("name=")), ["m", "z", "a", "B", "b"]);
    // Later changes do not move a secret.
    world.describe("m", "changed");
    world.read("z");
    assert_eq!(world.names(ListSecretsRequest::new), ["m", "z", "a", "B", "b"]);
}

/// Source: <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_ListSecrets.html>
#[test]
fn a_list_can_be_sorted_by_four_things_in_two_directions() {
    let world = World::new();
    for name in ["b", "a", "d", "c", "e"] {
        world.create(name);
    }
    for name in ["e", "b", "a", "c", "d"] {
        world.describe(name, "changed");
    }
    for name in ["c", "e", "d", "b", "a"] {
        world.days(1);
        world.read(name);
    }
    let rows =
        [("created-date", "badce"), ("last-accessed-date", "cedba"), ("last-changed-date", "ebacd"), ("name", "abcde")];
    for (sort_by, ascending) in rows {
        let descending: String = ascending.chars().rev().collect();
        assert_eq!(world.names(|| sorted(sort_by, "asc")).concat(), ascending, "{sort_by}");
        assert_eq!(world.names(|| sorted(sort_by, "desc")).concat(), descending, "{sort_by}");
        let by_default = world.names(|| ListSecretsRequest::new().sort_by(sort_by));
        assert_eq!(by_default.concat(), ascending, "{sort_by}: ascending is the default");
    }
    assert_eq!(world.names(|| ListSecretsRequest::new().sort_order("desc")).concat(), "ecdab");
}

#[test]
fn names_are_ordered_byte_by_byte() {
    let world = World::new();
    let in_order = ["!", "+", "-", ".", "/", "/a", "0", "10", "2", "=", "@", "A", "Z", "_", "a", "a!", "aA", "aa", "b"];
    for name in in_order.iter().rev() {
        world.create(name);
    }
    assert_eq!(world.names(|| sorted("name", "asc")), in_order);
    let reversed: Vec<_> = in_order.iter().rev().copied().collect();
    assert_eq!(world.names(|| sorted("name", "desc")), reversed);
}

/// Secrets of the same date come by name; secrets that were never read come before those that were.
#[test]
fn ties_are_broken_by_name_and_missing_dates_come_first() {
    let world = World::new();
    for name in ["d", "b", "c", "a"] {
        world.secrets.create_secret(strongroom::CreateSecretRequest::new(name).secret_string("v")).unwrap();
    }
    world.read("b");
    world.clock.advance(TimeDelta::hours(1));
    world.read("a");
    for (sort_by, expected) in
        [("created-date", "abcd"), ("last-changed-date", "abcd"), ("last-accessed-date", "cdab"), ("name", "abcd")]
    {
        assert_eq!(world.names(|| sorted(sort_by, "asc")).concat(), expected, "{sort_by}");
        for size in 1..=4 {
            let walked = world.names(|| sorted(sort_by, "asc").max_results(size));
            assert_eq!(walked.concat(), expected, "{sort_by} in pages of {size}");
        }
    }
    let never_read_last = world.names(|| sorted("last-accessed-date", "desc"));
    assert_eq!(
        never_read_last[..2].iter().collect::<BTreeSet<_>>(),
        BTreeSet::from([&"a".to_owned(), &"b".to_owned()])
    );
}

/// Dates before 1970 and after it, and a clock that goes backwards, order as dates do.
#[test]
fn dates_order_across_the_epoch() {
    let world = World::new();
    for (name, millis) in [("now", 5), ("future", 4_102_444_800_000), ("past", -5_000_000_000), ("zero", 0)] {
        world.clock.set(strongroom::Timestamp::from_timestamp_millis(millis).unwrap());
        world.secrets.create_secret(strongroom::CreateSecretRequest::new(name)).unwrap();
    }
    let expected = ["past", "zero", "now", "future"];
    for size in [1, 2, 100] {
        assert_eq!(world.names(|| ListSecretsRequest::new().max_results(size)), expected);
        let reversed: Vec<_> = expected.iter().rev().copied().collect();
        assert_eq!(world.names(|| sorted("created-date", "desc").max_results(size)), reversed);
    }
}

fn numbered(count: usize) -> World {
    let world = World::new();
    for number in 0..count {
        // Names in another order than creation.
        world.create(&format!("s{:03}", number * 17 % count));
    }
    world
}

#[test]
fn a_walk_shows_every_secret_once_whatever_the_size_of_the_pages() {
    let count = 230;
    let world = numbered(count);
    for number in (0..count).step_by(3) {
        world.days(i64::from(number % 2 == 0));
        world.read(&format!("s{number:03}"));
    }
    for sort_by in ORDERS {
        for sort_order in ["asc", "desc"] {
            let whole = world.names(|| sorted(sort_by, sort_order).max_results(100));
            assert_eq!(whole.iter().collect::<BTreeSet<_>>().len(), count, "{sort_by} {sort_order}");
            assert_eq!(whole.len(), count, "{sort_by} {sort_order}");
            for size in [1, 2, 7, 99] {
                let pages = pages(&world, || sorted(sort_by, sort_order).max_results(size), |_| {});
                assert!(pages.iter().all(|page| i32::try_from(page.len()).unwrap() <= size));
                assert_eq!(pages.concat(), whole, "{sort_by} {sort_order} in pages of {size}");
            }
        }
    }
}

#[test]
fn a_page_has_a_hundred_entries_unless_asked_otherwise() {
    for (count, sizes) in [(99, vec![99]), (100, vec![100]), (101, vec![100, 1]), (201, vec![100, 100, 1])] {
        let world = numbered(count);
        let pages = pages(&world, ListSecretsRequest::new, |_| {});
        assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), sizes);
    }
}

#[test]
fn the_last_page_has_no_token_also_when_it_is_full() {
    let world = numbered(6);
    for (size, pages_expected) in [(1, 6), (2, 3), (3, 2), (4, 2), (6, 1), (7, 1), (100, 1)] {
        assert_eq!(pages(&world, || ListSecretsRequest::new().max_results(size), |_| {}).len(), pages_expected);
    }
}

/// Between the pages, secrets before, at and after the current place come and go. Those that stay are shown once.
#[test]
fn a_walk_shows_what_stays_exactly_once_while_other_secrets_come_and_go() {
    for sort_by in ORDERS {
        for sort_order in ["asc", "desc"] {
            for size in [1, 3, 10] {
                let world = numbered(60);
                // Every third goes, some of them long before their turn and some after it.
                let goes = |number: usize| number.is_multiple_of(3);
                let mut victims: Vec<usize> = (0..60).filter(|number| goes(*number)).collect();
                let mut created = 0;
                let walked = pages(
                    &world,
                    || sorted(sort_by, sort_order).max_results(size),
                    |page| {
                        if let Some(victim) = victims.pop() {
                            world.remove(&format!("s{victim:03}"));
                        }
                        if !victims.is_empty() {
                            let first = victims.remove(0);
                            world.remove(&format!("s{first:03}"));
                        }
                        if page < 20 {
                            created += 1;
                            world.create(&format!("new{page}"));
                            world.create(&format!("s{created:03}-new"));
                        }
                    },
                )
                .concat();
                let case = format!("{sort_by} {sort_order} in pages of {size}");
                assert_eq!(walked.iter().collect::<BTreeSet<_>>().len(), walked.len(), "{case}: something came twice");
                for number in (0..60).filter(|number| !goes(*number)) {
                    let name = format!("s{number:03}");
                    assert!(walked.contains(&name), "{case}: {name} is missing");
                }
            }
        }
    }
}

/// Also when all that was shown, and all that would have come next, is gone.
#[test]
fn a_walk_goes_on_when_its_place_is_gone() {
    for sort_by in ORDERS {
        let world = World::new();
        for name in ["a", "b", "c", "d", "e", "f"] {
            world.create(name);
        }
        let walked = pages(
            &world,
            || sorted(sort_by, "asc").max_results(2),
            |page| {
                if page == 0 {
                    ["a", "b", "c", "d"].iter().for_each(|name| world.remove(name));
                }
            },
        );
        assert_eq!(walked, [["a", "b"], ["e", "f"]], "{sort_by}");
    }
}

#[test]
fn a_walk_ends_when_everything_is_gone() {
    let world = numbered(5);
    let walked = pages(
        &world,
        || ListSecretsRequest::new().max_results(2),
        |page| {
            if page == 0 {
                (0..5).for_each(|number| world.remove(&format!("s{number:03}")));
            }
        },
    );
    assert_eq!(walked.concat().len(), 2);
}

/// A secret that is removed and made again is another one, and comes in its new place.
#[test]
fn a_secret_that_is_made_again_during_a_walk_comes_at_its_new_place() {
    let world = World::new();
    for name in ["a", "b", "c"] {
        world.create(name);
    }
    let walked = pages(
        &world,
        || ListSecretsRequest::new().max_results(1),
        |page| {
            if page == 0 {
                world.remove("b");
                world.create("b");
            }
        },
    );
    assert_eq!(walked.concat(), ["a", "c", "b"]);
}

#[test]
fn filters_hold_over_all_pages() {
    let world = numbered(90);
    for number in (0..90).step_by(2) {
        world.describe(&format!("s{number:03}"), "even");
    }
    for size in [1, 4, 45, 100] {
        let found = world.names(|| ListSecretsRequest::new().filters(filters("description=even")).max_results(size));
        assert_eq!(found.len(), 45);
        assert!(found.iter().all(|name| name.trim_start_matches('s').parse::<u32>().unwrap() % 2 == 0));
    }
}

/// The size of a page is no part of the query.
#[test]
fn the_size_of_pages_may_change_during_a_walk() {
    let world = numbered(21);
    let mut sizes = [1, 2, 3, 4, 5, 6].into_iter();
    let walked = pages(&world, || ListSecretsRequest::new().max_results(1), |_| {});
    let changing = walk(|token| {
        let request = ListSecretsRequest::new().max_results(sizes.next().unwrap());
        let page = world.secrets.list_secrets(paged(request, token)).unwrap();
        (page.secret_list.into_iter().map(|entry| entry.name).collect(), page.next_token)
    });
    assert_eq!(changing.iter().map(Vec::len).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6]);
    assert_eq!(changing.concat(), walked.concat());
}

/// Tokens stay within the 4,096 characters that a client may send back, also after the longest names.
#[test]
fn the_longest_names_can_be_walked() {
    let world = World::new();
    let names: Vec<String> = "abcd".chars().map(|end| format!("{}{end}", "n".repeat(511))).collect();
    for name in &names {
        world.create(name);
    }
    for sort_by in ORDERS {
        let walked = walk(|token| {
            let request = sorted(sort_by, "asc").max_results(1);
            let page = world.secrets.list_secrets(paged(request, token)).unwrap();
            assert!(page.next_token.as_ref().is_none_or(|token| token.len() <= 4096));
            (page.secret_list.into_iter().map(|entry| entry.name).collect(), page.next_token)
        });
        assert_eq!(walked.concat(), names, "{sort_by}");
    }
}

/// A walk that was begun before the store was closed goes on after it was opened again.
#[test]
fn a_walk_survives_reopening() {
    let backend = MemoryBackend::new();
    let world = World::on(backend.clone(), 1);
    for name in ["a", "b", "c"] {
        world.create(name);
    }
    let first = world.secrets.list_secrets(ListSecretsRequest::new().max_results(1)).unwrap();
    world.store.close().unwrap();
    let world = World::on(backend, 2);
    let rest = world.secrets.list_secrets(paged(ListSecretsRequest::new(), first.next_token)).unwrap();
    assert_eq!(rest.secret_list.iter().map(|entry| entry.name.as_str()).collect::<Vec<_>>(), ["b", "c"]);
}

#[test]
fn sizes_of_pages_out_of_range_are_refused() {
    let world = numbered(1);
    for size in [0, -1, i32::MIN] {
        malformed(
            world.secrets.list_secrets(ListSecretsRequest::new().max_results(size)),
            &format!(
                "1 validation error detected: Value '{size}' at 'maxResults' failed to satisfy constraint: Member must \
                 have value greater than or equal to 1"
            ),
        );
    }
    for size in [101, 1_000, i32::MAX] {
        malformed(
            world.secrets.list_secrets(ListSecretsRequest::new().max_results(size)),
            &format!(
                "1 validation error detected: Value '{size}' at 'maxResults' failed to satisfy constraint: Member must \
                 have value less than or equal to 100"
            ),
        );
    }
}
