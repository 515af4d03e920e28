//! Random writes against a naive tree, and what events and proofs must make possible.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use bytes::Bytes;
use proptest::prelude::*;

use super::{
    mst::{Change, MstError, Node, NodeEntry, diff, get, height_of, touched_nodes, verify_whole},
    proof::{InvertError, ProofError, invert, record_proof, verify_record_proof},
    *,
};
use crate::{
    clock::Timestamp,
    crypto::{Curve, SigningKey},
    entropy::SeededEntropy,
    event::{CommitOp, Frame, FrameOp},
    ipld::{Cid, cbor},
    syntax::{Did, Tid},
};

type Records = BTreeMap<String, Cid>;

fn did() -> Did {
    "did:plc:ewvi7nxzyoun6zhxrhs64oiz".parse().unwrap()
}

fn signer() -> SigningKey {
    SigningKey::generate(Curve::K256, &SeededEntropy::new(1))
}

fn rev(n: i64) -> Tid {
    Tid::new(Timestamp::from_micros(1_700_000_000_000_000 + n), 0)
}

fn record(n: u32) -> (Cid, Bytes) {
    let mut out = cbor::Writer::new();
    out.map(1).text("n").int(i64::from(n));
    let bytes = Bytes::from(out.into_bytes());
    (Cid::of_cbor(&bytes), bytes)
}

/// The tree by its definition: at each level from the highest, the keys of that height part the others.
pub(super) fn naive(records: &Records) -> (Cid, BTreeMap<Cid, Bytes>) {
    fn node(records: &[(&String, &Cid)], height: u8, out: &mut BTreeMap<Cid, Bytes>) -> Option<Cid> {
        if records.is_empty() {
            return None;
        }
        let mut parts = records.split(|(key, _)| height_of(key) == height);
        let below = |part: Option<&[(&String, &Cid)]>, out: &mut BTreeMap<Cid, Bytes>| {
            part.filter(|part| !part.is_empty()).and_then(|part| node(part, height - 1, out))
        };
        let left = below(parts.next(), out);
        let mut entries = Vec::new();
        for (key, value) in records.iter().filter(|(key, _)| height_of(key) == height) {
            let right = below(parts.next(), out);
            entries.push(NodeEntry { key: key.as_str().into(), value: **value, right });
        }
        let bytes = Node { left, entries }.encode();
        let cid = Cid::of_cbor(&bytes);
        out.insert(cid, bytes);
        Some(cid)
    }
    let mut out = BTreeMap::new();
    let list: Vec<_> = records.iter().collect();
    let top = records.keys().map(|key| height_of(key)).max().unwrap_or(0);
    let root = node(&list, top, &mut out).unwrap_or_else(|| {
        let bytes = Node::default().encode();
        let cid = Cid::of_cbor(&bytes);
        out.insert(cid, bytes);
        cid
    });
    (root, out)
}

/// Keys of all heights up to five in equal numbers, so that trees are much higher and sparser than chance makes them, with
/// shared prefixes and keys that are prefixes of others.
fn pool() -> Vec<String> {
    let mut pool: Vec<String> = Vec::new();
    for height in 0..=5 {
        let found = (0_u32..).map(|n| match n % 3 {
            0 => format!("com.example.a/{n:x}"),
            1 => format!("com.example.a/{}", "x".repeat(n as usize % 40 + 1) + &n.to_string()),
            _ => format!("com.example.b.c/3kabcdefgh{n}"),
        });
        pool.extend(found.filter(|key| height_of(key) == height).take(9));
    }
    for n in 1..8 {
        pool.push(format!("com.example.a/{}", "p".repeat(n)));
    }
    pool
}

/// A repository in memory: all blocks of the present tree, and what the tree should hold.
struct Model {
    head: Head,
    blocks: BTreeMap<Cid, Bytes>,
    records: Records,
    revs: i64,
}

impl Model {
    fn new() -> Self {
        let plan = genesis(&did(), rev(0), &signer());
        let blocks = plan.new_nodes.into_iter().collect();
        Self { head: plan.head, blocks, records: Records::new(), revs: 0 }
    }

    fn all(&self) -> MemoryBlocks {
        MemoryBlocks(self.blocks.clone().into_iter().collect())
    }

    /// Plans with only the nodes that `touched_nodes` names.
    fn plan(&self, ops: &[WriteOp]) -> Result<WritePlan, PlanError> {
        let keys: Vec<String> = ops.iter().map(|op| op.path().to_string()).collect();
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let touched = touched_nodes(&mut self.all(), &self.head.data, &keys).unwrap();
        assert_eq!(touched[0].0, self.head.data, "the root comes first");
        let mut blocks = MemoryBlocks(touched.into_iter().collect());
        plan(&did(), &self.head, &mut blocks, ops, rev(self.revs + 1), &signer())
    }

    /// Writes, and checks everything that a plan promises.
    fn write(&mut self, ops: &[WriteOp]) -> WritePlan {
        let plan = self.plan(ops).unwrap();
        let before = self.records.clone();
        for op in ops {
            match op {
                WriteOp::Create { path, cid, .. } | WriteOp::Update { path, cid, .. } => {
                    self.records.insert(path.to_string(), *cid);
                }
                WriteOp::Delete { path } => {
                    self.records.remove(&path.to_string());
                }
            }
        }
        let (root, nodes) = naive(&self.records);
        assert_eq!(plan.head.data, root, "the root is that of the naive tree");
        let (old, new): (BTreeSet<Cid>, BTreeSet<Cid>) =
            (self.blocks.keys().copied().collect(), nodes.keys().copied().collect());
        assert_eq!(plan.new_nodes.len(), plan.new_nodes.iter().collect::<HashSet<_>>().len());
        assert_eq!(plan.new_nodes.iter().map(|(cid, _)| *cid).collect::<BTreeSet<_>>(), &new - &old);
        assert_eq!(plan.removed_nodes.iter().copied().collect::<BTreeSet<_>>(), &old - &new);
        assert!(plan.new_nodes.iter().all(|(cid, bytes)| cid.matches(bytes)));
        self.check_diff(&plan, &before, &nodes);
        check_event(&plan);
        self.blocks = nodes;
        self.head = plan.head;
        self.revs += 1;
        plan
    }

    fn check_diff(&self, plan: &WritePlan, before: &Records, nodes: &BTreeMap<Cid, Bytes>) {
        let mut both = self.all();
        both.0.extend(nodes.clone());
        let found = diff(&mut both, plan.prev_data.as_ref(), &plan.head.data).unwrap();
        let keys: BTreeSet<&String> = before.keys().chain(self.records.keys()).collect();
        let change = |key: &&String| Change {
            key: (*key).clone(),
            old: before.get(*key).copied(),
            new: self.records.get(*key).copied(),
        };
        let expected: Vec<Change> = keys.iter().map(change).filter(|change| change.old != change.new).collect();
        assert_eq!(found.changes, expected);
        assert_eq!(found.removed_nodes, plan.removed_nodes);
        let mut new: Vec<Cid> = plan.new_nodes.iter().map(|(cid, _)| *cid).collect();
        new.sort_unstable();
        assert_eq!(found.new_nodes, new);
    }
}

/// What a consumer of the event must be able to do with it.
fn check_event(plan: &WritePlan) {
    assert_eq!(plan.event_blocks[0], (plan.head.commit, plan.commit.clone()));
    let cids: HashSet<Cid> = plan.event_blocks.iter().map(|(cid, _)| *cid).collect();
    assert_eq!(cids.len(), plan.event_blocks.len(), "no block twice");
    assert!(plan.new_nodes.iter().all(|(cid, _)| cids.contains(cid)));
    assert!(plan.ops.iter().filter_map(|op| op.cid).all(|cid| cids.contains(&cid)));
    let mut car = crate::ipld::car::header(&[plan.head.commit]);
    for (cid, bytes) in &plan.event_blocks {
        crate::ipld::car::write_block(&mut car, cid, bytes);
    }
    assert_eq!(plan.event_size(), car.len());
    let paths: Vec<String> = plan.ops.iter().map(|op| op.path.to_string()).collect();
    let mut ops: Vec<CommitOp<'_>> = plan.ops.iter().zip(&paths).map(|(op, path)| op.announced(path)).collect();
    let mut blocks = MemoryBlocks(plan.event_blocks.iter().cloned().collect());
    // In any order: other consumers sort the ops before they undo them.
    for _ in 0..ops.len().max(1) {
        assert_eq!(invert(&mut blocks, &plan.head.data, &ops).unwrap(), plan.prev_data.unwrap());
        if !ops.is_empty() {
            ops.rotate_left(1);
        }
    }
    ops.reverse();
    assert_eq!(invert(&mut blocks, &plan.head.data, &ops).unwrap(), plan.prev_data.unwrap());
    ops.sort_by_key(|op| (op.cid.is_some(), op.path));
    assert_eq!(invert(&mut blocks, &plan.head.data, &ops).unwrap(), plan.prev_data.unwrap());
}

fn create(key: &str, n: u32) -> WriteOp {
    let (cid, record) = record(n);
    WriteOp::Create { path: key.parse().unwrap(), cid, record }
}

fn update(key: &str, n: u32) -> WriteOp {
    let (cid, record) = record(n);
    WriteOp::Update { path: key.parse().unwrap(), cid, record }
}

fn delete(key: &str) -> WriteOp {
    WriteOp::Delete { path: key.parse().unwrap() }
}

/// What fits to the present records: a creation, an update or a deletion.
fn fitting(model: &Model, pool: &[String], wishes: &[(usize, bool, u32)]) -> Vec<WriteOp> {
    let mut seen = HashSet::new();
    let mut ops = Vec::new();
    for (index, remove, n) in wishes {
        let key = &pool[index % pool.len()];
        if !seen.insert(key) {
            continue;
        }
        ops.push(match (model.records.contains_key(key), remove) {
            (false, _) => create(key, *n),
            (true, true) => delete(key),
            (true, false) => update(key, *n),
        });
    }
    ops
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_batches_keep_every_promise_of_a_plan(
        batches in prop::collection::vec(
            prop::collection::vec((any::<usize>(), prop::bool::weighted(0.7), 0_u32..6), 1..9),
            1..25,
        )
    ) {
        let pool = pool();
        let mut model = Model::new();
        for wishes in &batches {
            let ops = fitting(&model, &pool, wishes);
            model.write(&ops);
        }
        let shape = verify_whole(&mut model.all(), &model.head.data).unwrap();
        prop_assert_eq!(shape.records, model.records.len() as u64);
        prop_assert_eq!(shape.nodes, model.blocks.len() as u64);
    }

    #[test]
    fn the_order_of_writes_does_not_matter(order in Just(pool()).prop_shuffle(), kept in 0_usize..62) {
        let mut model = Model::new();
        for (n, key) in (0..).zip(&order) {
            let plan = model.plan(&[create(key, n % 5)]).unwrap();
            model.take(plan);
        }
        for key in order.iter().skip(kept) {
            let plan = model.plan(&[delete(key)]).unwrap();
            model.take(plan);
        }
        let left = (0..).zip(order.iter().take(kept)).map(|(n, key)| (key.clone(), record(n % 5).0)).collect();
        prop_assert_eq!(model.head.data, naive(&left).0);
    }
}

impl Model {
    /// Takes over a plan without checks; nodes that are gone are dropped.
    fn take(&mut self, plan: WritePlan) {
        for cid in plan.removed_nodes {
            assert!(self.blocks.remove(&cid).is_some());
        }
        for (cid, bytes) in plan.new_nodes {
            assert!(self.blocks.insert(cid, bytes).is_none());
        }
        self.head = plan.head;
        self.revs += 1;
    }

    fn with(keys: &[&str]) -> Self {
        let mut model = Self::new();
        let ops: Vec<WriteOp> = keys.iter().zip(0..).map(|(key, n)| create(key, n)).collect();
        model.write(&ops);
        model
    }
}

const A: &str = "com.example.a/1";
const B: &str = "com.example.a/2";

#[test]
fn the_first_commit_has_an_empty_tree_and_no_past() {
    let plan = genesis(&did(), rev(0), &signer());
    assert_eq!(plan.head.data.to_string(), "bafyreie5737gdxlw5i64vzichcalba3z2v5n6icifvx5xytvske7mr3hpm");
    assert_eq!((plan.prev_data, plan.since, plan.ops.len()), (None, None, 0));
    assert_eq!(plan.event_blocks.len(), 2);
    assert_eq!(plan.new_nodes.len(), 1);
    let commit = Commit::decode(&plan.commit).unwrap();
    assert_eq!(commit.unsigned, UnsignedCommit { did: did(), data: plan.head.data, rev: rev(0) });
    commit.verify(&signer().did_key()).unwrap();
}

#[test]
fn an_empty_commit_changes_only_the_revision() {
    let mut model = Model::with(&[A]);
    let before = model.head;
    let plan = model.write(&[]);
    assert_eq!(plan.head.data, before.data);
    assert_ne!(plan.head.commit, before.commit);
    assert_eq!((plan.new_nodes.len(), plan.removed_nodes.len(), plan.since), (0, 0, Some(before.rev)));
}

#[test]
fn an_update_to_the_same_record_changes_no_node() {
    let mut model = Model::with(&[A, B]);
    let plan = model.write(&[update(A, 0)]);
    assert_eq!((plan.new_nodes.len(), plan.removed_nodes.len()), (0, 0));
    assert_eq!(plan.ops[0].prev, plan.ops[0].cid);
}

#[test]
fn deleting_everything_leaves_the_empty_tree() {
    let mut model = Model::with(&[A, B]);
    let plan = model.write(&[delete(A), delete(B)]);
    assert_eq!(plan.head.data, genesis(&did(), rev(0), &signer()).head.data);
    assert_eq!(plan.new_nodes.len(), 1);
}

#[test]
fn equal_records_at_two_paths_are_one_block_of_the_event() {
    let mut model = Model::new();
    let plan = model.write(&[create(A, 7), create(B, 7)]);
    assert_eq!(plan.event_blocks.iter().filter(|(cid, _)| *cid == record(7).0).count(), 1);
    model.write(&[delete(A)]);
    assert_eq!(get(&mut model.all(), &model.head.data, B).unwrap(), Some(record(7).0));
}

#[test]
fn a_consumer_can_check_a_frame_by_itself() {
    let mut model = Model::with(&pool().iter().map(String::as_str).collect::<Vec<_>>());
    let plan = model.write(&[delete(&pool()[40]), update(&pool()[3], 77), create(A, 78)]);
    let frame = plan.event(&did(), Timestamp::EPOCH).number(12);
    let Frame::Commit(frame) = Frame::decode(&frame).unwrap() else { panic!("not a commit frame") };
    let (roots, blocks) = crate::ipld::car::read_all(&frame.blocks).unwrap();
    assert_eq!((roots, blocks[0].0), (vec![frame.commit], frame.commit));
    let commit = Commit::decode(&blocks[0].1).unwrap();
    commit.verify(&signer().did_key()).unwrap();
    assert_eq!((&commit.unsigned.did, commit.unsigned.rev), (&frame.repo, frame.rev));
    let ops: Vec<CommitOp<'_>> = frame.ops.iter().map(FrameOp::as_op).collect();
    let mut blocks = MemoryBlocks(blocks.into_iter().collect());
    assert_eq!(invert(&mut blocks, &commit.unsigned.data, &ops), Ok(frame.prev_data.unwrap()));
}

#[test]
fn writes_that_do_not_fit_are_refused_with_their_path() {
    let model = Model::with(&[A]);
    let path = |key: &str| key.parse::<RecordPath>().unwrap();
    assert_eq!(model.plan(&[create(A, 1)]).unwrap_err(), PlanError::Exists(path(A)));
    assert_eq!(model.plan(&[update(B, 1)]).unwrap_err(), PlanError::Missing(path(B)));
    assert_eq!(model.plan(&[delete(B)]).unwrap_err(), PlanError::Missing(path(B)));
    assert_eq!(model.plan(&[delete(A), create(A, 1)]).unwrap_err(), PlanError::Twice(path(A)));
}

#[test]
fn a_record_is_proven_present_or_absent_from_the_signed_commit() {
    let mut model = Model::with(&pool().iter().map(String::as_str).collect::<Vec<_>>());
    let plan = model.write(&[]);
    for (key, expected) in [(A, model.records.get(A).copied()), ("com.example.zzz/none", None)] {
        let path = key.parse().unwrap();
        let proof = record_proof(&mut model.all(), &model.head.data, &path).unwrap();
        assert_eq!(proof.cid, expected);
        let mut blocks = MemoryBlocks(proof.nodes.into_iter().collect());
        let commit = plan.head.commit;
        let check = |blocks: &mut MemoryBlocks, key: &SigningKey| {
            verify_record_proof(blocks, &commit, &did(), &key.did_key(), &path)
        };
        assert_eq!(check(&mut blocks, &signer()), Err(ProofError::NoCommit(commit)));
        blocks.0.insert(commit, plan.commit.clone());
        assert_eq!(check(&mut blocks, &signer()), Ok(expected));
        let other = SigningKey::generate(Curve::K256, &SeededEntropy::new(2));
        assert!(matches!(check(&mut blocks, &other), Err(ProofError::Commit(CommitError::Signature(_)))));
        let stranger: Did = "did:web:example.com".parse().unwrap();
        let refused = verify_record_proof(&mut blocks, &commit, &stranger, &signer().did_key(), &path);
        assert_eq!(refused, Err(ProofError::OtherAccount(did())));
        blocks.0.remove(&model.head.data);
        assert_eq!(check(&mut blocks, &signer()), Err(ProofError::Tree(MstError::Missing(model.head.data))));
    }
}

#[test]
fn ops_that_are_not_what_happened_do_not_invert() {
    let mut model = Model::with(&[A, B]);
    let plan = model.write(&[delete(A), update(B, 9)]);
    let mut blocks = MemoryBlocks(plan.event_blocks.iter().cloned().collect());
    let op = |action, path, cid, prev| CommitOp { action, path, cid, prev };
    let (new, old) = (Some(record(9).0), Some(record(1).0));
    let mut refused = |ops: &[CommitOp<'_>]| invert(&mut blocks, &plan.head.data, ops);
    assert_eq!(refused(&[op("update", B, old, old)]), Err(InvertError::NotAsClaimed(B.to_owned())));
    assert_eq!(refused(&[op("delete", B, None, old)]), Err(InvertError::NotAsClaimed(B.to_owned())));
    assert!(matches!(refused(&[op("create", B, new, old)]), Err(InvertError::Malformed { .. })));
    assert!(matches!(refused(&[op("replace", B, new, old)]), Err(InvertError::Malformed { .. })));
    assert_ne!(refused(&[op("update", B, new, old)]), Ok(plan.prev_data.unwrap()), "the deletion is left out");
}

#[test]
fn a_commit_decodes_to_what_was_signed_and_to_nothing_else() {
    let data = genesis(&did(), rev(0), &signer()).head.data;
    let commit = UnsignedCommit { did: did(), data, rev: rev(3) }.sign(&signer());
    let bytes = commit.encode();
    assert_eq!(Commit::decode(&bytes), Ok(commit.clone()));
    let linked = Commit { prev: Some(data), ..commit.clone() };
    assert_eq!(Commit::decode(&linked.encode()), Ok(linked.clone()));
    assert!(matches!(linked.verify(&signer().did_key()), Err(CommitError::Signature(_))), "prev is signed too");
    let raw = Commit { prev: Some(Cid::of_raw(b"x")), ..commit };
    assert_eq!(Commit::decode(&raw.encode()), Err(CommitError::LinkCodec));
    let mut other_version = bytes.to_vec();
    *other_version.last_mut().unwrap() = 2;
    assert_eq!(Commit::decode(&other_version), Err(CommitError::Version(2)));
    let mut longer = bytes.to_vec();
    longer.push(0);
    assert!(matches!(Commit::decode(&longer), Err(CommitError::Cbor(_))));
    assert!(Commit::decode(&bytes[..bytes.len() - 1]).is_err());
    assert_eq!(Commit::decode(&[0; 10_001]), Err(CommitError::TooLarge));
}

#[test]
fn a_commit_without_prev_or_with_more_fields_is_refused() {
    let data = Cid::of_cbor(&[0xa0]);
    let mut out = cbor::Writer::new();
    out.map(5).text("did").text("did:plc:ewvi7nxzyoun6zhxrhs64oiz").text("rev").text("3jzfcijpj2z2a");
    out.text("sig").bytes(&[0; 64]).text("data").link(&data).text("version").int(3);
    assert_eq!(Commit::decode(&out.into_bytes()), Err(CommitError::Fields));
    let mut out = cbor::Writer::new();
    out.map(6).text("did").text("did:plc:ewvi7nxzyoun6zhxrhs64oiz").text("rev").text("3jzfcijpj2z2a");
    out.text("sig").bytes(&[0; 63]).text("data").link(&data).text("prev").null().text("version").int(3);
    assert_eq!(Commit::decode(&out.into_bytes()), Err(CommitError::SignatureLength));
}

#[test]
fn blocks_that_are_no_nodes_or_commits_never_panic() {
    let model = Model::with(&pool().iter().map(String::as_str).collect::<Vec<_>>());
    let commit = UnsignedCommit { did: did(), data: model.head.data, rev: rev(3) }.sign(&signer()).encode();
    for bytes in model.blocks.values().chain([&commit]) {
        for at in 0..bytes.len() {
            for flip in [0x01, 0x20, 0x80, 0xff] {
                let mut bad = bytes.to_vec();
                bad[at] ^= flip;
                fuzzing::node(&bad);
                fuzzing::commit(&bad);
            }
            fuzzing::node(&bytes[..at]);
            fuzzing::commit(&bytes[..at]);
        }
    }
}
