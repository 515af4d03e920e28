//! One node of the tree and its strict codec.

use std::{cmp::Ordering, str};

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::{Key, MstError, NodeError};
use crate::{
    ipld::{Cid, Codec, cbor},
    limits::repo::{MAX_NODE_BYTES, MAX_NODE_ENTRIES, MAX_RECORD_PATH_BYTES, MAX_TREE_HEIGHT},
    repo::BlockSource,
};

/// The height of a key: the leading zero bits of its SHA-256, halved.
pub fn height_of(key: &str) -> u8 {
    let mut zeros = 0_u8;
    for byte in Sha256::digest(key.as_bytes()) {
        let here = u8::try_from(byte.leading_zeros()).unwrap_or(0);
        zeros = zeros.saturating_add(here);
        if here < 8 {
            break;
        }
    }
    zeros / 2
}

/// A node as it is encoded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// The subtree with the keys before the first entry.
    pub left: Option<Cid>,
    /// The entries, ascending.
    pub entries: Vec<NodeEntry>,
}

/// One entry of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeEntry {
    /// The whole key.
    pub key: Key,
    /// The record.
    pub value: Cid,
    /// The subtree with the keys between this entry and the next.
    pub right: Option<Cid>,
}

impl Node {
    /// Decodes a node and checks everything that can be seen without its parents.
    ///
    /// # Errors
    /// The [`NodeError`] that says which rule it breaks.
    pub fn decode(bytes: &[u8]) -> Result<Self, NodeError> {
        Self::decode_with_height(bytes).map(|(node, _)| node)
    }

    /// The node and the height of its keys (`None` without entries), which decoding compares anyway.
    fn decode_with_height(bytes: &[u8]) -> Result<(Self, Option<u8>), NodeError> {
        if bytes.len() > MAX_NODE_BYTES {
            return Err(NodeError::TooLarge);
        }
        let mut reader = cbor::Reader::new(bytes);
        if reader.map()? != 2 {
            return Err(NodeError::Fields);
        }
        field(&mut reader, "e")?;
        let count = reader.array()?;
        if count > MAX_NODE_ENTRIES {
            return Err(NodeError::TooWide);
        }
        let mut entries = Vec::with_capacity(count);
        let mut key = Vec::with_capacity(64);
        for _ in 0..count {
            entries.push(decode_entry(&mut reader, &mut key)?);
        }
        field(&mut reader, "l")?;
        let left = node_link(&mut reader)?;
        reader.end()?;
        let node = Self { left, entries };
        let height = node.height()?;
        Ok((node, height))
    }

    /// The canonical encoding, with the longest prefixes shared.
    pub fn encode(&self) -> Bytes {
        let mut out = cbor::Writer::new();
        out.map(2).text("e").array(self.entries.len());
        let mut before: &str = "";
        for entry in &self.entries {
            let shared = common_prefix(before.as_bytes(), entry.key.as_bytes());
            let suffix = entry.key.as_bytes().get(shared..).unwrap_or_default();
            out.map(4).text("k").bytes(suffix).text("p").int(i64::try_from(shared).unwrap_or(i64::MAX));
            out.text("t").link_or_null(entry.right.as_ref()).text("v").link(&entry.value);
            before = &entry.key;
        }
        out.text("l").link_or_null(self.left.as_ref());
        Bytes::from(out.into_bytes())
    }

    /// The height of its keys; `None` without entries.
    ///
    /// # Errors
    /// [`NodeError::MixedHeights`] and [`NodeError::TooHigh`].
    pub fn height(&self) -> Result<Option<u8>, NodeError> {
        let mut keys = self.entries.iter().map(|entry| height_of(&entry.key));
        let Some(height) = keys.next() else { return Ok(None) };
        if height > MAX_TREE_HEIGHT {
            return Err(NodeError::TooHigh);
        }
        if keys.any(|other| other != height) {
            return Err(NodeError::MixedHeights);
        }
        Ok(Some(height))
    }

    /// Whether it has neither entries nor subtree.
    pub fn is_empty(&self) -> bool {
        self.left.is_none() && self.entries.is_empty()
    }

    /// The subtree before the entry at `index` (after the last one for the number of entries).
    pub fn child(&self, index: usize) -> Option<&Cid> {
        match self.entries.get(..index).and_then(<[_]>::last) {
            Some(entry) => entry.right.as_ref(),
            None => self.left.as_ref(),
        }
    }

    /// The entry with this key, or the index of the gap where it would be.
    pub(super) fn find(&self, key: &str) -> Result<usize, usize> {
        self.entries.binary_search_by(|entry| (*entry.key).cmp(key))
    }

    fn has_children(&self) -> bool {
        self.left.is_some() || self.entries.iter().any(|entry| entry.right.is_some())
    }
}

/// Where a node stands: what its parents demand of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Place {
    /// The height; `None` for the root, whose keys say it.
    pub(super) height: Option<u8>,
    /// All keys are greater than this one.
    pub(super) after: Option<Key>,
    /// All keys are less than this one.
    pub(super) before: Option<Key>,
}

impl Place {
    /// The place of the subtree in the gap before the entry at `index` of a node that stands here at `height`.
    /// There is none below height zero, and [`checked`] has refused nodes that claim one.
    pub(super) fn below(&self, height: u8, index: usize, key_at: impl Fn(usize) -> Option<Key>) -> Self {
        Self {
            height: Some(height.saturating_sub(1)),
            after: index.checked_sub(1).and_then(&key_at).or_else(|| self.after.clone()),
            before: key_at(index).or_else(|| self.before.clone()),
        }
    }
}

/// A node that was read and checked against its place.
#[derive(Clone, Debug)]
pub(super) struct Placed {
    pub(super) cid: Cid,
    pub(super) bytes: Bytes,
    pub(super) height: u8,
    pub(super) node: Node,
}

impl Placed {
    /// The place of the subtree in gap `index`.
    pub(super) fn place_below(&self, place: &Place, index: usize) -> Place {
        place.below(self.height, index, |at| self.node.entries.get(at).map(|entry| entry.key.clone()))
    }
}

/// Reads a node and checks it against its place.
pub(super) fn load(blocks: &mut dyn BlockSource, cid: &Cid, place: &Place) -> Result<Placed, MstError> {
    let bytes = blocks.block(cid)?.ok_or(MstError::Missing(*cid))?;
    let wrong = |why| MstError::Node { cid: *cid, why };
    let (node, own) = Node::decode_with_height(&bytes).map_err(wrong)?;
    let height = checked(&node, own, place).map_err(wrong)?;
    Ok(Placed { cid: *cid, bytes, height, node })
}

/// Checks a decoded node, whose keys have height `own`, against its place and says its height.
fn checked(node: &Node, own: Option<u8>, place: &Place) -> Result<u8, NodeError> {
    let height = match (place.height, own) {
        (None, None) if node.is_empty() => return Ok(0),
        (None, None) => return Err(NodeError::EmptyTop),
        (Some(_), None) if node.is_empty() => return Err(NodeError::Empty),
        (Some(expected), Some(found)) if found != expected => {
            return Err(NodeError::WrongHeight { expected, found });
        }
        (Some(height), _) | (None, Some(height)) => height,
    };
    if height == 0 && node.has_children() {
        return Err(NodeError::BelowLeaf);
    }
    if let (Some(first), Some(last)) = (node.entries.first(), node.entries.last()) {
        let too_low = place.after.as_ref().is_some_and(|after| first.key <= *after);
        let too_high = place.before.as_ref().is_some_and(|before| last.key >= *before);
        if too_low || too_high {
            return Err(NodeError::OutOfBounds);
        }
    }
    Ok(height)
}

/// How many bytes two keys share at their start.
pub(super) fn common_prefix(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(x, y)| x == y).count()
}

/// Whether bytes can be a record path: two segments of the allowed characters, not too long. The full syntax of
/// collection and record key is checked where trees come in from outside, not at each read.
pub(super) fn has_path_shape(key: &[u8]) -> bool {
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b'~' | b':' | b'/');
    let slash = key.iter().position(|byte| *byte == b'/');
    key.len() <= MAX_RECORD_PATH_BYTES
        && key.iter().all(allowed)
        && slash.is_some_and(|at| at > 0 && at + 1 < key.len() && key.iter().skip(at + 1).all(|byte| *byte != b'/'))
}

/// Reads one entry; `key` holds the key before and then this one.
fn decode_entry(reader: &mut cbor::Reader<'_>, key: &mut Vec<u8>) -> Result<NodeEntry, NodeError> {
    if reader.map()? != 4 {
        return Err(NodeError::Fields);
    }
    field(reader, "k")?;
    let suffix = reader.bytes()?;
    field(reader, "p")?;
    let shared = usize::try_from(reader.int()?).map_err(|_| NodeError::PrefixLength)?;
    replace_suffix(key, shared, suffix)?;
    field(reader, "t")?;
    let right = node_link(reader)?;
    field(reader, "v")?;
    let value = reader.link()?;
    let text = str::from_utf8(key).map_err(|_| NodeError::InvalidKey)?;
    Ok(NodeEntry { key: Key::from(text), value, right })
}

/// Turns the key before into this one, if the prefix length is the right one and the key sorts after it.
fn replace_suffix(key: &mut Vec<u8>, shared: usize, suffix: &[u8]) -> Result<(), NodeError> {
    let rest = key.get(shared..).ok_or(NodeError::PrefixLength)?;
    if suffix.len() > MAX_RECORD_PATH_BYTES {
        return Err(NodeError::InvalidKey);
    }
    let first = key.is_empty();
    if !first {
        match rest.cmp(suffix) {
            Ordering::Equal => return Err(NodeError::DuplicateKey),
            Ordering::Greater => return Err(NodeError::Unordered),
            Ordering::Less => {}
        }
        if common_prefix(rest, suffix) > 0 {
            return Err(NodeError::PrefixLength);
        }
    }
    key.truncate(shared);
    key.extend_from_slice(suffix);
    if has_path_shape(key) { Ok(()) } else { Err(NodeError::InvalidKey) }
}

/// Reads a field's name.
fn field(reader: &mut cbor::Reader<'_>, name: &str) -> Result<(), NodeError> {
    if reader.text()? == name { Ok(()) } else { Err(NodeError::Fields) }
}

/// Reads a link to another node, or null.
fn node_link(reader: &mut cbor::Reader<'_>) -> Result<Option<Cid>, NodeError> {
    let link = reader.link_or_null()?;
    match link.as_ref().map(Cid::codec) {
        Some(Codec::Raw) => Err(NodeError::LinkCodec),
        Some(Codec::DagCbor) | None => Ok(link),
    }
}
