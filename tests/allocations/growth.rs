//! What allocations do not depend on, and what is left when everything that was made is gone.

use strongroom::SecretsManager;

use crate::fixture::{create, delete, describe, filled, get, get_twenty, list, measure, put};

/// A call about the secret of a number.
type Call = fn(&SecretsManager, usize);

#[test]
fn calls_allocate_no_more_in_a_store_of_many_secrets() {
    const FEW: usize = 200;
    const MANY: usize = 5_000;
    let (small, large) = (filled(FEW), filled(MANY));
    let calls: [(&str, Call); 5] = [
        ("get_secret_value", get),
        ("describe_secret", describe),
        ("put_secret_value", put),
        ("list_secrets, a page of 100", list),
        ("batch_get_secret_value of 20", get_twenty),
    ];
    for (call, work) in calls {
        [&small, &large].into_iter().for_each(|manager| work(manager, 0));
        let [few, many] = [&small, &large].map(|manager| measure(|| work(manager, 7)));
        assert_eq!(many.count_total, few.count_total, "{call}: allocations among {MANY} and among {FEW}");
        // Keys and names are of the same lengths in both.
        assert_eq!(many.bytes_total, few.bytes_total, "{call}: bytes among {MANY} and among {FEW}");
    }
}

/// Bytes that are left after so many rounds of four calls: reading a secret, making another one, putting to it, deleting it.
fn left_after(manager: &SecretsManager, rounds: usize) -> i64 {
    let left = measure(|| {
        for _ in 0..rounds {
            get(manager, 3);
            create(manager, 9_999);
            put(manager, 9_999);
            delete(manager, 9_999);
        }
    });
    assert!(left.count_total > 4 * rounds as u64, "nothing was counted");
    left.bytes_current
}

#[test]
fn nothing_is_left_of_ten_thousand_calls() {
    let manager = filled(200);
    // Whatever is made once and kept.
    left_after(&manager, 25);
    let (few, many) = (left_after(&manager, 25), left_after(&manager, 2_500));
    eprintln!("bytes left after 100 calls: {few}, after 10,000: {many}");
    assert!(many.abs_diff(few) <= 4_096, "{few} bytes are left after 100 calls, {many} after 10,000");
}
