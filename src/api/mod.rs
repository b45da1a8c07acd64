//! The operations of the API, one file each: request, response, the documented method, and how it decides.

#[macro_use]
mod request;

mod associate_cross_account_replica;
mod batch_get_secret_value;
mod call;
mod cancel_rotate_secret;
mod create_secret;
mod delete_resource_policy;
mod delete_secret;
mod describe_secret;
mod disassociate_cross_account_replica;
mod get_random_password;
mod get_resource_policy;
mod get_secret_value;
mod list_resource_policies;
mod list_secret_version_ids;
mod list_secrets;
mod put_resource_policy;
mod put_secret_value;
mod remove_regions_from_replication;
mod replicate_secret_to_regions;
mod replication;
mod restore_secret;
mod rotate_secret;
mod stop_replication_to_replica;
mod tag_resource;
mod untag_resource;
mod update_secret;
mod update_secret_version_stage;
mod validate_resource_policy;
mod write;

pub use associate_cross_account_replica::{AssociateCrossAccountReplicaRequest, AssociateCrossAccountReplicaResponse};
pub use batch_get_secret_value::{
    BatchGetSecretValueError, BatchGetSecretValueRequest, BatchGetSecretValueResponse, SecretValueEntry,
};
pub use cancel_rotate_secret::{CancelRotateSecretRequest, CancelRotateSecretResponse};
pub use create_secret::{CreateSecretRequest, CreateSecretResponse};
pub use delete_resource_policy::{DeleteResourcePolicyRequest, DeleteResourcePolicyResponse};
pub use delete_secret::{DeleteSecretRequest, DeleteSecretResponse};
pub use describe_secret::{DescribeSecretRequest, DescribeSecretResponse};
pub use disassociate_cross_account_replica::{
    DisassociateCrossAccountReplicaRequest, DisassociateCrossAccountReplicaResponse,
};
pub use get_random_password::{GetRandomPasswordRequest, GetRandomPasswordResponse};
pub use get_resource_policy::{GetResourcePolicyRequest, GetResourcePolicyResponse};
pub use get_secret_value::{GetSecretValueRequest, GetSecretValueResponse};
pub use list_resource_policies::{ListResourcePoliciesRequest, ListResourcePoliciesResponse, ResourcePolicySummary};
pub use list_secret_version_ids::{ListSecretVersionIdsRequest, ListSecretVersionIdsResponse, SecretVersionsListEntry};
pub use list_secrets::{ListSecretsRequest, ListSecretsResponse, SecretListEntry};
pub use put_resource_policy::{PutResourcePolicyRequest, PutResourcePolicyResponse};
pub use put_secret_value::{PutSecretValueRequest, PutSecretValueResponse};
pub use remove_regions_from_replication::{RemoveRegionsFromReplicationRequest, RemoveRegionsFromReplicationResponse};
pub use replicate_secret_to_regions::{ReplicateSecretToRegionsRequest, ReplicateSecretToRegionsResponse};
pub use replication::{CrossAccountPrimaryType, CrossAccountReplicaEntry, ReplicationStatusType};
pub use restore_secret::{RestoreSecretRequest, RestoreSecretResponse};
pub use rotate_secret::{RotateSecretRequest, RotateSecretResponse};
pub use stop_replication_to_replica::{StopReplicationToReplicaRequest, StopReplicationToReplicaResponse};
pub use tag_resource::TagResourceRequest;
pub use untag_resource::UntagResourceRequest;
pub use update_secret::{UpdateSecretRequest, UpdateSecretResponse};
pub use update_secret_version_stage::{UpdateSecretVersionStageRequest, UpdateSecretVersionStageResponse};
pub use validate_resource_policy::{
    ValidateResourcePolicyRequest, ValidateResourcePolicyResponse, ValidationErrorsEntry,
};
