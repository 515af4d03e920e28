//! Reading DAG-CBOR straight from a slice; every rule of the canonical form is in one place, `Reader::item`.
//!
//! Headers are parsed here and not by `ciborium_ll`, whose decoder hides their width: this took half the time of
//! reading an MST node.
use super::CborError;
use crate::{
    ipld::{Cid, Map, Value, value::canonical_order},
    limits::ipld::{CBOR_MAX_BYTES, CBOR_MAX_ITEMS, CBOR_RESERVE_ITEMS, MAX_DEPTH},
};

/// What stands before a CID's 36 bytes: tag 42, a byte string of 37, the zero for multibase's identity.
pub(super) const LINK_HEAD: [u8; 5] = [0xd8, 0x2a, 0x58, 0x25, 0x00];
const LINK_TAG: u64 = 42;

// CBOR's major types; 6, the tag, is what is left.
const POSITIVE: u8 = 0;
const NEGATIVE: u8 = 1;
const BYTES: u8 = 2;
const TEXT: u8 = 3;
const LIST: u8 = 4;
const MAP: u8 = 5;
const SIMPLE: u8 = 7;
/// The minor type of a length that is not given up front.
const OPEN_LENGTH: u8 = 31;

/// Pulls strict DAG-CBOR piece by piece, for fixed shapes (MST nodes, commits) without building a [`Value`].
///
/// The order of a map's keys is the fixed shape's business where the keys are pulled one by one ([`Self::key`]);
/// [`Self::value`] and [`Self::skip`] check it themselves.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

/// One scalar, or the header of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ipld) enum Item<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Text(&'a str),
    Bytes(&'a [u8]),
    Link(Cid),
    List(usize),
    Map(usize),
}

impl<'a> Reader<'a> {
    /// Reads from the start of `bytes`.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// How many bytes were not read yet.
    pub const fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// A map header: how many entries. There are at least twice as many bytes left.
    ///
    /// # Errors
    /// When there is something else, or fewer bytes than so many entries need.
    pub fn map(&mut self) -> Result<usize, CborError> {
        let Item::Map(len) = self.item()? else { return Err(CborError::Unexpected { expected: "a map" }) };
        Ok(len)
    }

    /// An array header: how many items. There are at least as many bytes left.
    ///
    /// # Errors
    /// When there is something else, or fewer bytes than so many items need.
    pub fn array(&mut self) -> Result<usize, CborError> {
        let Item::List(len) = self.item()? else { return Err(CborError::Unexpected { expected: "a list" }) };
        Ok(len)
    }

    /// A text.
    ///
    /// # Errors
    /// When there is something else.
    pub fn text(&mut self) -> Result<&'a str, CborError> {
        let Item::Text(text) = self.item()? else { return Err(CborError::Unexpected { expected: "a text" }) };
        Ok(text)
    }

    /// The map key `name`, and nothing else.
    ///
    /// # Errors
    /// When there is something else.
    pub fn key(&mut self, name: &'static str) -> Result<(), CborError> {
        if self.text().is_ok_and(|text| text == name) { Ok(()) } else { Err(CborError::Unexpected { expected: name }) }
    }

    /// Bytes.
    ///
    /// # Errors
    /// When there is something else.
    pub fn bytes(&mut self) -> Result<&'a [u8], CborError> {
        let Item::Bytes(bytes) = self.item()? else { return Err(CborError::Unexpected { expected: "a byte string" }) };
        Ok(bytes)
    }

    /// An integer.
    ///
    /// # Errors
    /// When there is something else.
    pub fn int(&mut self) -> Result<i64, CborError> {
        let Item::Int(n) = self.item()? else { return Err(CborError::Unexpected { expected: "an integer" }) };
        Ok(n)
    }

    /// A boolean.
    ///
    /// # Errors
    /// When there is something else.
    pub fn bool(&mut self) -> Result<bool, CborError> {
        let Item::Bool(b) = self.item()? else { return Err(CborError::Unexpected { expected: "a boolean" }) };
        Ok(b)
    }

    /// A link.
    ///
    /// # Errors
    /// When there is something else.
    pub fn link(&mut self) -> Result<Cid, CborError> {
        let Item::Link(cid) = self.item()? else { return Err(CborError::Unexpected { expected: "a link" }) };
        Ok(cid)
    }

    /// A link or null.
    ///
    /// # Errors
    /// When there is something else.
    pub fn link_or_null(&mut self) -> Result<Option<Cid>, CborError> {
        let item = self.item()?;
        if let Item::Link(cid) = item {
            Ok(Some(cid))
        } else if item == Item::Null {
            Ok(None)
        } else {
            Err(CborError::Unexpected { expected: "a link or null" })
        }
    }

    /// Any one value.
    ///
    /// # Errors
    /// When it is not canonical or beyond the bounds of `limits::ipld`.
    pub fn value(&mut self) -> Result<Value, CborError> {
        let before = self.rest.len();
        let mut budget = CBOR_MAX_ITEMS;
        let value = self.tree(MAX_DEPTH, &mut budget)?;
        if before - self.rest.len() > CBOR_MAX_BYTES { Err(CborError::TooLarge) } else { Ok(value) }
    }

    /// Checks any one value as strictly as [`Self::value`] and gives its encoding, without building it.
    ///
    /// # Errors
    /// When it is not canonical or nested too deeply.
    pub fn skip(&mut self) -> Result<&'a [u8], CborError> {
        let before = self.rest;
        self.check(MAX_DEPTH)?;
        Ok(before.get(..before.len() - self.rest.len()).unwrap_or_default())
    }

    /// Refuses trailing bytes.
    ///
    /// # Errors
    /// When bytes are left.
    pub const fn end(self) -> Result<(), CborError> {
        if self.rest.is_empty() { Ok(()) } else { Err(CborError::TrailingBytes) }
    }

    /// The next scalar or container header. A container has no more items than there are bytes.
    #[inline]
    pub(in crate::ipld) fn item(&mut self) -> Result<Item<'a>, CborError> {
        let (&first, rest) = self.rest.split_first().ok_or(CborError::Truncated)?;
        let (major, minor) = (first >> 5, first & 0x1f);
        self.rest = rest;
        if major == SIMPLE {
            return simple(minor);
        }
        if minor == OPEN_LENGTH && (BYTES..=MAP).contains(&major) {
            return Err(CborError::IndefiniteLength);
        }
        let argument = self.argument(minor)?;
        let int = || i64::try_from(argument).map_err(|_| CborError::IntegerRange);
        Ok(match major {
            POSITIVE => Item::Int(int()?),
            // A negative integer is written as −1 − n, the bitwise complement.
            NEGATIVE => Item::Int(!int()?),
            BYTES => Item::Bytes(self.take(argument)?),
            TEXT => Item::Text(str::from_utf8(self.take(argument)?).map_err(|_| CborError::NotUtf8)?),
            LIST => Item::List(self.claim(argument, 1)?),
            MAP => Item::Map(self.claim(argument, 2)?),
            _ if argument == LINK_TAG => Item::Link(self.tagged_link()?),
            _ => return Err(CborError::Tag(argument)),
        })
    }

    /// The number that a header holds, in its shortest form only.
    #[inline]
    fn argument(&mut self, minor: u8) -> Result<u64, CborError> {
        let (argument, least) = match minor {
            0..=23 => return Ok(u64::from(minor)),
            24 => (u64::from(u8::from_be_bytes(self.chunk()?)), 24),
            25 => (u64::from(u16::from_be_bytes(self.chunk()?)), 1 << 8),
            26 => (u64::from(u32::from_be_bytes(self.chunk()?)), 1 << 16),
            27 => (u64::from_be_bytes(self.chunk()?), 1 << 32),
            _ => return Err(CborError::Malformed),
        };
        if argument >= least { Ok(argument) } else { Err(CborError::NotShortest) }
    }

    /// What follows tag 42: a byte string that begins with a zero, then the CID.
    #[inline]
    fn tagged_link(&mut self) -> Result<Cid, CborError> {
        let [_, _, link_head @ ..] = LINK_HEAD;
        if self.chunk()? != link_head {
            return Err(CborError::Link);
        }
        Cid::from_bytes(&self.chunk::<36>()?).ok_or(CborError::Link)
    }

    #[inline]
    fn chunk<const N: usize>(&mut self) -> Result<[u8; N], CborError> {
        let (chunk, rest) = self.rest.split_first_chunk().ok_or(CborError::Truncated)?;
        self.rest = rest;
        Ok(*chunk)
    }

    #[inline]
    fn take(&mut self, len: u64) -> Result<&'a [u8], CborError> {
        let len = usize::try_from(len).map_err(|_| CborError::Truncated)?;
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(CborError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    /// A container's length, when the bytes that are left can hold so many items.
    #[inline]
    fn claim(&self, len: u64, bytes_each: usize) -> Result<usize, CborError> {
        let len = usize::try_from(len).map_err(|_| CborError::Truncated)?;
        if len <= self.rest.len() / bytes_each { Ok(len) } else { Err(CborError::Truncated) }
    }

    /// A map key that follows `previous`.
    fn next_key(&mut self, previous: Option<&str>) -> Result<&'a str, CborError> {
        let Item::Text(key) = self.item()? else { return Err(CborError::KeyNotText) };
        key_follows(previous, key)?;
        Ok(key)
    }

    fn tree(&mut self, depth: usize, budget: &mut usize) -> Result<Value, CborError> {
        *budget = budget.checked_sub(1).ok_or(CborError::TooManyItems)?;
        Ok(match self.item()? {
            Item::Null => Value::Null,
            Item::Bool(b) => Value::Bool(b),
            Item::Int(n) => Value::Int(n),
            Item::Text(text) => Value::Text(text.to_owned()),
            Item::Bytes(bytes) => Value::Bytes(bytes.to_vec()),
            Item::Link(cid) => Value::Link(cid),
            Item::List(len) => {
                let depth = depth.checked_sub(1).ok_or(CborError::TooDeep)?;
                let mut items = Vec::with_capacity(len.min(CBOR_RESERVE_ITEMS));
                for _ in 0..len {
                    items.push(self.tree(depth, budget)?);
                }
                Value::List(items)
            }
            Item::Map(len) => {
                let depth = depth.checked_sub(1).ok_or(CborError::TooDeep)?;
                let mut entries = Vec::with_capacity(len.min(CBOR_RESERVE_ITEMS));
                let mut previous = None;
                for _ in 0..len {
                    let key = self.next_key(previous)?;
                    previous = Some(key);
                    entries.push((key.to_owned(), self.tree(depth, budget)?));
                }
                Value::Map(Map::from_canonical(entries))
            }
        })
    }

    fn check(&mut self, depth: usize) -> Result<(), CborError> {
        match self.item()? {
            Item::List(len) => {
                let depth = depth.checked_sub(1).ok_or(CborError::TooDeep)?;
                for _ in 0..len {
                    self.check(depth)?;
                }
            }
            Item::Map(len) => {
                let depth = depth.checked_sub(1).ok_or(CborError::TooDeep)?;
                let mut previous = None;
                for _ in 0..len {
                    previous = Some(self.next_key(previous)?);
                    self.check(depth)?;
                }
            }
            Item::Null | Item::Bool(_) | Item::Int(_) | Item::Text(_) | Item::Bytes(_) | Item::Link(_) => {}
        }
        Ok(())
    }
}

/// Refuses a map key that does not come after the one before it.
pub(in crate::ipld) fn key_follows(previous: Option<&str>, key: &str) -> Result<(), CborError> {
    use std::cmp::Ordering::{Equal, Greater, Less};
    match previous.map(|previous| canonical_order(previous, key)) {
        None | Some(Less) => Ok(()),
        Some(Equal) => Err(CborError::DuplicateKey),
        Some(Greater) => Err(CborError::KeyOrder),
    }
}

/// A header of major type 7: false, true and null are all that the data model has of them.
const fn simple<'a>(minor: u8) -> Result<Item<'a>, CborError> {
    match minor {
        20 => Ok(Item::Bool(false)),
        21 => Ok(Item::Bool(true)),
        22 => Ok(Item::Null),
        25..=27 => Err(CborError::Float),
        28..=30 => Err(CborError::Malformed),
        // The break that ends an open length.
        OPEN_LENGTH => Err(CborError::IndefiniteLength),
        _ => Err(CborError::Simple),
    }
}
