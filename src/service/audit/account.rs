//! One account: records → tree → nodes → commit, and what is indexed beside them.

use std::{collections::HashSet, io::Read as _};

use sha2::{Digest as _, Sha256};

use super::{Audit, Blobs};
use crate::{
    crypto::DidKey,
    ipld::{Cid, Codec, cbor},
    limits::store::AUDIT_BLOB_BYTES,
    repo::{Commit, Head, mst},
    service::{import::blobs_of, records::backlinks},
    store::{AuditAccount, AuditCollection, AuditFile, AuditNode, AuditReader, AuditRecord, StoreError},
};

/// Audits one account in one snapshot.
pub(super) fn audit(
    reader: &AuditReader,
    account: &AuditAccount,
    blobs: Blobs,
    found: &mut Audit,
) -> Result<(), StoreError> {
    reader.begin()?;
    let outcome = Auditor { reader, account, found }.all(blobs);
    reader.end()?;
    outcome
}

struct Auditor<'a> {
    reader: &'a AuditReader,
    account: &'a AuditAccount,
    found: &'a mut Audit,
}

impl Auditor<'_> {
    fn problem(&mut self, place: impl std::fmt::Display, what: impl std::fmt::Display) {
        self.found.problem(format_args!("{} {place}", self.account.did), what);
    }

    fn all(&mut self, blobs: Blobs) -> Result<(), StoreError> {
        // Gone since the accounts were listed: nothing to say about it.
        let Some(at) = self.reader.head(self.account.id)? else { return Ok(()) };
        self.commit(&at.head, &at.block);
        let mut expected = HashSet::new();
        let root = self.records(&at.head, &mut expected)?;
        if root != at.head.data {
            self.problem("tree", format!("the records make {root}, the commit names {}", at.head.data));
        }
        self.nodes(expected)?;
        self.blobs(blobs)
    }

    fn commit(&mut self, head: &Head, block: &[u8]) {
        if Cid::of_cbor(block) != head.commit {
            return self.problem("commit", format!("its bytes are not those of {}", head.commit));
        }
        let commit = match Commit::decode(block) {
            Ok(commit) => commit,
            Err(cause) => return self.problem("commit", cause),
        };
        let unsigned = &commit.unsigned;
        if unsigned.did != self.account.did || unsigned.rev != head.rev || unsigned.data != head.data {
            self.problem("commit", "it does not say what the repository's row says");
        }
        match self.account.signing_key.parse::<DidKey>() {
            Ok(key) => {
                if let Err(cause) = commit.verify(&key) {
                    self.problem("commit", cause);
                }
            }
            Err(cause) => self.problem("repository key", cause),
        }
    }

    /// Checks every record and builds the tree that they make; `expected` gets its nodes. Its root.
    fn records(&mut self, head: &Head, expected: &mut HashSet<Cid>) -> Result<Cid, StoreError> {
        let mut builder = mst::Builder::new();
        let collections = self.reader.collections(self.account.id)?;
        let listed = self.reader.listed_collections(self.account.id)?;
        if !collections.iter().map(|collection| &collection.nsid).eq(&listed) {
            self.problem("collections", "those listed are not those of the records");
        }
        for collection in &collections {
            let mut after = None;
            loop {
                let page = self.reader.records(self.account.id, collection, after.as_ref())?;
                let Some(last) = page.last() else { break };
                after = Some(last.rkey.clone());
                for record in &page {
                    let path = format!("{}/{}", collection.nsid, record.rkey);
                    self.record(head, collection, record, &path);
                    let mut note = |built: mst::Built| {
                        expected.insert(built.cid);
                    };
                    if let Err(cause) = builder.push(&path, record.cid, &mut note) {
                        self.problem(&path, cause);
                    }
                }
            }
        }
        Ok(builder.finish(&mut |built| {
            expected.insert(built.cid);
        }))
    }

    fn record(&mut self, head: &Head, collection: &AuditCollection, record: &AuditRecord, path: &str) {
        self.found.records += 1;
        if Cid::of_cbor(&record.value) != record.cid {
            self.problem(path, format!("its bytes are not those of {}", record.cid));
        }
        if record.rev > head.rev {
            self.problem(path, format!("its revision {} is after the repository's {}", record.rev, head.rev));
        }
        let value = match cbor::decode(&record.value) {
            Ok(value) => value,
            Err(cause) => return self.problem(path, cause),
        };
        if !record.has_links(&backlinks(&collection.nsid, &value)) {
            self.problem(path, "the index of links does not say what the record says");
        }
        if !record.has_blobs(&blobs_of(&value)) {
            self.problem(path, "the index of blobs does not say what the record says");
        }
    }

    /// Checks that the stored nodes are the expected ones, each with its bytes and at its place.
    fn nodes(&mut self, mut expected: HashSet<Cid>) -> Result<(), StoreError> {
        let mut last: Option<AuditNode> = None;
        // What the node before says comes next: its left subtree, at the same smallest key.
        let mut left: Option<Cid> = None;
        loop {
            let page = self.reader.nodes(self.account.id, last.as_ref())?;
            if page.is_empty() {
                break;
            }
            for node in page {
                self.found.nodes += 1;
                let place = format!("node {}@{}", node.first, node.height);
                if Cid::of_cbor(&node.block) != node.cid {
                    self.problem(&place, format!("its bytes are not those of {}", node.cid));
                }
                if !expected.remove(&node.cid) {
                    self.problem(&place, "no tree uses it");
                }
                if left.is_some_and(|left| left != node.cid) {
                    self.problem(&place, "it stands where another node's left subtree should");
                }
                left = self.place(&node, &place);
                last = Some(node);
            }
        }
        for missing in expected {
            self.problem("tree", format!("node {missing} is missing"));
        }
        Ok(())
    }

    /// Checks that a node is where its own keys say; answers its left subtree.
    fn place(&mut self, node: &AuditNode, place: &str) -> Option<Cid> {
        match mst::Node::decode(&node.block) {
            Ok(decoded) => {
                let first = decoded.entries.first();
                if decoded.left.is_none() && first.is_some_and(|entry| *entry.key != *node.first) {
                    self.problem(place, "its smallest key is another one");
                }
                if decoded.height().ok().flatten().is_some_and(|height| height != node.height) {
                    self.problem(place, "its keys have another height");
                }
                decoded.left
            }
            Err(cause) => {
                self.problem(place, cause);
                None
            }
        }
    }

    fn blobs(&mut self, blobs: Blobs) -> Result<(), StoreError> {
        let mut after = None;
        loop {
            let page = self.reader.blobs(self.account.id, after.as_ref())?;
            let Some(last) = page.last() else { break };
            after = Some(last.cid);
            for blob in &page {
                self.found.blobs += 1;
                let uses = self.reader.blob_uses(self.account.id, &blob.cid)?;
                if blob.permanent != (uses > 0) {
                    self.problem(
                        format_args!("blob {}", blob.cid),
                        format!("{uses} records use it, which its row denies"),
                    );
                }
                match self.reader.blob_file(&blob.cid)? {
                    AuditFile::Missing => self.problem(format_args!("blob {}", blob.cid), "its file is missing"),
                    AuditFile::Present { size } if size != blob.size => {
                        self.problem(
                            format_args!("blob {}", blob.cid),
                            format!("its file has {size} bytes, not {}", blob.size),
                        );
                    }
                    AuditFile::Present { .. } if blobs == Blobs::Read => self.read_blob(&blob.cid)?,
                    AuditFile::Present { .. } => {}
                }
            }
        }
        self.found.missing_blobs += self.reader.missing_blobs(self.account.id)?;
        Ok(())
    }

    fn read_blob(&mut self, cid: &Cid) -> Result<(), StoreError> {
        let mut file = self.reader.open_blob(cid)?;
        let mut hasher = Sha256::new();
        let mut buffer = vec![0; AUDIT_BLOB_BYTES];
        loop {
            let read = file.read(&mut buffer).map_err(|cause| StoreError::File(cause.to_string()))?;
            if read == 0 {
                break;
            }
            hasher.update(buffer.get(..read).unwrap_or_default());
        }
        if Cid::new(Codec::Raw, hasher.finalize().into()) != *cid {
            self.problem(format_args!("blob {cid}"), "its file holds something else");
        }
        Ok(())
    }
}
