//! Bounds of what is counted.

/// Upper ends of the buckets for durations, in seconds: from a cached read to an export.
pub const SECONDS_BUCKETS: [f64; 11] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5, 10.0];

/// Upper ends of the buckets for writes that share a transaction, up to the most that do.
pub const GROUP_BUCKETS: [f64; 7] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0];

/// Bytes of `/proc/self/status` that are read: it has about 1,500.
pub const PROCESS_STATUS_BYTES: u64 = 16_384;
