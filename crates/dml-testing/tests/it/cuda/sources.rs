//! The text of the kernels, and the launches' refusal of what does not fit them.

use std::path::PathBuf;
use std::process::Command;

use dml::Error;
use dml::candle_core::{DType, Device, Tensor};
use dml::core::autograd::cuda;
use dml::core::kernels::cuda::log_sum_exp;
use dml_testing::cuda_sources;

/// The compiler of `NVCC`, or of the search path; `None`, with a line to the error output, where there is none.
fn nvcc() -> Option<PathBuf> {
    let nvcc = PathBuf::from(std::env::var_os("NVCC").unwrap_or_else(|| "nvcc".into()));
    if Command::new(&nvcc).arg("--version").output().is_ok() {
        return Some(nvcc);
    }
    eprintln!(
        "SKIPPED: no nvcc (set NVCC, or put it on PATH): the kernels for CUDA are not compiled for a GPU"
    );
    None
}

#[test]
fn every_source_compiles_for_gpus() {
    let Some(nvcc) = nvcc() else { return };
    let folder = tempfile::tempdir().unwrap();
    for source in cuda_sources() {
        let text = folder.path().join(source.name).with_extension("cu");
        std::fs::write(&text, source.for_device()).unwrap();
        for architecture in ["80", "90"] {
            let ptx = text.with_extension(format!("{architecture}.ptx"));
            let done = Command::new(&nvcc)
                .args(["-ptx", "-std=c++17", "-Werror", "all-warnings"])
                .arg(format!("-arch=compute_{architecture}"))
                .arg("-o")
                .args([&ptx, &text])
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&done.stderr);
            assert!(
                done.status.success(),
                "{} for sm_{architecture}: {said}",
                source.name
            );
            let ptx = std::fs::read_to_string(&ptx).unwrap();
            for kernel in source.kernels {
                for precision in ["f32", "f64"] {
                    let entry = format!(".entry {kernel}_{precision}(");
                    assert!(ptx.contains(&entry), "{}: no {entry}", source.name);
                }
            }
        }
    }
}

#[test]
fn launches_refuse_what_does_not_fit() {
    let launch = log_sum_exp::forward(2, 3, false, false);
    let x = Tensor::zeros((2, 3), DType::F32, &Device::Cpu).unwrap();
    let keep = Tensor::zeros(1, DType::U8, &Device::Cpu).unwrap();
    assert!(matches!(
        cuda::run(&launch, &[&x]),
        Err(Error::Length {
            expected: 2,
            got: 1,
            ..
        })
    ));
    assert!(matches!(
        cuda::run(&launch, &[&keep, &keep]),
        Err(Error::Length {
            expected: 6,
            got: 1,
            ..
        })
    ));
    assert!(matches!(
        cuda::run(&launch, &[&x, &x]),
        Err(Error::Length { .. })
    ));
    let wrong = keep.to_dtype(DType::U32).unwrap();
    assert!(matches!(
        cuda::run(&launch, &[&x, &wrong]),
        Err(Error::DType {
            got: DType::U32,
            ..
        })
    ));
    // On the CPU there is nobody to run it.
    assert!(!cuda::has_kernel(&x));
    assert!(matches!(
        cuda::run(&launch, &[&x, &keep]),
        Err(Error::Device { .. })
    ));
}
