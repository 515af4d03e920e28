//! `com.atproto.repo.uploadBlob`
use crate::{
    service::{Server, blobs},
    throttle::Bucket,
    xrpc::{Json, Procedure, Upload, XrpcError, auth::UploadAuth},
};
use serde_json::json;
use std::sync::Arc;

/// Takes a blob, which stays temporary until a record references it. Deactivated accounts may upload: they are being
/// moved in.
pub struct UploadBlob;

impl Procedure for UploadBlob {
    const NSID: &'static str = "com.atproto.repo.uploadBlob";
    const BUCKETS: &'static [Bucket] = &[Bucket::Address, Bucket::UploadBlob];
    type Auth = UploadAuth;
    type Input = Upload;
    type Output = Json<serde_json::Value>;

    async fn call(server: &Arc<Server>, auth: UploadAuth, Upload(body): Upload) -> Result<Self::Output, XrpcError> {
        let upload =
            blobs::Upload { content_type: body.content_type, content_length: body.content_length, body: body.stream };
        let blob = blobs::upload(server, &auth.account, upload).await?;
        Ok(Json(json!({ "blob": {
            "$type": "blob",
            "ref": { "$link": blob.cid },
            "mimeType": blob.mime_type,
            "size": blob.size,
        } })))
    }
}
