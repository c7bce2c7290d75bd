//! The kernels for CUDA on the host: the same text, compiled as C++.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Arc, OnceLock};

use anyhow::{Context, bail, ensure};
use dml::candle_core::{DType, Device, Tensor};
use dml::core::autograd::cuda::Runner;
use dml::core::kernels::cuda::{
    Buffer, Extent, Launch, Number, Precision, SOURCES, Source, host_program, kernel_names,
};
use tempfile::TempDir;

/// The sources of all CUDA kernels of the workspace.
#[must_use]
pub fn cuda_sources() -> Vec<&'static Source> {
    [&SOURCES[..], &dml::nn::CUDA_SOURCES].concat()
}

/// A program that runs the kernels for CUDA on the host, block after block and thread after thread.
#[derive(Debug)]
pub struct HostKernels {
    _folder: TempDir,
    program: PathBuf,
}

impl HostKernels {
    /// The program of this process, compiled once by `CXX` or `c++`; `None`, with a line to the error output, where there
    /// is no such compiler.
    ///
    /// # Errors
    /// If the compiler refuses the text.
    pub fn get() -> anyhow::Result<Option<Arc<Self>>> {
        static PROGRAM: OnceLock<Result<Option<Arc<HostKernels>>, String>> = OnceLock::new();
        let compile = || Self::compile().map_err(|error| format!("{error:#}"));
        PROGRAM
            .get_or_init(compile)
            .clone()
            .map_err(anyhow::Error::msg)
    }

    #[allow(clippy::print_stderr)] // A test that is left out says so.
    fn compile() -> anyhow::Result<Option<Arc<Self>>> {
        let compiler = std::env::var("CXX").unwrap_or_else(|_| "c++".to_owned());
        if Command::new(&compiler).arg("--version").output().is_err() {
            eprintln!(
                "SKIPPED: no C++ compiler {compiler}: the kernels for CUDA are not run on the host"
            );
            return Ok(None);
        }
        let folder = tempfile::tempdir()?;
        let text = folder.path().join("kernels.cpp");
        let program = folder.path().join("kernels");
        std::fs::write(&text, host_program(&cuda_sources()))?;
        let done = Command::new(&compiler)
            .args(["-std=c++17", "-O2", "-ffp-contract=off", "-o"])
            .args([&program, &text])
            .output()?;
        let message = String::from_utf8_lossy(&done.stderr);
        ensure!(done.status.success(), "{message}");
        Ok(Some(Arc::new(Self {
            _folder: folder,
            program,
        })))
    }

    /// The bytes of every buffer after a launch, inputs first.
    fn launch(
        &self,
        launch: &Launch,
        precision: Precision,
        inputs: &[Vec<u8>],
    ) -> anyhow::Result<Vec<u8>> {
        let name = launch.name(precision);
        let names = kernel_names(&cuda_sources());
        let number = names.iter().position(|kernel| *kernel == name);
        let number = number.with_context(|| format!("no kernel {name}"))?;
        let mut message = Vec::new();
        let word = |message: &mut Vec<u8>, word: usize| {
            message.extend((word as i64).to_le_bytes());
        };
        let arguments = inputs.len() + launch.outputs.len() + launch.numbers.len();
        for number in [number, launch.blocks, arguments] {
            word(&mut message, number);
        }
        let outputs = launch.outputs.iter();
        // What a kernel leaves unwritten shows: these bytes are NaN and large numbers.
        let outputs = outputs.map(|extent| vec![0xff; extent.len * size(extent.buffer, precision)]);
        for buffer in inputs.iter().cloned().chain(outputs) {
            word(&mut message, 1);
            word(&mut message, buffer.len());
            message.extend(buffer);
        }
        for number in &launch.numbers {
            let bytes = match (*number, precision) {
                (Number::Size(x), _) => x.to_le_bytes().to_vec(),
                (Number::Flags(x), _) => x.to_le_bytes().to_vec(),
                (Number::Real(x), Precision::F32) => (x as f32).to_le_bytes().to_vec(),
                (Number::Real(x), Precision::F64) => x.to_le_bytes().to_vec(),
            };
            word(&mut message, 0);
            word(&mut message, bytes.len());
            message.extend(bytes);
        }
        let mut child = Command::new(&self.program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut input = child.stdin.take().context("no input")?;
        // A program that gives up closes its input; why, it says below.
        let _ = input.write_all(&message);
        drop(input);
        let done = child.wait_with_output()?;
        if !done.status.success() {
            bail!("{name}: {}", String::from_utf8_lossy(&done.stderr));
        }
        Ok(done.stdout)
    }
}

impl Runner for HostKernels {
    fn run(
        &self,
        launch: &Launch,
        precision: Precision,
        inputs: &[Tensor],
    ) -> dml::Result<Vec<Tensor>> {
        let inputs: dml::Result<Vec<Vec<u8>>> = inputs.iter().map(bytes).collect();
        let inputs = inputs?;
        let after = self.launch(launch, precision, &inputs);
        let after = after.map_err(|error| dml::candle_core::Error::Msg(format!("{error:#}")))?;
        let mut rest = &after[inputs.iter().map(Vec::len).sum()..];
        let mut outputs = Vec::new();
        for Extent { buffer, len } in launch.outputs.iter().copied() {
            let (own, others) = rest.split_at(len * size(buffer, precision));
            rest = others;
            let dtype = dtype(buffer, precision);
            outputs.push(Tensor::from_raw_buffer(own, dtype, &[len], &Device::Cpu)?);
        }
        Ok(outputs)
    }
}

fn dtype(buffer: Buffer, precision: Precision) -> DType {
    match (buffer, precision) {
        (Buffer::Real, Precision::F32) => DType::F32,
        (Buffer::Real, Precision::F64) | (Buffer::F64, _) => DType::F64,
        (Buffer::I64, _) => DType::I64,
        (Buffer::U32, _) => DType::U32,
        (Buffer::U8, _) => DType::U8,
    }
}

fn size(buffer: Buffer, precision: Precision) -> usize {
    dtype(buffer, precision).size_in_bytes()
}

/// The elements row by row.
fn bytes(tensor: &Tensor) -> dml::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    tensor.write_bytes(&mut bytes)?;
    Ok(bytes)
}
