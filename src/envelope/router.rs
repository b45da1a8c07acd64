//! Several key providers behind one.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use ring::digest;

use crate::envelope::ad::push_field;
use crate::envelope::provider::{
    Call, DataKey, EncryptionContext, KeyError, KeyHandle, KeyProvider, KeyRef, KeyScope, ProviderTraits, WrappedKey,
};
use crate::model::version::DEFAULT_KEY_ALIAS;

const ID: &str = "router";

/// Keys whose provider is remembered.
const REMEMBERED_MAX: usize = 4096;

/// A [`KeyProvider`] over several others: each key by its name, and what is wrapped already by whoever can open it.
///
/// * **A key is found** by the provider of the first [`route`](Self::route) whose pattern matches what the caller wrote,
///   or else by the default provider. Only that one is asked: its [`KeyError::NotFound`] is the answer.
/// * **A data key is wrapped** (or made) by the provider that found the key. The router remembers it by the key's ARN and
///   version, for the 4,096 keys that were used last. For a key that it does not remember, the ARN is matched against the
///   patterns like a name, and if that provider does not have the key the others are asked, routes first and the default
///   last, until one does not answer [`KeyError::NotFound`]. If two providers find keys with the same ARN and the same
///   version, the one that found it last wraps, so give keys in hand ids of their own
///   ([`StaticKey::with_id`](crate::StaticKey::with_id)).
/// * **A data key is unwrapped** by the providers whose [`id`](KeyProvider::id) the wrapped key names: routes in their
///   order, then the default, then what [`also`](Self::also) added. What that answers is said below.
///
/// The router's own id is `router`, and what it wraps carries the id of the provider that wrapped it: a provider can be put
/// into a router, or taken out of one, while the store stays as it is. A router may be part of another router.
///
/// # Patterns
///
/// A pattern is compared with the text that the caller wrote, which is a key id, the ARN of a key, `alias/…` or the ARN of
/// an alias; the default key is written `alias/aws/secretsmanager`. `*` stands for any text, also for none; every other
/// character stands for itself. Nothing is looked up: whoever may write an alias in both forms needs both patterns,
/// `alias/pay-*` and `arn:*:alias/pay-*`. The time to match is linear in the length of the name.
///
/// # Errors of `unwrap`
///
/// 1. [`KeyError::NotFound`], if no provider has that id, or all that have answer so.
/// 2. What a provider says that knows the key and refuses it: `Disabled`, `PendingDeletion`, `PendingImport`,
///    `AccessDenied`, `WrongUsage`. No other is asked then, so that an older copy of a key does not undo its being disabled.
///    If one that was asked before had another error than `NotFound`, that one is reported.
/// 3. After every other error the next provider is asked. If none opens it, the first outage is reported (`Throttled`,
///    `Unavailable`, `Timeout`, `Entropy`, `Internal`), because trying again may help; without one, the first error that is
///    not `NotFound`, usually `Corrupt`.
///
/// ```
/// use strongroom::{CreateSecretRequest, LocalKeyring, RouterProvider, SecretStore, StaticKey};
///
/// // Payments under keys with states, everything else under the key in hand; `2025` still opens what it wrapped.
/// let payments = LocalKeyring::in_memory();
/// let key = payments.create_key(strongroom::KeyScope::new("aws", "000000000000", "us-east-1"))?;
/// payments.create_alias("alias/payments", &key)?;
/// let keys = RouterProvider::new(StaticKey::with_id("2026", [8; 32])?)
///     .route("alias/pay*", payments.clone())
///     .also(StaticKey::with_id("2025", [7; 32])?);
///
/// let store = SecretStore::in_memory().key_provider(keys).open()?;
/// let secrets = store.default_secrets_manager();
/// secrets.create_secret(CreateSecretRequest::new("card").secret_string("1").kms_key_id("alias/payments"))?;
/// secrets.create_secret(CreateSecretRequest::new("mail").secret_string("2").kms_key_id("alias/mail"))?;
/// # Ok::<(), strongroom::Error>(())
/// ```
pub struct RouterProvider {
    /// For new wraps: the routes, and last the default.
    providers: Vec<Arc<dyn KeyProvider>>,
    /// Of each route, in the same order.
    patterns: Vec<Pattern>,
    /// For what is wrapped already.
    older: Vec<Arc<dyn KeyProvider>>,
    found_by: Mutex<FoundBy>,
}

impl RouterProvider {
    /// A router without routes: everything goes to this provider.
    #[must_use]
    pub fn new(default_provider: impl KeyProvider + 'static) -> Self {
        let default: Arc<dyn KeyProvider> = Arc::new(default_provider);
        Self { providers: vec![default], patterns: Vec::new(), older: Vec::new(), found_by: Mutex::default() }
    }

    /// Keys whose name matches the pattern go to this provider, unless an earlier route matches too.
    #[must_use]
    pub fn route(mut self, pattern: impl AsRef<str>, provider: impl KeyProvider + 'static) -> Self {
        self.providers.insert(self.patterns.len(), Arc::new(provider));
        self.patterns.push(Pattern::new(pattern.as_ref()));
        self
    }

    /// This provider is never chosen for anything new, and is asked for what is wrapped already.
    #[must_use]
    pub fn also(mut self, provider: impl KeyProvider + 'static) -> Self {
        self.older.push(Arc::new(provider));
        self
    }

    /// The index of the provider for a name. The default is the last.
    fn choose(&self, name: &str) -> usize {
        let matching = self.patterns.iter().position(|pattern| pattern.matches(name));
        matching.unwrap_or(self.patterns.len())
    }

    /// Has something done by the provider that found the key.
    fn by_finder<T>(
        &self,
        key: &KeyHandle,
        act: impl Fn(&dyn KeyProvider) -> Result<T, KeyError>,
    ) -> Result<T, KeyError> {
        let remembered = self.memory(|memory| memory.get(key));
        let first = remembered.unwrap_or_else(|| self.choose(&key.arn));
        let answer = self.providers.get(first).map_or(Err(KeyError::NotFound), |provider| act(&**provider));
        if remembered.is_some() || !matches!(answer, Err(KeyError::NotFound)) {
            return answer;
        }
        let others = self.providers.iter().enumerate().filter(|(index, _)| *index != first);
        for (_, provider) in others {
            match act(&**provider) {
                Err(KeyError::NotFound) => {}
                answer => return answer,
            }
        }
        Err(KeyError::NotFound)
    }

    fn memory<T>(&self, use_it: impl FnOnce(&mut FoundBy) -> T) -> T {
        use_it(&mut self.found_by.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Whether an error is what a provider says that knows the key, so that nobody else is asked.
fn is_final(error: &KeyError) -> bool {
    use KeyError as E;
    matches!(error, E::Disabled | E::PendingDeletion | E::PendingImport | E::AccessDenied | E::WrongUsage)
}

impl KeyProvider for RouterProvider {
    fn id(&self) -> &str {
        ID
    }

    fn resolve(&self, scope: &KeyScope<'_>, key: KeyRef<'_>, call: &Call<'_>) -> Result<KeyHandle, KeyError> {
        let name = match key {
            KeyRef::Default => DEFAULT_KEY_ALIAS,
            KeyRef::Id(name) | KeyRef::Arn(name) | KeyRef::Alias(name) | KeyRef::AliasArn(name) => name,
        };
        let chosen = self.choose(name);
        let handle = self.providers.get(chosen).ok_or(KeyError::Internal)?.resolve(scope, key, call)?;
        self.memory(|memory| memory.set(&handle, chosen));
        Ok(handle)
    }

    fn wrap(
        &self,
        key: &KeyHandle,
        data_key: &DataKey,
        context: &EncryptionContext<'_>,
        call: &Call<'_>,
    ) -> Result<WrappedKey, KeyError> {
        self.by_finder(key, |provider| provider.wrap(key, data_key, context, call))
    }

    fn unwrap(
        &self,
        wrapped: &WrappedKey,
        context: &EncryptionContext<'_>,
        call: &Call<'_>,
    ) -> Result<DataKey, KeyError> {
        let mut first: Option<KeyError> = None;
        let mut outage: Option<KeyError> = None;
        // What another router wrapped carries the id of one of its own providers.
        let has_id = |provider: &&Arc<dyn KeyProvider>| provider.id() == &*wrapped.provider || provider.id() == ID;
        for provider in self.providers.iter().chain(&self.older).filter(has_id) {
            let error = match provider.unwrap(wrapped, context, call) {
                Ok(data_key) => return Ok(data_key),
                Err(KeyError::NotFound) => continue,
                Err(error) => error,
            };
            let is_final = is_final(&error);
            if error.is_outage() {
                outage.get_or_insert_with(|| error.clone());
            }
            first.get_or_insert(error);
            if is_final {
                break;
            }
        }
        Err(outage.or(first).unwrap_or(KeyError::NotFound))
    }

    fn generate(
        &self,
        key: &KeyHandle,
        context: &EncryptionContext<'_>,
        call: &Call<'_>,
    ) -> Result<(DataKey, WrappedKey), KeyError> {
        self.by_finder(key, |provider| provider.generate(key, context, call))
    }

    /// Remote if one of the providers is.
    fn traits(&self) -> ProviderTraits {
        let remote = |provider: &Arc<dyn KeyProvider>| provider.traits().remote;
        ProviderTraits { remote: self.providers.iter().chain(&self.older).any(remote) }
    }
}

impl fmt::Debug for RouterProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { providers, patterns, older, found_by: _ } = self;
        let routes: Vec<_> = patterns.iter().map(Pattern::text).zip(providers).collect();
        f.debug_struct("RouterProvider")
            .field("routes", &routes)
            .field("default", &providers.last())
            .field("also", older)
            .finish()
    }
}

/// A text in which `*` stands for any text.
struct Pattern {
    /// What is between the stars; never empty.
    parts: Vec<String>,
}

impl Pattern {
    fn new(text: &str) -> Self {
        Self { parts: text.split('*').map(str::to_owned).collect() }
    }

    fn text(&self) -> String {
        self.parts.join("*")
    }

    /// Each part is looked for once, as early as it can be, which is enough: `str::find` is linear.
    fn matches(&self, name: &str) -> bool {
        let Some((first, rest)) = self.parts.split_first() else { return false };
        let Some((last, middle)) = rest.split_last() else { return name == first };
        let inner = name.strip_prefix(first.as_str()).and_then(|name| name.strip_suffix(last.as_str()));
        let Some(mut inner) = inner else { return false };
        for part in middle {
            match inner.split_once(part.as_str()) {
                Some((_, after)) => inner = after,
                None => return false,
            }
        }
        true
    }
}

type KeyDigest = [u8; 32];

/// Which provider found which key, for those used last.
#[derive(Default)]
struct FoundBy {
    /// The index of the provider, and when it was used last.
    by_key: HashMap<KeyDigest, (usize, u64)>,
    by_use: BTreeMap<u64, KeyDigest>,
    uses: u64,
}

impl FoundBy {
    /// Names may be long; what is remembered of them is not.
    fn digest(key: &KeyHandle) -> Option<KeyDigest> {
        let mut name = Vec::with_capacity(8 + key.arn.len() + key.version.len());
        push_field(&mut name, key.arn.as_bytes());
        push_field(&mut name, key.version.as_bytes());
        digest::digest(&digest::SHA256, &name).as_ref().try_into().ok()
    }

    fn get(&mut self, key: &KeyHandle) -> Option<usize> {
        let digest = Self::digest(key)?;
        let (provider, _) = *self.by_key.get(&digest)?;
        self.put(digest, provider);
        Some(provider)
    }

    fn set(&mut self, key: &KeyHandle, provider: usize) {
        if let Some(digest) = Self::digest(key) {
            self.put(digest, provider);
        }
    }

    fn put(&mut self, digest: KeyDigest, provider: usize) {
        self.uses += 1;
        if let Some((_, used)) = self.by_key.insert(digest, (provider, self.uses)) {
            self.by_use.remove(&used);
        }
        self.by_use.insert(self.uses, digest);
        if self.by_key.len() > REMEMBERED_MAX
            && let Some((_, oldest)) = self.by_use.pop_first()
        {
            self.by_key.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By definition, in exponential time.
    fn matches_slowly(pattern: &[u8], name: &[u8]) -> bool {
        match (pattern.split_first(), name.split_first()) {
            (None, None) => true,
            (Some((b'*', rest)), _) => (0..=name.len()).any(|skipped| matches_slowly(rest, &name[skipped..])),
            (Some((a, pattern)), Some((b, name))) => a == b && matches_slowly(pattern, name),
            _ => false,
        }
    }

    fn words(letters: &[u8], longest: usize) -> Vec<String> {
        let mut words = vec![String::new()];
        let mut begun = 0;
        for _ in 0..longest {
            let end = words.len();
            for index in begun..end {
                words.extend(
                    letters.iter().map(|letter| format!("{}{}", words[index], char::from(*letter))).collect::<Vec<_>>(),
                );
            }
            begun = end;
        }
        words
    }

    #[test]
    fn a_pattern_matches_what_its_definition_says() {
        for pattern in words(b"ab*", 5) {
            for name in words(b"ab", 5) {
                let expected = matches_slowly(pattern.as_bytes(), name.as_bytes());
                assert_eq!(Pattern::new(&pattern).matches(&name), expected, "{pattern} {name}");
            }
        }
    }

    #[test]
    fn a_pattern_that_nearly_matches_everywhere_takes_no_longer() {
        // A matcher that goes back would not come to an end.
        let (pattern, name) = (format!("{}b", "*a".repeat(1000)), "a".repeat(200_000));
        assert!(!Pattern::new(&pattern).matches(&name));
        assert!(Pattern::new(&pattern).matches(&format!("{name}b")));
    }

    #[test]
    fn what_is_remembered_is_bounded_and_the_keys_in_use_stay() {
        let mut memory = FoundBy::default();
        let key = |number: usize| KeyHandle::new(format!("arn:{number}"), "1");
        for number in 0..3 * REMEMBERED_MAX {
            memory.set(&key(number), number);
            assert_eq!(memory.get(&key(0)), Some(0), "{number}");
        }
        assert_eq!((memory.by_key.len(), memory.by_use.len()), (REMEMBERED_MAX, REMEMBERED_MAX));
        assert_eq!(memory.get(&key(1)), None);
        let newest = 3 * REMEMBERED_MAX - 1;
        assert_eq!(memory.get(&key(newest)), Some(newest));
        assert_eq!(memory.get(&KeyHandle::new(format!("arn:{newest}"), "2")), None, "another version is another key");
    }
}
