//! An image as a list of tokens.
//!
//! ```text
//! tokens = [class + p₀, registers, patches + p]
//! ```

use candle_core::{Tensor, Var};
use dml_core::{Error, Result, check, in_graph};
use dml_nn::bicubic::{BicubicConfig, resize_position_embedding};
use dml_nn::{Conv2d, Conv2dConfig, Graph, GraphValue, Layer, Parameters};

use super::STD;
use super::config::VisionTransformerConfig;
use super::family::{VisionFamily, VisionNames};
use crate::init::Init;

/// Standard deviation of initial class and register tokens.
const TOKEN_STD: f64 = 1e-6;

/// Tokens of images ([formula](self)): `[N, 3, H, W]` → `[N, tokens, hidden]`.
#[derive(Debug)]
pub(super) struct PatchTokens {
    names: &'static VisionNames,
    class_token: Option<Var>,
    registers: Option<Var>,
    positions: Var,
    patches: Conv2d,
    patch_size: usize,
    /// Rows and columns of patches that the positions are of.
    grid: [usize; 2],
    /// Whether the first position is that of the class token.
    class_has_position: bool,
    antialias: bool,
    position_offset: f64,
}

impl VisionTransformerConfig {
    /// Whether the first position is that of the class token.
    pub(super) fn class_has_position(&self) -> bool {
        let without = self.family == VisionFamily::Timm && self.register_tokens > 0;
        self.family.names().class_token.is_some() && !without
    }
}

impl PatchTokens {
    pub(super) fn new(config: &VisionTransformerConfig, init: &mut Init<'_>) -> Result<Self> {
        let names = config.family.names();
        let (hidden, size) = (config.hidden_size, config.patch_size);
        check::at_least_one("patch_size", size)?;
        for side in config.image_size {
            let fits = side > 0 && side.is_multiple_of(size);
            check::whole(fits, "image_size", side, "a multiple of patch_size")?;
        }
        check::non_negative("position_offset", config.position_offset)?;
        let grid = config.image_size.map(|side| side / size);
        let class_has_position = config.class_has_position();
        let rows = grid[0].saturating_mul(grid[1]);
        let rows = rows.saturating_add(usize::from(class_has_position));
        let table = |rows: usize| match names.is_table {
            true => vec![rows, hidden],
            false => vec![1, rows, hidden],
        };
        let class_token = names.class_token.map(|_| match names.is_table {
            true => init.normal(&[hidden], TOKEN_STD),
            false => init.normal(&[1, 1, hidden], TOKEN_STD),
        });
        let registers = (config.register_tokens > 0)
            .then(|| init.normal(&[1, config.register_tokens, hidden], TOKEN_STD));
        let patches = Conv2dConfig {
            stride: [size; 2],
            bias: names.patch_bias,
            ..Conv2dConfig::new(3, hidden, [size; 2])
        };
        Ok(Self {
            names,
            class_token: class_token.transpose()?,
            registers: registers.transpose()?,
            positions: init.normal(&table(rows), STD)?,
            patches: init.trunc_normal_conv(patches, STD)?,
            patch_size: size,
            grid,
            class_has_position,
            antialias: config.antialias,
            position_offset: config.position_offset,
        })
    }

    /// Number of tokens in front of those of the patches.
    pub(super) fn prefix(&self) -> usize {
        let registers = self
            .registers
            .as_ref()
            .map_or(0, |registers| registers.dims()[1]);
        usize::from(self.class_token.is_some()) + registers
    }

    pub(super) fn forward(&self, images: &Tensor, train: bool) -> Result<Tensor> {
        let size = self.patch_size;
        let fits = |side: &usize| *side > 0 && side.is_multiple_of(size);
        let fits = images.rank() == 4 && images.dims()[2..].iter().all(fits);
        let expected = "[N, 3, H, W] with H and W multiples of patch_size";
        check::shape(fits, "input", images, expected)?;
        let maps = self.patches.forward_t(images, train)?;
        let (batch, hidden, height, width) = maps.dims4()?;
        let patches = maps.flatten_from(2)?.transpose(1, 2)?;
        let positions = self.positions([height, width])?;
        let first = usize::from(self.class_has_position);
        let patches = patches.broadcast_add(&positions.narrow(1, first, height * width)?)?;
        let mut tokens = Vec::with_capacity(3);
        if let Some(class) = &self.class_token {
            let mut class = in_graph(class).reshape((1, 1, hidden))?;
            if self.class_has_position {
                class = (class + positions.narrow(1, 0, 1)?)?;
            }
            tokens.push(class.broadcast_as((batch, 1, hidden))?);
        }
        if let Some(registers) = &self.registers {
            let count = registers.dims()[1];
            tokens.push(in_graph(registers).broadcast_as((batch, count, hidden))?);
        }
        tokens.push(patches);
        Ok(Tensor::cat(&tokens, 1)?)
    }

    /// The positions of a grid of patches, `[1, positions, hidden]`.
    fn positions(&self, grid: [usize; 2]) -> Result<Tensor> {
        let hidden = self.patches.weight().dims()[0];
        let positions = in_graph(&self.positions).reshape((1, (), hidden))?;
        if grid == self.grid {
            return Ok(positions);
        }
        let factor =
            |axis: usize| (grid[axis] as f64 + self.position_offset) / self.grid[axis] as f64;
        let config = BicubicConfig {
            antialias: self.antialias,
            scale_factor: (self.position_offset > 0.0).then(|| [factor(0), factor(1)]),
        };
        let first = usize::from(self.class_has_position);
        resize_position_embedding(&positions, first, self.grid, grid, &config)
    }

    /// As [`Layer::export`], for images of the sizes that the graph knows of its input; else of the network's own.
    pub(super) fn export(&self, graph: &mut Graph, images: &GraphValue) -> Result<GraphValue> {
        let names = self.names;
        let grid = match graph.shape(images) {
            Some([_, _, Some(height), Some(width)]) => {
                [height, width].map(|side| side / self.patch_size)
            }
            Some([_, _, _, _]) => {
                return Err(Error::Unsupported {
                    component: "VisionTransformer",
                    reason: "images of a free size have other positions each: fix height and width",
                });
            }
            _ => self.grid,
        };
        let maps = graph.part(names.patches, &self.patches, images)?;
        let flat = graph.integers(&[0, 0, -1])?;
        let maps = graph.node("Reshape", &[&maps, &flat]);
        let order = [("perm", [0i64, 2, 1].into())];
        let patches = graph.node_with("Transpose", &[&maps], &order);
        let positions = graph.constant(names.positions, &self.positions(grid)?.detach());
        let first = i64::from(self.class_has_position);
        let [start, end, axis] = [first, i64::MAX, 1].map(|number| graph.integers(&[number]));
        let (start, end, axis) = (start?, end?, axis?);
        let own = graph.node("Slice", &[&positions, &start, &end, &axis]);
        let patches = graph.node("Add", &[&patches, &own]);
        let hidden = self.patches.weight().dims()[0];
        let mut tokens = Vec::with_capacity(3);
        if let (Some(name), Some(class)) = (names.class_token, &self.class_token) {
            let class = class.as_detached_tensor().reshape((1, 1, hidden))?;
            let mut class = graph.constant(name, &class);
            if self.class_has_position {
                let zero = graph.integers(&[0])?;
                let own = graph.node("Slice", &[&positions, &zero, &start, &axis]);
                class = graph.node("Add", &[&class, &own]);
            }
            tokens.push(for_each_image(graph, &class, images, [1, hidden])?);
        }
        if let (Some(name), Some(registers)) = (names.registers, &self.registers) {
            let count = registers.dims()[1];
            let registers = graph.constant(name, registers);
            tokens.push(for_each_image(graph, &registers, images, [count, hidden])?);
        }
        tokens.push(patches);
        let tokens: Vec<&GraphValue> = tokens.iter().collect();
        Ok(graph.node_with("Concat", &tokens, &[("axis", 1i64.into())]))
    }

    pub(super) fn add_to(&self, parameters: &mut Parameters) {
        let names = self.names;
        for (name, var) in [
            (names.class_token, &self.class_token),
            (names.registers, &self.registers),
        ] {
            if let (Some(name), Some(var)) = (name, var) {
                parameters.push(name, var.clone());
            }
        }
        parameters.push(names.positions, self.positions.clone());
        parameters.extend(names.patches, self.patches.parameters());
    }
}

/// Tokens `[1, count, hidden]` for each image of a batch, in a graph: `[N, count, hidden]`.
pub(super) fn for_each_image(
    graph: &mut Graph,
    tokens: &GraphValue,
    images: &GraphValue,
    [count, hidden]: [usize; 2],
) -> Result<GraphValue> {
    let first = [("start", 0i64.into()), ("end", 1i64.into())];
    let batch = graph.node_with("Shape", &[images], &first);
    let rest = graph.integers(&[count as i64, hidden as i64])?;
    let shape = graph.node_with("Concat", &[&batch, &rest], &[("axis", 0i64.into())]);
    Ok(graph.node("Expand", &[tokens, &shape]))
}
