//! What is kept of a commit for standbys: each secret's new state, or that it is gone, and the versions that came with it.

use crate::envelope::ad::{Fields, push_field};
use crate::error::Result;
use crate::model::limits as lim;
use crate::records::codec::encode_secret;
use crate::records::{SecretChange, undecodable};
use crate::storage::RECORD_BYTES_MAX;

const SECRET: u8 = 1;
const REMOVAL: u8 = 2;
const VERSION: u8 = 3;

/// Longest name of an account, a Region, a secret or a version, in bytes.
pub(super) const NAME_BYTES_MAX: usize = 4 * lim::NAME_CHARS_MAX;

/// Where a secret is, for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Place<'a> {
    pub(super) account: &'a str,
    pub(super) region: &'a str,
    pub(super) name: &'a str,
}

impl<'a> Place<'a> {
    pub(super) fn push(&self, out: &mut Vec<u8>) {
        [self.account, self.region, self.name].into_iter().for_each(|text| push_field(out, text.as_bytes()));
    }

    pub(super) fn read(fields: &mut Fields<'a>) -> Option<Self> {
        let [account, region, name] =
            [fields.text(NAME_BYTES_MAX)?, fields.text(NAME_BYTES_MAX)?, fields.text(NAME_BYTES_MAX)?];
        Some(Self { account, region, name })
    }
}

/// A part of what a commit did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// A secret has this state now, encoded.
    Secret { place: Place<'a>, record: &'a [u8] },
    /// A secret is gone, with everything of it.
    Removal { place: Place<'a> },
    /// A version of the secret with this uid is stored like this.
    Version { uid: [u8; 16], id: &'a str, record: &'a [u8] },
}

/// What a change of one secret is told as.
pub(in crate::records) fn of_change(change: &SecretChange<'_>) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    match (change.old, change.new) {
        (_, Some(new)) => {
            for (id, version) in change.sealed {
                out.push(VERSION);
                out.extend_from_slice(new.uid.as_bytes());
                push_field(&mut out, id.as_str().as_bytes());
                push_field(&mut out, &version.record);
            }
            out.push(SECRET);
            let (account, region, name) = (new.tenant.account(), new.tenant.region(), new.name.as_str());
            Place { account, region, name }.push(&mut out);
            push_field(&mut out, &encode_secret(new).map_err(undecodable)?);
        }
        (Some(old), None) => {
            let old = &old.secret;
            out.push(REMOVAL);
            let (account, region, name) = (old.tenant.account(), old.tenant.region(), old.name.as_str());
            Place { account, region, name }.push(&mut out);
        }
        (None, None) => {}
    }
    Ok(out)
}

/// Takes apart what a commit was told as. `None`: it is not of this form.
pub(super) fn read(stream: &[u8]) -> Option<Vec<Piece<'_>>> {
    let mut fields = Fields::new(stream);
    let mut pieces = Vec::new();
    while !fields.is_empty() {
        pieces.push(match fields.array()? {
            [SECRET] => Piece::Secret { place: Place::read(&mut fields)?, record: fields.field(RECORD_BYTES_MAX)? },
            [REMOVAL] => Piece::Removal { place: Place::read(&mut fields)? },
            [VERSION] => Piece::Version {
                uid: fields.array()?,
                id: fields.text(NAME_BYTES_MAX)?,
                record: fields.field(RECORD_BYTES_MAX)?,
            },
            _ => return None,
        });
    }
    Some(pieces)
}
