//! From a network to a file.

use std::path::Path;

use candle_core::{DType, Device, Tensor};
use dml_core::{Error, check, durable, no_grad};
use dml_nn::{Attribute, ElementType, Graph, GraphValue, Layer, Node};
use prost::Message;

use crate::error::{OnnxError, Result};
use crate::protobuf::{
    AttributeProto, DimensionProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto,
    TensorProto, TensorShapeProto, TensorTypeProto, TypeProto, ValueInfoProto,
};

/// Version of ONNX's operators.
const OPERATOR_SET: i64 = 17;
/// Version of the file's format: the first with that operator set.
const IR_VERSION: i64 = 8;
/// Largest message of Protocol Buffers, in bytes.
const MOST_BYTES: usize = i32::MAX as usize;

/// Names in an exported model.
///
/// ```
/// use dml_onnx::OnnxConfig;
///
/// let config = OnnxConfig { output: "features".to_owned(), ..OnnxConfig::images() };
/// assert_eq!(config.dynamic_axes, [(0, "batch".to_owned())]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OnnxConfig {
    /// Name of the input. Default `input`.
    pub input: String,
    /// Name of the output. Default `embeddings`.
    pub output: String,
    /// Dimensions of the input whose size is free, with their names; the others have the sizes of the example. Default:
    /// dimension 0, `batch`.
    pub dynamic_axes: Vec<(usize, String)>,
}

impl Default for OnnxConfig {
    fn default() -> Self {
        Self {
            input: "input".to_owned(),
            output: "embeddings".to_owned(),
            dynamic_axes: vec![(0, "batch".to_owned())],
        }
    }
}

impl OnnxConfig {
    /// An input `images`, with a free number of images of one size.
    #[must_use]
    pub fn images() -> Self {
        Self {
            input: "images".to_owned(),
            ..Self::default()
        }
    }

    /// An input `input_ids` for text encoders, with a free number of texts of a free length.
    #[must_use]
    pub fn texts() -> Self {
        let axes = [(0, "batch"), (1, "length")];
        Self {
            input: "input_ids".to_owned(),
            dynamic_axes: axes.map(|(axis, name)| (axis, name.to_owned())).into(),
            ..Self::default()
        }
    }
}

/// Writes a network as an ONNX file. The file is whole or absent.
///
/// The input has the shape of `example`, apart from [free dimensions](OnnxConfig::dynamic_axes), and its kind of element:
/// numbers in single precision, or whole numbers of 64 bits for token ids. The output is `[batch, embedding_dim]`. The network
/// is computed on the example once.
///
/// ```
/// use candle_core::{DType, Device, Tensor, Var};
/// use dml_nn::{L2Normalize, Linear, Sequential};
/// use dml_onnx::OnnxConfig;
///
/// let head = Linear::from_parameters(Var::new(&[[1f32, 2.], [0., 1.]], &Device::Cpu)?, None)?;
/// let network = Sequential::default().with("head", head).with("normalize", L2Normalize);
/// let example = Tensor::zeros((1, 2), DType::F32, &Device::Cpu)?;
/// let path = std::env::temp_dir().join(format!("dml-onnx-{}.onnx", std::process::id()));
/// dml_onnx::save(&network, &example, &OnnxConfig::default(), &path)?;
/// # std::fs::remove_file(path).ok();
/// # Ok::<(), dml_onnx::OnnxError>(())
/// ```
///
/// # Errors
/// As [`to_bytes`], and [`OnnxError::Io`] if the file can't be written.
pub fn save(
    network: &(impl Layer + ?Sized),
    example: &Tensor,
    config: &OnnxConfig,
    path: impl AsRef<Path>,
) -> Result<()> {
    let path = path.as_ref();
    let bytes = to_bytes(network, example, config)?;
    durable::write(path, &bytes).map_err(|source| OnnxError::Io {
        path: path.to_path_buf(),
        source,
    })
}

/// The bytes of the file that [`save`] writes.
///
/// # Errors
/// [`OnnxError::Core`] if a layer has no description as a graph ([`Error::Unsupported`]), does not take the example, or the
/// output is not `[batch, embedding_dim]`; also for a dynamic axis that the input does not have. [`OnnxError::Name`] for a name
/// that is empty or not unique, [`OnnxError::TooLarge`] for 2 GiB or more.
pub fn to_bytes(
    network: &(impl Layer + ?Sized),
    example: &Tensor,
    config: &OnnxConfig,
) -> Result<Vec<u8>> {
    let model = model(network, example, config)?;
    within(model.encoded_len())?;
    Ok(model.encode_to_vec())
}

fn within(bytes: usize) -> Result<()> {
    let most = MOST_BYTES;
    if bytes > most {
        return Err(OnnxError::TooLarge { most, bytes });
    }
    Ok(())
}

pub(crate) fn model(
    network: &(impl Layer + ?Sized),
    example: &Tensor,
    config: &OnnxConfig,
) -> Result<ModelProto> {
    let axes = config.dynamic_axes.iter().map(|(axis, _)| *axis);
    check::indices("dynamic_axes", axes, example.rank())?;
    // First: what the network says of an example that it does not take is clearer than what its layers say of a graph.
    let embeddings = no_grad(|| network.forward(example))?;
    let element = if example.dtype().is_float() {
        ElementType::Float
    } else {
        ElementType::Int64
    };
    let free = |axis: usize| config.dynamic_axes.iter().find(|(free, _)| *free == axis);
    let dimension = |(axis, size): (usize, usize)| match free(axis) {
        Some((_, name)) => DimensionProto {
            dim_param: Some(name.clone()),
            ..Default::default()
        },
        None => DimensionProto {
            dim_value: Some(size as i64),
            ..Default::default()
        },
    };
    let sizes = example.dims().iter().copied().enumerate();
    let shape = sizes
        .clone()
        .map(|(axis, size)| free(axis).is_none().then_some(size));
    let shape: Vec<Option<usize>> = shape.collect();
    let mut graph = Graph::default();
    let input = graph.input_of_shape(&config.input, &shape);
    let mut output = network.export(&mut graph, &input)?;
    if graph.nodes().last().map(|node| &node.output) != Some(&output) {
        output = graph.node("Identity", &[&output]);
    }
    let [_, embedding_dim] = *embeddings.dims() else {
        return Err(OnnxError::Core(Error::Shape {
            arg: "output",
            expected: "[batch, embedding_dim]",
            got: embeddings.dims().to_vec(),
        }));
    };
    let inputs = sizes.map(dimension);
    let batch = dimension((0, embeddings.dims()[0]));
    let width = DimensionProto {
        dim_value: Some(embedding_dim as i64),
        ..Default::default()
    };
    let names = names(&graph, [&input, &output], config)?;
    let graph = GraphProto {
        name: "dml".to_owned(),
        input: vec![tensor_type(&config.input, element, inputs.collect())],
        output: vec![tensor_type(
            &config.output,
            ElementType::Float,
            vec![batch, width],
        )],
        initializer: constants(&graph)?,
        node: graph
            .nodes()
            .iter()
            .map(|node| operator(node, &names))
            .collect(),
    };
    Ok(ModelProto {
        ir_version: IR_VERSION,
        producer_name: "dml".to_owned(),
        producer_version: env!("CARGO_PKG_VERSION").to_owned(),
        opset_import: vec![OperatorSetIdProto {
            domain: String::new(),
            version: OPERATOR_SET,
        }],
        graph: Some(graph),
    })
}

/// The name of each value in the file: that of the graph, and the configuration's for the output.
fn names<'a>(
    graph: &Graph,
    [input, output]: [&GraphValue; 2],
    config: &'a OnnxConfig,
) -> Result<impl Fn(&GraphValue) -> String + use<'a>> {
    let constants = graph.constants().iter().map(|(value, _)| value);
    let outputs = graph.nodes().iter().map(|node| &node.output);
    let others = constants.chain(outputs).filter(|value| *value != output);
    let mut others = others.chain([input]);
    let is_taken = others.any(|value| value.name() == config.output);
    for (arg, name, is_taken) in [
        ("input", &config.input, false),
        ("output", &config.output, is_taken),
    ] {
        if name.is_empty() || is_taken {
            let name = name.clone();
            return Err(OnnxError::Name { arg, name });
        }
    }
    let output = output.clone();
    Ok(move |value: &GraphValue| {
        if *value == output {
            config.output.clone()
        } else {
            value.name().to_owned()
        }
    })
}

fn tensor_type(name: &str, element: ElementType, dim: Vec<DimensionProto>) -> ValueInfoProto {
    let tensor_type = TensorTypeProto {
        elem_type: element as i32,
        shape: Some(TensorShapeProto { dim }),
    };
    ValueInfoProto {
        name: name.to_owned(),
        r#type: Some(TypeProto {
            tensor_type: Some(tensor_type),
        }),
    }
}

fn operator(node: &Node, name: &impl Fn(&GraphValue) -> String) -> NodeProto {
    let attribute = |(name, attribute): &(&'static str, Attribute)| {
        let empty = AttributeProto {
            name: (*name).to_owned(),
            ..Default::default()
        };
        match attribute {
            Attribute::Float(value) => AttributeProto {
                f: Some(*value),
                r#type: 1,
                ..empty
            },
            Attribute::Int(value) => AttributeProto {
                i: Some(*value),
                r#type: 2,
                ..empty
            },
            Attribute::Ints(values) => AttributeProto {
                ints: values.clone(),
                r#type: 7,
                ..empty
            },
        }
    };
    NodeProto {
        input: node.inputs.iter().map(name).collect(),
        output: vec![name(&node.output)],
        name: node.output.name().to_owned(),
        op_type: node.op_type.to_owned(),
        attribute: node.attributes.iter().map(attribute).collect(),
    }
}

/// The constants of a graph, whose sizes are added up before one is copied.
fn constants(graph: &Graph) -> Result<Vec<TensorProto>> {
    let bytes =
        |(_, tensor): &(GraphValue, Tensor)| tensor.elem_count().saturating_mul(width(tensor));
    let bytes = graph.constants().iter().map(bytes);
    within(bytes.fold(0, usize::saturating_add))?;
    let constants = graph.constants().iter();
    constants
        .map(|(value, tensor)| constant(value, tensor))
        .collect()
}

/// Bytes of an element.
fn width(tensor: &Tensor) -> usize {
    if tensor.dtype().is_float() { 4 } else { 8 }
}

fn constant(value: &GraphValue, tensor: &Tensor) -> Result<TensorProto> {
    let flat = tensor.detach().to_device(&Device::Cpu)?.flatten_all()?;
    let (element, raw_data) = if tensor.dtype().is_float() {
        let values = flat.to_dtype(DType::F32)?.to_vec1::<f32>()?;
        let bytes = values.into_iter().flat_map(f32::to_le_bytes);
        (ElementType::Float, bytes.collect())
    } else {
        let values = flat.to_dtype(DType::I64)?.to_vec1::<i64>()?;
        let bytes = values.into_iter().flat_map(i64::to_le_bytes);
        (ElementType::Int64, bytes.collect())
    };
    Ok(TensorProto {
        dims: tensor.dims().iter().map(|size| *size as i64).collect(),
        data_type: element as i32,
        name: value.name().to_owned(),
        raw_data,
    })
}

#[cfg(test)]
mod tests;
