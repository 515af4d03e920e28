//! From the settings of the reference PDS (`pds.env`) to a `housekey.toml`. Pure.

use std::{collections::BTreeMap, path::Path};

use crate::crypto::Secret;

/// Milliseconds in a second, and in an hour: the reference counts in milliseconds.
const SECOND_MS: u64 = 1_000;
const HOUR_MS: u64 = 3_600_000;

/// The port of the reference's container, which its proxy knows.
const CONTAINER_PORT: &str = "3000";

/// Settings that say where the reference keeps what it keeps: they are read, but mean nothing afterwards.
const PLACES: &[&str] = &[
    "PDS_DATA_DIRECTORY",
    "PDS_ACCOUNT_DB_LOCATION",
    "PDS_SEQUENCER_DB_LOCATION",
    "PDS_DID_CACHE_DB_LOCATION",
    "PDS_ACTOR_STORE_DIRECTORY",
    "PDS_ACTOR_STORE_CACHE_SIZE",
    "PDS_SQLITE_DISABLE_WAL_AUTO_CHECKPOINT",
    "PDS_BLOBSTORE_DISK_LOCATION",
    "PDS_BLOBSTORE_DISK_TMP_LOCATION",
    "PDS_VERSION",
];

/// How a value is written.
#[derive(Clone, Copy)]
enum Form {
    Text,
    /// A comma-separated list.
    List,
    /// A number of so many times that unit, rounded up.
    Number(u64),
    Flag,
    /// In a file of its own.
    Secret,
}

use Form::{Flag, List, Number, Secret as Hidden, Text};

/// What becomes of each setting: section, key, form.
const TAKEN: &[(&str, &str, &str, Form)] = &[
    ("PDS_HOSTNAME", "server", "hostname", Text),
    ("PDS_SERVICE_DID", "server", "service_did", Text),
    ("PDS_DID_PLC_URL", "identity", "plc_url", Text),
    ("PDS_SERVICE_HANDLE_DOMAINS", "identity", "handle_domains", List),
    ("PDS_PLC_ROTATION_KEY_K256_PRIVATE_KEY_HEX", "identity", "rotation_key", Hidden),
    ("PDS_RECOVERY_DID_KEY", "identity", "recovery_did_key", Text),
    ("PDS_DID_CACHE_STALE_TTL", "identity", "did_cache_stale_seconds", Number(SECOND_MS)),
    ("PDS_DID_CACHE_MAX_TTL", "identity", "did_cache_max_seconds", Number(SECOND_MS)),
    ("PDS_INVITE_REQUIRED", "accounts", "invite_required", Flag),
    ("PDS_INVITE_INTERVAL", "accounts", "invite_interval_seconds", Number(SECOND_MS)),
    ("PDS_ADMIN_PASSWORD", "admin", "password", Hidden),
    ("PDS_JWT_SECRET", "secrets", "jwt_secret", Hidden),
    ("PDS_EMAIL_SMTP_URL", "email", "smtp_url", Hidden),
    ("PDS_EMAIL_FROM_ADDRESS", "email", "from", Text),
    ("PDS_RATE_LIMITS_ENABLED", "limits", "enabled", Flag),
    ("PDS_BLOB_UPLOAD_LIMIT", "limits", "blob_bytes", Number(1)),
    ("PDS_MAX_REPO_IMPORT_SIZE", "limits", "import_bytes", Number(1)),
    ("PDS_BSKY_APP_VIEW_URL", "services", "appview_url", Text),
    ("PDS_BSKY_APP_VIEW_DID", "services", "appview_did", Text),
    ("PDS_BSKY_APP_VIEW_CDN_URL_PATTERN", "services", "appview_cdn_url_pattern", Text),
    ("PDS_MOD_SERVICE_URL", "services", "moderation_url", Text),
    ("PDS_MOD_SERVICE_DID", "services", "moderation_did", Text),
    ("PDS_REPORT_SERVICE_URL", "services", "report_url", Text),
    ("PDS_REPORT_SERVICE_DID", "services", "report_did", Text),
    ("PDS_CRAWLERS", "services", "crawlers", List),
    ("PDS_REPO_BACKFILL_LIMIT_MS", "firehose", "backfill_hours", Number(HOUR_MS)),
    ("PDS_DISABLE_SSRF_PROTECTION", "outbound", "allow_private_addresses", Flag),
    ("PDS_CONTACT_EMAIL_ADDRESS", "links", "contact_email", Text),
    ("PDS_TERMS_OF_SERVICE_URL", "links", "terms", Text),
    ("PDS_PRIVACY_POLICY_URL", "links", "privacy", Text),
];

/// The reference's settings by name.
#[derive(Clone, Debug, Default)]
pub(super) struct Environment(BTreeMap<String, Secret>);

/// A setting as it is written.
enum Written {
    /// A TOML value.
    Value(String),
    /// The name of the file.
    File,
}

/// What becomes of the settings.
pub(super) struct Settings {
    /// Section → (key, value), in the order of the sections.
    sections: BTreeMap<&'static str, Vec<(&'static str, Written)>>,
    /// What goes into files of its own: name and content.
    pub(super) secrets: Vec<(&'static str, Secret)>,
    /// Names of settings that have a place here.
    pub(super) taken: Vec<String>,
    /// Names of settings that have none.
    pub(super) not_taken: Vec<String>,
}

/// What is wrong with the settings.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsFault {
    /// A line that is no setting.
    #[error("line {0} is not of the form NAME=value")]
    Line(usize),
    /// A value of another form.
    #[error("{0} is not {1}")]
    Value(&'static str, &'static str),
    /// Needed and not there.
    #[error("{0} is not set")]
    Missing(&'static str),
    /// The rotation key is where it cannot be taken from.
    #[error(
        "the PLC rotation key is in AWS KMS (PDS_PLC_ROTATION_KEY_KMS_KEY_ID): Housekey cannot sign with it, so it could \
         not change any identity of this server"
    )]
    Kms,
    /// The accounts are kept by another server.
    #[error("the accounts of this server are kept by an entryway (PDS_ENTRYWAY_URL), not in its own database")]
    Entryway,
}

impl Environment {
    /// From the text of an environment file: `NAME=value`, with or without `export` and quotes; `#` begins a comment line.
    ///
    /// # Errors
    /// [`SettingsFault::Line`].
    pub(super) fn parse(text: &str) -> Result<Self, SettingsFault> {
        let mut variables = BTreeMap::new();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let line = line.strip_prefix("export ").unwrap_or(line);
            let (name, value) = line.split_once('=').ok_or(SettingsFault::Line(number + 1))?;
            let name = name.trim();
            if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
                return Err(SettingsFault::Line(number + 1));
            }
            let value = unquoted(value.trim());
            // An empty value is none, as for the reference.
            if value.is_empty() {
                variables.remove(name);
            } else {
                variables.insert(name.to_owned(), Secret::new(value));
            }
        }
        Ok(Self(variables))
    }

    /// The value of a variable.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(Secret::expose)
    }

    /// What becomes of the settings.
    ///
    /// # Errors
    /// [`SettingsFault`]: one is missing, malformed or beyond what can be taken over.
    pub(super) fn settings(&self) -> Result<Settings, SettingsFault> {
        if self.get("PDS_ENTRYWAY_URL").is_some() {
            return Err(SettingsFault::Entryway);
        }
        if self.get("PDS_PLC_ROTATION_KEY_KMS_KEY_ID").is_some() {
            return Err(SettingsFault::Kms);
        }
        for needed in ["PDS_HOSTNAME", "PDS_PLC_ROTATION_KEY_K256_PRIVATE_KEY_HEX", "PDS_JWT_SECRET"] {
            self.get(needed).ok_or(SettingsFault::Missing(needed))?;
        }
        let mut settings =
            Settings { sections: BTreeMap::new(), secrets: Vec::new(), taken: Vec::new(), not_taken: Vec::new() };
        for (name, section, key, form) in TAKEN.iter().copied() {
            let Some(value) = self.get(name) else { continue };
            let written = match form {
                Text => Written::Value(quoted(value)),
                List => Written::Value(list(value)),
                Number(unit) => {
                    let number: u64 = value.parse().map_err(|_| SettingsFault::Value(name, "a whole number"))?;
                    Written::Value(number.div_ceil(unit).to_string())
                }
                Flag => Written::Value(flag(name, value)?.to_string()),
                Hidden => {
                    settings.secrets.push((key, Secret::new(value)));
                    Written::File
                }
            };
            settings.sections.entry(section).or_default().push((key, written));
            settings.taken.push(name.to_owned());
        }
        self.address(&mut settings);
        let known = |name: &str| PLACES.contains(&name) || settings.taken.iter().any(|taken| taken == name);
        let not_taken = self.0.keys().filter(|name| name.starts_with("PDS_") && !known(name)).cloned().collect();
        settings.not_taken = not_taken;
        Ok(settings)
    }

    /// Port and address, and what the development mode means.
    fn address(&self, settings: &mut Settings) {
        let port = self.get("PDS_PORT").unwrap_or(CONTAINER_PORT);
        let server = settings.sections.entry("server").or_default();
        // As the reference: on every address of the machine.
        server.push(("listen", Written::Value(quoted(&format!("0.0.0.0:{port}")))));
        if self.get("PDS_HOSTNAME") == Some("localhost") {
            server.push(("public_url", Written::Value(quoted(&format!("http://localhost:{port}")))));
        }
        settings.taken.extend(self.get("PDS_PORT").map(|_| "PDS_PORT".to_owned()));
        if self.get("PDS_DISABLE_SSRF_PROTECTION").is_none() && matches!(self.get("PDS_DEV_MODE"), Some("true" | "1")) {
            let value = Written::Value("true".to_owned());
            settings.sections.entry("outbound").or_default().push(("allow_private_addresses", value));
        }
        settings.taken.extend(self.get("PDS_DEV_MODE").map(|_| "PDS_DEV_MODE".to_owned()));
    }
}

impl Settings {
    /// The text of `housekey.toml` for data in `data_dir`, with the secrets' files in `secrets_dir`.
    pub(super) fn toml(&self, data_dir: &Path, secrets_dir: &Path) -> String {
        let mut lines = vec!["# Taken over from a reference PDS by `housekey adopt`.".to_owned()];
        for (section, keys) in &self.sections {
            lines.push(format!("\n[{section}]"));
            for (key, written) in keys {
                lines.push(match written {
                    Written::Value(value) => format!("{key} = {value}"),
                    Written::File => format!("{key}_file = {}", quoted(&secrets_dir.join(key).to_string_lossy())),
                });
            }
            if *section == "server" {
                lines.push(format!("data_dir = {}", quoted(&data_dir.to_string_lossy())));
            }
        }
        lines.join("\n") + "\n"
    }
}

fn unquoted(value: &str) -> &str {
    for quote in ['"', '\''] {
        if let Some(inner) = value.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote)) {
            return inner;
        }
    }
    value
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

fn list(text: &str) -> String {
    let items: Vec<String> = text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(quoted).collect();
    format!("[{}]", items.join(", "))
}

fn flag(name: &'static str, value: &str) -> Result<bool, SettingsFault> {
    match value {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err(SettingsFault::Value(name, "true or false")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Source};

    const KEY: &str = "8c5e2a0b0d7f6c1f2e3d4c5b6a79887766554433221100ffeeddccbbaa998877";

    fn minimal(more: &str) -> Environment {
        let text = format!(
            "PDS_HOSTNAME=pds.example.com\nPDS_JWT_SECRET=0123456789abcdef0123456789abcdef\n\
             PDS_PLC_ROTATION_KEY_K256_PRIVATE_KEY_HEX={KEY}\n{more}"
        );
        Environment::parse(&text).unwrap()
    }

    fn loaded(environment: &Environment) -> (Config, Settings) {
        let settings = environment.settings().unwrap();
        let dir = tempfile::tempdir().unwrap();
        for (name, secret) in &settings.secrets {
            std::fs::write(dir.path().join(name), secret.expose()).unwrap();
        }
        let text = settings.toml(Path::new("/srv/house"), dir.path());
        let source = Source { file: Some((dir.path().join("housekey.toml"), text)), ..Source::default() };
        (Config::load(source).unwrap().0, settings)
    }

    #[test]
    fn the_settings_of_a_self_hoster_become_a_configuration_that_loads() {
        let (config, settings) = loaded(&minimal(
            "PDS_ADMIN_PASSWORD=hunter\nPDS_DATA_DIRECTORY=/pds\nPDS_BLOBSTORE_DISK_LOCATION=/pds/blocks\n\
             PDS_BLOB_UPLOAD_LIMIT=104857600\nPDS_DID_PLC_URL=https://plc.directory\n\
             PDS_BSKY_APP_VIEW_URL=https://api.bsky.app\nPDS_BSKY_APP_VIEW_DID=did:web:api.bsky.app\n\
             PDS_CRAWLERS=https://bsky.network, https://relay.example\nLOG_ENABLED=true\nPDS_RATE_LIMITS_ENABLED=true\n\
             PDS_EMAIL_SMTP_URL=smtps://u:p@mail.example.com:465/\nPDS_EMAIL_FROM_ADDRESS=admin@example.com\n\
             PDS_REPO_BACKFILL_LIMIT_MS=90000000\nPDS_SERVICE_NAME=\"My house\"",
        ));
        assert_eq!(config.server.public_url.as_str(), "https://pds.example.com/");
        assert_eq!(config.server.listen.to_string(), "0.0.0.0:3000", "where the reference's proxy looks for it");
        assert_eq!(config.server.data_dir, Path::new("/srv/house"));
        assert_eq!(config.admin.password.unwrap().expose(), "hunter");
        assert_eq!(config.services.crawlers.len(), 2);
        assert_eq!(config.firehose.backfill, std::time::Duration::from_hours(25));
        assert_eq!(settings.not_taken, ["PDS_SERVICE_NAME"]);
        assert!(!settings.toml(Path::new("/a"), Path::new("/b")).contains("hunter"), "secrets are in files");
    }

    #[test]
    fn names_values_and_quotes_are_read_as_environment_files_have_them() {
        let environment = Environment::parse(
            "# a comment\n\nexport A='x y'\nB=\"q\"\n  C = 1=2 \nD=\nE=old\nE=new\nPDS_F=#no comment\n",
        )
        .unwrap();
        let get = |name| environment.get(name).unwrap_or("none");
        assert_eq!(
            [get("A"), get("B"), get("C"), get("D"), get("E"), get("PDS_F")],
            ["x y", "q", "1=2", "none", "new", "#no comment"]
        );
        assert_eq!(Environment::parse("A=1\nnonsense").unwrap_err(), SettingsFault::Line(2));
        assert_eq!(Environment::parse("A B=1").unwrap_err(), SettingsFault::Line(1));
    }

    #[test]
    fn a_value_cannot_break_out_of_its_place() {
        let (config, _) = loaded(&minimal(
            "PDS_CONTACT_EMAIL_ADDRESS=a@b.example\nPDS_TERMS_OF_SERVICE_URL=https://x.example/\"a'\n",
        ));
        assert!(config.links.terms.is_some());
        let text = minimal("PDS_SERVICE_DID=x\"\\nhostname = \"evil").settings().unwrap();
        let text = text.toml(Path::new("/a"), Path::new("/b"));
        let parsed: toml::Table = text.parse().unwrap();
        assert_eq!(parsed["server"]["hostname"].as_str(), Some("pds.example.com"));
    }

    #[test]
    fn what_cannot_be_taken_over_is_refused_by_name() {
        let fault = |more| minimal(more).settings().err();
        assert_eq!(fault("PDS_ENTRYWAY_URL=https://x.example"), Some(SettingsFault::Entryway));
        assert_eq!(fault("PDS_PLC_ROTATION_KEY_KMS_KEY_ID=arn"), Some(SettingsFault::Kms));
        assert_eq!(fault("PDS_HOSTNAME="), Some(SettingsFault::Missing("PDS_HOSTNAME")));
        assert_eq!(
            fault("PDS_BLOB_UPLOAD_LIMIT=5mb"),
            Some(SettingsFault::Value("PDS_BLOB_UPLOAD_LIMIT", "a whole number"))
        );
        assert_eq!(
            fault("PDS_INVITE_REQUIRED=yes"),
            Some(SettingsFault::Value("PDS_INVITE_REQUIRED", "true or false"))
        );
    }

    #[test]
    fn a_server_on_this_machine_stays_there() {
        let (config, _) = loaded(&minimal("PDS_HOSTNAME=localhost\nPDS_PORT=2583\nPDS_DEV_MODE=true"));
        assert_eq!(config.server.public_url.as_str(), "http://localhost:2583/");
        assert!(config.outbound.allow_private_addresses);
    }
}
