//! Blobs: received as a stream, kept as files, temporary until a record references them.
use super::Server;
use crate::{
    limits::records::MIME_TYPE_BYTES,
    store::{Account, BlobRow, PutBlobError, QuotaExceeded, StagedBlob, StoreError, Usage},
};
use bytes::Bytes;
use futures_util::{Stream, StreamExt};

/// What arrives.
pub struct Upload<S> {
    /// The `Content-Type` that the client claims.
    pub content_type: Option<String>,
    /// The size in bytes that the client claims.
    pub content_length: Option<u64>,
    /// The bytes.
    pub body: S,
}

/// Why a blob was not taken. `E` is what reading the body can fail with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UploadError<E> {
    /// The body broke off or was refused while it was read.
    Body(E),
    /// It is larger than this many bytes.
    TooLarge(u64),
    /// It has another size than was claimed.
    WrongLength,
    /// The administrator took this blob down.
    Takendown,
    /// The account would use more than it may.
    Full(QuotaExceeded),
    /// The database or the disk failed.
    Store(StoreError),
}

impl<E> From<StoreError> for UploadError<E> {
    fn from(cause: StoreError) -> Self {
        Self::Store(cause)
    }
}

impl<E> From<PutBlobError> for UploadError<E> {
    fn from(refused: PutBlobError) -> Self {
        match refused {
            PutBlobError::OverQuota(full) => Self::Full(full),
            PutBlobError::Store(cause) => Self::Store(cause),
        }
    }
}

/// Receives a blob; its file is durable when this answers. Dropping the future leaves nothing behind.
///
/// # Errors
/// [`UploadError`] says why it was not taken.
pub async fn upload<S, E>(server: &Server, account: &Account, upload: Upload<S>) -> Result<BlobRow, UploadError<E>>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
{
    let max = server.policy.blob_bytes;
    if upload.content_length.is_some_and(|length| length > max) {
        return Err(UploadError::TooLarge(max));
    }
    check_room(server, account, upload.content_length.unwrap_or(1)).await?;
    let staged = receive(server, upload.body, max).await?;
    if upload.content_length.is_some_and(|length| length != staged.size) {
        return Err(UploadError::WrongLength);
    }
    if server.store.blob_takedown(account.id, &staged.cid).await?.is_some() {
        return Err(UploadError::Takendown);
    }
    let mime_type = media_type(&staged.head, upload.content_type.as_deref());
    let (cid, size) = (staged.cid, staged.size);
    server.store.blob_files().keep(staged).await?;
    Ok(server.store.put_blob(account.id, cid, &mime_type, size, server.now()).await?)
}

/// Refuses early what cannot be kept, so that nobody sends it for nothing. What counts is decided when the upload is
/// recorded.
async fn check_room<E>(server: &Server, account: &Account, bytes: u64) -> Result<(), UploadError<E>> {
    let used = server.store.usage(account.id).await?;
    let (blobs, blob_bytes) = (used.blobs.saturating_add(1), used.blob_bytes.saturating_add(bytes));
    server.store.quota().check(&used, &Usage { blobs, blob_bytes, ..used }).map_err(UploadError::Full)
}

async fn receive<S, E>(server: &Server, mut body: S, max: u64) -> Result<StagedBlob, UploadError<E>>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
{
    let mut file = server.store.blob_files().begin().await?;
    let mut size: u64 = 0;
    while let Some(piece) = body.next().await {
        let piece = piece.map_err(UploadError::Body)?;
        size = size.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
        if size > max {
            return Err(UploadError::TooLarge(max));
        }
        file.write(&piece).await?;
    }
    Ok(file.finish().await?)
}

/// What the first bytes say, else what the client claims, else `application/octet-stream`.
fn media_type(head: &[u8], claimed: Option<&str>) -> String {
    if let Some(kind) = infer::get(head) {
        return kind.mime_type().to_owned();
    }
    claimed
        .and_then(|claimed| claimed.split(';').next())
        .map(|essence| essence.trim().to_ascii_lowercase())
        .filter(|essence| is_media_type(essence))
        .unwrap_or_else(|| "application/octet-stream".to_owned())
}

/// `type/subtype`, both of HTTP token characters, without wildcards: it is sent back in a header.
fn is_media_type(text: &str) -> bool {
    let token =
        |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b));
    text.len() <= MIME_TYPE_BYTES && text.split_once('/').is_some_and(|(kind, subtype)| token(kind) && token(subtype))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";

    #[test]
    fn what_the_bytes_say_wins_over_what_the_client_claims() {
        assert_eq!(media_type(PNG, Some("text/plain")), "image/png");
        assert_eq!(media_type(b"hello", Some("Text/Plain; charset=utf-8")), "text/plain");
        assert_eq!(media_type(b"hello", None), "application/octet-stream");
    }

    #[test]
    fn a_claimed_type_that_is_no_media_type_is_not_kept() {
        for claimed in ["", "text", "*/*", "text/plain/x", "text/\r\nx: y", "a/b c", &format!("a/{}", "b".repeat(200))]
        {
            assert_eq!(media_type(b"hello", Some(claimed)), "application/octet-stream", "{claimed}");
        }
    }
}
