//! Bounds of the listener.

use std::time::Duration;

/// JSON body of an ordinary procedure, in bytes: the reference's 150 KiB.
pub const JSON_BODY_BYTES: usize = 150 * 1024;

/// JSON body of `createRecord`, `putRecord` and `applyWrites`, in bytes: the reference's bound.
pub const WRITE_BODY_BYTES: usize = 1_000_000;

/// Body of a request outside `/xrpc/`, in bytes: a form, or a PLC operation (4,000 bytes of CBOR) with room to spare.
pub const WEB_BODY_BYTES: usize = 64 * 1024;

/// What a 503 asks the caller to wait, in seconds: a full writer queue drains in far less.
pub const RETRY_AFTER_SECONDS: u16 = 2;

/// Longest message of an error answer, in characters: a sentence and some identifiers; it may quote what was sent, which
/// may be as large as a body.
pub const ERROR_MESSAGE_CHARS: usize = 2_000;

/// How many different parameters or properties are tried one by one to name the wrong one: no method has half as many.
pub const EXPLAINED_PARAMETERS: usize = 32;

/// Head of a request (line and headers), in bytes: tokens of 8 KiB and long query strings fit.
pub const HEAD_BYTES: usize = 64 * 1024;

/// Read and write buffer of a connection, in bytes, to which it grows only for large bodies: a blob of 1 MB comes in few
/// pieces.
pub const BUFFER_BYTES: usize = 256 * 1024;

/// Connections that may be open at once; more wait in the kernel's queue. Each costs about 19 KiB when idle.
pub const CONNECTIONS: usize = 16_384;

/// Pause after the system refuses to accept (no file descriptors left), so that the loop does not spin.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// From the connection to the first byte of the first request: a browser's spare connection waits, but not for long.
pub const FIRST_BYTE: Duration = Duration::from_secs(30);

/// From the first byte of a head to its last: one slow mobile round trip after another still fits.
pub const HEAD: Duration = Duration::from_secs(20);

/// Between two requests on one connection: the reference's keep-alive, longer than common proxies' own.
pub const KEEP_ALIVE: Duration = Duration::from_secs(90);

/// Longest silence inside a request body before 408.
pub const BODY_IDLE: Duration = Duration::from_secs(30);

/// A body may be as slow as it likes for so long…
pub const BODY_GRACE: Duration = Duration::from_mins(1);

/// …and must then have come at this many bytes a second on average: below a modem's speed it is an attack.
pub const BODY_BYTES_PER_SECOND: u64 = 512;

/// How long a peer may take nothing of what is written to it before the connection is cut (answers and sockets of subscriptions).
pub const WRITE_STALL: Duration = Duration::from_secs(30);

/// What is thrown away of a refused body, in bytes, so that the client reads the refusal instead of a reset…
pub const LINGER_BYTES: usize = 4 * 1024 * 1024;

/// …and how long.
pub const LINGER: Duration = Duration::from_secs(2);

/// How long open requests may go on once the server stops.
pub const DRAIN: Duration = Duration::from_secs(10);

/// JSON smaller than this is not compressed, in bytes: it fits into one packet anyway.
pub const COMPRESS_FROM_BYTES: usize = 1024;

/// Addresses of `X-Forwarded-For` that are looked at, from the right: more proxies than this nobody has.
pub const FORWARDED_HOPS: usize = 16;

/// Host names whose owner (an account or nobody) is remembered.
pub const HOST_CACHE_ENTRIES: u64 = 4_096;

/// How long that is remembered: a new account's handle stops serving the whole server within this.
pub const HOST_CACHE: Duration = Duration::from_secs(5);

/// Interval of socket pings: below the common proxies' idle time-out of 60 s.
pub const SOCKET_PING: Duration = Duration::from_secs(30);

/// Message of a socket client, in bytes: they are read and ignored.
pub const SOCKET_CLIENT_MESSAGE_BYTES: usize = 16 * 1024;

/// Messages that a socket client may send between two pings: far more than pongs, and no flood.
pub const SOCKET_CLIENT_MESSAGES: u32 = 256;

/// Read buffer of a socket, in bytes: clients send pongs only.
pub const SOCKET_READ_BUFFER_BYTES: usize = 4 * 1024;

/// Outgoing bytes that are gathered before a write to the socket.
pub const SOCKET_WRITE_BUFFER_BYTES: usize = 64 * 1024;

/// Largest outgoing buffer of a socket, in bytes: one frame of 5 MB (the spec's bound) and one buffer.
pub const SOCKET_MAX_WRITE_BUFFER_BYTES: usize = 6 * 1024 * 1024;

/// How long a closing handshake may take.
pub const SOCKET_CLOSE: Duration = Duration::from_secs(5);

/// Bytes of an `X-Request-Id` that is taken from a trusted proxy: the common forms have 16 to 36.
pub const REQUEST_ID_MAX_BYTES: usize = 64;

/// Connections that one address (one network, for IPv6) may have open at once, proxies that are trusted excepted: browsers
/// open six, a relay one; a household or a school shares the rest.
pub const CONNECTIONS_PER_ADDRESS: u32 = 512;
