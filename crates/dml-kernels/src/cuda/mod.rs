//! Kernels for CUDA as text, and what it takes to launch them.
//!
//! The text is compiled at run time where there is a GPU (`dml_core::autograd::cuda`), so building needs no compiler of CUDA's.
//! A [`Launch`] says which kernel runs on how many blocks with which arguments; whoever has a GPU hands these on, and
//! tests without one hand the same launch to the same text compiled for the host. `device.cuh` says how kernels are
//! written so that this is possible.
//!
//! ```
//! use dml_kernels::cuda::{Precision, log_sum_exp};
//!
//! let launch = log_sum_exp::forward(3, 100, false, true);
//! assert_eq!(launch.name(Precision::F32), "log_sum_exp_f32");
//! assert_eq!((launch.blocks, launch.outputs[0].len), (3, 3));
//! ```

pub mod euclidean;
mod launch;
pub mod log_sum_exp;
pub mod top_k;
pub mod triplet_margin;

pub use launch::{Buffer, Extent, Launch, Number, Precision};

/// Threads of a block.
pub const BLOCK: usize = 256;

/// The text of some kernels.
#[derive(Debug, PartialEq, Eq)]
pub struct Source {
    /// The name of the file, without its ending.
    pub name: &'static str,
    /// What follows `device.cuh` and `arithmetic.cuh`, or `host.hpp` in their place.
    pub text: &'static str,
    /// The kernels in it, without the suffix of their precision.
    pub kernels: &'static [&'static str],
}

const DEVICE: &str = include_str!("device.cuh");
const HOST: &str = include_str!("host.hpp");
const ARITHMETIC: &str = include_str!("arithmetic.cuh");

impl Source {
    /// The whole text for a compiler of CUDA's: NVRTC or nvcc.
    #[must_use]
    pub fn for_device(&self) -> String {
        [DEVICE, ARITHMETIC, self.text].join("\n")
    }
}

/// The sources of this crate. Crates with kernels of their own have a list beside it.
pub const SOURCES: [&Source; 4] = [
    &euclidean::SOURCE,
    &log_sum_exp::SOURCE,
    &top_k::SOURCE,
    &triplet_margin::SOURCE,
];

/// A program in C++ of the kernels in `sources`, for tests on a machine without a GPU: it reads one launch from its input and writes
/// the buffers after it to its output. The number of a kernel is its place in [`kernel_names`].
#[must_use]
pub fn host_program(sources: &[&'static Source]) -> String {
    let mut text = [HOST, ARITHMETIC].join("\n");
    for source in sources {
        // Sources have macros of the same names.
        text += &format!(
            "\n#undef FOR_TYPE\nnamespace {}_source {{\n{}\n}}\n",
            source.name, source.text
        );
    }
    text += "\nint main() {\n  return serve([](i64 kernel, i64 blocks, std::vector<Argument> &arguments) {\n    switch (kernel) {\n";
    for (number, (source, name)) in kernels(sources).enumerate() {
        text += &format!(
            "    case {number}: return launch(&{}_source::{name}, blocks, arguments);\n",
            source.name
        );
    }
    text + "    default: give_up(\"no such kernel\");\n    }\n  });\n}\n"
}

/// The kernels of [`host_program`] in the order of their numbers.
#[must_use]
pub fn kernel_names(sources: &[&'static Source]) -> Vec<String> {
    kernels(sources).map(|(_, name)| name).collect()
}

fn kernels(sources: &[&'static Source]) -> impl Iterator<Item = (&'static Source, String)> {
    sources.iter().copied().flat_map(|source| {
        source.kernels.iter().flat_map(move |kernel| {
            [Precision::F32, Precision::F64].map(|precision| (source, precision.kernel(kernel)))
        })
    })
}

/// Blocks for one thread a number.
#[must_use]
pub fn blocks_of(numbers: usize) -> usize {
    numbers.div_ceil(BLOCK)
}
