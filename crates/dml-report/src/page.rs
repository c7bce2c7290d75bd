//! The page, part after part.

use askama::Template;

use crate::Figure;

/// A page of parts in the order in which they are added; its [`Display`](std::fmt::Display) is the HTML.
///
/// Whatever is told in words is escaped. See the crate for an example.
#[derive(Clone, Debug, Template)]
#[template(path = "report.html")]
pub struct Page {
    title: String,
    summary: String,
    facts: Vec<(String, String)>,
    parts: Vec<Part>,
}

#[derive(Clone, Debug)]
struct Part {
    title: String,
    content: Content,
}

#[derive(Clone, Debug)]
enum Content {
    Figures(Vec<Figure>),
    Times(Vec<Time>),
    Table {
        columns: Vec<String>,
        rows: Vec<Vec<String>>,
    },
}

/// A row of the table of times.
#[derive(Clone, Debug)]
struct Time {
    name: String,
    shown: String,
    percent: f64,
}

impl Page {
    /// A page of a title and a sentence below it.
    #[must_use]
    pub fn new(title: impl Into<String>, summary: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            summary: summary.into(),
            facts: Vec::new(),
            parts: Vec::new(),
        }
    }

    /// A number in large letters at the top, with its name.
    pub fn fact(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.facts.push((name.into(), value.into()));
    }

    /// Pictures, side by side where there is room. None, and there is no such part.
    pub fn figures(&mut self, title: &str, figures: impl IntoIterator<Item = Figure>) {
        let figures: Vec<Figure> = figures.into_iter().collect();
        if !figures.is_empty() {
            self.push(title, Content::Figures(figures));
        }
    }

    /// Seconds that each step took, with bars of their share.
    pub fn times(&mut self, title: &str, seconds: &[(&str, f64)]) {
        let total: f64 = seconds.iter().map(|(_, seconds)| seconds).sum();
        let row = |(name, seconds): &(&str, f64)| Time {
            name: (*name).to_owned(),
            shown: format!("{seconds:.1} s"),
            percent: (1000.0 * seconds / total.max(f64::MIN_POSITIVE)).round() / 10.0,
        };
        self.push(title, Content::Times(seconds.iter().map(row).collect()));
    }

    /// A table. The first cell of a row is its name; `columns` are the names above the cells, or none.
    pub fn table<Row, Cell>(
        &mut self,
        title: &str,
        columns: &[&str],
        rows: impl IntoIterator<Item = Row>,
    ) where
        Row: IntoIterator<Item = Cell>,
        Cell: Into<String>,
    {
        let rows = rows.into_iter();
        let content = Content::Table {
            columns: columns.iter().map(|&name| name.to_owned()).collect(),
            rows: rows
                .map(|row| row.into_iter().map(Into::into).collect())
                .collect(),
        };
        self.push(title, content);
    }

    fn push(&mut self, title: &str, content: Content) {
        self.parts.push(Part {
            title: title.to_owned(),
            content,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_holds_all_that_it_was_told_and_escapes_it() {
        let mut page = Page::new("Digits <1>", "two & more");
        page.fact("Precision@1", "0.98");
        page.figures(
            "Training",
            [Figure::new("dots & lines", "<svg id=\"dots\"></svg>")],
        );
        page.figures("Nothing to see", []);
        page.times("Times", &[("training", 3.0), ("search", 1.0)]);
        page.table("Metrics", &["", "before", "after"], [["NMI", "0.1", "0.9"]]);
        page.table(
            "Settings",
            &[],
            [vec!["batch size".to_owned(), "{256}".to_owned()]],
        );
        let html = page.to_string();
        for told in [
            "Digits &#60;1&#62;",
            "two &#38; more",
            "0.98",
            "<h2>Training</h2>",
            "dots &#38; lines",
            "<svg id=\"dots\">",
            "width: 75%",
            "3.0 s",
            "<th>before</th>",
            "<td>0.9</td>",
            "<th>batch size</th><td>{256}</td>",
        ] {
            assert!(html.contains(told), "{told} is not in {html}");
        }
        // Whole in itself: it asks nobody for anything.
        assert!(!html.contains("src=") && !html.contains("href="), "{html}");
        assert!(!html.contains("Nothing to see"), "{html}");
        let order = ["Training", "Times", "Metrics", "Settings"]
            .map(|title| html.find(&format!("<h2>{title}")));
        assert!(order.is_sorted() && order[0].is_some(), "{order:?}");
    }
}
