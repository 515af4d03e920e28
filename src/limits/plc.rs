//! Bounds of did:plc operations: what the public directory enforces, so that nothing is signed that it would refuse.
//!
//! Spec: <https://web.plc.directory/spec/v0.1/did-plc>; the numbers are those of its server, which are the tighter ones.

use std::time::Duration;

/// Bytes of a signed operation in DAG-CBOR.
pub const OPERATION_MAX_BYTES: usize = 4000;

/// Entries of `alsoKnownAs`.
pub const ALSO_KNOWN_AS_MAX_ENTRIES: usize = 10;

/// Characters (UTF-16 units, as the directory counts) of one `alsoKnownAs`: `at://` and the longest handle.
pub const ALSO_KNOWN_AS_MAX_CHARS: usize = 258;

/// Entries of `rotationKeys`.
pub const ROTATION_KEYS_MAX_ENTRIES: usize = 10;

/// Entries of `verificationMethods`.
pub const VERIFICATION_METHODS_MAX_ENTRIES: usize = 10;

/// Entries of `services`.
pub const SERVICES_MAX_ENTRIES: usize = 10;

/// Characters (UTF-16 units) of the name of a service or verification method.
pub const ID_MAX_CHARS: usize = 32;

/// Characters (UTF-16 units) of a service's type.
pub const SERVICE_TYPE_MAX_CHARS: usize = 256;

/// Characters (UTF-16 units) of a service's endpoint.
pub const SERVICE_ENDPOINT_MAX_CHARS: usize = 512;

/// Characters of a did:key of any kind; BLS12-381, the longest in use, has 143. Also bounds base58, whose decoding
/// takes quadratic time.
pub const DID_KEY_MAX_CHARS: usize = 256;

/// Characters of `sig`: 64 bytes in base64url are 86; a DER signature, refused later with a better sentence, fits.
pub const SIGNATURE_MAX_CHARS: usize = 128;

/// How long a stronger rotation key may rewrite what a weaker one signed; the last instant counts.
pub const RECOVERY_WINDOW: Duration = Duration::from_hours(72);

/// Operations of one DID that stand within the last hour.
pub const OPERATIONS_PER_HOUR: usize = 10;

/// Operations of one DID that stand within the last day.
pub const OPERATIONS_PER_DAY: usize = 30;

/// Operations of one DID that stand within the last week.
pub const OPERATIONS_PER_WEEK: usize = 100;

/// Entries of one audit log that is read: at 100 a week this is a hundred weeks of the most that is allowed.
pub const AUDIT_LOG_MAX_ENTRIES: usize = 10_000;

/// How often an operation is tried again at the directory because another one of the same DID came in between. Each
/// time one of them got in, so this many at once are all served.
pub const DIRECTORY_APPEND_TRIES: usize = 32;

/// Lines of one export, as on the public directory.
pub const EXPORT_MAX_ENTRIES: usize = 1000;

/// Operations that are read at once for an export stream: enough to be fast, few enough to be small.
pub const EXPORT_STREAM_PAGE: usize = 100;
