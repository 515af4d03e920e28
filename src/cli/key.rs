//! `housekey key new|show|restore`: keys that only their user holds.

use super::{Failure, ask, print_json};
use crate::{
    client::{
        key_file::{KeyFile, WORK},
        words,
    },
    crypto::{DelegateKey, DelegateSigningKey, KeyType},
    delegation::safety_number::fingerprint,
    entropy::OsEntropy,
};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;
use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

/// Makes and keeps delegate keys. No server ever sees the private half.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  housekey key new alice.key                      an Ed25519 key in a file of your own
  housekey key new alice.key --passphrase         the same, locked
  housekey key show alice.key
  housekey key restore again.key                  from the 24 words on paper")]
pub(super) struct Key {
    #[command(subcommand)]
    command: Verb,
}

#[derive(Debug, Subcommand)]
#[expect(clippy::large_enum_variant, reason = "there is one of it in a run")]
enum Verb {
    /// Make a key; its backup in words is printed once
    #[command(after_help = "\
Examples:
  housekey key new alice.key
  housekey key new alice.key --passphrase              locked; the passphrase is asked for
  housekey key new rotation.key --type p256 --no-words --json")]
    New {
        /// The file to make; one that exists is never overwritten
        file: PathBuf,
        /// Kind of key
        #[arg(long = "type", value_enum, default_value_t = Kind::Ed25519)]
        kind: Kind,
        #[command(flatten)]
        lock: Lock,
        /// Leave out the backup in words
        #[arg(long)]
        no_words: bool,
        /// Print one line of JSON, the words in it
        #[arg(long)]
        json: bool,
    },
    /// Show the public half of a key file
    #[command(after_help = "\
Examples:
  housekey key show alice.key
  housekey key show alice.key --words                  the backup once more")]
    Show {
        /// The file
        file: PathBuf,
        /// Print the backup in words too: whoever sees them has the key
        #[arg(long)]
        words: bool,
        /// File with the passphrase [default: it is asked for]
        #[arg(long, value_name = "FILE")]
        passphrase_file: Option<PathBuf>,
        /// Print one line of JSON
        #[arg(long)]
        json: bool,
    },
    /// Make a key file from the words of a backup
    #[command(after_help = "\
Examples:
  housekey key restore again.key                       the words are asked for
  housekey key restore again.key --words-file words.txt --expect did:key:z6Mk…")]
    Restore {
        /// The file to make; one that exists is never overwritten
        file: PathBuf,
        /// Kind of key: the words do not say
        #[arg(long = "type", value_enum, default_value_t = Kind::Ed25519)]
        kind: Kind,
        /// The did:key that must come out
        #[arg(long, value_name = "DID_KEY")]
        expect: Option<DelegateKey>,
        /// File with the words [default: they are asked for]
        #[arg(long, value_name = "FILE")]
        words_file: Option<PathBuf>,
        #[command(flatten)]
        lock: Lock,
        /// Print one line of JSON
        #[arg(long)]
        json: bool,
    },
}

/// Whether a new file is locked.
#[derive(Debug, Args)]
struct Lock {
    /// Lock the file with a passphrase, which is asked for
    #[arg(long)]
    passphrase: bool,
    /// File with the passphrase to lock it with
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    /// Ed25519
    Ed25519,
    /// NIST P-256
    P256,
    /// secp256k1
    K256,
}

impl From<Kind> for KeyType {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Ed25519 => Self::Ed25519,
            Kind::P256 => Self::P256,
            Kind::K256 => Self::K256,
        }
    }
}

impl Key {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        match self.command {
            Verb::New { file, kind, lock, no_words, json } => {
                let key = DelegateSigningKey::generate(kind.into(), &OsEntropy);
                write(&key, &file, &lock)?;
                show(&key.public(), (!no_words).then(|| words::to_words(&key.to_bytes())).as_deref(), json);
            }
            Verb::Show { file, words: true, passphrase_file, json } => {
                let key = ask::open_key(&file, passphrase_file.as_deref())?;
                show(&key.public(), Some(&words::to_words(&key.to_bytes())), json);
            }
            Verb::Show { file, json, .. } => show(KeyFile::read(&file)?.public(), None, json),
            Verb::Restore { file, kind, expect, words_file, lock, json } => {
                let text = ask::secret(words_file.as_deref(), "The 24 words")?;
                let bytes = words::from_words(text.expose())?;
                // The expected key says of which kind it is.
                let kind = expect.as_ref().map_or_else(|| kind.into(), DelegateKey::key_type);
                let key = DelegateSigningKey::from_bytes(kind, bytes.as_slice())?;
                if expect.is_some_and(|expect| expect != key.public()) {
                    let came = key.public();
                    return Err(Failure::new(format!("the words are those of another key: {came} came out")));
                }
                write(&key, &file, &lock)?;
                show(&key.public(), None, json);
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn write(key: &DelegateSigningKey, path: &Path, lock: &Lock) -> Result<(), Failure> {
    let passphrase = if lock.passphrase || lock.passphrase_file.is_some() {
        Some(ask::new_secret(lock.passphrase_file.as_deref(), "New passphrase")?)
    } else {
        None
    };
    let passphrase = passphrase.as_ref().map(crate::crypto::Secret::expose);
    Ok(KeyFile::new(key, passphrase, WORK, &OsEntropy)?.write_new(path)?)
}

fn show(key: &DelegateKey, backup: Option<&String>, json: bool) {
    let (kind, fingerprint) = (key.key_type().name(), fingerprint(key));
    if json {
        let mut shown = json!({"type": kind, "key": key.to_string(), "fingerprint": fingerprint});
        if let (Some(shown), Some(words)) = (shown.as_object_mut(), backup) {
            shown.insert("words".to_owned(), words.as_str().into());
        }
        print_json(&shown);
        return;
    }
    println!("  Key           {key}");
    println!("  Type          {kind}");
    println!("  Fingerprint   {fingerprint}");
    if let Some(words) = backup {
        println!("\nWrite these words down and keep them apart from the file: they are the key.\n");
        println!("{}", words::for_paper(words).as_str());
    }
}
