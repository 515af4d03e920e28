//! Writes the test vectors of delegations to standard output:
//! `cargo run --example delegation_vectors > docs/delegation-vectors.json`.

use std::io::Write as _;

fn main() -> std::io::Result<()> {
    std::io::stdout().lock().write_all(housekey::delegation::vectors::text().as_bytes())
}
