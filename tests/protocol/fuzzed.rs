//! The properties of the fuzz target, on inputs that a seeded mutator makes of its seeds. `STRONGROOM_LONG=1`
//! makes twenty times as many, a larger number so many times as many.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use crate::model::model;
use crate::properties::{self, Seen};

const CASES: u64 = 3_000;

/// The inputs from which fuzzing starts.
fn seeds() -> Vec<Vec<u8>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds/wire");
    let mut paths: Vec<_> = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

/// Small numbers that look random: xorshift, which needs nothing.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 11).unwrap() % end.max(1)
    }

    fn one_of<'a, T: ?Sized>(&mut self, of: &[&'a T]) -> &'a T {
        of[self.below(of.len())]
    }
}

/// Pieces of requests, legal and not.
const PIECES: [&[u8]; 46] = [
    b"\"",
    b"\\",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"null",
    b"true",
    b"0",
    b"-1",
    b"1e9",
    b"9223372036854775808",
    b"\xff",
    b"\\u0000",
    b"\\ud83d\\ude00",
    b"\\ud83d",
    b"\n---\n",
    b"@advance 604800\n---\n",
    b"@maintain\n---\n",
    b"@handle 000000000000 eu-west-3\n---\n",
    b"@handle 444455556666 us-east-1\n---\n",
    b"@ARN@",
    b"@VERSION@",
    b"@NEXT@",
    b"\"AWSCURRENT\"",
    b"\"AWSPENDING\"",
    b"\"AWSPREVIOUS\"",
    b"\"SecretString\": \"x\", ",
    b"\"SecretBinary\": \"AAAA\", ",
    b"\"VersionStages\": [\"AWSPENDING\", \"own\"], ",
    b"\"Tags\": [{\"Key\": \"k\"}], ",
    b"\"MaxResults\": 1, ",
    b"\"Filters\": [{\"Key\": \"all\", \"Values\": [\"!a\", \"data\"]}], ",
    b"\"NextToken\": \"@NEXT@\", ",
    b"\"ForceDeleteWithoutRecovery\": true, ",
    b"\"IncludeDeprecated\": true, ",
    b"\"VersionId\": \"@VERSION@\", ",
    b"\"ClientRequestToken\": \"token-000000000000000000000000000001\", ",
    b"\"SecretId\": \"@ARN@\", ",
    b"\"Name\": \"main\", ",
    b"\"KmsKeyId\": \"alias/own\", ",
    b"\"AddReplicaRegions\": [{\"Region\": \"eu-west-3\"}, {\"Region\": \"us-west-2\"}], ",
    b"\"ForceOverwriteReplicaSecret\": true, ",
    b"\"CrossAccountReplicaARN\": \"@ARN@\", ",
];

/// One change of an input: of a byte, of a piece, of a value, of a whole request.
fn mutate(input: &mut Vec<u8>, seeds: &[Vec<u8>], dice: &mut Dice) {
    let at = dice.below(input.len() + 1);
    let end = (at + dice.below(12)).min(input.len());
    match dice.below(8) {
        0 => input.extend_from_slice(dice.one_of(&PIECES)),
        1 if at < input.len() => input[at] ^= 1 << dice.below(8),
        2 => drop(input.splice(at..end, dice.one_of(&PIECES).iter().copied())),
        3 => drop(input.splice(at..at, dice.one_of(&PIECES).iter().copied())),
        4 => drop(input.drain(at..end)),
        5 => {
            // A member more, where one can stand.
            let openings: Vec<usize> = (0..input.len()).filter(|at| input[*at] == b'{').collect();
            if let Some(opening) = openings.get(dice.below(openings.len())) {
                drop(input.splice(opening + 1..opening + 1, dice.one_of(&PIECES[26..]).iter().copied()));
            }
        }
        6 => {
            let other = &seeds[dice.below(seeds.len())];
            input.extend_from_slice(b"\n---\n");
            input.extend_from_slice(other);
        }
        _ => {
            // A request again.
            let text = input.clone();
            let requests: Vec<&[u8]> = text.split(|byte| *byte == b'\n').collect();
            let again = dice.below(requests.len());
            input.extend_from_slice(b"\n---\n");
            input.extend_from_slice(&requests[again.saturating_sub(1)..=again].join(&b'\n'));
        }
    }
}

fn note(seen: &mut Seen, more: Seen) {
    for (what, count) in more {
        *seen.entry(what).or_default() += count;
    }
}

fn succeeded(seen: &Seen) -> BTreeSet<&str> {
    seen.keys().filter(|(_, code)| code == "200").map(|(operation, _)| operation.as_str()).collect()
}

#[test]
fn the_seeds_reach_every_operation() {
    let model = model();
    let mut seen = Seen::new();
    for seed in seeds() {
        note(&mut seen, properties::check(&seed));
    }
    let all: BTreeSet<&str> = model.each_operation().map(|(operation, _)| operation).collect();
    assert_eq!(succeeded(&seen), all);
}

/// No panic, no failure of the server, no change by what is refused, and all the rest of the properties.
#[test]
fn nothing_that_a_client_sends_breaks_a_promise() {
    let times = match std::env::var("STRONGROOM_LONG").as_deref().map(str::parse) {
        Err(_) | Ok(Ok(0)) => 1,
        Ok(Ok(1) | Err(_)) => 20,
        Ok(Ok(times)) => times,
    };
    let seeds = seeds();
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let mut seen = Seen::new();
    for case in 0..CASES * times {
        let mut input = seeds[dice.below(seeds.len())].clone();
        for _ in 0..1 + dice.below(4) {
            mutate(&mut input, &seeds, &mut dice);
        }
        let done = std::panic::catch_unwind(|| properties::check(&input));
        note(&mut seen, done.unwrap_or_else(|_| panic!("case {case}: {}", String::from_utf8_lossy(&input))));
    }
    let codes: BTreeSet<&str> = seen.keys().map(|(_, code)| code.as_str()).collect();
    for code in
        ["SerializationException", "ValidationException", "ResourceExistsException", "InvalidNextTokenException"]
    {
        assert!(codes.contains(code), "the mutator never gets {code}: {codes:?}");
    }
    let total: u64 = seen.values().sum();
    let good: u64 = seen.iter().filter(|((_, code), _)| code == "200").map(|(_, count)| count).sum();
    assert!(good * 4 > total, "of {total} requests only {good} succeed: the mutator breaks too much");
}

/// A property that nothing can break proves nothing.
#[test]
fn a_broken_promise_is_noticed() {
    let answer = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    let response =
        |status, code: &str, message: &str| strongroom::wire::WireResponse::error(status, code.to_owned(), message);
    let rows = [
        (response(400, "NoSuchException", "text"), answer(r#"{"__type": "NoSuchException", "Message": "text"}"#)),
        (response(400, "InvalidRequestException", "t"), answer(r#"{"__type": "Other", "Message": "text"}"#)),
        (response(400, "ValidationException", "t"), answer(r#"{"__type": "ValidationException", "Message": "text"}"#)),
        (
            response(501, "NotImplementedException", "t"),
            answer(r#"{"__type": "NotImplementedException", "Message": "t"}"#),
        ),
    ];
    for (response, answered) in rows {
        let checked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            properties::check_error("CreateSecret", &response, &answered);
        }));
        assert!(checked.is_err(), "{answered} is taken");
    }
}
