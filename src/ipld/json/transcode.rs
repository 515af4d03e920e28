//! From stored DAG-CBOR straight to JSON text: what reads of records spend their time on.
use crate::{
    ipld::{
        CborError,
        cbor::{Item, Reader, key_follows},
    },
    limits::ipld::MAX_DEPTH,
};

/// Transcodes stored DAG-CBOR straight to JSON text, without a tree in between. Map keys stay in CBOR's order.
///
/// # Errors
/// When `cbor` is not exactly one canonical value; `out` is as it was before then.
pub fn write_cbor_as_json(cbor: &[u8], out: &mut Vec<u8>) -> Result<(), CborError> {
    let before = out.len();
    // JSON is a little longer than CBOR; one allocation serves most records.
    out.reserve(cbor.len() + cbor.len() / 4);
    let mut reader = Reader::new(cbor);
    let written = value(&mut reader, MAX_DEPTH, out).and_then(|()| reader.end());
    if written.is_err() {
        out.truncate(before);
    }
    written
}

fn value(reader: &mut Reader<'_>, depth: usize, out: &mut Vec<u8>) -> Result<(), CborError> {
    match reader.item()? {
        Item::Null => out.extend_from_slice(b"null"),
        Item::Bool(true) => out.extend_from_slice(b"true"),
        Item::Bool(false) => out.extend_from_slice(b"false"),
        Item::Int(n) => integer(n, out),
        Item::Text(text) => string(text, out),
        Item::Bytes(bytes) => {
            out.extend_from_slice(b"{\"$bytes\":\"");
            base64(bytes, out);
            out.extend_from_slice(b"\"}");
        }
        Item::Link(cid) => {
            out.extend_from_slice(b"{\"$link\":\"");
            out.extend_from_slice(&cid.to_text());
            out.extend_from_slice(b"\"}");
        }
        Item::List(len) => {
            let depth = depth.checked_sub(1).ok_or(CborError::TooDeep)?;
            out.push(b'[');
            for i in 0..len {
                if i > 0 {
                    out.push(b',');
                }
                value(reader, depth, out)?;
            }
            out.push(b']');
        }
        Item::Map(len) => {
            let depth = depth.checked_sub(1).ok_or(CborError::TooDeep)?;
            out.push(b'{');
            let mut previous = None;
            for i in 0..len {
                if i > 0 {
                    out.push(b',');
                }
                let Item::Text(key) = reader.item()? else { return Err(CborError::KeyNotText) };
                key_follows(previous, key)?;
                previous = Some(key);
                string(key, out);
                out.push(b':');
                value(reader, depth, out)?;
            }
            out.push(b'}');
        }
    }
    Ok(())
}

fn integer(n: i64, out: &mut Vec<u8>) {
    if n < 0 {
        out.push(b'-');
    }
    // 19 digits at most; written from the last to the first.
    let mut digits = [b'0'; 20];
    let mut rest = n.unsigned_abs();
    let mut used = 0;
    for place in digits.iter_mut().rev() {
        let [.., digit] = (rest % 10).to_be_bytes();
        *place = b'0' + digit;
        rest /= 10;
        used += 1;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(digits.len() - used..).unwrap_or_default());
}

/// Base64 without padding.
fn base64(bytes: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + data_encoding::BASE64_NOPAD.encode_len(bytes.len()), 0);
    data_encoding::BASE64_NOPAD.encode_mut(bytes, out.split_at_mut(start).1);
}

/// A JSON string: quotes, backslashes and control characters escaped, everything else as it is.
fn string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let mut rest = text.as_bytes();
    while let Some(at) = first_to_escape(rest) {
        let (plain, tail) = rest.split_at(at);
        out.extend_from_slice(plain);
        let Some((&byte, tail)) = tail.split_first() else { break };
        escape(byte, out);
        rest = tail;
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

/// Where the first byte is that may not stand in a JSON string as it is.
fn first_to_escape(bytes: &[u8]) -> Option<usize> {
    let must = |&b: &u8| b < 0x20 || b == b'"' || b == b'\\';
    // Whole chunks without an early exit: the compiler makes vector instructions of this.
    let clean =
        bytes.chunks_exact(16).take_while(|chunk| !chunk.iter().fold(false, |any, b| any | must(b))).count() * 16;
    bytes.get(clean..)?.iter().position(must).map(|at| clean + at)
}

fn escape(byte: u8, out: &mut Vec<u8>) {
    let short = match byte {
        b'"' | b'\\' => byte,
        0x08 => b'b',
        b'\t' => b't',
        b'\n' => b'n',
        0x0c => b'f',
        b'\r' => b'r',
        _ => {
            let hex = |nibble: u8| if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 };
            out.extend_from_slice(&[b'\\', b'u', b'0', b'0', hex(byte >> 4), hex(byte & 15)]);
            return;
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}
