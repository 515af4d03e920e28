//! `com.atproto.repo.*`: records and blobs. Lexicons: <https://github.com/bluesky-social/atproto/tree/main/lexicons/com/atproto/repo>.
mod apply_writes;
mod create_record;
mod delete_record;
mod describe_repo;
mod get_record;
mod import_repo;
mod list_missing_blobs;
mod list_records;
mod put_record;
#[cfg(test)]
mod tests;
mod upload_blob;
mod writing;

pub use apply_writes::ApplyWrites;
pub use create_record::CreateRecord;
pub use delete_record::DeleteRecord;
pub use describe_repo::DescribeRepo;
pub use get_record::GetRecord;
pub use import_repo::ImportRepo;
pub use list_missing_blobs::ListMissingBlobs;
pub use list_records::ListRecords;
pub use put_record::PutRecord;
pub use upload_blob::UploadBlob;
pub use writing::{CommitOutput, RecordOutput};
