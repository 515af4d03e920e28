//! An ordered walk through a tree that can stop anywhere and go on later.

use bytes::Bytes;

use super::{
    Key, MstError, NodeEntry,
    node::{Place, load},
};
use crate::{ipld::Cid, repo::BlockSource};

/// One step of a walk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A node, before its entries.
    Node(Cid, Bytes),
    /// An entry: key and record CID.
    Entry(String, Cid),
}

/// An ordered walk that can stop anywhere and go on later (its state holds no blocks of the source's). Its memory is one
/// decoded node for each level of the tree.
#[derive(Clone, Debug)]
pub struct Walk {
    start: Option<Start>,
    stack: Vec<Frame>,
    /// How many frames at the bottom of the stack were given as [`Step::Node`] already.
    announced: usize,
}

/// Where a walk begins.
#[derive(Clone, Debug)]
struct Start {
    root: Cid,
    after: Option<Key>,
}

/// A node that the walk is in.
#[derive(Clone, Debug)]
struct Frame {
    cid: Cid,
    place: Place,
    height: u8,
    entries: Vec<NodeEntry>,
    left: Option<Cid>,
    /// Its block, until it is announced.
    bytes: Option<Bytes>,
    next: Next,
}

/// What comes next in a node: the entry at an index, or the subtree before it.
#[derive(Clone, Copy, Debug)]
enum Next {
    Gap(usize),
    Entry(usize),
}

impl Walk {
    /// From the first key.
    pub fn new(root: Cid) -> Self {
        Self::starting(root, None)
    }

    /// Entries greater than `after` only; nodes that hold none of them are skipped.
    pub fn after(root: Cid, after: &str) -> Self {
        Self::starting(root, Some(Key::from(after)))
    }

    /// The next step; `None` at the end.
    ///
    /// # Errors
    /// [`MstError`] when a node is missing or malformed. The walk may be asked again: it goes on at the same place.
    pub fn step(&mut self, blocks: &mut dyn BlockSource) -> Result<Option<Step>, MstError> {
        if let Some(start) = &self.start {
            self.stack = seek(blocks, start)?;
            self.start = None;
        }
        loop {
            if let Some(frame) = self.stack.get_mut(self.announced) {
                self.announced += 1;
                if let Some(bytes) = frame.bytes.take() {
                    return Ok(Some(Step::Node(frame.cid, bytes)));
                }
            }
            let Some(frame) = self.stack.last_mut() else { return Ok(None) };
            match frame.next {
                Next::Gap(index) => {
                    let child = frame.child(blocks, index)?;
                    frame.next = Next::Entry(index);
                    self.stack.extend(child);
                }
                Next::Entry(index) => {
                    if let Some(entry) = frame.entries.get(index) {
                        frame.next = Next::Gap(index + 1);
                        return Ok(Some(Step::Entry(entry.key.as_ref().to_owned(), entry.value)));
                    }
                    self.stack.pop();
                    self.announced = self.announced.min(self.stack.len());
                }
            }
        }
    }

    fn starting(root: Cid, after: Option<Key>) -> Self {
        Self { start: Some(Start { root, after }), stack: Vec::new(), announced: 0 }
    }
}

impl Frame {
    fn read(blocks: &mut dyn BlockSource, cid: &Cid, place: Place) -> Result<Self, MstError> {
        let placed = load(blocks, cid, &place)?;
        Ok(Self {
            cid: placed.cid,
            place,
            height: placed.height,
            entries: placed.node.entries,
            left: placed.node.left,
            bytes: Some(placed.bytes),
            next: Next::Gap(0),
        })
    }

    /// The link in a gap.
    fn link(&self, index: usize) -> Option<&Cid> {
        match self.entries.get(..index).and_then(<[_]>::last) {
            Some(entry) => entry.right.as_ref(),
            None => self.left.as_ref(),
        }
    }

    /// The frame of the subtree in a gap.
    fn child(&self, blocks: &mut dyn BlockSource, index: usize) -> Result<Option<Self>, MstError> {
        let Some(cid) = self.link(index) else { return Ok(None) };
        let place = self.place.below(self.height, index, |at| self.entries.get(at).map(|entry| entry.key.clone()));
        Self::read(blocks, cid, place).map(Some)
    }

    /// Whether nothing of the node itself comes any more.
    fn is_done(&self) -> bool {
        match self.next {
            Next::Entry(index) => index >= self.entries.len(),
            Next::Gap(index) => index >= self.entries.len() && self.link(index).is_none(),
        }
    }
}

/// The frames from the root to the first entry greater than the start's key; those below it that hold none are left out.
fn seek(blocks: &mut dyn BlockSource, start: &Start) -> Result<Vec<Frame>, MstError> {
    let mut stack = vec![Frame::read(blocks, &start.root, Place::default())?];
    let Some(after) = &start.after else { return Ok(stack) };
    while let Some(frame) = stack.last_mut() {
        match frame.entries.binary_search_by(|entry| entry.key.cmp(after)) {
            Ok(at) => {
                frame.next = Next::Gap(at + 1);
                break;
            }
            Err(gap) => {
                frame.next = Next::Entry(gap);
                match frame.child(blocks, gap)? {
                    Some(child) => stack.push(child),
                    None => break,
                }
            }
        }
    }
    while stack.last().is_some_and(Frame::is_done) {
        stack.pop();
    }
    Ok(stack)
}
