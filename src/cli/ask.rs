//! Secrets from their user: from a file that a flag names, or asked for on the terminal without showing them.

use super::Failure;
use crate::{
    client::{files, key_file::KeyFile, sign_in::SignInCode},
    crypto::{DelegateSigningKey, Secret},
    limits::accounts::PASSWORD_MAX_BYTES,
};
use clap::Args;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use std::{
    fmt::Display,
    io::{self, BufRead, IsTerminal, Read, Stdin},
    path::Path,
};

/// Bytes of one answer: the words of a backup with numbers, or a password.
const ANSWER_MAX_BYTES: usize = 2 * PASSWORD_MAX_BYTES;

/// Whether somebody can be asked.
pub(super) fn can_ask() -> bool {
    io::stdin().is_terminal()
}

/// What some servers want for a sign-in beside the password.
#[derive(Debug, Args)]
pub(super) struct SignInArgs {
    /// The code that the server mailed for the sign-in, where it does that [default: it is asked for]
    #[arg(long, value_name = "CODE")]
    sign_in_code: Option<String>,
}

impl SignInArgs {
    pub(super) fn code(&self) -> SignInCode {
        sign_in_code(self.sign_in_code.clone(), "--sign-in-code")
    }
}

/// The code of a mail that came before, or of the one that comes: `option` takes it in the next run.
pub(super) fn sign_in_code(given: Option<String>, option: &'static str) -> SignInCode {
    SignInCode { given, ask: can_ask().then_some(ask_sign_in_code), option }
}

fn ask_sign_in_code(host: &str, refused: Option<&str>) -> Option<String> {
    if let Some(message) = refused {
        eprintln!("{host} does not take that code: {message}");
    }
    let code = line(&format!("The code that {host} has mailed for signing in (empty: later)")).ok()?;
    (!code.is_empty()).then_some(code)
}

/// The password of an account at a server.
pub(super) fn password(file: Option<&Path>, who: impl Display, host: &str) -> Result<Secret, Failure> {
    secret(file, &format!("Password of {who} at {host}"))
}

/// A secret from the file, else the user's answer; where standard input is no terminal, its next line.
pub(super) fn secret(file: Option<&Path>, question: &str) -> Result<Secret, Failure> {
    let text = match file {
        Some(path) => files::read_text(path)?,
        None => hidden_line(question)?,
    };
    let secret = text.trim_end_matches(['\r', '\n']);
    if secret.is_empty() {
        return Err(Failure::usage(format!("{question} is empty")));
    }
    Ok(Secret::new(secret))
}

/// A new passphrase: asked for twice.
pub(super) fn new_secret(file: Option<&Path>, question: &str) -> Result<Secret, Failure> {
    let first = secret(file, question)?;
    if file.is_none() && can_ask() && secret(None, "The same once more")? != first {
        return Err(Failure::usage("the two are not the same"));
    }
    Ok(first)
}

/// An answer that may be seen.
pub(super) fn line(question: &str) -> Result<String, Failure> {
    if can_ask() {
        eprint!("{question}: ");
    }
    Ok(read_line(&io::stdin())?.trim().to_owned())
}

/// The private key of a file, with its passphrase where it is locked.
pub(super) fn open_key(path: &Path, passphrase_file: Option<&Path>) -> Result<DelegateSigningKey, Failure> {
    let file = KeyFile::read(path)?;
    if !file.is_locked() {
        return Ok(file.open(None)?);
    }
    let passphrase = secret(passphrase_file, &format!("Passphrase of {}", path.display()))?;
    Ok(file.open(Some(passphrase.expose()))?)
}

/// Switches the terminal's echo back on, whatever happens.
struct Hidden<'a> {
    stdin: &'a Stdin,
    before: Termios,
}

impl<'a> Hidden<'a> {
    fn new(stdin: &'a Stdin) -> io::Result<Self> {
        let before = tcgetattr(stdin)?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        tcsetattr(stdin, OptionalActions::Flush, &silent)?;
        Ok(Self { stdin, before })
    }
}

impl Drop for Hidden<'_> {
    fn drop(&mut self) {
        if tcsetattr(self.stdin, OptionalActions::Now, &self.before).is_ok() {
            eprintln!();
        }
    }
}

fn hidden_line(question: &str) -> Result<String, Failure> {
    let stdin = io::stdin();
    if !stdin.is_terminal() {
        return read_line(&stdin);
    }
    eprint!("{question}: ");
    let _hidden = Hidden::new(&stdin)?;
    read_line(&stdin)
}

fn read_line(stdin: &Stdin) -> Result<String, Failure> {
    let mut line = String::new();
    let most = u64::try_from(ANSWER_MAX_BYTES).unwrap_or(u64::MAX);
    stdin.lock().take(most).read_line(&mut line)?;
    Ok(line)
}
