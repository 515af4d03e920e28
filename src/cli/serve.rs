//! `housekey serve`: the server.

use super::{ConfigFile, Failure, print_json};
use crate::{
    app::{Instance, World},
    config::{Config, ConfigError, LogFormat, Overrides},
    telemetry,
};
use clap::Args;
use serde_json::json;
use std::{net::SocketAddr, path::PathBuf, process::ExitCode};
use tokio::signal::unix::{SignalKind, signal};

/// Runs the server until it is told to stop (Ctrl-C or SIGTERM). Settings come from flags, then `HOUSEKEY_…` variables,
/// then the configuration file, then defaults.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  housekey serve                                 with housekey.toml of this directory
  housekey serve --config /etc/housekey.toml
  HOUSEKEY_SERVER_HOSTNAME=pds.example.com housekey serve --data-dir /var/lib/housekey")]
pub(super) struct Serve {
    #[command(flatten)]
    file: ConfigFile,
    /// Address and port to listen on
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Directory of the database, the blobs and the master key
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Print one line of JSON when ready
    #[arg(long)]
    json: bool,
}

impl Serve {
    pub(super) async fn run(self) -> Result<ExitCode, Failure> {
        let overrides = Overrides { listen: self.listen, data_dir: self.data_dir, ..Overrides::default() };
        let (config, warnings) = Config::read(self.file.config.as_deref(), overrides).map_err(wrong_configuration)?;
        let format = match config.log.format {
            LogFormat::Text => telemetry::Format::Text,
            LogFormat::Json => telemetry::Format::Json,
        };
        telemetry::start(&config.log.level, format);
        for warning in warnings {
            tracing::warn!("{warning}");
        }
        let listener = Instance::bind(config.server.listen).await?;
        let instance = Instance::start(&config, World::default(), listener).await?;
        let (url, address) = (config.server.public_url.as_str().trim_end_matches('/'), instance.address);
        if self.json {
            print_json(&json!({"pds": url, "listen": address}));
        }
        tracing::info!(%address, "{url} is served on {address}");
        if !instance.server.mailer.is_configured() {
            tracing::warn!(
                "[email] is not configured: codes for signPlcOperation cannot be mailed, so that method will not work"
            );
        }
        until_told_to_stop().await?;
        tracing::info!("stopping");
        instance.stop().await;
        Ok(ExitCode::SUCCESS)
    }
}

/// A configuration that lacks something is wrong usage; one that is wrong is a failure.
fn wrong_configuration(cause: ConfigError) -> Failure {
    if cause.is_missing_hostname() { Failure::usage(cause) } else { Failure::new(cause) }
}

/// Resolves at the first interrupt or termination.
pub(super) async fn until_told_to_stop() -> Result<(), Failure> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}
