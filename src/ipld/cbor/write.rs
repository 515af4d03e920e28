//! Writing DAG-CBOR. Headers are made by `ciborium_ll`, which always takes the shortest form.
use std::convert::Infallible;

use ciborium_ll::{Encoder, Header, simple};

use crate::ipld::{Cid, Value};

/// Writes DAG-CBOR piece by piece; the caller keeps the order of map keys canonical.
#[derive(Debug, Default)]
pub struct Writer {
    out: Vec<u8>,
}

impl Writer {
    /// An empty writer.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty writer with room for `bytes`.
    pub fn with_capacity(bytes: usize) -> Self {
        Self { out: Vec::with_capacity(bytes) }
    }

    /// A map header for `len` entries.
    pub fn map(&mut self, len: usize) -> &mut Self {
        self.header(Header::Map(Some(len)))
    }

    /// An array header for `len` items.
    pub fn array(&mut self, len: usize) -> &mut Self {
        self.header(Header::Array(Some(len)))
    }

    /// A text.
    pub fn text(&mut self, text: &str) -> &mut Self {
        self.header(Header::Text(Some(text.len()))).raw(text.as_bytes())
    }

    /// Bytes.
    pub fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.header(Header::Bytes(Some(bytes.len()))).raw(bytes)
    }

    /// An integer.
    pub fn int(&mut self, n: i64) -> &mut Self {
        // A negative n is written as −1 − n, which is its bitwise complement.
        self.header(match u64::try_from(n) {
            Ok(n) => Header::Positive(n),
            Err(_) => Header::Negative((!n).unsigned_abs()),
        })
    }

    /// A boolean.
    pub fn bool(&mut self, b: bool) -> &mut Self {
        self.header(Header::Simple(if b { simple::TRUE } else { simple::FALSE }))
    }

    /// Null.
    pub fn null(&mut self) -> &mut Self {
        self.header(Header::Simple(simple::NULL))
    }

    /// A link (tag 42).
    pub fn link(&mut self, cid: &Cid) -> &mut Self {
        // Tag 42, a byte string of 37, and the zero that stands for multibase's identity.
        self.raw(&super::read::LINK_HEAD).raw(cid.as_bytes())
    }

    /// A link or null.
    pub fn link_or_null(&mut self, cid: Option<&Cid>) -> &mut Self {
        match cid {
            Some(cid) => self.link(cid),
            None => self.null(),
        }
    }

    /// A value.
    pub fn value(&mut self, value: &Value) -> &mut Self {
        match value {
            Value::Null => self.null(),
            Value::Bool(b) => self.bool(*b),
            Value::Int(n) => self.int(*n),
            Value::Text(text) => self.text(text),
            Value::Bytes(bytes) => self.bytes(bytes),
            Value::Link(cid) => self.link(cid),
            Value::List(items) => {
                self.array(items.len());
                for item in items {
                    self.value(item);
                }
                self
            }
            Value::Map(map) => {
                self.map(map.len());
                for (key, value) in map.iter() {
                    self.text(key).value(value);
                }
                self
            }
        }
    }

    /// Bytes that are DAG-CBOR already.
    pub fn raw(&mut self, encoded: &[u8]) -> &mut Self {
        self.out.extend_from_slice(encoded);
        self
    }

    /// How many bytes were written so far.
    pub const fn len(&self) -> usize {
        self.out.len()
    }

    /// Whether nothing was written yet.
    pub const fn is_empty(&self) -> bool {
        self.out.is_empty()
    }

    /// What was written.
    pub fn into_bytes(self) -> Vec<u8> {
        self.out
    }

    #[inline]
    fn header(&mut self, header: Header) -> &mut Self {
        let Ok(()) = Encoder::from(Sink(&mut self.out)).push(header);
        self
    }
}

/// A vector as a writer that cannot fail.
struct Sink<'a>(&'a mut Vec<u8>);

impl ciborium_io::Write for Sink<'_> {
    type Error = Infallible;

    #[inline]
    fn write_all(&mut self, data: &[u8]) -> Result<(), Infallible> {
        self.0.extend_from_slice(data);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}
