use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;

use super::*;

fn file(dims: &[u32], data: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, dims.len() as u8];
    dims.iter().for_each(|dim| bytes.extend(dim.to_be_bytes()));
    bytes.extend(data);
    bytes
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn message(bytes: &[u8]) -> String {
    Idx::parse("x", bytes).unwrap_err().to_string()
}

#[test]
fn plain_and_compressed_files_are_told_apart_by_their_bytes() -> Result<()> {
    let plain = file(&[2, 2, 1], &[9, 8, 7, 6]);
    for bytes in [plain.clone(), gzip(&plain)] {
        let array = Idx::parse("x", &bytes)?;
        assert_eq!(array.dims(), [2, 2, 1]);
        assert_eq!(array.data(), [9, 8, 7, 6]);
        assert_eq!([&array.header(), array.data()].concat(), plain);
    }
    let empty = Idx::parse("x", &file(&[0, 28, 28], &[]))?;
    assert_eq!((empty.dims(), empty.data().len()), (&[0, 28, 28][..], 0));
    Ok(())
}

#[test]
fn faults_name_the_file_what_was_expected_and_what_was_found() {
    let good = file(&[2, 2], &[1, 2, 3, 4]);
    let magic = "x: expected the magic number of an IDX file, 00 00, one of 08, 09, 0b and 0c, and a number of dimensions, found ";
    for (bytes, found) in [
        (&b""[..], "[]"),
        (&b"\0\0\x08"[..], "[00, 00, 08]"),
        (&b"\0\0\x08\0"[..], "[00, 00, 08, 00]"), // no dimensions
        (&b"\0\0\x0d\x01\0\0\0\0"[..], "[00, 00, 0d, 01]"), // an array of floats
        (&b"PK\x03\x04"[..], "[50, 4b, 03, 04]"),
    ] {
        assert_eq!(message(bytes), format!("{magic}{found}"));
    }
    assert_eq!(message(&good[..7]), "x: expected 12 bytes, found 7");
    assert_eq!(message(&good[..15]), "x: expected 16 bytes, found 15");
    let longer = [&good[..], &[0]].concat();
    assert_eq!(message(&longer), "x: expected 16 bytes, found more");
    assert_eq!(message(&gzip(&longer)), "x: expected 16 bytes, found more");
    assert_eq!(
        message(&gzip(&good[..15])),
        "x: expected 16 bytes, found 15"
    );
    let missing = Idx::open("/no/such/file").unwrap_err();
    assert!(missing.to_string().starts_with("can't open /no/such/file"));
}

#[test]
fn damaged_compression_is_told_from_a_short_array() {
    let data: Vec<u8> = (0..1000u32).map(|i| (i * i % 251) as u8).collect();
    let whole = gzip(&file(&[1000], &data));
    assert!(matches!(
        Idx::parse("x", &whole[..whole.len() / 2]),
        Err(DataError::Truncated { expected: 1008, .. })
    ));
    // All data is there, but half of the checksum is not.
    assert!(matches!(
        Idx::parse("x", &whole[..whole.len() - 6]),
        Err(DataError::Gzip { .. })
    ));
    let mut checksum = whole.clone();
    let at = checksum.len() - 6;
    checksum[at] ^= 1;
    assert!(matches!(
        Idx::parse("x", &checksum),
        Err(DataError::Gzip { .. })
    ));
}

#[test]
fn a_small_file_cannot_claim_the_memory() {
    assert!(matches!(
        Idx::parse("x", &file(&[u32::MAX; 4], &[])),
        Err(DataError::TooLarge {
            found: u64::MAX,
            ..
        })
    ));
    // 3 GiB announced, nothing there: within the limit, so it is read until it ends.
    assert!(matches!(
        Idx::parse("x", &file(&[3 << 30], &[])),
        Err(DataError::Truncated { found: 8, .. })
    ));
    // 64 MiB of zeros compressed to 64 KiB, behind a header that announces ten bytes.
    let bomb = gzip(&[file(&[10], &[]), vec![0; 1 << 26]].concat());
    assert!(bomb.len() < 1 << 19);
    assert!(matches!(
        Idx::parse("x", &bomb),
        Err(DataError::TrailingBytes { expected: 18, .. })
    ));
    assert!(matches!(
        Idx::read("x", &file(&[100], &[0; 100])[..], 107),
        Err(DataError::TooLarge { found: 108, .. })
    ));
}

#[test]
fn whole_numbers_of_every_width_are_read() -> Result<()> {
    let cases: [(u8, &[u8], [i64; 2]); 4] = [
        (8, &[1, 255], [1, 255]),
        (9, &[1, 255], [1, -1]),
        (11, &[1, 2, 255, 254], [258, -2]),
        (12, &[0, 1, 0, 0, 255, 255, 255, 253], [65_536, -3]),
    ];
    for (code, data, expected) in cases {
        let bytes = [&[0, 0, code, 1, 0, 0, 0, 2][..], data].concat();
        let array = Idx::parse("x", &bytes)?;
        assert_eq!(array.integers(), expected);
        assert_eq!(array.element().size() * 2, data.len());
        assert_eq!([&array.header(), array.data()].concat(), bytes);
        let short = Idx::parse("x", &bytes[..bytes.len() - 1]).unwrap_err();
        assert!(matches!(short, DataError::Truncated { .. }), "{short}");
    }
    Ok(())
}

#[test]
fn damaged_files_are_read_or_refused() {
    let whole = file(&[3, 4, 5], &[7; 60]);
    let labels = include_bytes!("../../tests/inputs/qmnist-labels-idx2-int");
    for (i, bytes) in [&whole, &gzip(&whole), labels.as_slice(), &gzip(labels)]
        .iter()
        .enumerate()
    {
        for seed in 0..500 {
            let bytes = crate::mutation::mutated(bytes, seed * 4 + i as u64);
            if let Ok(array) = Idx::read("x", &bytes[..], 1 << 20) {
                let count: usize = array.dims().iter().product();
                assert_eq!(array.integers().len(), count);
                assert!(count <= 1 << 20);
            }
        }
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..200), start in 0..4) {
        // Most random bytes fail at once: give some a good beginning.
        let prefix: &[u8] = match start {
            0 => &[],
            1 => &[0, 0, 8],
            2 => &[0, 0, 8, 2, 0, 0, 0],
            _ => &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3],
        };
        bytes.splice(0..0, prefix.iter().copied());
        let _ = Idx::parse("x", &bytes);
        let _ = Idx::parse("x", &gzip(&bytes));
    }

    #[test]
    fn what_is_written_is_read(dims in prop::collection::vec(0u32..6, 1..4), seed: u8) {
        let count: u32 = dims.iter().product();
        let data: Vec<u8> = (0..count).map(|i| i as u8 ^ seed).collect();
        let array = Idx::parse("x", &gzip(&file(&dims, &data))).unwrap();
        prop_assert_eq!(array.data(), &data[..]);
        prop_assert!(array.dims().iter().zip(&dims).all(|(&a, &b)| a == b as usize));
    }
}
