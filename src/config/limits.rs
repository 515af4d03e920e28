//! `[limits]`: how much anybody may ask for.

use super::{
    Warning,
    kinds::{Bytes, Flag},
    section::section,
};

section! {
    /// How much anybody may ask for.
    Limits = "limits" () {
        /// Whether requests are counted and refused when there are too many.
        enabled: bool as Flag = default("true");
        /// The largest blob, in bytes.
        blob_bytes: u64 as Bytes = default("104857600");
        /// The largest repository that may be imported, in bytes.
        import_bytes: u64 as Bytes = default("1073741824");
    }
}

impl Limits {
    pub(super) fn warn(&self, warnings: &mut Vec<Warning>) {
        if !self.enabled {
            warnings.push(Warning::new(
                "limits.enabled",
                "requests are not limited: passwords may be guessed at full speed",
            ));
        }
    }
}
