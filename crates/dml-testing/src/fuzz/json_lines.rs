//! Tables of images in files of JSON Lines.

use dml::data::{Manifest, PairColumns, PairTable, PairTableConfig};

use super::csv::{MEMORY, used};

pub(super) fn run(bytes: &[u8]) {
    used(Manifest::parse("table.jsonl", bytes, MEMORY));
    let config = PairTableConfig {
        columns: PairColumns::sentences(),
        memory_limit: MEMORY,
        ..PairTableConfig::default()
    };
    if let Ok(pairs) = PairTable::parse_with("table.jsonl", bytes, &config) {
        pairs.images().ok();
    }
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let tables = [
        "{\"path\": \"1.png\", \"label\": \"owl\", \"labels\": [\"owl\", 7], \"box\": [1, 2.5, 3, 4]}\n\n{\"file_name\": \"2.png\", \"label\": 3, \"text\": \"a\\nb\"}\n",
        "{\"sentence1\": \"a\", \"sentence2\": \"b\", \"score\": 0.5, \"same\": true, \"negatives\": [\"x\", \"y\"], \"fold\": 1}\n",
    ];
    tables.map(|table| table.as_bytes().to_vec()).to_vec()
}
