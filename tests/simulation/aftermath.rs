//! What may be there after something went wrong, and which of it the store shows.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use strongroom::{DescribeSecretRequest, ErrorKind, ListSecretsRequest, PutSecretValueRequest, TagResourceRequest};

use crate::model::{Failure, Outcome, Secret, Tenant, World};
use crate::request::{Listing, Request};
use crate::run::{Made, Run, check, in_words, is_key_failure};

const INTERNAL: &str = "InternalServiceError";

/// Whether the request is one of those that may commit once for each of several secrets.
fn is_of_many(request: &Request) -> bool {
    matches!(request, Request::BatchGetSecretValue { .. })
}

fn is_internal(outcome: &Outcome) -> bool {
    matches!(outcome, Err(Failure { code, .. }) if code == INTERNAL)
}

fn same_secret(a: &Secret, b: &Secret) -> bool {
    a.tenant == b.tenant && a.name == b.name
}

impl Run<'_> {
    /// What the model says to a request, and what there would be then. The model itself stays as it is but for the page
    /// tokens that were issued.
    fn foretell(&mut self, tenant: usize, request: &Request, learned: &Value) -> (Outcome, Vec<Secret>) {
        let (secrets, arns) = (self.world.secrets.clone(), self.world.arns.len());
        let outcome = self.world.call(&self.tenants[tenant], request, learned);
        self.world.arns.truncate(arns);
        (outcome, std::mem::replace(&mut self.world.secrets, secrets))
    }

    /// A call during which the key provider was asked and may have refused. A refusal changes nothing.
    pub(crate) fn failed_key(&mut self, made: &Made, is_out: bool) -> Result<(), String> {
        self.counts.outages += 1;
        let Made { tenant, request, actual, .. } = made;
        let learned = actual.clone().unwrap_or_default();
        let arns = self.world.arns.len();
        let (expected, after) = self.foretell(*tenant, request, &learned);
        if let (Request::BatchGetSecretValue { .. }, Ok(shown), Ok(all)) = (request, actual, &expected) {
            return self.batch_without_keys(shown, all, after, is_out);
        }
        if !is_out && *actual == expected {
            // This time all keys could be had. What the model learned from the answer it learns again.
            self.world.arns.truncate(arns);
            let expected = self.world.call(&self.tenants[*tenant], request, &learned);
            self.remember();
            return check(actual, &expected);
        }
        let is_late = match &expected {
            Ok(_) => true,
            Err(failure) => ["ResourceExistsException", "LimitExceededException"].contains(&failure.code.as_str()),
        };
        match actual {
            Err(failure) if is_late && is_key_failure(&failure.code) => {}
            _ => return check(actual, &expected).and(Err("the key provider is out, and the call succeeded".into())),
        }
        let commits = self.machine.disk.commits();
        if self.snapshots.last_key_value().is_some_and(|(last, _)| *last != commits) {
            return Err("a call that failed for want of a key has written something".to_owned());
        }
        Ok(())
    }

    /// Of the secrets that a batch is about, those are shown, and their day is noted, whose keys could be had.
    fn batch_without_keys(
        &mut self,
        shown: &Value,
        all: &Value,
        after: Vec<Secret>,
        is_out: bool,
    ) -> Result<(), String> {
        let list = |of: &Value, member: &str| of[member].as_array().cloned().unwrap_or_default();
        let (values, errors) = (list(shown, "SecretValues"), list(shown, "Errors"));
        let (all_values, all_errors) = (list(all, "SecretValues"), list(all, "Errors"));
        let others: Vec<_> = errors.iter().filter(|error| !all_errors.contains(error)).collect();
        let is_whole = values.iter().all(|value| all_values.contains(value))
            && all_errors.iter().all(|error| errors.contains(error))
            && others.iter().all(|error| is_key_failure(error["ErrorCode"].as_str().unwrap_or_default()))
            && values.len() + errors.len() == all_values.len() + all_errors.len()
            && shown["NextToken"] == all["NextToken"]
            && (values.is_empty() || !is_out);
        if !is_whole {
            return Err(format!("a batch without all keys:\n  store: {shown}\n  model, with all keys: {all}"));
        }
        let read: BTreeSet<_> = values.iter().filter_map(|value| value["ARN"].as_str()).collect();
        for secret in after.into_iter().filter(|secret| read.contains(secret.arn.as_str())) {
            if let Some(old) = self.world.secrets.iter_mut().find(|old| same_secret(old, &secret)) {
                *old = secret;
            }
        }
        self.remember();
        Ok(())
    }

    /// A call that may have met a disk that cannot be read. It fails and changes nothing, or succeeds as ever; only the
    /// note of the day that a value was read may be missing.
    pub(crate) fn failed_read(&mut self, made: &Made) -> Result<(), String> {
        let Made { tenant, request, actual, .. } = made;
        let learned = actual.clone().unwrap_or_default();
        if is_internal(actual) {
            self.counts.failed_reads += 1;
            if is_of_many(request) {
                let before = self.world.secrets.clone();
                let (_, after) = self.foretell(*tenant, request, &learned);
                self.settle(&before, &after)?;
            }
        } else {
            let before = self.world.secrets.clone();
            let expected = self.world.call(&self.tenants[*tenant], request, &learned);
            check(actual, &expected)?;
            if matches!(request, Request::GetSecretValue { .. } | Request::BatchGetSecretValue { .. }) {
                let after = std::mem::take(&mut self.world.secrets);
                self.settle(&before, &after)?;
            }
        }
        self.remember();
        self.compare_all(false)
    }

    /// A call in which a write failed. Nothing is believed until the store is opened again, which then shows what was
    /// there before the call or what was to be there after it.
    pub(crate) fn failed_write(&mut self, made: &Made) -> Result<(), String> {
        let Made { tenant, request, actual, floor } = made;
        let is_read = matches!(request, Request::GetSecretValue { .. } | Request::BatchGetSecretValue { .. });
        if !is_internal(actual) {
            let (expected, _) = self.foretell(*tenant, request, &actual.clone().unwrap_or_default());
            if !is_read || actual.is_err() {
                return Err(format!("{request} was answered although a write failed"));
            }
            // Of a batch, keys may be missing too.
            if self.keys_work() || !is_of_many(request) {
                check(actual, &expected)?;
            }
        }
        let before = self.world.secrets.clone();
        let (kept, commits) = self.fall(*floor)?;
        if kept <= commits {
            self.go_back_to(kept)?;
        } else {
            let learned = self.learn(*tenant, request, &before);
            let after = if is_of_many(request) {
                self.foretell(*tenant, request, &learned).1
            } else {
                let outcome = self.world.call(&self.tenants[*tenant], request, &learned);
                if outcome.is_err() {
                    return Err(format!("{request} wrote something although it is refused: {outcome:?}"));
                }
                self.world.secrets.clone()
            };
            if is_of_many(request) {
                self.settle(&before, &after)?;
            }
        }
        self.stand_up()
    }

    /// As [`failed_write`](Self::failed_write), for maintenance, which commits for each secret that it attends to.
    pub(crate) fn failed_maintenance(&mut self, is_ok: bool, floor: usize) -> Result<(), String> {
        if is_ok {
            return Err("maintenance reports success although a write failed".to_owned());
        }
        let before = self.world.secrets.clone();
        let (kept, commits) = self.fall(floor)?;
        if kept <= commits {
            self.go_back_to(kept)?;
        } else {
            self.world.maintain(&|_| String::new());
            let after = std::mem::take(&mut self.world.secrets);
            self.settle(&before, &after)?;
        }
        self.stand_up()
    }

    /// After a failed write: everything is refused; then the store is opened again, perhaps after a power cut. Gives how
    /// many commits were kept, and how many there were before the call that failed.
    fn fall(&mut self, floor: usize) -> Result<(usize, usize), String> {
        self.counts.failed_writes += 1;
        self.check_refuses()?;
        let power_cut = self.armed.and_then(|armed| armed.power_cut);
        let commits = self.machine.disk.commits();
        let before = self.snapshots.last_key_value().map_or(0, |(last, _)| *last);
        let kept = power_cut.map_or(commits, |spared| floor + spared % (commits - floor + 1));
        let snapshots = std::mem::take(&mut self.snapshots);
        self.start_again(kept)?;
        self.snapshots = snapshots;
        self.tell(move || format!("a write failed; the store is opened again with {kept} of {commits} commits"));
        Ok((kept, before))
    }

    /// The store is open again, and the model is what it may be.
    fn stand_up(&mut self) -> Result<(), String> {
        self.snapshots.clear();
        self.remember();
        self.compare_all(false)
    }

    fn start_again(&mut self, kept: usize) -> Result<(), String> {
        self.machine.keep_only(kept);
        drop(self.machine.take());
        self.open()
    }

    /// The power fails between two calls. At least `floor` commits are kept.
    pub(crate) fn lose_power(&mut self, floor: usize, spared: usize) -> Result<(), String> {
        let commits = self.machine.disk.commits();
        let kept = floor + spared % (commits - floor + 1);
        let snapshots = std::mem::take(&mut self.snapshots);
        self.counts.lost_commits += (commits - kept) as u64;
        self.start_again(kept)?;
        self.snapshots = snapshots;
        self.tell(move || format!("the power fails; {kept} of {commits} commits are kept"));
        self.go_back_to(kept)?;
        self.stand_up()
    }

    /// Sets the model to what was there after so many commits.
    fn go_back_to(&mut self, commits: usize) -> Result<(), String> {
        if let Some(exact) = self.snapshots.get(&commits) {
            self.world.secrets = exact.clone();
            return Ok(());
        }
        // In the middle of a call that commits once for each of several secrets.
        let before = self.snapshots.range(..commits).next_back().map(|(_, secrets)| secrets.clone());
        let after = self.snapshots.range(commits..).next().map(|(_, secrets)| secrets.clone());
        match (before, after) {
            (Some(before), Some(after)) => self.settle(&before, &after),
            _ => Err(format!("nothing is known of the state after {commits} commits")),
        }
    }

    /// Sets the model, secret by secret, to that of two states which the store shows.
    pub(crate) fn settle(&mut self, before: &[Secret], after: &[Secret]) -> Result<(), String> {
        self.world.secrets = Vec::new();
        // Secrets out of reach that may be purged or not.
        let mut doubtful = Vec::new();
        let gone = |secret: &&Secret| !after.iter().any(|other| same_secret(other, secret));
        for secret in before.iter().filter(gone).chain(after) {
            let old = before.iter().find(|old| same_secret(old, secret));
            let new = after.iter().find(|new| same_secret(new, secret));
            let shown = self.shown(&secret.tenant, &secret.name);
            let would = [old, new].map(|state| self.would_show(state, &secret.tenant, &secret.name));
            let [as_old, as_new] = would.each_ref().map(|would| *would == shown);
            match (as_old, as_new) {
                (true, true) if new.is_none() => doubtful.extend(old.cloned()),
                (_, true) => self.world.secrets.extend(new.cloned()),
                (true, false) => self.world.secrets.extend(old.cloned()),
                (false, false) => {
                    let [shown, old, new] = [&shown, &would[0], &would[1]].map(|all| all.each_ref().map(in_words));
                    let name = &secret.name;
                    return Err(format!("{name} is neither\n  {old:?}\nnor\n  {new:?}\nbut\n  {shown:?}"));
                }
            }
        }
        // What is due first is purged first.
        doubtful.sort_by_key(|secret| std::cmp::Reverse(secret.deleted));
        let stats = self.machine.store().stats().map_err(|error| format!("{error:?}"))?;
        let known = self.world.secrets.len();
        let rest = usize::try_from(stats.secrets).ok().and_then(|secrets| secrets.checked_sub(known));
        match rest {
            Some(rest) if rest <= doubtful.len() => self.world.secrets.extend(doubtful.into_iter().take(rest)),
            _ => return Err(format!("the store counts {} secrets, and {known} are sure", stats.secrets)),
        }
        Ok(())
    }

    /// What the store shows of a secret without being changed by it.
    fn shown(&self, tenant: &Tenant, name: &str) -> [Outcome; 2] {
        let at = self.tenants.iter().position(|other| other == tenant).unwrap();
        looks(name).map(|request| without_token(crate::engine::call(&self.machine.handles[at], &request)))
    }

    fn would_show(&self, secret: Option<&Secret>, tenant: &Tenant, name: &str) -> [Outcome; 2] {
        let mut world = World::new(self.world.settings, self.world.now);
        world.secrets.extend(secret.cloned());
        looks(name).map(|request| without_token(world.call(tenant, &request, &Value::Null)))
    }

    /// What the engine made up in a call whose answer was lost.
    fn learn(&self, tenant: usize, request: &Request, before: &[Secret]) -> Value {
        let (Request::CreateSecret { name: id, .. }
        | Request::PutSecretValue { id, .. }
        | Request::UpdateSecret { id, .. }) = request
        else {
            return Value::Null;
        };
        let call = |request: &Request| crate::engine::call(&self.machine.handles[tenant], request).unwrap_or_default();
        let about = call(&Request::DescribeSecret { id: id.clone() });
        // The new version has a label, since it is the current one or was given one.
        let versions = about["VersionIdsToStages"].as_object().cloned().unwrap_or_default();
        let is_known = |version: &&String| before.iter().any(|secret| secret.version(version).is_some());
        let new = versions.keys().find(|version| !is_known(version));
        json!({ "ARN": about["ARN"], "VersionId": new })
    }

    /// "After a failed write nothing is believed until the store is opened again, reads included."
    fn check_refuses(&self) -> Result<(), String> {
        let (store, handle) = (self.machine.store(), &self.machine.handles[0]);
        let name = crate::steps::NAMES[0];
        let put = PutSecretValueRequest::new(name, "v").client_request_token("t".repeat(32));
        let refusals = [
            ("describe", handle.describe_secret(DescribeSecretRequest::new(name)).err()),
            ("list", handle.list_secrets(ListSecretsRequest::new()).err()),
            ("put", handle.put_secret_value(put).err()),
            ("tag", handle.tag_resource(TagResourceRequest::new(name, [strongroom::Tag::new("k", "v")])).err()),
            ("maintain", store.maintain().err()),
            ("stats", store.stats().err()),
            ("flush", store.flush().err()),
        ];
        for (what, refusal) in refusals {
            if refusal.as_ref().is_none_or(|error| *error.kind() != ErrorKind::Poisoned) {
                return Err(format!("{what} after a failed write: {refusal:?}"));
            }
        }
        let list = Request::ListSecrets(Listing::default());
        if is_internal(&crate::engine::call(handle, &list)) { Ok(()) } else { Err("a list was answered".to_owned()) }
    }
}

fn looks(name: &str) -> [Request; 2] {
    let (id, max, next, deprecated) = (name.to_owned(), None, None, Some(true));
    [Request::DescribeSecret { id: id.clone() }, Request::ListSecretVersionIds { id, max, next, deprecated }]
}

fn without_token(mut outcome: Outcome) -> Outcome {
    if let Ok(Value::Object(members)) = &mut outcome {
        members.remove("NextToken");
    }
    outcome
}
