//! Reading the body of a request, with bounds on size and time, into memory that is wiped.

use std::time::Duration;

use axum::body::Body;
use http_body_util::BodyExt as _;
use hyper::body::Body as _;
use tokio::time::timeout;
use zeroize::Zeroizing;

/// How long a client may take to send a body, and to go on sending one that is too long.
const PATIENCE: Duration = Duration::from_secs(30);

/// How much of a body that is too long is read and thrown away, so that the client gets to read the answer.
const DISCARDED_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Why a body was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unread {
    TooLong,
    TooSlow,
    Broken,
}

/// The whole body.
pub(super) async fn read(body: Body, bytes_max: usize) -> Result<Zeroizing<Vec<u8>>, Unread> {
    match timeout(PATIENCE, read_frames(body, bytes_max)).await {
        Ok(read) => read,
        Err(_) => Err(Unread::TooSlow),
    }
}

async fn read_frames(mut body: Body, bytes_max: usize) -> Result<Zeroizing<Vec<u8>>, Unread> {
    let announced = body.size_hint().lower();
    if announced > bytes_max as u64 {
        discard(body).await;
        return Err(Unread::TooLong);
    }
    let mut read = Zeroizing::new(Vec::with_capacity(usize::try_from(announced).unwrap_or_default()));
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| Unread::Broken)?.into_data() else { continue };
        let length = read.len().saturating_add(data.len());
        if length > bytes_max {
            discard(body).await;
            return Err(Unread::TooLong);
        }
        if length > read.capacity() {
            let mut larger = Zeroizing::new(Vec::with_capacity(length.saturating_mul(2)));
            larger.extend_from_slice(&read);
            read = larger;
        }
        read.extend_from_slice(&data);
    }
    Ok(read)
}

async fn discard(mut body: Body) {
    let mut discarded = 0;
    while let Some(Ok(frame)) = body.frame().await {
        discarded += frame.data_ref().map_or(0, |data| data.len() as u64);
        if discarded > DISCARDED_BYTES_MAX {
            return;
        }
    }
}
