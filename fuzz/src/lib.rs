//! What every fuzz target does before its first input.

use std::fs;
use std::path::Path;

/// The function of a target. Its valid inputs are put into its corpus, from which libFuzzer begins.
///
/// A reader may catch a panic of the library that it uses, and return an error: that is no fault. So nothing is done where a
/// panic begins, and one that nobody caught ends the process all the same.
///
/// # Panics
/// If the corpus can't be written.
pub fn begin(name: &str) -> fn(&[u8]) {
    let target = dml_testing::fuzz::target(name);
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
    fs::create_dir_all(&corpus).expect("the corpus can be made");
    for (number, seed) in (target.seeds)().into_iter().enumerate() {
        fs::write(corpus.join(format!("seed-{number:03}")), seed).expect("the corpus can be written");
    }
    std::panic::set_hook(Box::new(|panic| eprintln!("{panic}")));
    target.run
}
