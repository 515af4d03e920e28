//! How a section is written: one list of keys, from which come the struct, the reading, the check of names in file and
//! environment, and what `config check --json` shows.

use serde_json::Value;

use super::value::Kind;

/// A section of the file, as far as names go.
#[derive(Debug)]
pub(super) struct Section {
    pub(super) name: &'static str,
    pub(super) keys: &'static [Key],
}

/// A key of a section.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) name: &'static str,
    /// May also be given as `<name>_file`, and is never shown.
    pub(super) secret: bool,
}

impl Section {
    /// Every name that may stand in the section, `<key>_file` of secrets included.
    pub(super) fn names(&self) -> impl Iterator<Item = String> {
        self.keys.iter().flat_map(|key| {
            let file = key.secret.then(|| format!("{}{FILE_SUFFIX}", key.name));
            std::iter::once(key.name.to_owned()).chain(file)
        })
    }

    pub(super) fn knows(&self, name: &str) -> bool {
        self.names().any(|known| known == name)
    }
}

/// What is put after a secret's key to name a file that holds it.
pub(super) const FILE_SUFFIX: &str = "_file";

/// The value as `config check --json` shows it.
pub(super) fn shown<K: Kind>(value: &K::Value) -> Value {
    if K::SECRET { Value::from("***") } else { K::show(value) }
}

/// Declares a section: the struct, its `SECTION`, `read` and `show`.
///
/// A field is `name: Type as Kind = rule;` with the key in quotes before it where the key is named otherwise. The rules
/// are `required`, `optional` (the type is an `Option`) and `default(text)`; the text is read like one of the environment
/// and may be made from fields above, or from the sections that are named as arguments.
macro_rules! section {
    (
        $(#[$about:meta])*
        $name:ident = $section:literal ($($from:ident: &$From:ty)?) {
            $($(#[$doc:meta])* $($key:literal)? $field:ident: $type:ty as $kind:ty = $rule:ident $(($default:expr))?;)*
        }
    ) => {
        $(#[$about])*
        #[derive(Clone)]
        pub struct $name {
            $($(#[$doc])* pub $field: $type,)*
        }

        impl $name {
            pub(super) const SECTION: $crate::config::section::Section = $crate::config::section::Section {
                name: $section,
                keys: &[$($crate::config::section::Key {
                    name: $crate::config::section::section!(@key $field $($key)?),
                    secret: <$kind as $crate::config::value::Kind>::SECRET,
                }),*],
            };

            pub(super) fn read(
                given: &$crate::config::source::Given $(, $from: &$From)?
            ) -> Result<Self, $crate::config::ConfigError> {
                $(let $field: $type = $crate::config::section::section!(
                    @$rule given, $section, $crate::config::section::section!(@key $field $($key)?), $kind $(, $default)?
                );)*
                Ok(Self { $($field),* })
            }

            pub(super) fn show(&self) -> serde_json::Value {
                let mut shown = serde_json::Map::new();
                $(shown.insert(
                    $crate::config::section::section!(@key $field $($key)?).to_owned(),
                    $crate::config::section::section!(@show $rule &self.$field, $kind),
                );)*
                shown.into()
            }
        }
    };
    (@key $field:ident) => { stringify!($field) };
    (@key $field:ident $key:literal) => { $key };
    (@required $given:ident, $section:literal, $key:expr, $kind:ty) => {
        $given.read::<$kind>($section, $key)?.ok_or($crate::config::ConfigError::MissingHostname)?
    };
    (@optional $given:ident, $section:literal, $key:expr, $kind:ty) => { $given.read::<$kind>($section, $key)? };
    (@default $given:ident, $section:literal, $key:expr, $kind:ty, $default:expr) => {
        match $given.read::<$kind>($section, $key)? {
            Some(value) => value,
            None => $crate::config::source::Given::default_of::<$kind>($section, $key, &$default)?,
        }
    };
    (@show optional $value:expr, $kind:ty) => {
        $value.as_ref().map_or(serde_json::Value::Null, $crate::config::section::shown::<$kind>)
    };
    (@show $rule:ident $value:expr, $kind:ty) => { $crate::config::section::shown::<$kind>($value) };
}
pub(super) use section;
