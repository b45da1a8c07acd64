//! What replicas must be, said once more and naively: nothing here knows how the engine brings them there.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use strongroom::{StatusType, Timestamp};

mod run;

pub(crate) const CURRENT: &str = "AWSCURRENT";
pub(crate) const PREVIOUS: &str = "AWSPREVIOUS";

/// What a secret has that its replicas have too.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Content {
    /// By version id.
    pub(crate) values: BTreeMap<String, String>,
    /// By label, the id of its version.
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) description: Option<String>,
    pub(crate) tags: Option<Vec<(String, String)>>,
    pub(crate) policy: Option<String>,
}

impl Content {
    /// Gives a label to a version, with what the service does when it is that of the current one.
    pub(crate) fn label(&mut self, label: &str, id: &str) {
        let before = self.labels.insert(label.to_owned(), id.to_owned());
        if label == CURRENT {
            if self.labels.get(PREVIOUS).is_some_and(|previous| previous == id) {
                self.labels.remove(PREVIOUS);
            }
            if let Some(before) = before {
                self.labels.insert(PREVIOUS.to_owned(), before);
            }
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Link {
    pub(crate) status: StatusType,
    pub(crate) due: Option<Timestamp>,
    failures: u32,
    may_overwrite: bool,
}

/// What is in a Region under the name of the secret.
#[derive(Debug, Clone)]
pub(crate) struct There {
    pub(crate) content: Content,
    pub(crate) is_replica: bool,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Primary {
    pub(crate) content: Content,
    /// By Region.
    pub(crate) links: BTreeMap<String, Link>,
}

/// What maintenance should report.
#[derive(Debug, PartialEq, Eq, Default)]
pub(crate) struct Maintained {
    pub(crate) replicated: u64,
    pub(crate) failed: u64,
    pub(crate) next_due_at: Option<Timestamp>,
}

#[derive(Debug, Default)]
pub(crate) struct Model {
    pub(crate) is_deferred: bool,
    /// By name.
    pub(crate) primaries: BTreeMap<String, Primary>,
    /// By name and Region.
    pub(crate) elsewhere: BTreeMap<(String, String), There>,
    /// Regions whose keys are switched off.
    pub(crate) broken: BTreeSet<String>,
}

impl Link {
    fn wanted(now: Timestamp, may_overwrite: bool) -> Self {
        Self { status: StatusType::InProgress, due: Some(now), failures: 0, may_overwrite }
    }

    fn is_due(&self, now: Timestamp) -> bool {
        self.due.is_some_and(|due| due <= now)
    }
}

impl Model {
    /// Everything that follows from a change of a primary.
    pub(crate) fn changed(&mut self, name: &str, now: Timestamp) {
        if !self.is_deferred {
            self.bring(name, now);
            return;
        }
        for link in self.primaries.get_mut(name).unwrap().links.values_mut() {
            if link.status == StatusType::InSync || link.is_due(now) {
                (link.status, link.due) = (StatusType::InProgress, Some(now));
            }
        }
    }

    /// Replicas are brought up to date, those of Regions whose key does not work excepted.
    fn bring(&mut self, name: &str, now: Timestamp) {
        let Self { primaries, elsewhere, broken, .. } = self;
        let Primary { content, links } = primaries.get_mut(name).unwrap();
        for (region, link) in links.iter_mut() {
            if link.status != StatusType::InSync && !link.is_due(now) {
                continue;
            }
            // Whoever agreed to it agreed to one attempt.
            let may_overwrite = std::mem::take(&mut link.may_overwrite);
            let place = (name.to_owned(), region.clone());
            let there = elsewhere.get(&place);
            let replica = there.filter(|there| there.is_replica);
            if there.is_some() && replica.is_none() && !may_overwrite {
                (link.status, link.due, link.failures) = (StatusType::Failed, None, 0);
                continue;
            }
            let is_known = |id: &String| replica.is_some_and(|replica| replica.content.values.contains_key(id));
            if broken.contains(region) && (replica.is_none() || !content.values.keys().all(is_known)) {
                link.failures += 1;
                let minutes = [1, 2, 4, 8, 16, 32, 60].get(link.failures as usize - 1).copied().unwrap_or(60);
                (link.status, link.due) = (StatusType::Failed, Some(now + TimeDelta::minutes(minutes)));
                continue;
            }
            elsewhere.insert(place, There { content: content.clone(), is_replica: true });
            *link = Link { status: StatusType::InSync, due: None, failures: 0, may_overwrite: false };
        }
    }

    /// Whether the call changes anything.
    pub(crate) fn replicate(&mut self, name: &str, regions: &[String], may_overwrite: bool, now: Timestamp) -> bool {
        let links = &mut self.primaries.get_mut(name).unwrap().links;
        let mut is_changed = false;
        for region in regions {
            if links.get(region).is_none_or(|link| link.status != StatusType::InSync) {
                links.insert(region.clone(), Link::wanted(now, may_overwrite));
                is_changed = true;
            }
        }
        is_changed
    }

    /// Whether the call changes anything.
    pub(crate) fn remove(&mut self, name: &str, regions: &[String]) -> bool {
        let links = &mut self.primaries.get_mut(name).unwrap().links;
        let mut is_changed = false;
        for region in regions.iter().filter(|region| links.remove(*region).is_some()) {
            is_changed = true;
            let place = (name.to_owned(), region.clone());
            if self.elsewhere.get(&place).is_some_and(|there| there.is_replica) {
                self.elsewhere.remove(&place);
            }
        }
        is_changed
    }

    pub(crate) fn stop(&mut self, name: &str, region: &str) {
        self.elsewhere.get_mut(&(name.to_owned(), region.to_owned())).unwrap().is_replica = false;
        self.primaries.get_mut(name).unwrap().links.remove(region);
    }

    pub(crate) fn maintain(&mut self, now: Timestamp) -> Maintained {
        let mut maintained = Maintained::default();
        let is_due = |primary: &Primary| primary.links.values().any(|link| link.is_due(now));
        let due: Vec<String> =
            self.primaries.iter().filter(|(_, primary)| is_due(primary)).map(|(name, _)| name.clone()).collect();
        for name in due {
            let had_turn: Vec<String> = {
                let links = self.primaries[&name].links.iter();
                links.filter(|(_, link)| link.is_due(now)).map(|(region, _)| region.clone()).collect()
            };
            self.bring(&name, now);
            let links = &self.primaries[&name].links;
            let is_failing = had_turn.iter().any(|region| links[region].status == StatusType::Failed);
            *if is_failing { &mut maintained.failed } else { &mut maintained.replicated } += 1;
        }
        let links = self.primaries.values().flat_map(|primary| primary.links.values());
        maintained.next_due_at = links.filter_map(|link| link.due).min();
        maintained
    }
}
