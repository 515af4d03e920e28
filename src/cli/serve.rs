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
use tokio::signal::unix::{Signal, SignalKind, signal};

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
        let stop = StopSignals::listen()?;
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
        instance.check_mail();
        stop.told().await;
        tracing::info!("stopping");
        instance.stop().await;
        Ok(ExitCode::SUCCESS)
    }
}

/// A configuration that lacks something is wrong usage; one that is wrong is a failure.
fn wrong_configuration(cause: ConfigError) -> Failure {
    if cause.is_missing_hostname() { Failure::usage(cause) } else { Failure::new(cause) }
}

/// Hears interrupt and termination from the moment it is made: before anybody is told that the server is ready.
pub(super) struct StopSignals {
    interrupt: Signal,
    terminate: Signal,
}

impl StopSignals {
    pub(super) fn listen() -> Result<Self, Failure> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// Resolves at the first signal.
    pub(super) async fn told(mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
