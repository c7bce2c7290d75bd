//! The data of a run: what is learnt from, and the sets that embeddings are judged by.

mod held_out;
mod images;
mod pair_classes;
mod source;
mod texts;
mod vector_table;
mod vectors;

use dml::data::SkippedFile;

use crate::evaluation::EvaluationSet;
use crate::notes::println;
use crate::settings::{Problem, Settings};

use held_out::HeldOutRows;
pub use images::{ImageData, open_images, open_set};
pub use texts::TextData;
pub use vectors::VectorData;

/// The data of a run: notes to print, and the sets that the result is judged by.
#[derive(Debug)]
pub struct RunData {
    /// What is learnt from, such as `1,200 images of 5 classes`.
    pub train: String,
    /// Number of rows that are learnt from.
    pub rows: usize,
    /// The names of their classes, in the order of their labels without gaps.
    pub classes: Vec<String>,
    /// The set that the best epoch is chosen by.
    pub validation: Option<EvaluationSet>,
    /// The set that the result is judged by.
    pub test: Option<EvaluationSet>,
    /// Files that were left out.
    pub skipped: Vec<SkippedFile>,
    /// Sentences for the user.
    pub notes: Vec<String>,
}

impl RunData {
    /// Prints what is learnt from and judged by.
    pub fn tell(&self, things: &str) {
        println!("{} to learn from", self.train);
        let sets = [
            (&self.validation, "to choose the best epoch by"),
            (&self.test, "to judge by"),
        ];
        for (set, purpose) in sets {
            if let Some(set) = set {
                println!("{} {purpose}", set.describe(things));
            }
        }
        if self.test.is_none() {
            println!(
                "note: nothing to judge by: no data.test, data.test_classes or data.test_pairs"
            );
        }
        const SHOWN: usize = 5;
        for skipped in self.skipped.iter().take(SHOWN) {
            println!("left out {}: {}", skipped.path.display(), skipped.reason);
        }
        if self.skipped.len() > SHOWN {
            let more = self.skipped.len() - SHOWN;
            println!("left out {more} more files; the report lists them");
        }
        self.notes.iter().for_each(|note| println!("{note}"));
    }
}

/// Refuses a set whose inputs look for each other and are all of one class: every neighbour would be right.
fn check_set(settings: &Settings, part: &str, set: Option<&EvaluationSet>) -> Result<(), Problem> {
    let Some(set) = set else { return Ok(()) };
    let (classes, (_, gallery)) = (set.class_names().len(), set.counts());
    if gallery.is_some() || classes > 1 || set.has_pairs() {
        return Ok(());
    }
    let fields = ["_classes", "", "_split"].map(|ending| format!("data.{part}{ending}"));
    let given = fields.iter().find(|field| settings.is_given(field));
    let sentence =
        format!("expected at least 2 classes, so that a neighbour can be wrong, got {classes}");
    Err(settings.problem(given.unwrap_or(&fields[1]), sentence))
}
