//! A transformer layer with normalisation behind each part.
//!
//! ```text
//! a = LN(x + D(attention(x)))        y = LN(a + D(feed_forward(a)))      D: dropout
//! ```

use candle_core::Tensor;
use dml_core::{Result, SeedSequence, autograd};
use dml_nn::attention::AttentionOptions;
use dml_nn::{
    Dropout, DropoutConfig, FeedForward, Graph, GraphValue, Layer, LayerNorm, MultiHeadAttention,
    Parameters,
};

use super::masked_layer::MaskedLayer;
use super::plan::{Parts, Plan};
use crate::init::Init;

/// A layer ([formula](self)): `[batch, length, hidden]` to the same shape.
#[derive(Debug)]
pub(super) struct PostNormLayer {
    parts: Parts,
    attention: MultiHeadAttention,
    attention_dropout: Dropout,
    attention_norm: LayerNorm,
    feed_forward: FeedForward,
    dropout: Dropout,
    norm: LayerNorm,
}

pub(super) fn dropout(p: f64, init: &mut Init<'_>) -> Result<Dropout> {
    Dropout::new(DropoutConfig { p }, init.seeds())
}

impl PostNormLayer {
    pub(super) fn new(plan: &Plan, init: &mut Init<'_>) -> Result<Self> {
        let (hidden, wide, std) = (plan.hidden, plan.intermediate, plan.initializer_range);
        let parts = plan.parts;
        let [query, key, value] = parts.projections;
        let square = [hidden, hidden];
        let projections = [
            (query, init.linear(square, true, std)?),
            (key, init.linear(square, true, std)?),
            (value, init.linear(square, true, std)?),
        ];
        let output = (parts.attention_output, init.linear(square, true, std)?);
        let attention = MultiHeadAttention::separate(projections, output, plan.heads)?;
        let [first, second] = parts.feed_forward;
        let feed_forward = FeedForward::new(
            (first, init.linear([wide, hidden], true, std)?),
            plan.activation,
            (second, init.linear([hidden, wide], true, std)?),
        )?;
        Ok(Self {
            parts,
            attention: attention.with_dropout(dropout(plan.attention_dropout, init)?),
            attention_dropout: dropout(plan.attention_output_dropout, init)?,
            attention_norm: init.layer_norm(hidden, plan.eps)?,
            feed_forward,
            dropout: dropout(plan.dropout, init)?,
            norm: init.layer_norm(hidden, plan.eps)?,
        })
    }

    /// As [`Layer::export`], with what is added to the scores of attention.
    pub(super) fn export_masked(
        &self,
        graph: &mut Graph,
        x: &GraphValue,
        added: &GraphValue,
    ) -> Result<GraphValue> {
        let attended = self.attention.export_masked(graph, x, Some(added))?;
        let sum = graph.node("Add", &[&attended, x]);
        let x = graph.part(self.parts.attention_norm, &self.attention_norm, &sum)?;
        let output = self.feed_forward.export(graph, &x)?;
        let sum = graph.node("Add", &[&output, &x]);
        graph.part(self.parts.output_norm, &self.norm, &sum)
    }
}

impl MaskedLayer for PostNormLayer {
    fn attend(&self, x: &Tensor, options: &AttentionOptions<'_>, train: bool) -> Result<Tensor> {
        let attended = self.attention.attend(x, options, train)?;
        let attended = self.attention_dropout.forward_t(&attended, train)?;
        let sum = autograd::sum(&attended, x)?;
        let x = self.attention_norm.forward_t(&sum, train)?;
        let output = self.feed_forward.forward_t(&x, train)?;
        let output = self.dropout.forward_t(&output, train)?;
        self.norm.forward_t(&autograd::sum(&output, &x)?, train)
    }
}

impl Layer for PostNormLayer {
    fn forward_t(&self, x: &Tensor, train: bool) -> Result<Tensor> {
        self.attend(x, &AttentionOptions::default(), train)
    }

    fn parameters(&self) -> Parameters {
        let mut parameters = self.attention.parameters();
        parameters.extend(self.parts.attention_norm, self.attention_norm.parameters());
        parameters.add(self.feed_forward.parameters());
        parameters.extend(self.parts.output_norm, self.norm.parameters());
        parameters
    }

    fn seeds(&self) -> Vec<SeedSequence> {
        let own = [&self.attention_dropout, &self.dropout];
        let own = own.into_iter().flat_map(Layer::seeds);
        self.attention.seeds().into_iter().chain(own).collect()
    }
}
