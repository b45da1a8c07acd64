//! Where changes are made: each is told before and afterwards, and is in the ledger meanwhile.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use strongroom::testing::ManualClock;
use strongroom::{
    CreateSecretRequest, DeleteResourcePolicyRequest, DeleteSecretRequest, DescribeSecretRequest, Error, ErrorKind,
    GetSecretValueRequest, PutResourcePolicyRequest, PutSecretValueRequest, RestoreSecretRequest, RotateSecretRequest,
    RotationCall, RotationError, RotationFunction, RotationRules, RotationStep, SecretValue, SecretsManager, Tag,
    TagResourceRequest, UntagResourceRequest, UpdateSecretRequest, UpdateSecretVersionStageRequest,
};

use crate::ledger::{Known, Ledger, Writer};
use crate::plan::{FUNCTION, Plan, millis, name_of, secret_of};
use crate::state::{Change, Label, after, description, policy, tag_key};
use crate::told::{Counts, Told};
use crate::value::{Made, recognise};

/// What the threads of a process share.
pub(crate) struct Desk {
    pub(crate) plan: Plan,
    pub(crate) clock: ManualClock,
    pub(crate) ledger: Ledger,
    /// The next number that no value, description or anything else has had.
    next: AtomicU64,
    counts: Mutex<Counts>,
    tell: Box<dyn Fn(&Told) + Send + Sync>,
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Desk")
    }
}

impl Desk {
    /// `life` is another one for each process.
    pub(crate) fn new(
        plan: &Plan,
        clock: &ManualClock,
        life: u64,
        ledger: Ledger,
        tell: impl Fn(&Told) + Send + Sync + 'static,
    ) -> Self {
        Self {
            plan: plan.clone(),
            clock: clock.clone(),
            ledger,
            next: AtomicU64::new((life + 1) << 32),
            counts: Mutex::default(),
            tell: Box::new(tell),
        }
    }

    pub(crate) fn tell(&self, told: &Told) {
        (self.tell)(told);
    }

    /// Something is wrong: that ends the soak.
    pub(crate) fn fault(&self, text: String) -> ! {
        self.tell(&Told::Fault(text.clone()));
        panic!("{text}");
    }

    pub(crate) fn count(&self, add: impl FnOnce(&mut Counts)) {
        add(&mut self.counts.lock().unwrap());
    }

    pub(crate) fn counts(&self) -> Counts {
        *self.counts.lock().unwrap()
    }

    pub(crate) fn now(&self) -> i64 {
        millis(&self.clock)
    }

    pub(crate) fn number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn made(&self) -> Made {
        Made { at: self.now(), number: self.number() }
    }

    /// Makes a change. Whoever may make it has the secret to themselves.
    pub(crate) fn change(&self, secrets: &SecretsManager, secret: usize, _: &Writer, change: Change) {
        let before = self.ledger.acknowledged(secret);
        self.ledger.intend(secret, after(before.as_deref(), &change).map(Arc::new));
        self.tell(&Told::Will { secret, change: change.clone() });
        if let Err(error) = make(secrets, &self.plan, secret, before, &change) {
            self.fault(format!("{change:?} of secret {secret} failed: {error:?}"));
        }
        self.ledger.acknowledge(secret);
        self.tell(&Told::Done { secret });
        self.count(|counts| {
            counts.calls += 1;
            counts.changes += 1;
        });
    }

    /// Asks for a rotation, which is refused if there is one under way.
    pub(crate) fn ask_to_rotate(&self, secrets: &SecretsManager, secret: usize) {
        let version = format!("asked-{secret:05}-{:026}", self.number());
        let rotate = RotateSecretRequest::new(name_of(secret)).client_request_token(&version);
        match secrets.rotate_secret(rotate) {
            Ok(_) => {
                self.tell(&Told::Asked { secret, version });
                self.count(|counts| counts.changes += 1);
            }
            Err(error) if *error.kind() == ErrorKind::InvalidRequest => {}
            Err(error) => self.fault(format!("secret {secret} cannot be rotated: {error:?}")),
        }
        self.count(|counts| counts.calls += 1);
    }

    /// Does what is due.
    pub(crate) fn maintain(&self, store: &strongroom::SecretStore) -> strongroom::MaintenanceReport {
        let report = store.maintain().unwrap_or_else(|error| self.fault(format!("maintenance failed: {error:?}")));
        if report.failed_rotations > 0 {
            self.fault(format!("rotations failed: {report:?}"));
        }
        self.count(|counts| {
            counts.rotated += report.rotated_secrets;
            counts.purged += report.purged_secrets;
            counts.removed_versions += report.removed_versions;
        });
        report
    }
}

/// Makes the call that a change stands for.
pub(crate) fn make(
    secrets: &SecretsManager,
    plan: &Plan,
    secret: usize,
    before: Known,
    change: &Change,
) -> Result<(), Error> {
    let name = name_of(secret);
    match *change {
        Change::Create(made) => {
            let create = CreateSecretRequest::new(name).client_request_token(made.token(secret));
            let create = match made.value(plan, secret) {
                SecretValue::String(text) => create.secret_string(text),
                SecretValue::Binary(bytes) => create.secret_binary(bytes),
            };
            secrets.create_secret(create).map(drop)
        }
        Change::Put(made, label) => {
            let put = PutSecretValueRequest::new(name, made.value(plan, secret));
            let put = put.client_request_token(made.token(secret));
            let put = if label == Label::Current { put } else { put.version_stages([label.name()]) };
            secrets.put_secret_value(put).map(drop)
        }
        Change::Move(label, to) => {
            let holder = before.and_then(|before| before.holder(label));
            let mut update = UpdateSecretVersionStageRequest::new(name, label.name());
            update = update.move_to_version_id(to.token(secret));
            if let Some(holder) = holder {
                update = update.remove_from_version_id(holder.token(secret));
            }
            secrets.update_secret_version_stage(update).map(drop)
        }
        Change::Remove(label) => {
            let holder = before.and_then(|before| before.holder(label)).unwrap();
            let update = UpdateSecretVersionStageRequest::new(name, label.name());
            secrets.update_secret_version_stage(update.remove_from_version_id(holder.token(secret))).map(drop)
        }
        Change::Describe(text) => {
            secrets.update_secret(UpdateSecretRequest::new(name).description(description(text))).map(drop)
        }
        Change::Tag(key, value) => {
            secrets.tag_resource(TagResourceRequest::new(name, [Tag::new(tag_key(key), value.to_string())]))
        }
        Change::Untag(key) => secrets.untag_resource(UntagResourceRequest::new(name, [tag_key(key)])),
        Change::Attach(number) => {
            secrets.put_resource_policy(PutResourcePolicyRequest::new(name, policy(number))).map(drop)
        }
        Change::Detach => secrets.delete_resource_policy(DeleteResourcePolicyRequest::new(name)).map(drop),
        Change::Schedule(_) => {
            secrets.delete_secret(DeleteSecretRequest::new(name).recovery_window_in_days(7)).map(drop)
        }
        Change::Restore => secrets.restore_secret(RestoreSecretRequest::new(name)).map(drop),
        Change::Purge => {
            secrets.delete_secret(DeleteSecretRequest::new(name).force_delete_without_recovery(true)).map(drop)
        }
        Change::Turn(_) => unreachable!("only a rotation does that"),
    }
}

/// Has a secret rotate every four hours, from now on.
pub(crate) fn schedule_rotation(secrets: &SecretsManager, secret: usize) {
    let rules = RotationRules::new().schedule_expression("rate(4 hours)");
    let rotate = RotateSecretRequest::new(name_of(secret)).rotation_lambda_arn(FUNCTION);
    secrets.rotate_secret(rotate.rotation_rules(rules)).unwrap();
}

/// Rotates secrets: a new value, made current by the last step. What a process before had done is found done.
#[derive(Debug)]
pub(crate) struct Renew(pub(crate) Arc<Desk>);

impl RotationFunction for Renew {
    fn invoke(&self, call: &RotationCall) -> Result<(), RotationError> {
        let Self(desk) = self;
        let (secrets, token) = (&call.secrets, &call.client_request_token);
        let described = secrets.describe_secret(DescribeSecretRequest::new(&call.secret_id))?;
        let secret = secret_of(&described.name).ok_or("a secret of nobody")?;
        desk.count(|counts| counts.calls += 1);
        let value = || secrets.get_secret_value(GetSecretValueRequest::new(&call.secret_id).version_id(token));
        match call.step {
            RotationStep::CreateSecret => match value() {
                Ok(_) => {}
                Err(error) if *error.kind() == ErrorKind::ResourceNotFound => {
                    let put = PutSecretValueRequest::new(&call.secret_id, desk.made().value(&desk.plan, secret));
                    let put = put.client_request_token(token).version_stages(["AWSPENDING"]);
                    secrets.put_secret_value(put)?;
                    desk.count(|counts| counts.calls += 1);
                }
                Err(error) => return Err(error.into()),
            },
            RotationStep::FinishSecret => {
                let stages = described.version_ids_to_stages.unwrap_or_default();
                let is_current = |labels: &Vec<String>| labels.iter().any(|label| label == "AWSCURRENT");
                let current = stages.into_iter().find(|(_, labels)| is_current(labels));
                let (current, _) = current.ok_or("nothing is current")?;
                if current == *token {
                    return Ok(());
                }
                let read = value()?;
                let made = recognise(&desk.plan, secret, read.secret_string.as_ref(), read.secret_binary.as_ref())?;
                desk.turn(secrets, secret, made, &current, token)?;
            }
            _ => {}
        }
        Ok(())
    }
}

impl Desk {
    /// Makes the value of a rotation the current one.
    fn turn(&self, secrets: &SecretsManager, secret: usize, made: Made, from: &str, to: &str) -> Result<(), Error> {
        let _writer = self.ledger.take(secret);
        let (before, change) = (self.ledger.acknowledged(secret), Change::Turn(made));
        self.ledger.intend(secret, after(before.as_deref(), &change).map(Arc::new));
        self.tell(&Told::Will { secret, change });
        let update = UpdateSecretVersionStageRequest::new(name_of(secret), "AWSCURRENT").move_to_version_id(to);
        secrets.update_secret_version_stage(update.remove_from_version_id(from))?;
        self.ledger.acknowledge(secret);
        self.tell(&Told::Done { secret });
        self.count(|counts| {
            counts.calls += 1;
            counts.changes += 1;
        });
        Ok(())
    }
}
