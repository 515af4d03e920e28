//! Two servers, one PLC directory, and a conversation that no server can read.

#[path = "support/end_to_end.rs"]
mod end_to_end;
mod support;

use end_to_end::Places;
use support::{Running, free_port, serve};

#[tokio::test]
async fn alice_writes_to_bob_from_his_handle_alone_and_is_warned_of_a_key_that_nobody_endorsed() {
    let bob = Running::dev(&["--accounts", "", "--no-plc-limits"]);
    let dir = tempfile::tempdir().unwrap();
    let alice = Running::start(&mut serve(dir.path(), free_port(), bob.text("plc")));
    let places = Places {
        alice: alice.text("pds").to_owned(),
        bob: bob.text("pds").to_owned(),
        plc: bob.text("plc").to_owned(),
    };
    end_to_end::run(&places, |_| {}).await;
}
