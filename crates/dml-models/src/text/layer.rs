//! A transformer layer with normalisation behind each part.
//!
//! ```text
//! a = LN(x + D(attention(x)))        y = LN(a + D(feed_forward(a)))      D: dropout
//! ```

use candle_core::Tensor;
use dml_core::{Result, SeedSequence};
use dml_nn::attention::AttentionOptions;
use dml_nn::{
    Activation, Dropout, DropoutConfig, Graph, GraphValue, Layer, LayerNorm, Linear,
    MultiHeadAttention, Parameters,
};

use super::plan::{Parts, Plan};
use crate::init::Init;

/// A layer ([formula](self)): `[batch, length, hidden]` to the same shape.
#[derive(Debug)]
pub(super) struct PostNormLayer {
    parts: Parts,
    attention: MultiHeadAttention,
    attention_dropout: Dropout,
    attention_norm: LayerNorm,
    /// The linear layers of the feed-forward part, and the activation between them.
    feed_forward: [Linear; 2],
    activation: Activation,
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
        let feed_forward = [
            init.linear([wide, hidden], true, std)?,
            init.linear([hidden, wide], true, std)?,
        ];
        Ok(Self {
            parts,
            attention: attention.with_dropout(dropout(plan.attention_dropout, init)?),
            attention_dropout: dropout(plan.attention_output_dropout, init)?,
            attention_norm: init.layer_norm(hidden, plan.eps)?,
            feed_forward,
            activation: plan.activation,
            dropout: dropout(plan.dropout, init)?,
            norm: init.layer_norm(hidden, plan.eps)?,
        })
    }

    pub(super) fn forward(
        &self,
        x: &Tensor,
        options: &AttentionOptions<'_>,
        train: bool,
    ) -> Result<Tensor> {
        let attended = self.attention.attend(x, options, train)?;
        let attended = self.attention_dropout.forward_t(&attended, train)?;
        let x = self.attention_norm.forward_t(&(attended + x)?, train)?;
        let [first, second] = &self.feed_forward;
        let wide = first.forward_t(&x, train)?;
        let wide = self.activation.forward_t(&wide, train)?;
        let output = second.forward_t(&wide, train)?;
        let output = self.dropout.forward_t(&output, train)?;
        self.norm.forward_t(&(output + x)?, train)
    }

    /// As [`Layer::export`], with what is added to the scores of attention.
    pub(super) fn export(
        &self,
        graph: &mut Graph,
        x: &GraphValue,
        added: &GraphValue,
    ) -> Result<GraphValue> {
        let attended = self.attention.export_masked(graph, x, Some(added))?;
        let sum = graph.node("Add", &[&attended, x]);
        let x = graph.part(self.parts.attention_norm, &self.attention_norm, &sum)?;
        let ([first, second], [wide, narrow]) = (&self.feed_forward, self.parts.feed_forward);
        let output = graph.part(wide, first, &x)?;
        let output = self.activation.export(graph, &output)?;
        let output = graph.part(narrow, second, &output)?;
        let sum = graph.node("Add", &[&output, &x]);
        graph.part(self.parts.output_norm, &self.norm, &sum)
    }

    pub(super) fn parameters(&self) -> Parameters {
        let mut parameters = self.attention.parameters();
        parameters.extend(self.parts.attention_norm, self.attention_norm.parameters());
        for (name, linear) in self.parts.feed_forward.iter().zip(&self.feed_forward) {
            parameters.extend(name, linear.parameters());
        }
        parameters.extend(self.parts.output_norm, self.norm.parameters());
        parameters
    }

    pub(super) fn seeds(&self) -> Vec<SeedSequence> {
        let own = [&self.attention_dropout, &self.dropout];
        let own = own.into_iter().flat_map(Layer::seeds);
        self.attention.seeds().into_iter().chain(own).collect()
    }
}
