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
    #[serde(flatten)]
    result: &'a CaseResult,
}

/// Runs the cases and prints what fails.
///
/// # Errors
/// If a case fails, the device or the cases can't be opened, or the file of results can't be written.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let precision = match args.precision.as_str() {
        "f64" => DType::F64,
        _ => DType::F32,
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
    let mut cases = cases(&args.dir)?;
    let is_chosen = |case: &Case| args.filter.iter().any(|text| case.path.contains(text));
    cases.retain(|case| args.filter.is_empty() || is_chosen(case));
    if cases.is_empty() {
        bail!("no case contains {}", args.filter.join(" or "));
    }
    let cases = cases.into_iter().map(prepare);
    let results: Vec<(String, CaseResult)> = cases
        .map(|case| (case.path.clone(), run_case(&case)))
        .collect();
    let mut failures: BTreeMap<&str, u32> = BTreeMap::new();
    for (path, result) in results.iter().filter(|(_, result)| !result.is_passed()) {
        if !args.summary {
            println!("{path}: {result}");
        }
        let component = path
            .rsplit_once('/')
            .map_or(&**path, |(component, _)| component);
        *failures.entry(component).or_default() += 1;
    }
    if args.summary {
        for (component, count) in &failures {
            println!("{count:5} {component}");
        }
    }
    if let Some(file) = &args.json {
        let lines = results.iter().map(|(case, result)| Line { case, result });
        let lines: Vec<Line<'_>> = lines.collect();
        dml::core::durable::write(file, &serde_json::to_vec_pretty(&lines)?)
            .with_context(|| file.display().to_string())?;
    }
    let failed: u32 = failures.values().sum();
    let passed = results.len() - failed as usize;
    println!("{passed} passed, {failed} failed");
    if failed > 0 {
        bail!("{failed} cases failed");
    }
    Ok(())
}
