//! The endpoints: one type and one file each, found by its NSID. [`methods`] lists all of them.
pub mod com;
pub mod dev;
mod reading;
mod table;
#[cfg(test)]
mod testing;
pub mod usage;

pub use table::table;

use crate::xrpc::Methods;
use com::atproto::{admin, identity, lexicon, repo, server, sync, temp};
use dev::housekey::{account, admin as housekey_admin, delegation};

/// Every method that the server has.
#[rustfmt::skip]
#[expect(clippy::too_many_lines, reason = "it is a list")]
pub fn methods() -> Methods {
    Methods::default()
        // com.atproto.admin
        .procedure::<admin::DeleteAccount>()
        .procedure::<admin::DisableAccountInvites>()
        .procedure::<admin::DisableInviteCodes>()
        .procedure::<admin::EnableAccountInvites>()
        .query::<admin::GetAccountInfo>()
        .query::<admin::GetAccountInfos>()
        .query::<admin::GetInviteCodes>()
        .query::<admin::GetSubjectStatus>()
        .query::<admin::SearchAccounts>()
        .procedure::<admin::UpdateAccountHandle>()
        .procedure::<admin::UpdateAccountSigningKey>()
        .procedure::<admin::UpdateSubjectStatus>()
        // com.atproto.identity
        .query::<identity::GetRecommendedDidCredentials>()
        .procedure::<identity::RefreshIdentity>()
        .procedure::<identity::RequestPlcOperationSignature>()
        .query::<identity::ResolveDid>()
        .query::<identity::ResolveHandle>()
        .query::<identity::ResolveIdentity>()
        .procedure::<identity::SignPlcOperation>()
        .procedure::<identity::SubmitPlcOperation>()
        .procedure::<identity::UpdateHandle>()
        // com.atproto.lexicon
        .query::<lexicon::ResolveLexicon>()
        // com.atproto.repo
        .procedure::<repo::ApplyWrites>()
        .procedure::<repo::CreateRecord>()
        .procedure::<repo::DeleteRecord>()
        .query::<repo::DescribeRepo>()
        .query::<repo::GetRecord>()
        .procedure::<repo::ImportRepo>()
        .query::<repo::ListMissingBlobs>()
        .query::<repo::ListRecords>()
        .procedure::<repo::PutRecord>()
        .procedure::<repo::UploadBlob>()
        // com.atproto.server
        .procedure::<server::ActivateAccount>()
        .query::<server::CheckAccountStatus>()
        .procedure::<server::CreateAccount>()
        .procedure::<server::CreateInviteCode>()
        .procedure::<server::CreateInviteCodes>()
        .procedure::<server::CreateSession>()
        .procedure::<server::DeactivateAccount>()
        .procedure::<server::DeleteAccount>()
        .procedure::<server::DeleteSession>()
        .query::<server::DescribeServer>()
        .query::<server::GetAccountInviteCodes>()
        .query::<server::GetServiceAuth>()
        .query::<server::GetSession>()
        .procedure::<server::RefreshSession>()
        .procedure::<server::ReserveSigningKey>()
        // com.atproto.sync
        .query::<sync::GetBlob>()
        .query::<sync::GetBlocks>()
        .query::<sync::GetCheckout>()
        .query::<sync::GetHead>()
        .query::<sync::GetLatestCommit>()
        .query::<sync::GetRecord>()
        .query::<sync::GetRepo>()
        .query::<sync::GetRepoStatus>()
        .query::<sync::ListBlobs>()
        .query::<sync::ListRepos>()
        .query::<sync::ListReposByCollection>()
        .subscription::<sync::SubscribeRepos>()
        // dev.housekey.admin
        .query::<housekey_admin::GetRelayStatus>()
        .procedure::<housekey_admin::RequestCrawl>()
        // com.atproto.temp
        .procedure::<temp::AddReservedHandle>()
        .query::<temp::CheckHandleAvailability>()
        .query::<temp::DereferenceScope>()
        .procedure::<temp::RevokeAccountCredentials>()
        // dev.housekey.account
        .query::<account::ListSecurityEvents>()
        // dev.housekey.delegation
        .procedure::<delegation::CreateDelegation>()
        .procedure::<delegation::DeleteDelegation>()
        .query::<delegation::GetAssociatedData>()
        .query::<delegation::GetDelegation>()
        .query::<delegation::ListDelegations>()
        .procedure::<delegation::PutAssociatedData>()
        .procedure::<delegation::RequestDelegationToken>()
        .procedure::<delegation::UpdateDelegation>()
}
