//! What is said to the user. Whoever reads it may have had enough (`housekey verify … | head -1`): then the rest is for nobody,
//! and the command goes on to its end and to its exit code.

use super::Failure;
use std::{
    fmt::Arguments,
    io::{self, ErrorKind, Write},
    sync::OnceLock,
};

/// Why something that somebody waits for could not be written: the disk is full, say.
static LOST: OnceLock<String> = OnceLock::new();

/// One line on standard output; false where nobody will read it.
pub(super) fn line(text: Arguments<'_>) -> bool {
    match write(&mut io::stdout().lock(), text) {
        Ok(()) => true,
        Err(cause) => {
            if cause.kind() != ErrorKind::BrokenPipe {
                // The first cause is the one to tell.
                drop(LOST.set(cause.to_string()));
            }
            false
        }
    }
}

/// One line on standard error. Where that fails there is nobody left to tell.
pub(super) fn note(text: Arguments<'_>) {
    drop(write(&mut io::stderr().lock(), text));
}

/// Whether everything was written that somebody waits for.
pub(super) fn check() -> Result<(), Failure> {
    match LOST.get() {
        None => Ok(()),
        Some(cause) => Err(Failure::new(format!("standard output cannot be written: {cause}"))),
    }
}

fn write(out: &mut impl Write, text: Arguments<'_>) -> io::Result<()> {
    // In one piece, so that the lines of two programs do not mix.
    out.write_all(format!("{text}\n").as_bytes())?;
    out.flush()
}
