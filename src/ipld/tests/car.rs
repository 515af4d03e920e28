//! CAR files.
use bytes::Bytes;
use proptest::prelude::*;

use super::hex;
use crate::{
    ipld::{
        Cid,
        car::{CarError, Item, Reader, block_frame_len, header, read_all, read_blocks, write_block},
        cbor::Writer,
        fuzzing,
    },
    limits::ipld::{CAR_MAX_BLOCK_BYTES, CAR_MAX_HEADER_BYTES},
};

fn file(blocks: &[&[u8]]) -> Vec<u8> {
    let mut out = header(&[Cid::of_cbor(blocks.first().unwrap_or(&&b""[..]))]);
    for block in blocks {
        write_block(&mut out, &Cid::of_cbor(block), block);
    }
    out
}

/// A file with this DAG-CBOR as its header.
fn with_header(write: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut writer = Writer::new();
    write(&mut writer);
    let body = writer.into_bytes();
    let mut out = vec![u8::try_from(body.len()).unwrap()];
    out.extend_from_slice(&body);
    out
}

fn refused(bytes: &[u8], error: CarError) {
    fuzzing::car(bytes);
    assert_eq!(read_all(bytes), Err(error));
}

#[test]
fn a_file_has_the_published_layout() {
    let cid = Cid::of_raw(b"hi");
    let mut expected = hex("3aa265726f6f747381d82a582500");
    expected.extend_from_slice(cid.as_bytes());
    expected.extend_from_slice(&hex("6776657273696f6e01"));
    assert_eq!(header(&[cid]), expected);
    let mut out = header(&[cid]);
    write_block(&mut out, &cid, b"hi");
    assert_eq!(out.len() - expected.len(), block_frame_len(2));
    expected.push(38);
    expected.extend_from_slice(cid.as_bytes());
    expected.extend_from_slice(b"hi");
    assert_eq!(out, expected);
    assert_eq!(read_all(&out), Ok((vec![cid], vec![(cid, Bytes::from_static(b"hi"))])));
}

#[test]
fn items_come_as_their_bytes_arrive() {
    let bytes = file(&[b"one", b"two"]);
    let mut reader = Reader::new();
    let mut items = Vec::new();
    for byte in &bytes {
        reader.push(&[*byte]);
        items.extend(reader.next_item().unwrap());
    }
    assert_eq!(reader.finish(), Ok(()));
    assert_eq!(
        items,
        [
            Item::Header(vec![Cid::of_cbor(b"one")]),
            Item::Block(Cid::of_cbor(b"one"), Bytes::from_static(b"one")),
            Item::Block(Cid::of_cbor(b"two"), Bytes::from_static(b"two")),
        ]
    );
}

#[test]
fn a_file_that_ends_inside_an_item_is_refused() {
    let bytes = file(&[b"one", b"two"]);
    let header_len = header(&[Cid::of_cbor(b"one")]).len();
    let ends = [header_len, header_len + block_frame_len(3), bytes.len()];
    for len in 0..bytes.len() {
        fuzzing::car(&bytes[..len]);
        assert_eq!(read_all(&bytes[..len]).is_ok(), ends.contains(&len), "{len}");
    }
    assert_eq!(Reader::new().finish(), Err(CarError::Truncated));
}

#[test]
fn a_header_must_be_of_version_one_with_roots() {
    let cid = Cid::of_cbor(b"");
    refused(&[], CarError::Truncated);
    refused(&[0], CarError::Header);
    refused(&header(&[]), CarError::NoRoots);
    refused(&hex("0aa16776657273696f6e02"), CarError::Version(2));
    refused(&hex("01a0"), CarError::Header);
    refused(&hex("0161"), CarError::Header);
    refused(&with_header(|w| _ = w.map(1).text("version").int(1)), CarError::Header);
    refused(&with_header(|w| _ = w.map(2).text("roots").array(1).int(1).text("version").int(1)), CarError::Header);
    refused(&with_header(|w| _ = w.map(2).text("roots").link(&cid).text("version").int(1)), CarError::Header);
    refused(
        &with_header(|w| _ = w.map(3).text("roots").array(1).link(&cid).text("extra1").int(1).text("version").int(1)),
        CarError::Header,
    );
}

#[test]
fn lengths_beyond_the_bounds_are_refused_before_their_bytes_arrive() {
    for varint in ["8000", "80808080808080808001", "ffffffffffffffffff01", "8080808000"] {
        refused(&hex(varint), CarError::Varint);
    }
    refused(&hex("80"), CarError::Truncated);
    refused(&hex("ffffffff7f"), CarError::HeaderTooLarge);
    refused(&hex("8120"), CarError::HeaderTooLarge);
    assert_eq!(CAR_MAX_HEADER_BYTES, 0x1000);

    let start = file(&[]);
    refused(&[&start[..], &hex("ffffffff7f")].concat(), CarError::BlockTooLarge);
    let largest = vec![7; CAR_MAX_BLOCK_BYTES];
    assert!(read_all(&file(&[&largest])).is_ok());
    assert_eq!(read_all(&file(&[&[&largest[..], &[7]].concat()])), Err(CarError::BlockTooLarge));
}

#[test]
fn a_frame_must_hold_a_cid_and_the_bytes_that_it_names() {
    let start = file(&[]);
    refused(&[&start[..], &[0]].concat(), CarError::FrameTooShort(0));
    refused(&[&start[..], &[35], &[0; 35]].concat(), CarError::FrameTooShort(35));
    refused(&[&start[..], &[36], &[0; 36]].concat(), CarError::UnsupportedCid);
    let mut wrong = file(&[b"one"]);
    *wrong.last_mut().unwrap() ^= 1;
    refused(&wrong, CarError::HashMismatch(Cid::of_cbor(b"one")));
    let empty = Cid::of_raw(b"");
    let mut out = header(&[empty]);
    write_block(&mut out, &empty, b"");
    assert_eq!(read_all(&out), Ok((vec![empty], vec![(empty, Bytes::new())])));
}

#[test]
fn an_error_comes_again_when_asked_again() {
    let mut reader = Reader::new();
    reader.push(&[0]);
    assert_eq!(reader.next_item(), Err(CarError::Header));
    reader.push(&header(&[Cid::of_cbor(b"")]));
    assert_eq!(reader.next_item(), Err(CarError::Header));
    assert_eq!(reader.finish(), Err(CarError::Truncated));
}

#[test]
fn a_frames_length_is_known_beforehand() {
    for len in [0, 91, 92, 16_347, 16_348, 2_000_000] {
        let bytes = vec![0; len];
        let mut out = Vec::new();
        write_block(&mut out, &Cid::of_raw(b""), &bytes);
        assert_eq!(out.len(), block_frame_len(len));
    }
}

proptest! {
    #[test]
    fn files_round_trip_in_any_pieces(blocks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 0..6)) {
        let blocks: Vec<&[u8]> = blocks.iter().map(Vec::as_slice).collect();
        let bytes = file(&blocks);
        fuzzing::car(&bytes);
        let (_, read) = read_all(&bytes).unwrap();
        prop_assert_eq!(read.iter().map(|(_, bytes)| &bytes[..]).collect::<Vec<_>>(), blocks);
    }

    #[test]
    fn a_changed_byte_never_breaks_the_reader(at in any::<prop::sample::Index>(), to: u8) {
        let mut bytes = file(&[b"one", b"two", b""]);
        let at = at.index(bytes.len());
        bytes[at] = to;
        fuzzing::car(&bytes);
    }

    #[test]
    fn no_bytes_break_the_reader(bytes in proptest::collection::vec(any::<u8>(), 0..64), after_header: bool) {
        let start = if after_header { file(&[]) } else { Vec::new() };
        fuzzing::car(&[start, bytes].concat());
    }
}

#[test]
fn single_blocks_come_without_a_root() {
    let (cid, mut file) = (Cid::of_cbor(b"a"), header(&[]));
    write_block(&mut file, &cid, b"a");
    assert_eq!(read_blocks(&file), Ok(vec![(cid, Bytes::from_static(b"a"))]));
    assert_eq!(read_all(&file), Err(CarError::NoRoots));
    assert_eq!(read_blocks(&file[..file.len() - 1]), Err(CarError::Truncated));
}
