//! `cargo xtask conformance DIR`: every component against the reference cases, on any device.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, bail};
use dml::candle_core::DType;
use dml::core::autograd::cuda::with_runner;
use dml_program::{open_device, println};
use dml_testing::{Case, CaseResult, HostKernels, cases, run as run_case};
use serde::Serialize;

/// Run every component against reference cases: values and gradients.
#[derive(Debug, clap::Parser)]
#[command(name = "cargo xtask conformance", bin_name = "cargo xtask conformance")]
pub struct Args {
    /// A folder of cases or archives of cases, one archive, or one case.
    dir: PathBuf,
    /// Run only cases whose `kind/Name/id` contains this text; may be given several times.
    #[arg(long, value_name = "TEXT")]
    filter: Vec<String>,
    /// Write the verdict on each case to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// The precision that components are run in.
    #[arg(long, default_value = "f32", value_parser = ["f32", "f64"])]
    precision: String,
    /// `cpu`, `cuda`, `cuda:N` or `metal`; or `host-kernels`: the CPU, with the kernels for CUDA compiled for it.
    #[arg(long, default_value = "cpu")]
    device: String,
    /// Print failed cases only as a count by component.
    #[arg(long)]
    summary: bool,
}

#[derive(Serialize)]
struct Line<'a> {
    case: &'a str,
    verdict: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
}

/// Runs the cases and prints what fails.
///
/// # Errors
/// If a case fails, the device or the cases can't be opened, or the file of results can't be written.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let precision = if args.precision == "f64" {
        DType::F64
    } else {
        DType::F32
    };
    if args.device == "host-kernels" {
        let kernels = HostKernels::get()?.context("--device host-kernels: no C++ compiler")?;
        let like_a_gpu = |case: Case| case.with_precision(precision).summed_in_another_order();
        return with_runner(kernels, || run_cases(args, like_a_gpu));
    }
    let device = open_device(&args.device).context("--device")?;
    run_cases(args, |case| {
        case.with_precision(precision).with_device(device.clone())
    })
}

/// Runs the chosen cases as `prepare` makes them.
fn run_cases(args: &Args, prepare: impl Fn(Case) -> Case) -> anyhow::Result<()> {
    let chosen: Vec<Case> = cases(&args.dir)?
        .into_iter()
        .filter(|case| {
            args.filter.is_empty() || args.filter.iter().any(|f| case.path.contains(f.as_str()))
        })
        .map(prepare)
        .collect();
    if chosen.is_empty() {
        bail!("no case contains {}", args.filter.join(" or "));
    }
    let results: Vec<(String, CaseResult)> = chosen
        .iter()
        .map(|case| (case.path.clone(), run_case(case)))
        .collect();
    let mut failures: BTreeMap<&str, u32> = BTreeMap::new();
    for (path, result) in results.iter().filter(|(_, result)| !result.is_passed()) {
        if !args.summary {
            println!("{path}: {result}");
        }
        let component = path
            .rsplit_once('/')
            .map_or(path.as_str(), |(component, _)| component);
        *failures.entry(component).or_default() += 1;
    }
    if args.summary {
        for (component, count) in &failures {
            println!("{count:5} {component}");
        }
    }
    if let Some(file) = &args.json {
        let lines: Vec<Line<'_>> = results
            .iter()
            .map(|(path, result)| line(path, result))
            .collect();
        dml::core::durable::write(file, &serde_json::to_vec_pretty(&lines)?)
            .with_context(|| file.display().to_string())?;
    }
    let failed: u32 = failures.values().sum();
    println!(
        "{} passed, {failed} failed",
        results.len() - failed as usize
    );
    if failed > 0 {
        bail!("{failed} cases failed");
    }
    Ok(())
}

fn line<'a>(case: &'a str, result: &'a CaseResult) -> Line<'a> {
    let (verdict, reason) = match result {
        CaseResult::Passed => ("passed", None),
        CaseResult::Failed(why) => ("failed", Some(why.as_str())),
        CaseResult::Unsupported(what) => ("unsupported", Some(what.as_str())),
    };
    Line {
        case,
        verdict,
        reason,
    }
}
