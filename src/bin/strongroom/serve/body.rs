//! Reading the body of a request, with bounds on size, time and all bodies together, into memory that is wiped.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use http_body_util::BodyExt as _;
use hyper::body::Body as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use zeroize::Zeroizing;

/// How long a client may take to send a body.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long, and how much, of a body that is too long is read and thrown away, so that the client gets to read the answer.
const DISCARD_PATIENCE: Duration = Duration::from_secs(10);
const DISCARDED_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// What all bodies that are being read take together, in KiB; further ones wait.
const ALL_KIB_MAX: usize = 256 * 1024;

/// Room that a body gets before it has come: a length that is only announced takes no memory.
const FIRST_BYTES_MAX: usize = 64 * 1024;

/// Why a body was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unread {
    TooLong,
    TooSlow,
    Broken,
}

/// The bounds, and what is left of them.
#[derive(Debug)]
pub(super) struct Bodies {
    bytes_max: u32,
    kib_left: Arc<Semaphore>,
}

/// A whole body, and its part of the room for all of them.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) bytes: Zeroizing<Vec<u8>>,
    _room: OwnedSemaphorePermit,
}

impl Bodies {
    pub(super) fn new(bytes_max: u32) -> Self {
        Self { bytes_max, kib_left: Arc::new(Semaphore::new(ALL_KIB_MAX)) }
    }

    /// Reads a whole body. One that is too long is thrown away for a while, unless the client `waits_for_word` and has
    /// sent nothing of it yet.
    pub(super) async fn read(&self, mut body: Body, waits_for_word: bool) -> Result<Received, Unread> {
        if body.size_hint().lower() > self.bytes_max.into() {
            if !waits_for_word {
                discard(body).await;
            }
            return Err(Unread::TooLong);
        }
        let read = timeout(PATIENCE, self.read_frames(&mut body)).await.unwrap_or(Err(Unread::TooSlow));
        if matches!(read, Err(Unread::TooLong)) {
            discard(body).await;
        }
        read
    }

    async fn read_frames(&self, body: &mut Body) -> Result<Received, Unread> {
        let most = usize::try_from(self.bytes_max).unwrap_or(usize::MAX);
        let expected = body.size_hint().upper().and_then(|upper| u32::try_from(upper).ok()).unwrap_or(self.bytes_max);
        let room =
            Arc::clone(&self.kib_left).acquire_many_owned(expected / 1024 + 1).await.map_err(|_| Unread::Broken)?;
        let first = usize::try_from(expected).unwrap_or(FIRST_BYTES_MAX).min(FIRST_BYTES_MAX);
        let mut bytes = Zeroizing::new(Vec::with_capacity(first));
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(|_| Unread::Broken)?.into_data() else { continue };
            let length = bytes.len().saturating_add(data.len());
            if length > most {
                return Err(Unread::TooLong);
            }
            if length > bytes.capacity() {
                let mut larger = Zeroizing::new(Vec::with_capacity(length.saturating_mul(2).min(most)));
                larger.extend_from_slice(&bytes);
                bytes = larger;
            }
            bytes.extend_from_slice(&data);
        }
        Ok(Received { bytes, _room: room })
    }
}

async fn discard(mut body: Body) {
    let discard = async {
        let mut discarded = 0;
        while let Some(Ok(frame)) = body.frame().await {
            discarded += frame.data_ref().map_or(0, |data| data.len() as u64);
            if discarded > DISCARDED_BYTES_MAX {
                return;
            }
        }
    };
    // Whether it came to an end or not, the answer is the same.
    let _ = timeout(DISCARD_PATIENCE, discard).await;
}
