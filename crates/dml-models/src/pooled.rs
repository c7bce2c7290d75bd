//! Layers over images whose last feature maps are averaged over all places.

use candle_core::Tensor;
use dml_core::{Result, RunningStatistics, SeedSequence};
use dml_nn::{CheckpointSwitch, Graph, GraphValue, Layer, Parameters, Sequential};

use crate::backbone::by_prefix;

/// Layers `[N, C, H, W]` → `[N, D, H', W']`, and the mean over H' and W': `[N, D]`.
#[derive(Debug)]
pub(crate) struct Pooled {
    pub(crate) layers: Sequential,
    pub(crate) embedding_dim: usize,
    /// Prefixes of the parameters of each block, in order of depth.
    pub(crate) blocks: Vec<Vec<String>>,
    /// Whether blocks are computed again in the backward pass.
    pub(crate) checkpoint: CheckpointSwitch,
}

impl Pooled {
    pub(crate) fn block_names(&self) -> Vec<Vec<String>> {
        by_prefix(&self.parameters(), &self.blocks)
    }
}

impl Layer for Pooled {
    fn forward_t(&self, input: &Tensor, train: bool) -> Result<Tensor> {
        let maps = self.layers.forward_t(input, train)?;
        Ok(maps.flatten_from(2)?.mean(2)?)
    }

    fn parameters(&self) -> Parameters {
        self.layers.parameters()
    }

    fn buffers(&self) -> Parameters {
        self.layers.buffers()
    }

    fn statistics(&self) -> Vec<RunningStatistics> {
        self.layers.statistics()
    }

    fn seeds(&self) -> Vec<SeedSequence> {
        self.layers.seeds()
    }

    fn export(&self, graph: &mut Graph, input: &GraphValue) -> Result<GraphValue> {
        let maps = self.layers.export(graph, input)?;
        Ok(averaged(graph, &maps))
    }
}

/// The means of feature maps in a graph: `[N, D, H', W']` → `[N, D]`.
pub(crate) fn averaged(graph: &mut Graph, maps: &GraphValue) -> GraphValue {
    let means = graph.node("GlobalAveragePool", &[maps]);
    graph.node_with("Flatten", &[&means], &[("axis", 1i64.into())])
}

/// Implements the traits of layers, backbones and trainable modules for a structure of `network: Pooled` and
/// `image_input: ImageInput`.
macro_rules! pooled_backbone {
    ($backbone:ty, classifier: $classifier:expr) => {
        impl dml_nn::Layer for $backbone {
            fn forward_t(
                &self,
                input: &candle_core::Tensor,
                train: bool,
            ) -> dml_core::Result<candle_core::Tensor> {
                self.network.forward_t(input, train)
            }

            fn export(
                &self,
                graph: &mut dml_nn::Graph,
                input: &dml_nn::GraphValue,
            ) -> dml_core::Result<dml_nn::GraphValue> {
                self.network.export(graph, input)
            }

            fn parameters(&self) -> dml_nn::Parameters {
                self.network.parameters()
            }

            fn buffers(&self) -> dml_nn::Parameters {
                self.network.buffers()
            }

            fn statistics(&self) -> Vec<dml_core::RunningStatistics> {
                self.network.statistics()
            }

            fn seeds(&self) -> Vec<dml_core::SeedSequence> {
                self.network.seeds()
            }
        }

        impl $crate::Backbone for $backbone {
            fn embedding_dim(&self) -> usize {
                self.network.embedding_dim
            }

            fn image_input(&self) -> Option<dml_core::ImageInput> {
                Some(self.image_input.clone())
            }

            fn blocks(&self) -> Vec<Vec<String>> {
                self.network.block_names()
            }

            fn classifier(&self) -> &[&str] {
                &$classifier
            }

            fn set_activation_checkpoint(&self, on: bool) -> dml_core::Result<()> {
                self.network.checkpoint.set(on);
                Ok(())
            }
        }

        $crate::backbone::trainable!($backbone);
    };
}
pub(crate) use pooled_backbone;
