//! Housekey: a personal data server for the AT Protocol whose users hold the key that matters.
//!
//! ARCHITECTURE.md in the repository says what each layer is for and what it must not know.

pub mod clock;
pub mod entropy;
pub mod limits;

#[cfg(test)]
#[expect(dead_code, reason = "vectors are read by the layers above")]
mod interop;
