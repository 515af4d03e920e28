//! `housekey mail test|preview|list|retry`.

use super::{
    ConfigFile, Failure,
    api::{Api, ServerArgs},
    print_json,
};
use crate::{
    config::{Config, Overrides},
    outbound::{Mail as Message, Mailer, SmtpOptions},
    service::mails::{MailKind, letters},
};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::process::ExitCode;

/// Mails asked for at once.
const PAGE: &str = "100";

/// Tries whether mail can be sent, shows what mails say, and which of them did not arrive.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  housekey mail test me@example.com
  housekey mail preview
  housekey mail preview reset_password
  housekey mail list --state failed
  housekey mail retry")]
pub(super) struct Mail {
    #[command(subcommand)]
    command: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Send a mail with the settings of the configuration; the server need not run
    Test {
        /// Where to
        to: String,
        #[command(flatten)]
        file: ConfigFile,
        /// Print one line of JSON
        #[arg(long)]
        json: bool,
    },
    /// Show a mail, filled with examples; without a name, list the names
    Preview {
        /// Its name
        name: Option<String>,
        /// Print it as HTML
        #[arg(long)]
        html: bool,
        /// Print one line of JSON
        #[arg(long)]
        json: bool,
    },
    /// List the mails of a running server, newest first
    List {
        /// Only those that wait, were sent, or failed
        #[arg(long, value_name = "waiting|sent|failed", value_parser = ["waiting", "sent", "failed"])]
        state: Option<String>,
        #[command(flatten)]
        server: ServerArgs,
        /// Print one line of JSON
        #[arg(long)]
        json: bool,
    },
    /// Try mails of a running server again that were given up; those that told a code are over
    Retry {
        /// Their numbers, as "mail list" shows them [default: all]
        ids: Vec<i64>,
        #[command(flatten)]
        server: ServerArgs,
        /// Print one line of JSON
        #[arg(long)]
        json: bool,
    },
}

impl Mail {
    pub(super) async fn run(self) -> Result<ExitCode, Failure> {
        match self.command {
            Verb::Test { to, file, json } => test(&file, to, json).await?,
            Verb::Preview { name, html, json } => preview(name.as_deref(), html, json)?,
            Verb::List { state, server, json } => {
                let query: Vec<_> = state.as_deref().map(|state| ("state", state)).into_iter().collect();
                let api = Api::new(&server)?;
                let mails = api.admin_all("dev.housekey.admin.listMails", &query, ("mails", PAGE)).await?;
                show(&mails, json);
            }
            Verb::Retry { ids, server, json } => {
                let input = if ids.is_empty() { json!({}) } else { json!({ "ids": ids }) };
                let said = Api::new(&server)?.admin_post("dev.housekey.admin.retryMails", &input).await?;
                let again = said.get("ids").and_then(Value::as_array).map_or(0, Vec::len);
                if again < ids.len() {
                    return Err(Failure::new(format!(
                        "{again} of {} mails are on their way again: the others were not given up, or told a code",
                        ids.len()
                    )));
                }
                match (json, again) {
                    (true, _) => print_json(&said),
                    (false, 0) => println!("There is none that can be tried again."),
                    (false, 1) => println!("1 mail is on its way again."),
                    (false, count) => println!("{count} mails are on their way again."),
                }
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

async fn test(file: &ConfigFile, to: String, json: bool) -> Result<(), Failure> {
    let (config, _) = Config::read(file.config.as_deref(), Overrides::default())?;
    let (Some(url), Some(from)) = (config.email.smtp_url, config.email.from) else {
        return Err(Failure::usage("no mail server is configured: set [email] smtp_url and from"));
    };
    let mailer = Mailer::new(Some(&SmtpOptions { url, from }))?;
    mailer.verify().await.map_err(|cause| Failure::new(format!("the mail server cannot be used: {cause}")))?;
    let letter = letters::test(&config.server.hostname)?;
    let message = Message { to, subject: letter.subject, text: letter.text, html: Some(letter.html), message_id: None };
    mailer.send(&message).await?;
    if json {
        print_json(&json!({"to": message.to, "taken": true}));
    } else {
        println!("The mail server took a mail for {}. If it does not arrive, look into the spam folder.", message.to);
    }
    Ok(())
}

fn preview(name: Option<&str>, html: bool, json: bool) -> Result<(), Failure> {
    let Some(name) = name else {
        let names: Vec<&str> = MailKind::ALL.iter().map(|kind| kind.name()).collect();
        if json {
            print_json(&json!({"names": names}));
        } else {
            println!("{}", names.join("\n"));
        }
        return Ok(());
    };
    let kind = MailKind::ALL.into_iter().find(|kind| kind.name() == name);
    let kind = kind.ok_or_else(|| Failure::usage(format!("there is no mail {name}: see \"housekey mail preview\"")))?;
    let letter = letters::example(kind, "pds.example.com")?;
    if json {
        print_json(&json!({"subject": letter.subject, "text": letter.text, "html": letter.html}));
    } else if html {
        println!("{}", letter.html);
    } else {
        println!("Subject: {}\n\n{}", letter.subject, letter.text.trim_end());
    }
    Ok(())
}

fn show(mails: &[Value], json: bool) {
    if json {
        print_json(&json!({"mails": mails}));
        return;
    }
    let text = |mail: &Value, name: &str| mail.get(name).and_then(Value::as_str).unwrap_or("–").to_owned();
    for mail in mails {
        let error = mail.get("error").and_then(Value::as_str).map(|error| format!("  {error}")).unwrap_or_default();
        println!(
            "{:<6} {:<24}  {:<8} {:<20} {}{error}",
            mail.get("id").and_then(Value::as_i64).unwrap_or_default(),
            text(mail, "createdAt"),
            text(mail, "state"),
            text(mail, "kind"),
            text(mail, "recipient"),
        );
    }
    match mails.len() {
        1 => println!("1 mail"),
        count => println!("{count} mails"),
    }
}
