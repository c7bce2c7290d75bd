use super::*;
use crate::made_by_others::{NUMBERS, TEXTS, file, kept, rows};

fn refused(name: &str) -> String {
    let (rows, ids) = (read_rows(&file(name)), read_ids(&file(name)));
    let error = rows
        .err()
        .filter(|_| !name.starts_with("ids"))
        .or(ids.err());
    let error = error.expect("the file is refused");
    let is_refused = matches!(error, ExchangeError::Format { .. } | ExchangeError::File(_));
    assert!(is_refused, "{error}");
    error.to_string()
}

#[test]
fn arrays_of_numpy_are_read() {
    let want = rows();
    for (name, dtype) in [
        ("rows-f2", DType::F16),
        ("rows-f4", DType::F32),
        ("rows-f8", DType::F64),
        ("rows-f4-big", DType::F32),
        ("rows-f8-columns", DType::F64),
        ("rows-version-2", DType::F32),
    ] {
        let read = read_rows(&file(&format!("{name}.npy"))).unwrap();
        assert_eq!(read.dtype(), dtype, "{name}");
        let read = read.to_dtype(DType::F32).unwrap().to_vec2::<f32>().unwrap();
        assert_eq!(read, want.to_vec2::<f32>().unwrap(), "{name}");
    }
    assert_eq!(read_rows(&file("no-rows.npy")).unwrap().dims(), [0, 3]);
    for name in ["u8", "i8", "i4", "big-i2", "u1"] {
        let ids = read_ids(&file(&format!("ids-{name}.npy"))).unwrap();
        assert_eq!(ids, Ids::from(NUMBERS), "{name}");
    }
    assert_eq!(read_ids(&file("ids-texts.npy")).unwrap(), Ids::from(TEXTS));
    assert_eq!(
        read_ids(&file("ids-bytes.npy")).unwrap(),
        Ids::from(["a", "bc"])
    );
}

#[test]
fn other_arrays_are_refused_by_what_they_are() {
    assert!(refused("ids-negative.npy").contains("whole numbers of at least 0"));
    assert!(
        refused("three-dimensions.npy")
            .contains("two dimensions, got one of float32 and shape [1, 1, 2]")
    );
    assert!(refused("booleans.npy").contains("float64, got one of bytes or truth values"));
    assert!(refused("flat-l2.faiss").contains("expected an array of NumPy"));
    let texts = read_rows(&file("ids-texts.npy")).unwrap_err().to_string();
    assert!(
        texts.contains("two dimensions, got one of texts and shape [5]"),
        "{texts}"
    );
    let missing = read_rows(std::path::Path::new("no/such.npy"));
    assert!(matches!(missing, Err(ExchangeError::File(_))));
}

#[test]
fn arrays_that_are_cut_short_or_go_on_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cut.npy");
    for (name, is_rows) in [("rows-f4.npy", true), ("ids-texts.npy", false)] {
        let whole = std::fs::read(file(name)).unwrap();
        let read = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            if is_rows {
                read_rows(&path).is_ok()
            } else {
                read_ids(&path).is_ok()
            }
        };
        assert!(read(&whole));
        for end in 0..whole.len() {
            assert!(!read(&whole[..end]), "{end}");
        }
        assert!(!read(&[&whole[..], &[0]].concat()));
        // Whatever the header says.
        for at in 6..128 {
            for byte in [b'9', b'<', b'\'', 0, 0xff] {
                let mut altered = whole.clone();
                altered[at] = byte;
                read(&altered);
            }
        }
    }
}

#[test]
fn what_is_written_is_read() {
    let folder = kept();
    let rows = rows();
    for (name, dtype) in [
        ("f16", DType::F16),
        ("f32", DType::F32),
        ("f64", DType::F64),
    ] {
        let path = folder.path().join(format!("ours-{name}.npy"));
        let typed = rows.to_dtype(dtype).unwrap();
        write_rows(&path, &typed).unwrap();
        let read = read_rows(&path).unwrap();
        assert_eq!(
            (read.dtype(), format!("{read}")),
            (dtype, format!("{typed}"))
        );
    }
    // A view is written as it is seen.
    let path = folder.path().join("ours-view.npy");
    let view = rows.t().unwrap().narrow(0, 1, 2).unwrap();
    write_rows(&path, &view).unwrap();
    let read = read_rows(&path).unwrap().to_vec2::<f32>().unwrap();
    assert_eq!(read, view.to_vec2::<f32>().unwrap());
    for (name, ids) in [
        ("numbers", Ids::from([0, 7, u64::MAX])),
        ("texts", Ids::from(TEXTS)),
        ("empty-text", Ids::from(["", "a"])),
        ("none", Ids::of([]).unwrap()),
    ] {
        let path = folder.path().join(format!("ours-{name}.npy"));
        write_ids(&path, &ids).unwrap();
        assert_eq!(read_ids(&path).unwrap(), ids, "{name}");
    }
    let path = folder.path().join("refused.npy");
    assert!(matches!(
        write_ids(&path, &Ids::from(["a\0"])),
        Err(ExchangeError::File(_))
    ));
    let whole = Tensor::new(&[[1u32]], &Device::Cpu).unwrap();
    assert!(matches!(
        write_rows(&path, &whole),
        Err(ExchangeError::Unsupported { .. })
    ));
    assert!(write_rows(&path, &rows.get(0).unwrap()).is_err());
    assert!(!path.exists());
}
