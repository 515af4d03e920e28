//! CAR v1, streaming both ways. Spec: <https://ipld.io/specs/transport/car/carv1/>.
//!
//! Strict: every block has a CID that the protocol uses, and its hash is checked before it is handed out.
use bytes::{Buf, Bytes, BytesMut};

use super::{Cid, cbor};
use crate::limits::ipld::{CAR_MAX_BLOCK_BYTES, CAR_MAX_HEADER_BYTES};

/// Bytes of a CID at the head of a block's frame.
const CID_BYTES: usize = 36;

/// Why bytes are not a CAR file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CarError {
    /// The file ends inside an item, or before its header.
    #[error("the CAR file ends too early")]
    Truncated,
    /// A length that is not a minimal varint.
    #[error("the CAR file holds a length that is not a valid varint")]
    Varint,
    /// A header that is too long to be one.
    #[error("the CAR header is longer than {CAR_MAX_HEADER_BYTES} bytes")]
    HeaderTooLarge,
    /// A header that is not the DAG-CBOR of version and roots.
    #[error("the CAR header is not valid: version 1 and the root CIDs are needed")]
    Header,
    /// Another version of the format.
    #[error("the CAR file has version {0}; only version 1 is supported")]
    Version(i64),
    /// A header without a root.
    #[error("the CAR file names no root")]
    NoRoots,
    /// A frame that is too short to hold a CID.
    #[error("the CAR file holds a frame of {0} bytes, which is too short for a CID")]
    FrameTooShort(usize),
    /// A block beyond the bound.
    #[error("the CAR file holds a block of more than {CAR_MAX_BLOCK_BYTES} bytes")]
    BlockTooLarge,
    /// A CID of another version, codec or hash.
    #[error("the CAR file holds a block whose CID is not a CIDv1 with SHA-256 and the codec dag-cbor or raw")]
    UnsupportedCid,
    /// A block whose bytes do not have the hash in its CID.
    #[error("the CAR file holds a block that does not match its CID {0}")]
    HashMismatch(Cid),
}

/// The header bytes for these roots.
pub fn header(roots: &[Cid]) -> Vec<u8> {
    let mut writer = cbor::Writer::with_capacity(20 + 41 * roots.len());
    writer.map(2).text("roots").array(roots.len());
    for root in roots {
        writer.link(root);
    }
    writer.text("version").int(1);
    let body = writer.into_bytes();
    let mut out = Vec::with_capacity(body.len() + 2);
    write_varint(&mut out, body.len());
    out.extend_from_slice(&body);
    out
}

/// Appends one block's frame to `out`.
pub fn write_block(out: &mut Vec<u8>, cid: &Cid, bytes: &[u8]) {
    out.reserve(5 + CID_BYTES + bytes.len());
    write_varint(out, CID_BYTES + bytes.len());
    out.extend_from_slice(cid.as_bytes());
    out.extend_from_slice(bytes);
}

/// How many bytes [`write_block`] appends for a block of `len` bytes.
pub const fn block_frame_len(len: usize) -> usize {
    let frame = CID_BYTES + len;
    let significant = usize::BITS - frame.leading_zeros();
    frame + significant.div_ceil(7) as usize
}

/// One item of a CAR stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// The roots: at least one.
    Header(Vec<Cid>),
    /// One block whose hash was checked.
    Block(Cid, Bytes),
}

/// An incremental reader: bytes are pushed in as they arrive, items come out; holds at most one block besides what was
/// pushed last, when [`Self::next_item`] is called until `None` after each push.
#[derive(Debug, Default)]
pub struct Reader {
    buffer: BytesMut,
    header_seen: bool,
}

impl Reader {
    /// A reader at the start of a file.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole item; `None` when more bytes are needed. After an error the same error comes again.
    ///
    /// # Errors
    /// When the file is not a CAR v1 within the bounds of `limits::ipld`, or a block does not match its CID. A length
    /// beyond its bound is refused before the bytes that it announces arrive.
    pub fn next_item(&mut self) -> Result<Option<Item>, CarError> {
        let Some(frame) = next_frame(&self.buffer, self.header_seen)? else { return Ok(None) };
        let item = if self.header_seen {
            let (cid, bytes) = open_block(frame.body)?;
            // A copy, so that a block that is kept does not keep the chunk it came with.
            Item::Block(cid, Bytes::copy_from_slice(bytes))
        } else {
            let roots = open_header(frame.body)?;
            if roots.is_empty() {
                return Err(CarError::NoRoots);
            }
            Item::Header(roots)
        };
        let taken = frame.taken;
        self.header_seen = true;
        self.buffer.advance(taken);
        Ok(Some(item))
    }

    /// Refuses a file that ends inside an item or before its header.
    ///
    /// # Errors
    /// [`CarError::Truncated`].
    pub fn finish(self) -> Result<(), CarError> {
        if self.header_seen && self.buffer.is_empty() { Ok(()) } else { Err(CarError::Truncated) }
    }
}

/// What a whole small file holds: roots, and blocks in their order.
pub type Contents = (Vec<Cid>, Vec<(Cid, Bytes)>);

/// Reads a whole small file from memory (event frames, proofs): roots and blocks in order.
///
/// # Errors
/// As [`Reader::next_item`] and [`Reader::finish`].
pub fn read_all(bytes: &[u8]) -> Result<Contents, CarError> {
    let (roots, rest) = open_front(bytes)?;
    if roots.is_empty() { Err(CarError::NoRoots) } else { Ok((roots, read_rest(rest)?)) }
}

/// The blocks of a small file that need not name a root, as `getBlocks` gives it.
///
/// # Errors
/// As [`read_all`], except for [`CarError::NoRoots`].
pub fn read_blocks(bytes: &[u8]) -> Result<Vec<(Cid, Bytes)>, CarError> {
    read_rest(open_front(bytes)?.1)
}

fn open_front(bytes: &[u8]) -> Result<(Vec<Cid>, &[u8]), CarError> {
    let first = next_frame(bytes, false)?.ok_or(CarError::Truncated)?;
    Ok((open_header(first.body)?, first.rest))
}

fn read_rest(mut rest: &[u8]) -> Result<Vec<(Cid, Bytes)>, CarError> {
    // One copy that all blocks share.
    let whole = Bytes::copy_from_slice(rest);
    let mut blocks = Vec::new();
    while !rest.is_empty() {
        let frame = next_frame(rest, true)?.ok_or(CarError::Truncated)?;
        let (cid, block) = open_block(frame.body)?;
        let end = whole.len() - frame.rest.len();
        blocks.push((cid, whole.slice(end - block.len()..end)));
        rest = frame.rest;
    }
    Ok(blocks)
}

/// One frame at the front of some bytes.
struct Frame<'a> {
    body: &'a [u8],
    rest: &'a [u8],
    /// Length and body.
    taken: usize,
}

/// The frame at the front, if it is all there: the header's, or a block's.
fn next_frame(bytes: &[u8], header_seen: bool) -> Result<Option<Frame<'_>>, CarError> {
    let Some((len, rest)) = read_varint(bytes)? else { return Ok(None) };
    if header_seen {
        if len < CID_BYTES {
            return Err(CarError::FrameTooShort(len));
        }
        if len > CID_BYTES + CAR_MAX_BLOCK_BYTES {
            return Err(CarError::BlockTooLarge);
        }
    } else if len > CAR_MAX_HEADER_BYTES {
        return Err(CarError::HeaderTooLarge);
    }
    Ok(rest.split_at_checked(len).map(|(body, rest)| Frame { body, rest, taken: bytes.len() - rest.len() }))
}

fn open_header(body: &[u8]) -> Result<Vec<Cid>, CarError> {
    let header = cbor::decode(body).map_err(|_| CarError::Header)?;
    // The version first: what else a header of another version holds is not ours to judge.
    match header.get("version").and_then(super::Value::as_int) {
        Some(1) => {}
        Some(other) => return Err(CarError::Version(other)),
        None => return Err(CarError::Header),
    }
    let roots = header.get("roots").and_then(super::Value::as_list).ok_or(CarError::Header)?;
    if header.as_map().is_none_or(|map| map.len() != 2) {
        return Err(CarError::Header);
    }
    roots.iter().map(|root| root.as_link().copied().ok_or(CarError::Header)).collect()
}

fn open_block(body: &[u8]) -> Result<(Cid, &[u8]), CarError> {
    let (cid, bytes) = body.split_at_checked(CID_BYTES).ok_or(CarError::FrameTooShort(body.len()))?;
    let cid = Cid::from_bytes(cid).ok_or(CarError::UnsupportedCid)?;
    if cid.matches(bytes) { Ok((cid, bytes)) } else { Err(CarError::HashMismatch(cid)) }
}

/// A minimal unsigned varint of up to five bytes (every bound is far below 2^35) and what follows it.
fn read_varint(bytes: &[u8]) -> Result<Option<(usize, &[u8])>, CarError> {
    let mut n: u64 = 0;
    for (i, &byte) in bytes.iter().take(5).enumerate() {
        n |= u64::from(byte & 0x7f) << (7 * i);
        if byte & 0x80 == 0 {
            // A zero at the end would be a longer form of a shorter number.
            if byte == 0 && i > 0 {
                return Err(CarError::Varint);
            }
            let len = usize::try_from(n).map_err(|_| CarError::Varint)?;
            return Ok(Some((len, bytes.get(i + 1..).unwrap_or_default())));
        }
    }
    if bytes.len() >= 5 { Err(CarError::Varint) } else { Ok(None) }
}

fn write_varint(out: &mut Vec<u8>, mut n: usize) {
    while n >= 0x80 {
        let [.., low] = n.to_be_bytes();
        out.push(low | 0x80);
        n >>= 7;
    }
    let [.., low] = n.to_be_bytes();
    out.push(low);
}
