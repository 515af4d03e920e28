//! Bounds of the configuration and of the files that it names.

/// Bytes of the configuration file. The example with all its comments has about 10 KB.
pub const FILE_MAX_BYTES: u64 = 1_048_576;

/// Bytes of a file that holds one secret.
pub const SECRET_FILE_MAX_BYTES: u64 = 65_536;

/// Bytes of the bundle of further certificate authorities. A whole operating system's bundle has about 250 KB.
pub const CA_FILE_MAX_BYTES: u64 = 16_777_216;

/// Characters of a refused value that an error repeats.
pub const SHOWN_VALUE_CHARS: usize = 100;

/// The longest time in hours: a hundred years, so that no arithmetic on instants overflows.
pub const MAX_HOURS: u64 = 876_000;

/// The longest time in seconds: the same hundred years.
pub const MAX_SECONDS: u64 = MAX_HOURS * 3_600;

/// The largest size in bytes: a tebibyte. Whoever writes more has mistaken the unit.
pub const MAX_BYTES: u64 = 1 << 40;

/// Bytes of a `jwt_secret` below which there is a warning: a key of HS256 has 256 bits (RFC 7518, section 3.2).
pub const JWT_SECRET_SHORT_BYTES: usize = 32;

/// Bytes of a `bypass_key` below which there is a warning: 16 random characters cannot be guessed.
pub const BYPASS_KEY_SHORT_BYTES: usize = 16;

/// The largest number of things that a setting counts.
pub const MAX_COUNT: u32 = 1_000_000_000;
