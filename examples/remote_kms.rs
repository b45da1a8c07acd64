//! A key management service at the other end of a network: slow, out of order now and then, and in charge of the keys.
//!
//! ```text
//! cargo run --example remote_kms
//! ```
//!
//! The service is made up and lives in this process, so nothing is needed but this crate. What stands between it and the
//! store is what a real one needs too: a provider that speaks its language and tries again a bounded number of times, a
//! [`TimeoutProvider`] for calls that hang, and a [`DataKeyCache`] so that not every read is a call. The same seed gives the
//! same run.

use std::collections::BTreeMap;
use std::error::Error;
use std::io::{self, Write};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::TimeDelta;
use strongroom::testing::{FaultyProvider, ManualClock, SeededEntropy};
use strongroom::{
    Call, CreateSecretRequest, DataKey, DataKeyCache, EncryptionContext, Entropy, ErrorKind, GetSecretValueRequest,
    KeyError, KeyHandle, KeyProvider, KeyRef, KeyScope, KeyState, LocalKeyring, ProviderTraits, PutSecretValueRequest,
    SecretStore, SecretsManager, TimeoutProvider, WrappedKey,
};

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

const SEED: u64 = 2026;
/// How often a call is made before its error is passed on.
const ATTEMPTS: u32 = 4;
/// The wait before the second attempt; it doubles before each further one.
const FIRST_WAIT: Duration = Duration::from_millis(2);
/// How long the store waits for everything together.
const TIMEOUT: Duration = Duration::from_secs(1);

/// What the made-up service answers when something is wrong: its own names, as on a wire.
type Refusal = &'static str;

/// The service: keys that nobody else holds, a network in front of them, and an operator.
#[derive(Debug)]
struct RemoteKms {
    keys: LocalKeyring,
    weather: SeededEntropy,
    calls: Mutex<BTreeMap<&'static str, u32>>,
    failures: AtomicU32,
    /// For an operator who pulls the plug: calls then hang until it is put back.
    plug: FaultyProvider,
}

impl RemoteKms {
    fn new() -> Self {
        let keys = LocalKeyring::in_memory();
        Self {
            plug: FaultyProvider::new(keys.clone(), SEED),
            keys,
            weather: SeededEntropy::new(SEED),
            calls: Mutex::default(),
            failures: AtomicU32::new(0),
        }
    }

    /// One request over the network. A call in four fails on the way.
    fn request<T>(&self, name: &'static str, act: impl FnOnce() -> Result<T, KeyError>) -> Result<T, Refusal> {
        *self.calls.lock().unwrap_or_else(PoisonError::into_inner).entry(name).or_default() += 1;
        let mut chance = [0; 2];
        self.weather.fill(&mut chance).map_err(|_| "KMSInternalException")?;
        std::thread::sleep(Duration::from_micros(500 + u64::from(chance[0]) * 10));
        if chance[1] < 64 {
            self.failures.fetch_add(1, Ordering::Relaxed);
            return Err(if chance[1] % 2 == 0 { "ThrottlingException" } else { "KMSInternalException" });
        }
        act().map_err(|error| match error {
            KeyError::NotFound => "NotFoundException",
            KeyError::Disabled => "DisabledException",
            KeyError::PendingDeletion => "KMSInvalidStateException",
            KeyError::Corrupt => "InvalidCiphertextException",
            _ => "KMSInternalException",
        })
    }

    fn calls(&self) -> u32 {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).values().sum()
    }
}

/// The provider: the service's language on one side, the store's on the other.
#[derive(Debug)]
struct RemoteProvider {
    service: Arc<RemoteKms>,
}

impl RemoteProvider {
    /// Tries again what may go better next time, a bounded number of times and within the deadline of the call.
    fn call<T>(
        &self,
        name: &'static str,
        call: &Call<'_>,
        act: impl Fn() -> Result<T, KeyError>,
    ) -> Result<T, KeyError> {
        let mut wait = FIRST_WAIT;
        for attempt in 1.. {
            let error = match self.service.request(name, &act) {
                Ok(answer) => return Ok(answer),
                Err(refusal) => in_our_words(refusal),
            };
            let may_pass = matches!(error, KeyError::Throttled | KeyError::Unavailable | KeyError::Internal);
            if !may_pass || attempt >= ATTEMPTS {
                return Err(error);
            }
            #[expect(clippy::disallowed_methods, reason = "a deadline is an instant of the system")]
            let now = std::time::Instant::now();
            if call.deadline.is_some_and(|deadline| now + wait >= deadline) {
                return Err(KeyError::Timeout);
            }
            // Not all callers at once: the random part is the caller's.
            let mut random = [0];
            call.entropy.fill(&mut random)?;
            std::thread::sleep(wait + wait * u32::from(random[0]) / 512);
            wait *= 2;
        }
        Err(KeyError::Internal)
    }
}

/// The table that every provider needs: what the service says, and what it means for the store.
fn in_our_words(refusal: Refusal) -> KeyError {
    match refusal {
        "NotFoundException" => KeyError::NotFound,
        "DisabledException" => KeyError::Disabled,
        "KMSInvalidStateException" => KeyError::PendingDeletion,
        "InvalidCiphertextException" | "IncorrectKeyException" => KeyError::Corrupt,
        "AccessDeniedException" => KeyError::AccessDenied,
        "ThrottlingException" => KeyError::Throttled,
        _ => KeyError::Internal,
    }
}

impl KeyProvider for RemoteProvider {
    fn id(&self) -> &str {
        "example-remote-kms"
    }

    fn resolve(&self, scope: &KeyScope<'_>, key: KeyRef<'_>, call: &Call<'_>) -> Result<KeyHandle, KeyError> {
        self.call("DescribeKey", call, || self.service.plug.resolve(scope, key, call))
    }

    fn wrap(
        &self,
        key: &KeyHandle,
        data_key: &DataKey,
        context: &EncryptionContext<'_>,
        call: &Call<'_>,
    ) -> Result<WrappedKey, KeyError> {
        let wrapped = self.call("Encrypt", call, || self.service.plug.wrap(key, data_key, context, call))?;
        Ok(WrappedKey::new(self.id(), wrapped.key_arn, wrapped.key_version, wrapped.blob))
    }

    fn unwrap(
        &self,
        wrapped: &WrappedKey,
        context: &EncryptionContext<'_>,
        call: &Call<'_>,
    ) -> Result<DataKey, KeyError> {
        if *wrapped.provider != *self.id() {
            return Err(KeyError::NotFound);
        }
        // The service knows its own keys by a name of its own.
        let WrappedKey { key_arn, key_version, blob, .. } = wrapped.clone();
        let theirs = WrappedKey::new(self.service.keys.id(), key_arn, key_version, blob);
        self.call("Decrypt", call, || self.service.plug.unwrap(&theirs, context, call))
    }

    fn traits(&self) -> ProviderTraits {
        ProviderTraits::remote()
    }
}

fn main() -> Outcome {
    let mut out = io::stdout().lock();
    let service = Arc::new(RemoteKms::new());
    let key = service.keys.create_key(KeyScope::new("aws", "000000000000", "us-east-1"))?;
    service.keys.create_alias("alias/app", &key)?;

    let clock = ManualClock::at_millis(1_700_000_000_000);
    let remote = RemoteProvider { service: Arc::clone(&service) };
    let cache = DataKeyCache::new(TimeoutProvider::new(remote, TIMEOUT).threads(4)).clock(clock.clone());
    let open = || SecretStore::in_memory().key_provider(cache.clone()).clock(clock.clone()).open();
    // Opening asks the service too, and may be tried again like any other call.
    let store = until_it_works(open)?;
    let secrets = store.default_secrets_manager();

    let step = |what: &str, out: &mut dyn Write, act: &mut dyn FnMut() -> Outcome<String>| -> Outcome {
        let (calls, failures) = (service.calls(), service.failures.load(Ordering::Relaxed));
        let outcome = act()?;
        let (calls, failures) = (service.calls() - calls, service.failures.load(Ordering::Relaxed) - failures);
        writeln!(out, "{what:<46} {calls:>3} calls, {failures:>2} failed   {outcome}")?;
        Ok(())
    };

    step("ten secrets are stored", &mut out, &mut || {
        for number in 0..10 {
            let name = format!("app/{number}");
            let request = || CreateSecretRequest::new(&name).secret_string(number.to_string()).kms_key_id("alias/app");
            until_it_works(|| secrets.create_secret(request()))?;
        }
        Ok(String::new())
    })?;
    step("each is read once", &mut out, &mut || Ok(read_all(&secrets)?.to_string()))?;
    step("each is read ten times more, from the cache", &mut out, &mut || {
        let sums: Outcome<Vec<u32>> = (0..10).map(|_| read_all(&secrets)).collect();
        Ok(sums?.iter().sum::<u32>().to_string())
    })?;
    step("five minutes later each is asked for again", &mut out, &mut || {
        clock.advance(TimeDelta::minutes(5));
        Ok(read_all(&secrets)?.to_string())
    })?;
    step("the key is disabled, and the cache is told", &mut out, &mut || {
        service.keys.disable_key(&key)?;
        cache.invalidate(&key);
        let error = read(&secrets, "app/0").err().ok_or("a disabled key was used")?;
        service.keys.enable_key(&key)?;
        if !matches!(error.kind(), ErrorKind::DecryptionFailure(fault) if fault.key == key) {
            return Err(error.into());
        }
        Ok(error.code().to_owned())
    })?;
    step("the service hangs", &mut out, &mut || {
        service.plug.hold("");
        let error = read(&secrets, "app/0").err().ok_or("a service that hangs has answered")?;
        service.plug.release();
        let is_retryable = error.is_retryable();
        Ok(format!("{}, retryable: {is_retryable}", error.code()))
    })?;
    step("and is back", &mut out, &mut || {
        until_it_works(|| secrets.put_secret_value(PutSecretValueRequest::new("app/0", "100")))?;
        Ok(read_all(&secrets)?.to_string())
    })?;

    let calls = service.calls.lock().unwrap_or_else(PoisonError::into_inner);
    let states: Vec<KeyState> = service.keys.keys().into_iter().map(|key| key.state).collect();
    writeln!(out, "\nCalls of the service: {calls:?}; its keys: {states:?}")?;
    store.close()?;
    Ok(())
}

fn read(secrets: &SecretsManager, name: &str) -> strongroom::Result<u32> {
    let read = until_it_works_or_hangs(|| secrets.get_secret_value(GetSecretValueRequest::new(name)))?;
    Ok(read.secret_string.and_then(|text| text.expose().parse().ok()).unwrap_or_default())
}

/// The sum of all values.
fn read_all(secrets: &SecretsManager) -> Outcome<u32> {
    let values: strongroom::Result<Vec<u32>> = (0..10).map(|number| read(secrets, &format!("app/{number}"))).collect();
    Ok(values?.iter().sum())
}

/// What an application does about an outage that outlasted the provider's own attempts: a few more, then it says so.
fn until_it_works<T>(act: impl Fn() -> strongroom::Result<T>) -> strongroom::Result<T> {
    for _ in 0..9 {
        match act() {
            Err(error) if error.is_retryable() => {}
            outcome => return outcome,
        }
    }
    act()
}

/// The same, but for a service that did not answer in time: whoever waits for a user does not wait twice.
fn until_it_works_or_hangs<T>(act: impl Fn() -> strongroom::Result<T>) -> strongroom::Result<T> {
    let timed_out = strongroom::KeyFaultReason::Timeout;
    for _ in 0..9 {
        match act() {
            Err(error) if !error.is_retryable() => return Err(error),
            Err(error) if matches!(error.kind(), ErrorKind::KeyProviderOutage(fault) if fault.reason == timed_out) => {
                return Err(error);
            }
            Err(_) => {}
            Ok(done) => return Ok(done),
        }
    }
    act()
}
