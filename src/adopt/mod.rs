//! Taking over the data directory of a reference PDS: accounts with their passwords and keys, repositories, blobs, the
//! event stream's numbers, settings.
//!
//! The original is only read. Everything is verified and written into a directory beside the target, which is renamed when
//! it is whole: a crash leaves nothing that a server would start on, and the same command begins anew. The layout that is
//! read is the reference's: <https://github.com/bluesky-social/atproto/tree/main/packages/pds>.

mod accounts;
mod actor;
mod foreign;
mod report;
mod run;
mod sequence;
mod settings;
mod source;
mod staging;
mod take;

pub use actor::ActorFault;
pub use foreign::Unreadable;
pub use report::{AccountReport, Report, SettingsReport};
pub use run::{AdoptError, BlobTransfer, Faulty, Options, Outcome, Progress, adopt};
pub use settings::SettingsFault;
pub use source::SourceError;
pub use staging::StagingError;
