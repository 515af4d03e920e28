//! Schemas in files, for development: read at the start, and again when one of them changed.

use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use crate::{
    clock::Timestamp,
    lexicon::Document,
    limits::lexicon::{DIRECTORY_CHECK, DIRECTORY_DEPTH, DIRECTORY_FILES, DOCUMENT_MAX_BYTES},
};

/// Why the directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// It cannot be read.
    #[error("the directory of lexicons {path} cannot be read: {cause}")]
    Unreadable {
        /// The path.
        path: String,
        /// Why.
        cause: io::Error,
    },
    /// It holds too much to be one.
    #[error("the directory of lexicons {0} has more than {DIRECTORY_FILES} files or {DIRECTORY_DEPTH} levels")]
    TooMuch(String),
}

type Documents = Arc<HashMap<String, Arc<Document>>>;

/// A directory of `*.json` files, at any depth.
pub(super) struct Directory {
    path: PathBuf,
    state: Mutex<State>,
}

struct State {
    checked: Option<Timestamp>,
    seen: Vec<Seen>,
    documents: Documents,
}

/// By what a change of a file is noticed.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Seen {
    path: PathBuf,
    modified: Option<SystemTime>,
    length: u64,
}

impl Directory {
    pub(super) fn open(path: PathBuf) -> Result<Self, DirectoryError> {
        let seen = look(&path)?;
        let documents = read(&seen);
        Ok(Self { path, state: Mutex::new(State { checked: None, seen, documents }) })
    }

    /// What is in the files; they are looked at once a second at most. A file that is no schema is left out with a warning.
    pub(super) fn documents(&self, now: Timestamp) -> Documents {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.checked.is_some_and(|at| now.since(at) < DIRECTORY_CHECK) {
            return Arc::clone(&state.documents);
        }
        state.checked = Some(now);
        match look(&self.path) {
            Ok(seen) if seen == state.seen => {}
            Ok(seen) => {
                state.documents = read(&seen);
                state.seen = seen;
            }
            // While somebody moves files about, what was read last is good enough.
            Err(cause) => tracing::warn!(%cause, "lexicons are not reloaded"),
        }
        Arc::clone(&state.documents)
    }
}

fn look(root: &Path) -> Result<Vec<Seen>, DirectoryError> {
    let unreadable = |path: &Path| {
        let path = path.display().to_string();
        move |cause| DirectoryError::Unreadable { path, cause }
    };
    let mut seen = Vec::new();
    let mut open = vec![(root.to_owned(), 0)];
    while let Some((dir, depth)) = open.pop() {
        for entry in fs::read_dir(&dir).map_err(unreadable(&dir))? {
            let path = entry.map_err(unreadable(&dir))?.path();
            // Links are followed; a circle of them ends at the depth.
            let Ok(about) = fs::metadata(&path) else { continue };
            if about.is_dir() {
                open.push((path, depth + 1));
            } else if path.extension().is_some_and(|extension| extension == "json") {
                seen.push(Seen { path, modified: about.modified().ok(), length: about.len() });
            }
        }
        if seen.len() > DIRECTORY_FILES || open.len() > DIRECTORY_FILES || depth > DIRECTORY_DEPTH {
            return Err(DirectoryError::TooMuch(root.display().to_string()));
        }
    }
    seen.sort();
    Ok(seen)
}

fn read(seen: &[Seen]) -> Documents {
    let mut documents = HashMap::new();
    for Seen { path, length, .. } in seen {
        match document(path, *length) {
            Ok(document) => {
                let id = document.id.to_string();
                if documents.insert(id.clone(), Arc::new(document)).is_some() {
                    tracing::warn!(file = %path.display(), "the schema {id} is there twice");
                }
            }
            Err(why) => tracing::warn!(file = %path.display(), "this file is left out: {why}"),
        }
    }
    tracing::info!(count = documents.len(), "lexicons were read");
    Arc::new(documents)
}

fn document(path: &Path, length: u64) -> Result<Document, String> {
    if length > DOCUMENT_MAX_BYTES as u64 {
        return Err(format!("it has more than {DOCUMENT_MAX_BYTES} bytes"));
    }
    let text = fs::read(path).map_err(|cause| cause.to_string())?;
    Document::from_json(&text).map_err(|cause| cause.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const AT: Timestamp = Timestamp::from_secs(1_000_000);

    fn schema(id: &str) -> String {
        format!(r#"{{"lexicon":1,"id":"{id}","defs":{{}}}}"#)
    }

    fn names(documents: &Documents) -> Vec<&str> {
        let mut names: Vec<&str> = documents.keys().map(String::as_str).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn files_at_any_depth_are_read_and_broken_ones_left_out() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("com/example")).unwrap();
        fs::write(dir.path().join("com/example/a.json"), schema("com.example.a")).unwrap();
        fs::write(dir.path().join("b.json"), schema("com.example.b")).unwrap();
        fs::write(dir.path().join("broken.json"), "{").unwrap();
        fs::write(dir.path().join("large.json"), vec![b' '; DOCUMENT_MAX_BYTES + 1]).unwrap();
        fs::write(dir.path().join("notes.txt"), schema("com.example.c")).unwrap();
        let directory = Directory::open(dir.path().to_owned()).unwrap();
        assert_eq!(names(&directory.documents(AT)), ["com.example.a", "com.example.b"]);
    }

    #[test]
    fn a_change_is_seen_when_a_second_has_passed() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a.json"), schema("com.example.a")).unwrap();
        let directory = Directory::open(dir.path().to_owned()).unwrap();
        assert_eq!(names(&directory.documents(AT)), ["com.example.a"]);
        fs::write(dir.path().join("b.json"), schema("com.example.b")).unwrap();
        fs::remove_file(dir.path().join("a.json")).unwrap();
        assert_eq!(names(&directory.documents(AT.plus(Duration::from_millis(999)))), ["com.example.a"]);
        assert_eq!(names(&directory.documents(AT.plus(Duration::from_secs(1)))), ["com.example.b"]);
    }

    #[test]
    fn a_directory_that_goes_away_leaves_what_was_read_and_none_at_the_start_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let inner = dir.path().join("lexicons");
        assert!(Directory::open(inner.clone()).is_err_and(|cause| cause.to_string().contains("cannot be read")));
        fs::create_dir(&inner).unwrap();
        fs::write(inner.join("a.json"), schema("com.example.a")).unwrap();
        let directory = Directory::open(inner.clone()).unwrap();
        fs::remove_dir_all(&inner).unwrap();
        assert_eq!(names(&directory.documents(AT)), ["com.example.a"]);
    }

    #[cfg(unix)]
    #[test]
    fn a_circle_of_links_ends() {
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(dir.path(), dir.path().join("again")).unwrap();
        assert!(matches!(Directory::open(dir.path().to_owned()), Err(DirectoryError::TooMuch(_))));
    }
}
