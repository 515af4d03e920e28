//! `com.atproto.sync.*`: repositories for others. Lexicons: <https://github.com/bluesky-social/atproto/tree/main/lexicons/com/atproto/sync>.
mod answers;
mod get_blob;
mod get_blocks;
mod get_checkout;
mod get_head;
mod get_latest_commit;
mod get_record;
mod get_repo;
mod get_repo_status;
mod list_blobs;
mod list_repos;
mod list_repos_by_collection;
mod subscribe_repos;
#[cfg(test)]
mod tests;

pub use get_blob::GetBlob;
pub use get_blocks::GetBlocks;
pub use get_checkout::GetCheckout;
pub use get_head::GetHead;
pub use get_latest_commit::GetLatestCommit;
pub use get_record::GetRecord;
pub use get_repo::GetRepo;
pub use get_repo_status::GetRepoStatus;
pub use list_blobs::ListBlobs;
pub use list_repos::ListRepos;
pub use list_repos_by_collection::ListReposByCollection;
pub use subscribe_repos::SubscribeRepos;
