//! `[lexicons]`: schemas of records.

use std::path::PathBuf;

use super::{
    kinds::{Directory, Flag},
    section::section,
};

section! {
    /// Schemas of records.
    Lexicons = "lexicons" () {
        /// Whether unknown schemas are looked up over the network.
        resolve: bool as Flag = default("true");
        /// Where more schemas are, in files.
        "directory" dir: Option<PathBuf> as Directory = optional;
    }
}
