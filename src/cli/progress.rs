//! How far long work is, on a terminal; elsewhere nothing.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal as _;

const COUNTED: &str = "{msg:<28} {bar:32} {human_pos} of {human_len} {eta}";
const UNCOUNTED: &str = "{msg:<28} {human_pos}";

/// A bar on standard error.
#[derive(Debug)]
pub(super) struct Bar(ProgressBar);

impl Bar {
    /// A bar that is drawn if somebody looks, from the first [`Self::show`] on.
    pub(super) fn new() -> Self {
        let target =
            if std::io::stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = Self(ProgressBar::with_draw_target(None, target));
        bar.rest();
        bar
    }

    /// A line above the bar, also where there is none.
    pub(super) fn note(&self, text: &str) {
        if self.0.is_hidden() {
            eprintln!("{text}");
        } else {
            self.0.println(text);
        }
    }

    /// `done` of `all` of what `what` names; of a number that nobody knows, if `all` is 0.
    pub(super) fn show(&self, what: &'static str, done: u64, all: u64) {
        let is_new = self.0.is_finished() || self.0.message() != what;
        if is_new {
            self.rest();
            self.0.set_message(what);
        }
        if self.0.length() != Some(all)
            && let Ok(style) = ProgressStyle::with_template(if all == 0 { UNCOUNTED } else { COUNTED })
        {
            self.0.set_style(style);
            self.0.set_length(all);
        }
        if is_new {
            self.0.reset();
        }
        self.0.set_position(done);
    }

    /// Takes the bar away until there is something to show: for what is not counted, and where somebody is asked.
    pub(super) fn rest(&self) {
        self.0.finish_and_clear();
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
