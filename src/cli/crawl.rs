//! `housekey crawl`: how the relays stand to a running server, and a request to crawl it.

use super::{
    Failure,
    api::{Api, ServerArgs},
    print_json,
};
use clap::{Args, Subcommand};
use serde_json::Value;
use std::process::ExitCode;

/// Asks about the relays of a running server, over HTTP with the administrator's password.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  housekey crawl status                what each relay has read, and why it has not read the rest
  housekey crawl request               asks the relays to crawl this server now
  housekey crawl status --server https://pds.example.com --json

Exit codes: 0 all is well, 1 a relay or the address is not (or the command failed), 2 wrong usage.")]
pub(super) struct Crawl {
    #[command(subcommand)]
    command: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Say how each relay stands to the server, and whether the server's address answers
    Status(Common),
    /// Ask each relay to crawl the server now
    Request(Common),
}

#[derive(Debug, Args)]
struct Common {
    #[command(flatten)]
    server: ServerArgs,
    /// Print one line of JSON
    #[arg(long)]
    json: bool,
}

impl Crawl {
    pub(super) async fn run(self) -> Result<ExitCode, Failure> {
        let (answer, json, well) = match self.command {
            Verb::Status(Common { server, json }) => {
                let answer = Api::new(&server)?.admin_get("dev.housekey.admin.getRelayStatus", &[]).await?;
                if !json {
                    show_status(&answer);
                }
                let well =
                    is_true(&answer, "/address/reachable") && relays(&answer).all(|relay| is_true(relay, "/good"));
                (answer, json, well)
            }
            Verb::Request(Common { server, json }) => {
                let answer = Api::new(&server)?.admin_post("dev.housekey.admin.requestCrawl", &Value::Null).await?;
                if !json {
                    show_request(&answer);
                }
                let well = relays(&answer).all(|relay| is_true(relay, "/accepted"));
                (answer, json, well)
            }
        };
        if json {
            print_json(&answer);
        }
        Ok(if well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

fn relays(answer: &Value) -> impl Iterator<Item = &Value> {
    answer.get("relays").and_then(Value::as_array).into_iter().flatten()
}

fn show_status(answer: &Value) {
    match text(answer, "/address/problem") {
        None => println!(
            "{} answers, and its event stream opens (as seen from its own machine).",
            text(answer, "/address/url").unwrap_or("–")
        ),
        Some(problem) => println!("{problem}."),
    }
    println!("The latest event here is {}.", number(answer, "/latestSeq"));
    say_if_none(answer);
    for relay in relays(answer) {
        println!("\n{}: {}", url(relay), text(relay, "/standing").unwrap_or("–"));
        println!("  {}", text(relay, "/message").unwrap_or_default());
        if relay.get("seq").is_some() {
            println!("  It has read up to {}.", number(relay, "/seq"));
        }
        match text(relay, "/announcedAt") {
            Some(time) => println!("  It was last told of news at {time}, up to {}.", number(relay, "/announcedSeq")),
            None => println!("  It has not been told of news yet."),
        }
        if let Some(cause) = text(relay, "/lastError") {
            println!("  The last announcement failed: {cause}.");
        }
    }
}

fn show_request(answer: &Value) {
    say_if_none(answer);
    for relay in relays(answer) {
        match text(relay, "/problem") {
            None => println!("{} will crawl this server.", url(relay)),
            Some(problem) => println!("{}: {problem}.", url(relay)),
        }
    }
}

fn say_if_none(answer: &Value) {
    if relays(answer).next().is_none() {
        println!("No relay is configured ([services] crawlers), so nobody elsewhere learns what is written here.");
    }
}

fn text<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    value.pointer(pointer).and_then(Value::as_str)
}

fn number(value: &Value, pointer: &str) -> i64 {
    value.pointer(pointer).and_then(Value::as_i64).unwrap_or_default()
}

fn is_true(value: &Value, pointer: &str) -> bool {
    value.pointer(pointer).and_then(Value::as_bool) == Some(true)
}

fn url(relay: &Value) -> &str {
    text(relay, "/url").unwrap_or("–")
}
