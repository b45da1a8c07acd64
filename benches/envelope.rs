//! Sealing and opening a value beside plain AES-256-GCM under a fresh key.

#![expect(clippy::expect_used, reason = "a bench fails by panicking")]

use std::hint::black_box;

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use strongroom::testing::format::{Sealer, open_once, value_ad};
use strongroom::{Entropy, OsEntropy};

use measure::{Effort, Lane, Run, timed};

const KEY: [u8; 32] = [7; 32];

fn cipher() -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, black_box(&KEY)).expect("32 bytes"))
}

/// A random nonce, the ciphertext and the tag.
fn plain_seal(ad: &[u8], text: &[u8], entropy: &OsEntropy) -> Vec<u8> {
    let mut nonce = [0; 12];
    entropy.fill(&mut nonce).expect("random bytes");
    let mut sealed = Vec::with_capacity(nonce.len() + text.len() + AES_256_GCM.tag_len());
    sealed.extend(nonce);
    sealed.extend(text);
    let (_, frame) = sealed.split_at_mut(nonce.len());
    let tag = cipher().seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(ad), frame);
    sealed.extend(tag.expect("it seals").as_ref());
    sealed
}

fn plain_open(ad: &[u8], sealed: &[u8]) -> usize {
    let (nonce, sealed) = sealed.split_at(12);
    let nonce = Nonce::try_assume_unique_for_key(nonce).expect("12 bytes");
    cipher().open_in_place(nonce, Aad::from(ad), &mut sealed.to_vec()).expect("it opens").len()
}

fn repeat(mut work: impl FnMut()) -> impl FnMut(usize) -> f64 {
    move |operations| timed(|| (0..operations).for_each(|_| work()))
}

fn main() {
    let mut run = Run::begin();
    let mut criterion = run.criterion();
    let entropy = OsEntropy::default();
    let arn = "arn:aws:secretsmanager:us-east-1:000000000000:secret:bench/application/secret-00000000-AbCdEf";
    let version = "11111111-2222-4333-8444-555555555555";
    let ad = value_ad([1; 16], ["000000000000", "us-east-1"], arn, [2; 16], version, false);
    let ad = ad.expect("a possible account");

    for (size, bytes, operations) in [("32 B", 32, 100), ("1 KiB", 1024, 100), ("64 KiB", 65_536, 10)] {
        let text = vec![b'x'; bytes];
        // As for a version: the data key is fresh, so what is derived from it is derived for each seal.
        let seal = || Sealer::new(black_box(&KEY)).seal("value", &ad, &text, &entropy).expect("it seals");
        let sealed = seal();
        let open = || open_once(black_box(&KEY), "value", &ad, &sealed).expect("it opens");
        let plainly_sealed = plain_seal(&ad, &text, &entropy);

        let effort = Effort { rounds: 1_001, operations: run.scale(operations) };
        let mut ours = repeat(|| drop(black_box(seal())));
        let mut plain = repeat(|| drop(black_box(plain_seal(&ad, &text, &entropy))));
        let mut lanes = [
            Lane { name: "sealing", bar: None, work: &mut ours },
            Lane { name: "plain AES-256-GCM", bar: None, work: &mut plain },
        ];
        run.compare(&format!("seal {size}"), effort, &mut lanes);

        let mut ours = repeat(|| drop(black_box(open())));
        let mut plain = repeat(|| {
            black_box(plain_open(&ad, &plainly_sealed));
        });
        let mut lanes = [
            Lane { name: "opening", bar: None, work: &mut ours },
            Lane { name: "plain AES-256-GCM", bar: None, work: &mut plain },
        ];
        run.compare(&format!("open {size}"), effort, &mut lanes);

        let mut group = criterion.benchmark_group(format!("envelope {size}"));
        group.bench_function("seal", |bencher| bencher.iter(seal));
        group.bench_function("seal, plain", |bencher| bencher.iter(|| plain_seal(&ad, &text, &entropy)));
        group.bench_function("open", |bencher| bencher.iter(open));
        group.bench_function("open, plain", |bencher| bencher.iter(|| plain_open(&ad, &plainly_sealed)));
        group.finish();
    }
    criterion.final_summary();
    run.finish();
}
