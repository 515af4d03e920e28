//! How fast the generator is, and how fast a server starts.

use super::{Bench, Measured};
use crate::{
    http::{self, Body},
    load::{self, Until},
    process::flush_ms,
    report::median,
    target::{BINARY, Own, Running, Target},
};
use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
    process::Command,
};

/// Starts of a kind.
const STARTS: usize = 9;

impl Bench {
    /// The generator against a thread that answers everything with the same bytes and does nothing else: no server can be
    /// measured as faster than this.
    pub(super) async fn generator(&mut self) {
        const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming().take(16) {
                let mut stream = stream.unwrap();
                std::thread::spawn(move || {
                    let mut buffer = [0; 4096];
                    while stream.read(&mut buffer).is_ok_and(|read| read > 0) {
                        stream.write_all(ANSWER).unwrap();
                    }
                });
            }
        });
        let target = Target {
            name: "fixed answer".to_owned(),
            address,
            host: "x".to_owned(),
            domain: String::new(),
            process: None,
            numbers: None,
        };
        let request: std::rc::Rc<[u8]> = http::get("x", "/", None).into();
        let measured: Measured =
            load::run(&target, 16, Until::Passed(self.options.span()), Body::Count, move |_, _| request.clone()).await;
        self.rate(&target, "generator", "16 connections", &measured);
        let dir = self.options.dir.clone().unwrap_or_else(std::env::temp_dir);
        self.own("generator", "fdatasync of 4 KiB on this disk, p50", flush_ms(&dir, 4096), "ms");
    }

    /// From starting the process to its ready line.
    pub(super) fn startup(&mut self) {
        let ms = |running: &Running| running.took.as_secs_f64() * 1e3;
        let (mut first, mut again, mut dev) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..STARTS {
            let mut own = Own::start(self.options.dir.as_deref());
            first.push(ms(&own.running));
            own.restart();
            again.push(ms(&own.running));
            if dev.is_empty() {
                self.own("startup", "memory, idle", own.running.process().memory_mib(), "MiB");
            }
            let flags = ["dev", "--json", "--port", "0", "--plc-port", "0"];
            dev.push(ms(&Running::start(Command::new(BINARY).args(flags))));
        }
        self.own("startup", "serve, first start", median(&first), "ms");
        self.own("startup", "serve, later starts", median(&again), "ms");
        self.own("startup", "dev with two accounts", median(&dev), "ms");
    }
}
