use candle_core::{DType, Device, Tensor, Var};
use dml_core::{Error, Result as CoreResult};
use dml_nn::{
    BatchNorm, BatchNormConfig, Conv2d, Conv2dConfig, Flatten, Graph, GraphValue, L2Normalize,
    Layer, Linear, Relu, Sequential,
};
use prost::Message;

use super::{OnnxConfig, model, save, to_bytes};
use crate::error::{OnnxError, Result};
use crate::protobuf::{GraphProto, ModelProto, ValueInfoProto};

fn var(shape: &[usize]) -> Var {
    let count = shape.iter().product::<usize>() as i64;
    let values = Tensor::arange(0, count, &Device::Cpu).unwrap();
    let values = values.to_dtype(DType::F64).unwrap().reshape(shape).unwrap();
    Var::from_tensor(&values).unwrap()
}

/// In double precision, so that weights are converted.
fn network() -> Sequential {
    let config = Conv2dConfig {
        stride: [2, 1],
        padding: [0, 1],
        ..Conv2dConfig::new(1, 2, [1, 3])
    };
    let conv = Conv2d::from_parameters(config, var(&[2, 1, 1, 3]), None).unwrap();
    let norm = BatchNorm::new(BatchNormConfig::new(2), DType::F64, &Device::Cpu).unwrap();
    let head = Linear::from_parameters(var(&[3, 4]), Some(var(&[3]))).unwrap();
    let stem = Sequential::default().with("conv", conv).with("norm", norm);
    Sequential::default()
        .with("stem", stem.with("relu", Relu))
        .with("flatten", Flatten)
        .with("head", head)
        .with("normalize", L2Normalize)
}

fn example() -> Tensor {
    Tensor::ones((1, 1, 2, 2), DType::F64, &Device::Cpu).unwrap()
}

/// Name and dimensions of an input or output.
fn described(info: &ValueInfoProto) -> (String, i32, Vec<String>) {
    let own = info.r#type.as_ref().unwrap().tensor_type.as_ref().unwrap();
    let dims = own.shape.as_ref().unwrap().dim.iter().map(|dim| {
        let size = dim.dim_value.map(|size| size.to_string());
        size.or(dim.dim_param.clone()).unwrap()
    });
    (info.name.clone(), own.elem_type, dims.collect())
}

fn graph() -> Result<GraphProto> {
    let bytes = to_bytes(&network(), &example(), &OnnxConfig::images())?;
    let model = ModelProto::decode(bytes.as_slice()).unwrap();
    assert_eq!((model.ir_version, model.opset_import[0].version), (8, 17));
    assert_eq!(model.opset_import[0].domain, "");
    Ok(model.graph.unwrap())
}

#[test]
fn operators_inputs_and_names_are_those_of_the_network() -> Result<()> {
    let graph = graph()?;
    let nodes = graph.node.iter();
    let nodes = nodes.map(|node| {
        (
            node.op_type.as_str(),
            node.input.join(" "),
            node.output.join(" "),
        )
    });
    let nodes: Vec<(&str, String, String)> = nodes.collect();
    let expected = [
        ("Conv", "images stem.conv.weight", "stem.conv.Conv"),
        (
            "BatchNormalization",
            "stem.conv.Conv stem.norm.weight stem.norm.bias stem.norm.running_mean stem.norm.running_var",
            "stem.norm.BatchNormalization",
        ),
        ("Relu", "stem.norm.BatchNormalization", "stem.relu.Relu"),
        ("Flatten", "stem.relu.Relu", "flatten.Flatten"),
        ("MatMul", "flatten.Flatten head.weight", "head.MatMul"),
        ("Add", "head.MatMul head.bias", "head.Add"),
        ("ReduceL2", "head.Add", "normalize.ReduceL2"),
        (
            "Max",
            "normalize.ReduceL2 normalize.number",
            "normalize.Max",
        ),
        ("Div", "head.Add normalize.Max", "embeddings"),
    ];
    let expected = expected.map(|(op, inputs, output)| (op, inputs.to_owned(), output.to_owned()));
    assert_eq!(nodes, expected);
    assert_eq!(graph.node[8].name, "normalize.Div");
    let conv = graph.node[0].attribute.iter();
    let conv: Vec<(&str, i32, Option<i64>, Vec<i64>)> = conv
        .map(|own| (own.name.as_str(), own.r#type, own.i, own.ints.clone()))
        .collect();
    let expected = [
        ("kernel_shape", 7, None, vec![1, 3]),
        ("strides", 7, None, vec![2, 1]),
        ("pads", 7, None, vec![0, 1, 0, 1]),
        ("dilations", 7, None, vec![1, 1]),
        ("group", 2, Some(1), vec![]),
    ];
    assert_eq!(conv, expected);
    let eps = &graph.node[1].attribute[0];
    assert_eq!(
        (eps.name.as_str(), eps.r#type, eps.f),
        ("epsilon", 1, Some(1e-5))
    );
    Ok(())
}

#[test]
fn inputs_outputs_and_weights_have_their_shapes() -> Result<()> {
    let graph = graph()?;
    let dims = ["batch", "1", "2", "2"].map(str::to_owned).to_vec();
    assert_eq!(described(&graph.input[0]), ("images".to_owned(), 1, dims));
    let dims = ["batch", "3"].map(str::to_owned).to_vec();
    assert_eq!(
        described(&graph.output[0]),
        ("embeddings".to_owned(), 1, dims)
    );
    assert_eq!((graph.input.len(), graph.output.len()), (1, 1));
    let of = |name: &str| {
        graph
            .initializer
            .iter()
            .find(|own| own.name == name)
            .unwrap()
    };
    let conv = of("stem.conv.weight");
    assert_eq!((conv.dims.clone(), conv.data_type), (vec![2, 1, 1, 3], 1));
    let bytes: Vec<u8> = (0..6).flat_map(|i| (i as f32).to_le_bytes()).collect();
    assert_eq!(conv.raw_data, bytes);
    // [out_features, in_features] transposed.
    let head = of("head.weight");
    assert_eq!(head.dims, [4, 3]);
    let bytes = [0f32, 4., 8., 1.].map(f32::to_le_bytes).concat();
    assert_eq!(head.raw_data[..16], bytes);
    assert_eq!(of("normalize.number").dims, [0i64; 0]);
    Ok(())
}

#[test]
fn token_ids_are_whole_numbers_of_64_bits() -> Result<()> {
    /// Adds two dimensions to ids.
    #[derive(Debug)]
    struct Ids;

    impl Layer for Ids {
        fn forward_t(&self, input: &Tensor, _: bool) -> CoreResult<Tensor> {
            Ok(input.to_dtype(DType::F32)?)
        }

        fn export(&self, _: &mut Graph, input: &GraphValue) -> CoreResult<GraphValue> {
            Ok(input.clone())
        }
    }

    let ids = Tensor::new(&[[1u32, 2, 3]], &Device::Cpu)?;
    let graph = model(&Ids, &ids, &OnnxConfig::texts())?.graph.unwrap();
    let dims = ["batch", "length"].map(str::to_owned).to_vec();
    assert_eq!(
        described(&graph.input[0]),
        ("input_ids".to_owned(), 7, dims)
    );
    // A network without operators is still a graph from one name to another.
    assert_eq!(graph.node[0].op_type, "Identity");
    assert_eq!(graph.node[0].output, ["embeddings"]);
    Ok(())
}

#[test]
fn what_can_not_be_exported_is_an_error_that_says_why() -> Result<()> {
    let fails =
        |config: &OnnxConfig, example: &Tensor| to_bytes(&network(), example, config).unwrap_err();
    for output in ["", "images", "stem.relu.Relu", "head.bias"] {
        let config = OnnxConfig {
            output: output.to_owned(),
            ..OnnxConfig::images()
        };
        let error = fails(&config, &example());
        assert!(
            matches!(&error, OnnxError::Name { arg: "output", name } if name == output),
            "{error}"
        );
    }
    let config = OnnxConfig {
        input: String::new(),
        ..OnnxConfig::images()
    };
    let error = fails(&config, &example());
    assert!(
        matches!(error, OnnxError::Name { arg: "input", .. }),
        "{error}"
    );
    let config = OnnxConfig {
        dynamic_axes: vec![(4, "time".to_owned())],
        ..OnnxConfig::images()
    };
    let error = fails(&config, &example());
    assert!(
        matches!(error, OnnxError::Core(Error::Index { .. })),
        "{error}"
    );
    let wide = Tensor::ones((1, 1, 2, 3), DType::F64, &Device::Cpu)?;
    let error = fails(&OnnxConfig::images(), &wide);
    assert!(
        matches!(error, OnnxError::Core(Error::Shape { .. })),
        "{error}"
    );
    let error = to_bytes(&Relu, &example(), &OnnxConfig::images()).unwrap_err();
    assert!(
        matches!(error, OnnxError::Core(Error::Shape { arg: "output", .. })),
        "{error}"
    );
    let path = "nowhere/model.onnx";
    let error = save(&network(), &example(), &OnnxConfig::images(), path).unwrap_err();
    assert!(matches!(error, OnnxError::Io { .. }), "{error}");
    Ok(())
}

#[test]
fn more_than_two_gibibytes_are_refused_before_they_are_copied() -> Result<()> {
    /// A layer with a constant that is one number, repeated.
    #[derive(Debug)]
    struct Large;

    impl Layer for Large {
        fn forward_t(&self, input: &Tensor, _: bool) -> CoreResult<Tensor> {
            Ok(input.clone())
        }

        fn export(&self, graph: &mut Graph, input: &GraphValue) -> CoreResult<GraphValue> {
            let large = Tensor::zeros(1, DType::F32, &Device::Cpu)?.broadcast_as(1 << 29)?;
            let large = graph.constant("large", &large);
            Ok(graph.node("Add", &[input, &large]))
        }
    }

    let example = Tensor::zeros((1, 1), DType::F32, &Device::Cpu)?;
    let error = to_bytes(&Large, &example, &OnnxConfig::default()).unwrap_err();
    let expected = "model: expected at most 2147483647 bytes, got 2147483648";
    assert_eq!(error.to_string(), expected);
    Ok(())
}
