//! `[blobs]`: where uploaded files are.

use std::path::PathBuf;

use super::{Server, kinds::Directory, section::section};

section! {
    /// Where uploaded files are.
    Blobs = "blobs" (server: &Server) {
        /// Their directory.
        dir: PathBuf as Directory = default(server.data_dir.join("blobs").to_string_lossy());
    }
}
