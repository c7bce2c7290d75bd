//! The figures of all parts: one JSON file for programs, one page of Markdown for people.

use std::fmt::Write;
use std::path::Path;

use anyhow::Context;
use dml::core::durable;
use serde_json::{Value, json};

use super::machine::Machine;

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
            (_, Value::Array(rows)) => workloads(rows),
            _ => String::from("no figures\n"),
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
fn workloads(rows: &[Value]) -> String {
    let mut text =
        String::from("| workload | ours ms | peer ms | ours ÷ peer |\n|---|---|---|---|\n");
    let mut logarithms = Vec::new();
    for row in rows {
        let shown = |number: Option<f64>, digits| {
            number.map_or_else(|| "–".to_owned(), |number| format!("{number:.digits$}"))
        };
        let ratio = row["ratio"].as_f64();
        logarithms.extend(ratio.map(f64::ln));
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} |",
            row["id"].as_str().unwrap_or_default(),
            shown(median(&row["ours"]), 3),
            shown(median(&row["peer"]), 3),
            shown(ratio, 4),
        );
    }
    if !logarithms.is_empty() {
        let mean = (logarithms.iter().sum::<f64>() / logarithms.len() as f64).exp();
        let largest = logarithms
            .iter()
            .copied()
            .fold(f64::NEG_INFINITY, f64::max)
            .exp();
        let _ = writeln!(
            text,
            "\n{} ratios: geometric mean {mean:.4}, largest {largest:.4}.",
            logarithms.len()
        );
    }
    text
}

/// The median of the runs' milliseconds.
fn median(runs: &Value) -> Option<f64> {
    let mut ms: Vec<f64> = runs
        .as_array()?
        .iter()
        .filter_map(|run| run["ms"].as_f64())
        .collect();
    ms.sort_by(f64::total_cmp);
    let middle = ms.len() / 2;
    match ms.len() {
        0 => None,
        n if n % 2 == 1 => Some(ms[middle]),
        _ => Some(f64::midpoint(ms[middle - 1], ms[middle])),
    }
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
        let rows = json!([
            {"id": "loss/X/N256", "ours": [{"ms": 3.0}, {"ms": 1.0}, {"ms": 2.0}], "peer": [{"ms": 8.0}], "ratio": 0.25},
            {"id": "loss/Y/N256", "ours": [{"ms": 5.0}], "peer": [], "ratio": null},
            {"id": "loss/Z/N256", "ours": [{"ms": 1.0}], "peer": [{"ms": 1.0}], "ratio": 1.0},
        ]);
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
