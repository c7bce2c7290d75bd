//! Lookup of learned rows by number.
//!
//! ```text
//! y[…, :] = W[id[…], :],   W of shape [num_embeddings, embedding_dim]
//! ```
//!
//! The gradient of a row is the sum over its occurrences in the order of the ids, in double precision. It is dense, as
//! PyTorch's with `sparse=False`.

use candle_core::{DType, Device, Tensor, Var};
use dml_core::autograd::{self, Element, has_kernel, with_slice};
use dml_core::{Error, Result, check, for_element, in_graph};
use rand::RngCore;

use crate::kernels::embedding as kernel;
use crate::{Graph, GraphValue, Layer, Parameters, init, wide};

dml_core::config! {
    /// Configuration of [`Embedding`].
    #[derive(Eq)]
    pub struct EmbeddingConfig {
        /// Number of rows, 1 to 4,294,967,295.
        pub num_embeddings: usize,
        /// Size of a row, 1 to 4,294,967,295.
        pub embedding_dim: usize;
        /// Row that gets no gradient and starts as zeros; below `num_embeddings`. Default `None`.
        pub padding_idx: Option<usize> = None,
    }
}

/// Lookup in a learned table ([formula](self)): ids `[…]` of whole numbers → `[…, embedding_dim]`.
///
/// ```
/// use candle_core::{Device, Tensor, Var};
/// use dml_nn::{Embedding, Layer};
///
/// let table = Var::new(&[[0f32, 0.], [1., 2.], [3., 4.]], &Device::Cpu)?;
/// let embedding = Embedding::from_parameters(table, Some(0))?;
/// let ids = Tensor::new(&[[2u32, 1, 0]], &Device::Cpu)?;
/// assert_eq!(embedding.forward(&ids)?.to_vec3::<f32>()?, [[[3., 4.], [1., 2.], [0., 0.]]]);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Embedding {
    weight: Var,
    padding_idx: Option<u32>,
}

impl Embedding {
    /// A table drawn from the normal distribution N(0, 1), PyTorch's initialisation, with zeros in the padding row.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`] for a size of 0, [`Error::Index`] for a padding row beyond the table, [`Error::Size`] for a
    /// table that does not fit into memory.
    pub fn new(
        config: EmbeddingConfig,
        rng: &mut dyn RngCore,
        dtype: DType,
        device: &Device,
    ) -> Result<Self> {
        let rows = check::at_least_one("num_embeddings", config.num_embeddings)?;
        let dim = check::at_least_one("embedding_dim", config.embedding_dim)?;
        let weight = init::normal((rows, dim), 1.0, rng, dtype, device)?;
        let embedding = Self::from_parameters(weight, config.padding_idx)?;
        if let Some(padding) = config.padding_idx {
            let zeros = Tensor::zeros((1, dim), dtype, device)?;
            let weight = embedding.weight.as_detached_tensor();
            let weight = weight.slice_assign(&[padding..padding + 1, 0..dim], &zeros)?;
            embedding.weight.set(&weight)?;
        }
        Ok(embedding)
    }

    /// A given table, `[num_embeddings, embedding_dim]`, and the row that gets no gradient.
    ///
    /// # Errors
    /// [`Error::Shape`] for another shape or an empty table, [`Error::Index`] for a padding row beyond the table.
    pub fn from_parameters(weight: Var, padding_idx: Option<usize>) -> Result<Self> {
        let rows = weight.dims().first().copied().unwrap_or(0);
        let fits = weight.rank() == 2 && weight.elem_count() > 0 && rows <= check::MOST;
        check::shape(fits, "weight", &weight, "[num_embeddings, embedding_dim]")?;
        check::indices("padding_idx", padding_idx, rows)?;
        Ok(Self {
            weight,
            padding_idx: padding_idx.map(|row| row as u32),
        })
    }

    /// The table, `[num_embeddings, embedding_dim]`.
    #[must_use]
    pub fn weight(&self) -> &Var {
        &self.weight
    }

    /// The row that gets no gradient.
    #[must_use]
    pub fn padding_idx(&self) -> Option<usize> {
        self.padding_idx.map(|row| row as usize)
    }

    /// The ids as a list, each of them a row of the table.
    fn ids(&self, input: &Tensor) -> Result<Vec<u32>> {
        let is_whole = !input.dtype().is_float();
        check::dtype(is_whole, "input", input, "whole numbers: u8, u32 or i64")?;
        let rows = self.weight.dims()[0];
        let ids = input
            .flatten_all()?
            .to_dtype(DType::I64)?
            .to_vec1::<i64>()?;
        let below = |id: i64| u32::try_from(id).ok().filter(|id| (*id as usize) < rows);
        ids.iter()
            .enumerate()
            .map(|(position, id)| {
                below(*id).ok_or(Error::Index {
                    arg: "input",
                    position,
                    limit: rows,
                    got: *id,
                })
            })
            .collect()
    }

    fn fused<T: Element>(&self, weight: &Tensor, ids: Vec<u32>) -> Result<Tensor> {
        let (rows, dim) = weight.dims2()?;
        let padding = self.padding_idx;
        let value = with_slice(weight, |table: &[T]| kernel::rows(table, &ids, dim))?;
        let shape = (ids.len(), dim);
        autograd::unary("embedding", weight, value, shape, move |_, _, gradient| {
            with_slice(gradient, |g: &[T]| {
                kernel::table_gradient(g, &ids, rows, dim, padding)
            })
        })
    }

    /// The same, composed of Candle's operations.
    fn composite(&self, weight: &Tensor, ids: Vec<u32>) -> Result<Tensor> {
        let count = ids.len();
        let padded = self.padding_idx.map(|padding| {
            let padded: Vec<u8> = ids.iter().map(|id| u8::from(*id == padding)).collect();
            Tensor::from_vec(padded, (count, 1), weight.device())
        });
        let rows = weight.index_select(&Tensor::from_vec(ids, count, weight.device())?, 0)?;
        match padded.transpose()? {
            None => Ok(rows),
            Some(padded) => {
                let padded = padded.broadcast_as(rows.shape())?;
                Ok(padded.where_cond(&rows.detach(), &rows)?)
            }
        }
    }
}

impl Layer for Embedding {
    fn forward_t(&self, input: &Tensor, _: bool) -> Result<Tensor> {
        let ids = self.ids(input)?;
        let mut shape = input.dims().to_vec();
        shape.push(self.weight.dims()[1]);
        // Gradients of a row may be many: half precision would lose most of them.
        let weight = in_graph(&self.weight).to_dtype(wide(self.weight.dtype()))?;
        let rows = if has_kernel(&weight) {
            for_element!(weight, "weight", |T| self.fused::<T>(&weight, ids))?
        } else {
            self.composite(&weight, ids)?
        };
        Ok(rows.reshape(shape)?.to_dtype(self.weight.dtype())?)
    }

    fn parameters(&self) -> Parameters {
        let mut parameters = Parameters::default();
        parameters.push("weight", self.weight.clone());
        parameters
    }

    fn export(&self, graph: &mut Graph, input: &GraphValue) -> Result<GraphValue> {
        let weight = graph.constant("weight", &self.weight);
        Ok(graph.node("Gather", &[&weight, input]))
    }
}

#[cfg(test)]
mod tests;
