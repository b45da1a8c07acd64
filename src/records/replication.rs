//! What ties a secret to its copies, as it is stored with the secret and as exports have it.

use serde::{Deserialize, Serialize};

use crate::model::replication::{
    AccountLink, AccountPrimary, LinkState, Links, RegionLink, ReplicaRestriction, StatusType,
};
use crate::model::version::KmsKeyId;
use crate::time::from_millis;

#[derive(Serialize, Deserialize)]
pub(super) struct StoredLinks<'a> {
    #[serde(borrow)]
    regions: Vec<StoredRegion<'a>>,
    #[serde(borrow)]
    accounts: Vec<StoredAccount<'a>>,
    #[serde(borrow)]
    primary: Option<StoredPrimary<'a>>,
}

#[derive(Serialize, Deserialize)]
struct StoredRegion<'a> {
    region: &'a str,
    kms_key_id: Option<&'a str>,
    may_overwrite: bool,
    is_rekeyed: bool,
    #[serde(borrow)]
    state: StoredState<'a>,
}

#[derive(Serialize, Deserialize)]
struct StoredAccount<'a> {
    replica_arn: &'a str,
    role_arn: Option<&'a str>,
    is_restricted: bool,
    #[serde(borrow)]
    state: StoredState<'a>,
}

#[derive(Serialize, Deserialize)]
struct StoredState<'a> {
    status: u8,
    message: Option<&'a str>,
    due_at: Option<i64>,
    failures: u32,
}

#[derive(Serialize, Deserialize)]
struct StoredPrimary<'a> {
    primary_arn: &'a str,
    status: u8,
    message: Option<&'a str>,
}

/// Without what does not leave its store: how far the replication has come, and when it goes on.
#[derive(PartialEq, Serialize, Deserialize)]
pub(super) struct ExportedLinks<'a> {
    /// Region and key.
    #[serde(borrow)]
    regions: Vec<(&'a str, Option<&'a str>)>,
    #[serde(borrow)]
    accounts: Vec<ExportedAccount<'a>>,
    #[serde(borrow)]
    primary: Option<ExportedPrimary<'a>>,
}

#[derive(PartialEq, Serialize, Deserialize)]
struct ExportedAccount<'a> {
    replica_arn: &'a str,
    role_arn: Option<&'a str>,
    is_restricted: bool,
    is_detached: bool,
}

#[derive(PartialEq, Serialize, Deserialize)]
struct ExportedPrimary<'a> {
    primary_arn: &'a str,
    is_pending: bool,
    is_detached: bool,
}

/// The statuses and what they are stored as.
const STATUSES: [(StatusType, u8); 5] = [
    (StatusType::InSync, 1),
    (StatusType::Failed, 2),
    (StatusType::InProgress, 3),
    (StatusType::Pending, 4),
    (StatusType::Detached, 5),
];

fn stored(status: StatusType) -> u8 {
    STATUSES.iter().find(|(known, _)| *known == status).map_or(0, |(_, stored)| *stored)
}

fn status(stored: u8) -> Option<StatusType> {
    STATUSES.iter().find(|(_, known)| *known == stored).map(|(status, _)| *status)
}

impl<'a> StoredState<'a> {
    fn new(state: &'a LinkState) -> Self {
        let LinkState { status, message, due_at, failures } = state;
        Self {
            status: stored(*status),
            message: message.as_deref(),
            due_at: due_at.map(|at| at.timestamp_millis()),
            failures: *failures,
        }
    }

    fn read(&self) -> Option<LinkState> {
        Some(LinkState {
            status: status(self.status)?,
            message: self.message.map(str::to_owned),
            due_at: self.due_at.map(from_millis),
            failures: self.failures,
        })
    }
}

impl<'a> StoredLinks<'a> {
    pub(super) fn new(links: &'a Links) -> Self {
        let Links { regions, accounts, primary } = links;
        let region = |link: &'a RegionLink| {
            let RegionLink { region, kms_key_id, may_overwrite, is_rekeyed, state } = link;
            let (kms_key_id, state) = (kms_key_id.shown(), StoredState::new(state));
            let (may_overwrite, is_rekeyed) = (*may_overwrite, *is_rekeyed);
            StoredRegion { region, kms_key_id, may_overwrite, is_rekeyed, state }
        };
        let account = |link: &'a AccountLink| {
            let AccountLink { replica_arn, role_arn, restriction, state } = link;
            let is_restricted = *restriction == ReplicaRestriction::SameOrg;
            StoredAccount { replica_arn, role_arn: role_arn.as_deref(), is_restricted, state: StoredState::new(state) }
        };
        let primary = primary.as_ref().map(|AccountPrimary { primary_arn, status, message }| StoredPrimary {
            primary_arn,
            status: stored(*status),
            message: message.as_deref(),
        });
        Self {
            regions: regions.iter().map(region).collect(),
            accounts: accounts.iter().map(account).collect(),
            primary,
        }
    }

    /// `None` if a status is unknown.
    pub(super) fn read(&self) -> Option<Links> {
        let region = |stored: &StoredRegion<'_>| {
            let StoredRegion { region, kms_key_id, may_overwrite, is_rekeyed, state } = stored;
            let kms_key_id = kms_key_id.map_or(KmsKeyId::Default, |text| KmsKeyId::Given(text.to_owned()));
            let (region, state) = ((*region).to_owned(), state.read()?);
            let (may_overwrite, is_rekeyed) = (*may_overwrite, *is_rekeyed);
            Some(RegionLink { region, kms_key_id, may_overwrite, is_rekeyed, state })
        };
        let account = |stored: &StoredAccount<'_>| {
            let StoredAccount { replica_arn, role_arn, is_restricted, state } = stored;
            let restriction = restriction(*is_restricted);
            let (replica_arn, role_arn) = ((*replica_arn).to_owned(), role_arn.map(str::to_owned));
            Some(AccountLink { replica_arn, role_arn, restriction, state: state.read()? })
        };
        let primary = match &self.primary {
            Some(StoredPrimary { primary_arn, status: stored, message }) => Some(AccountPrimary {
                primary_arn: (*primary_arn).to_owned(),
                status: status(*stored)?,
                message: message.map(str::to_owned),
            }),
            None => None,
        };
        Some(Links {
            regions: self.regions.iter().map(region).collect::<Option<_>>()?,
            accounts: self.accounts.iter().map(account).collect::<Option<_>>()?,
            primary,
        })
    }
}

fn restriction(is_restricted: bool) -> ReplicaRestriction {
    if is_restricted { ReplicaRestriction::SameOrg } else { ReplicaRestriction::NoRestriction }
}

impl<'a> ExportedLinks<'a> {
    pub(super) fn new(links: &'a Links) -> Self {
        let Links { regions, accounts, primary } = links;
        let account = |AccountLink { replica_arn, role_arn, restriction, state }: &'a AccountLink| ExportedAccount {
            replica_arn,
            role_arn: role_arn.as_deref(),
            is_restricted: *restriction == ReplicaRestriction::SameOrg,
            is_detached: state.status == StatusType::Detached,
        };
        Self {
            regions: regions.iter().map(|link| (link.region.as_str(), link.kms_key_id.shown())).collect(),
            accounts: accounts.iter().map(account).collect(),
            primary: primary.as_ref().map(|AccountPrimary { primary_arn, status, message: _ }| ExportedPrimary {
                primary_arn,
                is_pending: *status == StatusType::Pending,
                is_detached: *status == StatusType::Detached,
            }),
        }
    }

    /// What is not said to be over or to wait is taken for in sync. `None` if something is both.
    pub(super) fn read(&self) -> Option<Links> {
        let region = |(region, key): &(&str, Option<&str>)| {
            RegionLink::moved((*region).to_owned(), key.map(KmsKeyId::parse).unwrap_or_default())
        };
        let account = |stored: &ExportedAccount<'_>| {
            let ExportedAccount { replica_arn, role_arn, is_restricted, is_detached } = *stored;
            AccountLink {
                replica_arn: replica_arn.to_owned(),
                role_arn: role_arn.map(str::to_owned),
                restriction: restriction(is_restricted),
                state: if is_detached { LinkState::detached() } else { LinkState::in_sync() },
            }
        };
        let primary = match &self.primary {
            Some(ExportedPrimary { primary_arn, is_pending, is_detached }) => Some(AccountPrimary {
                primary_arn: (*primary_arn).to_owned(),
                status: match (is_pending, is_detached) {
                    (false, false) => StatusType::InSync,
                    (true, false) => StatusType::Pending,
                    (false, true) => StatusType::Detached,
                    (true, true) => return None,
                },
                message: None,
            }),
            None => None,
        };
        Some(Links {
            regions: self.regions.iter().map(region).collect(),
            accounts: self.accounts.iter().map(account).collect(),
            primary,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::codec::{decode, encode};
    use crate::time::Timestamp;

    fn at(millis: i64) -> Option<Timestamp> {
        Some(from_millis(millis))
    }

    fn state(status: StatusType, text: Option<&str>, due_at: Option<Timestamp>, failures: u32) -> LinkState {
        LinkState { status, message: text.map(str::to_owned), due_at, failures }
    }

    fn region(region: &str, kms_key_id: &str, may_overwrite: bool, state: LinkState) -> RegionLink {
        let (region, kms_key_id) = (region.to_owned(), KmsKeyId::parse(kms_key_id));
        RegionLink { region, kms_key_id, may_overwrite, is_rekeyed: !may_overwrite, state }
    }

    fn account(role_arn: Option<&str>, restriction: ReplicaRestriction, state: LinkState) -> AccountLink {
        AccountLink { replica_arn: "arn".to_owned(), role_arn: role_arn.map(str::to_owned), restriction, state }
    }

    fn primary(status: StatusType, message: Option<&str>) -> AccountPrimary {
        AccountPrimary { primary_arn: "arn".to_owned(), status, message: message.map(str::to_owned) }
    }

    /// Links with everything and with nothing set, in every status.
    fn rows() -> Vec<Links> {
        use StatusType::{Detached, Failed, InProgress, InSync, Pending};
        let none = |status| state(status, None, None, 0);
        let every = [
            region("", "", false, none(InSync)),
            region("eu-west-1", "alias/app", true, state(Failed, Some("größer"), at(i64::MIN), u32::MAX)),
            region("eu-west-2", "", true, state(InProgress, Some(""), at(251), 251)),
        ];
        let accounts = [
            account(None, ReplicaRestriction::SameOrg, none(Detached)),
            account(Some("role"), ReplicaRestriction::NoRestriction, state(Pending, Some("why"), at(i64::MAX), 1)),
        ];
        let many = region("eu-west-1", "", false, none(InSync));
        vec![
            Links::default(),
            Links { regions: every.to_vec(), ..Links::default() },
            Links { accounts: accounts.to_vec(), primary: Some(primary(Failed, Some("why"))), ..Links::default() },
            Links { regions: every.to_vec(), accounts: accounts.to_vec(), primary: Some(primary(Pending, None)) },
            // As many small parts as fit.
            Links { regions: vec![RegionLink { region: String::new(), ..many }; 14_000], ..Links::default() },
        ]
    }

    #[test]
    fn whatever_can_be_encoded_can_be_decoded() {
        for links in rows() {
            let bytes = encode(&StoredLinks::new(&links)).unwrap();
            assert_eq!(decode::<StoredLinks<'_>>(&bytes).unwrap().read(), Some(links));
        }
    }

    #[test]
    fn an_unknown_status_is_refused_wherever_it_stands() {
        let state = |status| StoredState { status, message: None, due_at: None, failures: 0 };
        let with = |region, account, primary| StoredLinks {
            regions: vec![StoredRegion {
                region: "r",
                kms_key_id: None,
                may_overwrite: false,
                is_rekeyed: false,
                state: state(region),
            }],
            accounts: vec![StoredAccount {
                replica_arn: "a",
                role_arn: None,
                is_restricted: true,
                state: state(account),
            }],
            primary: Some(StoredPrimary { primary_arn: "p", status: primary, message: None }),
        };
        for status in 0..=u8::MAX {
            let is_known = (1..=5).contains(&status);
            for links in [with(status, 1, 1), with(1, status, 1), with(1, 1, status)] {
                assert_eq!(links.read().is_some(), is_known, "{status}");
            }
        }
        assert_eq!(STATUSES.map(|(status, _)| status), StatusType::ALL.map(|(_, status)| status));
    }

    #[test]
    fn an_export_says_what_is_wanted_and_nothing_of_how_far_it_has_come() {
        for links in rows() {
            let bytes = encode(&ExportedLinks::new(&links)).unwrap();
            let read = decode::<ExportedLinks<'_>>(&bytes).unwrap().read().unwrap();
            let settled = |state: &LinkState| match state.status {
                StatusType::Detached => LinkState::detached(),
                _ => LinkState::in_sync(),
            };
            let mut expected = links;
            for link in &mut expected.regions {
                (link.may_overwrite, link.is_rekeyed, link.state) = (false, false, LinkState::in_sync());
            }
            for link in &mut expected.accounts {
                link.state = settled(&link.state);
            }
            if let Some(primary) = &mut expected.primary {
                let is_kept = matches!(primary.status, StatusType::Pending | StatusType::Detached);
                primary.status = if is_kept { primary.status } else { StatusType::InSync };
                primary.message = None;
            }
            assert_eq!(read, expected);
            assert!(ExportedLinks::new(&read) == ExportedLinks::new(&expected));
        }
    }

    #[test]
    fn a_primary_that_is_pending_and_detached_is_refused() {
        for (is_pending, is_detached) in [(false, false), (true, false), (false, true), (true, true)] {
            let primary = Some(ExportedPrimary { primary_arn: "p", is_pending, is_detached });
            let links = ExportedLinks { regions: vec![], accounts: vec![], primary };
            assert_eq!(links.read().is_some(), !(is_pending && is_detached));
        }
    }
}
