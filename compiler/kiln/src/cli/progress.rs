//! Progress on standard error, for work that takes over a second, and only on a terminal.

use crate::driver::Timings;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;
use std::time::Duration;

/// Timings that show the stage that is under way.
pub fn timings() -> Timings {
    if !std::io::stderr().is_terminal() {
        return Timings::default();
    }
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} ({elapsed})") {
        bar.set_style(style);
    }
    let shown = bar.clone();
    // The thread ends with the process at the latest; a finished bar draws nothing.
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_secs(1));
        if !shown.is_finished() {
            shown.set_draw_target(ProgressDrawTarget::stderr());
            shown.enable_steady_tick(Duration::from_millis(100));
        }
    });
    let end = Finish(bar.clone());
    Timings::observed(move |stage| {
        let _ = &end;
        bar.set_message(stage);
    })
}

/// Clears the line when the work is done or has failed.
struct Finish(ProgressBar);

impl Drop for Finish {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
