//! The figures of all parts: one JSON file for programs, one page of Markdown for people.

use std::fmt::Write;
use std::path::Path;

use anyhow::Context;
use dml::core::durable;
use serde::Deserialize;
use serde_json::{Value, json};

use super::machine::Machine;
use crate::bench::table::{Row, median_ms, summary};
use crate::bench::worker::Sample;

/// Writes `gpu.json` and `gpu.md`.
pub(super) fn write(
    out: &Path,
    machine: &Machine,
    quick: bool,
    parts: &[(String, Value)],
) -> anyhow::Result<()> {
    let all: serde_json::Map<String, Value> = parts.iter().cloned().collect();
    let whole = json!({"machine": machine, "quick": quick, "parts": all});
    let file = out.join("gpu.json");
    durable::write(&file, &serde_json::to_vec_pretty(&whole)?)
        .with_context(|| file.display().to_string())?;
    let file = out.join("gpu.md");
    durable::write(&file, page(machine, quick, parts).as_bytes())
        .with_context(|| file.display().to_string())
}

fn page(machine: &Machine, quick: bool, parts: &[(String, Value)]) -> String {
    let unknown = || "unknown".to_owned();
    let mut page = format!(
        "# On {}\n\nGPU: {}. CPU: {}, {} threads.\n",
        machine.device,
        machine.gpu.clone().unwrap_or_else(unknown),
        machine.cpu.clone().unwrap_or_else(unknown),
        machine.threads,
    );
    if quick {
        page += "\nSmall sizes (`--quick`): these figures say that the command works, and nothing of speed.\n";
    }
    for (name, figures) in parts {
        page += &format!("\n## {name}\n\n");
        page += &match (name.as_str(), figures) {
            ("conformance", Value::Array(cases)) => verdicts(cases),
            ("mnist", figures) => mnist(figures),
            (_, rows) => match Vec::<Row>::deserialize(rows) {
                Ok(rows) => workloads(&rows),
                Err(_) => String::from("no figures\n"),
            },
        };
    }
    page
}

fn verdicts(cases: &[Value]) -> String {
    let passed = cases
        .iter()
        .filter(|case| case["verdict"] == "passed")
        .count();
    let mut text = format!("{passed} of {} cases passed.\n", cases.len());
    for case in cases.iter().filter(|case| case["verdict"] != "passed") {
        let said = |key: &str| case[key].as_str().unwrap_or_default().to_owned();
        let _ = writeln!(
            text,
            "- {}: {} {}",
            said("case"),
            said("verdict"),
            said("reason")
        );
    }
    text
}

fn mnist(figures: &Value) -> String {
    let mut text = String::new();
    for key in [
        "dataset",
        "precision_at_1",
        "train_seconds",
        "embed_seconds",
        "eval_seconds",
    ] {
        if !figures[key].is_null() {
            let _ = writeln!(text, "- {key}: {}", figures[key]);
        }
    }
    text
}

/// One line a workload, and the geometric mean of the ratios.
fn workloads(rows: &[Row]) -> String {
    let mut text =
        String::from("| workload | ours ms | peer ms | ours ÷ peer |\n|---|---|---|---|\n");
    for row in rows {
        let shown = |number: Option<f64>, digits| {
            number.map_or_else(|| "–".to_owned(), |number| format!("{number:.digits$}"))
        };
        let ms = |runs: &[Sample]| shown((!runs.is_empty()).then(|| median_ms(runs)), 3);
        let (ours, peer, ratio) = (ms(&row.ours), ms(&row.peer), shown(row.ratio, 4));
        let _ = writeln!(text, "| {} | {ours} | {peer} | {ratio} |", row.id);
    }
    if let Some((count, mean, largest, _)) = summary(rows) {
        let _ = writeln!(
            text,
            "\n{count} ratios: geometric mean {mean:.4}, largest {largest:.4}."
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_the_machine_and_every_figure() {
        let machine = Machine {
            device: "cuda".to_owned(),
            gpu: Some("NVIDIA Abacus".to_owned()),
            cpu: None,
            threads: 3,
        };
        let runs = |ms: &[f64]| -> Vec<Sample> {
            let run = |ms: &f64| Sample {
                ms: *ms,
                loss: 0.0,
                tuples: 0,
                peak_mb: 0.0,
            };
            ms.iter().map(run).collect()
        };
        let row = |id: &str, ours: &[f64], peer: &[f64]| {
            Row::new(id.to_owned(), true, runs(ours), runs(peer), None)
        };
        let rows = [
            row("loss/X/N256", &[3.0, 1.0, 2.0], &[12.0, 4.0, 8.0]),
            row("loss/Y/N256", &[5.0], &[]),
            row("loss/Z/N256", &[1.0], &[1.0]),
        ];
        let rows = serde_json::to_value(rows).unwrap();
        let cases = json!([{"case": "a/b", "verdict": "passed"}, {"case": "a/c", "verdict": "failed", "reason": "far off"}]);
        let parts = [
            ("conformance".to_owned(), cases),
            ("losses".to_owned(), rows),
        ];
        let page = page(&machine, true, &parts);
        for said in [
            "NVIDIA Abacus",
            "3 threads",
            "--quick",
            "1 of 2 cases passed",
            "- a/c: failed far off",
            "| loss/X/N256 | 2.000 | 8.000 | 0.2500 |",
            "| loss/Y/N256 | 5.000 | – | – |",
            "2 ratios: geometric mean 0.5000, largest 1.0000.",
        ] {
            assert!(page.contains(said), "{said}: {page}");
        }
    }
}
