use std::io;

use candle_core::{Device, Tensor};
use rand::{Rng, RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::index::tests::indexes;
use crate::index::{FlatIndex, FlatMetric, KnnIndex, RowStorage, load_index};

#[cfg(feature = "usearch")]
mod every_byte;
mod mapped;
mod versions;

fn rows() -> Tensor {
    let values: Vec<f32> = (0..60)
        .map(|i| ((i * 37) % 23) as f32 / 7.0 - 1.0)
        .collect();
    Tensor::from_vec(values, (12, 5), &Device::Cpu).unwrap()
}

#[test]
fn what_is_loaded_finds_what_was_saved() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("an index");
    for (mut index, dtype) in indexes() {
        let rows = rows().to_dtype(dtype).unwrap();
        index.add(&rows).unwrap();
        index.save(&path).unwrap();
        let mut loaded = index.to_empty();
        loaded.load(&path).unwrap();
        assert_eq!(loaded.len(), 12);
        let want = index.search(&rows, 3).unwrap();
        assert_eq!(loaded.search(&rows, 3).unwrap(), want);
        match load_index(&path) {
            Ok(loaded) => assert_eq!(loaded.search(&rows, 3).unwrap(), want),
            Err(error) => {
                assert!(format!("{index:?}").starts_with("CustomKNN"));
                assert!(matches!(error, IndexFileError::Kind { .. }), "{error}");
            }
        }
        // What was added later is there after another save, and an empty index is one.
        loaded.add(&rows).unwrap();
        loaded.save(&path).unwrap();
        index.load(&path).unwrap();
        assert_eq!(index.len(), 24);
        let all: Vec<u32> = (0..24).collect();
        index.remove(&all).unwrap();
        index.save(&path).unwrap();
        loaded.load(&path).unwrap();
        assert!(loaded.is_empty());
        loaded.add(&rows).unwrap();
        assert_eq!(loaded.search(&rows, 3).unwrap(), want);
    }
    // Nothing that was written on the way is left.
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn no_corruption_of_a_thousand_is_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let mut kinds = Vec::new();
    for (i, (mut index, dtype)) in indexes().into_iter().enumerate() {
        let rows = rows().to_dtype(dtype).unwrap();
        index.add(&rows).unwrap();
        let path = folder.path().join(i.to_string());
        index.save(&path).unwrap();
        kinds.push((std::fs::read(&path).unwrap(), index));
    }
    let path = folder.path().join("corrupted");
    for round in 0..1000 {
        let kind = rng.random_range(0..kinds.len());
        let (whole, index) = &mut kinds[kind];
        let mut bytes = whole.clone();
        match rng.random_range(0..6) {
            0 => bytes.truncate(rng.random_range(0..whole.len())),
            1 => {
                let bit = rng.random_range(0..8 * whole.len());
                bytes[bit / 8] ^= 1 << (bit % 8);
            }
            2 => {
                // A few bytes of the header, where the lengths stand.
                for _ in 0..rng.random_range(1..5) {
                    bytes[rng.random_range(0..HEADER)] = rng.random();
                }
            }
            3 => {
                let start = rng.random_range(0..whole.len());
                let end = rng.random_range(start..whole.len()) + 1;
                rng.fill_bytes(&mut bytes[start..end]);
            }
            4 => {
                let more = rng.random_range(1..100);
                bytes.extend((0..more).map(|_| rng.random::<u8>()));
            }
            _ => {
                // A piece is missing in the middle.
                let start = rng.random_range(0..whole.len());
                let end = rng.random_range(start..whole.len()) + 1;
                bytes.drain(start..end);
            }
        }
        if bytes == *whole {
            continue;
        }
        std::fs::write(&path, &bytes).unwrap();
        let before = index.len();
        assert!(index.load(&path).is_err(), "round {round} was accepted");
        assert!(load_index(&path).is_err(), "round {round} was accepted");
        assert_eq!(index.len(), before);
    }
}

/// Bytes behind the body of a file whose body is less than a block.
fn tail(bytes: &[u8]) -> usize {
    let is_older = bytes[8] == 1;
    if is_older || bytes.len() <= HEADER + 8 {
        4
    } else {
        8
    }
}

/// Puts right the checksums of a file that has at least a header and a trailer.
fn repair(bytes: &mut [u8]) {
    let checksum = crc32fast::hash(&bytes[..HEADER - 4]);
    bytes[HEADER - 4..HEADER].copy_from_slice(&checksum.to_le_bytes());
    let end = bytes.len() - tail(bytes);
    let checksum = crc32fast::hash(&bytes[HEADER..end]).to_le_bytes();
    let table = if bytes[8] == 1 || end == HEADER {
        &[][..]
    } else {
        bytes[end..end + 4].copy_from_slice(&checksum);
        &checksum[..]
    };
    let trailer = if bytes[8] == 1 {
        checksum
    } else {
        crc32fast::hash(table).to_le_bytes()
    };
    let last = bytes.len() - 4;
    bytes[last..].copy_from_slice(&trailer);
}

/// Numbers that sizes and counts are replaced by.
const ODD: [u64; 13] = [
    0,
    1,
    2,
    7,
    255,
    1 << 15,
    (1 << 16) - 1,
    (1 << 31) - 1,
    1 << 31,
    (1 << 32) - 1,
    1 << 40,
    1 << 63,
    u64::MAX,
];

/// Changes a whole file: a field of 1, 2, 4 or 8 bytes, some bytes, or its end.
fn mutate(bytes: &mut Vec<u8>, rng: &mut ChaCha8Rng) {
    let tail = tail(bytes);
    let payload = bytes.len() - HEADER - tail;
    // Headers and the beginning of what they describe are where sizes stand.
    let somewhere = |rng: &mut ChaCha8Rng, length: usize| match rng.random_range(0..3) {
        0 => rng.random_range(8..HEADER - 4),
        1 => HEADER + rng.random_range(0..payload.clamp(1, 400)),
        _ => rng.random_range(8..length - tail),
    };
    for _ in 0..rng.random_range(1..4) {
        let at = somewhere(rng, bytes.len());
        let width = 1 << rng.random_range(0..4);
        let end = (at + width).min(bytes.len() - tail);
        let number = match rng.random_range(0..4) {
            0 => ODD[rng.random_range(0..ODD.len())],
            1 => rng.random(),
            _ => {
                let mut number = [0; 8];
                number[..end - at].copy_from_slice(&bytes[at..end]);
                let step = rng.random_range(-20i64..20);
                u64::from_le_bytes(number).wrapping_add_signed(step)
            }
        };
        bytes[at..end].copy_from_slice(&number.to_le_bytes()[..end - at]);
    }
    if rng.random_range(0..6) == 0 {
        // Another length, which the header says.
        let length = rng.random_range(0..=payload + 40);
        bytes.resize(HEADER + length, rng.random());
        bytes[40..48].copy_from_slice(&(length as u64).to_le_bytes());
        if bytes[12] >= 4 {
            bytes[32..40].copy_from_slice(&(length as u64).to_le_bytes());
        }
        bytes.extend(vec![0; if length == 0 { 4 } else { 8 }]);
    }
    repair(bytes);
}

/// Files of every kind of index that has them, with what wrote them.
fn saved(folder: &Path) -> Vec<(Vec<u8>, Box<dyn KnnIndex>)> {
    let path = folder.join("saved");
    let mut files = Vec::new();
    for (mut index, dtype) in indexes() {
        let rows = rows().to_dtype(dtype).unwrap();
        for round in 0..3 {
            if round > 0 {
                // Copies, and a node that is removed.
                index.add(&rows).unwrap();
                index.remove(&[3, 15]).unwrap();
            } else {
                index.add(&rows).unwrap();
            }
            index.save(&path).unwrap();
            files.push((std::fs::read(&path).unwrap(), index.to_empty()));
        }
        let size = if dtype == candle_core::DType::F64 {
            1e30
        } else {
            1e-20
        };
        let mut scaled = index.to_empty();
        if scaled.add(&(&rows * size).unwrap()).is_ok() {
            scaled.save(&path).unwrap();
            files.push((std::fs::read(&path).unwrap(), scaled));
        }
    }
    files
}

/// Uses an index in every way.
fn exercise(mut index: Box<dyn KnnIndex>) {
    for dtype in [candle_core::DType::F32, candle_core::DType::F64] {
        let rows = rows().to_dtype(dtype).unwrap();
        let some = index.len().clamp(1, 3);
        let _ = index.search(&rows, some);
        let _ = index.search(&rows.narrow(0, 0, 1).unwrap(), index.len().max(1));
        let _ = index.search_within(&rows, 1.0, crate::SelfMatch::None);
        let _ = index.add(&rows);
        let _ = index.search(&rows, some);
    }
    let _ = index.remove(&[0]);
    let _ = index.search(&rows(), 1);
}

#[test]
fn files_with_changed_fields_and_right_checksums_are_refused_or_work() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mutated");
    let files = saved(folder.path());
    let mut rng = ChaCha8Rng::seed_from_u64(17);
    let (mut refused, mut worked) = (0, 0);
    for _ in 0..1500 {
        let (whole, empty) = &files[rng.random_range(0..files.len())];
        let mut bytes = whole.clone();
        mutate(&mut bytes, &mut rng);
        std::fs::write(&path, &bytes).unwrap();
        let mut same = empty.to_empty();
        match same.load(&path) {
            Ok(()) => exercise(same),
            Err(_) => assert!(same.is_empty()),
        }
        match load_index(&path) {
            Ok(index) => {
                worked += 1;
                exercise(index);
            }
            Err(_) => refused += 1,
        }
    }
    assert!(refused > 200 && worked > 200, "{refused} {worked}");
}

#[test]
fn files_that_made_a_reader_crash_or_hang_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hostile");
    let files: [(&str, &[u8]); 4] = [
        (
            "a link",
            include_bytes!("../../../tests/files/usearch--11.index"),
        ),
        (
            "keys",
            include_bytes!("../../../tests/files/usearch-hang.index"),
        ),
        (
            "sizes",
            include_bytes!("../../../tests/files/overflow-flat.index"),
        ),
        (
            "no rows",
            include_bytes!("../../../tests/files/none-rows.index"),
        ),
    ];
    for (name, bytes) in files {
        std::fs::write(&path, bytes).unwrap();
        assert!(load_index(&path).is_err(), "{name}");
        for (mut index, _) in indexes() {
            assert!(index.load(&path).is_err(), "{name} {index:?}");
        }
    }
}

#[cfg(unix)]
#[test]
fn what_is_no_file_is_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(
        load_index(folder.path()),
        Err(IndexFileError::NotAnIndex { .. })
    ));
    assert!(matches!(
        load_index(Path::new("/dev/zero")),
        Err(IndexFileError::NotAnIndex { .. })
    ));
}

/// A file whose checksums are right, whatever it says.
fn forged(header: Header, element: u32, length: u64, payload: &[u8]) -> Vec<u8> {
    let layout = Layout {
        version: 1,
        element,
        payload: length,
        norms: 0,
    };
    let mut bytes = header.to_bytes(layout).to_vec();
    bytes.extend(payload);
    bytes.extend(crc32fast::hash(payload).to_le_bytes());
    bytes
}

#[test]
fn lengths_are_held_against_the_file_before_memory_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("forged");
    let load = |bytes: Vec<u8>| {
        std::fs::write(&path, bytes).unwrap();
        load_index(&path)
    };
    let header = |dim, rows| Header {
        kind: FLAT,
        dim,
        rows,
        ..Header::default()
    };
    let eight = [0u8; 8];
    assert_eq!(load(forged(header(2, 1), 2, 8, &eight)).unwrap().len(), 1);
    for (dim, rows, element, length) in [
        (1 << 40, 1 << 20, 2, 1 << 62),
        (u64::MAX, u64::MAX, 3, u64::MAX),
        (u64::MAX, 4, 3, 8),
        (2, 2, 2, 8),
        (0, 1 << 60, 2, 0),
        (1 << 60, 0, 2, 0),
    ] {
        let error = load(forged(header(dim, rows), element, length, &eight)).unwrap_err();
        assert!(matches!(error, IndexFileError::Length { .. }), "{error}");
    }
    let error = load(forged(header(2, 1), 9, 8, &eight)).unwrap_err();
    assert!(matches!(error, IndexFileError::Kind { .. }), "{error}");
    // Numbers that no index takes.
    let nan = f32::NAN.to_le_bytes().repeat(2);
    let error = load(forged(header(2, 1), 2, 8, &nan)).unwrap_err();
    assert!(matches!(error, IndexFileError::Content { .. }), "{error}");
    let other = Header {
        metric: 7,
        ..header(2, 1)
    };
    let error = load(forged(other, 2, 8, &eight)).unwrap_err();
    assert!(matches!(error, IndexFileError::Kind { .. }), "{error}");
}

#[test]
fn what_is_wrong_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    assert!(matches!(load_index(&path), Err(IndexFileError::Io { .. })));
    std::fs::write(&path, "not an index").unwrap();
    assert!(matches!(
        load_index(&path),
        Err(IndexFileError::NotAnIndex { .. })
    ));
    std::fs::write(&path, [0; 200]).unwrap();
    assert!(matches!(
        load_index(&path),
        Err(IndexFileError::NotAnIndex { .. })
    ));
    let mut index = FlatIndex::default();
    index.add(&rows()).unwrap();
    index.save(&path).unwrap();
    let whole = std::fs::read(&path).unwrap();
    let altered = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        load_index(&path).unwrap_err()
    };
    assert!(matches!(
        altered(8),
        IndexFileError::Version {
            got: 3,
            known: 2,
            ..
        }
    ));
    assert!(matches!(
        altered(24),
        IndexFileError::Checksum { part: "header", .. }
    ));
    assert!(matches!(
        altered(100),
        IndexFileError::Checksum { part: "rows", .. }
    ));
    assert!(matches!(
        altered(whole.len() - 1),
        IndexFileError::Checksum {
            part: "checksums",
            ..
        }
    ));
    std::fs::write(&path, &whole[..whole.len() - 1]).unwrap();
    let error = load_index(&path).unwrap_err();
    assert!(matches!(error, IndexFileError::Length { .. }));
    assert!(
        error.to_string().contains("expected 360 bytes, got 359"),
        "{error}"
    );
    std::fs::write(&path, &whole).unwrap();
    let mut other = FlatIndex::new(FlatMetric::Cosine);
    assert!(matches!(
        other.load(&path),
        Err(IndexFileError::Kind { .. })
    ));
    let mut half = FlatIndex::with_storage(FlatMetric::SquaredEuclidean, RowStorage::Float16);
    assert!(matches!(half.load(&path), Err(IndexFileError::Kind { .. })));
    assert!(matches!(
        index.save(&folder.path().join("no such folder").join("file")),
        Err(IndexFileError::Io { .. })
    ));
    // A save that fails leaves the old file.
    assert!(load_index(&path).is_ok());
}

#[test]
fn no_error_repeats_the_text_of_its_cause() {
    use std::error::Error;
    let path = std::path::PathBuf::from("some/file");
    let content = dml_core::Error::Length {
        arg: "rows",
        expected: 3,
        got: 4,
    };
    let errors = [
        IndexFileError::Content {
            path: path.clone(),
            source: content,
        },
        IndexFileError::Io {
            path,
            source: io::Error::from_raw_os_error(28),
        },
    ];
    for error in errors {
        let (own, cause) = (error.to_string(), error.source().unwrap().to_string());
        assert!(!own.contains(&cause), "{own}: {cause}");
        assert_eq!(format!("{own}: {cause}").matches("some/file").count(), 1);
    }
}
