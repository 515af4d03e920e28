//! The directory of a `dev` server: temporary and gone afterwards, or the one that `--state` names.

use crate::entropy::{Entropy, OsEntropy, random_bytes};
use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
};

/// What the names of temporary directories begin with.
const PREFIX: &str = "housekey-dev-";
/// Held by the process that uses a temporary directory, so that another can tell it from one left behind.
const IN_USE: &str = "in-use";

/// A directory for the data of one run.
#[derive(Debug)]
pub(super) enum DevDirectory {
    /// Removed when this is dropped; the lock tells others that it is in use.
    Temporary { path: PathBuf, _lock: File },
    /// Kept.
    Kept(PathBuf),
}

impl DevDirectory {
    /// A directory of its own below the system's temporary directory. What killed processes left there goes.
    pub(super) fn temporary() -> io::Result<Self> {
        let parent = std::env::temp_dir();
        sweep(&parent);
        let name = data_encoding::HEXLOWER.encode(&random_bytes::<8>(&OsEntropy as &dyn Entropy));
        let path = parent.join(format!("{PREFIX}{name}"));
        fs::create_dir(&path)?;
        let lock = File::create(path.join(IN_USE))?;
        lock.try_lock().map_err(io::Error::from)?;
        Ok(Self::Temporary { path, _lock: lock })
    }

    pub(super) fn path(&self) -> &Path {
        match self {
            Self::Temporary { path, .. } | Self::Kept(path) => path,
        }
    }
}

impl Drop for DevDirectory {
    fn drop(&mut self) {
        if let Self::Temporary { path, .. } = self {
            // What cannot be removed now goes at the next start.
            drop(fs::remove_dir_all(path));
        }
    }
}

/// Removes directories whose process was killed. Another's failure to be removed is not our failure.
fn sweep(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    for entry in entries.flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with(PREFIX)) {
        let path = entry.path();
        // A directory without the lock file is just being made by another process.
        let Ok(lock) = File::open(path.join(IN_USE)) else { continue };
        match lock.try_lock() {
            Ok(()) => drop(fs::remove_dir_all(&path)),
            Err(TryLockError::WouldBlock | TryLockError::Error(_)) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_temporary_directory_goes_and_one_in_use_is_left_alone() {
        let first = DevDirectory::temporary().unwrap();
        let second = DevDirectory::temporary().unwrap();
        let path = first.path().to_owned();
        assert!(path.is_dir(), "the second start did not sweep the first's");
        assert_ne!(path, second.path());
        drop(first);
        assert!(!path.exists());
        assert!(second.path().is_dir());
    }

    #[test]
    fn what_a_killed_process_left_is_swept() {
        let parent = tempfile::tempdir().unwrap();
        let left = parent.path().join("housekey-dev-left");
        fs::create_dir(&left).unwrap();
        fs::write(left.join(IN_USE), "").unwrap();
        let strange = parent.path().join("somebody-elses");
        fs::create_dir(&strange).unwrap();
        sweep(parent.path());
        assert!(!left.exists());
        assert!(strange.exists());
    }
}
