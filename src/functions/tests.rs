//! The strategies against a system in memory, with a failure at every call of the system and of the store.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::MemoryBackend;
use crate::access::Access;
use crate::api::{
    CreateSecretRequest, DescribeSecretRequest, GetSecretValueRequest, PutSecretValueRequest,
    UpdateSecretVersionStageRequest,
};
use crate::envelope::static_key::StaticKey;
use crate::error::{Error, ErrorKind, Result};
use crate::functions::alternating_users::{AlternatingUsers, UserTarget};
use crate::functions::credential::Credential;
use crate::functions::single_user::{CredentialTarget, SingleUser};
use crate::model::id::SecretId;
use crate::model::limits::VERSIONS_MAX_DEFAULT;
use crate::model::rotation::{Configuration, JobKind};
use crate::model::secret::Secret;
use crate::model::stages::{CURRENT, PENDING, PREVIOUS};
use crate::model::value::SecretString;
use crate::model::version::VersionId;
use crate::run::{Moment, Operation, Verdict};
use crate::store::{RotationCall, RotationError, RotationFunction, RotationStep, SecretStore, SecretsManager};
use crate::testing::FaultyBackend;

const FIRST: &str = "11111111-1111-4111-8111-111111111111";
const SECOND: &str = "22222222-2222-4222-8222-222222222222";
const THIRD: &str = "33333333-3333-4333-8333-333333333333";
const USER: &str =
    "{\"host\": \"db\", \"port\": 5432, \"username\": \"app\", \"password\": \"zero\", \"masterarn\": \"root\"}";
const SUPERUSER: &str = r#"{"username":"root","password":"top","host":"db"}"#;

/// Where a rotation fails once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// The call of the system with this number, without or with its effect.
    System { call: u64, has_effect: bool },
    /// The commit with this number, without or with its effect. The store has to be opened again then.
    Commit { number: u64, has_effect: bool },
    /// Every read of the store from this number on, until it is opened again.
    Read { number: u64 },
}

/// A system with users, who have passwords and rights.
#[derive(Debug, Default)]
struct System {
    users: BTreeMap<String, (String, String)>,
    calls: u64,
    effects: u64,
    fault: Option<(u64, bool)>,
}

#[derive(Debug, Clone, Default)]
struct Shared(Arc<Mutex<System>>);

impl Shared {
    fn with(users: &[(&str, &str, &str)]) -> Self {
        let shared = Self::default();
        let made = users
            .iter()
            .map(|(user, password, rights)| ((*user).to_owned(), ((*password).to_owned(), (*rights).to_owned())));
        shared.lock().users = made.collect();
        shared
    }

    fn lock(&self) -> MutexGuard<'_, System> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn opens(&self, credential: &Credential) -> bool {
        let system = self.lock();
        system.users.get(credential.username()).is_some_and(|(password, _)| password == credential.password().expose())
    }

    /// Counts a call, and does what it is for unless it is the one that fails without.
    fn call(&self, effect: impl FnOnce(&mut System) -> Result<(), RotationError>) -> Result<(), RotationError> {
        let mut system = self.lock();
        let call = system.calls;
        system.calls += 1;
        match system.fault {
            Some((at, has_effect)) if at == call => {
                system.fault = None;
                if has_effect {
                    effect(&mut system)?;
                }
                Err("injected".into())
            }
            _ => effect(&mut system),
        }
    }
}

fn login(system: &System, credential: &Credential) -> Result<String, RotationError> {
    let (password, rights) = system.users.get(credential.username()).ok_or("no such user")?;
    if password == credential.password().expose() { Ok(rights.clone()) } else { Err("wrong password".into()) }
}

impl CredentialTarget for Shared {
    fn test_login(&self, credential: &Credential) -> Result<(), RotationError> {
        self.call(|system| login(system, credential).map(drop))
    }

    fn set_password(&self, new: &Credential, with: &Credential) -> Result<(), RotationError> {
        self.call(|system| {
            assert_eq!(new.username(), with.username(), "a user changes the own password");
            login(system, with)?;
            system.effects += 1;
            let (password, _) = system.users.get_mut(new.username()).ok_or("no such user")?;
            new.password().expose().clone_into(password);
            Ok(())
        })
    }
}

impl UserTarget for Shared {
    fn create_or_update_user(
        &self,
        new: &Credential,
        like: &Credential,
        with: &Credential,
    ) -> Result<(), RotationError> {
        self.call(|system| {
            if login(system, with)? != "all" {
                return Err("not a superuser".into());
            }
            let (_, rights) = system.users.get(like.username()).ok_or("nobody to be like")?;
            let (password, rights) = (new.password().expose().to_owned(), rights.clone());
            system.effects += 1;
            system.users.insert(new.username().to_owned(), (password, rights));
            Ok(())
        })
    }

    fn username_chars_max(&self) -> usize {
        16
    }
}

/// What `RotateSecret` does before the first step: `AWSPENDING` goes to a version without a value.
#[derive(Debug)]
struct Begin {
    id: SecretId,
    token: VersionId,
}

impl Operation for Begin {
    type Response = ();

    fn secret_id(&self) -> &SecretId {
        &self.id
    }

    fn access(&self) -> Access<'_> {
        Access::to("RotateSecret")
    }

    fn decide(&self, secret: Option<Secret>, _: Option<bool>, moment: &Moment<'_>) -> Result<Verdict<()>> {
        let mut secret = secret.ok_or_else(Error::secret_not_found)?;
        secret.configure_rotation(&Configuration::default(), moment.now)?;
        secret.begin_rotation(&self.token, JobKind::Rotation, "r".repeat(36), VERSIONS_MAX_DEFAULT, moment.now)?;
        Ok(Verdict::store(secret, ()))
    }
}

fn begin(secrets: &SecretsManager, arn: &str, token: &str) {
    let id = SecretId::parse(arn, secrets.tenant()).unwrap();
    secrets.run(&Begin { id, token: VersionId::new(token) }).unwrap();
}

/// A store that is opened again after every failure, a secret in it, and the system that the secret opens.
struct World {
    records: MemoryBackend,
    backend: FaultyBackend,
    secrets: SecretsManager,
    arn: String,
    system: Shared,
}

fn open(records: &MemoryBackend) -> (FaultyBackend, SecretsManager) {
    let backend = FaultyBackend::new(records.clone());
    let store = SecretStore::with_backend(backend.clone()).key_provider(StaticKey::new([7; 32])).open().unwrap();
    (backend, store.default_secrets_manager())
}

impl World {
    fn new() -> Self {
        let records = MemoryBackend::new();
        let (backend, secrets) = open(&records);
        secrets.create_secret(CreateSecretRequest::new("root").secret_string(SUPERUSER)).unwrap();
        let create = CreateSecretRequest::new("app").secret_string(USER).client_request_token(FIRST);
        let arn = secrets.create_secret(create).unwrap().arn;
        let system = Shared::with(&[("app", "zero", "some"), ("root", "top", "all")]);
        Self { records, backend, secrets, arn, system }
    }

    fn reopen(&mut self) {
        (self.backend, self.secrets) = open(&self.records);
        self.system.lock().fault = None;
    }

    fn call(&self, step: RotationStep, token: &str) -> RotationCall {
        RotationCall::new(step, self.arn.as_str(), token, self.secrets.clone())
    }

    fn plan(&self, fault: Fault) {
        match fault {
            Fault::System { call, has_effect } => {
                let mut system = self.system.lock();
                system.fault = Some((system.calls + call, has_effect));
            }
            Fault::Commit { number, has_effect: false } => self.backend.fail_commit(number),
            Fault::Commit { number, has_effect: true } => self.backend.fail_flush(number),
            Fault::Read { number } => self.backend.fail_reads(number),
        }
    }

    /// All steps, up to the first that fails.
    fn rotate(&self, function: &dyn RotationFunction, token: &str, check: &dyn Fn(&Self)) -> Result<(), RotationError> {
        for step in RotationStep::ALL {
            function.invoke(&self.call(step, token))?;
            check(self);
        }
        Ok(())
    }

    fn read(&self, label: &str) -> Result<Option<(String, Credential)>> {
        let request = GetSecretValueRequest::new(&self.arn).version_stage(label);
        match self.secrets.get_secret_value(request) {
            Ok(read) => Ok(Some((read.version_id, Credential::parse(read.secret_string.unwrap()).unwrap()))),
            Err(error) if *error.kind() == ErrorKind::ResourceNotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether the value that has a label opens the system. An error if the store has to be opened again to know.
    fn tells(&self, label: &str) -> Result<bool> {
        Ok(self.read(label)?.is_some_and(|(_, credential)| self.system.opens(&credential)))
    }

    fn opens(&self, label: &str) -> bool {
        self.tells(label).unwrap()
    }

    fn stages(&self) -> BTreeMap<String, Vec<String>> {
        let described = self.secrets.describe_secret(DescribeSecretRequest::new(&self.arn)).unwrap();
        described.version_ids_to_stages.unwrap_or_default()
    }

    /// The value and the system agree, and nothing else of either has changed.
    fn check_end(&self, token: &str, user: &str, former: &str) {
        let (version, current) = self.read(CURRENT).unwrap().unwrap();
        assert_eq!((version.as_str(), current.username()), (token, user));
        assert!(self.system.opens(&current));
        assert_eq!(current.password().expose().len(), 24);
        assert!(!current.password().expose().contains(['a', '%']));
        let expected = USER.replace("\"app\"", &format!("\"{user}\"")).replace(": ", ":").replace(", ", ",");
        let found = current.document().expose().replace(current.password().expose(), "zero");
        assert_eq!(found, expected, "the other members stay, in their order");
        let stages = self.stages();
        assert_eq!(stages.get(token).map(Vec::len), Some(2), "AWSCURRENT and AWSPENDING: {stages:?}");
        assert_eq!(stages.get(former), Some(&vec![PREVIOUS.to_owned()]), "{stages:?}");
        assert_eq!(stages.len(), 2, "{stages:?}");
    }
}

fn single_user(system: &Shared) -> SingleUser<Shared> {
    SingleUser::new(system.clone()).password_length(24).exclude_characters("a%\"\\")
}

fn alternating_users(system: &Shared) -> AlternatingUsers<Shared> {
    AlternatingUsers::new(system.clone()).password_length(24).exclude_characters("a%\"\\")
}

/// Every fault that can hit a rotation, from the calls that one without a fault makes.
fn faults(make: &dyn Fn(&Shared) -> Box<dyn RotationFunction>, check: &dyn Fn(&World) -> Result<()>) -> Vec<Fault> {
    let check = |world: &World| drop(check(world));
    let world = World::new();
    begin(&world.secrets, &world.arn, SECOND);
    let commits = world.backend.commits();
    world.rotate(&*make(&world.system), SECOND, &check).unwrap();
    let (calls, commits) = (world.system.lock().calls, world.backend.commits() - commits);
    assert!(calls >= 4 && commits >= 2, "{calls} calls, {commits} commits");
    let mut faults = Vec::new();
    for has_effect in [false, true] {
        faults.extend((0..calls).map(|call| Fault::System { call, has_effect }));
        faults.extend((0..commits).map(|number| Fault::Commit { number, has_effect }));
    }
    let mut number = 0;
    loop {
        let world = World::new();
        begin(&world.secrets, &world.arn, SECOND);
        world.plan(Fault::Read { number });
        if world.rotate(&*make(&world.system), SECOND, &check).is_ok() {
            return faults;
        }
        faults.push(Fault::Read { number });
        number += 1;
    }
}

/// Rotates with each fault alone and, in a long run, with each pair of them, one in an attempt each.
fn walk(
    name: &str,
    make: &dyn Fn(&Shared) -> Box<dyn RotationFunction>,
    user: &str,
    check: &dyn Fn(&World) -> Result<()>,
) {
    let faults = faults(make, check);
    let mut plans: Vec<Vec<Fault>> = faults.iter().map(|fault| vec![*fault]).collect();
    if std::env::var_os("STRONGROOM_LONG").is_some() {
        plans.extend(faults.iter().flat_map(|first| faults.iter().map(|second| vec![*first, *second])));
    }
    let (mut failures, mut attempts) = (0_u64, 0_u64);
    for plan in &plans {
        let mut world = World::new();
        let function = make(&world.system);
        begin(&world.secrets, &world.arn, SECOND);
        let mut left = plan.iter();
        let mut made = 0;
        loop {
            let fault = left.next();
            fault.iter().for_each(|fault| world.plan(**fault));
            // What a store that failed holds is seen when it is opened again.
            let done = world.rotate(&*function, SECOND, &|world| drop(check(world)));
            made += 1;
            world.reopen();
            check(&world).unwrap();
            match done {
                Ok(()) if left.len() == 0 => break,
                Ok(()) => {}
                Err(error) => {
                    assert!(fault.is_some(), "{plan:?}: {error}");
                    failures += 1;
                }
            }
        }
        attempts += made;
        world.check_end(SECOND, user, FIRST);
        // A step that comes once more finds everything done.
        let effects = world.system.lock().effects;
        world.rotate(&*function, SECOND, &|world| check(world).unwrap()).unwrap();
        assert_eq!(world.system.lock().effects, effects, "{plan:?}");
        world.check_end(SECOND, user, FIRST);
    }
    assert!(failures >= faults.len() as u64 / 2, "{failures} failures of {} faults", faults.len());
    eprintln!("{name}: {} plans of {} faults, {attempts} attempts, {failures} failed", plans.len(), faults.len());
}

#[test]
fn a_rotation_of_one_user_that_fails_anywhere_is_finished_by_the_next_attempt() {
    let check = |world: &World| {
        assert!(world.tells(CURRENT)? || world.tells(PENDING)?, "nobody gets in");
        Ok(())
    };
    walk("one user", &|system| Box::new(single_user(system)), "app", &check);
}

#[test]
fn a_rotation_of_alternating_users_that_fails_anywhere_never_locks_anybody_out() {
    let check = |world: &World| {
        assert!(world.tells(CURRENT)?, "whoever reads the secret does not get in");
        Ok(())
    };
    walk("alternating users", &|system| Box::new(alternating_users(system)), "app_clone", &check);
}

#[test]
fn users_take_turns_and_the_one_before_goes_on_working() {
    let world = World::new();
    let function = alternating_users(&world.system);
    let rows = [(SECOND, "app_clone", FIRST), (THIRD, "app", SECOND)];
    for (token, user, former) in rows {
        begin(&world.secrets, &world.arn, token);
        world.rotate(&function, token, &|_| {}).unwrap();
        world.check_end(token, user, former);
        assert!(world.opens(PREVIOUS));
    }
    let rights: Vec<String> = world.system.lock().users.values().map(|(_, rights)| rights.clone()).collect();
    assert_eq!(rights, ["some", "some", "all"], "app, its clone, and root");
}

#[test]
fn one_user_is_rotated_again_and_again() {
    let world = World::new();
    let function = single_user(&world.system);
    let mut former = FIRST.to_owned();
    for round in 1..=5 {
        let token = format!("00000000-0000-4000-8000-{round:012}");
        begin(&world.secrets, &world.arn, &token);
        world.rotate(&function, &token, &|_| {}).unwrap();
        world.check_end(&token, "app", &former);
        former = token;
    }
}

/// `AWSCURRENT` was moved by hand to a version whose password the system does not know yet.
#[test]
fn the_previous_password_is_tried_where_the_current_one_does_not_work() {
    let world = World::new();
    let put = PutSecretValueRequest::new(&world.arn, USER.replace("zero", "never set"));
    world.secrets.put_secret_value(put.client_request_token(SECOND)).unwrap();
    assert!(!world.opens(CURRENT) && world.opens(PREVIOUS));
    begin(&world.secrets, &world.arn, THIRD);
    world.rotate(&single_user(&world.system), THIRD, &|_| {}).unwrap();
    world.check_end(THIRD, "app", SECOND);
}

#[test]
fn a_step_of_a_rotation_that_is_not_under_way_is_refused_and_changes_nothing() {
    let world = World::new();
    let functions: [Box<dyn RotationFunction>; 2] =
        [Box::new(single_user(&world.system)), Box::new(alternating_users(&world.system))];
    let put = PutSecretValueRequest::new(&world.arn, USER).client_request_token(THIRD).version_stages(["MINE"]);
    world.secrets.put_secret_value(put).unwrap();
    for function in &functions {
        let error = function.invoke(&world.call(RotationStep::CreateSecret, SECOND)).unwrap_err().to_string();
        assert!(error.contains("not enabled"), "{error}");
    }
    begin(&world.secrets, &world.arn, "44444444-4444-4444-8444-444444444444");
    let before = world.stages();
    for function in functions {
        for step in RotationStep::ALL {
            for (token, word) in [(SECOND, "token"), (THIRD, "AWSPENDING")] {
                let error = function.invoke(&world.call(step, token)).unwrap_err().to_string();
                assert!(error.contains(word), "{step}: {error}");
            }
            function.invoke(&world.call(step, FIRST)).expect("what is current is finished");
        }
    }
    assert_eq!(world.stages(), before);
    assert_eq!(world.system.lock().calls, 0);
}

#[test]
fn a_pending_value_for_somebody_else_is_never_brought_into_the_system() {
    let rows = [
        (true, r#"{"username":"root","password":"x","host":"db"}"#),
        (true, r#"{"username":"app","password":"x","host":"elsewhere"}"#),
        (true, r#"{"username":"app","password":"x"}"#),
        (true, "x"),
        (false, r#"{"username":"app","password":"x","host":"db"}"#),
        (false, r#"{"username":"root","password":"x","host":"db"}"#),
        (false, r#"{"username":"app_clone","password":"x","host":"elsewhere"}"#),
    ];
    for (is_single, value) in rows {
        let world = World::new();
        let put = PutSecretValueRequest::new(&world.arn, value).client_request_token(SECOND);
        world.secrets.put_secret_value(put.version_stages([PENDING])).unwrap();
        let call = world.call(RotationStep::SetSecret, SECOND);
        let done = if is_single {
            single_user(&world.system).invoke(&call)
        } else {
            alternating_users(&world.system).invoke(&call)
        };
        done.expect_err(value);
        assert_eq!(world.system.lock().effects, 0, "{value}");
        single_user(&world.system).invoke(&world.call(RotationStep::TestSecret, SECOND)).expect_err(value);
    }
}

#[test]
fn what_alternating_users_need_is_asked_for_before_anything_changes() {
    let rows = [
        (USER.replace("\"app\"", "\"elevenchars\""), RotationStep::CreateSecret, "16 characters"),
        (USER.replace("masterarn", "other"), RotationStep::SetSecret, "masterarn"),
        (USER.replace("\"root\"", "\"nobody\""), RotationStep::SetSecret, "can't find"),
        (USER.replace("\"db\"", "\"elsewhere\""), RotationStep::SetSecret, "same host"),
        (USER.replace("zero", "wrong"), RotationStep::SetSecret, "wrong password"),
        ("no document".to_owned(), RotationStep::CreateSecret, "no JSON object"),
    ];
    for (value, at, word) in rows {
        let world = World::new();
        let put = PutSecretValueRequest::new(&world.arn, value.as_str()).client_request_token(THIRD);
        world.secrets.put_secret_value(put).unwrap();
        begin(&world.secrets, &world.arn, SECOND);
        let function = alternating_users(&world.system);
        for step in RotationStep::ALL.into_iter().take_while(|step| *step < at) {
            function.invoke(&world.call(step, SECOND)).unwrap();
        }
        let error = function.invoke(&world.call(at, SECOND)).unwrap_err().to_string();
        assert!(error.contains(word), "{value}: {error}");
        assert_eq!(world.system.lock().effects, 0);
    }
}

#[test]
fn a_secret_without_a_current_value_cannot_be_rotated() {
    let world = World::new();
    let arn = world.secrets.create_secret(CreateSecretRequest::new("empty")).unwrap().arn;
    begin(&world.secrets, &arn, SECOND);
    let call = RotationCall::new(RotationStep::CreateSecret, arn, SECOND, world.secrets.clone());
    let error = single_user(&world.system).invoke(&call).unwrap_err().to_string();
    assert!(error.contains("AWSCURRENT"), "{error}");
}

#[test]
fn an_impossible_password_is_refused_by_the_first_step() {
    let world = World::new();
    begin(&world.secrets, &world.arn, SECOND);
    for function in [
        SingleUser::new(world.system.clone()).password_length(0),
        SingleUser::new(world.system.clone()).password_length(3),
    ] {
        function.invoke(&world.call(RotationStep::CreateSecret, SECOND)).unwrap_err();
    }
    assert!(world.read(PENDING).unwrap().is_none());
}

#[test]
fn the_rotation_token_comes_along_where_the_value_is_stored() {
    let world = World::new();
    begin(&world.secrets, &world.arn, SECOND);
    let call = world.call(RotationStep::CreateSecret, SECOND);
    // The service's own have 36 to 256 characters; a shorter one is refused where it is checked.
    single_user(&world.system).invoke(&call.rotation_token("short")).unwrap_err();
    assert!(world.read(PENDING).unwrap().is_none());
    let call = world.call(RotationStep::CreateSecret, SECOND).rotation_token(SecretString::from("t".repeat(64)));
    single_user(&world.system).invoke(&call).unwrap();
    assert!(world.read(PENDING).unwrap().is_some());
}

#[test]
fn a_label_that_another_removed_stops_the_rotation() {
    let world = World::new();
    let function = single_user(&world.system);
    begin(&world.secrets, &world.arn, SECOND);
    function.invoke(&world.call(RotationStep::CreateSecret, SECOND)).unwrap();
    let remove = UpdateSecretVersionStageRequest::new(&world.arn, PENDING).remove_from_version_id(SECOND);
    world.secrets.update_secret_version_stage(remove).unwrap();
    function.invoke(&world.call(RotationStep::SetSecret, SECOND)).unwrap_err();
    assert_eq!(world.system.lock().effects, 0);
    assert!(world.opens(CURRENT));
}
