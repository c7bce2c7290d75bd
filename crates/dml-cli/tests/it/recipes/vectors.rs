//! Recipes of vectors, on invented cells.

use std::fmt::Write as _;
use std::fs;

use dml::core::rand::{Rng, SeedableRng};
use dml::core::rand_chacha::ChaCha8Rng;

use super::{metric, resumes, root, train};
use crate::program::Folder;

/// Cells of types that differ in a few of many genes, whose counts are far larger than those of the others.
fn cells(rows: usize, seed: u64) -> (Vec<[f32; 12]>, Vec<usize>) {
    let rng = &mut ChaCha8Rng::seed_from_u64(seed);
    let mut draw = |row: usize| {
        let mut cell = [0.0; 12];
        for (gene, value) in cell.iter_mut().enumerate() {
            let noise: f32 = rng.random_range(-1.0..1.0);
            *value = match gene {
                gene if gene < 4 => noise + if gene == row % 4 { 1.5 } else { 0.0 },
                _ => 1000.0 + 300.0 * noise,
            };
        }
        cell
    };
    (
        (0..rows).map(&mut draw).collect(),
        (0..rows).map(|row| row % 4).collect(),
    )
}

/// An array of real numbers as NumPy writes it, in version 1 of the format.
fn npy(kind: &str, shape: &str, bytes: &[u8]) -> Vec<u8> {
    let mut header = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}");
    while (header.len() + 11) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    let mut file = b"\x93NUMPY\x01\x00".to_vec();
    file.extend((header.len() as u16).to_le_bytes());
    file.extend(header.as_bytes());
    file.extend(bytes);
    file
}

#[test]
fn single_cell() {
    let folder = Folder::new();
    for (name, rows, seed) in [("train", 160, 1), ("test", 80, 2)] {
        let (cells, types) = cells(rows, seed);
        let mut table = "id,label".to_owned();
        (0..12).for_each(|gene| write!(table, ",g{gene}").unwrap());
        table.push('\n');
        for (row, (cell, kind)) in cells.iter().zip(&types).enumerate() {
            write!(table, "cell{row},type{kind}").unwrap();
            cell.iter()
                .for_each(|value| write!(table, ",{value}").unwrap());
            table.push('\n');
        }
        folder.write(&format!("{name}.csv"), table);
        let values = cells.concat();
        let bytes: Vec<u8> = values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        folder.write(
            &format!("{name}.npy"),
            npy("<f4", &format!("({rows}, 12)"), &bytes),
        );
        let labels: Vec<u8> = types
            .iter()
            .flat_map(|own| (*own as i64).to_le_bytes())
            .collect();
        folder.write(
            &format!("{name}_y.npy"),
            npy("<i8", &format!("({rows},)"), &labels),
        );
    }
    let small = [
        r#"data.train="train.csv""#,
        r#"data.test="test.csv""#,
        "backbone.hidden=[64]",
        "optimizer.lr=0.005",
        "train.epochs=12",
        "sampler.batch_size=16",
    ];
    let out = train(&folder, "single_cell", &small);
    assert!(
        out.contains("160 vectors of length 12 and 4 classes to learn from"),
        "{out}"
    );
    let [after, before] = metric(&folder, "precision_at_1");
    assert!(after > before + 0.1 && after > 0.6, "{before} {after}");
    resumes(&folder);
    let model = fs::read(folder.path("run/model/model.safetensors")).unwrap();
    // Arrays hold the same numbers, and the same numbers give the same model.
    let arrays = [
        r#"data.train="train.npy""#,
        r#"data.train_labels="train_y.npy""#,
        r#"data.test="test.npy""#,
        r#"data.test_labels="test_y.npy""#,
        small[2],
        small[3],
        small[4],
        small[5],
    ];
    fs::remove_dir_all(folder.path("run")).unwrap();
    train(&folder, "single_cell", &arrays);
    let same = fs::read(folder.path("run/model/model.safetensors")).unwrap();
    assert!(model == same, "another model");
    let path = root().join("single_cell.toml").display().to_string();
    let refused = |field: &str| {
        let ended = folder.run(&["train", &path, "--set", field, "--out", "no"]);
        assert_ne!(ended.code, 0, "{field}: {ended:?}");
        ended.error
    };
    for (field, expected) in [
        (r#"data.train="train.npy""#, "data.train_labels"),
        ("backbone.size=32", "backbone.size"),
        ("backbone.hidden=[0]", "backbone.hidden"),
        (r#"data.pairs=["a", "b"]"#, "data.pairs"),
        (
            "train.method=UnsupervisedEmbeddingsUsingAugmentations",
            "train.method",
        ),
    ] {
        let error = refused(field);
        assert!(error.contains(expected), "{field}: {error}");
    }
}
