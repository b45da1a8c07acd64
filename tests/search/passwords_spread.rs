//! How evenly `GetRandomPassword` chooses. The stream is seeded, so these tests give the same answer every time; the
//! bound is one that an even choice passes for all but about one seed in a hundred thousand, and a choice with a
//! modulo bias fails by far.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use strongroom::testing::SeededEntropy;
use strongroom::{GetRandomPasswordRequest, MemoryBackend, SecretStore, SecretsManager, StaticKey};

use crate::fixture::World;

fn seeded(seed: u64) -> SecretsManager {
    World::on(MemoryBackend::new(), seed).secrets
}

fn make(secrets: &SecretsManager, request: GetRandomPasswordRequest) -> Vec<char> {
    secrets.get_random_password(request).unwrap().random_password.expose().chars().collect()
}

/// Pearson's statistic against all cells being equally likely.
fn chi_square(counts: &[u32]) -> f64 {
    let total: f64 = counts.iter().copied().map(f64::from).sum();
    let expected = total / f64::from(u32::try_from(counts.len()).unwrap());
    counts.iter().map(|count| (f64::from(*count) - expected).powi(2) / expected).sum()
}

/// The statistic that an even choice exceeds about once in a hundred thousand times (Wilson and Hilferty).
fn bound(cells: usize) -> f64 {
    let freedom = f64::from(u32::try_from(cells - 1).unwrap());
    let spread = 2.0 / (9.0 * freedom);
    freedom * (1.0 - spread + 4.265 * spread.sqrt()).powi(3)
}

fn even(counts: &[u32]) -> bool {
    chi_square(counts) < bound(counts.len())
}

#[test]
fn the_measure_tells_an_even_choice_from_a_biased_one() {
    // The tables' value for 9 degrees of freedom at 0.00001 is 39.4, for 93 at the same level about 164.
    assert!((bound(10) - 39.4).abs() < 1.0 && (bound(94) - 164.0).abs() < 3.0, "{} {}", bound(10), bound(94));
    assert!(even(&[100_000; 94]));
    // A byte modulo 94: the first 68 characters come three times where the others come twice.
    let biased: Vec<u32> = (0..94).map(|cell| if cell < 68 { 1_200 } else { 800 }).collect();
    assert!(!even(&biased));
    // One character in ninety-four is never chosen, or comes a third too often.
    for odd in [0, 2_870] {
        let mut counts = [2_150; 94];
        counts[0] = odd;
        assert!(!even(&counts), "{odd}");
    }
}

fn counts_of(texts: impl Iterator<Item = Vec<char>>, pool: &BTreeSet<char>) -> Vec<u32> {
    let mut counts: BTreeMap<char, u32> = pool.iter().map(|character| (*character, 0)).collect();
    for character in texts.flatten() {
        *counts.get_mut(&character).unwrap_or_else(|| panic!("`{character}` is not in the pool")) += 1;
    }
    counts.into_values().collect()
}

fn printable(keep: impl Fn(char) -> bool) -> BTreeSet<char> {
    ('!'..='~').filter(|character| keep(*character)).collect()
}

/// Every character of the pool is equally likely, whatever the size of the pool.
#[test]
fn every_allowed_character_is_equally_likely() {
    let free = || GetRandomPasswordRequest::new().password_length(4096).require_each_included_type(false);
    let mut with_space = printable(|_| true);
    with_space.insert(' ');
    type Row = (&'static str, fn(GetRandomPasswordRequest) -> GetRandomPasswordRequest, BTreeSet<char>);
    let rows: [Row; 7] = [
        ("everything", |request| request, printable(|_| true)),
        ("and space", |request| request.include_space(true), with_space),
        ("no punctuation", |request| request.exclude_punctuation(true), printable(|c| c.is_ascii_alphanumeric())),
        (
            "digits",
            |request| request.exclude_punctuation(true).exclude_uppercase(true).exclude_lowercase(true),
            printable(|c| c.is_ascii_digit()),
        ),
        (
            "punctuation",
            |request| request.exclude_numbers(true).exclude_uppercase(true).exclude_lowercase(true),
            printable(|c| c.is_ascii_punctuation()),
        ),
        (
            "legible",
            |request| request.exclude_punctuation(true).exclude_characters("0oO1lI"),
            printable(|c| c.is_ascii_alphanumeric() && !"0oO1lI".contains(c)),
        ),
        (
            "three letters",
            |request| {
                request
                    .exclude_characters("abcdefghijklmnopqrstuvw0123456789")
                    .exclude_uppercase(true)
                    .exclude_punctuation(true)
            },
            ['x', 'y', 'z'].into(),
        ),
    ];
    for (seed, (name, configure, pool)) in (1..).zip(rows) {
        let secrets = seeded(seed);
        let counts = counts_of((0..50).map(|_| make(&secrets, configure(free()))), &pool);
        assert!(even(&counts), "{name}: {} of {}: {counts:?}", chi_square(&counts), bound(counts.len()));
    }
}

/// The first and the last character of many short passwords are as even as those of one long one.
#[test]
fn every_position_of_a_short_password_is_even() {
    let secrets = seeded(20);
    let digits = || {
        let request = GetRandomPasswordRequest::new().password_length(6);
        request.exclude_punctuation(true).exclude_uppercase(true).exclude_lowercase(true)
    };
    let made: Vec<Vec<char>> = (0..20_000).map(|_| make(&secrets, digits())).collect();
    let pool = printable(|c| c.is_ascii_digit());
    for position in 0..6 {
        let counts = counts_of(made.iter().map(|password| vec![password[position]]), &pool);
        assert!(even(&counts), "position {position}: {counts:?}");
    }
    // And neighbours do not depend on each other.
    let mut pairs = vec![0; 100];
    for password in &made {
        let digit = |position: usize| usize::try_from(password[position].to_digit(10).unwrap()).unwrap();
        pairs[digit(0) * 10 + digit(1)] += 1;
    }
    assert!(even(&pairs), "{pairs:?}");
}

fn type_of(character: char) -> usize {
    [char::is_uppercase, char::is_lowercase, char::is_numeric, |_: char| true]
        .iter()
        .position(|is| is(character))
        .unwrap()
}

/// Characters that must appear stand at any place: with four characters of four types, all 24 orders of the types are
/// equally likely, and every character of a type too.
#[test]
fn required_characters_are_spread_over_all_positions() {
    let secrets = seeded(30);
    let made: Vec<Vec<char>> =
        (0..24_000).map(|_| make(&secrets, GetRandomPasswordRequest::new().password_length(4))).collect();
    let mut orders: BTreeMap<Vec<usize>, u32> = BTreeMap::new();
    for password in &made {
        *orders.entry(password.iter().map(|character| type_of(*character)).collect()).or_default() += 1;
    }
    assert_eq!(orders.len(), 24, "{orders:?}");
    assert!(even(&orders.into_values().collect::<Vec<_>>()));
    for (index, pool) in [
        printable(|c| c.is_ascii_uppercase()),
        printable(|c| c.is_ascii_lowercase()),
        printable(|c| c.is_ascii_digit()),
        printable(|c| c.is_ascii_punctuation()),
    ]
    .iter()
    .enumerate()
    {
        let of_type = |password: &Vec<char>| password.iter().copied().filter(|c| type_of(*c) == index).collect();
        let counts = counts_of(made.iter().map(of_type), pool);
        assert!(even(&counts), "type {index}: {counts:?}");
    }
}

/// In longer passwords too, no place is more likely to hold a digit than another.
#[test]
fn no_position_favours_a_type() {
    for (seed, length) in [(40, 5), (41, 8), (42, 20)] {
        let secrets = seeded(seed);
        let mut counts = vec![vec![0_u32; length]; 4];
        let request = || GetRandomPasswordRequest::new().password_length(i64::try_from(length).unwrap());
        for _ in 0..10_000 {
            for (position, character) in make(&secrets, request()).into_iter().enumerate() {
                counts[type_of(character)][position] += 1;
            }
        }
        for (index, counts) in counts.iter().enumerate() {
            assert!(even(counts), "type {index} in {length} characters: {counts:?}");
        }
    }
}

#[test]
fn no_two_passwords_are_the_same() {
    let secrets = seeded(50);
    let made: HashSet<Vec<char>> = (0..5_000).map(|_| make(&secrets, GetRandomPasswordRequest::new())).collect();
    assert_eq!(made.len(), 5_000);
}

/// The source of randomness is the host's: the same seed makes the same passwords, and without a seed they differ.
#[test]
fn a_seed_decides_the_passwords() {
    let made = |secrets: &SecretsManager| -> Vec<Vec<char>> {
        (0..20).map(|_| make(secrets, GetRandomPasswordRequest::new())).collect()
    };
    assert_eq!(made(&seeded(60)), made(&seeded(60)));
    assert_ne!(made(&seeded(60)), made(&seeded(61)));
    let unseeded = || SecretStore::in_memory().key_provider(StaticKey::new([7; 32])).open().unwrap();
    assert_ne!(made(&unseeded().default_secrets_manager()), made(&unseeded().default_secrets_manager()));
    // A handle of another account continues the same stream; it does not repeat it.
    let store =
        SecretStore::in_memory().key_provider(StaticKey::new([7; 32])).entropy(SeededEntropy::new(1)).open().unwrap();
    let elsewhere = store.secrets_manager("111111111111", "eu-west-1").unwrap();
    assert_ne!(made(&store.default_secrets_manager()), made(&elsewhere));
}
