use super::*;
use crate::made_by_others::{NUMBERS, file, kept, rows};

#[test]
fn indexes_of_faiss_are_read() {
    let want = rows().to_vec2::<f32>().unwrap();
    for (name, metric) in [
        ("l2", FlatMetric::SquaredEuclidean),
        ("ip", FlatMetric::InnerProduct),
    ] {
        for (kind, ids) in [
            ("flat", None),
            ("IndexIDMap", Some(Ids::from(NUMBERS))),
            ("IndexIDMap2", Some(Ids::from(NUMBERS))),
        ] {
            let index = read(&file(&format!("{kind}-{name}.faiss"))).unwrap();
            assert_eq!((index.metric, &index.ids), (metric, &ids), "{kind}");
            assert_eq!(index.rows.to_vec2::<f32>().unwrap(), want);
        }
    }
    assert_eq!(read(&file("empty.faiss")).unwrap().rows.dims(), [0, 3]);
}

#[test]
fn other_indexes_are_refused_by_what_they_are() {
    let refused = |name| read(&file(name)).unwrap_err().to_string();
    assert!(refused("flat-l1.faiss").contains(r#"an index "IxFl" of metric 2"#));
    assert!(
        refused("hnsw.faiss").contains(r#"an index "IHNf""#),
        "{}",
        refused("hnsw.faiss")
    );
    assert!(refused("rows-f4.npy").contains("expected"));
}

#[test]
fn indexes_with_altered_sizes_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cut.faiss");
    let whole = std::fs::read(file("IndexIDMap-l2.faiss")).unwrap();
    let read = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        read(&path).is_ok()
    };
    assert!(read(&whole));
    for end in 0..whole.len() {
        assert!(!read(&whole[..end]), "{end}");
    }
    assert!(!read(&[&whole[..], &[0]].concat()));
    // Kinds, dims, row numbers, metrics and counts; a number of no meaning and the numbers themselves may be anything.
    for at in 0..whole.len() {
        for byte in [0x7f, 0xff] {
            let mut altered = whole.clone();
            altered[at] = byte;
            let is_read = read(&altered);
            let counts = [0..16, 33..53, 70..82, 142..150];
            assert!(
                !is_read || !counts.iter().any(|range| range.contains(&at)),
                "{at}"
            );
        }
    }
}

#[test]
fn what_is_written_is_read() {
    let folder = kept();
    for (name, metric, read_as) in [
        (
            "l2",
            FlatMetric::SquaredEuclidean,
            FlatMetric::SquaredEuclidean,
        ),
        ("ip", FlatMetric::InnerProduct, FlatMetric::InnerProduct),
        ("cosine", FlatMetric::Cosine, FlatMetric::InnerProduct),
    ] {
        for ids in [None, Some(Ids::from([5, 0, 1 << 62, 7, 9]))] {
            let suffix = if ids.is_some() { "-ids" } else { "" };
            let path = folder.path().join(format!("ours-{name}{suffix}.faiss"));
            write(&path, metric, &rows(), ids.as_ref()).unwrap();
            let index = read(&path).unwrap();
            assert_eq!((index.metric, index.ids), (read_as, ids));
            assert_eq!(
                index.rows.to_vec2::<f32>().unwrap(),
                rows().to_vec2::<f32>().unwrap()
            );
        }
    }
    // The very bytes that faiss writes.
    let path = folder.path().join("ours-same.faiss");
    write(
        &path,
        FlatMetric::SquaredEuclidean,
        &rows(),
        Some(&NUMBERS.into()),
    )
    .unwrap();
    let theirs = std::fs::read(file("IndexIDMap-l2.faiss")).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), theirs);
    let path = folder.path().join("refused.faiss");
    let write = |ids: Ids| write(&path, FlatMetric::Cosine, &rows(), Some(&ids));
    for ids in [
        Ids::from([1, 2]),
        Ids::from(["a", "b", "c", "d", "e"]),
        Ids::from([1, 2, 3, 4, u64::MAX]),
    ] {
        assert!(matches!(write(ids), Err(ExchangeError::Unsupported { .. })));
    }
    let double = rows().to_dtype(DType::F64).unwrap();
    assert!(super::write(&path, FlatMetric::Cosine, &double, None).is_err());
    assert!(!path.exists());
}
