//! Bounds of schemas (Lexicons) and of validating with them.

use std::time::Duration;

/// Bytes of one schema document as JSON text. The largest published one has 40 KiB with all its descriptions.
pub const DOCUMENT_MAX_BYTES: usize = 256 * 1024;

/// Types that may lie inside each other in one definition: a list in an object in a list and so on. Published schemas
/// nest four deep.
pub const TYPE_MAX_DEPTH: usize = 24;

/// Levels of a value that are followed along its schema. It is more than JSON and DAG-CBOR readers let through, so it
/// only ends what no reader bounded.
pub const VALUE_MAX_DEPTH: usize = 256;

/// Steps of one validation: a property, a list's item or an allowed value that is looked at. An honest record of 1 MB takes
/// fewer; a schema with thousands of properties for each of thousands of items, made to cost time, is cut off after
/// some 50 ms.
pub const VALIDATION_STEPS: usize = 1_000_000;

/// Bytes of the proof of a schema's record as another server gives it: the record and the nodes above it.
pub const PROOF_MAX_BYTES: usize = 1024 * 1024;

/// How long fetching a schema's record from another server may take in all.
pub const FETCH_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a write that demands validation waits for schemas that are not known yet, all of them together. Other writes
/// never wait: what they lack is looked for behind their back.
pub const WRITE_WAIT: Duration = Duration::from_secs(5);

/// Schemas that one record may make the server look for: it and those that it refers to in turn.
pub const LOOKUPS_PER_RECORD: usize = 16;

/// Age at which a schema from the network is looked up again; the old one serves until there is an answer.
pub const FRESH: Duration = Duration::from_hours(1);

/// How long it is believed that there is no schema of a name, or that it cannot be had: short, for people publish one
/// and try again.
pub const ABSENT: Duration = Duration::from_mins(2);

/// Schemas from the network, and names without one, that are remembered.
pub const REMEMBERED: usize = 2_000;

/// Bytes of the remembered schemas as records: compiled they take about ten times as much.
pub const REMEMBERED_BYTES: usize = 4 * 1024 * 1024;

/// Files of a directory of schemas for development that are read.
pub const DIRECTORY_FILES: usize = 2_000;

/// Levels of such a directory.
pub const DIRECTORY_DEPTH: usize = 16;

/// How often such a directory is looked at, at most.
pub const DIRECTORY_CHECK: Duration = Duration::from_secs(1);
