//! A network's forward pass outside of training, as a list of operators for other programs.
//!
//! ```text
//! value = op(values …; attributes …)
//! ```
//!
//! Operators, attributes and the order of inputs are those of ONNX, operator set 17, so that the writer of a file has nothing
//! to translate. A layer describes itself in [`Layer::export`], beside its `forward_t`.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use candle_core::{Device, Tensor};
use dml_core::Result;

use crate::Layer;

/// An input, a constant or the result of an operator, by its name. Names are unique within a graph.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct GraphValue(Arc<str>);

impl GraphValue {
    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0
    }
}

/// Argument of an operator that is known when the graph is made.
#[derive(Clone, Debug, PartialEq)]
pub enum Attribute {
    /// A whole number.
    Int(i64),
    /// A list of whole numbers.
    Ints(Vec<i64>),
    /// A number.
    Float(f32),
}

impl From<usize> for Attribute {
    fn from(value: usize) -> Self {
        Self::Int(value as i64)
    }
}

impl From<i64> for Attribute {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<f64> for Attribute {
    fn from(value: f64) -> Self {
        Self::Float(value as f32)
    }
}

impl<const N: usize> From<[usize; N]> for Attribute {
    fn from(values: [usize; N]) -> Self {
        Self::Ints(values.map(|value| value as i64).into())
    }
}

impl<const N: usize> From<[i64; N]> for Attribute {
    fn from(values: [i64; N]) -> Self {
        Self::Ints(values.into())
    }
}

/// Element type of a value, with ONNX's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ElementType {
    /// Numbers in single precision.
    Float = 1,
    /// Whole numbers of 64 bits.
    Int64 = 7,
}

impl From<ElementType> for Attribute {
    fn from(element: ElementType) -> Self {
        Self::Int(element as i64)
    }
}

/// An operator with its inputs, its attributes and its only output.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Node {
    /// Name of the operator, such as `Conv`.
    pub op_type: &'static str,
    /// Inputs in order.
    pub inputs: Vec<GraphValue>,
    /// Output; its name is the node's, too.
    pub output: GraphValue,
    /// Attributes by name.
    pub attributes: Vec<(&'static str, Attribute)>,
}

/// Operators in the order of computation, and the constants that they read ([description](self)).
///
/// ```
/// use candle_core::{Device, Var};
/// use dml_nn::{Graph, Layer, Linear, Relu, Sequential};
///
/// let linear = Linear::from_parameters(Var::new(&[[1f32, 2.]], &Device::Cpu)?, None)?;
/// let network = Sequential::default().with("fc1", linear).with("relu1", Relu);
/// let mut graph = Graph::default();
/// let input = graph.input("input");
/// let output = network.export(&mut graph, &input)?;
/// let operators: Vec<&str> = graph.nodes().iter().map(|node| node.op_type).collect();
/// assert_eq!(operators, ["MatMul", "Relu"]);
/// assert_eq!(&graph.nodes()[1].output, &output);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Graph {
    values: HashSet<GraphValue>,
    nodes: Vec<Node>,
    constants: Vec<(GraphValue, Tensor)>,
    /// Sizes of inputs.
    shapes: HashMap<GraphValue, Vec<Option<usize>>>,
    /// Names of the layers that are being described, each with a dot.
    scope: String,
}

impl Graph {
    /// Adds an input.
    pub fn input(&mut self, name: &str) -> GraphValue {
        self.unique(name.to_owned())
    }

    /// Adds an input of known sizes; `None` for those that are free.
    pub fn input_of_shape(&mut self, name: &str, shape: &[Option<usize>]) -> GraphValue {
        let value = self.input(name);
        self.shapes.insert(value.clone(), shape.to_vec());
        value
    }

    /// Sizes of an input, `None` for those that are free; `None` for other values and inputs whose sizes are not known.
    #[must_use]
    pub fn shape(&self, value: &GraphValue) -> Option<&[Option<usize>]> {
        self.shapes.get(value).map(Vec::as_slice)
    }

    /// Operators in the order of computation.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Constants: parameters under the names that they have in [`Layer::parameters`], buffers, and numbers.
    #[must_use]
    pub fn constants(&self) -> &[(GraphValue, Tensor)] {
        &self.constants
    }

    /// Adds a part of the network; the names of its constants begin with its name and a dot.
    ///
    /// # Errors
    /// As [`Layer::export`].
    pub fn part<L: Layer + ?Sized>(
        &mut self,
        name: &str,
        layer: &L,
        x: &GraphValue,
    ) -> Result<GraphValue> {
        self.scoped(name, |graph| layer.export(graph, x))
    }

    /// `describe` within a part of the network that is no layer.
    ///
    /// # Errors
    /// Those of `describe`.
    pub fn scoped<R>(
        &mut self,
        name: &str,
        describe: impl FnOnce(&mut Self) -> Result<R>,
    ) -> Result<R> {
        let outer = self.scope.len();
        self.scope = format!("{}{name}.", self.scope);
        let result = describe(self);
        self.scope.truncate(outer);
        result
    }

    /// Adds a constant. One tensor that is added twice under a name is one constant.
    pub fn constant(&mut self, name: &str, tensor: &Tensor) -> GraphValue {
        let name = format!("{}{name}", self.scope);
        let mut known = self.constants.iter();
        let known = known.find(|(value, own)| value.name() == name && own.id() == tensor.id());
        if let Some((value, _)) = known {
            return value.clone();
        }
        let value = self.unique(name);
        self.constants.push((value.clone(), tensor.clone()));
        value
    }

    /// Adds a single number.
    ///
    /// # Errors
    /// [`Error::Tensor`](dml_core::Error::Tensor) if Candle can't make it.
    pub fn number(&mut self, number: f64) -> Result<GraphValue> {
        Ok(self.constant("number", &Tensor::new(number as f32, &Device::Cpu)?))
    }

    /// Adds a list of whole numbers, such as a shape.
    ///
    /// # Errors
    /// As [`number`](Self::number).
    pub fn integers(&mut self, numbers: &[i64]) -> Result<GraphValue> {
        Ok(self.constant("integers", &Tensor::new(numbers, &Device::Cpu)?))
    }

    /// Adds a conversion to another element type.
    pub fn cast(&mut self, x: &GraphValue, to: ElementType) -> GraphValue {
        self.node_with("Cast", &[x], &[("to", to.into())])
    }

    /// Adds an operator without attributes.
    pub fn node(&mut self, op_type: &'static str, inputs: &[&GraphValue]) -> GraphValue {
        self.node_with(op_type, inputs, &[])
    }

    /// Adds an operator.
    pub fn node_with(
        &mut self,
        op_type: &'static str,
        inputs: &[&GraphValue],
        attributes: &[(&'static str, Attribute)],
    ) -> GraphValue {
        let output = self.unique(format!("{}{op_type}", self.scope));
        self.nodes.push(Node {
            op_type,
            inputs: inputs.iter().copied().cloned().collect(),
            output: output.clone(),
            attributes: attributes.to_vec(),
        });
        output
    }

    /// The name, or the first of `name_1`, `name_2` and so on that no value has.
    fn unique(&mut self, name: String) -> GraphValue {
        let mut value = GraphValue(name.as_str().into());
        let mut number = 0;
        while !self.values.insert(value.clone()) {
            number += 1;
            value = GraphValue(format!("{name}_{number}").into());
        }
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Dropout, DropoutConfig};
    use candle_core::DType;
    use dml_core::{Error, SeedSequence};

    #[test]
    fn names_are_unique_and_a_shared_tensor_is_one_constant() -> Result<()> {
        let mut graph = Graph::default();
        let weight = Tensor::zeros(2, DType::F32, &Device::Cpu)?;
        let x = graph.input("x");
        let (a, b, c, sum) = graph.scoped("part", |graph| {
            let a = graph.constant("weight", &weight);
            let b = graph.constant("weight", &weight);
            let c = graph.constant("weight", &weight.copy()?);
            Ok((a.clone(), b, c, graph.node("Add", &[&x, &a])))
        })?;
        let outside = graph.node("Add", &[&sum, &c]);
        let names = [&a, &b, &c, &sum, &outside].map(GraphValue::name);
        let expected = [
            "part.weight",
            "part.weight",
            "part.weight_1",
            "part.Add",
            "Add",
        ];
        assert_eq!(names, expected);
        assert_eq!(graph.constants().len(), 2);
        assert_eq!(graph.input("x").name(), "x_1");
        Ok(())
    }

    #[derive(Debug)]
    struct Doubled;

    impl Layer for Doubled {
        fn forward_t(&self, input: &Tensor, _: bool) -> Result<Tensor> {
            Ok((input * 2.0)?)
        }
    }

    #[test]
    fn sizes_of_inputs_are_known() {
        let mut graph = Graph::default();
        let (x, y) = (
            graph.input_of_shape("x", &[None, Some(3)]),
            graph.input("y"),
        );
        assert_eq!(graph.shape(&x), Some(&[None, Some(3)][..]));
        let sum = graph.node("Add", &[&x, &y]);
        assert_eq!([graph.shape(&y), graph.shape(&sum)], [None, None]);
    }

    #[test]
    fn a_layer_without_description_is_an_error_that_names_it() -> Result<()> {
        let mut graph = Graph::default();
        let x = graph.input("x");
        let network = crate::Sequential::default().with("double", Doubled);
        let error = network.export(&mut graph, &x).unwrap_err();
        assert!(
            matches!(error, Error::Unsupported { component, .. } if component.ends_with("Doubled")),
            "{error}"
        );
        // The scope is left after an error, too.
        assert_eq!(
            graph
                .constant("a", &Tensor::new(1f32, &Device::Cpu)?)
                .name(),
            "a"
        );
        Ok(())
    }

    #[test]
    fn dropout_is_left_out() -> Result<()> {
        let dropout = Dropout::new(DropoutConfig { p: 0.5 }, SeedSequence::new(1))?;
        let mut graph = Graph::default();
        let x = graph.input("x");
        assert_eq!(Box::new(dropout).export(&mut graph, &x)?, x);
        assert!(graph.nodes().is_empty());
        Ok(())
    }
}
