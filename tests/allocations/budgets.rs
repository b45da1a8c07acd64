//! What a call may allocate: some fifteen per cent more than it did when the budget was made.

use strongroom::SecretsManager;

use crate::fixture::{create, describe, filled, get, get_twenty, list, measure, put};

const SECRETS: usize = 200;
/// Calls of each kind, of which the worst counts.
const CALLS: usize = 50;

/// What one call may allocate.
struct Budget {
    call: &'static str,
    work: fn(&SecretsManager, usize),
    /// The first secret that it is about; the next call is about the next one.
    first: usize,
    allocations: u64,
    bytes: u64,
    /// Bytes at one time.
    peak: u64,
}

const BUDGETS: [Budget; 6] = [
    Budget { call: "get_secret_value", work: get, first: 0, allocations: 52, bytes: 8_700, peak: 4_700 },
    Budget { call: "put_secret_value", work: put, first: 0, allocations: 135, bytes: 27_500, peak: 16_000 },
    Budget { call: "create_secret", work: create, first: SECRETS, allocations: 106, bytes: 24_000, peak: 14_500 },
    Budget { call: "describe_secret", work: describe, first: 0, allocations: 34, bytes: 5_700, peak: 3_800 },
    Budget {
        call: "list_secrets, a page of 100",
        work: list,
        first: 0,
        allocations: 2_670,
        bytes: 400_000,
        peak: 275_000,
    },
    Budget {
        call: "batch_get_secret_value of 20",
        work: get_twenty,
        first: 0,
        allocations: 980,
        bytes: 137_000,
        peak: 46_500,
    },
];

#[test]
fn no_call_allocates_more_than_its_budget() {
    let mut over = Vec::new();
    let mut summary = Vec::new();
    for budget in BUDGETS {
        let Budget { call, work, first, .. } = budget;
        let manager = filled(SECRETS);
        // The first one finds nothing prepared.
        work(&manager, first);
        let counted = (1..=CALLS).map(|turn| measure(|| work(&manager, first + turn)));
        let worst = counted.reduce(|a, b| {
            let mut worst = a;
            worst.count_total = a.count_total.max(b.count_total);
            worst.bytes_total = a.bytes_total.max(b.bytes_total);
            worst.bytes_max = a.bytes_max.max(b.bytes_max);
            worst
        });
        let worst = worst.unwrap();
        assert!(worst.count_total > 0 && worst.bytes_total >= worst.bytes_max, "{call}: nothing was counted");
        let rows = [
            ("allocations", worst.count_total, budget.allocations),
            ("bytes", worst.bytes_total, budget.bytes),
            ("bytes at one time", worst.bytes_max, budget.peak),
        ];
        summary.push(format!(
            "{call} {} in {} bytes, at most {} at one time",
            worst.count_total, worst.bytes_total, worst.bytes_max
        ));
        let too_much = rows.iter().filter(|(_, found, most)| found > most);
        over.extend(too_much.map(|(what, found, most)| format!("{call}: {found} {what}, and {most} are the budget")));
    }
    eprintln!("allocations of the worst of {CALLS} calls: {}", summary.join("; "));
    assert!(over.is_empty(), "{}", over.join("\n"));
}
