//! The endpoints: one type and one file each, found by its NSID. [`methods`] lists all of them.
pub mod app;
pub mod com;
pub mod dev;
mod reading;
mod table;
#[cfg(test)]
mod testing;
pub mod usage;

pub use table::table;

use crate::xrpc::Methods;
use app::bsky::{actor, feed, notification};
use com::atproto::{admin, identity, lexicon, moderation, repo, server, sync, temp};
use dev::housekey::{account, admin as housekey_admin, delegation};

/// Every method that the server has.
pub fn methods() -> Methods {
    housekey(repositories(accounts(administration(bsky(Methods::default())))))
}

/// `app.bsky`: what is kept here, and what shows at once what was just written.
#[rustfmt::skip]
fn bsky(methods: Methods) -> Methods {
    methods
        // app.bsky
        .piped_query::<actor::GetPreferences>()
        .piped_query::<actor::GetProfile>()
        .piped_query::<actor::GetProfiles>()
        .piped_procedure::<actor::PutPreferences>()
        .piped_query::<feed::GetActorLikes>()
        .piped_query::<feed::GetAuthorFeed>()
        .piped_query::<feed::GetFeed>()
        .piped_query::<feed::GetPostThread>()
        .piped_query::<feed::GetTimeline>()
        .procedure::<notification::RegisterPush>()
        .procedure::<notification::UnregisterPush>()
}

/// What administrators and moderators do.
#[rustfmt::skip]
fn administration(methods: Methods) -> Methods {
    methods
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
        .procedure::<admin::SendEmail>()
        .procedure::<admin::UpdateAccountEmail>()
        .procedure::<admin::UpdateAccountHandle>()
        .procedure::<admin::UpdateAccountPassword>()
        .procedure::<admin::UpdateAccountSigningKey>()
        .procedure::<admin::UpdateSubjectStatus>()
        // com.atproto.moderation
        .piped_procedure::<moderation::CreateReport>()
        // com.atproto.temp
        .procedure::<temp::AddReservedHandle>()
        .query::<temp::CheckHandleAvailability>()
        .query::<temp::CheckSignupQueue>()
        .query::<temp::DereferenceScope>()
        .procedure::<temp::RevokeAccountCredentials>()
}

/// Accounts, identities and sessions.
#[rustfmt::skip]
fn accounts(methods: Methods) -> Methods {
    methods
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
        // com.atproto.server
        .procedure::<server::ActivateAccount>()
        .query::<server::CheckAccountStatus>()
        .procedure::<server::ConfirmEmail>()
        .procedure::<server::CreateAccount>()
        .procedure::<server::CreateAppPassword>()
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
        .query::<server::ListAppPasswords>()
        .procedure::<server::RefreshSession>()
        .procedure::<server::RequestAccountDelete>()
        .procedure::<server::RequestEmailConfirmation>()
        .procedure::<server::RequestEmailUpdate>()
        .procedure::<server::RequestPasswordReset>()
        .procedure::<server::ReserveSigningKey>()
        .procedure::<server::ResetPassword>()
        .procedure::<server::RevokeAppPassword>()
        .procedure::<server::UpdateEmail>()
}

/// Records, blobs, schemas and the event stream.
#[rustfmt::skip]
fn repositories(methods: Methods) -> Methods {
    methods
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
}

/// The server's own.
#[rustfmt::skip]
fn housekey(methods: Methods) -> Methods {
    methods
        // dev.housekey.account
        .query::<account::ListSecurityEvents>()
        // dev.housekey.admin
        .procedure::<housekey_admin::CreateCode>()
        .query::<housekey_admin::GetRelayStatus>()
        .query::<housekey_admin::ListMails>()
        .procedure::<housekey_admin::RequestCrawl>()
        .procedure::<housekey_admin::RetryMails>()
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
