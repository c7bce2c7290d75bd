//! Progress with rate and time left: a bar on a terminal, plain lines elsewhere. Both go to standard error.

use std::fmt::Write;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use dml_program::eprintln;
use indicatif::{ProgressBar, ProgressState, ProgressStyle};

/// Time between two plain lines.
const INTERVAL: Duration = Duration::from_secs(10);

/// How far something has come.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    /// What is counted, such as `images embedded`; `None` where a bar is drawn.
    plain: Option<String>,
    total: u64,
    begun: Instant,
    begun_at: u64,
    told: Instant,
}

impl Progress {
    /// Begins at 0 of `total`; `what` is a phrase such as `images embedded`.
    #[must_use]
    pub fn new(what: &str, total: usize) -> Self {
        let total = total as u64;
        let template =
            format!("{{bar:30}} {{pos}}/{{len}} {what}, {{rate}} a second, {{left}} left{{msg}}");
        let rate = |state: &ProgressState, text: &mut dyn Write| {
            // A terminal that can't be written to shows nothing.
            let _ = write!(text, "{:.1}", state.per_sec());
        };
        let left = |state: &ProgressState, text: &mut dyn Write| {
            let _ = write!(text, "{}", duration(state.eta().as_secs_f64()));
        };
        let style = ProgressStyle::with_template(&template);
        let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
        let style = style.with_key("rate", rate).with_key("left", left);
        let is_drawn = std::io::stderr().is_terminal();
        let bar = match is_drawn {
            true => ProgressBar::new(total).with_style(style),
            false => ProgressBar::hidden(),
        };
        Self {
            bar,
            plain: (!is_drawn).then(|| what.to_owned()),
            total,
            begun: Instant::now(),
            begun_at: 0,
            told: Instant::now(),
        }
    }

    /// Goes on from a place that an earlier run has reached.
    pub fn resume_at(&mut self, done: u64) {
        self.begun_at = done;
        self.begun = Instant::now();
        self.bar.set_position(done);
        self.bar.reset_eta();
    }

    /// Sets the number of steps that are done; `note` is added to the bar.
    pub fn set(&mut self, done: u64, note: &str) {
        self.bar.set_position(done);
        let note = if note.is_empty() {
            String::new()
        } else {
            format!(", {note}")
        };
        if let Some(what) = &self.plain
            && self.told.elapsed() >= INTERVAL
        {
            self.told = Instant::now();
            let passed = self.begun.elapsed().as_secs_f64();
            let line = plain_line(what, [self.begun_at, done, self.total], passed);
            eprintln!("{line}{note}");
        }
        self.bar.set_message(note);
    }

    /// Prints a line to standard output without disturbing the bar.
    pub fn println(&self, line: &str) {
        self.bar.suspend(|| dml_program::println!("{line}"));
    }

    /// Ends; the bar vanishes.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.finish();
    }
}

/// `300/1200 images embedded, 25.0 a second, 36 s left`.
fn plain_line(what: &str, [from, done, total]: [u64; 3], passed: f64) -> String {
    let rate = done.saturating_sub(from) as f64 / passed.max(1e-9);
    let left = total.saturating_sub(done) as f64 / rate.max(1e-9);
    format!(
        "{done}/{total} {what}, {rate:.1} a second, {} left",
        duration(left)
    )
}

/// `36 s`, `12 min`, `3.4 h`.
#[must_use]
pub fn duration(seconds: f64) -> String {
    match seconds {
        _ if !seconds.is_finite() || seconds > 1e7 => "unknown time".to_owned(),
        _ if seconds < 100.0 => format!("{seconds:.0} s"),
        _ if seconds < 6_000.0 => format!("{:.0} min", seconds / 60.0),
        _ => format!("{:.1} h", seconds / 3_600.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_the_rate_since_the_beginning_and_the_time_left() {
        let line = plain_line("images", [100, 300, 1_300], 8.0);
        assert_eq!(line, "300/1300 images, 25.0 a second, 40 s left");
        assert_eq!(duration(600.0), "10 min");
        assert_eq!(duration(7_200.0), "2.0 h");
        // Nothing is done yet.
        assert!(plain_line("images", [0, 0, 5], 1.0).ends_with("unknown time left"));
    }
}
