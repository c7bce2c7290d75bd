//! libFuzzer's end of the target `exchange`.

#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;

static RUN: OnceLock<fn(&[u8])> = OnceLock::new();

fuzz_target!(
    init: {
        RUN.get_or_init(|| dml_fuzz::begin("exchange"));
    },
    |bytes: &[u8]| RUN.get_or_init(|| dml_fuzz::begin("exchange"))(bytes)
);
