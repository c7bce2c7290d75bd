//! Files that are mapped.

use super::*;
use crate::index::{FileCheck, RowSet, SelfMatch, load_index_mapped};

/// Indexes of rows with a file, and the path of it.
fn saved(folder: &Path) -> Vec<(Box<dyn KnnIndex>, Tensor)> {
    let path = folder.join("saved");
    let mut all = Vec::new();
    for (mut index, dtype) in indexes() {
        let rows = rows().to_dtype(dtype).unwrap();
        index.add(&rows).unwrap();
        index.save(&path).unwrap();
        if load_index_mapped(&path, FileCheck::AtOpen).is_ok() {
            all.push((index, rows));
        }
    }
    all
}

#[test]
fn mapped_rows_are_searched_added_to_removed_and_saved_as_others() {
    let folder = tempfile::tempdir().unwrap();
    let (path, other) = (folder.path().join("mapped"), folder.path().join("other"));
    let all = saved(folder.path());
    // Flat and quantized ones of three metrics, but no custom one and no graph.
    assert_eq!(all.len(), 21);
    for (mut index, rows) in all {
        for check in [FileCheck::AtOpen, FileCheck::OnUse] {
            index.save(&path).unwrap();
            let mut mapped = load_index_mapped(&path, check).unwrap();
            let some = RowSet::from_fn(12, |row| row % 3 != 1);
            let same = |a: &dyn KnnIndex, b: &dyn KnnIndex| {
                assert_eq!(a.len(), b.len());
                let count = a.len();
                let others = SelfMatch::Rows(&[Some(4), None, Some(1)]);
                let queries = rows.narrow(0, 3, 3).unwrap();
                let found = a.search_others(&queries, 3, others).unwrap();
                assert_eq!(found, b.search_others(&queries, 3, others).unwrap());
                let found = a.search_within(&rows, 0.9, SelfMatch::None).unwrap();
                assert_eq!(found, b.search_within(&rows, 0.9, SelfMatch::None).unwrap());
                let last = [count as u32 - 1, 0];
                let text = |rows: Tensor| format!("{rows}");
                assert_eq!(
                    text(a.rows_at(&last).unwrap()),
                    text(b.rows_at(&last).unwrap())
                );
            };
            assert_eq!(
                mapped.search_among(&rows, 2, &some).unwrap(),
                index.search_among(&rows, 2, &some).unwrap()
            );
            same(&*mapped, &*index);
            let mut memory = load_index(&path).unwrap();
            let more = (&rows * 0.5).unwrap();
            for index in [&mut mapped, &mut memory] {
                index.add(&more).unwrap();
            }
            same(&*mapped, &*memory);
            for index in [&mut mapped, &mut memory] {
                // Of the added ones first, which leaves the file where it is.
                assert_eq!(index.remove(&[13]).unwrap(), 1);
            }
            same(&*mapped, &*memory);
            // A save over the file that is mapped leaves the mapping what it was.
            mapped.save(&path).unwrap();
            same(&*mapped, &*memory);
            same(&*load_index_mapped(&path, check).unwrap(), &*memory);
            let kept = RowSet::from_fn(23, |row| row % 2 == 1);
            mapped.save_rows(&other, &kept).unwrap();
            let gone: Vec<u32> = (0..23).step_by(2).collect();
            for index in [&mut mapped, &mut memory] {
                assert_eq!(index.remove(&gone).unwrap(), 12);
            }
            same(&*mapped, &*memory);
            same(&*load_index(&other).unwrap(), &*memory);
            assert!(mapped.save_rows(&other, &kept).is_err());
        }
        index = index.to_empty();
        index.save(&path).unwrap();
        // Without rows there is nothing to map, and no reason to refuse it where the file says what they would be.
        if let Ok(mapped) = load_index_mapped(&path, FileCheck::OnUse) {
            assert!(mapped.is_empty());
        }
    }
}

#[test]
fn no_altered_or_truncated_file_is_mapped() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("altered");
    let mut index = FlatIndex::default();
    index.add(&rows()).unwrap();
    index.save(&path).unwrap();
    let whole = std::fs::read(&path).unwrap();
    for end in 0..whole.len() {
        std::fs::write(&path, &whole[..end]).unwrap();
        assert!(load_index_mapped(&path, FileCheck::OnUse).is_err(), "{end}");
    }
    for at in 0..whole.len() {
        let mut altered = whole.clone();
        altered[at] ^= 1;
        std::fs::write(&path, &altered).unwrap();
        assert!(load_index_mapped(&path, FileCheck::AtOpen).is_err(), "{at}");
        if let Ok(mapped) = load_index_mapped(&path, FileCheck::OnUse) {
            let error = mapped.search(&rows(), 1).unwrap_err();
            assert!(
                matches!(error, dml_core::Error::Dataset(_)),
                "{at}: {error}"
            );
        }
    }
    // Numbers that no index takes, with right checksums.
    let mut odd = whole.clone();
    odd[64..68].copy_from_slice(&f32::NAN.to_le_bytes());
    repair(&mut odd);
    std::fs::write(&path, &odd).unwrap();
    let refused = load_index_mapped(&path, FileCheck::AtOpen).unwrap_err();
    assert!(
        matches!(refused, IndexFileError::Content { .. }),
        "{refused}"
    );
}

#[test]
fn files_with_changed_fields_and_right_checksums_are_refused_or_searched() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mutated");
    let files: Vec<Vec<u8>> = saved(folder.path())
        .into_iter()
        .map(|(index, _)| {
            index.save(&path).unwrap();
            std::fs::read(&path).unwrap()
        })
        .collect();
    let mut rng = ChaCha8Rng::seed_from_u64(23);
    let mut worked = 0;
    for _ in 0..600 {
        let mut bytes = files[rng.random_range(0..files.len())].clone();
        mutate(&mut bytes, &mut rng);
        std::fs::write(&path, &bytes).unwrap();
        if let Ok(index) = load_index_mapped(&path, FileCheck::OnUse) {
            worked += 1;
            exercise(index);
        }
    }
    assert!(worked > 100, "{worked}");
}

#[test]
fn blocks_are_checked_one_by_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large");
    // Rows of a hundred numbers: 2,621 of them end in the first block.
    let values: Vec<f32> = (0..600_000).map(|i| (i % 977) as f32).collect();
    let rows = Tensor::from_vec(values, (6000, 100), &Device::Cpu).unwrap();
    let mut index = FlatIndex::default();
    index.add(&rows).unwrap();
    index.save(&path).unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    assert_eq!(load_index(&path).unwrap().len(), 6000);
    bytes[HEADER + checksums::BLOCK + 9] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    assert!(load_index(&path).is_err());
    let mapped = load_index_mapped(&path, FileCheck::OnUse).unwrap();
    assert!(mapped.rows_at(&[0, 2620]).is_ok());
    assert!(mapped.rows_at(&[2621]).is_err());
    let query = rows.narrow(0, 0, 1).unwrap();
    let first = RowSet::from_fn(6000, |row| row < 2000);
    assert_eq!(mapped.search_among(&query, 1, &first).unwrap().indices, [0]);
    let second = RowSet::from_fn(6000, |row| row > 2600);
    assert!(mapped.search_among(&query, 1, &second).is_err());
    assert!(mapped.search(&query, 1).is_err());
    assert!(mapped.save(&folder.path().join("copy")).is_err());
}
