//! Repositories on their way out: the event stream and whole exports. Spec: <https://atproto.com/specs/sync>.
mod export;
mod live;
#[cfg(test)]
mod tests;

pub use export::car_stream;
pub use live::{CloseReason, Feed, Item, subscribe};
