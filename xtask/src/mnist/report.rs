//! The run as one page to look at: `report.html`, which needs no other file and no network.

use anyhow::Context;
use askama::Template;
use plotters::prelude::*;
use serde_json::Value;

/// Width and height of a curve, in units of the picture; the page scales it.
const CURVE: (u32, u32) = (760, 260);

/// What a curve goes along.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Along {
    name: &'static str,
    /// The number of the first value.
    first: usize,
}

impl Along {
    /// Iterations, from 0.
    pub(crate) const ITERATIONS: Self = Self {
        name: "iteration",
        first: 0,
    };
    /// Epochs, from 1.
    pub(crate) const EPOCHS: Self = Self {
        name: "epoch",
        first: 1,
    };
}

/// A picture and what it shows.
#[derive(Clone, Debug)]
pub(crate) struct Figure {
    pub(crate) caption: String,
    /// The whole `<svg>` element.
    pub(crate) svg: String,
}

/// A part of the run and its share of the time.
#[derive(Clone, Debug)]
struct Timing {
    name: String,
    shown: String,
    percent: f64,
}

/// What the page shows.
#[derive(Debug, Template)]
#[template(path = "report.html")]
pub(crate) struct Report {
    title: String,
    summary: String,
    /// Numbers in large letters, by name.
    facts: Vec<(String, String)>,
    curves: Vec<Figure>,
    pictures: Vec<Figure>,
    timings: Vec<Timing>,
    settings: Vec<(String, String)>,
}

impl Report {
    /// A page without figures.
    pub(crate) fn new(title: &str, summary: &str) -> Self {
        Self {
            title: title.to_owned(),
            summary: summary.to_owned(),
            facts: Vec::new(),
            curves: Vec::new(),
            pictures: Vec::new(),
            timings: Vec::new(),
            settings: Vec::new(),
        }
    }

    /// A number in large letters.
    pub(crate) fn fact(&mut self, name: &str, value: String) {
        self.facts.push((name.to_owned(), value));
    }

    /// How a number changed.
    pub(crate) fn curve(&mut self, name: &str, along: Along, values: &[f64]) -> anyhow::Result<()> {
        self.curves.push(Figure {
            caption: format!("{name}, by {}", along.name),
            svg: curve(name, along, values).with_context(|| format!("drawing {name}"))?,
        });
        Ok(())
    }

    /// Pictures of the embeddings.
    pub(crate) fn pictures(&mut self, figures: Vec<Figure>) {
        self.pictures.extend(figures);
    }

    /// How many seconds each part took.
    pub(crate) fn timings(&mut self, parts: &[(&str, f64)]) {
        let total: f64 = parts.iter().map(|(_, seconds)| seconds).sum();
        self.timings
            .extend(parts.iter().map(|(name, seconds)| Timing {
                name: (*name).to_owned(),
                shown: format!("{seconds:.1} s"),
                percent: (1000.0 * seconds / total.max(f64::MIN_POSITIVE)).round() / 10.0,
            }));
    }

    /// Every setting of a JSON object, nested ones as JSON.
    pub(crate) fn settings(&mut self, settings: &Value) {
        let Value::Object(settings) = settings else {
            return;
        };
        let shown = |value: &Value| match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let entries = settings.iter();
        self.settings
            .extend(entries.map(|(name, value)| (name.replace('_', " "), shown(value))));
    }

    /// The page.
    pub(crate) fn html(&self) -> anyhow::Result<String> {
        self.render().context("writing the report")
    }
}

/// A line with both axes named. Axes and letters take the colour of the text around.
fn curve(name: &str, along: Along, values: &[f64]) -> anyhow::Result<String> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, CURVE).into_drawing_area();
        let finite = || values.iter().copied().filter(|value| value.is_finite());
        let top = finite().fold(0.0, f64::max);
        let low = finite().fold(0.0, f64::min);
        let top = if top > low {
            top + 0.05 * (top - low)
        } else {
            low + 1.0
        };
        let mut chart = ChartBuilder::on(&area)
            .margin(8)
            .x_label_area_size(36)
            .y_label_area_size(72)
            .build_cartesian_2d(along.first..along.first + values.len().max(2) - 1, low..top)?;
        chart
            .configure_mesh()
            .x_desc(along.name)
            .y_desc(name)
            .y_label_formatter(&|value| short(*value))
            .light_line_style(TRANSPARENT)
            .bold_line_style(BLACK.mix(0.15))
            .label_style(("sans-serif", 13))
            .draw()?;
        let points = values.iter().enumerate().filter(|(_, y)| y.is_finite());
        let line = points.map(|(x, y)| (along.first + x, *y));
        chart.draw_series(LineSeries::new(
            line,
            RGBColor(0x2f, 0x6f, 0xde).stroke_width(2),
        ))?;
        area.present()?;
    }
    Ok(svg.replace("#000000", "currentColor"))
}

/// A number of few letters: 1.2M, 30k, 0.05.
fn short(value: f64) -> String {
    let size = value.abs();
    if size >= 1e6 {
        format!("{:.1}M", value / 1e6)
    } else if size >= 1e4 {
        format!("{:.0}k", value / 1e3)
    } else if size >= 10.0 || value == 0.0 {
        format!("{value:.0}")
    } else {
        format!("{value:.3}").trim_end_matches('0').to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_page_holds_all_that_it_was_told_and_escapes_it() -> anyhow::Result<()> {
        let mut report = Report::new("Digits <1>", "two & more");
        report.fact("Precision@1", "0.98".to_owned());
        report.curve("loss", Along::ITERATIONS, &[0.5, 0.25, f64::NAN, 0.1])?;
        report.curve("Precision@1", Along::EPOCHS, &[0.5, 0.75])?;
        report.pictures(vec![Figure {
            caption: "dots".to_owned(),
            svg: "<svg id=\"dots\"></svg>".to_owned(),
        }]);
        report.timings(&[("training", 3.0), ("search", 1.0)]);
        report
            .settings(&json!({"batch_size": 256, "loss": {"name": "NTXentLoss"}, "device": "cpu"}));
        let html = report.html()?;
        for told in [
            "Digits &#60;1&#62;",
            "two &#38; more",
            "0.98",
            "loss, by iteration",
            "Precision@1, by epoch",
            "<svg id=\"dots\">",
            "width: 75%",
            "batch size",
            "NTXentLoss",
        ] {
            assert!(html.contains(told), "{told} is not in {html}");
        }
        // Whole in itself: it asks nobody for anything.
        assert!(!html.contains("src=") && !html.contains("href="), "{html}");
        Ok(())
    }

    #[test]
    fn no_values_one_value_and_equal_values_are_drawn() -> anyhow::Result<()> {
        for values in [&[][..], &[2.0], &[0.0, 0.0], &[-1.0, -1.0]] {
            let svg = curve("loss", Along::ITERATIONS, values)?;
            assert!(
                svg.starts_with("<svg") && svg.contains("iteration"),
                "{svg}"
            );
            assert!(!svg.contains("#000000"), "{svg}");
        }
        Ok(())
    }

    #[test]
    fn numbers_are_short() {
        let all = [0.0, 0.05, 1.5, 12.0, 30_000.0, 717_000.0, 1_200_000.0].map(short);
        assert_eq!(all, ["0", "0.05", "1.5", "12", "30k", "717k", "1.2M"]);
    }
}
