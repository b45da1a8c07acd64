//! Page tokens: sealed, bound to the store, the account, the Region and the query.
//!
//! A token that was made for another query, by another store, or by nobody, does not open.

use std::fmt::Write;

use ring::digest;

use crate::envelope::ad::{self, Ad};
use crate::envelope::seal::Label;
use crate::error::{Error, Result};
use crate::model::tenant::Tenant;
use crate::records::codec::{Cursor, decode_cursor, encode_cursor};
use crate::records::{Records, undecodable};
use crate::time::{Timestamp, from_millis};

/// What a token is valid for: the operation and every member of the request that shapes its result.
#[derive(Debug)]
pub(crate) struct Query(Ad);

impl Query {
    pub(crate) fn new(operation: &str) -> Self {
        Self(Ad::new("query").text(operation))
    }

    pub(crate) fn text(self, member: &str) -> Self {
        Self(self.0.text(member))
    }

    pub(crate) fn flag(self, member: bool) -> Self {
        Self(self.0.u8(member.into()))
    }

    pub(crate) fn count(self, entries: usize) -> Self {
        Self(self.0.u64(entries as u64))
    }
}

impl Records {
    fn token_ad(&self, tenant: &Tenant, query: &Query, issued_at: Timestamp) -> Ad {
        let query_digest = digest::digest(&digest::SHA256, query.0.as_bytes());
        ad::token(&self.store, tenant, query_digest.as_ref(), issued_at.timestamp_millis())
    }

    /// A token that goes on after the cursor.
    pub(crate) fn issue_token(
        &self,
        tenant: &Tenant,
        query: &Query,
        cursor: &Cursor,
        now: Timestamp,
    ) -> Result<String> {
        let plaintext = encode_cursor(cursor).map_err(undecodable)?;
        let mut token = now.timestamp_millis().to_be_bytes().to_vec();
        let ad = self.token_ad(tenant, query, now);
        self.roots().newest.token.seal_into(Label::Token, ad.as_bytes(), &plaintext, &*self.entropy, &mut token)?;
        let mut text = String::with_capacity(token.len() * 2);
        for byte in token {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        Ok(text)
    }

    /// Where a token goes on.
    pub(crate) fn redeem_token(&self, tenant: &Tenant, query: &Query, token: &str) -> Result<Cursor> {
        let bytes = from_hex(token).ok_or_else(Error::invalid_next_token)?;
        let (issued_at, sealed) = bytes.split_first_chunk().ok_or_else(Error::invalid_next_token)?;
        let ad = self.token_ad(tenant, query, from_millis(i64::from_be_bytes(*issued_at)));
        let roots = self.roots();
        let plaintext = roots.tokens().find_map(|key| key.open(Label::Token, ad.as_bytes(), sealed).ok());
        let plaintext = plaintext.ok_or_else(Error::invalid_next_token)?;
        decode_cursor(&plaintext).map_err(|_| Error::invalid_next_token())
    }
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    rest.is_empty().then_some(())?;
    pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}
