//! How much of its quota an account uses, as answers show it.

use serde::Serialize;

use crate::{
    service::Server,
    store::{AccountId, StoreError},
};

/// `dev.housekey.account.defs#usage`: a field of answers whose own schema has no word for it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UsageView {
    records: Meter,
    record_bytes: Meter,
    blobs: Meter,
    blob_bytes: Meter,
}

#[derive(Debug, Serialize)]
struct Meter {
    used: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<u64>,
}

/// What the account uses and may use.
pub(super) async fn usage_of(server: &Server, account: AccountId) -> Result<UsageView, StoreError> {
    let (used, quota) = (server.store.usage(account).await?, server.store.quota());
    let meter = |used, limit| Meter { used, limit };
    Ok(UsageView {
        records: meter(used.records, quota.records),
        record_bytes: meter(used.record_bytes, quota.record_bytes),
        blobs: meter(used.blobs, quota.blobs),
        blob_bytes: meter(used.blob_bytes, quota.blob_bytes),
    })
}
