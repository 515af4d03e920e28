//! Compiled schemas.

use std::collections::HashMap;

use crate::syntax::Nsid;

/// One schema document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Its name.
    pub id: Nsid,
    pub(super) definitions: HashMap<String, Definition>,
}

/// A named definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Definition {
    /// Records of the collection that has the document's name.
    Record(Record),
    /// A method of the document's name.
    Method(Method),
    /// Permissions that can be asked for together. What it holds is checked when it is read and not kept.
    PermissionSet,
    /// A type that others refer to.
    Type(Type),
}

/// A kind of records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// What its keys must be.
    pub key: KeyKind,
    /// What the records must be.
    pub object: Object,
}

/// What record keys must be. Spec: <https://atproto.com/specs/record-key>.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// Any key.
    Any,
    /// A TID.
    Tid,
    /// An NSID.
    Nsid,
    /// This very key.
    Literal(String),
}

/// A method.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Method {
    /// Which kind.
    pub kind: MethodKind,
    /// Its query parameters.
    pub params: Option<Object>,
    /// The request body of a procedure.
    pub input: Option<Body>,
    /// The answer's body.
    pub output: Option<Body>,
}

/// Kinds of methods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MethodKind {
    /// GET.
    Query,
    /// POST.
    Procedure,
    /// WebSocket.
    Subscription,
}

/// A body of a request or an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    /// Its media type, or a pattern.
    pub encoding: String,
    /// What it holds, if it is JSON that has a schema.
    pub schema: Option<Type>,
}

/// What a value must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Type {
    /// Null.
    Null,
    /// A boolean; with `Some`, this one.
    Boolean(Option<bool>),
    /// An integer.
    Integer(Box<Integer>),
    /// Text.
    Text(Box<Text>),
    /// Bytes; the length counts them.
    Bytes(Lengths),
    /// A link.
    Link,
    /// A reference to a blob.
    Blob(Box<Blob>),
    /// A list.
    List(Box<List>),
    /// A map with properties.
    Object(Box<Object>),
    /// A name that stands for itself, given in full.
    Token(String),
    /// What another definition says.
    Reference(Reference),
    /// One of several definitions, by the value's `$type`.
    Union(Box<Union>),
    /// Any map that is no blob.
    Unknown,
}

/// An integer's constraints.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Integer {
    pub(super) constant: Option<i64>,
    pub(super) one_of: Option<Vec<i64>>,
    pub(super) minimum: Option<i64>,
    pub(super) maximum: Option<i64>,
}

/// Least and most of something, both included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lengths {
    pub(super) min: Option<usize>,
    pub(super) max: Option<usize>,
}

/// A text's constraints.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text {
    pub(super) format: Option<super::format::Format>,
    pub(super) constant: Option<String>,
    pub(super) one_of: Option<Vec<String>>,
    /// In bytes of UTF-8.
    pub(super) bytes: Lengths,
    /// In grapheme clusters.
    pub(super) graphemes: Lengths,
}

/// A blob's constraints.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Blob {
    /// Media types, or patterns that end in `/*`.
    pub(super) accept: Option<Vec<String>>,
    /// In bytes.
    pub(super) max_size: Option<i64>,
}

/// A list's constraints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List {
    pub(super) items: Type,
    pub(super) lengths: Lengths,
}

/// Properties, the shorter names first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Object {
    pub(super) properties: Vec<Property>,
}

/// A property of an object. Others than those listed are never looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Property {
    pub(super) name: String,
    pub(super) schema: Type,
    pub(super) required: bool,
    pub(super) nullable: bool,
    /// Absent is as good as present: there is a value that stands for it.
    pub(super) has_default: bool,
}

/// Which definition is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// The document.
    pub nsid: String,
    /// The definition in it.
    pub name: String,
}

/// Alternatives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Union {
    pub(super) references: Vec<Reference>,
    /// Whether there are no others.
    pub(super) closed: bool,
}

/// The name of a document's first definition.
pub(super) const MAIN: &str = "main";

impl Document {
    /// A definition by its name.
    pub fn definition(&self, name: &str) -> Option<&Definition> {
        self.definitions.get(name)
    }

    /// The kind of records that it defines, if it does.
    pub fn record(&self) -> Option<&Record> {
        if let Some(Definition::Record(record)) = self.definition(MAIN) { Some(record) } else { None }
    }

    /// The method that it defines, if it does.
    pub fn method(&self) -> Option<&Method> {
        if let Some(Definition::Method(method)) = self.definition(MAIN) { Some(method) } else { None }
    }
}

impl Reference {
    /// Whether a `$type` means this definition: the first one may be named or not.
    pub(super) fn is(&self, type_name: &str) -> bool {
        match type_name.split_once('#') {
            Some((nsid, name)) => nsid == self.nsid && name == self.name,
            None => type_name == self.nsid && self.name == MAIN,
        }
    }
}

impl std::fmt::Display for Reference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.name == MAIN { f.write_str(&self.nsid) } else { write!(f, "{}#{}", self.nsid, self.name) }
    }
}
