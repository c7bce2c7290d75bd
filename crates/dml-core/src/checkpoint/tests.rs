use std::collections::HashMap;
use std::fs;

use candle_core::{DType, Device, Tensor};

use super::{CheckpointError, load, save};

const CPU: &Device = &Device::Cpu;

fn tensors() -> HashMap<String, Tensor> {
    let wide = Tensor::new(&[[1.5f64, -2.0], [0.1, 3.0]], CPU).unwrap();
    let half = Tensor::new(&[0.5f32, -1.0, 2.0], CPU).unwrap();
    let half = half.to_dtype(DType::F16).unwrap();
    let narrow = Tensor::new(&[7u8, 9, 11], CPU).unwrap();
    // A view that is not contiguous, and tensors without elements.
    let turned = Tensor::new(&[[1f32, 2., 3.], [4., 5., 6.]], CPU).unwrap();
    let turned = turned.t().unwrap();
    let empty = Tensor::zeros((0, 3), DType::F32, CPU).unwrap();
    let named = [
        ("wide", wide),
        ("part/\"half\"\n", half),
        ("narrow", narrow),
        ("turned", turned),
        ("empty", empty.clone()),
        ("also empty", empty),
    ];
    named.map(|(name, tensor)| (name.to_owned(), tensor)).into()
}

fn bits(tensors: &HashMap<String, Tensor>) -> Vec<(String, DType, Vec<usize>, Vec<u64>)> {
    let numbers = |tensor: &Tensor| -> Vec<u64> {
        let flat = tensor.flatten_all().unwrap();
        let wide: Vec<f64> = flat.to_dtype(DType::F64).unwrap().to_vec1().unwrap();
        wide.iter().map(|x| x.to_bits()).collect()
    };
    let one = |(name, tensor): (&String, &Tensor)| {
        let shape = tensor.dims().to_vec();
        (name.clone(), tensor.dtype(), shape, numbers(tensor))
    };
    let mut all: Vec<_> = tensors.iter().map(one).collect();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}

#[test]
fn tensors_come_back_and_other_readers_read_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.safetensors");
    let written = tensors();
    save(&path, &written).unwrap();
    assert_eq!(bits(&load(&path, CPU).unwrap()), bits(&written));
    let bytes = fs::read(&path).unwrap();
    let plain = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(plain.len(), written.len());
    // Same tensors, same bytes.
    save(&path, &tensors()).unwrap();
    assert_eq!(fs::read(&path).unwrap(), bytes);
    // Files of other programs have no checksum.
    let theirs = safetensors::serialize(&written, None).unwrap();
    fs::write(&path, theirs).unwrap();
    assert_eq!(bits(&load(&path, CPU).unwrap()), bits(&written));
}

#[test]
fn no_single_changed_bit_gives_other_tensors() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.safetensors");
    let written = tensors();
    save(&path, &written).unwrap();
    let whole = fs::read(&path).unwrap();
    let mut refused = 0;
    for place in 0..whole.len() {
        for bit in [0, 3, 7] {
            let mut bytes = whole.clone();
            bytes[place] ^= 1 << bit;
            fs::write(&path, &bytes).unwrap();
            match load(&path, CPU) {
                Err(_) => refused += 1,
                // The name of the checksum itself, or a space after the header.
                Ok(read) => assert_eq!(bits(&read), bits(&written), "byte {place}, bit {bit}"),
            }
        }
    }
    assert!(
        refused > 2 * whole.len(),
        "{refused} of {}",
        3 * whole.len()
    );
    let mut bytes = whole.clone();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&path, &bytes).unwrap();
    let error = load(&path, CPU).unwrap_err();
    assert!(matches!(error, CheckpointError::Damaged { .. }), "{error}");
}

#[test]
fn a_file_that_cannot_be_written_is_named_once() {
    let error = save("nowhere/a".as_ref(), &tensors()).unwrap_err();
    assert!(matches!(error, CheckpointError::File { .. }));
    assert_eq!(
        error.to_string(),
        "can't read or write the tensors of nowhere/a"
    );
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.starts_with("No such file or directory"), "{cause}");
}
