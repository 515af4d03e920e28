//! The schemas that the program carries: those that `@atproto/api` publishes, and Housekey's own. Each is compiled when
//! it is needed for the first time.

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock, OnceLock},
};

use super::{Catalog, Document};

/// One document per line; `assets/lexicons/update.mjs` writes these files.
const FAMILIES: [&str; 5] = [
    include_str!("../../assets/lexicons/published/com.atproto.jsonl"),
    include_str!("../../assets/lexicons/published/app.bsky.jsonl"),
    include_str!("../../assets/lexicons/published/chat.bsky.jsonl"),
    include_str!("../../assets/lexicons/published/tools.ozone.jsonl"),
    include_str!("../../assets/lexicons/published/com.germnetwork.jsonl"),
];

macro_rules! own {
    ($($file:literal)*) => {
        [$(include_str!(concat!("../../assets/lexicons/dev/housekey/", $file, ".json"))),*]
    };
}

/// Housekey's own.
const OWN: [&str; 13] = own! {
    "admin/getRelayStatus"
    "admin/requestCrawl"
    "delegation/createDelegation"
    "delegation/data"
    "delegation/defs"
    "delegation/deleteDelegation"
    "delegation/getAssociatedData"
    "delegation/getDelegation"
    "delegation/listDelegations"
    "delegation/putAssociatedData"
    "delegation/requestDelegationToken"
    "delegation/statement"
    "delegation/updateDelegation"
};

/// What Housekey's own names begin with.
const OWN_PREFIX: &str = "dev.housekey.";

/// The documents that the program carries, by name.
#[derive(Debug)]
pub struct Published {
    documents: HashMap<&'static str, Carried>,
}

#[derive(Debug)]
struct Carried {
    text: &'static str,
    compiled: OnceLock<Option<Arc<Document>>>,
}

static PUBLISHED: LazyLock<Published> = LazyLock::new(|| {
    let lines = FAMILIES.iter().flat_map(|family| family.lines());
    let named = lines.chain(OWN).filter_map(|text| Some((id_of(text)?, text)));
    let carried = named.map(|(id, text)| (id, Carried { text, compiled: OnceLock::new() }));
    Published { documents: carried.collect() }
});

/// The one instance.
pub fn published() -> &'static Published {
    &PUBLISHED
}

impl Published {
    /// All names, in no order.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.documents.keys().copied()
    }

    /// The text of one of Housekey's own documents, with its descriptions.
    pub fn own_text(&self, nsid: &str) -> Option<&'static str> {
        self.documents.get(nsid).filter(|_| nsid.starts_with(OWN_PREFIX)).map(|carried| carried.text)
    }

    /// A document, for as long as the program runs.
    pub fn get(&self, nsid: &str) -> Option<&Arc<Document>> {
        let carried = self.documents.get(nsid)?;
        carried.compiled.get_or_init(|| compile(carried.text)).as_ref()
    }
}

impl Catalog for Published {
    fn document(&self, nsid: &str) -> Option<Arc<Document>> {
        self.get(nsid).cloned()
    }
}

/// The document's name, which is its first property but for the version.
fn id_of(text: &'static str) -> Option<&'static str> {
    text.split_once("\"id\":")?.1.split('"').nth(1)
}

fn compile(text: &str) -> Option<Arc<Document>> {
    match Document::from_json(text.as_bytes()) {
        Ok(document) => Some(Arc::new(document)),
        Err(cause) => {
            tracing::error!(%cause, "a schema that the program carries is not valid");
            None
        }
    }
}
