use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use super::{draft::Draft, *};
use crate::{
    clock::Timestamp,
    crypto::{Curve, SigningKey},
    entropy::SeededEntropy,
    ipld::{Cid, Map, Value, car, cbor, json::from_json},
    plc::{Entry, Operation, UnsignedOperation, document::DidDocument},
    repo::{UnsignedCommit, mst},
    service::import::ImportFault,
    syntax::Did,
};
use serde_json::json;

const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);
const BLOB: &[u8] = b"a picture";
const LOST: &[u8] = b"a lost picture";

fn key(seed: u64) -> SigningKey {
    SigningKey::generate(Curve::K256, &SeededEntropy::new(seed))
}

/// An account of its own, as a did:plc with this signing key.
fn identity(signing: &SigningKey) -> Identity {
    let rotation = key(1);
    let handle = "alice.test".parse().unwrap();
    let rotation_keys = vec![rotation.did_key().to_string()];
    let state = UnsignedOperation::genesis(&signing.did_key(), &handle, "https://pds.example.com", rotation_keys);
    let genesis: Operation = state.clone().sign(&rotation);
    let did = genesis.did_for_genesis();
    let document = serde_json::to_value(DidDocument::of(&did, &state)).unwrap();
    let log = vec![Entry::new(did.clone(), genesis, NOW.minus(std::time::Duration::from_hours(1_000)))];
    Identity { did, document, log: Some(log) }
}

fn blob_ref(bytes: &[u8]) -> serde_json::Value {
    json!({"$type": "blob", "ref": {"$link": Cid::of_raw(bytes)}, "mimeType": "image/png", "size": bytes.len()})
}

/// A repository with records, of which one uses a blob that is here and one that is lost.
fn repository(did: &Did, key: &SigningKey) -> Vec<u8> {
    let mut records: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for n in 0..50 {
        let mut map = Map::new();
        map.insert("n", n);
        records.insert(format!("com.example.post/k{n:03}"), cbor::encode(&Value::Map(map)));
    }
    let pictures = json!({"here": blob_ref(BLOB), "lost": blob_ref(LOST)});
    records.insert("com.example.pictures/self".to_owned(), cbor::encode(&from_json(&pictures).unwrap()));
    let mut blocks = Vec::new();
    let entries = records.iter().map(|(path, bytes)| (path.as_str(), Cid::of_cbor(bytes)));
    let data = mst::build(entries, &mut |built| blocks.push((built.cid, built.block.to_vec()))).unwrap();
    blocks.extend(records.into_values().map(|bytes| (Cid::of_cbor(&bytes), bytes)));
    let rev = "3kabcdefghi22".parse().unwrap();
    let commit = UnsignedCommit { did: did.clone(), data, rev }.sign(key).encode();
    let mut out = car::header(&[Cid::of_cbor(&commit)]);
    car::write_block(&mut out, &Cid::of_cbor(&commit), &commit);
    for (cid, block) in &blocks {
        car::write_block(&mut out, cid, block);
    }
    out
}

/// A directory with one good archive.
struct Bench {
    dir: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let bench = Self { dir: tempfile::tempdir().unwrap() };
        let verified = bench.make(&key(2), &key(2)).unwrap();
        assert_eq!((verified.manifest.records, verified.manifest.blobs), (51, 1));
        bench
    }

    fn good(&self) -> PathBuf {
        self.dir.path().join("good.tar")
    }

    /// An archive whose DID names `named` and whose repository is signed by `signer`.
    fn make(&self, named: &SigningKey, signer: &SigningKey) -> Result<Verified, ArchiveError> {
        let identity = identity(named);
        let mut draft = Draft::begin(&self.good(), NOW)?;
        draft.repository()?.1.write_all(&repository(&identity.did, signer)).unwrap();
        for (cid, bytes, taken) in [(BLOB, BLOB, true), (LOST, b"something else", false)] {
            let (path, mut file) = draft.blob()?;
            file.write_all(bytes).unwrap();
            assert_eq!(draft.add_blob(&Cid::of_raw(cid), "image/png", &path)?, taken);
        }
        let preferences = json!({"preferences": [{"$type": "app.bsky.actor.defs#adultContentPref", "enabled": false}]});
        draft.finish(&identity, Some(&preferences), &mut |_| {})
    }

    /// The parts of the good archive, in order.
    fn parts(&self) -> Vec<(String, Vec<u8>)> {
        let mut tar = tar::Archive::new(File::open(self.good()).unwrap());
        let read = |entry: std::io::Result<tar::Entry<'_, File>>| {
            let mut entry = entry.unwrap();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            (String::from_utf8(entry.path_bytes().into_owned()).unwrap(), bytes)
        };
        tar.entries().unwrap().map(read).collect()
    }

    /// The same archive after `spoil`, with the digests of its parts as they are then.
    fn spoiled(&self, spoil: impl FnOnce(&mut Vec<(String, Vec<u8>)>)) -> ArchiveError {
        let mut parts = self.parts();
        spoil(&mut parts);
        self.refused(&parts)
    }

    /// The same with a manifest that fits the parts: only what is checked besides digests can refuse it.
    fn consistent(&self, spoil: impl FnOnce(&mut Vec<(String, Vec<u8>)>)) -> ArchiveError {
        let mut parts = self.parts();
        spoil(&mut parts);
        fuzzing::fit_manifest(&mut parts).unwrap();
        self.refused(&parts)
    }

    fn refused(&self, parts: &fuzzing::Parts) -> ArchiveError {
        let path = self.dir.path().join("bad.tar");
        fs::write(&path, fuzzing::to_tar(parts).unwrap()).unwrap();
        self.check(&path).unwrap_err()
    }

    fn check(&self, path: &Path) -> Result<Verified, ArchiveError> {
        let opened = Opened::open(path)?;
        let verified = verify(&opened, &self.dir.path().join("scratch"), NOW, &mut |_| {});
        assert!(!self.dir.path().join("scratch").exists(), "nothing of the check stays");
        verified
    }
}

fn part<'a>(parts: &'a mut [(String, Vec<u8>)], name: &str) -> &'a mut Vec<u8> {
    &mut parts.iter_mut().find(|(found, _)| found == name).unwrap().1
}

fn manifest(parts: &mut [(String, Vec<u8>)], change: impl FnOnce(&mut serde_json::Value)) {
    let part = part(parts, MANIFEST);
    let mut json = serde_json::from_slice(part).unwrap();
    change(&mut json);
    *part = json.to_string().into_bytes();
}

#[test]
fn an_archive_says_what_it_holds_and_what_it_lacks() {
    let bench = Bench::new();
    let verified = bench.check(&bench.good()).unwrap();
    assert_eq!(verified.signed_by, SignedBy::Present);
    assert_eq!(verified.missing, [Cid::of_raw(LOST)]);
    assert_eq!((verified.unused_blobs, verified.has_preferences), (0, true));
    assert_eq!(verified.media_types[&Cid::of_raw(BLOB)], "image/png");
    assert_eq!(verified.manifest.handle.unwrap().as_str(), "alice.test");
    assert_eq!(fs::read_dir(bench.dir.path()).unwrap().count(), 1, "nothing else was left");
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(bench.good()).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn nothing_is_made_over_a_file_or_from_what_is_not_good() {
    let bench = Bench::new();
    assert!(matches!(bench.make(&key(2), &key(2)), Err(ArchiveError::Exists(_))));
    fs::remove_file(bench.good()).unwrap();
    let forged = bench.make(&key(2), &key(3));
    assert!(matches!(forged, Err(ArchiveError::Repository(ImportFault::WrongKey(_)))), "{forged:?}");
    assert_eq!(fs::read_dir(bench.dir.path()).unwrap().count(), 0, "nothing was left");
}

#[test]
fn paths_that_lead_elsewhere_and_names_that_nobody_knows_are_refused() {
    let bench = Bench::new();
    let long = format!("blobs/{}", "../".repeat(20));
    for name in ["../evil", "/etc/passwd", "blobs/../../evil", "./repo.car", "blobs\\evil", &long] {
        let refused = bench.spoiled(|parts| parts.insert(0, (name.to_owned(), b"x".to_vec())));
        assert!(matches!(&refused, ArchiveError::UnsafePath(path) if path == name), "{name}: {refused}");
    }
    for name in ["notes.txt", "blobs/evil", "Repo.car", ".ssh"] {
        let refused = bench.spoiled(|parts| parts.insert(0, (name.to_owned(), b"x".to_vec())));
        assert!(matches!(refused, ArchiveError::Unexpected(_)), "{name}: {refused}");
    }
}

#[test]
fn links_directories_devices_and_long_names_are_refused() {
    let bench = Bench::new();
    let path = bench.dir.path().join("bad.tar");
    use tar::EntryType;
    for kind in [
        EntryType::Symlink,
        EntryType::Link,
        EntryType::Directory,
        EntryType::Fifo,
        EntryType::Char,
        EntryType::GNUSparse,
        EntryType::GNULongName,
        EntryType::XHeader,
        EntryType::XGlobalHeader,
    ] {
        let mut tar = tar::Builder::new(File::create(&path).unwrap());
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(0);
        header.set_path("repo.car").unwrap();
        header.set_cksum();
        tar.append(&header, std::io::empty()).unwrap();
        tar.finish().unwrap();
        let refused = bench.check(&path).unwrap_err();
        assert!(matches!(&refused, ArchiveError::NotAFile(name) if name == "repo.car"), "{kind:?}: {refused}");
    }
}

#[test]
fn sizes_that_the_file_does_not_have_are_refused_without_memory() {
    let bench = Bench::new();
    let path = bench.dir.path().join("bad.tar");
    for (name, size) in [("repo.car", 1 << 40), (LOG, 1 << 62), ("manifest.json", u64::MAX / 2)] {
        let mut header = tar::Header::new_gnu();
        header.set_size(size);
        header.set_path(name).unwrap();
        header.set_cksum();
        fs::write(&path, [&header.as_bytes()[..], &[0; 2048]].concat()).unwrap();
        let refused = bench.check(&path).unwrap_err();
        assert!(matches!(refused, ArchiveError::CutOff(_) | ArchiveError::NotTar(_)), "{name}: {refused}");
    }
    // A file that really is as large, without taking the room.
    let mut header = tar::Header::new_gnu();
    header.set_size(crate::limits::archive::MANIFEST_MAX_BYTES + 1);
    header.set_path(MANIFEST).unwrap();
    header.set_cksum();
    let mut file = File::create(&path).unwrap();
    file.write_all(header.as_bytes()).unwrap();
    file.seek(SeekFrom::Start(10 << 20)).unwrap();
    file.write_all(&[0; 1024]).unwrap();
    assert!(matches!(bench.check(&path), Err(ArchiveError::TooLarge(_, _))));
}

#[test]
fn what_comes_twice_is_missing_or_cut_off_is_refused() {
    let bench = Bench::new();
    for index in 0..bench.parts().len() {
        let name = bench.parts()[index].0.clone();
        let twice = bench.spoiled(|parts| parts.push(parts[index].clone()));
        assert!(matches!(&twice, ArchiveError::Twice(found) if *found == name), "{name}: {twice}");
        let missing = bench.spoiled(|parts| drop(parts.remove(index)));
        let words = missing.to_string();
        let named = words.contains(&name) || (name.starts_with(BLOBS) && words.contains(BLOB_LIST));
        assert!(named, "{name}: {missing}");
    }
    let whole = fs::read(bench.good()).unwrap();
    let path = bench.dir.path().join("bad.tar");
    for cut in [0, 100, 512, 700, whole.len() / 3, whole.len() / 2, whole.len() - 2_000, whole.len() - 1_500] {
        fs::write(&path, &whole[..cut]).unwrap();
        let refused = bench.check(&path).unwrap_err();
        assert!(matches!(refused, ArchiveError::CutOff(_) | ArchiveError::NotTar(_)), "{cut}: {refused}");
    }
    fs::write(&path, [b'x'; 4096]).unwrap();
    assert!(matches!(bench.check(&path), Err(ArchiveError::NotTar(_))));
    fs::write(&path, [0; 4096]).unwrap();
    assert!(matches!(bench.check(&path), Err(ArchiveError::NotTar(_))));
    assert!(matches!(bench.check(bench.dir.path()), Err(ArchiveError::NotTar(_) | ArchiveError::File { .. })));
}

#[test]
fn a_pipe_is_refused_and_not_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pipe.tar");
    rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0).unwrap();
    assert!(matches!(Opened::open(&path), Err(ArchiveError::NotTar(_))));
}

#[test]
fn every_part_that_was_changed_is_named() {
    let bench = Bench::new();
    for (name, _) in bench.parts() {
        let refused = bench.spoiled(|parts| {
            let bytes = part(parts, &name);
            let at = bytes.len() / 2;
            bytes[at] ^= 1;
        });
        // The digest of the largest part is known at its end only; the manifest is what everything is compared with.
        let (words, cid) = (refused.to_string(), name.strip_prefix(BLOBS).unwrap_or(&name));
        let named = words.contains(cid) || (name == REPO && words.contains("repository")) || name == MANIFEST;
        assert!(named, "{name}: {refused}");
    }
}

#[test]
fn a_manifest_that_says_something_else_is_refused() {
    let bench = Bench::new();
    for (field, value) in [
        ("records", json!(50)),
        ("blobs", json!(2)),
        ("blobBytes", json!(1)),
        ("missingBlobs", json!(0)),
        ("rev", json!("3kabcdefghi23")),
        ("root", json!(Cid::of_cbor(b"x"))),
        ("handle", json!("mallory.test")),
    ] {
        let refused = bench.spoiled(|parts| manifest(parts, |json| json[field] = value));
        assert!(matches!(refused, ArchiveError::Disagree(_)), "{field}: {refused}");
    }
    let other = bench.spoiled(|parts| manifest(parts, |json| json["did"] = json!("did:plc:ewvi7nxzyoun6zhxrhs64oiz")));
    assert!(matches!(other, ArchiveError::Log(_)), "{other}");
    let newer = bench.spoiled(|parts| manifest(parts, |json| json["version"] = json!(2)));
    assert_eq!(newer.to_string(), "the archive has version 2; this program reads version 1");
    let foreign = bench.spoiled(|parts| manifest(parts, |json| json["format"] = json!("x")));
    assert!(matches!(foreign, ArchiveError::Malformed(_, _)), "{foreign}");
    let odd = bench.spoiled(|parts| manifest(parts, |json| json["extra"] = json!(1)));
    assert!(matches!(odd, ArchiveError::Malformed(_, _)), "{odd}");
}

#[test]
fn what_was_forged_with_fitting_digests_is_refused_all_the_same() {
    let bench = Bench::new();
    let did = identity(&key(2)).did;
    let forged = bench.consistent(|parts| *part(parts, REPO) = repository(&did, &key(3)));
    assert!(
        matches!(forged, ArchiveError::Disagree(_) | ArchiveError::Repository(ImportFault::WrongKey(_))),
        "{forged}"
    );
    let stranger = bench.consistent(|parts| *part(parts, REPO) = repository(&identity(&key(3)).did, &key(3)));
    assert!(matches!(stranger, ArchiveError::Repository(ImportFault::WrongDid { .. })), "{stranger}");
    let document = bench.consistent(|parts| {
        let part = part(parts, DOCUMENT);
        *part = String::from_utf8(part.clone()).unwrap().replace("pds.example.com", "evil.example.com").into_bytes();
    });
    assert!(document.to_string().contains("is not what the log"), "{document}");
    let log = bench.consistent(|parts| {
        let part = part(parts, LOG);
        *part = String::from_utf8(part.clone()).unwrap().replace("pds.example.com", "evil.example.com").into_bytes();
    });
    assert!(matches!(log, ArchiveError::Log(_)), "{log}");
    let delegations =
        bench.consistent(|parts| *part(parts, DELEGATIONS) = b"{\"statements\":{},\"data\":{\"x\":{}}}".to_vec());
    assert!(delegations.to_string().contains("delegations.json is not what"), "{delegations}");
    let preferences = bench.consistent(|parts| *part(parts, PREFERENCES) = b"[]".to_vec());
    assert!(matches!(preferences, ArchiveError::Malformed(PREFERENCES, _)), "{preferences}");
    for line in [&b"{}\n"[..], b"not json\n", &[b'x'; 10_000], b"{\"cid\":\"x\"}\n"] {
        let list = bench.consistent(|parts| *part(parts, BLOB_LIST) = line.to_vec());
        assert!(matches!(list, ArchiveError::Malformed(BLOB_LIST, _)), "{list}");
    }
    let twice = bench.consistent(|parts| {
        let part = part(parts, BLOB_LIST);
        *part = part.repeat(2);
    });
    assert!(matches!(twice, ArchiveError::Twice(_)), "{twice}");
    let deep = bench.consistent(|parts| *part(parts, LOG) = "[".repeat(100_000).into_bytes());
    assert!(matches!(deep, ArchiveError::Malformed(LOG, _)), "{deep}");
}
