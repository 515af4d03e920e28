//! Bodies of fuzz targets: no input may panic, and what is accepted must come out as it went in.
use super::{car, cbor, json};

/// What decodes encodes to the same bytes, and the ways to read agree about it.
pub fn cbor(data: &[u8]) {
    let decoded = cbor::decode(data);
    let skipped = {
        let mut reader = cbor::Reader::new(data);
        reader.skip().and_then(|_| reader.end())
    };
    let mut text = b"before".to_vec();
    let transcoded = json::write_cbor_as_json(data, &mut text);
    // The others build no tree and so have no bound of items.
    if !matches!(decoded, Err(cbor::CborError::TooManyItems | cbor::CborError::TooLarge)) {
        assert_eq!(decoded.as_ref().err(), skipped.as_ref().err());
        assert_eq!(decoded.as_ref().err(), transcoded.as_ref().err());
    }
    let Ok(value) = decoded else {
        assert!(transcoded.is_ok() || text == b"before");
        return;
    };
    assert_eq!(cbor::encode(&value), data);
    let parsed = serde_json::from_slice::<serde_json::Value>(text.strip_prefix(b"before").unwrap_or_default());
    assert_eq!(parsed.ok(), Some(json::to_json(&value)));
    assert!(json::blob_refs(&value).len() <= data.len());
}

/// What JSON the data model takes survives the way through CBOR and back.
pub fn json(data: &[u8]) {
    let Ok(parsed) = serde_json::from_slice::<serde_json::Value>(data) else { return };
    let Ok(value) = json::from_json(&parsed) else { return };
    let encoded = cbor::encode(&value);
    assert_eq!(cbor::decode(&encoded).as_ref(), Ok(&value));
    assert_eq!(json::from_json(&json::to_json(&value)).as_ref(), Ok(&value));
    let mut text = Vec::new();
    assert_eq!(json::write_cbor_as_json(&encoded, &mut text), Ok(()));
    assert_eq!(serde_json::from_slice::<serde_json::Value>(&text).ok(), Some(json::to_json(&value)));
}

/// Both readers agree, in whatever pieces the file arrives, and what was read writes the same file.
pub fn car(data: &[u8]) {
    let whole = car::read_all(data);
    let step = data.first().map_or(1, |&first| usize::from(first % 7) + 1);
    assert_eq!(streamed(data, step), whole);
    if let Ok((roots, blocks)) = whole {
        let mut written = car::header(&roots);
        for (cid, bytes) in &blocks {
            let before = written.len();
            car::write_block(&mut written, cid, bytes);
            assert_eq!(written.len() - before, car::block_frame_len(bytes.len()));
        }
        assert_eq!(written, data);
    }
}

fn streamed(data: &[u8], step: usize) -> Result<car::Contents, car::CarError> {
    let mut reader = car::Reader::new();
    let (mut roots, mut blocks) = (Vec::new(), Vec::new());
    for piece in data.chunks(step) {
        reader.push(piece);
        while let Some(item) = reader.next_item()? {
            match item {
                car::Item::Header(found) => roots = found,
                car::Item::Block(cid, bytes) => blocks.push((cid, bytes)),
            }
        }
    }
    reader.finish().map(|()| (roots, blocks))
}
