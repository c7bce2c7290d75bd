//! One run of a kernel: its name, its size and its arguments.

use super::Source;

/// The element type that a kernel is compiled for. Half precision computes in single.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// `f32`.
    F32,
    /// `f64`.
    F64,
}

impl Precision {
    /// The name of a kernel of this precision.
    pub(super) fn kernel(self, kernel: &str) -> String {
        let suffix = match self {
            Self::F32 => "f32",
            Self::F64 => "f64",
        };
        format!("{kernel}_{suffix}")
    }
}

/// What a buffer holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Buffer {
    /// Numbers of the kernel's precision.
    Real,
    /// `f64`, whatever the precision.
    F64,
    /// `i64`.
    I64,
    /// `u32`.
    U32,
    /// `u8`.
    U8,
}

/// A number that a kernel is given by value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// `i64`: a size.
    Size(i64),
    /// `int`: a condition or some of them.
    Flags(i32),
    /// A number of the kernel's precision.
    Real(f64),
}

impl Number {
    /// A size.
    #[must_use]
    pub fn size(size: usize) -> Self {
        Self::Size(size as i64)
    }

    /// A condition.
    #[must_use]
    pub fn flag(condition: bool) -> Self {
        Self::Flags(i32::from(condition))
    }
}

/// A buffer that a kernel reads, or writes: then every number of it, so that it needs no value before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// What it holds.
    pub buffer: Buffer,
    /// How many.
    pub len: usize,
}

impl Extent {
    /// `len` numbers of a kind.
    #[must_use]
    pub fn new(buffer: Buffer, len: usize) -> Self {
        Self { buffer, len }
    }

    /// `len` numbers of the kernel's precision.
    #[must_use]
    pub fn real(len: usize) -> Self {
        Self::new(Buffer::Real, len)
    }
}

/// One run of a kernel. Its arguments are the inputs, the outputs and the numbers, in this order.
#[derive(Clone, Debug, PartialEq)]
pub struct Launch {
    /// Where the kernel stands.
    pub source: &'static Source,
    /// Its name, without the suffix of its precision.
    pub kernel: &'static str,
    /// Blocks of [`BLOCK`](super::BLOCK) threads; with 0 there is nothing to do.
    pub blocks: usize,
    /// What the inputs hold, and how many of it each.
    pub inputs: Vec<Extent>,
    /// What is written.
    pub outputs: Vec<Extent>,
    /// The arguments after the buffers.
    pub numbers: Vec<Number>,
}

impl Launch {
    /// The name of the kernel.
    #[must_use]
    pub fn name(&self, precision: Precision) -> String {
        precision.kernel(self.kernel)
    }
}
