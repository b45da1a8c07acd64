//! The engine and the model side by side, over random operations.

use std::collections::BTreeMap;

use strongroom::{
    Clock, CreateSecretRequest, DeleteResourcePolicyRequest, DeleteSecretRequest, PutResourcePolicyRequest,
    PutSecretValueRequest, RemoveRegionsFromReplicationRequest, ReplicaRegionType, ReplicateSecretToRegionsRequest,
    Replication, SecretsManager, StatusType, StopReplicationToReplicaRequest, Tag, TagResourceRequest, Timestamp,
    UntagResourceRequest, UpdateSecretRequest, UpdateSecretVersionStageRequest,
};

use super::{CURRENT, Content, Maintained, Model, Primary};
use crate::fixture::{Fixture, Seen, describe, token};
use crate::random::{Chance, set};

const REGIONS: [&str; 5] = ["ap-south-1", "ca-central-1", "eu-west-1", "eu-west-2", "sa-east-1"];
const NAMES: [&str; 4] = ["db/main", "db/other", "api", "queue"];
const OPERATIONS: u64 = 2_000;
/// A secret with so many versions makes room for a new one of its name.
const VERSIONS_MAX: usize = 20;
const POLICY: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":{"AWS":"111122223333"},"Action":"secretsmanager:PutSecretValue","Resource":"*","Sid":"sNUMBER"}]}"#;

/// What was seen in how many places.
#[derive(Debug, Default)]
struct Tally {
    operations: usize,
    compared: usize,
    in_sync: usize,
    behind: usize,
    conflicts: usize,
    maintained: usize,
    replicated: u64,
    failed: u64,
}

struct Run {
    fixture: Fixture,
    model: Model,
    chance: Chance,
    /// By Region, the replicas' key there.
    keys: BTreeMap<String, String>,
    made: usize,
    tally: Tally,
}

impl Run {
    fn new(seed: u64, mode: Replication) -> Self {
        let fixture = Fixture::with(mode);
        let keys = REGIONS.iter().map(|region| ((*region).to_owned(), fixture.key(region))).collect();
        let model = Model { is_deferred: mode == Replication::Deferred, ..Model::default() };
        Self { fixture, model, chance: Chance::new(seed), keys, made: 0, tally: Tally::default() }
    }

    fn now(&self) -> Timestamp {
        self.fixture.clock.now()
    }

    fn next(&mut self) -> usize {
        self.made += 1;
        self.made
    }

    fn asked(&self, regions: &[String]) -> Vec<ReplicaRegionType> {
        let asked = |region: &String| ReplicaRegionType::new(region.as_str()).kms_key_id(self.keys[region].as_str());
        regions.iter().map(asked).collect()
    }

    fn some_regions(&self) -> Vec<String> {
        self.chance.some(&REGIONS.map(str::to_owned))
    }

    fn step(&mut self) {
        self.tally.operations += 1;
        let name = *self.chance.pick(&NAMES);
        match self.chance.below(100) {
            0..10 => self.fixture.pass(i64::try_from(self.chance.below(6)).unwrap()),
            10..18 => self.switch_key(),
            18..26 => self.maintain(),
            _ if !self.model.primaries.contains_key(name) => self.create(name),
            26..30 => self.delete(name),
            30..42 => self.replicate(name),
            42..48 => self.remove(name),
            48..53 => self.stop(name),
            53..58 => self.clear(name),
            _ => self.change(name),
        }
        if self.model.primaries.get(name).is_some_and(|primary| primary.content.values.len() > VERSIONS_MAX) {
            self.forget(name);
        }
    }

    fn switch_key(&mut self) {
        let region = *self.chance.pick(&REGIONS);
        if self.model.broken.remove(region) {
            self.fixture.keyring.enable_key(&self.keys[region]).unwrap();
        } else if self.chance.one_in(2) {
            self.model.broken.insert(region.to_owned());
            self.fixture.keyring.disable_key(&self.keys[region]).unwrap();
        }
    }

    fn maintain(&mut self) {
        let report = self.fixture.store.maintain().unwrap();
        let expected = self.model.maintain(self.now());
        let (replicated, failed) = (report.replicated_secrets, report.failed_replications);
        assert_eq!(Maintained { replicated, failed, next_due_at: report.next_due_at }, expected);
        self.tally.maintained += 1;
        self.tally.replicated += replicated;
        self.tally.failed += failed;
    }

    fn create(&mut self, name: &str) {
        let (id, regions) = (token(self.next()), self.some_regions());
        let mut content = Content::default();
        let mut request = CreateSecretRequest::new(name).client_request_token(id.as_str());
        if !self.chance.one_in(5) {
            request = request.secret_string(format!("value of {id}"));
            content.values.insert(id.clone(), format!("value of {id}"));
            content.label(CURRENT, &id);
        }
        let may_overwrite = self.chance.one_in(3);
        request = request.force_overwrite_replica_secret(may_overwrite);
        if !regions.is_empty() {
            request = request.add_replica_regions(self.asked(&regions));
        }
        self.fixture.home().create_secret(request).unwrap();
        let now = self.now();
        self.model.primaries.insert(name.to_owned(), Primary { content, ..Primary::default() });
        self.model.replicate(name, &regions, may_overwrite, now);
        self.model.changed(name, now);
    }

    fn delete(&mut self, name: &str) {
        let request = DeleteSecretRequest::new(name).force_delete_without_recovery(true);
        let deleted = self.fixture.home().delete_secret(request);
        let links = &self.model.primaries[name].links;
        if links.is_empty() {
            deleted.unwrap();
            self.model.primaries.remove(name);
            return;
        }
        let mut left: Vec<String> = describe(&self.fixture.home(), name)
            .replication_status
            .unwrap()
            .into_iter()
            .map(|status| status.region)
            .collect();
        let error = deleted.unwrap_err();
        assert!(error.message().ends_with(&format!("still has replica regions [{}].", left.join(", "))), "{error}");
        left.sort();
        assert!(left.iter().eq(links.keys()));
    }

    /// Removes the secret with its replicas, and what was made of them.
    fn forget(&mut self, name: &str) {
        let regions = REGIONS.map(str::to_owned);
        let home = self.fixture.home();
        home.remove_regions_from_replication(RemoveRegionsFromReplicationRequest::new(name, regions.clone())).unwrap();
        self.model.remove(name, &regions);
        self.delete(name);
        for region in REGIONS {
            self.clear_in(name, region);
        }
    }

    fn replicate(&mut self, name: &str) {
        let (regions, may_overwrite, now) = (self.some_regions(), self.chance.one_in(3), self.now());
        if regions.is_empty() {
            return;
        }
        let request = ReplicateSecretToRegionsRequest::new(name, self.asked(&regions));
        let request = request.force_overwrite_replica_secret(may_overwrite);
        let answer = self.fixture.home().replicate_secret_to_regions(request).unwrap();
        if self.model.replicate(name, &regions, may_overwrite, now) {
            self.model.changed(name, now);
        }
        let mut answered: Vec<_> =
            answer.replication_status.into_iter().map(|status| (status.region, status.status)).collect();
        answered.sort();
        let links = &self.model.primaries[name].links;
        let expected: Vec<_> = links.iter().map(|(region, link)| (region.clone(), link.status)).collect();
        assert_eq!(answered, expected, "the answer has every replica");
    }

    fn remove(&mut self, name: &str) {
        let (regions, now) = (self.some_regions(), self.now());
        if regions.is_empty() {
            return;
        }
        let request = RemoveRegionsFromReplicationRequest::new(name, regions.clone());
        self.fixture.home().remove_regions_from_replication(request).unwrap();
        if self.model.remove(name, &regions) {
            self.model.changed(name, now);
        }
    }

    fn stop(&mut self, name: &str) {
        let region = *self.chance.pick(&REGIONS);
        let stopped =
            self.fixture.region(region).stop_replication_to_replica(StopReplicationToReplicaRequest::new(name));
        match self.model.elsewhere.get(&(name.to_owned(), region.to_owned())) {
            Some(there) if there.is_replica => {
                stopped.unwrap();
                self.model.stop(name, region);
            }
            Some(_) => assert_eq!(stopped.unwrap_err().code(), "InvalidRequestException"),
            None => assert_eq!(stopped.unwrap_err().code(), "ResourceNotFoundException"),
        }
    }

    /// Removes a secret that was a replica.
    fn clear(&mut self, name: &str) {
        let region = *self.chance.pick(&REGIONS);
        self.clear_in(name, region);
    }

    fn clear_in(&mut self, name: &str, region: &str) {
        let place = (name.to_owned(), region.to_owned());
        if self.model.elsewhere.get(&place).is_some_and(|there| !there.is_replica) {
            let request = DeleteSecretRequest::new(name).force_delete_without_recovery(true);
            self.fixture.region(region).delete_secret(request).unwrap();
            self.model.elsewhere.remove(&place);
        }
    }

    /// Some change of the primary that its replicas follow.
    fn change(&mut self, name: &str) {
        let (home, now, number) = (self.fixture.home(), self.now(), self.next());
        let mut content = self.model.primaries[name].content.clone();
        if !self.change_content(&home, name, number, &mut content) {
            return;
        }
        self.model.primaries.get_mut(name).unwrap().content = content;
        self.model.changed(name, now);
    }

    /// Whether anything was changed.
    fn change_content(&self, home: &SecretsManager, name: &str, number: usize, content: &mut Content) -> bool {
        let id = token(number);
        let value = format!("value of {id}");
        match self.chance.below(9) {
            0..3 => {
                let put = PutSecretValueRequest::new(name, value.as_str()).client_request_token(id.as_str());
                home.put_secret_value(put).unwrap();
                content.values.insert(id.clone(), value);
                content.label(CURRENT, &id);
            }
            3 => {
                let put = PutSecretValueRequest::new(name, value.as_str()).client_request_token(id.as_str());
                home.put_secret_value(put.version_stages(["green"])).unwrap();
                let is_first = content.values.is_empty();
                content.values.insert(id.clone(), value);
                content.label("green", &id);
                if is_first {
                    content.label(CURRENT, &id);
                }
            }
            4 => {
                let text = format!("description {number}");
                let update = UpdateSecretRequest::new(name).description(text.as_str());
                let is_value = self.chance.one_in(2);
                let update = if is_value {
                    update.client_request_token(id.as_str()).secret_string(value.as_str())
                } else {
                    update
                };
                home.update_secret(update).unwrap();
                content.description = Some(text);
                if is_value {
                    content.values.insert(id.clone(), value);
                    content.label(CURRENT, &id);
                }
            }
            5 => {
                let tag = (format!("key-{}", self.chance.below(3)), format!("{number}"));
                home.tag_resource(TagResourceRequest::new(name, [Tag::new(tag.0.as_str(), tag.1.as_str())])).unwrap();
                let tags = content.tags.get_or_insert_default();
                match tags.iter_mut().find(|(key, _)| *key == tag.0) {
                    Some(known) => *known = tag,
                    None => tags.push(tag),
                }
            }
            6 => {
                let Some((key, _)) = content.tags.as_mut().and_then(Vec::pop) else { return false };
                home.untag_resource(UntagResourceRequest::new(name, [key])).unwrap();
            }
            7 if content.policy.is_some() && self.chance.one_in(2) => {
                home.delete_resource_policy(DeleteResourcePolicyRequest::new(name)).unwrap();
                content.policy = None;
            }
            7 => {
                let policy = POLICY.replace("NUMBER", &number.to_string());
                home.put_resource_policy(PutResourcePolicyRequest::new(name, policy.as_str())).unwrap();
                content.policy = Some(policy);
            }
            _ => return self.move_label(home, name, content),
        }
        true
    }

    fn move_label(&self, home: &SecretsManager, name: &str, content: &mut Content) -> bool {
        let ids: Vec<&String> = content.values.keys().collect();
        if ids.is_empty() {
            return false;
        }
        let (to, label) = ((*self.chance.pick(&ids)).clone(), *self.chance.pick(&["green", "blue", CURRENT]));
        let from = content.labels.get(label).cloned();
        if from.as_ref() == Some(&to) {
            return false;
        }
        let request = UpdateSecretVersionStageRequest::new(name, label).move_to_version_id(to.as_str());
        let request = match &from {
            Some(from) => request.remove_from_version_id(from.as_str()),
            None => request,
        };
        home.update_secret_version_stage(request).unwrap();
        content.label(label, &to);
        true
    }

    /// Everything is as the model says; whatever is in sync is the same as its primary, in what the model does not know too.
    fn compare(&mut self) {
        for region in &self.model.broken {
            self.fixture.keyring.enable_key(&self.keys[region]).unwrap();
        }
        let home = self.fixture.home();
        for (name, Primary { content, links }) in &self.model.primaries {
            let primary = Seen::of(&home, name);
            assert_eq!(content_of(&primary), *content, "{name}");
            let statuses = describe(&home, name).replication_status.unwrap_or_default();
            assert_eq!(statuses.len(), links.len(), "{name}");
            for status in statuses {
                let link = &links[&status.region];
                let shown = &status.status_message;
                assert_eq!(status.status, link.status, "{name} in {}: {shown:?}", status.region);
                assert_eq!(shown.is_some(), link.status == StatusType::Failed, "{name} in {}", status.region);
                match link.status {
                    StatusType::InSync => {
                        assert_eq!(Seen::of(&self.fixture.region(&status.region), name), primary, "{}", status.region);
                        self.tally.in_sync += 1;
                    }
                    StatusType::Failed if link.due.is_none() => self.tally.conflicts += 1,
                    _ => self.tally.behind += 1,
                }
            }
        }
        for ((name, region), there) in &self.model.elsewhere {
            let secrets = self.fixture.region(region);
            assert_eq!(content_of(&Seen::of(&secrets, name)), there.content, "{name} in {region}");
            let primary_region = describe(&secrets, name).primary_region.unwrap();
            assert_eq!(primary_region != *region, there.is_replica, "{name} in {region}");
        }
        let secrets = self.model.primaries.len() + self.model.elsewhere.len();
        assert_eq!(self.fixture.store.stats().unwrap().secrets, secrets as u64);
        for region in &self.model.broken {
            self.fixture.keyring.disable_key(&self.keys[region]).unwrap();
        }
        self.tally.compared += 1;
    }

    /// With working keys and nothing in the way, everything comes to be in sync.
    fn settle(&mut self) {
        while let Some(region) = self.model.broken.pop_first() {
            self.fixture.keyring.enable_key(&self.keys[&region]).unwrap();
        }
        self.fixture.pass(60);
        self.maintain();
        for (name, primary) in &self.model.primaries {
            for (region, link) in &primary.links {
                assert!(link.status == StatusType::InSync || link.due.is_none(), "{name} in {region}: {link:?}");
            }
        }
        self.compare();
    }
}

fn content_of(seen: &Seen) -> Content {
    let Seen { versions, description, tags, policy, .. } = seen;
    let mut content = Content { description: description.clone(), policy: policy.clone(), ..Content::default() };
    content.tags = tags.as_ref().map(|tags| tags.iter().map(|tag| (tag.key.clone(), tag.value.clone())).collect());
    for (id, version) in versions {
        content.values.insert(id.clone(), version.value.clone().unwrap());
        content.labels.extend(version.labels.iter().map(|label| (label.clone(), id.clone())));
    }
    content
}

#[test]
fn primaries_and_replicas_are_what_the_model_says_after_any_operations() {
    let operations = set("STRONGROOM_REPLICATION_OPERATIONS").unwrap_or(OPERATIONS);
    let seed = set("STRONGROOM_REPLICATION_SEED").unwrap_or(1);
    let mut tallies = Vec::new();
    for (mode, seed) in [(Replication::Synchronous, seed), (Replication::Deferred, seed + 1)] {
        let mut run = Run::new(seed, mode);
        for step in 1..=operations / 2 {
            run.step();
            if step % 20 == 0 {
                run.compare();
            }
            if step % 250 == 0 {
                run.settle();
            }
        }
        run.settle();
        let Tally { in_sync, behind, conflicts, replicated, failed, .. } = run.tally;
        assert!(in_sync > 0 && behind > 0 && conflicts > 0 && replicated > 0 && failed > 0, "{:?}", run.tally);
        tallies.push(run.tally);
    }
    let sum = |of: fn(&Tally) -> u64| tallies.iter().map(of).sum::<u64>();
    eprintln!(
        "{} operations of both modes from seed {seed}, {} comparisons: replicas seen in sync {}, behind {}, in conflict {}; \
         {} maintenances brought {} secrets up to date and failed for {}",
        sum(|tally| tally.operations as u64),
        sum(|tally| tally.compared as u64),
        sum(|tally| tally.in_sync as u64),
        sum(|tally| tally.behind as u64),
        sum(|tally| tally.conflicts as u64),
        sum(|tally| tally.maintained as u64),
        sum(|tally| tally.replicated),
        sum(|tally| tally.failed),
    );
}
