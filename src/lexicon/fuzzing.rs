//! Body of the fuzz target `lexicon`: no document and no value may panic or go on for ever, and a value is judged the
//! same in both forms that it has in memory.

use std::sync::Arc;

use super::{Catalog, Definition, Document, Type, check_params, flaw::Place, published, validate::Walk};
use crate::ipld::json::from_json;

struct WithOne(Arc<Document>);

impl Catalog for WithOne {
    fn document(&self, nsid: &str) -> Option<Arc<Document>> {
        if nsid == self.0.id.as_str() { Some(Arc::clone(&self.0)) } else { published().document(nsid) }
    }
}

/// A document on the first line, a value on the second, query parameters on the third.
pub fn lexicon(data: &[u8]) {
    let mut lines = data.splitn(3, |&byte| byte == b'\n');
    let (document, value) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let query = lines.next().unwrap_or_default();
    let Ok(document) = Document::from_json(document) else { return };
    let catalog = WithOne(Arc::new(document));
    let json = serde_json::from_slice::<serde_json::Value>(value);
    for definition in catalog.0.definitions.values() {
        if let Definition::Method(method) = definition {
            let pairs: Vec<_> = url::form_urlencoded::parse(query).collect();
            if let Some(params) = &method.params {
                drop(check_params(&catalog, params, &pairs));
            }
        }
        let Ok(json) = &json else { continue };
        for schema in types(definition) {
            let place = Place::root("Value");
            let judged = Walk::new(&catalog).check(&place, &schema, json);
            if let Ok(value) = from_json(json) {
                assert_eq!(Walk::new(&catalog).check(&place, &schema, &value), judged);
            }
        }
    }
}

/// Every type that a definition describes a value with.
fn types(definition: &Definition) -> Vec<Type> {
    match definition {
        Definition::Type(schema) => vec![schema.clone()],
        Definition::Record(record) => vec![Type::Object(Box::new(record.object.clone()))],
        Definition::Method(method) => {
            [&method.input, &method.output].into_iter().flatten().filter_map(|body| body.schema.clone()).collect()
        }
        Definition::PermissionSet => Vec::new(),
    }
}
