//! The file in which a user keeps the private half of a delegate key, as plain bytes or under a passphrase.

use std::path::Path;

use data_encoding::HEXLOWER_PERMISSIVE as HEX;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::files::{self, FileError};
use crate::{
    crypto::{
        DelegateKey, DelegateKeyError, DelegateSigningKey,
        passphrase::{self, Work},
    },
    entropy::{Entropy, random_bytes},
    limits::client as limits,
};

/// What the file says that it is.
const KIND: &str = "housekey delegate key";

/// Why a key file is of no use.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// The file.
    #[error(transparent)]
    File(#[from] FileError),
    /// It is something else.
    #[error("{0} is not a key file that this program made: {1}")]
    Format(String, String),
    /// The key in it.
    #[error("the key in {0} cannot be used: {1}")]
    Key(String, DelegateKeyError),
    /// The private half is not that of the public one.
    #[error("{0} is damaged: the private key in it does not belong to the public one")]
    Pair(String),
    /// It is locked, and no passphrase was given.
    #[error("{0} is locked: its passphrase is needed")]
    Locked(String),
    /// Another passphrase locked it.
    #[error("{0} does not open with this passphrase")]
    Passphrase(String),
    /// There is too little memory, or the file asks for work beyond the bounds.
    #[error("the passphrase cannot be worked on: there is too little memory, or the file asks for too much work")]
    Work,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Wire {
    kind: String,
    version: u32,
    key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    private: Option<Digits>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sealed: Option<Sealed>,
}

/// Hexadecimal digits that are zeroed when dropped.
#[derive(Serialize, Deserialize, zeroize::ZeroizeOnDrop)]
#[serde(transparent)]
struct Digits(String);

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Sealed {
    /// Always `argon2id+xchacha20poly1305`.
    scheme: String,
    memory_kib: u32,
    passes: u32,
    salt: String,
    /// Nonce, ciphertext and tag.
    text: String,
}

const SCHEME: &str = "argon2id+xchacha20poly1305";

/// A key file that was read, or is to be written.
pub struct KeyFile {
    name: String,
    public: DelegateKey,
    wire: Wire,
}

impl KeyFile {
    /// Of a key; locked where there is a passphrase.
    ///
    /// # Errors
    /// [`KeyFileError::Work`] when there is not enough memory to lock it.
    pub fn new(
        key: &DelegateSigningKey,
        passphrase: Option<&str>,
        work: Work,
        entropy: &dyn Entropy,
    ) -> Result<Self, KeyFileError> {
        let public = key.public();
        let bytes = key.to_bytes();
        let mut wire = Wire { kind: KIND.to_owned(), version: 1, key: public.to_string(), private: None, sealed: None };
        match passphrase {
            None => wire.private = Some(Digits(HEX.encode(bytes.as_slice()))),
            Some(passphrase) => {
                let salt: [u8; 16] = random_bytes(entropy);
                let lock = passphrase::derive(passphrase, &salt, work).ok_or(KeyFileError::Work)?;
                wire.sealed = Some(Sealed {
                    scheme: SCHEME.to_owned(),
                    memory_kib: work.memory_kib,
                    passes: work.passes,
                    salt: HEX.encode(&salt),
                    text: HEX.encode(&lock.seal(&purpose(&public), bytes.as_slice(), entropy)),
                });
            }
        }
        Ok(Self { name: "the key file".to_owned(), public, wire })
    }

    /// Reads a file; a locked one stays so.
    ///
    /// # Errors
    /// [`KeyFileError`].
    pub fn read(path: &Path) -> Result<Self, KeyFileError> {
        let text = Zeroizing::new(files::read_text(path)?);
        Self::parse(&path.display().to_string(), &text)
    }

    fn parse(name: &str, text: &str) -> Result<Self, KeyFileError> {
        let format = |cause: String| KeyFileError::Format(name.to_owned(), cause);
        let wire: Wire = serde_json::from_str(text).map_err(|cause| format(cause.to_string()))?;
        if wire.kind != KIND || wire.version != 1 || wire.private.is_some() == wire.sealed.is_some() {
            return Err(format("its kind or version is another".to_owned()));
        }
        let public = wire.key.parse().map_err(|cause| KeyFileError::Key(name.to_owned(), cause))?;
        Ok(Self { name: name.to_owned(), public, wire })
    }

    /// Makes the file, for its owner alone (0600).
    ///
    /// # Errors
    /// [`FileError`], above all where there is a file already: a key is never overwritten.
    pub fn write_new(&self, path: &Path) -> Result<(), FileError> {
        files::write_new(path, &self.to_text())
    }

    /// The public key.
    pub const fn public(&self) -> &DelegateKey {
        &self.public
    }

    /// Whether a passphrase opens it.
    pub const fn is_locked(&self) -> bool {
        self.wire.sealed.is_some()
    }

    /// The private key.
    ///
    /// # Errors
    /// [`KeyFileError`] when the passphrase is missing or another one, or the file is damaged.
    pub fn open(&self, passphrase: Option<&str>) -> Result<DelegateSigningKey, KeyFileError> {
        let damaged = || KeyFileError::Pair(self.name.clone());
        let bytes = match (&self.wire.private, &self.wire.sealed) {
            (Some(private), _) => HEX.decode(private.0.as_bytes()).map(Zeroizing::new).map_err(|_| damaged())?,
            (None, Some(sealed)) => self.unseal(sealed, passphrase)?,
            (None, None) => return Err(damaged()),
        };
        let key = DelegateSigningKey::from_bytes(self.public.key_type(), &bytes).map_err(|_| damaged())?;
        if key.public() == self.public { Ok(key) } else { Err(damaged()) }
    }

    fn unseal(&self, sealed: &Sealed, passphrase: Option<&str>) -> Result<Zeroizing<Vec<u8>>, KeyFileError> {
        let passphrase = passphrase.ok_or_else(|| KeyFileError::Locked(self.name.clone()))?;
        let format = |cause: &str| KeyFileError::Format(self.name.clone(), cause.to_owned());
        if sealed.scheme != SCHEME {
            return Err(format("it is locked in a way that is not known here"));
        }
        if sealed.memory_kib > limits::KEY_FILE_MAX_MEMORY_KIB || sealed.passes > limits::KEY_FILE_MAX_PASSES {
            return Err(KeyFileError::Work);
        }
        let decode = |text: &str| HEX.decode(text.as_bytes()).map_err(|_| format("its hexadecimal digits are not"));
        let salt = decode(&sealed.salt)?.as_slice().try_into().map_err(|_| format("its salt is not of 16 bytes"))?;
        let work = Work { memory_kib: sealed.memory_kib, passes: sealed.passes };
        let lock = passphrase::derive(passphrase, &salt, work).ok_or(KeyFileError::Work)?;
        let opened = lock.open(&purpose(&self.public), &decode(&sealed.text)?);
        opened.map_err(|_| KeyFileError::Passphrase(self.name.clone()))
    }

    fn to_text(&self) -> Zeroizing<String> {
        let mut text = serde_json::to_string_pretty(&self.wire).unwrap_or_default();
        text.push('\n');
        Zeroizing::new(text)
    }
}

/// The work that locking a new file takes.
pub const WORK: Work = Work { memory_kib: limits::KEY_FILE_MEMORY_KIB, passes: limits::KEY_FILE_PASSES };

/// Binds the sealed bytes to their public key.
fn purpose(public: &DelegateKey) -> String {
    format!("delegate-key-file:{public}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{crypto::KeyType, entropy::OsEntropy};

    const LITTLE: Work = Work { memory_kib: 8, passes: 1 };

    fn made(key_type: KeyType, passphrase: Option<&str>) -> (DelegateSigningKey, String) {
        let key = DelegateSigningKey::generate(key_type, &OsEntropy);
        let file = KeyFile::new(&key, passphrase, LITTLE, &OsEntropy).unwrap();
        (key, file.to_text().as_str().to_owned())
    }

    #[test]
    fn a_key_of_each_kind_comes_back_from_its_file() {
        for key_type in KeyType::ALL {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("key");
            let key = DelegateSigningKey::generate(key_type, &OsEntropy);
            KeyFile::new(&key, None, LITTLE, &OsEntropy).unwrap().write_new(&path).unwrap();
            let file = KeyFile::read(&path).unwrap();
            assert!(!file.is_locked());
            assert_eq!(*file.public(), key.public());
            assert_eq!(file.open(None).unwrap().to_bytes(), key.to_bytes());
        }
    }

    #[test]
    fn a_locked_file_opens_with_its_passphrase_alone() {
        let (key, text) = made(KeyType::Ed25519, Some("correct horse"));
        assert!(!text.contains(&HEX.encode(key.to_bytes().as_slice())));
        let file = KeyFile::parse("a", &text).unwrap();
        assert!(file.is_locked());
        assert!(matches!(file.open(None), Err(KeyFileError::Locked(_))));
        assert!(matches!(file.open(Some("battery staple")), Err(KeyFileError::Passphrase(_))));
        assert_eq!(file.open(Some("correct horse")).unwrap().to_bytes(), key.to_bytes());
    }

    #[test]
    fn a_private_key_under_another_public_key_is_noticed() {
        let (one, text) = made(KeyType::Ed25519, None);
        let (other, _) = made(KeyType::Ed25519, None);
        let swapped = text.replace(&one.public().to_string(), &other.public().to_string());
        assert!(matches!(KeyFile::parse("a", &swapped).unwrap().open(None), Err(KeyFileError::Pair(_))));
        let (one, text) = made(KeyType::Ed25519, Some("a"));
        let swapped = text.replace(&one.public().to_string(), &other.public().to_string());
        assert!(matches!(KeyFile::parse("a", &swapped).unwrap().open(Some("a")), Err(KeyFileError::Passphrase(_))));
    }

    #[test]
    fn other_files_and_too_much_work_are_refused() {
        let (_, text) = made(KeyType::P256, Some("a"));
        for wrong in ["", "{}", "[1]", &text.replace(KIND, "other"), &text.replace("\"version\": 1", "\"version\": 2")]
        {
            assert!(matches!(KeyFile::parse("a", wrong), Err(KeyFileError::Format(..))), "{wrong}");
        }
        let much = text.replace("\"memoryKib\": 8", "\"memoryKib\": 4000000000");
        assert!(matches!(KeyFile::parse("a", &much).unwrap().open(Some("a")), Err(KeyFileError::Work)));
    }
}
