//! The figures of a comparison, and how they are printed.

use dml_program::println;
use serde::{Deserialize, Serialize};

use super::worker::Sample;

/// One workload, ours and the peer's.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Row {
    /// The workload, such as `triplet/semihard/N256`.
    pub(crate) id: String,
    /// Our runs.
    pub(crate) ours: Vec<Sample>,
    /// The peer's runs, each between two of ours; none without a peer.
    pub(crate) peer: Vec<Sample>,
    /// Median of the ratios ours ÷ peer, run by run.
    pub(crate) ratio: Option<f64>,
    /// Whether both work on the same numbers, so that their answers must agree.
    pub(crate) same_work: bool,
    /// Why the peer has no runs, if it was asked for some.
    pub(crate) peer_failure: Option<String>,
}

impl Row {
    /// A row from runs that took turns.
    pub(crate) fn new(
        id: String,
        same_work: bool,
        ours: Vec<Sample>,
        peer: Vec<Sample>,
        peer_failure: Option<String>,
    ) -> Self {
        let ratio = (!peer.is_empty()).then(|| median(&ratios(&ours, &peer)));
        Self {
            id,
            ours,
            peer,
            ratio,
            same_work,
            peer_failure,
        }
    }

    /// The header of the table that [`Row::print`] continues.
    pub(crate) fn print_header() {
        println!(
            "{:<62} {:>11} {:>11} {:>8} {:>17} {:>9} {:>9}  answer",
            "workload", "ours ms", "peer ms", "ratio", "(min – max)", "ours MB", "peer MB"
        );
    }

    /// One line: medians, the range of the ratios, peak memory, and whether both came to the same answer.
    pub(crate) fn print(&self) {
        let peak = |samples: &[Sample]| samples.iter().map(|s| s.peak_mb).fold(0.0, f64::max);
        let (ours, peak_ours) = (median_ms(&self.ours), peak(&self.ours));
        let answer = self.answer();
        if self.peer.is_empty() {
            println!(
                "{:<62} {ours:>11.2} {:>11} {:>8} {:>17} {peak_ours:>9.0} {:>9}  {answer}",
                self.id, "–", "–", "–", "–"
            );
            return;
        }
        let ratios = ratios(&self.ours, &self.peer);
        let low = ratios.iter().copied().fold(f64::INFINITY, f64::min);
        let high = ratios.iter().copied().fold(0.0, f64::max);
        println!(
            "{:<62} {ours:>11.2} {:>11.2} {:>8.4} {:>17} {peak_ours:>9.0} {:>9.0}  {answer}",
            self.id,
            median_ms(&self.peer),
            median(&ratios),
            format!("({low:.4} – {high:.4})"),
            peak(&self.peer),
        );
    }

    /// What our last run came to, and whether the peer's came to the same: speed is nothing without it.
    fn answer(&self) -> String {
        // A miner has no loss, a distance and a loss mine nothing.
        let said = |sample: &Sample| match (sample.loss, sample.tuples) {
            (loss, 0) => format!("value {loss:.6}"),
            (0.0, count) => format!("{count} tuples"),
            (loss, count) => format!("loss {loss:.6}, {count} tuples"),
        };
        if let (Some(ours), Some(why)) = (self.ours.last(), &self.peer_failure) {
            return format!("{}; {why}", said(ours));
        }
        match (self.ours.last(), self.peer.last()) {
            (None, _) => String::new(),
            (Some(ours), None) => said(ours),
            (Some(ours), Some(peer)) if self.same_work => {
                let agree = ours.tuples == peer.tuples
                    && (ours.loss - peer.loss).abs() <= 1e-5 * peer.loss.abs();
                let verdict = if agree {
                    "the same".to_owned()
                } else {
                    said(peer)
                };
                format!("{}; peer: {verdict}", said(ours))
            }
            // From other random numbers; only the order of magnitude can be the same.
            (Some(ours), Some(peer)) => format!("{}; peer: {}", said(ours), said(peer)),
        }
    }
}

/// Number, geometric mean and largest of the rows' ratios, with the row of the largest; `None` without a ratio.
pub(crate) fn summary<'a>(
    rows: impl IntoIterator<Item = &'a Row>,
) -> Option<(usize, f64, f64, &'a str)> {
    let known = rows
        .into_iter()
        .filter_map(|row| Some((row.ratio?, &*row.id)));
    let known: Vec<(f64, &str)> = known.collect();
    let (largest, id) = *known.iter().max_by(|a, b| a.0.total_cmp(&b.0))?;
    let mean = known.iter().map(|(ratio, _)| ratio.ln()).sum::<f64>() / known.len() as f64;
    Some((known.len(), mean.exp(), largest, id))
}

/// One line that sums a group up.
pub(crate) fn print_summary<'a>(rows: impl IntoIterator<Item = &'a Row>) {
    if let Some((count, mean, largest, id)) = summary(rows).filter(|summary| summary.0 > 1) {
        println!("{count} ratios: geometric mean {mean:.4}, largest {largest:.4} ({id})");
    }
}

/// A line for each row whose runs count images: images a second, ours and the peer's.
pub(crate) fn print_rates(rows: &[Row]) {
    let rate = |samples: &[Sample]| {
        let count = samples.last().map_or(0, |sample| sample.tuples);
        1000.0 * count as f64 / median_ms(samples)
    };
    for row in rows {
        let (ours, peer) = (rate(&row.ours), rate(&row.peer));
        match row.ratio {
            Some(ratio) => println!(
                "{}: {ours:.0} images a second, peer {peer:.0}: {:.2} times",
                row.id,
                1.0 / ratio
            ),
            None => println!("{}: {ours:.0} images a second", row.id),
        }
    }
}

fn ratios(ours: &[Sample], peer: &[Sample]) -> Vec<f64> {
    ours.iter().zip(peer).map(|(o, p)| o.ms / p.ms).collect()
}

/// The median of the runs' milliseconds; NaN without a run.
pub(crate) fn median_ms(runs: &[Sample]) -> f64 {
    median(&runs.iter().map(|run| run.ms).collect::<Vec<_>>())
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[n / 2],
        n => f64::midpoint(sorted[n / 2 - 1], sorted[n / 2]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(ms: f64) -> Sample {
        Sample {
            ms,
            loss: 0.0,
            tuples: 0,
            peak_mb: 0.0,
        }
    }

    #[test]
    fn the_ratio_is_the_median_of_the_ratios_of_neighbours() {
        let ours = [sample(1.0), sample(2.0), sample(9.0)].to_vec();
        let peer = [sample(2.0), sample(2.0), sample(3.0)].to_vec();
        assert_eq!(
            Row::new("x".to_owned(), true, ours, peer, None).ratio,
            Some(1.0)
        );
        assert_eq!(
            Row::new("x".to_owned(), true, vec![sample(1.0)], vec![], None).ratio,
            None
        );
        assert_eq!(median(&[4.0, 1.0]), 2.5);
    }
}
