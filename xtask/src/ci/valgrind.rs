//! `cargo xtask ci --valgrind`: tests of the kernels under valgrind's memcheck.
//!
//! The kernels are what reads and writes slices without bounds of their own. Memcheck sees what no test does: a number
//! computed from memory that was never written, and an access beside what was allocated. It runs everything some thirty
//! times slower, so [tests of large inputs](SKIPPED) are left out. They run in the profile `dev`, with debug assertions and
//! overflow checks. Valgrind has no AVX-512 and reports a processor without it, so that the kernels choose AVX2 by themselves.

use anyhow::{Context as _, ensure};
use xshell::{Shell, cmd};

/// Packages that have kernels, and which of their tests run.
const PACKAGES: [(&str, &[&str]); 3] = [
    ("dml-kernels", &[]),
    ("dml-nn", &["kernels::"]),
    ("dml-eval", &["kernels::"]),
];

/// Tests that take longer than all others together, by parts of their names. Others run the same kernels.
const SKIPPED: &[&str] = &[
    "nearest::tests::every_dim_is_searched_exactly",
    "nearest::tests::agrees_with_sorting_every_row",
    "nearest::tests::clusters_far_from_the_origin",
    "nearest::tests::near_duplicates_far_from_the_origin",
    "nearest::tests::a_wrong_guess_is_found_out",
    "nearest::tests::a_crowd_of_near_duplicates",
    "nearest::tests::magnitudes_from_tiny",
    "nearest::integer_tiles::tests::numbers_are_within",
    "pairwise_lp::tests::gradients_agree_with_central",
    "pairwise_lp::tests::the_definition_on_every_side",
    "kmeans::assign::tests::what_is_remembered",
    "kmeans::start::tests::draws_that_are_taken_back",
];
/// What valgrind ends with if it has seen an error: no status of a test program.
const SEEN: &str = "--error-exitcode=99";

pub(super) fn run(sh: &Shell) -> anyhow::Result<()> {
    let version = cmd!(sh, "valgrind --version").quiet().ignore_stderr();
    ensure!(
        version.ignore_stdout().run().is_ok(),
        "no valgrind: install the package `valgrind` of your system, such as by `apt-get install valgrind`"
    );
    // The fewer threads, the less valgrind has to switch between them: it runs one at a time.
    let _threads = sh.push_env("RAYON_NUM_THREADS", "2");
    for (package, tests) in PACKAGES {
        let built = cmd!(
            sh,
            "cargo test -p {package} --lib --no-run --message-format json"
        );
        let program =
            test_program(&built.read()?).context("cargo names no program of the tests")?;
        let skipped = SKIPPED.iter().flat_map(|name| ["--skip", name]);
        let valgrind = cmd!(
            sh,
            "valgrind --quiet --leak-check=no {SEEN} {program} {tests...} {skipped...} --test-threads=1"
        );
        valgrind.run()?;
    }
    Ok(())
}

/// The program among cargo's messages, one JSON object a line.
fn test_program(messages: &str) -> Option<String> {
    let messages = messages
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let programs = messages.filter(|message| message["profile"]["test"] == true);
    programs
        .filter_map(|message| message["executable"].as_str().map(str::to_owned))
        .next_back()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_the_one_that_tests() {
        let messages = concat!(
            r#"{"reason":"compiler-artifact","profile":{"test":false},"executable":null}"#,
            "\nnot JSON\n",
            r#"{"reason":"compiler-artifact","profile":{"test":true},"executable":"deps/kernels-1"}"#,
            "\n",
            r#"{"reason":"build-finished","success":true}"#,
        );
        assert_eq!(test_program(messages).as_deref(), Some("deps/kernels-1"));
        assert_eq!(test_program("{}"), None);
    }
}
