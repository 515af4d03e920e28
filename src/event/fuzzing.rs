//! What the fuzz target calls: the decoder must not panic, and must accept only what it would write itself.

use super::Frame;

/// One frame's bytes.
///
/// # Panics
/// When a frame that decodes does not encode to the same bytes.
pub fn frame(bytes: &[u8]) {
    if let Ok(frame) = Frame::decode(bytes) {
        assert_eq!(frame.encode(), bytes, "a frame was accepted that would be written otherwise");
    }
}
