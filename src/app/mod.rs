//! Wiring: makes the server from its configuration, starts what runs in the background, and stops it in order.

mod child;
mod dev;
mod dev_clock;
mod dev_directory;
mod instance;
mod secrets;

pub use child::{EndedBy, run_child};
pub use dev::{DevError, DevServer, DevSettings, SeededAccount};
pub use instance::{Instance, StartError, World, open_server};
