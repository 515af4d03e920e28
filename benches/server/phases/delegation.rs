//! The `.well-known` resource of a delegation.

use super::{Bench, fresh_number};
use crate::{
    account::Account,
    http::{self, Body},
    load::{self, Until},
    target::{BINARY, Own},
};
use std::{
    process::{Command, Stdio},
    rc::Rc,
};

impl Bench {
    pub(super) async fn delegation(&mut self) {
        let own = Own::start(self.options.dir.as_deref());
        let account = Account::sign_up(&own.target, fresh_number() * 1_000).await;
        if let Err(why) = delegate(&own, &account) {
            return self.report.fail(&own.target.name, "delegation", "delegate create", &why);
        }
        let path = format!("/.well-known/atproto-delegation?did={}", account.did);
        let request: Rc<[u8]> = http::get(&own.target.host, &path, None).into();
        let until = Until::Passed(self.options.span());
        let measured = load::run(&own.target, 16, until, Body::Count, move |_, _| request.clone()).await;
        self.rate(&own.target, "delegation", ".well-known, 16 connections", &measured);
    }
}

/// As an owner does it: by the command line.
fn delegate(own: &Own, account: &Account) -> Result<(), String> {
    let (key, password) = (own.dir.path().join("identity.key"), own.dir.path().join("password"));
    std::fs::write(&password, "correct horse battery\n").map_err(|cause| cause.to_string())?;
    run(Command::new(BINARY).args(["key", "new", "--no-words"]).arg(&key))?;
    run(Command::new(BINARY)
        .args(["delegate", "create", "--identifier", &account.handle, "--plc", own.plc(), "--server"])
        .arg(format!("http://{}", own.target.host))
        .arg("--key")
        .arg(&key)
        .arg("--password-file")
        .arg(&password))
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.stdin(Stdio::null()).output().map_err(|cause| cause.to_string())?;
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}
