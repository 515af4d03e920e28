//! The server's own secrets: configured, or made once and kept sealed.

use crate::{
    crypto::{
        Curve, Secret, SigningKey,
        jwt::SessionKey,
        seal::{CannotOpen, MasterKey},
    },
    entropy::{Entropy, random_bytes},
    store::{Store, StoreError},
};
use data_encoding::HEXLOWER;
use std::{
    fs,
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

/// Name of the file that holds a master key which was not configured.
const MASTER_KEY_FILE: &str = "master.key";

/// Names under which the store keeps what belongs to the secrets.
const MASTER_KEY_CHECK: &str = "master-key-check";
const ROTATION_KEY: &str = "rotation-key";
const JWT_SECRET: &str = "jwt-secret";

/// Why the secrets cannot be had, in words for the operator.
#[derive(Debug, thiserror::Error)]
pub enum SecretsError {
    /// The file cannot be read or written.
    #[error("the master key file {path} cannot be used: {cause}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's words.
        cause: std::io::Error,
    },
    /// The file does not hold a key.
    #[error("the master key file {} does not hold 64 hexadecimal digits; put back the one that was backed up", .0.display())]
    NotAKey(PathBuf),
    /// The data was sealed with another master key.
    #[error(
        "the master key is not the one that this data was sealed with; put back [secrets] master_key or the file master.key"
    )]
    WrongMasterKey,
    /// A sealed secret does not open.
    #[error(transparent)]
    Sealed(#[from] CannotOpen),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What the operator configured.
#[derive(Default)]
pub(super) struct Configured<'a> {
    /// `[secrets] master_key`.
    pub master_key: Option<&'a MasterKey>,
    /// `[secrets] jwt_secret`.
    pub jwt_secret: Option<&'a Secret>,
    /// `[identity] rotation_key`.
    pub rotation_key: Option<&'a SigningKey>,
}

/// The secrets of a running server.
pub(super) struct Secrets {
    /// Opens what is sealed.
    pub master_key: MasterKey,
    /// Signs session tokens.
    pub session_key: SessionKey,
    /// Signs PLC operations.
    pub rotation_key: SigningKey,
}

impl Secrets {
    /// Takes what is configured; makes and keeps the rest.
    ///
    /// # Errors
    /// [`SecretsError`], in words: above all when the master key is not the one that the data was sealed with.
    pub(super) async fn load(
        configured: Configured<'_>,
        data_dir: &Path,
        store: &Store,
        entropy: &dyn Entropy,
    ) -> Result<Self, SecretsError> {
        let master_key = match configured.master_key {
            Some(key) => key.clone(),
            None => master_key_file(data_dir, entropy)?,
        };
        let check = master_key.check_value().to_vec();
        if store.setting_or_insert(MASTER_KEY_CHECK, check.clone()).await? != check {
            return Err(SecretsError::WrongMasterKey);
        }
        let session_key = if let Some(secret) = configured.jwt_secret {
            SessionKey::new(secret)
        } else {
            let made = HEXLOWER.encode(&random_bytes::<32>(entropy));
            let kept = kept(store, &master_key, JWT_SECRET, made.as_bytes(), entropy).await?;
            SessionKey::new(&Secret::new(String::from_utf8_lossy(&kept)))
        };
        let rotation_key = if let Some(key) = configured.rotation_key {
            key.clone()
        } else {
            let made = SigningKey::generate(Curve::K256, entropy);
            let kept = kept(store, &master_key, ROTATION_KEY, made.to_bytes().as_ref(), entropy).await?;
            SigningKey::from_bytes(Curve::K256, &kept).map_err(|_| CannotOpen)?
        };
        Ok(Self { master_key, session_key, rotation_key })
    }
}

/// The secret that is kept under `name`, or `made` from now on.
async fn kept(
    store: &Store,
    master_key: &MasterKey,
    name: &str,
    made: &[u8],
    entropy: &dyn Entropy,
) -> Result<zeroize::Zeroizing<Vec<u8>>, SecretsError> {
    let sealed = store.setting_or_insert(name, master_key.seal(name, made, entropy)).await?;
    Ok(master_key.open(name, &sealed)?)
}

/// The key in `data_dir/master.key`, which is made (0600) if there is none.
fn master_key_file(data_dir: &Path, entropy: &dyn Entropy) -> Result<MasterKey, SecretsError> {
    let path = data_dir.join(MASTER_KEY_FILE);
    match fs::read_to_string(&path) {
        Ok(text) => MasterKey::from_hex(text.trim()).ok_or(SecretsError::NotAKey(path)),
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => {
            let key = MasterKey::generate(entropy);
            write_new(&path, key.to_hex().as_bytes())
                .map_err(|cause| SecretsError::File { path: path.clone(), cause })?;
            tracing::warn!(
                path = %path.display(),
                "a master key was made: back up this file, without it the accounts' keys cannot be opened"
            );
            Ok(key)
        }
        Err(cause) => Err(SecretsError::File { path, cause }),
    }
}

/// Writes a file that must not exist, readable by its owner alone, and makes it durable with its directory entry.
fn write_new(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    if let Some(dir) = path.parent() {
        fs::File::open(dir)?.sync_all()?;
    }
    Ok(())
}
