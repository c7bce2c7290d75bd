//! The table of `dml mine` as pairs that the model confuses.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, anyhow};
use dml::eval::{Collection, Id, IdKind, Value};
use dml_serve::{HardPair, HardPairs, PairKind, PairSide};

/// Attribute with the class of an item, as `dml index` stores it.
const CLASS: &str = "class";
/// Pairs of each kind that are kept.
const MOST: usize = 1000;

/// The hardest pairs of a table with the columns anchor, positive, negative, `positive_cosine` and `negative_cosine`.
///
/// A pair that stands in several triplets is kept once. Positive pairs come from the least similar on, negative ones from the most
/// similar on. A cell without a cosine gives no pair.
///
/// # Errors
/// A file that can't be read, a column that is missing, a cosine that is no finite number.
pub(super) fn read(path: &Path, index: &Collection) -> anyhow::Result<HardPairs> {
    let shown = path.display();
    let mut table = csv::Reader::from_path(path).with_context(|| format!("can't read {shown}"))?;
    let header = table
        .headers()
        .with_context(|| format!("can't read {shown}"))?
        .clone();
    let column = |name: &str| {
        let place = header.iter().position(|own| own == name);
        place.ok_or_else(|| anyhow!("{shown}: expected the column {name}, as `dml mine` writes it"))
    };
    let anchor = column("anchor")?;
    let others = [
        (
            PairKind::Positive,
            column("positive")?,
            column("positive_cosine")?,
        ),
        (
            PairKind::Negative,
            column("negative")?,
            column("negative_cosine")?,
        ),
    ];
    let mut found: [BTreeMap<[String; 2], f64>; 2] = Default::default();
    for row in table.records() {
        let row = row.with_context(|| format!("can't read {shown}"))?;
        let line = row.position().map_or(0, csv::Position::line);
        let cell = |place: usize| row.get(place).unwrap_or_default();
        for ((_, other, cosine), pairs) in others.iter().zip(&mut found) {
            if cell(*cosine).is_empty() {
                continue;
            }
            let value: f64 = cell(*cosine).parse().unwrap_or(f64::NAN);
            if !value.is_finite() {
                let got = cell(*cosine);
                return Err(anyhow!(
                    "{shown}, line {line}: expected a cosine in the column {}, got `{got}`",
                    &header[*cosine]
                ));
            }
            let mut pair = [cell(anchor), cell(*other)].map(str::to_owned);
            pair.sort();
            pairs.insert(pair, value);
        }
    }
    let side = |name: String| {
        let id = match (index.id_kind(), name.parse()) {
            (Some(IdKind::Number), Ok(number)) => Id::Number(number),
            _ => Id::Text(name),
        };
        let attributes = index.attributes(&id).unwrap_or_default();
        let side = PairSide::of_id(id);
        match attributes.get(CLASS) {
            Some(Value::Text(class)) => side.with_label(class.clone()),
            _ => side,
        }
    };
    let mut pairs = Vec::new();
    for ((kind, ..), found) in others.into_iter().zip(found) {
        let mut found: Vec<([String; 2], f64)> = found.into_iter().collect();
        found.sort_by(|a, b| match kind {
            PairKind::Positive => a.1.total_cmp(&b.1),
            PairKind::Negative => b.1.total_cmp(&a.1),
        });
        let hardest = found.into_iter().take(MOST);
        pairs.extend(hardest.map(|([a, b], distance)| HardPair {
            kind,
            distance,
            a: side(a),
            b: side(b),
        }));
    }
    Ok(HardPairs {
        distance: Some("cosine similarity".to_owned()),
        pairs,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use dml::candle_core::{Device, Tensor};
    use dml::eval::{FlatIndex, Items};

    fn index() -> Collection {
        let rows = Tensor::new(&[[1f32], [2.], [3.]], &Device::Cpu).unwrap();
        let items = Items::new(["a/1", "a/2", "b/1"], &rows).unwrap();
        let items = items.with_column(
            "class",
            ["a", "a", "b"].map(|own| Some(own.to_owned())).to_vec(),
        );
        let mut index = Collection::new(FlatIndex::default());
        index.add(items.unwrap()).unwrap();
        index
    }

    fn pairs(text: &str) -> anyhow::Result<HardPairs> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("t.csv");
        std::fs::write(&path, text)?;
        read(&path, &index())
    }

    const HEAD: &str = "anchor,positive,negative,positive_cosine,negative_cosine\n";

    #[test]
    fn pairs_are_kept_once_with_the_hardest_first() {
        let table = "a/1,a/2,b/1,0.5,0.7\na/2,a/1,b/1,0.5,0.9\na/1,a/2,x,0.5,\n";
        let found = pairs(&format!("{HEAD}{table}")).unwrap();
        let of = |kind| {
            let own = found.pairs.iter().filter(move |pair| pair.kind == kind);
            own.map(|pair| pair.distance).collect::<Vec<f64>>()
        };
        assert_eq!(of(PairKind::Positive), [0.5]);
        assert_eq!(of(PairKind::Negative), [0.9, 0.7]);
        let side = PairSide::of_id("b/1").with_label("b");
        assert!(found.pairs.iter().any(|pair| pair.b == side));
    }

    #[test]
    fn other_tables_are_refused_by_column_and_line() {
        for (text, expected) in [
            ("a,b\n", "expected the column anchor"),
            ("", "expected the column anchor"),
            (
                &*format!("{HEAD}a,b,c,0.5,near\n"),
                "line 2: expected a cosine in the column negative_cosine, got `near`",
            ),
            (&*format!("{HEAD}a,b,c,NaN,0\n"), "got `NaN`"),
            (&*format!("{HEAD}a,b\n"), "can't read"),
        ] {
            let error = format!("{:#}", pairs(text).unwrap_err());
            assert!(error.contains(expected), "{error}");
        }
    }
}
