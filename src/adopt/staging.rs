//! The directory in which everything is made before it is renamed to its final name.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use crate::crypto::Secret;

/// Held while the directory is used.
const LOCK: &str = "adopting";
/// Where copies of the reference's databases are made.
const ASIDE: &str = "aside";
/// Where the secrets of the configuration are.
pub(super) const SECRETS: &str = "secrets";
/// The configuration.
pub(super) const CONFIG: &str = "housekey.toml";

/// A directory that is removed when this is dropped before it is finished.
pub(super) struct Staging {
    pub(super) path: PathBuf,
    finished: bool,
    _lock: File,
}

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub enum StagingError {
    /// The target is there.
    #[error("{} is there already: name another directory with --to", .0.display())]
    TargetExists(PathBuf),
    /// Another process uses it.
    #[error("another take-over into {} is under way", .0.display())]
    Busy(PathBuf),
    /// The file system.
    #[error("{path} cannot be written: {cause}", path = .path.display())]
    File {
        /// Where.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
}

impl Staging {
    /// An empty directory beside `target`; what an interrupted run left there goes.
    pub(super) fn beside(target: &Path) -> Result<Self, StagingError> {
        if fs::read_dir(target).map_or_else(|_| target.exists(), |mut entries| entries.next().is_some()) {
            return Err(StagingError::TargetExists(target.to_owned()));
        }
        let mut name = std::ffi::OsString::from(".");
        name.push(target.file_name().unwrap_or_default());
        name.push(".adopting");
        let path = target.with_file_name(name);
        let failed = |cause| StagingError::File { path: path.clone(), cause };
        private_dir(&path).map_err(failed)?;
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(path.join(LOCK)).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StagingError::Busy(target.to_owned())),
            Err(TryLockError::Error(cause)) => return Err(failed(cause)),
        }
        for leftover in fs::read_dir(&path).map_err(failed)? {
            let leftover = leftover.map_err(failed)?;
            if leftover.file_name() == LOCK {
                continue;
            }
            let is_dir = leftover.file_type().map_err(failed)?.is_dir();
            let path = leftover.path();
            if is_dir { fs::remove_dir_all(path) } else { fs::remove_file(path) }.map_err(failed)?;
        }
        private_dir(&path.join(ASIDE)).map_err(failed)?;
        private_dir(&path.join(SECRETS)).map_err(failed)?;
        Ok(Self { path, finished: false, _lock: lock })
    }

    /// Where copies of the reference's databases are made.
    pub(super) fn aside(&self) -> PathBuf {
        self.path.join(ASIDE)
    }

    /// Writes a file that only its owner can read, over one that is there.
    pub(super) fn write(&self, name: &Path, content: &str) -> Result<(), StagingError> {
        let path = self.path.join(name);
        let write = || -> io::Result<()> {
            let mut file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&path)?;
            file.write_all(content.as_bytes())?;
            file.sync_all()
        };
        write().map_err(|cause| StagingError::File { path: path.clone(), cause })
    }

    /// Writes the secrets, each in a file of its own.
    pub(super) fn write_secrets(&self, secrets: &[(&'static str, Secret)]) -> Result<(), StagingError> {
        for (name, secret) in secrets {
            self.write(&Path::new(SECRETS).join(name), &format!("{}\n", secret.expose()))?;
        }
        Ok(())
    }

    /// Gives the directory its final name: from here on it is a server's.
    pub(super) fn finish(mut self, target: &Path) -> Result<(), StagingError> {
        let failed = |cause| StagingError::File { path: target.to_owned(), cause };
        fs::remove_dir_all(self.aside()).map_err(failed)?;
        fs::remove_file(self.path.join(LOCK)).map_err(failed)?;
        for dir in [self.path.join(SECRETS), self.path.clone()] {
            File::open(dir).and_then(|dir| dir.sync_all()).map_err(failed)?;
        }
        fs::rename(&self.path, target).map_err(failed)?;
        self.finished = true;
        let parent = target.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
        File::open(parent).and_then(|dir| dir.sync_all()).map_err(failed)
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if !self.finished {
            // What cannot be removed now goes when the command is run again.
            drop(fs::remove_dir_all(&self.path));
        }
    }
}

fn private_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn what_is_not_finished_leaves_nothing_and_what_is_has_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("house");
        let given_up = Staging::beside(&target).unwrap();
        given_up.write(Path::new("x"), "x").unwrap();
        drop(given_up);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);

        let staging = Staging::beside(&target).unwrap();
        assert!(matches!(Staging::beside(&target), Err(StagingError::Busy(_))));
        staging.write_secrets(&[("jwt_secret", Secret::new("s"))]).unwrap();
        staging.finish(&target).unwrap();
        let file = target.join(SECRETS).join("jwt_secret");
        assert_eq!(fs::read_to_string(&file).unwrap(), "s\n");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(&target).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(fs::read_dir(&target).unwrap().count(), 1, "nothing but what was made");
        assert!(matches!(Staging::beside(&target), Err(StagingError::TargetExists(_))));
    }

    #[test]
    fn what_an_interrupted_run_left_is_cleared_away() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("house");
        let left = dir.path().join(".house.adopting");
        fs::create_dir_all(left.join("blobs/aa")).unwrap();
        fs::write(left.join("housekey.sqlite"), "half").unwrap();
        let staging = Staging::beside(&target).unwrap();
        assert!(!left.join("housekey.sqlite").exists() && !left.join("blobs").exists());
        drop(staging);
    }
}
