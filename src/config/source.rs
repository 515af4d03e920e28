//! From where settings come: flags, environment, file, in this order. Names are checked here, values in [`super::value`].

use std::{
    borrow::Cow,
    collections::BTreeMap,
    io::Read,
    net::SocketAddr,
    ops::Range,
    path::{Path, PathBuf},
};

use toml::de::{DeTable, DeValue};
use url::Url;

use super::{
    ConfigError, Origin, SECTIONS,
    nearest::nearest,
    section::{FILE_SUFFIX, Section},
    value::{Kind, Raw, Refused},
};
use crate::limits::config::{SECRET_FILE_MAX_BYTES, SHOWN_VALUE_CHARS};

/// The beginning of every environment variable that is a setting.
pub(super) const PREFIX: &str = "HOUSEKEY_";

/// What the configuration is made of.
#[derive(Clone, Debug, Default)]
pub struct Source {
    /// The configuration file: its path, for errors, and its text.
    pub file: Option<(PathBuf, String)>,
    /// The environment. Variables that are no settings may be among them.
    pub env: Vec<(String, String)>,
    /// Flags of the command line.
    pub overrides: Overrides,
    /// Whether `public_url` may be plain http on any host, as it may for development.
    pub allow_plain_http: bool,
}

/// Flags of the command line, which win over everything else.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// `--hostname`
    pub hostname: Option<String>,
    /// `--public-url`
    pub public_url: Option<Url>,
    /// `--listen`
    pub listen: Option<SocketAddr>,
    /// `--data-dir`
    pub data_dir: Option<PathBuf>,
}

/// The settings that were given, each from the source that wins, not yet parsed.
pub(super) struct Given(BTreeMap<(&'static str, &'static str), Setting>);

struct Setting {
    raw: Raw,
    /// The text names a file that holds the value.
    in_file: bool,
    origin: Origin,
}

/// The settings of one source: by section and key, with the key itself and `<key>_file` apart.
type Layer = BTreeMap<(&'static str, &'static str, bool), (Raw, Origin)>;

impl Given {
    /// # Errors
    /// When the file is no TOML, a name is unknown, or a secret is given twice in one source.
    pub(super) fn gather(source: Source) -> Result<Self, ConfigError> {
        let mut given = BTreeMap::new();
        let file = source.file.map_or_else(|| Ok(Layer::new()), |(path, text)| file_layer(&path, &text))?;
        for layer in [file, environment_layer(source.env)?, flag_layer(source.overrides)?] {
            for ((section, key, in_file), (raw, origin)) in &layer {
                if *in_file && let Some((_, one)) = layer.get(&(*section, *key, false)) {
                    return Err(ConfigError::GivenTwice {
                        key: format!("{section}.{key}"),
                        one: one.clone(),
                        other: origin.clone(),
                    });
                }
                let setting = Setting { raw: raw.clone(), in_file: *in_file, origin: origin.clone() };
                given.insert((*section, *key), setting);
            }
        }
        Ok(Self(given))
    }

    /// The value of a setting in its final type, if it was given.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`], or [`ConfigError::Unreadable`] for a secret's file.
    pub(super) fn read<K: Kind>(&self, section: &str, key: &str) -> Result<Option<K::Value>, ConfigError> {
        let Some(setting) = self.setting(section, key) else { return Ok(None) };
        let name = format!("{section}.{key}");
        let raw = if setting.in_file { Cow::Owned(secret_file(&name, setting)?) } else { Cow::Borrowed(&setting.raw) };
        K::from_raw(&raw).map(Some).map_err(|refused| invalid::<K>(name, setting.origin.clone(), &raw, refused))
    }

    /// The value of a default's text.
    ///
    /// # Errors
    /// When the setting that the default was made from does not serve for it.
    pub(super) fn default_of<K: Kind>(
        section: &str,
        key: &str,
        text: &(impl AsRef<str> + ?Sized),
    ) -> Result<K::Value, ConfigError> {
        let raw = Raw::Plain(text.as_ref().to_owned());
        K::from_raw(&raw).map_err(|refused| invalid::<K>(format!("{section}.{key}"), Origin::Default, &raw, refused))
    }

    /// An error about a setting that is good alone, but not together with others.
    pub(super) fn conflict(&self, section: &str, key: &str, problem: impl Into<String>) -> ConfigError {
        let origin = self.setting(section, key).map_or(Origin::Default, |setting| setting.origin.clone());
        ConfigError::Conflict { key: format!("{section}.{key}"), origin, problem: problem.into() }
    }

    /// # Errors
    /// When one of two settings that only make sense together is missing.
    pub(super) fn together(&self, section: &str, one: &str, other: &str) -> Result<(), ConfigError> {
        let (lonely, missing) = match (self.setting(section, one), self.setting(section, other)) {
            (Some(_), None) => (one, other),
            (None, Some(_)) => (other, one),
            (Some(_), Some(_)) | (None, None) => return Ok(()),
        };
        Err(self.conflict(section, lonely, format!("is set, but {section}.{missing} is not: set both or neither")))
    }

    fn setting(&self, section: &str, key: &str) -> Option<&Setting> {
        self.0.iter().find(|((s, k), _)| *s == section && *k == key).map(|(_, setting)| setting)
    }
}

/// The section, key and whether it is `<key>_file`, for an environment variable that may be a setting; none for others.
///
/// # Errors
/// When the section is known and the key is not.
pub(super) fn variable(name: &str) -> Result<Option<(&'static str, &'static str, bool)>, ConfigError> {
    let Some(rest) = name.strip_prefix(PREFIX) else { return Ok(None) };
    for section in SECTIONS {
        let prefix = format!("{}_", section.name.to_ascii_uppercase());
        let Some(key) = rest.strip_prefix(&prefix) else { continue };
        if let Some(found) = known_name(section, key, str::to_ascii_uppercase) {
            return Ok(Some(found));
        }
        let names: Vec<_> = section.names().map(|name| name.to_ascii_uppercase()).collect();
        let near = nearest(key, names.iter().map(String::as_str)).unwrap_or_default();
        return Err(ConfigError::Unknown {
            name: format!("{}.{}", section.name, key.to_ascii_lowercase()),
            origin: Origin::Variable(name.to_owned()),
            hint: format!("the nearest is {PREFIX}{prefix}{near}"),
        });
    }
    Ok(None)
}

fn known_name(
    section: &'static Section,
    given: &str,
    spelt: fn(&str) -> String,
) -> Option<(&'static str, &'static str, bool)> {
    section.keys.iter().find_map(|key| {
        if spelt(key.name) == given {
            return Some((section.name, key.name, false));
        }
        let is_file = key.secret && spelt(&format!("{}{FILE_SUFFIX}", key.name)) == given;
        is_file.then_some((section.name, key.name, true))
    })
}

fn environment_layer(env: Vec<(String, String)>) -> Result<Layer, ConfigError> {
    let mut layer = Layer::new();
    for (name, value) in env {
        if let Some(known) = variable(&name)? {
            layer.insert(known, (Raw::Plain(value), Origin::Variable(name)));
        }
    }
    Ok(layer)
}

fn flag_layer(overrides: Overrides) -> Result<Layer, ConfigError> {
    let data_dir = overrides
        .data_dir
        .map(|path| path.into_os_string().into_string())
        .transpose()
        .map_err(|_| ConfigError::NotText(Origin::Flag("--data-dir").to_string()))?;
    let flags = [
        ("hostname", "--hostname", overrides.hostname),
        ("public_url", "--public-url", overrides.public_url.map(String::from)),
        ("listen", "--listen", overrides.listen.map(|address| address.to_string())),
        ("data_dir", "--data-dir", data_dir),
    ];
    let given = flags.into_iter().filter_map(|(key, flag, text)| {
        text.map(|text| (("server", key, false), (Raw::Plain(text), Origin::Flag(flag))))
    });
    Ok(given.collect())
}

fn file_layer(path: &Path, text: &str) -> Result<Layer, ConfigError> {
    let line = |span: &Range<usize>| text.bytes().take(span.start).filter(|byte| *byte == b'\n').count() + 1;
    let at = |span: &Range<usize>| Origin::Line(path.to_owned(), line(span));
    let document = DeTable::parse(text).map_err(|cause| ConfigError::Toml {
        path: path.to_owned(),
        line: cause.span().as_ref().map_or(1, line),
        // Without the excerpt that its full text shows, which may be a secret.
        message: cause.message().to_owned(),
    })?;
    let mut layer = Layer::new();
    for (name, value) in document.get_ref() {
        let (origin, written) = (at(&name.span()), name.get_ref().as_ref());
        let Some(section) = SECTIONS.iter().copied().find(|section| section.name == written) else {
            return Err(unknown_section(written, value.get_ref(), origin));
        };
        let DeValue::Table(keys) = value.get_ref() else {
            let hint =
                format!("{written} is a section: write [{written}] on a line of its own, and its settings below");
            return Err(ConfigError::Unknown { name: written.to_owned(), origin, hint });
        };
        for (key, value) in keys {
            let (origin, key) = (at(&key.span()), key.get_ref().as_ref());
            let known =
                known_name(section, key, str::to_owned).ok_or_else(|| unknown_key(section, key, origin.clone()))?;
            layer.insert(known, (Raw::from_toml(value.get_ref()), origin));
        }
    }
    Ok(layer)
}

fn unknown_section(name: &str, value: &DeValue<'_>, origin: Origin) -> ConfigError {
    let home = SECTIONS.iter().find(|section| section.knows(name)).filter(|_| !value.is_table());
    let hint = if let Some(section) = home {
        format!("it belongs under [{}]", section.name)
    } else {
        let near = nearest(name, SECTIONS.iter().map(|section| section.name)).unwrap_or_default();
        format!("the nearest section is [{near}]")
    };
    ConfigError::Unknown { name: name.to_owned(), origin, hint }
}

fn unknown_key(section: &Section, key: &str, origin: Origin) -> ConfigError {
    let hint = if let Some(other) = SECTIONS.iter().find(|other| other.knows(key)) {
        format!("{key} belongs under [{}]", other.name)
    } else {
        let names: Vec<_> = section.names().collect();
        let near = nearest(key, names.iter().map(String::as_str)).unwrap_or_default();
        format!("the nearest is {}.{near}", section.name)
    };
    ConfigError::Unknown { name: format!("{}.{key}", section.name), origin, hint }
}

/// The content of the file that holds a secret, without its final newline.
fn secret_file(key: &str, setting: &Setting) -> Result<Raw, ConfigError> {
    let what = format!("{key}{FILE_SUFFIX}");
    let Some(path) = setting.raw.text().filter(|path| !path.is_empty()) else {
        return Err(ConfigError::Invalid {
            key: what,
            origin: setting.origin.clone(),
            given: setting.raw.describe(),
            needed: "the path of a file is needed".to_owned(),
        });
    };
    let path = PathBuf::from(path);
    match read_text(&path, SECRET_FILE_MAX_BYTES) {
        Ok(text) => {
            let text = text.strip_suffix('\n').map_or(text.as_str(), |line| line.strip_suffix('\r').unwrap_or(line));
            Ok(Raw::Plain(text.to_owned()))
        }
        Err(cause) => {
            Err(ConfigError::Unreadable { what: format!("{what} ({}): the file", setting.origin), path, cause })
        }
    }
}

/// The text of a file of at most `max` bytes.
pub(super) fn read_text(path: &Path, max: u64) -> std::io::Result<String> {
    let mut text = String::new();
    std::fs::File::open(path)?.take(max + 1).read_to_string(&mut text)?;
    if u64::try_from(text.len()).is_ok_and(|bytes| bytes <= max) {
        Ok(text)
    } else {
        Err(std::io::Error::new(std::io::ErrorKind::FileTooLarge, format!("it has more than {max} bytes")))
    }
}

fn invalid<K: Kind>(key: String, origin: Origin, raw: &Raw, Refused(why): Refused) -> ConfigError {
    let mut given = if K::SECRET { "is not valid".to_owned() } else { raw.describe() };
    if let Some((end, _)) = given.char_indices().nth(SHOWN_VALUE_CHARS) {
        given.truncate(end);
        given.push('…');
    }
    let why = why.map_or_else(String::new, |why| format!(" ({why})"));
    ConfigError::Invalid { key, origin, given, needed: format!("{} is needed{why}", K::expected()) }
}
