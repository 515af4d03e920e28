//! The `housekey` program.

fn main() {}
