//! What simulations did, in numbers.

use std::collections::BTreeMap;

use crate::model::Outcome;

#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) seeds: u64,
    pub(crate) steps: u64,
    pub(crate) milliseconds: i64,
    pub(crate) opened: u64,
    pub(crate) crashes: u64,
    /// Commits that power cuts between calls took.
    pub(crate) lost_commits: u64,
    pub(crate) failed_writes: u64,
    pub(crate) failed_reads: u64,
    /// Calls during which a failing key provider was asked.
    pub(crate) outages: u64,
    pub(crate) purged: u64,
    pub(crate) removed_versions: u64,
    /// How often each operation succeeded and failed.
    pub(crate) by_operation: BTreeMap<&'static str, (u64, u64)>,
}

impl Counts {
    pub(crate) fn call(&mut self, operation: &'static str, outcome: &Outcome) {
        let (succeeded, failed) = self.by_operation.entry(operation).or_default();
        *if outcome.is_ok() { succeeded } else { failed } += 1;
    }

    pub(crate) fn summary(&self) -> String {
        let calls: u64 = self.by_operation.values().map(|(succeeded, failed)| succeeded + failed).sum();
        let years = self.milliseconds / (365 * 86_400_000);
        format!(
            "{} seeds, {} steps, {calls} calls, {years} simulated years, {} crashes that took {} commits, {} failed \
             writes, {} failed reads, {} calls without keys, opened {} times, {} purges, {} versions removed",
            self.seeds,
            self.steps,
            self.crashes,
            self.lost_commits,
            self.failed_writes,
            self.failed_reads,
            self.outages,
            self.opened,
            self.purged,
            self.removed_versions,
        )
    }
}
