//! Tests of the configuration as a whole.

use std::time::Duration;

use super::*;

const HOST: &str = "[server]\nhostname = \"pds.example.com\"\n";
const HEX: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn example() -> String {
    std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/config.example.toml")).unwrap()
}

fn file(text: &str) -> Source {
    Source { file: Some((PathBuf::from("test.toml"), text.to_owned())), ..Source::default() }
}

fn with_env(text: &str, env: &[(&str, &str)]) -> Source {
    let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Source { env, ..file(text) }
}

fn load(source: Source) -> Config {
    Config::load(source).unwrap().0
}

fn env(name: &str, value: &str) -> Config {
    load(with_env(HOST, &[(name, value)]))
}

fn refusal(source: Source) -> String {
    Config::load(source).unwrap_err().to_string()
}

/// The refusal of a value in the environment.
fn refused(name: &str, value: &str) -> String {
    refusal(with_env(HOST, &[(name, value)]))
}

fn warnings(source: Source) -> Vec<&'static str> {
    Config::load(source).unwrap().1.into_iter().map(|warning| warning.key).collect()
}

mod example {
    use super::*;

    /// The key of a line, and whether it stands behind a `#`.
    fn key_of(line: &str) -> Option<(&str, bool)> {
        let (key, _) = line.strip_prefix("# ").unwrap_or(line).split_once(" = ")?;
        let is_key = key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        is_key.then_some((key, line.starts_with('#')))
    }

    fn keys() -> Vec<(String, String, bool)> {
        let mut section = String::new();
        let mut keys = Vec::new();
        for line in example().lines() {
            if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                name.clone_into(&mut section);
            } else if let Some((key, commented)) = key_of(line) {
                keys.push((section.clone(), key.to_owned(), commented));
            }
        }
        keys
    }

    #[test]
    fn has_exactly_the_defaults() {
        assert_eq!(load(file(&example())).redacted(), load(file(HOST)).redacted());
    }

    #[test]
    fn has_every_key_once_and_in_its_section() {
        let mut found: Vec<_> = keys().into_iter().map(|(section, key, _)| (section, key)).collect();
        let names = |section: &Section| section.keys.iter().map(|key| key.name).collect::<Vec<_>>();
        let mut known: Vec<_> = SECTIONS
            .iter()
            .flat_map(|section| names(section).into_iter().map(|key| (section.name.to_owned(), key.to_owned())))
            .collect();
        found.sort();
        known.sort();
        assert_eq!(found, known);
    }

    #[test]
    fn has_good_values_behind_its_comments_too_and_those_that_follow_from_others_are_what_would_follow() {
        let is_secret = |key: &str| SECTIONS.iter().any(|s| s.keys.iter().any(|k| k.name == key && k.secret));
        let opened = |wanted: &dyn Fn(&str) -> bool| -> String {
            let open = |line: &str| match key_of(line) {
                Some((key, true)) if wanted(key) => line.trim_start_matches("# ").to_owned() + "\n",
                _ => line.to_owned() + "\n",
            };
            example().lines().map(open).collect()
        };
        let all = opened(&|key| !is_secret(key) && !matches!(key, "recovery_did_key" | "extra_ca_file" | "from"));
        let config = load(file(&all));
        assert_eq!(config.server.version, "1.0");
        assert_eq!(config.services.known().moderation.unwrap().url.as_str(), "https://mod.bsky.app/");
        assert_eq!(config.links.contact_email.as_deref(), Some("admin@example.com"));
        let derived = opened(&|key| matches!(key, "public_url" | "service_did" | "handle_domains" | "dir"));
        assert_ne!(derived, example());
        assert_eq!(load(file(&derived)).redacted(), load(file(HOST)).redacted());
    }

    #[test]
    fn spells_out_every_default_that_does_not_follow_from_other_settings() {
        let defaults = load(file(HOST)).redacted();
        for (section, key, commented) in keys() {
            let derived = matches!(key.as_str(), "public_url" | "service_did" | "version" | "handle_domains" | "dir");
            assert_eq!(commented, derived || defaults[&section][&key].is_null(), "{section}.{key}");
        }
    }
}

mod defaults {
    use super::*;

    #[test]
    fn follow_from_the_host_name() {
        let config = load(file("[server]\nhostname = \"PDS.Example.com\"\n"));
        assert_eq!(config.server.hostname, "pds.example.com");
        assert_eq!(config.server.public_url.as_str(), "https://pds.example.com/");
        assert_eq!(config.server.service_did.as_str(), "did:web:pds.example.com");
        assert_eq!(config.identity.handle_domains, ["pds.example.com"]);
    }

    #[test]
    fn are_the_documented_ones() {
        let config = load(file(HOST));
        assert_eq!(config.server.listen, "127.0.0.1:2583".parse().unwrap());
        assert_eq!(config.server.data_dir, Path::new("./data"));
        assert_eq!(config.blobs.dir, Path::new("./data/blobs"));
        assert_eq!(config.identity.plc_url.as_str(), "https://plc.directory/");
        assert_eq!(config.identity.did_cache_stale, Duration::from_hours(1));
        assert_eq!(config.identity.did_cache_max, Duration::from_hours(24));
        assert!(config.accounts.invite_required);
        assert!(config.limits.enabled && config.limits.bypass_addresses.is_empty());
        assert_eq!((config.limits.writes_per_hour, config.limits.writes_per_day), (5_000, 35_000));
        assert_eq!(config.limits.blob_bytes, 100 << 20);
        assert_eq!((config.limits.account_records, config.limits.account_record_bytes), (1_000_000, 1 << 30));
        assert_eq!((config.limits.account_blobs, config.limits.account_blob_bytes), (100_000, 10 << 30));
        assert_eq!(config.limits.import_bytes, 1 << 30);
        assert_eq!(config.firehose.retain, Duration::from_hours(168));
        assert_eq!(config.firehose.backfill, Duration::from_hours(72));
        assert!(!config.outbound.allow_private_addresses);
        assert_eq!((config.log.level.as_str(), config.log.format), ("info", LogFormat::Text));
    }

    #[test]
    fn give_way_to_a_shorter_setting_that_bounds_them() {
        let config = load(with_env(
            HOST,
            &[("HOUSEKEY_FIREHOSE_RETAIN_HOURS", "24"), ("HOUSEKEY_IDENTITY_DID_CACHE_MAX_SECONDS", "60")],
        ));
        assert_eq!(config.firehose.backfill, Duration::from_hours(24));
        assert_eq!(config.identity.did_cache_stale, Duration::from_mins(1));
    }

    #[test]
    fn of_the_blobs_follow_from_the_data_directory() {
        assert_eq!(env("HOUSEKEY_SERVER_DATA_DIR", "/data").blobs.dir, Path::new("/data/blobs"));
    }

    #[test]
    fn do_not_include_a_host_name_and_the_answer_shows_how_to_begin() {
        let cause = Config::load(Source::default()).unwrap_err();
        assert!(cause.is_missing_hostname());
        let text = cause.to_string();
        assert!(text.contains("HOUSEKEY_SERVER_HOSTNAME") && text.contains("server.hostname"), "{text}");
        let example = text.get(text.find("[server]").unwrap()..).unwrap();
        assert_eq!(example.lines().count(), 3);
        assert_eq!(load(file(example)).server.hostname, "pds.example.com");
    }
}

mod order {
    use super::*;

    #[test]
    fn is_flag_then_environment_then_file() {
        let text =
            "[server]\nhostname = \"a.com\"\nlisten = \"127.0.0.1:1\"\ndata_dir = \"/file\"\nversion = \"file\"\n";
        let mut source =
            with_env(text, &[("HOUSEKEY_SERVER_LISTEN", "127.0.0.1:2"), ("HOUSEKEY_SERVER_DATA_DIR", "/env")]);
        source.overrides = Overrides { listen: "127.0.0.1:3".parse().ok(), ..Overrides::default() };
        let server = load(source).server;
        assert_eq!(server.listen.port(), 3);
        assert_eq!(server.data_dir, Path::new("/env"));
        assert_eq!(server.version, "file");
    }

    #[test]
    fn lets_every_flag_win() {
        let overrides = Overrides {
            hostname: Some("flag.com".to_owned()),
            public_url: "http://localhost:9".parse().ok(),
            listen: "[::1]:0".parse().ok(),
            data_dir: Some(PathBuf::from("/flag")),
        };
        let server = load(Source { overrides, ..file(HOST) }).server;
        assert_eq!(server.hostname, "flag.com");
        assert_eq!(server.public_url.as_str(), "http://localhost:9/");
        assert_eq!(server.listen, "[::1]:0".parse().unwrap());
        assert_eq!(server.data_dir, Path::new("/flag"));
    }

    #[test]
    fn lets_a_secret_of_the_environment_win_over_a_secret_file_of_the_file() {
        let text = format!("{HOST}[admin]\npassword_file = \"/nonexistent\"\n");
        let config = load(with_env(&text, &[("HOUSEKEY_ADMIN_PASSWORD", "from env")]));
        assert_eq!(config.admin.password.unwrap().expose(), "from env");
    }
}

mod names {
    use super::*;

    #[test]
    fn unknown_in_a_section_are_refused_with_line_and_nearest_name() {
        let text = refusal(file("[server]\n\nhostnme = \"pds.example.com\"\n"));
        assert_eq!(text, "server.hostnme (test.toml, line 3) is not a setting; the nearest is server.hostname");
    }

    #[test]
    fn of_another_section_are_sent_there() {
        let text = refusal(file(&format!("{HOST}invite_required = false\n")));
        assert!(text.ends_with("invite_required belongs under [accounts]"), "{text}");
        let text = refusal(file("hostname = \"pds.example.com\"\n"));
        assert_eq!(text, "hostname (test.toml, line 1) is not a setting; it belongs under [server]");
    }

    #[test]
    fn of_unknown_sections_are_refused_with_the_nearest_section() {
        let text = refusal(file(&format!("{HOST}[account]\ninvite_required = false\n")));
        assert_eq!(text, "account (test.toml, line 3) is not a setting; the nearest section is [accounts]");
    }

    #[test]
    fn of_sections_are_no_settings() {
        for text in ["server = 1\n", "[[server]]\nhostname = \"a.com\"\n"] {
            let text = refusal(file(text));
            assert!(text.contains("server is a section"), "{text}");
        }
    }

    #[test]
    fn unknown_in_a_known_section_of_the_environment_are_refused_with_the_nearest_name() {
        let text = refused("HOUSEKEY_SERVER_HOSTNAM", "x");
        assert_eq!(
            text,
            "server.hostnam (the environment variable HOUSEKEY_SERVER_HOSTNAM) is not a setting; the nearest is HOUSEKEY_SERVER_HOSTNAME"
        );
        let text = refused("HOUSEKEY_ADMIN_PASSWORD_FIL", "x");
        assert!(text.ends_with("the nearest is HOUSEKEY_ADMIN_PASSWORD_FILE"), "{text}");
        // Only secrets can be kept in files.
        assert!(refused("HOUSEKEY_SERVER_LISTEN_FILE", "x").contains("not a setting"));
    }

    #[test]
    fn elsewhere_in_the_environment_are_ignored() {
        let others = [
            ("HOUSEKEY_DEV_PDS_URL", "x"),
            ("HOUSEKEY_INTEROP", "x"),
            ("HOUSEKEY_", "x"),
            ("PATH", "x"),
            ("LOG_LEVEL", "x"),
        ];
        assert_eq!(load(with_env(HOST, &others)).redacted(), load(file(HOST)).redacted());
    }

    #[test]
    fn all_work_in_the_environment() {
        for section in SECTIONS {
            for name in section.names() {
                let written = format!("{}{}_{}", source::PREFIX, section.name, name).to_ascii_uppercase();
                let (found, key, in_file) = source::variable(&written).unwrap().unwrap();
                assert_eq!((found, in_file), (section.name, key != name), "{written}");
            }
        }
    }

    #[test]
    fn twice_are_refused_by_the_parser_of_toml() {
        let text = refusal(file("[server]\nhostname = \"a.com\"\nhostname = \"b.com\"\n"));
        assert!(text.starts_with("test.toml, line 3, is not valid TOML"), "{text}");
    }
}

mod secrets {
    use super::*;

    fn secret_file(content: &str) -> (tempfile::TempDir, String) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        std::fs::write(&path, content).unwrap();
        let path = path.to_str().unwrap().to_owned();
        (dir, path)
    }

    #[test]
    fn in_files_lose_one_final_newline_and_nothing_else() {
        for (content, secret) in [("pw\n", "pw"), ("pw\r\n", "pw"), (" pw \n\n", " pw \n"), ("pw", "pw")] {
            let (_dir, path) = secret_file(content);
            let by_file = load(file(&format!("{HOST}[admin]\npassword_file = \"{path}\"\n")));
            assert_eq!(by_file.admin.password.unwrap().expose(), secret);
            assert_eq!(env("HOUSEKEY_ADMIN_PASSWORD_FILE", &path).admin.password.unwrap().expose(), secret);
        }
    }

    #[test]
    fn may_all_be_in_files() {
        let names: Vec<_> = SECTIONS
            .iter()
            .flat_map(|section| section.keys.iter().filter(|key| key.secret).map(|key| (section.name, key.name)))
            .collect();
        let expected = [
            ("identity", "rotation_key"),
            ("admin", "password"),
            ("secrets", "master_key"),
            ("secrets", "jwt_secret"),
            ("email", "smtp_url"),
            ("limits", "bypass_key"),
        ];
        assert_eq!(names, expected);
        let (_dir, path) = secret_file(&format!("{HEX}\n"));
        let config = env("HOUSEKEY_SECRETS_MASTER_KEY_FILE", &path);
        assert_eq!(config.secrets.master_key.unwrap().to_hex().as_str(), HEX);
    }

    #[test]
    fn given_twice_in_one_source_are_refused() {
        let text = refusal(file(&format!("{HOST}[admin]\npassword = \"hunter2\"\npassword_file = \"/x\"\n")));
        assert!(
            text.contains("admin.password is given twice") && text.contains("line 4") && text.contains("line 5"),
            "{text}"
        );
        assert!(!text.contains("hunter2"), "{text}");
        let both = [("HOUSEKEY_ADMIN_PASSWORD", "hunter2"), ("HOUSEKEY_ADMIN_PASSWORD_FILE", "/x")];
        assert!(refusal(with_env(HOST, &both)).contains("given twice"));
    }

    #[test]
    fn in_files_that_cannot_be_read_are_an_error_that_names_the_setting_and_the_file() {
        let text = refused("HOUSEKEY_ADMIN_PASSWORD_FILE", "/nonexistent/pw");
        assert!(text.contains("admin.password_file") && text.contains("/nonexistent/pw"), "{text}");
        let (_dir, path) = secret_file(&"x".repeat(70_000));
        assert!(refused("HOUSEKEY_ADMIN_PASSWORD_FILE", &path).contains("more than 65536 bytes"));
        assert!(refused("HOUSEKEY_ADMIN_PASSWORD_FILE", "").contains("the path of a file"));
        let (_dir, empty) = secret_file("\n");
        assert!(refused("HOUSEKEY_ADMIN_PASSWORD_FILE", &empty).contains("not empty"));
    }

    #[test]
    fn are_never_repeated_by_an_error() {
        for name in ["IDENTITY_ROTATION_KEY", "SECRETS_MASTER_KEY", "EMAIL_SMTP_URL"] {
            for value in ["hunter2", "https://user:hunter2@example.com", "smtp:hunter2"] {
                let text = refused(&format!("HOUSEKEY_{name}"), value);
                assert!(text.contains("is not valid") && text.contains("needed"), "{text}");
                assert!(!text.contains("hunter2"), "{text}");
            }
        }
        for text in [
            "[secrets]\nmaster_key = hunter2\n",
            "[secrets]\nmaster_key = \"hunter2\n",
            "[admin]\npassword = 1 hunter2\n",
        ] {
            let text = refusal(file(text));
            assert!(text.contains("line 2") && !text.contains("hunter2"), "{text}");
        }
        assert!(!refusal(file("[secrets]\nmaster_key = 123454321\n")).contains("123454321"));
        let text = refused("HOUSEKEY_SERVICES_CRAWLERS", "https://user:hunter2@relay.example.com");
        assert!(text.contains("relay.example.com") && !text.contains("hunter2"), "{text}");
    }

    #[test]
    fn are_shown_as_stars() {
        let config = load(with_env(
            HOST,
            &[
                ("HOUSEKEY_ADMIN_PASSWORD", "hunter2"),
                ("HOUSEKEY_SECRETS_MASTER_KEY", HEX),
                ("HOUSEKEY_SECRETS_JWT_SECRET", "hunter2"),
                ("HOUSEKEY_IDENTITY_ROTATION_KEY", HEX),
                ("HOUSEKEY_EMAIL_SMTP_URL", "smtp://me:hunter2@example.com"),
                ("HOUSEKEY_EMAIL_FROM", "pds@example.com"),
            ],
        ));
        let shown = format!("{config:?}");
        assert_eq!(shown.matches("\"***\"").count(), 5, "{shown}");
        assert!(!shown.contains("hunter2") && !shown.contains(HEX), "{shown}");
        assert_eq!(config.redacted()["email"]["from"], "pds@example.com");
        assert!(load(file(HOST)).redacted()["admin"]["password"].is_null());
    }
}

mod values {
    use super::*;

    #[test]
    fn of_the_wrong_form_are_named_with_their_place_and_what_is_needed() {
        let text = refusal(file(&format!("{HOST}listen = \"here\"\n")));
        assert!(text.starts_with("server.listen (test.toml, line 3) is \"here\": an IP address with a port"), "{text}");
        let text = refused("HOUSEKEY_SERVER_LISTEN", "here");
        assert!(text.contains("(the environment variable HOUSEKEY_SERVER_LISTEN)"), "{text}");
    }

    #[test]
    fn that_no_setting_has_are_refused() {
        let refusals = [
            ("SERVER_HOSTNAME", "https://pds.example.com"),
            ("SERVER_HOSTNAME", "pds.example.com:443"),
            ("SERVER_HOSTNAME", ""),
            ("SERVER_PUBLIC_URL", "http://pds.example.com"),
            ("SERVER_PUBLIC_URL", "https://pds.example.com/path"),
            ("SERVER_PUBLIC_URL", "https://pds.example.com/?a=b"),
            ("SERVER_PUBLIC_URL", "ftp://pds.example.com"),
            ("SERVER_PUBLIC_URL", "http://10.0.0.1"),
            ("SERVER_LISTEN", "127.0.0.1"),
            ("SERVER_DATA_DIR", ""),
            ("SERVER_SERVICE_DID", "pds.example.com"),
            ("SERVER_TRUSTED_PROXIES", "10.0.0.0/33"),
            ("SERVER_VERSION", "a\nb"),
            ("IDENTITY_PLC_URL", "plc.directory"),
            ("IDENTITY_HANDLE_DOMAINS", "ok.com,not ok"),
            ("IDENTITY_RECOVERY_DID_KEY", "did:key:z"),
            ("IDENTITY_DNS_SERVERS", "dns.example.com"),
            ("IDENTITY_DID_CACHE_MAX_SECONDS", "0"),
            ("ACCOUNTS_INVITE_REQUIRED", "yes"),
            ("ADMIN_PASSWORD", ""),
            ("SECRETS_JWT_SECRET", ""),
            ("EMAIL_FROM", "nobody"),
            ("LIMITS_BLOB_BYTES", "-1"),
            ("LIMITS_BLOB_BYTES", "100MB"),
            ("LIMITS_IMPORT_BYTES", "99999999999999999999"),
            ("SERVICES_APPVIEW_CDN_URL_PATTERN", "https://cdn.example.com/%s"),
            ("FIREHOSE_RETAIN_HOURS", "876001"),
            ("LOG_LEVEL", "loud"),
            ("LOG_FORMAT", "xml"),
            ("LINKS_CONTACT_EMAIL", "me"),
            ("LINKS_TERMS", "javascript:alert(1)"),
        ];
        for (name, value) in refusals {
            let text = refused(&format!("HOUSEKEY_{name}"), value);
            let key = name.split_once('_').unwrap().1.to_ascii_lowercase();
            assert!(text.contains(&format!(".{key} (the environment variable")) && text.contains("needed"), "{text}");
        }
    }

    #[test]
    fn of_the_wrong_type_are_refused_in_the_file() {
        let wrong = [
            ("[limits]\nblob_bytes = \"5\"\n", "without quotes"),
            ("[limits]\nblob_bytes = 1.5\n", "fraction"),
            ("[limits]\nenabled = \"true\"\n", "without quotes"),
            ("[log]\nlevel = true\n", "in quotes"),
            ("[identity]\nhandle_domains = \"a.com\"\n", "a list"),
            ("[identity]\nhandle_domains = [1]\n", "something else than texts"),
            ("[admin]\npassword = 5\n", "in quotes"),
            ("[admin]\npassword_file = 5\n", "the path of a file"),
            ("[log]\nlevel = 2026-01-01\n", "a date"),
        ];
        for (text, words) in wrong {
            let text = refusal(file(&format!("{HOST}{text}")));
            assert!(text.contains(words), "{text}");
        }
    }

    #[test]
    fn have_their_final_types() {
        let text = format!(
            "{HOST}trusted_proxies = [\"10.0.0.1\", \"fd00::/8\"]\n[identity]\nhandle_domains = [\".Test\", \"a.example.com\"]\n\
             dns_servers = [\"9.9.9.9\", \"9.9.9.9:5353\", \"[::1]:54\", \"::1\"]\n[limits]\nblob_bytes = 0x10_00\n\
             [log]\nlevel = \"warn,housekey::outbound=DEBUG\"\nformat = \"json\"\n"
        );
        let config = load(file(&text));
        assert_eq!(config.server.trusted_proxies, ["10.0.0.1/32".parse().unwrap(), "fd00::/8".parse().unwrap()]);
        assert_eq!(config.identity.handle_domains, ["test", "a.example.com"]);
        let ports: Vec<_> = config.identity.dns_servers.iter().map(std::net::SocketAddr::port).collect();
        assert_eq!(ports, [53, 5353, 54, 53]);
        assert_eq!(config.limits.blob_bytes, 4096);
        assert_eq!(config.log.format, LogFormat::Json);
    }

    #[test]
    fn of_lists_are_separated_by_commas_in_the_environment() {
        let config = env("HOUSEKEY_SERVICES_CRAWLERS", "https://a.example.com, https://b.example.com,");
        assert_eq!(config.services.crawlers.len(), 2);
        assert_eq!(env("HOUSEKEY_SERVER_TRUSTED_PROXIES", "").server.trusted_proxies, []);
    }

    #[test]
    fn of_plain_http_are_public_on_this_machine_only_unless_for_development() {
        for url in ["http://localhost:2583", "http://127.0.0.2", "http://[::1]:1", "http://pds.localhost"] {
            assert_eq!(env("HOUSEKEY_SERVER_PUBLIC_URL", url).server.public_url.scheme(), "http", "{url}");
        }
        let elsewhere = with_env(HOST, &[("HOUSEKEY_SERVER_PUBLIC_URL", "http://10.0.0.1:2583")]);
        assert!(refusal(elsewhere.clone()).contains("in the clear"));
        assert_eq!(load(Source { allow_plain_http: true, ..elsewhere }).server.public_url.port(), Some(2583));
    }

    #[test]
    fn that_are_long_are_cut_in_errors() {
        let text = refused("HOUSEKEY_SERVER_LISTEN", &"x".repeat(10_000));
        assert!(text.contains("xxx…") && text.len() < 500, "{text}");
    }

    #[test]
    fn of_the_bundle_of_authorities_are_its_content() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = dir.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let pem = rcgen::generate_simple_self_signed(["ca.example.com".to_owned()]).unwrap().cert.pem();
        let config = env("HOUSEKEY_OUTBOUND_EXTRA_CA_FILE", &write("good.pem", &pem));
        assert_eq!(config.outbound.extra_ca_pem.as_deref(), Some(pem.as_bytes()));
        assert_eq!(config.redacted()["outbound"]["extra_ca_file"], "PEM, certificates: 1");
        let damaged = pem.replace("-----END CERTIFICATE-----", "");
        for (path, words) in [
            (write("empty.pem", "no certificate"), "no certificate"),
            (write("damaged.pem", &damaged), "damaged"),
            ("/nonexistent.pem".to_owned(), "No such file"),
        ] {
            let text = refused("HOUSEKEY_OUTBOUND_EXTRA_CA_FILE", &path);
            assert!(text.contains("outbound.extra_ca_file") && text.contains(words), "{text}");
        }
    }
}

mod together {
    use super::*;

    #[test]
    fn a_url_and_its_did_are_set_or_neither() {
        for service in ["APPVIEW", "MODERATION", "REPORT", "CHAT"] {
            let url = (format!("HOUSEKEY_SERVICES_{service}_URL"), "https://example.com");
            let did = (format!("HOUSEKEY_SERVICES_{service}_DID"), "did:web:example.com");
            assert!(refused(&url.0, url.1).contains("_did is not: set both or neither"));
            assert!(refused(&did.0, did.1).contains("_url is not: set both or neither"));
            load(with_env(HOST, &[(&url.0, url.1), (&did.0, did.1)]));
        }
        assert!(refused("HOUSEKEY_EMAIL_SMTP_URL", "smtps://smtp.example.com").contains("email.from is not"));
    }

    #[test]
    fn the_backfill_is_within_what_is_kept_and_a_document_is_stale_before_it_is_too_old() {
        let text = refused("HOUSEKEY_FIREHOSE_BACKFILL_HOURS", "169");
        assert!(text.contains("firehose.backfill_hours") && text.contains("retain_hours (168)"), "{text}");
        let text = refused("HOUSEKEY_IDENTITY_DID_CACHE_STALE_SECONDS", "86401");
        assert!(text.contains("did_cache_max_seconds (86400)"), "{text}");
    }

    #[test]
    fn what_is_probably_not_meant_gives_a_warning_only() {
        let good = ("HOUSEKEY_ADMIN_PASSWORD", "password");
        assert_eq!(warnings(with_env(HOST, &[good])), [""; 0]);
        assert_eq!(warnings(file(HOST)), ["admin.password"]);
        let cases = [
            ("HOUSEKEY_IDENTITY_HANDLE_DOMAINS", "pds.local", "identity.handle_domains"),
            ("HOUSEKEY_IDENTITY_HANDLE_DOMAINS", "", "identity.handle_domains"),
            ("HOUSEKEY_SECRETS_JWT_SECRET", "short", "secrets.jwt_secret"),
            ("HOUSEKEY_LIMITS_ENABLED", "false", "limits.enabled"),
            ("HOUSEKEY_LIMITS_BYPASS_KEY", "short", "limits.bypass_key"),
            ("HOUSEKEY_ADMIN_LISTEN", "192.0.2.7:9100", "admin.listen"),
            ("HOUSEKEY_OUTBOUND_ALLOW_PRIVATE_ADDRESSES", "true", "outbound.allow_private_addresses"),
            ("HOUSEKEY_SERVER_PUBLIC_URL", "https://other.example.com", "server.public_url"),
            ("HOUSEKEY_SERVER_SERVICE_DID", "did:web:other.example.com", "server.service_did"),
            ("HOUSEKEY_SERVICES_APPVIEW_CDN_URL_PATTERN", "https://a.com/%s/%s/%s", "services.appview_cdn_url_pattern"),
        ];
        for (name, value, key) in cases {
            assert_eq!(warnings(with_env(HOST, &[good, (name, value)])), [key], "{name}");
        }
        // Handles under .test are for development.
        assert_eq!(warnings(with_env(HOST, &[good, ("HOUSEKEY_IDENTITY_HANDLE_DOMAINS", ".test")])), [""; 0]);
    }

    #[test]
    fn an_address_serves_as_a_host_name_for_trying_things_out() {
        let overrides = Overrides { hostname: Some("127.0.0.1".to_owned()), ..Overrides::default() };
        let (config, warnings) = Config::load(Source { overrides, ..Source::default() }).unwrap();
        assert_eq!(config.identity.handle_domains, [""; 0]);
        assert_eq!(warnings.first().unwrap().key, "server.hostname");
    }

    #[test]
    fn the_policy_says_what_was_decided() {
        let policy = env("HOUSEKEY_SERVICES_CRAWLERS", "").policy();
        assert_eq!(policy.hostname, "pds.example.com");
        assert_eq!(policy.handle_domains, ["pds.example.com"]);
        assert_eq!(policy.version, env!("CARGO_PKG_VERSION"));
        assert_eq!((policy.retain, policy.backfill), (Duration::from_hours(168), Duration::from_hours(72)));
        assert_eq!(policy.password_cost, Cost::Standard);
        assert_eq!(policy.genesis_endpoint, None);
    }
}

mod files {
    use super::*;

    #[test]
    fn that_are_named_must_be_there() {
        let dir = tempfile::tempdir().unwrap();
        let missing = dir.path().join("missing.toml");
        let text = Config::read(Some(&missing), Overrides::default()).unwrap_err().to_string();
        assert!(text.contains("the configuration file") && text.contains("missing.toml"), "{text}");
        assert!(Config::read(Some(dir.path()), Overrides::default()).is_err(), "a directory is no file");
    }

    #[test]
    fn are_read_up_to_a_bound() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("housekey.toml");
        std::fs::write(&path, HOST).unwrap();
        assert_eq!(Config::read(Some(&path), Overrides::default()).unwrap().0.server.hostname, "pds.example.com");
        std::fs::write(&path, "#".repeat(1_048_577)).unwrap();
        assert!(Config::read(Some(&path), Overrides::default()).is_err());
    }
}
