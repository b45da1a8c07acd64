//! Names that are taken in the Region of a replica, and whether what is there is replaced.

use chrono::TimeDelta;
use strongroom::{
    CreateSecretRequest, DeleteSecretRequest, PutSecretValueRequest, ReplicateSecretToRegionsRequest, StatusType,
    StopReplicationToReplicaRequest, UpdateSecretRequest,
};

use crate::fixture::{Fixture, Seen, describe, in_sync, read, status, statuses};

const EXISTS: &str = "Replication failed: Secret name db already exists in region eu-west-1.";
const IS_A_REPLICA: &str =
    "Replication failed: Secret name db is currently replicated to eu-west-1 with a different arn";

/// Who has the name in Ireland.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Taken {
    Ordinary,
    Scheduled,
    Expired,
    Replica,
    Primary,
    FormerReplica,
    OfService,
}

impl Taken {
    const ALL: [Self; 7] = [
        Self::Ordinary,
        Self::Scheduled,
        Self::Expired,
        Self::Replica,
        Self::Primary,
        Self::FormerReplica,
        Self::OfService,
    ];

    fn make(self, fixture: &Fixture) {
        let (ireland, paris) = (fixture.region("eu-west-1"), fixture.region("eu-west-3"));
        let create = CreateSecretRequest::new("db").secret_string("theirs");
        match self {
            Self::Ordinary => drop(ireland.create_secret(create).unwrap()),
            Self::Scheduled | Self::Expired => {
                ireland.create_secret(create).unwrap();
                ireland.delete_secret(DeleteSecretRequest::new("db").recovery_window_in_days(7)).unwrap();
                if self == Self::Expired {
                    fixture.clock.advance(TimeDelta::days(7));
                }
            }
            Self::Replica | Self::FormerReplica => {
                paris.create_secret(create.add_replica_regions(["eu-west-1"])).unwrap();
                if self == Self::FormerReplica {
                    ireland.stop_replication_to_replica(StopReplicationToReplicaRequest::new("db")).unwrap();
                }
            }
            Self::Primary => drop(ireland.create_secret(create.add_replica_regions(["eu-west-3"])).unwrap()),
            Self::OfService => {
                let service = ireland.clone().as_owning_service("rds").unwrap();
                service.create_secret(CreateSecretRequest::new("db").secret_string("theirs")).unwrap();
            }
        }
    }

    /// Why no replica can be made, unless it may replace what is there.
    fn conflict(self) -> Option<&'static str> {
        match self {
            Self::Expired => None,
            Self::Replica => Some(IS_A_REPLICA),
            _ => Some(EXISTS),
        }
    }

    fn is_replaceable(self) -> bool {
        matches!(self, Self::Ordinary | Self::Scheduled | Self::FormerReplica | Self::Expired)
    }
}

#[test]
fn a_name_that_is_taken_fails_the_replica_and_never_the_call() {
    for taken in Taken::ALL {
        for is_created in [true, false] {
            for overwrite in [None, Some(false), Some(true)] {
                let fixture = Fixture::new();
                let (home, ireland) = (fixture.home(), fixture.region("eu-west-1"));
                taken.make(&fixture);
                let there = (taken != Taken::Expired).then(|| describe(&ireland, "db"));
                let mut create = CreateSecretRequest::new("db").secret_string("ours");
                create.force_overwrite_replica_secret = overwrite.filter(|_| is_created);
                if is_created {
                    create = create.add_replica_regions(["eu-west-1"]);
                }
                let created = home.create_secret(create).unwrap();
                let answered = if is_created {
                    created.replication_status.unwrap()
                } else {
                    let mut request = ReplicateSecretToRegionsRequest::new("db", ["eu-west-1"]);
                    request.force_overwrite_replica_secret = overwrite;
                    home.replicate_secret_to_regions(request).unwrap().replication_status
                };
                let case = format!("{taken:?}, created {is_created}, overwrite {overwrite:?}");
                assert_eq!(Some(answered), describe(&home, "db").replication_status, "{case}");
                let conflict = taken.conflict().filter(|_| !(overwrite == Some(true) && taken.is_replaceable()));
                match conflict {
                    Some(text) => {
                        assert_eq!(status(&home, "db"), (StatusType::Failed, text.to_owned()), "{case}");
                        assert_eq!(describe(&ireland, "db"), there.unwrap(), "{case}");
                        assert_eq!(fixture.store.maintain().unwrap().failed_replications, 0, "{case}");
                    }
                    None => {
                        assert_eq!(status(&home, "db"), in_sync(), "{case}");
                        assert_eq!(read(&ireland, "db"), "ours", "{case}");
                        assert_eq!(Seen::of(&ireland, "db"), Seen::of(&home, "db"), "{case}");
                    }
                }
            }
        }
    }
}

#[test]
fn a_conflict_is_over_when_somebody_replicates_again_and_not_before() {
    let fixture = Fixture::new();
    let (home, ireland) = (fixture.home(), fixture.region("eu-west-1"));
    ireland.create_secret(CreateSecretRequest::new("db").secret_string("theirs")).unwrap();
    home.create_secret(CreateSecretRequest::new("db").secret_string("one").add_replica_regions(["eu-west-1"])).unwrap();
    ireland.delete_secret(DeleteSecretRequest::new("db").force_delete_without_recovery(true)).unwrap();
    fixture.pass(120);
    home.put_secret_value(PutSecretValueRequest::new("db", "two")).unwrap();
    let report = fixture.store.maintain().unwrap();
    assert_eq!((report.replicated_secrets, report.failed_replications, report.next_due_at), (0, 0, None));
    assert_eq!(status(&home, "db"), (StatusType::Failed, EXISTS.to_owned()));
    home.replicate_secret_to_regions(ReplicateSecretToRegionsRequest::new("db", ["eu-west-1"])).unwrap();
    assert_eq!((status(&home, "db"), read(&ireland, "db")), (in_sync(), "two".to_owned()));
}

#[test]
fn one_region_that_fails_does_not_keep_the_others_back() {
    let fixture = Fixture::new();
    let home = fixture.home();
    fixture.region("eu-west-1").create_secret(CreateSecretRequest::new("db").secret_string("theirs")).unwrap();
    let create = CreateSecretRequest::new("db").secret_string("one");
    home.create_secret(create.add_replica_regions(["ap-south-1", "eu-west-1", "sa-east-1"])).unwrap();
    home.put_secret_value(PutSecretValueRequest::new("db", "two")).unwrap();
    let expected = [
        ("ap-south-1".to_owned(), StatusType::InSync, None),
        ("eu-west-1".to_owned(), StatusType::Failed, Some(EXISTS.to_owned())),
        ("sa-east-1".to_owned(), StatusType::InSync, None),
    ];
    assert_eq!(statuses(&home, "db"), expected);
    for (region, value) in [("ap-south-1", "two"), ("eu-west-1", "theirs"), ("sa-east-1", "two")] {
        assert_eq!(read(&fixture.region(region), "db"), value);
    }
}

/// A permission to replace is for the call that gives it.
#[test]
fn a_secret_is_not_replaced_because_an_earlier_call_allowed_it_for_another() {
    let fixture = Fixture::new();
    let (home, ireland) = (fixture.home(), fixture.region("eu-west-1"));
    Taken::Replica.make(&fixture);
    home.create_secret(CreateSecretRequest::new("db").secret_string("ours")).unwrap();
    let request = || ReplicateSecretToRegionsRequest::new("db", ["eu-west-1"]);
    home.replicate_secret_to_regions(request().force_overwrite_replica_secret(true)).unwrap();
    assert_eq!(status(&home, "db").1, IS_A_REPLICA);
    ireland.stop_replication_to_replica(StopReplicationToReplicaRequest::new("db")).unwrap();
    home.replicate_secret_to_regions(request()).unwrap();
    assert_eq!((status(&home, "db").1.as_str(), read(&ireland, "db").as_str()), (EXISTS, "theirs"));
}

#[test]
fn a_replaced_secret_leaves_nothing_behind() {
    let fixture = Fixture::new();
    let (home, ireland) = (fixture.home(), fixture.region("eu-west-1"));
    let theirs = ireland.create_secret(CreateSecretRequest::new("db").secret_string("theirs")).unwrap();
    ireland.update_secret(UpdateSecretRequest::new("db").description("theirs")).unwrap();
    home.create_secret(CreateSecretRequest::new("db").secret_string("ours")).unwrap();
    let request = ReplicateSecretToRegionsRequest::new("db", ["eu-west-1"]).force_overwrite_replica_secret(true);
    home.replicate_secret_to_regions(request).unwrap();
    let gone = strongroom::DescribeSecretRequest::new(theirs.arn.as_str());
    assert_eq!(ireland.describe_secret(gone).unwrap_err().code(), "ResourceNotFoundException");
    let replica = describe(&ireland, "db");
    assert_eq!(replica.arn, describe(&home, "db").arn.replace("us-east-1", "eu-west-1"));
    assert_eq!((replica.description, fixture.store.stats().unwrap().secrets), (None, 2));
    let report = fixture.store.verify(strongroom::VerifyOptions::new(), &mut |_| {}).unwrap();
    assert!(report.is_clean(), "{report:#?}");
}
