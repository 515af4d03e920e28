//! A whole repository as a CAR file, written page by page: no snapshot of the database outlives a socket write.
use crate::{
    ipld::car,
    store::{Export, StoreError},
};
use bytes::Bytes;
use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};

/// Bytes around a block in the file, at most: its length and its CID. Only an estimate hangs on it.
const FRAME_BYTES: usize = 40;

/// Where an export stands.
enum State {
    /// Nothing was sent yet.
    Header(Export),
    /// The header was sent.
    Blocks(Export),
}

/// The CAR file of an export in pieces. An error ends it early: the reader must see that it is incomplete.
pub fn car_stream(export: Export) -> BoxStream<'static, Result<Bytes, StoreError>> {
    stream::try_unfold(State::Header(export), |state| async move {
        let (mut piece, mut export) = match state {
            State::Header(export) => (car::header(&[export.head().commit]), export),
            State::Blocks(export) => (Vec::new(), export),
        };
        let page = export.next_page().await?;
        piece.reserve(page.iter().map(|(_, block)| block.len() + FRAME_BYTES).sum());
        for (cid, block) in page {
            car::write_block(&mut piece, &cid, &block);
        }
        Ok((!piece.is_empty()).then(|| (Bytes::from(piece), State::Blocks(export))))
    })
    .boxed()
}
