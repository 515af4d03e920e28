//! What is wrong with a value, and where.

use std::fmt;

/// Why a value was not found valid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// It breaks the schema: the reference's words, which begin with the place (`Record/text must be a string`).
    #[error("{0}")]
    Invalid(String),
    /// It cannot be judged: this definition is not known.
    #[error("Lexicon not found: lex:{0}")]
    Unknown(String),
}

impl Flaw {
    /// `<place> <what>`.
    pub(super) fn at(place: &Place<'_>, what: impl fmt::Display) -> Self {
        Self::Invalid(format!("{place} {what}"))
    }
}

/// A place in a value, as a chain up to its root: nothing is allocated until something is wrong.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    above: Option<&'a Self>,
    step: Step<'a>,
    /// Levels below the root.
    pub(super) depth: usize,
}

#[derive(Clone, Copy, Debug)]
enum Step<'a> {
    Name(&'a str),
    Index(usize),
}

impl<'a> Place<'a> {
    pub(super) const fn root(name: &'a str) -> Self {
        Self { above: None, step: Step::Name(name), depth: 0 }
    }

    pub(super) const fn property(&'a self, name: &'a str) -> Self {
        Self { above: Some(self), step: Step::Name(name), depth: self.depth + 1 }
    }

    pub(super) const fn item(&'a self, index: usize) -> Self {
        Self { above: Some(self), step: Step::Index(index), depth: self.depth + 1 }
    }
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(above) = self.above {
            write!(f, "{above}/")?;
        }
        match self.step {
            Step::Name(name) => f.write_str(name),
            Step::Index(index) => write!(f, "{index}"),
        }
    }
}
