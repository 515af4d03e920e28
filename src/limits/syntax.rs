//! Bounds of the protocol's identifiers: all of them the specification's own, in bytes.

/// A DID. Spec: <https://atproto.com/specs/did>.
pub const DID_MAX_BYTES: usize = 2_048;

/// A handle, as any domain name (RFC 1035). Spec: <https://atproto.com/specs/handle>.
pub const HANDLE_MAX_BYTES: usize = 253;

/// One label of a domain name, and the name part of an NSID (RFC 1035).
pub const LABEL_MAX_BYTES: usize = 63;

/// An NSID: a domain name, a dot, a name. Spec: <https://atproto.com/specs/nsid>.
pub const NSID_MAX_BYTES: usize = HANDLE_MAX_BYTES + 1 + LABEL_MAX_BYTES;

/// A record key. Spec: <https://atproto.com/specs/record-key>.
pub const RECORD_KEY_MAX_BYTES: usize = 512;

/// A URI or AT-URI. Spec: <https://atproto.com/specs/lexicon#uri>.
pub const URI_MAX_BYTES: usize = 8_192;

/// A URI's scheme. No registered scheme is half as long.
pub const URI_SCHEME_MAX_BYTES: usize = 80;

/// A datetime: date and time, 20 digits of fraction and an offset are 46; the reference stops at 64.
pub const DATETIME_MAX_BYTES: usize = 64;

/// A language tag. RFC 5646 section 4.4.1 asks for room for 35; this is generous.
pub const LANGUAGE_MAX_BYTES: usize = 128;

/// A CID's text in any base and with any hash: the shortest and the longest that are plausible.
pub const CID_TEXT_BYTES: std::ops::RangeInclusive<usize> = 8..=256;
