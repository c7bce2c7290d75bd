//! The bridge between the kernels of `dml-kernels` and Candle's automatic differentiation.
//!
//! # Stability
//!
//! This module is exempt from semantic versioning. It exists for dml's own role crates; components outside of the project are
//! written with [`TensorExt`](crate::TensorExt) and Candle's operations, and don't need it.
//!
//! # How a kernel becomes a node
//!
//! A kernel is a function of slices. [`has_kernel`] says whether a tensor can be read as one: it is on the CPU, in `f32` or
//! `f64`. [`for_element!`](crate::for_element) names the element type, [`with_slice`] lends the memory, and [`unary`] or
//! [`host_node`] makes the result a node of Candle's graph, together with the function that computes the gradients of the
//! inputs:
//!
//! ```
//! use dml_core::autograd::{has_kernel, unary, with_slice, with_slices};
//! use dml_core::candle_core::{Device, Tensor, Var};
//! use dml_core::{Result, for_element};
//!
//! fn cube(x: &Tensor) -> Result<Tensor> {
//!     if !has_kernel(x) {
//!         return Ok((x.sqr()? * x)?); // the composite form, on any device
//!     }
//!     for_element!(x, "x", |T| {
//!         let values: Vec<T> = with_slice(x, |x: &[T]| x.iter().map(|x| x * x * x).collect())?;
//!         unary("cube", x, values, x.shape(), |x, _value, gradient| {
//!             with_slices([x, gradient], |[x, g]| x.iter().zip(g).map(|(x, g): (&T, &T)| 3.0 * x * x * g).collect())
//!         })
//!     })
//! }
//!
//! let x = Var::new(&[1f32, 2.], &Device::Cpu)?;
//! let y = cube(&x)?;
//! assert_eq!(y.to_vec1::<f32>()?, [1., 8.]);
//! let gradients = y.sum_all()?.backward()?;
//! assert_eq!(gradients.get(x.as_tensor()).unwrap().to_vec1::<f32>()?, [3., 12.]);
//! # Ok::<(), dml_core::Error>(())
//! ```
//!
//! All nodes are one type, [`node()`] makes them, and it takes a [`Value`] from either side: a list that a kernel of the host
//! has computed, or a tensor of any device. Where no input is [tracked](is_tracked), there is no node: no input depends on a
//! variable, all such variables are [frozen](with_frozen), or nothing is recorded ([`no_grad`]). [`wide_node()`]
//! is for more than three inputs, and [`tracked`] makes tensors of gradients that are lists. [`row_values()`] is the shorter
//! way to a function of the rows of a matrix. Tests run both forms with [`without_kernels`].
//!
//! # How the gradient of a matrix reaches the rows
//!
//! A loss over N embeddings is a function of an N × N matrix of distances. Candle's backward pass allocates a gradient
//! for every node, fills it with zeros and adds to it what each consumer sends: for the matrix several passes over N²
//! numbers. Instead, losses deposit their gradient with respect to the matrix in a side table, and the backward pass of
//! the distance reads it from there, so that Candle never allocates an N × N gradient. [`matrix_gradient`] explains the
//! nodes. A loss reads the matrix with [`of_matrix`], and returns a [`PartialGradient`] from its backward pass.
//!
//! # Devices
//!
//! [`cuda`] is the same for kernels that run on a GPU: [`cuda::has_kernel`] instead of [`has_kernel`], [`cuda::run_for`]
//! instead of [`with_slice`], and [`node()`] around the tensors that come out. Gradients take Candle's own way there. Everything
//! else takes the composite form of Candle's operations.

pub mod cuda;
mod dispatch;
mod grad_mode;
mod host_memory;
pub mod matrix_gradient;
mod node;
mod relay;
mod row_values;
mod side_table;
mod sum;
mod wide_node;

pub use dispatch::{Element, has_kernel, without_kernels};
pub use grad_mode::{FrozenVariables, GradMode, in_graph, is_tracked, no_grad, with_frozen};
pub use host_memory::{whole, with_slice, with_slices, with_strides};
pub use matrix_gradient::{PartialGradient, of_matrix};
pub use node::{Value, host_node, if_tracked, node, tracked, unary};
pub use row_values::{row_values, row_values_with};
pub(crate) use side_table::SideTable;
pub use sum::sum;
pub use wide_node::{list_node, wide_node};
