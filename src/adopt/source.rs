//! Where the reference keeps what it keeps.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{
    foreign::{Looks, is_open_elsewhere},
    settings::{Environment, SettingsFault},
};
use crate::limits::adopt::ENVIRONMENT_MAX_BYTES;

/// Why a directory is not one that can be taken over.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// There is no such database.
    #[error("{} is not the data directory of a reference PDS: it has no account.sqlite", .0.display())]
    NotAPds(PathBuf),
    /// A database that is named elsewhere is not there.
    #[error("{} is not there", .0.display())]
    Missing(PathBuf),
    /// The settings are not there.
    #[error("the settings are needed: {path} cannot be read ({cause}); name the file with --env", path = .path.display())]
    Environment {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// The settings are not usable.
    #[error("{path}: {fault}", path = .path.display())]
    Settings {
        /// The file.
        path: PathBuf,
        /// Why.
        fault: SettingsFault,
    },
    /// Blobs are kept by another service.
    #[error(
        "the blobs are kept in S3 (PDS_BLOBSTORE_S3_BUCKET): copy its directory blocks/ to this machine and name it with \
         --blobs"
    )]
    S3,
    /// It runs.
    #[error("the reference PDS is still running on {}: stop it first", .0.display())]
    Running(PathBuf),
}

/// The reference's files.
pub(super) struct Source {
    pub(super) dir: PathBuf,
    pub(super) account: PathBuf,
    pub(super) sequencer: PathBuf,
    pub(super) actors: PathBuf,
    pub(super) blobs: PathBuf,
    pub(super) env_file: PathBuf,
    pub(super) environment: Environment,
}

impl Source {
    /// Finds them, by the settings; `blobs` overrides where blobs are.
    pub(super) fn find(dir: &Path, env_file: Option<&Path>, blobs: Option<&Path>) -> Result<Self, SourceError> {
        let env_file = env_file.map_or_else(|| dir.join("pds.env"), Path::to_owned);
        let unreadable = |cause| SourceError::Environment { path: env_file.clone(), cause };
        if fs::metadata(&env_file).map_err(unreadable)?.len() > ENVIRONMENT_MAX_BYTES {
            return Err(unreadable(io::Error::other("it is too long for a file of settings")));
        }
        let text = fs::read_to_string(&env_file).map_err(unreadable)?;
        let faulty = |fault| SourceError::Settings { path: env_file.clone(), fault };
        let environment = Environment::parse(&text).map_err(faulty)?;
        let place = |name: &str, default: &str| match environment.get(name) {
            Some(path) => moved(dir, environment.get("PDS_DATA_DIRECTORY"), path),
            None => dir.join(default),
        };
        let blobs = match (blobs, environment.get("PDS_BLOBSTORE_S3_BUCKET")) {
            (Some(named), _) => named.to_owned(),
            (None, Some(_)) => return Err(SourceError::S3),
            (None, None) => place("PDS_BLOBSTORE_DISK_LOCATION", "blocks"),
        };
        let found = Self {
            account: place("PDS_ACCOUNT_DB_LOCATION", "account.sqlite"),
            sequencer: place("PDS_SEQUENCER_DB_LOCATION", "sequencer.sqlite"),
            actors: place("PDS_ACTOR_STORE_DIRECTORY", "actors"),
            dir: dir.to_owned(),
            blobs,
            env_file,
            environment,
        };
        if !found.account.is_file() {
            return Err(SourceError::NotAPds(dir.to_owned()));
        }
        if !found.sequencer.is_file() {
            return Err(SourceError::Missing(found.sequencer));
        }
        Ok(found)
    }

    /// # Errors
    /// [`SourceError::Running`] when a process has a database open.
    pub(super) fn check_stopped(&self) -> Result<(), SourceError> {
        match [&self.account, &self.sequencer].into_iter().find(|path| is_open_elsewhere(path)) {
            Some(open) => Err(SourceError::Running(open.clone())),
            None => Ok(()),
        }
    }

    /// How the databases look that every change of the server changes.
    pub(super) fn looks(&self) -> Looks {
        Looks::of(&[self.account.clone(), self.sequencer.clone()])
    }
}

/// A path of the settings as it is here: what lay below the data directory, which may have been another path in a
/// container, lies below `dir`.
fn moved(dir: &Path, data_directory: Option<&str>, path: &str) -> PathBuf {
    let below = data_directory.and_then(|data| Path::new(path).strip_prefix(data).ok());
    // A relative path was relative to where the server was started: the directory is the best guess.
    dir.join(below.unwrap_or_else(|| Path::new(path)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_a_container_are_found_where_the_directory_is_now() {
        let dir = Path::new("/srv/old");
        assert_eq!(moved(dir, Some("/pds"), "/pds/blocks"), Path::new("/srv/old/blocks"));
        assert_eq!(moved(dir, Some("/pds"), "/mnt/blobs"), Path::new("/mnt/blobs"));
        assert_eq!(moved(dir, None, "blocks"), Path::new("/srv/old/blocks"));
    }

    #[test]
    fn what_is_no_data_directory_is_refused_by_what_it_lacks() {
        let dir = tempfile::tempdir().unwrap();
        let find = |blobs| Source::find(dir.path(), None, blobs).err().unwrap().to_string();
        assert!(find(None).contains("--env"), "{}", find(None));
        fs::write(dir.path().join("pds.env"), "PDS_HOSTNAME=x\n").unwrap();
        assert!(find(None).contains("account.sqlite"), "{}", find(None));
        fs::write(dir.path().join("account.sqlite"), "").unwrap();
        assert!(find(None).contains("sequencer.sqlite is not there"), "{}", find(None));
        fs::write(dir.path().join("pds.env"), "PDS_BLOBSTORE_S3_BUCKET=x\n").unwrap();
        assert!(find(None).contains("--blobs"), "{}", find(None));
        assert!(!find(Some(dir.path())).contains("--blobs"));
        fs::write(dir.path().join("pds.env"), "nonsense").unwrap();
        assert!(find(None).contains("line 1"), "{}", find(None));
    }
}
