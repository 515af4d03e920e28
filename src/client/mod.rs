//! A client of any server: what the command line does without its words. Reads delegations from public material and
//! judges them, makes the owner's changes, keeps keys and what was remembered in files, follows the PLC directory, writes
//! and reads archives of accounts, moves accounts.

pub mod archive;
mod call_error;
pub mod files;
pub mod key_file;
pub mod mover;
pub mod outcome;
pub mod owner;
pub mod pds;
pub mod pins;
mod records;
pub mod session;
pub mod sign_in;
pub mod sources;
mod test_names;
pub mod watcher;
pub mod words;
