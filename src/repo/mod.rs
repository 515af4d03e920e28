//! Repositories: the MST, commits, planned writes and proofs. Pure: blocks come from a [`BlockSource`].
//! Spec: <https://atproto.com/specs/repository>.
mod commit;
#[doc(hidden)]
pub mod fuzzing;
pub mod mst;
mod path;
mod plan;
pub mod proof;
mod source;
#[cfg(test)]
mod tests;

pub use commit::{Commit, CommitError, UnsignedCommit};
pub use path::RecordPath;
pub use plan::{Action, Head, PlanError, PlannedOp, WriteOp, WritePlan, genesis, plan};
pub use proof::RecordProof;
pub use source::{BlockSource, MemoryBlocks, SourceError};
