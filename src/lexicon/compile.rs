//! From a document as a value to its compiled form, with errors that name the place.

use std::collections::HashMap;

use super::{
    flaw::Place,
    format::Format,
    schema::{
        Blob, Body, Definition, Document, Integer, KeyKind, Lengths, List, MAIN, Method, MethodKind, Object, Property,
        Record, Reference, Text, Type, Union,
    },
};
use crate::{
    ipld::{Map, Value, json::from_json},
    limits::lexicon::{DOCUMENT_MAX_BYTES, TYPE_MAX_DEPTH},
    syntax::Nsid,
};

/// Why a document is no schema: one sentence that begins with the place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct DocumentError(String);

type Compiled<T> = Result<T, DocumentError>;

impl DocumentError {
    fn at(place: &Place<'_>, what: impl std::fmt::Display) -> Self {
        Self(format!("{place} {what}"))
    }
}

impl Document {
    /// Compiles JSON text of at most [`DOCUMENT_MAX_BYTES`].
    ///
    /// # Errors
    /// [`DocumentError`].
    pub fn from_json(text: &[u8]) -> Compiled<Self> {
        if text.len() > DOCUMENT_MAX_BYTES {
            return Err(DocumentError(format!("the schema has more than {DOCUMENT_MAX_BYTES} bytes")));
        }
        let json: serde_json::Value =
            serde_json::from_slice(text).map_err(|cause| DocumentError(format!("the schema is not JSON: {cause}")))?;
        let value = from_json(&json).map_err(|cause| DocumentError(cause.to_string()))?;
        Self::from_value(&value)
    }

    /// Compiles a document, or a record of `com.atproto.lexicon.schema`, which is one with a `$type`.
    ///
    /// # Errors
    /// [`DocumentError`].
    pub fn from_value(value: &Value) -> Compiled<Self> {
        let root = Place::root("schema");
        let map = map_of(&root, value)?;
        if map.get("lexicon") != Some(&Value::Int(1)) {
            return Err(DocumentError::at(&root.property("lexicon"), "must be 1"));
        }
        let id: Nsid = text(&root, map, "id")?
            .ok_or_else(|| missing(&root, "id"))?
            .parse()
            .map_err(|cause| DocumentError::at(&root.property("id"), format_args!("is no NSID: {cause}")))?;
        let at = root.property("defs");
        let defs = map_of(&at, map.get("defs").ok_or_else(|| missing(&root, "defs"))?)?;
        let compiler = Compiler { id: &id };
        let mut definitions = HashMap::with_capacity(defs.len());
        for (name, value) in defs.iter() {
            let definition = compiler.definition(&at.property(name), name, value)?;
            definitions.insert(name.to_owned(), definition);
        }
        Ok(Self { id, definitions })
    }
}

/// Knows the document that references without a name are about.
struct Compiler<'a> {
    id: &'a Nsid,
}

impl Compiler<'_> {
    fn definition(&self, at: &Place<'_>, name: &str, value: &Value) -> Compiled<Definition> {
        let map = map_of(at, value)?;
        let kind = type_of(at, map)?;
        let is_first = name == MAIN;
        Ok(match kind {
            "record" | "query" | "procedure" | "subscription" | "permission-set" if !is_first => {
                return Err(DocumentError::at(at, format_args!("is a {kind}, which only \"main\" may be")));
            }
            "record" => Definition::Record(self.record(at, map)?),
            "query" => Definition::Method(self.method(at, map, MethodKind::Query)?),
            "procedure" => Definition::Method(self.method(at, map, MethodKind::Procedure)?),
            "subscription" => Definition::Method(self.subscription(at, map)?),
            "permission-set" => permission_set(at, map)?,
            "token" => Definition::Type(Type::Token(
                Reference { nsid: self.id.to_string(), name: name.to_owned() }.to_string(),
            )),
            // Definitions that only point elsewhere would let a chain of them never reach a value.
            "ref" | "union" | "unknown" => {
                return Err(DocumentError::at(at, format_args!("is a {kind}, which cannot have a name")));
            }
            _ => Definition::Type(self.schema(at, value)?),
        })
    }

    fn record(&self, at: &Place<'_>, map: &Map) -> Compiled<Record> {
        let key = match text(at, map, "key")? {
            None | Some("any") => KeyKind::Any,
            Some("tid") => KeyKind::Tid,
            Some("nsid") => KeyKind::Nsid,
            Some(other) => match other.strip_prefix("literal:") {
                Some(literal) if !literal.is_empty() => KeyKind::Literal(literal.to_owned()),
                _ => {
                    let what = "must be \"tid\", \"nsid\", \"any\" or \"literal:\" with a key";
                    return Err(DocumentError::at(&at.property("key"), what));
                }
            },
        };
        let inner = at.property("record");
        let record = map_of(&inner, map.get("record").ok_or_else(|| missing(at, "record"))?)?;
        if type_of(&inner, record)? != "object" {
            return Err(DocumentError::at(&inner, "must have the type \"object\""));
        }
        Ok(Record { key, object: self.object(&inner, record)? })
    }

    fn method(&self, at: &Place<'_>, map: &Map, kind: MethodKind) -> Compiled<Method> {
        let inner = at.property("parameters");
        let params = map.get("parameters").map(|params| self.params(&inner, params)).transpose()?;
        let body = |name: &str| map.get(name).map(|value| self.body(&at.property(name), value)).transpose();
        let input = if kind == MethodKind::Procedure { body("input")? } else { None };
        let output = if kind == MethodKind::Subscription { None } else { body("output")? };
        Ok(Method { kind, params, input, output })
    }

    fn subscription(&self, at: &Place<'_>, map: &Map) -> Compiled<Method> {
        let inner = at.property("message");
        let message = map_of(&inner, map.get("message").ok_or_else(|| missing(at, "message"))?)?;
        let schema = message.get("schema").ok_or_else(|| missing(&inner, "schema"))?;
        if !matches!(self.schema(&inner.property("schema"), schema)?, Type::Union(_)) {
            return Err(DocumentError::at(&inner.property("schema"), "must be a union"));
        }
        self.method(at, map, MethodKind::Subscription)
    }

    fn params(&self, at: &Place<'_>, value: &Value) -> Compiled<Object> {
        let map = map_of(at, value)?;
        if type_of(at, map)? != "params" {
            return Err(DocumentError::at(at, "must have the type \"params\""));
        }
        let object = self.object(at, map)?;
        for property in &object.properties {
            let is_simple =
                |schema: &Type| matches!(schema, Type::Boolean(_) | Type::Integer(_) | Type::Text(_) | Type::Unknown);
            let fits = if let Type::List(list) = &property.schema {
                is_simple(&list.items)
            } else {
                is_simple(&property.schema)
            };
            if !fits {
                let what = "must be a boolean, an integer, a string or an array of them";
                return Err(DocumentError::at(&at.property("properties").property(&property.name), what));
            }
        }
        Ok(object)
    }

    fn body(&self, at: &Place<'_>, value: &Value) -> Compiled<Body> {
        let map = map_of(at, value)?;
        let encoding = text(at, map, "encoding")?.ok_or_else(|| missing(at, "encoding"))?.to_owned();
        let inner = at.property("schema");
        let schema = map.get("schema").map(|schema| self.schema(&inner, schema)).transpose()?;
        if schema.as_ref().is_some_and(|it| !matches!(it, Type::Object(_) | Type::Reference(_) | Type::Union(_))) {
            return Err(DocumentError::at(&inner, "must be an object, a ref or a union"));
        }
        Ok(Body { encoding, schema })
    }

    fn schema(&self, at: &Place<'_>, value: &Value) -> Compiled<Type> {
        if at.depth > TYPE_MAX_DEPTH {
            return Err(DocumentError(format!("a definition nests more than {TYPE_MAX_DEPTH} levels deep")));
        }
        let map = map_of(at, value)?;
        Ok(match type_of(at, map)? {
            "null" => Type::Null,
            "boolean" => Type::Boolean(boolean(at, map, "const")?),
            "integer" => Type::Integer(Box::new(integer_schema(at, map)?)),
            "string" => Type::Text(Box::new(text_schema(at, map)?)),
            "bytes" => Type::Bytes(lengths(at, map, "minLength", "maxLength")?),
            "cid-link" => Type::Link,
            "blob" => {
                Type::Blob(Box::new(Blob { accept: texts(at, map, "accept")?, max_size: integer(at, map, "maxSize")? }))
            }
            "array" => {
                let items = map.get("items").ok_or_else(|| missing(at, "items"))?;
                let items = self.schema(&at.property("items"), items)?;
                Type::List(Box::new(List { items, lengths: lengths(at, map, "minLength", "maxLength")? }))
            }
            "object" => Type::Object(Box::new(self.object(at, map)?)),
            "ref" => {
                let reference = text(at, map, "ref")?.ok_or_else(|| missing(at, "ref"))?;
                Type::Reference(self.reference(&at.property("ref"), reference)?)
            }
            "union" => {
                let inner = at.property("refs");
                let references = texts(at, map, "refs")?.ok_or_else(|| missing(at, "refs"))?;
                let references = references.iter().map(|one| self.reference(&inner, one)).collect::<Result<_, _>>()?;
                let closed = boolean(at, map, "closed")?.unwrap_or(false);
                Type::Union(Box::new(Union { references, closed }))
            }
            "unknown" => Type::Unknown,
            other => {
                let other: String = other.chars().take(64).collect();
                return Err(DocumentError::at(at, format_args!("has the type \"{other}\", which is not known here")));
            }
        })
    }

    fn object(&self, at: &Place<'_>, map: &Map) -> Compiled<Object> {
        let inner = at.property("properties");
        let none = Value::Map(Map::new());
        let listed = map_of(&inner, map.get("properties").unwrap_or(&none))?;
        let required = texts(at, map, "required")?.unwrap_or_default();
        let nullable = texts(at, map, "nullable")?.unwrap_or_default();
        if let Some(absent) = required.iter().find(|name| !listed.contains_key(name)) {
            return Err(DocumentError::at(at, format_args!("requires \"{absent}\", which is no property of it")));
        }
        let mut properties = Vec::with_capacity(listed.len());
        let (required, nullable) = (as_set(&required), as_set(&nullable));
        for (name, value) in listed.iter() {
            properties.push(Property {
                name: name.to_owned(),
                schema: self.schema(&inner.property(name), value)?,
                required: required.contains(name),
                nullable: nullable.contains(name),
                has_default: value.get("default").is_some_and(|default| !default.is_null()),
            });
        }
        Ok(Object { properties })
    }

    fn reference(&self, at: &Place<'_>, reference: &str) -> Compiled<Reference> {
        let (nsid, name) = reference.split_once('#').unwrap_or((reference, MAIN));
        let nsid = if nsid.is_empty() { self.id.as_str() } else { nsid };
        if name.is_empty() || name.contains('#') || nsid.parse::<Nsid>().is_err() {
            return Err(DocumentError::at(
                at,
                "must be an NSID, with \"#\" and the name of a definition behind it or not",
            ));
        }
        Ok(Reference { nsid: nsid.to_owned(), name: name.to_owned() })
    }
}

fn permission_set(at: &Place<'_>, map: &Map) -> Compiled<Definition> {
    let inner = at.property("permissions");
    let Some(Value::List(permissions)) = map.get("permissions") else {
        return Err(DocumentError::at(&inner, "must be a list"));
    };
    for (index, permission) in permissions.iter().enumerate() {
        let one = inner.item(index);
        let permission = map_of(&one, permission)?;
        if type_of(&one, permission)? != "permission" || text(&one, permission, "resource")?.is_none_or(str::is_empty) {
            return Err(DocumentError::at(&one, "must have the type \"permission\" and a resource"));
        }
    }
    Ok(Definition::PermissionSet)
}

fn integer_schema(at: &Place<'_>, map: &Map) -> Compiled<Integer> {
    let one_of = match map.get("enum") {
        None => None,
        Some(Value::List(items)) => Some(items.iter().map(Value::as_int).collect::<Option<Vec<_>>>()),
        Some(_) => Some(None),
    };
    if one_of == Some(None) {
        return Err(DocumentError::at(&at.property("enum"), "must be a list of integers"));
    }
    integer(at, map, "default")?;
    Ok(Integer {
        constant: integer(at, map, "const")?,
        one_of: one_of.flatten(),
        minimum: integer(at, map, "minimum")?,
        maximum: integer(at, map, "maximum")?,
    })
}

fn text_schema(at: &Place<'_>, map: &Map) -> Compiled<Text> {
    let format = match text(at, map, "format")? {
        None => None,
        Some(name) => Some(Format::named(name).ok_or_else(|| {
            let name: String = name.chars().take(64).collect();
            DocumentError::at(&at.property("format"), format_args!("is \"{name}\", which is not known here"))
        })?),
    };
    texts(at, map, "knownValues")?;
    text(at, map, "default")?;
    Ok(Text {
        format,
        constant: text(at, map, "const")?.map(str::to_owned),
        one_of: texts(at, map, "enum")?,
        bytes: lengths(at, map, "minLength", "maxLength")?,
        graphemes: lengths(at, map, "minGraphemes", "maxGraphemes")?,
    })
}

fn lengths(at: &Place<'_>, map: &Map, min: &str, max: &str) -> Compiled<Lengths> {
    let length = |name: &str| {
        let found = integer(at, map, name)?;
        found
            .map(usize::try_from)
            .transpose()
            .map_err(|_| DocumentError::at(&at.property(name), "must not be negative"))
    };
    Ok(Lengths { min: length(min)?, max: length(max)? })
}

fn as_set(names: &[String]) -> std::collections::HashSet<&str> {
    names.iter().map(String::as_str).collect()
}

fn missing(at: &Place<'_>, name: &str) -> DocumentError {
    DocumentError::at(at, format_args!("must have \"{name}\""))
}

fn map_of<'v>(at: &Place<'_>, value: &'v Value) -> Compiled<&'v Map> {
    value.as_map().ok_or_else(|| DocumentError::at(at, "must be an object"))
}

fn type_of<'v>(at: &Place<'_>, map: &'v Map) -> Compiled<&'v str> {
    text(at, map, "type")?.ok_or_else(|| missing(at, "type"))
}

fn text<'v>(at: &Place<'_>, map: &'v Map, name: &str) -> Compiled<Option<&'v str>> {
    let wrong = || DocumentError::at(&at.property(name), "must be a text");
    map.get(name).map(|value| value.as_text().ok_or_else(wrong)).transpose()
}

fn integer(at: &Place<'_>, map: &Map, name: &str) -> Compiled<Option<i64>> {
    let wrong = || DocumentError::at(&at.property(name), "must be an integer");
    map.get(name).map(|value| value.as_int().ok_or_else(wrong)).transpose()
}

fn boolean(at: &Place<'_>, map: &Map, name: &str) -> Compiled<Option<bool>> {
    let wrong = || DocumentError::at(&at.property(name), "must be true or false");
    map.get(name).map(|value| value.as_bool().ok_or_else(wrong)).transpose()
}

fn texts(at: &Place<'_>, map: &Map, name: &str) -> Compiled<Option<Vec<String>>> {
    let wrong = || DocumentError::at(&at.property(name), "must be a list of texts");
    let Some(value) = map.get(name) else { return Ok(None) };
    let items = value.as_list().ok_or_else(wrong)?.iter().map(|item| item.as_text().map(str::to_owned));
    items.collect::<Option<_>>().ok_or_else(wrong).map(Some)
}
