//! Body of the fuzz target: archives as anybody could have made them.

use std::{
    fs,
    io::Read,
    sync::atomic::{AtomicU64, Ordering},
};

use data_encoding::HEXLOWER;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{BLOBS, MANIFEST, Manifest, Opened, draft::WorkDir, verify};
use crate::clock::Timestamp;

/// When the archives are looked at.
const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

/// Names and contents of an archive, in their order.
pub(super) type Parts = Vec<(String, Vec<u8>)>;

/// Verifying never panics, neither with the file as it is nor with the digests of its manifest made to fit what it holds; and an
/// archive that is good is good in both.
///
/// # Panics
/// When that is not so, or where the machine has no place for a file.
pub fn archive(data: &[u8]) {
    let found = check(data);
    let fitting = parts_of(data).and_then(|mut parts| {
        fit_manifest(&mut parts)?;
        to_tar(&parts)
    });
    if let Some(fitting) = fitting {
        let again = check(&fitting);
        if let Some(manifest) = found {
            assert_eq!(again, Some(manifest), "the same parts with the same digests are another archive");
        }
    }
}

/// The manifest of an archive that verifies.
#[expect(clippy::expect_used, reason = "a fuzzer's machine has room for a file")]
fn check(data: &[u8]) -> Option<Manifest> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let name = format!("housekey-archive-{}-{count}", std::process::id());
    let dir = WorkDir::create(std::env::temp_dir().join(name)).expect("a directory");
    let path = dir.0.join("archive.tar");
    fs::write(&path, data).expect("a file");
    let scratch = dir.0.join("blocks.sqlite");
    let verified = verify(&Opened::open(&path).ok()?, &scratch, NOW, &mut |_| {});
    assert!(!scratch.exists(), "something of the check stays");
    verified.ok().map(|verified| verified.manifest)
}

/// What a tar file holds, as far as it is one.
fn parts_of(data: &[u8]) -> Option<Parts> {
    let mut parts = Parts::new();
    for entry in tar::Archive::new(data).entries().ok()?.raw(true) {
        let mut entry = entry.ok()?;
        let name = String::from_utf8(entry.path_bytes().into_owned()).ok()?;
        let mut bytes = Vec::new();
        // Stops where the data does, whatever the header says.
        entry.read_to_end(&mut bytes).ok()?;
        parts.push((name, bytes));
    }
    Some(parts)
}

/// Lets the manifest have the sizes and digests that the parts have; none where there is no manifest that could.
pub(super) fn fit_manifest(parts: &mut Parts) -> Option<()> {
    let digest = |bytes: &[u8]| json!({"size": bytes.len(), "sha256": HEXLOWER.encode(&Sha256::digest(bytes))});
    let named = parts.iter().filter(|(name, _)| !name.starts_with(BLOBS) && name != MANIFEST);
    let digests: serde_json::Map<String, Value> =
        named.map(|(name, bytes)| (name.clone(), digest(bytes.as_slice()))).collect();
    let (_, manifest) = parts.iter_mut().find(|(name, _)| name == MANIFEST)?;
    let mut json: serde_json::Map<String, Value> = serde_json::from_slice(manifest.as_slice()).ok()?;
    json.insert("parts".to_owned(), Value::Object(digests));
    *manifest = Value::Object(json).to_string().into_bytes();
    Some(())
}

/// A tar file of these parts, under their names as they stand: also those that no library would write. None for names that do
/// not fit into a header.
pub(super) fn to_tar(parts: &Parts) -> Option<Vec<u8>> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, bytes) in parts {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o600);
        header.as_old_mut().name.get_mut(..name.len())?.copy_from_slice(name.as_bytes());
        header.set_cksum();
        tar.append(&header, bytes.as_slice()).ok()?;
    }
    tar.into_inner().ok()
}
