//! Tables of vectors: a column for each number, and a class in each row.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, bail};
use dml::candle_core::{Device, Tensor};
use dml::data::Manifest;

use crate::settings::has_ending;

/// Columns that may have the class, if no other is named.
const LABELS: [&str; 2] = ["label", "class"];
/// Columns that are no numbers of the vector.
const OTHERS: [&str; 2] = ["split", "id"];

/// Vectors with their classes.
#[derive(Debug)]
pub(super) struct Rows {
    /// `[rows, length]`.
    pub(super) rows: Tensor,
    /// Places of `class_names`.
    pub(super) labels: Vec<i64>,
    pub(super) class_names: Vec<String>,
    pub(super) ids: Vec<String>,
}

/// Reads a table, or one of its splits. Classes are numbered in the order of their names, those of the whole table.
pub(super) fn read(path: &Path, split: Option<&str>, level: Option<&str>) -> anyhow::Result<Rows> {
    let shown = path.display();
    let delimiter = match path {
        path if has_ending(path, &["csv"]) => b',',
        path if has_ending(path, &["tsv", "tab"]) => b'\t',
        _ => bail!("{shown}: expected vectors in a .npz, .npy, .csv or .tsv file"),
    };
    let length = fs::metadata(path)
        .with_context(|| format!("can't read {shown}"))?
        .len();
    if length > Manifest::MEMORY_LIMIT {
        let most = Manifest::MEMORY_LIMIT;
        bail!("{shown}: expected at most {most} bytes, got {length}");
    }
    let reader = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .from_path(path);
    let mut reader = reader.with_context(|| format!("can't read {shown}"))?;
    let header = reader.headers().with_context(|| shown.to_string())?.clone();
    let names: Vec<&str> = header.iter().map(str::trim).collect();
    let place = |name: &str| names.iter().position(|own| *own == name);
    let label = match level {
        Some(level) => place(level),
        None => LABELS.iter().find_map(|name| place(name)),
    };
    let Some(label) = label else {
        let expected = level.unwrap_or(LABELS[0]);
        bail!("{shown}: expected the column {expected}");
    };
    let [of_split, of_id] = OTHERS.map(place);
    if split.is_some() && of_split.is_none() {
        bail!("{shown}: expected the column split");
    }
    let is_number = |column: &usize| {
        let name = names[*column];
        *column != label && !OTHERS.contains(&name) && !LABELS.contains(&name)
    };
    let numbers: Vec<usize> = (0..names.len()).filter(is_number).collect();
    if numbers.is_empty() {
        bail!(
            "{shown}: expected columns of numbers beside {}",
            names[label]
        );
    }
    let (mut values, mut classes, mut ids) = (Vec::new(), Vec::new(), Vec::new());
    let (mut all, mut splits) = (BTreeSet::new(), BTreeSet::new());
    for (row, record) in (2..).zip(reader.records()) {
        let record = record.with_context(|| shown.to_string())?;
        let class = record[label].trim();
        if class.is_empty() {
            bail!(
                "{shown}: row {row}, column {}: expected a class, got nothing",
                names[label]
            );
        }
        all.insert(class.to_owned());
        if let Some(column) = of_split {
            splits.insert(record[column].trim().to_owned());
            if split.is_some_and(|name| name != record[column].trim()) {
                continue;
            }
        }
        classes.push(class.to_owned());
        ids.push(of_id.map_or_else(|| format!("row {row}"), |id| record[id].to_owned()));
        for &column in &numbers {
            let cell = record[column].trim();
            match cell.parse::<f32>() {
                Ok(value) if value.is_finite() => values.push(value),
                _ => bail!(
                    "{shown}: row {row}, column {}: expected a finite number, got {cell:?}",
                    names[column]
                ),
            }
        }
    }
    if classes.is_empty() {
        let found = splits.into_iter().collect::<Vec<_>>().join(", ");
        match split {
            Some(name) => bail!("{shown}: expected rows of the split {name}, found {found}"),
            None => bail!("{shown}: expected rows below the names of the columns"),
        }
    }
    let class_names: Vec<String> = all.into_iter().collect();
    let label = |class: &String| class_names.partition_point(|own| own < class) as i64;
    Ok(Rows {
        rows: Tensor::from_vec(values, (classes.len(), numbers.len()), &Device::Cpu)?,
        labels: classes.iter().map(label).collect(),
        class_names,
        ids,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(name: &str, text: &str) -> (tempfile::TempDir, std::path::PathBuf) {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join(name);
        fs::write(&path, text).unwrap();
        (root, path)
    }

    #[test]
    fn numbers_are_all_columns_but_class_split_and_id() {
        let (_root, path) = table(
            "a.csv",
            "id,a,label,b,split\nx,1,owl,2.5,train\ny,-3,teal,4e1,test\nz,0,auk,0,train\n",
        );
        let all = read(&path, None, None).unwrap();
        assert_eq!(all.class_names, ["auk", "owl", "teal"]);
        assert_eq!(all.labels, [1, 2, 0]);
        assert_eq!(
            all.rows.to_vec2::<f32>().unwrap(),
            [[1., 2.5], [-3., 40.], [0., 0.]]
        );
        let test = read(&path, Some("test"), None).unwrap();
        // Labels of splits can be compared.
        assert_eq!((&test.labels, &test.ids), (&vec![2], &vec!["y".to_owned()]));
        let (_root, path) = table("a.tsv", "class\tgenus\ta\nowl\tbird\t1\n");
        // The other column is no number.
        assert!(read(&path, None, None).is_err());
        let (_root, path) = table("a.tsv", "class\tgenus\ta\n7\tbird\t1\n");
        let genus = read(&path, None, Some("genus")).unwrap();
        assert_eq!(
            (genus.class_names, genus.rows.dims().to_vec()),
            (vec!["bird".to_owned()], vec![1, 1])
        );
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, expected) in [
            (
                "label,a\nowl,1\nowl,x\n",
                "row 3, column a: expected a finite number, got \"x\"",
            ),
            ("label,a\nowl,inf\n", "got \"inf\""),
            ("label,a\n,1\n", "row 2, column label: expected a class"),
            ("label\nowl\n", "expected columns of numbers beside label"),
            ("a,b\n1,2\n", "expected the column label"),
            ("label,a\n", "expected rows below"),
            ("label,a\nowl,1,2\n", "found record with 3 fields"),
        ] {
            let (_root, path) = table("a.csv", text);
            let error = format!("{:#}", read(&path, None, None).unwrap_err());
            assert!(error.contains(expected), "{text:?}: {error}");
        }
        let (_root, path) = table("a.csv", "label,a,split\nowl,1,train\n");
        let error = read(&path, Some("test"), None).unwrap_err().to_string();
        assert!(
            error.contains("expected rows of the split test, found train"),
            "{error}"
        );
    }
}
