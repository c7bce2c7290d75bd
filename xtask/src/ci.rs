//! `cargo xtask ci`: every check that a change must pass, cheapest first.
//!
//! Lints, tests, doc tests, benches and documentation all use the `dev` profile and the features of the whole
//! workspace, so that they share one build of the dependencies. The training run has a release build.

mod valgrind;

use std::ffi::OsString;
use std::time::Instant;

use anyhow::{Context as _, bail, ensure};
use clap::{Arg, ArgAction, ArgMatches, Command};
use xshell::{Shell, cmd};

use crate::metadata::Metadata;
use crate::programs::{self, Program};
use crate::tidy;

/// The command line of `cargo xtask ci`.
pub(crate) fn command(command: Command) -> Command {
    let flag = |name, help| {
        Arg::new(name)
            .long(name)
            .help(help)
            .action(ArgAction::SetTrue)
    };
    let only = Arg::new("only")
        .long("only")
        .value_name("STEP")
        .action(ArgAction::Append);
    let command = command.args([
        flag("keep-going", "Go on after a failure, and fail at the end"),
        only.help("Run this step only; may be given several times"),
        flag("list", "Print the steps and run none"),
    ]);
    command.args(ON_DEMAND.iter().map(|(step, help)| flag(step.name, *help)))
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
        name: "tidy",
        what: "dependencies, manifests, module names",
        on_failure: "each line above says what is wrong where; `cargo xtask tidy` repeats it",
        run: |_| tidy::run(),
    },
    Step {
        name: "clippy",
        what: "lints of every target, warnings denied",
        on_failure: "mend the warnings above, or allow one with a comment that says why",
        run: |sh| lint(sh, features(sh)),
    },
    Step {
        name: "bare",
        what: "lints of the library crates without their optional features",
        on_failure: "something is only used with a feature on: put it behind that feature",
        run: |sh| {
            let library = library(sh)?;
            let packages = library.iter().flat_map(|package| ["-p", package]);
            Ok(cmd!(sh, "cargo clippy --lib {packages...} -- -D warnings").run()?)
        },
    },
    Step {
        name: "doc",
        what: "rustdoc, warnings denied",
        on_failure: "mend the broken link above",
        run: |sh| {
            let _flags = sh.push_env("RUSTDOCFLAGS", "-D warnings");
            cargo(sh, "doc", &["--no-deps"])
        },
    },
    Step {
        name: "test",
        what: "unit and integration tests",
        on_failure: "mend the failing test above; `cargo test -p CRATE NAME` repeats one",
        run: |sh| cargo(sh, "test", &["--lib", "--bins", "--tests", "--examples"]),
    },
    Step {
        name: "doctest",
        what: "examples in the documentation and the READMEs",
        on_failure: "an example no longer holds: mend it or the code",
        run: |sh| cargo(sh, "test", &["--doc"]),
    },
    Step {
        name: "bench",
        what: "every bench, once",
        on_failure: "`cargo test -p CRATE --bench NAME` repeats one",
        // Without cargo's own `--bench` flag criterion runs each bench once, and no release build is needed.
        run: |sh| cargo(sh, "test", &["--bench", "*"]),
    },
    Step {
        name: "mnist",
        what: "a short training run on synthetic digits",
        on_failure: "`cargo xtask mnist --dataset synthetic --limit 2000` repeats it",
        run: mnist,
    },
];

/// Steps apart from the others, each with the help of the flag of its name that asks for it. `cuda` has a build folder of
/// its own.
const ON_DEMAND: &[(Step, &str)] = &[
    (
        Step {
            name: "cuda",
            what: "lints of every target with the feature `cuda`, warnings denied",
            on_failure: "mend the warnings above; where nvcc is missing, the message says what to install",
            run: cuda,
        },
        "Lint with the feature `cuda`, too: needs nvcc, and the first time ten minutes",
    ),
    (
        Step {
            name: "each-feature",
            what: "every optional feature of every published crate, alone",
            on_failure: "the command above repeats it: something needs another feature, and must turn it on",
            run: each_feature,
        },
        "Check each optional feature of each crate alone, too: takes minutes",
    ),
    (
        Step {
            name: "aarch64",
            what: "lints of the library crates for AArch64, warnings denied",
            on_failure: "mend the warnings above; `rustup target add aarch64-unknown-linux-gnu` installs the target",
            run: aarch64,
        },
        "Lint for AArch64, too: needs its target, and takes minutes",
    ),
    (
        Step {
            name: "valgrind",
            what: "tests of the kernels: memory that was never written, or is not theirs",
            on_failure: "the report above names the test's line; `cargo test -p dml-kernels NAME` is the same test",
            run: valgrind::run,
        },
        "Run tests of the kernels under valgrind, too: takes minutes",
    ),
];

/// Runs the steps in order.
pub(crate) fn run(args: &ArgMatches) -> anyhow::Result<()> {
    let sh = Shell::new()?;
    sh.change_dir(crate::workspace_root());
    let mut chosen = choose(&crate::values::<String>(args, "only"))?;
    let on_demand = ON_DEMAND.iter().map(|(step, _)| step);
    chosen.extend(on_demand.filter(|step| args.get_flag(step.name)));
    if args.get_flag("list") {
        for step in chosen {
            println!("{:<8} {}", step.name, step.what);
        }
        return Ok(());
    }
    let skipped = (!has_cxx(&sh)).then_some(
        "no C++ compiler (g++, or the one in CXX): the kernels for CUDA and the approximate index are SKIPPED",
    );
    if let Some(skipped) = skipped {
        println!("── {skipped}");
    }
    let (mut failed, start) = (Vec::new(), Instant::now());
    for step in chosen {
        let (Step { name, what, .. }, start) = (step, Instant::now());
        println!("── {name}: {what}");
        let result = (step.run)(&sh);
        let seconds = start.elapsed().as_secs_f64();
        match result {
            Ok(()) => println!("── {name}: passed in {seconds:.1} s"),
            Err(error) => {
                println!(
                    "── {name}: FAILED in {seconds:.1} s ({error:#}): {}",
                    step.on_failure
                );
                failed.push(*name);
                if !args.get_flag("keep-going") {
                    break;
                }
            }
        }
    }
    if !failed.is_empty() {
        bail!("failed: {}", failed.join(", "));
    }
    println!("── all passed in {:.1} s", start.elapsed().as_secs_f64());
    if let Some(skipped) = skipped {
        println!("── {skipped}");
    }
    Ok(())
}

/// The steps of these names in the order of the list; all if there is no name.
fn choose(only: &[String]) -> anyhow::Result<Vec<&'static Step>> {
    let steps: Vec<&Step> = STEPS.iter().collect();
    crate::choose("step", steps, |step| step.name, only)
}

/// The crates of the library, as a user who wants only one of them builds it: without optional features.
fn library(sh: &Shell) -> anyhow::Result<Vec<String>> {
    let packages = Metadata::without_dependencies(sh)?.packages.into_iter();
    let library = packages.filter(|package| package.is_published && package.name != "dml");
    Ok(library.map(|package| package.name).collect())
}

/// Runs a program of another package.
fn start(program: &Program, args: &[&str]) -> anyhow::Result<()> {
    let args: Vec<OsString> = args.iter().map(Into::into).collect();
    let status = program.cargo(&args).status()?;
    ensure!(status.success(), "{status}");
    Ok(())
}

/// The optional features that every step turns on, the same in all, so that nothing is built twice. The approximate index is
/// among them where there is a C++ compiler.
fn features(sh: &Shell) -> &'static str {
    if has_cxx(sh) {
        "dml-examples/images,dml-testing/parquet,dml/hub,dml/models,dml/usearch,dml-examples/usearch"
    } else {
        "dml-examples/images,dml-testing/parquet,dml/hub,dml/models"
    }
}

/// Runs a command of cargo for the whole workspace with [`features`].
fn cargo(sh: &Shell, command: &str, args: &[&str]) -> anyhow::Result<()> {
    let features = features(sh);
    Ok(cmd!(
        sh,
        "cargo {command} --workspace {args...} --features {features}"
    )
    .run()?)
}

/// Lints every target of the workspace with some optional features.
fn lint(sh: &Shell, features: &str) -> anyhow::Result<()> {
    let clippy = cmd!(
        sh,
        "cargo clippy --workspace --all-targets --features {features} -- -D warnings"
    );
    Ok(clippy.run()?)
}

/// Whether there is a C++ compiler: `CXX`, or `c++`.
pub(crate) fn has_cxx(sh: &Shell) -> bool {
    let compiler = std::env::var("CXX").unwrap_or_else(|_| "c++".to_owned());
    let version = cmd!(sh, "{compiler} --version").quiet();
    version.ignore_stdout().ignore_stderr().run().is_ok()
}

/// Checks each optional feature of each published crate alone, those of GPUs and of C++ libraries excepted.
fn each_feature(sh: &Shell) -> anyhow::Result<()> {
    const EXCEPTED: &[&str] = &[
        "default",
        "cuda",
        "cudnn",
        "metal",
        "accelerate",
        "mkl",
        "usearch",
        "usearch-simd",
    ];
    let packages = Metadata::without_dependencies(sh)?.packages;
    for package in packages.iter().filter(|package| package.is_published) {
        let features = package.features.keys();
        for feature in features.filter(|name| !EXCEPTED.contains(&name.as_str())) {
            let name = &package.name;
            let check = cmd!(
                sh,
                "cargo check --lib -p {name} --no-default-features --features {feature}"
            );
            check.run()?;
        }
    }
    Ok(())
}

/// Lints each library crate with the vector instructions of `AArch64`. Nothing is linked, so no cross compiler is needed.
fn aarch64(sh: &Shell) -> anyhow::Result<()> {
    let library = library(sh)?;
    let packages = library.iter().flat_map(|package| ["-p", package]);
    let target = "aarch64-unknown-linux-gnu";
    Ok(cmd!(
        sh,
        "cargo clippy --lib --target {target} {packages...} -- -D warnings"
    )
    .run()?)
}

/// Fails with what to install, where there is no nvcc: `NVCC`, or `nvcc`.
pub(crate) fn require_nvcc(sh: &Shell) -> anyhow::Result<()> {
    let nvcc = std::env::var("NVCC").unwrap_or_else(|_| "nvcc".to_owned());
    ensure!(
        cmd!(sh, "{nvcc} --version")
            .quiet()
            .ignore_stdout()
            .run()
            .is_ok(),
        "no nvcc: install the CUDA toolkit 12 or 13, or its compiler from PyPI (nvidia-cuda-nvcc, nvidia-cuda-crt, \
         nvidia-nvvm, nvidia-cuda-runtime, nvidia-cuda-cccl, nvidia-curand), and put nvcc on PATH or into NVCC"
    );
    Ok(())
}

/// Candle compiles its kernels by nvcc, so there has to be one; a GPU there need not be.
fn cuda(sh: &Shell) -> anyhow::Result<()> {
    require_nvcc(sh)?;
    let _folder = sh.push_env(
        "CARGO_TARGET_DIR",
        crate::workspace_root().join("target/cuda"),
    );
    // Without a GPU to ask, Candle has to be told for which one to compile.
    let capability = std::env::var("CUDA_COMPUTE_CAP").unwrap_or_else(|_| "80".to_owned());
    let _capability = sh.push_env("CUDA_COMPUTE_CAP", capability);
    lint(sh, "dml/cuda,dml-core/cuda")
}

/// Trains on a few digits, and sees that something was learnt.
fn mnist(sh: &Shell) -> anyhow::Result<()> {
    let out = sh.create_temp_dir()?;
    let folder = out
        .path()
        .to_str()
        .context("the temporary folder's name is not text")?;
    let digits = ["--dataset", "synthetic", "--limit", "2000", "--epochs", "1"];
    start(
        &programs::MNIST,
        &[&digits[..], &["--out", folder]].concat(),
    )?;
    let metrics: serde_json::Value =
        serde_json::from_str(&sh.read_file(out.path().join("metrics.json"))?)?;
    let precision = metrics["precision_at_1"]
        .as_f64()
        .context("metrics.json has no precision_at_1")?;
    // A guess is right one time in ten.
    ensure!(precision > 0.5, "Precision@1 is only {precision}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_chosen_by_name_and_keep_their_order() {
        let names = |only: &[&str]| -> anyhow::Result<Vec<&str>> {
            let only: Vec<String> = only.iter().map(|name| (*name).to_owned()).collect();
            Ok(choose(&only)?.iter().map(|step| step.name).collect())
        };
        assert_eq!(names(&["test", "fmt"]).unwrap(), ["fmt", "test"]);
        assert_eq!(names(&[]).unwrap().len(), STEPS.len());
        let error = names(&["tests"]).unwrap_err().to_string();
        assert!(
            error.contains("`tests`") && error.contains("fmt, tidy"),
            "{error}"
        );
    }
}
