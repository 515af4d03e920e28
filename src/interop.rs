//! Finds the protocol's public test vectors for unit tests.

use std::path::PathBuf;

/// The directory of the vectors, or `None` (with one printed line) where there is none.
pub(crate) fn dir() -> Option<PathBuf> {
    #[expect(clippy::disallowed_methods, reason = "tests find their vectors by this variable")]
    let named = std::env::var_os("HOUSEKEY_INTEROP").map(PathBuf::from);
    let dir = named.unwrap_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/interop")));
    if dir.is_dir() {
        return Some(dir);
    }
    #[expect(clippy::print_stdout, reason = "the absence of the vectors is one printed line")]
    {
        println!("interop vectors are not at {}: the project's own vectors cover this", dir.display());
    }
    None
}

/// One vector file as text.
pub(crate) fn text(path: &str) -> Option<String> {
    dir().map(|dir| std::fs::read_to_string(dir.join(path)).unwrap())
}

/// The lines of a vector file that are neither blank nor comments.
pub(crate) fn lines(path: &str) -> Vec<String> {
    text(path).map_or_else(Vec::new, |text| {
        text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned).collect()
    })
}

/// A vector file as JSON.
pub(crate) fn json(path: &str) -> Option<serde_json::Value> {
    text(path).map(|text| serde_json::from_str(&text).unwrap())
}
