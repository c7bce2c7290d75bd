//! A graph of which every byte is altered, behind checksums that are right: what passes the checks works.

use candle_core::{Device, Tensor};

use super::{HEADER, exercise, repair, tail};
use crate::index::{KnnIndex, UsearchIndex, UsearchIndexConfig, load_index};

#[test]
fn whatever_byte_of_a_graph_is_altered_it_is_refused_or_works() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("graph");
    let config = UsearchIndexConfig {
        connectivity: 2,
        ..UsearchIndexConfig::default()
    };
    let mut index = UsearchIndex::new(config).unwrap();
    let rows: Vec<f32> = (0..7 * 5).map(|i| (i as f32 * 0.7).sin()).collect();
    let rows = Tensor::from_vec(rows, (7, 5), &Device::Cpu).unwrap();
    index.add(&rows).unwrap();
    index.add(&rows.narrow(0, 0, 2).unwrap()).unwrap();
    index.remove(&[3]).unwrap();
    index.save(&path).unwrap();
    let whole = std::fs::read(&path).unwrap();
    let end = whole.len() - tail(&whole);
    let (mut refused, mut worked) = (0, 0);
    for at in 8..end {
        for altered in [whole[at] ^ 1, whole[at] ^ 0x80, 0xff, 0] {
            let mut bytes = whole.clone();
            bytes[at] = altered;
            repair(&mut bytes);
            std::fs::write(&path, &bytes).unwrap();
            match load_index(&path) {
                Ok(index) => {
                    worked += 1;
                    exercise(index);
                }
                Err(_) => refused += 1,
            }
        }
        if at >= HEADER {
            // The same file, cut there.
            let mut bytes = whole[..at].to_vec();
            bytes[40..48].copy_from_slice(&((at - HEADER) as u64).to_le_bytes());
            bytes[32..40].copy_from_slice(&((at - HEADER) as u64).to_le_bytes());
            bytes.extend([0; 8]);
            repair(&mut bytes);
            std::fs::write(&path, &bytes).unwrap();
            assert!(load_index(&path).is_err() || at == HEADER, "cut at {at}");
        }
    }
    assert!(refused > 300 && worked > 300, "{refused} {worked}");
}
