//! Chance that can be repeated.

use strongroom::Entropy;
use strongroom::testing::SeededEntropy;

pub(crate) struct Chance(SeededEntropy);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(SeededEntropy::new(seed))
    }

    pub(crate) fn below(&self, limit: usize) -> usize {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes).unwrap();
        usize::try_from(u64::from_be_bytes(bytes) % limit as u64).unwrap()
    }

    pub(crate) fn one_in(&self, several: usize) -> bool {
        self.below(several) == 0
    }

    pub(crate) fn pick<'a, T>(&self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    /// Some of them, perhaps none.
    pub(crate) fn some<T: Clone>(&self, from: &[T]) -> Vec<T> {
        from.iter().filter(|_| self.one_in(2)).cloned().collect()
    }
}

/// A number that whoever runs the tests has set.
pub(crate) fn set(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap())
}
