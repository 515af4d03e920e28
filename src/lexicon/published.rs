//! The schemas that the program carries: those that `@atproto/api` publishes, and Housekey's own. Each is compiled when
//! it is needed for the first time.

use std::{
    borrow::Cow,
    collections::HashMap,
    sync::{Arc, LazyLock, OnceLock},
};

use rust_embed::RustEmbed;

use super::{Catalog, Document};

/// One document per line; `assets/lexicons/update.mjs` writes these files.
const FAMILIES: [&str; 5] = [
    include_str!("../../assets/lexicons/published/com.atproto.jsonl"),
    include_str!("../../assets/lexicons/published/app.bsky.jsonl"),
    include_str!("../../assets/lexicons/published/chat.bsky.jsonl"),
    include_str!("../../assets/lexicons/published/tools.ozone.jsonl"),
    include_str!("../../assets/lexicons/published/com.germnetwork.jsonl"),
];

/// Housekey's own, a file each.
#[derive(RustEmbed)]
#[folder = "$CARGO_MANIFEST_DIR/assets/lexicons/dev"]
struct Own;

/// What Housekey's own names begin with.
const OWN_PREFIX: &str = "dev.housekey.";

/// The documents that the program carries, by name.
#[derive(Debug)]
pub struct Published {
    documents: HashMap<String, Carried>,
}

#[derive(Debug)]
struct Carried {
    text: Cow<'static, [u8]>,
    compiled: OnceLock<Option<Arc<Document>>>,
}

static PUBLISHED: LazyLock<Published> = LazyLock::new(|| {
    let lines = FAMILIES.iter().flat_map(|family| family.lines());
    let lines = lines.filter_map(|line| Some((id_of(line)?.to_owned(), Cow::Borrowed(line.as_bytes()))));
    // The path of one's own is its name: `housekey/delegation/defs.json` is `dev.housekey.delegation.defs`.
    let own = Own::iter().filter_map(|path| {
        let name = path.strip_suffix(".json")?.replace('/', ".");
        Some((format!("dev.{name}"), Own::get(&path)?.data))
    });
    let carried = lines.chain(own).map(|(id, text)| (id, Carried { text, compiled: OnceLock::new() }));
    Published { documents: carried.collect() }
});

/// The one instance.
pub fn published() -> &'static Published {
    &PUBLISHED
}

impl Published {
    /// All names, in no order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.documents.keys().map(String::as_str)
    }

    /// The text of one of Housekey's own documents, with its descriptions.
    pub fn own_text(&self, nsid: &str) -> Option<&[u8]> {
        self.documents.get(nsid).filter(|_| nsid.starts_with(OWN_PREFIX)).map(|carried| &*carried.text)
    }

    /// A document, for as long as the program runs.
    pub fn get(&self, nsid: &str) -> Option<&Arc<Document>> {
        let carried = self.documents.get(nsid)?;
        carried.compiled.get_or_init(|| compile(&carried.text)).as_ref()
    }
}

impl Catalog for Published {
    fn document(&self, nsid: &str) -> Option<Arc<Document>> {
        self.get(nsid).cloned()
    }
}

/// The document's name, which is its first property but for the version.
fn id_of(text: &str) -> Option<&str> {
    text.split_once("\"id\":")?.1.split('"').nth(1)
}

fn compile(text: &[u8]) -> Option<Arc<Document>> {
    match Document::from_json(text) {
        Ok(document) => Some(Arc::new(document)),
        Err(cause) => {
            tracing::error!(%cause, "a schema that the program carries is not valid");
            None
        }
    }
}
