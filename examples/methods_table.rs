//! Writes docs/methods.md anew: `cargo run --example methods_table`.

const HEAD: &str = "\
# Methods

Every method with a published schema, and what becomes of it here. *Served* ones are this server's own. *Proxied* ones are
passed on in the account's name to the service that answers them. The others are refused, for the reason in the table.
Parameters and bodies of served methods are held against their schemas (`assets/lexicons`) before anything else looks at
them. `cargo run --example methods_table` writes this page; a test compares it with the schemas and the methods.

";

fn main() -> std::io::Result<()> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/methods.md");
    std::fs::write(path, format!("{HEAD}{}", housekey::methods::table()))
}
