//! Nodes and trees that must be refused, the public vectors, walks and builds.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use serde_json::Value;

use super::{node::common_prefix, *};
use crate::{
    interop,
    ipld::{Cid, cbor::Writer},
    repo::{Action, BlockSource, MemoryBlocks, SourceError, proof::invert},
};

fn leaf() -> Cid {
    Cid::of_cbor(&[0xa0])
}

/// Keys of one height, in order, all under one collection.
fn keys_of(height: u8) -> impl Iterator<Item = String> {
    (0_u32..).map(|n| format!("com.example.a/{n:05}")).filter(move |key| height_of(key) == height)
}

fn key(height: u8, nth: usize) -> String {
    keys_of(height).nth(nth).unwrap()
}

/// An entry as it stands in the bytes: prefix length, suffix, subtree.
type Raw<'a> = (i64, &'a str, Option<Cid>);

fn raw_node(left: Option<Cid>, entries: &[Raw<'_>]) -> Vec<u8> {
    let mut out = Writer::new();
    out.map(2).text("e").array(entries.len());
    for (shared, suffix, right) in entries {
        out.map(4).text("k").bytes(suffix.as_bytes()).text("p").int(*shared);
        out.text("t").link_or_null(right.as_ref()).text("v").link(&leaf());
    }
    out.text("l").link_or_null(left.as_ref());
    out.into_bytes()
}

/// A node with the right prefix lengths.
fn node(left: Option<Cid>, entries: &[(&str, Option<Cid>)]) -> Bytes {
    let entry = |(key, right): &(&str, Option<Cid>)| NodeEntry { key: Key::from(*key), value: leaf(), right: *right };
    Node { left, entries: entries.iter().map(entry).collect() }.encode()
}

#[derive(Default)]
struct Forest(MemoryBlocks);

impl Forest {
    fn add(&mut self, bytes: Bytes) -> Cid {
        let cid = Cid::of_cbor(&bytes);
        self.0.0.insert(cid, bytes);
        cid
    }

    fn why(&mut self, root: &Cid) -> NodeError {
        match verify_whole(&mut self.0, root).unwrap_err() {
            MstError::Node { why, .. } => why,
            other @ (MstError::Missing(_)
            | MstError::Source(_)
            | MstError::Key(_)
            | MstError::TooHigh(_)
            | MstError::TooWide
            | MstError::Unsorted(_)) => panic!("another error: {other}"),
        }
    }
}

#[test]
fn heights_are_leading_zero_bits_in_pairs() {
    for (key, height) in
        [("", 0), ("blue", 1), ("88bfafc7", 2), ("2a92d355", 4), ("app.bsky.feed.post/9adeb165882c", 8)]
    {
        assert_eq!(height_of(key), height, "{key}");
    }
    for case in interop::json("mst/key_heights.json").iter().flat_map(|cases| cases.as_array().unwrap()) {
        assert_eq!(u64::from(height_of(case["key"].as_str().unwrap())), case["height"].as_u64().unwrap());
    }
}

#[test]
fn prefixes_are_counted_in_bytes() {
    assert_eq!(common_prefix(b"abc", b"abd"), 2);
    for case in interop::json("mst/common_prefix.json").iter().flat_map(|cases| cases.as_array().unwrap()) {
        let (left, right) = (case["left"].as_str().unwrap(), case["right"].as_str().unwrap());
        assert_eq!(common_prefix(left.as_bytes(), right.as_bytes()) as u64, case["len"].as_u64().unwrap());
    }
}

#[test]
fn a_node_decodes_to_what_was_encoded() {
    let (a, b) = (key(1, 0), key(1, 1));
    let original = node(Some(leaf()), &[(&a, None), (&b, Some(leaf()))]);
    let decoded = Node::decode(&original).unwrap();
    assert_eq!(decoded.encode(), original);
    assert_eq!(&*decoded.entries[1].key, b);
    assert_eq!(decoded.height(), Ok(Some(1)));
}

#[test]
fn wrong_prefix_lengths_are_refused() {
    let (a, b) = (key(0, 0), key(0, 1));
    let shared = common_prefix(a.as_bytes(), b.as_bytes());
    let all = i64::try_from(shared).unwrap();
    assert!(Node::decode(&raw_node(None, &[(0, &a, None), (all, b.get(shared..).unwrap(), None)])).is_ok());
    let refused =
        |entries: &[Raw<'_>]| assert_eq!(Node::decode(&raw_node(None, entries)), Err(NodeError::PrefixLength));
    refused(&[(0, &a, None), (all - 1, b.get(shared - 1..).unwrap(), None)]);
    refused(&[(0, &a, None), (0, &b, None)]);
    refused(&[(0, &a, None), (1_000, &b, None)]);
    refused(&[(0, &a, None), (-1, &b, None)]);
    refused(&[(1, &a, None)]);
}

#[test]
fn unordered_and_duplicate_keys_are_refused() {
    let (a, b) = (key(0, 0), key(0, 1));
    let shared = common_prefix(a.as_bytes(), b.as_bytes());
    let all = i64::try_from(shared).unwrap();
    let swapped = raw_node(None, &[(0, &b, None), (all, a.get(shared..).unwrap(), None)]);
    assert_eq!(Node::decode(&swapped), Err(NodeError::Unordered));
    let twice = raw_node(None, &[(0, &a, None), (i64::try_from(a.len()).unwrap(), "", None)]);
    assert_eq!(Node::decode(&twice), Err(NodeError::DuplicateKey));
    let shorter = raw_node(None, &[(0, &a, None), (i64::try_from(a.len() - 1).unwrap(), "", None)]);
    assert_eq!(Node::decode(&shorter), Err(NodeError::Unordered));
}

#[test]
fn keys_that_are_no_record_paths_are_refused() {
    let long = format!("com.example.a/{}", "k".repeat(1_100));
    for bad in ["", "a", "/", "a/", "/a", "a/b/c", "a/b c", "a/é", "a/b\0", long.as_str()] {
        assert_eq!(Node::decode(&raw_node(None, &[(0, bad, None)])), Err(NodeError::InvalidKey), "{bad:?}");
    }
    // Characters and segments are right, but the collection is not an NSID: the check of a whole tree sees it.
    let mut forest = Forest::default();
    let root = forest.add(node(None, &[("app/2", None)]));
    assert_eq!(verify_whole(&mut forest.0, &root), Err(MstError::Key("app/2".to_owned())));
}

#[test]
fn nodes_with_other_fields_are_refused() {
    let mut out = Writer::new();
    out.map(1).text("e").array(0);
    assert_eq!(Node::decode(&out.into_bytes()), Err(NodeError::Fields));
    let mut out = Writer::new();
    out.map(2).text("l").null().text("e").array(0);
    assert_eq!(Node::decode(&out.into_bytes()), Err(NodeError::Fields));
    let mut out = Writer::new();
    out.map(2).text("e").array(1).map(3).text("k").bytes(b"a/b").text("p").int(0).text("v").link(&leaf());
    out.text("l").null();
    assert_eq!(Node::decode(&out.into_bytes()), Err(NodeError::Fields));
    let mut longer = Node::default().encode().to_vec();
    longer.push(0xf6);
    assert!(matches!(Node::decode(&longer), Err(NodeError::Cbor(_))));
    assert_eq!(Node::decode(&raw_node(Some(Cid::of_raw(b"x")), &[])), Err(NodeError::LinkCodec));
}

#[test]
fn nodes_beyond_the_bounds_are_refused() {
    let keys: Vec<String> = keys_of(0).take(1_025).collect();
    let entries: Vec<_> = keys.iter().map(|key| (key.as_str(), None)).collect();
    assert!(Node::decode(&node(None, &entries[..1_024])).is_ok());
    assert_eq!(Node::decode(&node(None, &entries)), Err(NodeError::TooWide));
    assert_eq!(Node::decode(&vec![0; 1_048_577]), Err(NodeError::TooLarge));
    let mut blocks = MemoryBlocks::default();
    let mut tree = Tree::empty();
    for key in &keys {
        tree.put(&mut blocks, key, leaf()).unwrap();
    }
    assert_eq!(tree.seal(), Err(MstError::TooWide));
    let built = build(keys.iter().map(|key| (key, leaf())), &mut |_| {});
    assert_eq!(built, Err(MstError::TooWide));
}

#[test]
fn wrong_heights_are_refused() {
    let mut keys = [key(0, 0), key(1, 0)];
    keys.sort_unstable();
    let mixed = node(None, &[(&keys[0], None), (&keys[1], None)]);
    assert_eq!(Node::decode(&mixed), Err(NodeError::MixedHeights));
    let mut forest = Forest::default();
    let low = keys_of(0).find(|low| *low < key(2, 0)).unwrap();
    let child = forest.add(node(None, &[(&low, None)]));
    let root = forest.add(node(Some(child), &[(&key(2, 0), None)]));
    assert_eq!(forest.why(&root), NodeError::WrongHeight { expected: 1, found: 0 });
}

#[test]
fn keys_outside_the_range_of_the_parents_are_refused() {
    let mut forest = Forest::default();
    let middle = keys_of(2).nth(3).unwrap();
    let high = keys_of(0).find(|high| *high > middle).unwrap();
    let child = forest.add(node(None, &[(&high, None)]));
    let empty = forest.add(node(Some(child), &[]));
    let root = forest.add(node(Some(empty), &[(&middle, None)]));
    assert_eq!(forest.why(&root), NodeError::OutOfBounds);
    let right = forest.add(node(None, &[(&middle, Some(empty))]));
    assert_eq!(verify_whole(&mut forest.0, &right), Ok(Shape { nodes: 3, records: 2 }));
    // A key under itself: equal to the bound.
    let own = key(0, 0);
    let inner = forest.add(node(None, &[(&own, None)]));
    let outer = keys_of(1).find(|outer| *outer > own).unwrap();
    let twice = node(Some(inner), &[(&outer, Some(inner))]);
    let root = forest.add(twice);
    assert_eq!(forest.why(&root), NodeError::OutOfBounds);
}

#[test]
fn empty_nodes_are_refused_except_as_the_whole_tree_or_between_levels() {
    let mut forest = Forest::default();
    let (empty, bytes) = empty_root();
    forest.add(bytes);
    assert_eq!(verify_whole(&mut forest.0, &empty), Ok(Shape { nodes: 1, records: 0 }));
    let root = forest.add(node(Some(empty), &[(&key(1, 0), None)]));
    assert_eq!(forest.why(&root), NodeError::Empty);
    let child = forest.add(node(None, &[(&key(0, 0), None)]));
    let top = forest.add(node(Some(child), &[]));
    assert_eq!(forest.why(&top), NodeError::EmptyTop);
    let below = forest.add(node(Some(child), &[(&keys_of(0).last_before("com.example.a/9"), None)]));
    assert_eq!(forest.why(&below), NodeError::BelowLeaf);
}

trait LastBefore {
    fn last_before(self, end: &str) -> String;
}

impl<I: Iterator<Item = String>> LastBefore for I {
    fn last_before(self, end: &str) -> String {
        self.take(50).filter(|key| key.as_str() < end).last().unwrap()
    }
}

#[test]
fn a_chain_of_twenty_thousand_nodes_is_refused_by_every_reader() {
    let mut forest = Forest::default();
    let mut cid = forest.add(node(None, &[(&key(0, 0), None)]));
    for _ in 0..20_000 {
        cid = forest.add(node(Some(cid), &[]));
    }
    assert_eq!(forest.why(&cid), NodeError::EmptyTop);
    // Below a real top, the chain ends where the top's height says that the lowest level is.
    let high = key(3, 0);
    let root = forest.add(node(Some(cid), &[(&high, None)]));
    assert_eq!(forest.why(&root), NodeError::BelowLeaf);
    let before = "com.example.a/";
    let refused = |result: Result<(), MstError>| {
        assert!(matches!(result, Err(MstError::Node { why: NodeError::BelowLeaf, .. })), "{result:?}");
    };
    refused(get(&mut forest.0, &root, before).map(drop));
    refused(touched_nodes(&mut forest.0, &root, &[&high]).map(drop));
    refused(diff(&mut forest.0, None, &root).map(drop));
    let mut tree = Tree::open(&mut forest.0, &root).unwrap();
    refused(tree.put(&mut forest.0, before, leaf()));
}

#[test]
fn a_missing_node_is_named() {
    let mut forest = Forest::default();
    let root = forest.add(node(Some(leaf()), &[(&key(1, 0), None)]));
    assert_eq!(verify_whole(&mut forest.0, &root), Err(MstError::Missing(leaf())));
    assert_eq!(get(&mut forest.0, &root, "com.example.a/"), Err(MstError::Missing(leaf())));
}

#[test]
fn a_source_that_fails_is_not_a_missing_node() {
    struct Broken;
    impl BlockSource for Broken {
        fn block(&mut self, _: &Cid) -> Result<Option<Bytes>, SourceError> {
            Err(SourceError("disk".to_owned()))
        }
    }
    assert_eq!(get(&mut Broken, &leaf(), "a/b"), Err(MstError::Source(SourceError("disk".to_owned()))));
}

fn many(n: usize) -> BTreeMap<String, Cid> {
    (0..n).map(|n| (format!("com.example.{}/{:08}", ["a", "b", "c"][n % 3], n * 7), leaf())).collect()
}

/// The keys below a node whose subtrees are among the blocks.
fn keys_below(cid: &Cid, block: &Bytes, blocks: &MemoryBlocks) -> Vec<String> {
    assert!(cid.matches(block));
    let node = Node::decode(block).unwrap();
    let below = |cid: &Option<Cid>| cid.map_or_else(Vec::new, |cid| keys_below(&cid, &blocks.0[&cid], blocks));
    let mut keys = below(&node.left);
    for entry in &node.entries {
        keys.push(entry.key.to_string());
        keys.extend(below(&entry.right));
    }
    keys
}

fn built(records: &BTreeMap<String, Cid>) -> (Cid, MemoryBlocks) {
    let mut blocks = MemoryBlocks::default();
    let root = build(records.iter().map(|(key, cid)| (key, *cid)), &mut |built| {
        let (keys, height) = (keys_below(&built.cid, &built.block, &blocks), built.height);
        assert_eq!(built.first.as_deref(), keys.first().map(String::as_str));
        assert!(keys.iter().all(|key| height_of(key) <= height));
        assert!(blocks.0.insert(built.cid, built.block).is_none(), "a node is given once");
    });
    (root.unwrap(), blocks)
}

#[test]
fn building_and_editing_come_to_the_same_tree() {
    for n in [0, 1, 2, 5, 50, 700] {
        let records = many(n);
        let (root, mut blocks) = built(&records);
        let mut tree = Tree::empty();
        for (key, cid) in records.iter().rev() {
            tree.put(&mut MemoryBlocks::default(), key, *cid).unwrap();
        }
        let edited = tree.seal().unwrap();
        assert_eq!(edited.root, root);
        assert_eq!(edited.new_nodes.into_iter().collect::<BTreeMap<_, _>>(), blocks.0.clone().into_iter().collect());
        let shape = verify_whole(&mut blocks, &root).unwrap();
        assert_eq!((shape.records, shape.nodes), (n as u64, blocks.0.len() as u64));
        assert_eq!(root, crate::repo::tests::naive(&records).0);
    }
}

#[test]
fn a_builder_refuses_keys_that_do_not_ascend() {
    let refused = build([("com.example.a/2", leaf()), ("com.example.a/2", leaf())], &mut |_| {});
    assert_eq!(refused, Err(MstError::Unsorted("com.example.a/2".to_owned())));
}

fn steps(mut walk: Walk, blocks: &mut MemoryBlocks) -> (Vec<Cid>, Vec<String>) {
    let (mut nodes, mut keys) = (Vec::new(), Vec::new());
    while let Some(step) = walk.step(blocks).unwrap() {
        match step {
            Step::Node(cid, bytes) => {
                assert!(cid.matches(&bytes));
                nodes.push(cid);
            }
            Step::Entry(key, _) => keys.push(key),
        }
        walk = walk.clone();
    }
    assert_eq!(walk.step(blocks), Ok(None), "the end stays the end");
    (nodes, keys)
}

#[test]
fn a_walk_gives_all_keys_in_order_and_each_node_once() {
    let records = many(500);
    let (root, mut blocks) = built(&records);
    let (nodes, keys) = steps(Walk::new(root), &mut blocks);
    assert_eq!(keys, records.keys().cloned().collect::<Vec<_>>());
    assert_eq!(nodes[0], root);
    assert_eq!((nodes.len(), nodes.iter().collect::<BTreeSet<_>>().len()), (blocks.0.len(), blocks.0.len()));
}

#[test]
fn a_walk_after_a_key_gives_what_follows_and_only_nodes_that_hold_some_of_it() {
    let records = many(120);
    let (root, mut blocks) = built(&records);
    let mut starts: Vec<String> = records.keys().cloned().collect();
    starts.extend(records.keys().map(|key| format!("{key}-")));
    starts.extend(["a/a".to_owned(), "z/z".to_owned()]);
    for start in starts {
        let (nodes, keys) = steps(Walk::after(root, &start), &mut blocks);
        let expected: Vec<String> = records.keys().filter(|key| **key > start).cloned().collect();
        assert_eq!(keys, expected, "after {start}");
        let mut holding = BTreeSet::new();
        for key in &expected {
            holding.extend(path_nodes(&mut blocks, &root, key).unwrap().nodes.into_iter().map(|(cid, _)| cid));
        }
        assert_eq!(nodes.iter().copied().collect::<BTreeSet<_>>(), holding, "after {start}");
        assert_eq!(nodes.len(), holding.len());
    }
}

#[test]
fn a_difference_reads_only_what_differs() {
    struct Counting(MemoryBlocks, usize);
    impl BlockSource for Counting {
        fn block(&mut self, cid: &Cid) -> Result<Option<Bytes>, SourceError> {
            self.1 += 1;
            self.0.block(cid)
        }
    }
    let mut records = many(3_000);
    let (old, mut blocks) = built(&records);
    records.insert("com.example.b/00000001".to_owned(), leaf());
    let (new, more) = built(&records);
    blocks.0.extend(more.0);
    let mut source = Counting(blocks, 0);
    let found = diff(&mut source, Some(&old), &new).unwrap();
    let change = Change { key: "com.example.b/00000001".to_owned(), old: None, new: Some(leaf()) };
    assert_eq!(found.changes, [change]);
    assert!(source.1 < 60, "{} nodes were read", source.1);
    source.1 = 0;
    assert_eq!(diff(&mut source, Some(&old), &old), Ok(Diff::default()));
    assert_eq!(source.1, 0);
}

/// One public vector: a tree, ops on it, the roots and the nodes that the event must hold.
fn check_proof_vector(case: &Value) {
    let texts = |field: &str| -> Vec<String> {
        case[field].as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
    };
    let cid = |field: &str| -> Cid { case[field].as_str().unwrap().parse().unwrap() };
    let value = cid("leafValue");
    let (root, mut blocks) = built(&texts("keys").into_iter().map(|key| (key, value)).collect());
    assert_eq!(root, cid("rootBeforeCommit"));
    let mut tree = Tree::open(&mut blocks, &root).unwrap();
    let (adds, dels) = (texts("adds"), texts("dels"));
    for key in &adds {
        tree.put(&mut blocks, key, value).unwrap();
    }
    for key in &dels {
        assert_eq!(tree.remove(&mut blocks, key).unwrap(), Some(value));
    }
    let edited = tree.seal().unwrap();
    assert_eq!(edited.root, cid("rootAfterCommit"));
    let ops = adds
        .iter()
        .map(|key| (key.as_str(), Action::Create))
        .chain(dels.iter().map(|key| (key.as_str(), Action::Delete)));
    let event = event_nodes(&mut tree, &mut blocks, &edited, ops).unwrap();
    let held: BTreeSet<String> = event.iter().map(|(cid, _)| cid.to_string()).collect();
    let wanted: BTreeSet<String> = texts("blocksInProof").into_iter().collect();
    assert_eq!(held, wanted, "{}", case["comment"]);
    let create = |path| crate::event::CommitOp { action: "create", path, cid: Some(value), prev: None };
    let delete = |path| crate::event::CommitOp { action: "delete", path, cid: None, prev: Some(value) };
    let ops: Vec<_> = adds.iter().map(|key| create(key)).chain(dels.iter().map(|key| delete(key))).collect();
    let mut blocks = MemoryBlocks(event.into_iter().collect());
    assert_eq!(invert(&mut blocks, &edited.root, &ops), Ok(root), "{}", case["comment"]);
}

#[test]
fn the_public_vectors_of_covering_proofs_hold() {
    for case in interop::json("firehose/commit-proof-fixtures.json").iter().flat_map(|cases| cases.as_array().unwrap())
    {
        check_proof_vector(case);
    }
}

#[test]
fn the_public_example_keys_make_one_tree_however_it_is_made() {
    let records: BTreeMap<String, Cid> =
        interop::lines("mst/example_keys.txt").into_iter().map(|key| (key, leaf())).collect();
    let (root, blocks) = built(&records);
    let (naive_root, naive_nodes) = crate::repo::tests::naive(&records);
    assert_eq!(root, naive_root);
    assert_eq!(blocks.0.len(), naive_nodes.len());
}
