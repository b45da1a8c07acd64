//! Values that say whose they are: whoever reads one knows which secret and which version it belongs to, and whether
//! every byte of it is right.

use serde::{Deserialize, Serialize};
use strongroom::{SecretBytes, SecretString, SecretValue};

use crate::plan::{Chance, Kind, Plan};

/// A value that was made. `number` is of no other value of the whole soak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Made {
    /// The store's clock when it was about to be made, in milliseconds: the version is not older.
    pub(crate) at: i64,
    pub(crate) number: u64,
}

/// Characters of a token.
const TOKEN_CHARS: usize = 42;

/// Sizes of values in bytes.
const BYTES: [usize; 8] = [100, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000];
const BYTES_OF_BUSY: usize = 800;

impl Made {
    /// The id of the version, which begins the value too.
    pub(crate) fn token(self, secret: usize) -> String {
        format!("{secret:05}.{:015}.{:020}", self.at, self.number)
    }

    fn parse(token: &str) -> Option<(usize, Self)> {
        let mut parts = token.split('.');
        let mut number = || parts.next()?.parse::<u64>().ok();
        let (secret, at, number) = (number()?, number()?, number()?);
        Some((usize::try_from(secret).ok()?, Self { at: i64::try_from(at).ok()?, number }))
    }

    pub(crate) fn bytes(self, plan: &Plan, secret: usize) -> usize {
        match plan.kind(secret) {
            Kind::Busy => BYTES_OF_BUSY,
            _ => *Chance::new(self.number).pick(&BYTES),
        }
    }

    /// The value: its token, and then text that follows from the token.
    pub(crate) fn text(self, plan: &Plan, secret: usize) -> String {
        let mut text = self.token(secret);
        let bytes = self.bytes(plan, secret);
        let mut chance = Chance::new(self.number ^ ((secret as u64) << 40));
        text.reserve_exact(bytes + 16 - text.len());
        while text.len() < bytes {
            text.push_str(&format!("{:016x}", chance.next()));
        }
        text.truncate(bytes);
        text
    }

    pub(crate) fn value(self, plan: &Plan, secret: usize) -> SecretValue {
        let text = self.text(plan, secret);
        if self.is_binary() { SecretValue::from(text.into_bytes()) } else { SecretValue::from(text) }
    }

    fn is_binary(self) -> bool {
        self.number.is_multiple_of(4)
    }
}

/// What a value says that was read for a secret.
pub(crate) fn recognise(
    plan: &Plan,
    secret: usize,
    text: Option<&SecretString>,
    bytes: Option<&SecretBytes>,
) -> Result<Made, String> {
    let (value, is_binary) = match (text, bytes) {
        (Some(text), None) => (text.expose().as_bytes(), false),
        (None, Some(bytes)) => (bytes.expose(), true),
        _ => return Err("the response has not exactly one form of the value".to_owned()),
    };
    let head = value.get(..TOKEN_CHARS).and_then(|head| str::from_utf8(head).ok());
    let Some((owner, made)) = head.and_then(Made::parse) else {
        return Err(format!("a value of {} bytes that nobody made", value.len()));
    };
    if owner != secret {
        return Err(format!("the value {made:?} of secret {owner}"));
    }
    if made.is_binary() != is_binary {
        return Err(format!("the value {made:?} in the other form"));
    }
    if made.text(plan, secret).as_bytes() != value {
        return Err(format!("the value {made:?} with other bytes"));
    }
    Ok(made)
}
