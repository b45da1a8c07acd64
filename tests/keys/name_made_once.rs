//! A name that is made while the root key begins to be changed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;

use strongroom::testing::SeededEntropy;
use strongroom::{
    CreateSecretRequest, Entropy, EntropyError, GetSecretValueRequest, SecretStore, StaticKey, VerifyOptions,
};

/// Random bytes of which one call waits when it is told to.
#[derive(Debug)]
struct Waiting {
    inner: SeededEntropy,
    is_armed: Arc<AtomicBool>,
    reached: Mutex<Sender<()>>,
    go_on: Mutex<Receiver<()>>,
}

impl Entropy for Waiting {
    fn fill(&self, dest: &mut [u8]) -> Result<(), EntropyError> {
        if self.is_armed.swap(false, Ordering::SeqCst) {
            self.reached.lock().unwrap().send(()).unwrap();
            self.go_on.lock().unwrap().recv().unwrap();
        }
        self.inner.fill(dest)
    }

    fn is_for_tests(&self) -> bool {
        true
    }
}

#[test]
fn a_name_is_made_once_while_the_root_key_begins_to_be_changed() {
    let (reached, is_reached) = channel();
    let (go, go_on) = channel();
    let is_armed = Arc::new(AtomicBool::new(false));
    let entropy = Waiting {
        inner: SeededEntropy::new(1),
        is_armed: Arc::clone(&is_armed),
        reached: Mutex::new(reached),
        go_on: Mutex::new(go_on),
    };
    let store = SecretStore::in_memory().key_provider(StaticKey::new([7; 32])).entropy(entropy).open().unwrap();
    let create = |value: &str, token: &str| {
        let create = CreateSecretRequest::new("x").secret_string(value).client_request_token(token);
        store.default_secrets_manager().create_secret(create)
    };
    thread::scope(|scope| {
        is_armed.store(true, Ordering::SeqCst);
        let slow = scope.spawn(|| create("slow", "00000000-0000-4000-8000-000000000001"));
        is_reached.recv().unwrap();
        create("fast", "00000000-0000-4000-8000-000000000002").unwrap();
        let mut slow = Some(slow);
        let mut told = None;
        store
            .rotate_root_key(&mut |_| {
                if let Some(slow) = slow.take() {
                    go.send(()).unwrap();
                    told = Some(slow.join().unwrap());
                }
            })
            .unwrap();
        let read = store.default_secrets_manager().get_secret_value(GetSecretValueRequest::new("x"));
        let stats = store.stats().unwrap();
        let report = store.verify(VerifyOptions::new(), &mut |_| {}).unwrap();
        let again = store.rotate_root_key(&mut |_| {});
        eprintln!("another change of the root key: {again:?}");
        assert!(
            told.as_ref().unwrap().is_err(),
            "the second was acknowledged: {told:?}; now {read:?}, {} secrets, {:?}",
            stats.secrets,
            report.findings
        );
        assert_eq!(read.unwrap().secret_string.unwrap().expose(), "fast");
        assert!(report.is_clean(), "{:?}", report.findings);
    });
}
