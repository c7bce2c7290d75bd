//! The arithmetic of search, clustering and projection on the CPU: slices in, slices out, on rayon.
//!
//! Kernels know no tensor. Vector instructions are chosen at run time; results depend neither on them nor on the number
//! of threads.

pub(crate) mod int8;
pub(crate) mod kmeans;
pub(crate) mod nearest;
pub(crate) mod symmetric_eigen;

#[cfg(test)]
mod tests;
