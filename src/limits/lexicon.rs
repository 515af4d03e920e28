//! Bounds of schemas (Lexicons) and of validating with them.

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
