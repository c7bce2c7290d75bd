//! `cargo xtask ci`: every check that a change must pass, cheapest first.
//!
//! Everything that compiles does so in the `dev` profile with the features of the whole workspace, so that lints,
//! tests, doc tests and benches share one build of the dependencies.

use std::time::Instant;

use anyhow::{Context as _, bail};
use xshell::{Shell, cmd};

/// Arguments of `cargo xtask ci`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Go on after a failure, and fail at the end.
    #[arg(long)]
    keep_going: bool,
    /// Run this step only; may be given several times.
    #[arg(long, value_name = "STEP")]
    only: Vec<String>,
    /// Print the steps and run none.
    #[arg(long)]
    list: bool,
}

/// One check: its name, what it does, and what to do when it fails.
struct Step {
    name: &'static str,
    what: &'static str,
    on_failure: &'static str,
    run: fn(&Shell) -> anyhow::Result<()>,
}

const STEPS: &[Step] = &[
    Step {
        name: "fmt",
        what: "source formatting",
        on_failure: "run `cargo fmt --all`",
        run: |sh| Ok(cmd!(sh, "cargo fmt --all --check").run()?),
    },
    Step {
        name: "clippy",
        what: "lints of every target, warnings denied",
        on_failure: "fix the warnings above, or allow one with a comment that says why",
        run: |sh| Ok(cmd!(sh, "cargo clippy --workspace --all-targets -- -D warnings").run()?),
    },
    Step {
        name: "test",
        what: "unit and integration tests",
        on_failure: "fix the failing test above; `cargo test -p CRATE NAME` runs one",
        run: |sh| Ok(cmd!(sh, "cargo test --workspace --lib --bins --tests --examples").run()?),
    },
    Step {
        name: "doctest",
        what: "examples in the documentation and the READMEs",
        on_failure: "an example in a doc comment or README no longer holds: mend it with the code",
        run: |sh| Ok(cmd!(sh, "cargo test --workspace --doc").run()?),
    },
    Step {
        name: "bench",
        what: "every bench, once",
        on_failure: "a bench no longer runs; `cargo test -p CRATE --bench NAME` repeats it",
        // Without cargo's `--bench` flag criterion runs each bench once, and no release build is needed.
        run: |sh| Ok(cmd!(sh, "cargo test --workspace --bench *").run()?),
    },
    Step {
        name: "doc",
        what: "rustdoc, warnings denied",
        on_failure: "mend the broken link or example above",
        run: |sh| {
            let _flags = sh.push_env("RUSTDOCFLAGS", "-D warnings");
            Ok(cmd!(sh, "cargo doc --workspace --no-deps").run()?)
        },
    },
];

/// Runs the steps in order.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let sh = Shell::new()?;
    sh.change_dir(crate::workspace_root());
    for name in &args.only {
        if !STEPS.iter().any(|step| step.name == name) {
            let known: Vec<&str> = STEPS.iter().map(|step| step.name).collect();
            bail!(
                "no step is called `{name}`; the steps are {}",
                known.join(", ")
            );
        }
    }
    let chosen = STEPS
        .iter()
        .filter(|step| args.only.is_empty() || args.only.iter().any(|name| name == step.name));
    let (mut failed, whole) = (Vec::new(), Instant::now());
    for step in chosen {
        if args.list {
            println!("{:<10} {}", step.name, step.what);
            continue;
        }
        println!("── {}: {}", step.name, step.what);
        let start = Instant::now();
        let result = (step.run)(&sh);
        let seconds = start.elapsed().as_secs_f64();
        match result {
            Ok(()) => println!("── {}: ok, {seconds:.1} s", step.name),
            Err(error) => {
                println!(
                    "── {}: FAILED, {seconds:.1} s: {}",
                    step.name, step.on_failure
                );
                if !args.keep_going {
                    return Err(error)
                        .with_context(|| format!("step `{}`: {}", step.name, step.on_failure));
                }
                failed.push(step.name);
            }
        }
    }
    if !failed.is_empty() {
        bail!("failed: {}", failed.join(", "));
    }
    if !args.list {
        println!("── all passed, {:.1} s", whole.elapsed().as_secs_f64());
    }
    Ok(())
}
