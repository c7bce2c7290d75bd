//! One conformance case: what goes in, what must come out, and the configuration of the component under test.
//!
//! A case is a safetensors file. The names of its tensors say what they are (`in.*`, `param.*`, `out.*`, `grad.*`,
//! `alt.*`); its metadata holds the component's configuration as JSON, the tolerances, and how the component is called.

use std::collections::{BTreeMap, HashMap};

use anyhow::{Context, bail};
use dml::candle_core::{DType, Device, Tensor, Var};
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;

/// The element values of a tensor of a case.
#[derive(Clone, Debug, PartialEq)]
pub enum Data {
    /// Real numbers, widened to double precision.
    Real(Vec<f64>),
    /// Whole numbers; booleans are 0 and 1.
    Whole(Vec<i64>),
}

/// A tensor of a case, or one that a component answered with.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// The shape.
    pub shape: Vec<usize>,
    /// The elements in row-major order.
    pub data: Data,
}

impl Array {
    /// A list of whole numbers.
    #[must_use]
    pub fn whole(values: Vec<i64>) -> Self {
        Self {
            shape: vec![values.len()],
            data: Data::Whole(values),
        }
    }

    /// One number.
    #[must_use]
    pub fn number(value: f64) -> Self {
        Self {
            shape: vec![1],
            data: Data::Real(vec![value]),
        }
    }

    /// A list of rows, such as those of tuples.
    #[must_use]
    pub fn rows(values: &[u32]) -> Self {
        Self::whole(values.iter().map(|row| i64::from(*row)).collect())
    }

    /// The elements as real numbers.
    #[must_use]
    pub fn to_real(&self) -> Vec<f64> {
        match &self.data {
            Data::Real(values) => values.clone(),
            Data::Whole(values) => values.iter().map(|x| *x as f64).collect(),
        }
    }
}

impl TryFrom<&Tensor> for Array {
    type Error = anyhow::Error;

    fn try_from(tensor: &Tensor) -> anyhow::Result<Self> {
        let flat = tensor.flatten_all()?;
        let data = if tensor.dtype().is_int() {
            Data::Whole(flat.to_dtype(DType::I64)?.to_vec1()?)
        } else {
            Data::Real(flat.to_dtype(DType::F64)?.to_vec1()?)
        };
        Ok(Self {
            shape: tensor.dims().to_vec(),
            data,
        })
    }
}

/// One conformance case.
#[derive(Clone, Debug)]
pub struct Case {
    /// Where it stands: `kind/Name/id`.
    pub path: String,
    /// The precision that the component is run in.
    pub precision: DType,
    /// The device that the component is run on.
    pub device: Device,
    /// The least relative tolerance in single precision, whatever the file says.
    pub least_rtol: f64,
    metadata: HashMap<String, String>,
    tensors: BTreeMap<String, Array>,
}

impl Case {
    /// Reads a case from the bytes of its file.
    ///
    /// # Errors
    /// If they are no safetensors file, or not one of format `dml-conformance-1`.
    pub fn parse(bytes: &[u8]) -> anyhow::Result<Self> {
        let (_, header) = SafeTensors::read_metadata(bytes)?;
        let metadata = header.metadata().clone().unwrap_or_default();
        let entry = |key: &str| metadata.get(key).map_or("none", String::as_str);
        if entry("format") != "dml-conformance-1" {
            bail!("expected format dml-conformance-1, got {}", entry("format"));
        }
        let path = format!("{}/{}/{}", entry("kind"), entry("name"), entry("id"));
        let file = SafeTensors::deserialize(bytes)?;
        let mut tensors = BTreeMap::new();
        for (name, view) in file.tensors() {
            let data = match view.dtype() {
                Dtype::F32 => Data::Real(
                    view.data()
                        .chunks_exact(4)
                        .map(|b| f64::from(f32::from_le_bytes([b[0], b[1], b[2], b[3]])))
                        .collect(),
                ),
                Dtype::F64 => {
                    Data::Real(eight_bytes(view.data()).map(f64::from_le_bytes).collect())
                }
                Dtype::I64 => {
                    Data::Whole(eight_bytes(view.data()).map(i64::from_le_bytes).collect())
                }
                other => bail!("{path}: {name}: expected F32, F64 or I64, got {other:?}"),
            };
            let shape = view.shape().to_vec();
            tensors.insert(name, Array { shape, data });
        }
        Ok(Self {
            path,
            precision: DType::F32,
            device: Device::Cpu,
            least_rtol: 0.0,
            metadata,
            tensors,
        })
    }

    /// The same case, run in another precision.
    #[must_use]
    pub fn with_precision(self, precision: DType) -> Self {
        Self { precision, ..self }
    }

    /// The same case, run on another device. A GPU adds in another order than the reference: in single precision, a
    /// thousandth is allowed there.
    #[must_use]
    pub fn with_device(self, device: Device) -> Self {
        let case = Self { device, ..self };
        if case.device.is_cpu() {
            case
        } else {
            case.summed_in_another_order()
        }
    }

    /// The same case with the tolerance of a GPU.
    #[must_use]
    pub fn summed_in_another_order(self) -> Self {
        Self {
            least_rtol: 1e-3,
            ..self
        }
    }

    /// The inputs of one step of a sequence of calls, under the names that a single call has: `in.X.2` as `in.X`.
    #[must_use]
    pub(crate) fn step(&self, step: usize) -> Self {
        let number = step.to_string();
        let renamed = |name: &str| -> Option<String> {
            let mut parts: Vec<&str> = name.split('.').collect();
            if parts[0] != "in" {
                return (parts[0] == "param").then(|| name.to_owned());
            }
            // `in.embeddings.2` and `in.tuples.2.a`.
            (parts.len() > 2 && parts.remove(2) == number).then(|| parts.join("."))
        };
        let tensors = self.tensors.iter();
        Self {
            tensors: tensors
                .filter_map(|(name, array)| Some((renamed(name)?, array.clone())))
                .collect(),
            ..self.clone()
        }
    }

    /// An entry of the metadata.
    #[must_use]
    pub fn meta(&self, key: &str) -> Option<&str> {
        self.metadata.get(key).map(String::as_str)
    }

    /// The kind of component, such as `loss`; for an error case the kind of what must fail.
    #[must_use]
    pub fn kind(&self) -> &str {
        match self.meta("kind") {
            Some("error") => self.meta("of").unwrap_or_default(),
            kind => kind.unwrap_or_default(),
        }
    }

    /// Whether the call must fail.
    #[must_use]
    pub fn expects_error(&self) -> bool {
        self.meta("kind") == Some("error")
    }

    /// Which method is called.
    #[must_use]
    pub fn op(&self) -> &str {
        self.meta("op").unwrap_or_default()
    }

    /// The configuration of the component, without PML's `collect_stats`, which has no meaning here.
    ///
    /// # Errors
    /// If the metadata holds no JSON.
    pub fn config(&self) -> anyhow::Result<Value> {
        let mut config = self.json("config")?;
        drop_statistics(&mut config);
        Ok(config)
    }

    /// An entry of the metadata that is JSON; `null` if it is absent.
    ///
    /// # Errors
    /// If it is not JSON.
    pub fn json(&self, key: &str) -> anyhow::Result<Value> {
        self.meta(key).map_or(Ok(Value::Null), |text| {
            serde_json::from_str(text).with_context(|| format!("{}: {key}", self.path))
        })
    }

    /// Every tensor by name.
    #[must_use]
    pub fn arrays(&self) -> &BTreeMap<String, Array> {
        &self.tensors
    }

    /// A tensor by name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Array> {
        self.tensors.get(name)
    }

    /// The whole numbers of a tensor; `None` if it is absent.
    ///
    /// # Errors
    /// If the tensor holds real numbers.
    pub fn whole(&self, name: &str) -> anyhow::Result<Option<&[i64]>> {
        match self.get(name).map(|array| &array.data) {
            None => Ok(None),
            Some(Data::Whole(values)) => Ok(Some(values)),
            Some(Data::Real(_)) => bail!("{}: {name}: expected whole numbers", self.path),
        }
    }

    /// Rows, such as those of tuples; `None` if the tensor is absent.
    ///
    /// # Errors
    /// If one is negative or larger than 32 bits.
    pub fn row_numbers(&self, name: &str) -> anyhow::Result<Option<Vec<u32>>> {
        let Some(values) = self.whole(name)? else {
            return Ok(None);
        };
        values
            .iter()
            .map(|row| u32::try_from(*row).with_context(|| format!("{}: {name}: {row}", self.path)))
            .collect::<anyhow::Result<_>>()
            .map(Some)
    }

    /// A tensor for the component; `None` if it is absent.
    ///
    /// # Errors
    /// If Candle cannot make it.
    pub fn tensor(&self, name: &str) -> anyhow::Result<Option<Tensor>> {
        let Some(array) = self.get(name) else {
            return Ok(None);
        };
        let shape = array.shape.as_slice();
        Ok(Some(match &array.data {
            Data::Real(values) => {
                Tensor::from_slice(values, shape, &self.device)?.to_dtype(self.precision)?
            }
            Data::Whole(values) => Tensor::from_slice(values, shape, &self.device)?,
        }))
    }

    /// A variable whose gradient will be asked for; `None` if the tensor is absent.
    ///
    /// # Errors
    /// If Candle cannot make it.
    pub fn var(&self, name: &str) -> anyhow::Result<Option<Var>> {
        self.tensor(name)?
            .map(|t| Ok(Var::from_tensor(&t)?))
            .transpose()
    }

    /// What must come out: `out.*` and `grad.*`, corrected by `alt.*` where the reference is wrong.
    #[must_use]
    pub fn expected(&self) -> BTreeMap<String, Array> {
        let mut expected: BTreeMap<String, Array> = self
            .tensors
            .iter()
            .filter(|(name, _)| {
                (name.starts_with("out.") || name.starts_with("grad."))
                    && !name.starts_with("out.stat.")
            })
            .map(|(name, array)| (name.clone(), array.clone()))
            .collect();
        for (name, array) in &self.tensors {
            if let Some(corrected) = name.strip_prefix("alt.") {
                expected.insert(corrected.to_owned(), array.clone());
            }
        }
        expected
    }

    /// Whether the file says what a corrected implementation returns.
    #[must_use]
    pub fn has_correction(&self) -> bool {
        self.tensors.keys().any(|name| name.starts_with("alt."))
    }
}

fn eight_bytes(bytes: &[u8]) -> impl Iterator<Item = [u8; 8]> + '_ {
    bytes
        .chunks_exact(8)
        .map(|b| [b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]])
}

fn drop_statistics(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.remove("collect_stats");
            map.values_mut().for_each(drop_statistics);
        }
        Value::Array(list) => list.iter_mut().for_each(drop_statistics),
        _ => {}
    }
}
