//! Files that a client keeps: read with a bound, made for their owner alone, replaced whole.

use std::{
    fs,
    io::{self, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use crate::limits::client::FILE_MAX_BYTES;

/// A file that cannot be read or written, in words.
#[derive(Debug, thiserror::Error)]
#[error("{} cannot be {verb}: {cause}", path.display())]
pub struct FileError {
    path: PathBuf,
    verb: &'static str,
    /// The system's words.
    #[source]
    pub cause: io::Error,
}

impl FileError {
    /// Whether there is no such file.
    pub fn is_missing(&self) -> bool {
        self.cause.kind() == io::ErrorKind::NotFound
    }
}

/// A text file of at most [`FILE_MAX_BYTES`].
///
/// # Errors
/// [`FileError`], also when it is longer or not UTF-8.
pub fn read_text(path: &Path) -> Result<String, FileError> {
    let read = || {
        let mut text = String::new();
        fs::File::open(path)?.take(FILE_MAX_BYTES + 1).read_to_string(&mut text)?;
        let fits = u64::try_from(text.len()).is_ok_and(|length| length <= FILE_MAX_BYTES);
        if fits { Ok(text) } else { Err(io::Error::other(format!("it is longer than {FILE_MAX_BYTES} bytes"))) }
    };
    read().map_err(|cause| FileError { path: path.to_owned(), verb: "read", cause })
}

/// Makes a file that must not exist, readable by its owner alone, and durable with its directory entry.
///
/// # Errors
/// [`FileError`], above all where there is a file already.
pub fn write_new(path: &Path, text: &str) -> Result<(), FileError> {
    let write = || {
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        sync_directory(path)
    };
    write().map_err(|cause| FileError { path: path.to_owned(), verb: "made", cause })
}

/// Replaces a file, or makes it: whoever reads it sees the old text or the new one, whatever happens in between.
///
/// # Errors
/// [`FileError`].
pub fn replace(path: &Path, text: &str) -> Result<(), FileError> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let beside = path.with_file_name(name);
    let write = || {
        // What an earlier process of that number left, or somebody else put there, is neither followed nor kept.
        drop(fs::remove_file(&beside));
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&beside, path)?;
        sync_directory(path)
    };
    write().map_err(|cause| {
        drop(fs::remove_file(&beside));
        FileError { path: path.to_owned(), verb: "written", cause }
    })
}

fn sync_directory(path: &Path) -> io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    fs::File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_new_file_is_its_owners_alone_and_never_overwrites() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        write_new(&path, "one").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(write_new(&path, "two").unwrap_err().to_string().contains("exists"));
        assert_eq!(read_text(&path).unwrap(), "one");
    }

    #[test]
    fn replacing_leaves_nothing_else_behind() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        replace(&path, "one").unwrap();
        replace(&path, "two").unwrap();
        assert_eq!(read_text(&path).unwrap(), "two");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_missing_file_is_told_from_others() {
        let dir = tempfile::tempdir().unwrap();
        assert!(read_text(&dir.path().join("none")).unwrap_err().is_missing());
        assert!(!read_text(dir.path()).unwrap_err().is_missing());
    }
}
