//! One conformance case: what goes in, what must come out, and the configuration of the component under test.
//!
//! A case is a safetensors file. The names of its tensors say what they are (`in.*`, `param.*`, `out.*`, `grad.*`,
//! `alt.*`); its metadata holds the component's configuration as JSON, the tolerances, and how the component is called.

use std::collections::{BTreeMap, HashMap};

use anyhow::{Context, bail};
use dml::candle_core::safetensors::load_buffer;
use dml::candle_core::{self, DType, Device, Tensor, Var, WithDType};
use safetensors::SafeTensors;
use serde_json::Value;

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
    /// On the CPU, real numbers in double precision and whole ones in 64 bits.
    tensors: BTreeMap<String, Tensor>,
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
        let mut tensors = BTreeMap::new();
        for (name, tensor) in load_buffer(bytes, &Device::Cpu)? {
            let wide = match tensor.dtype() {
                DType::F32 | DType::F64 => DType::F64,
                DType::I64 => DType::I64,
                other => bail!("{path}: {name}: expected F32, F64 or I64, got {other:?}"),
            };
            tensors.insert(name, tensor.to_dtype(wide)?);
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
                .filter_map(|(name, tensor)| Some((renamed(name)?, tensor.clone())))
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
    pub fn tensors(&self) -> &BTreeMap<String, Tensor> {
        &self.tensors
    }

    /// A tensor by name, in double precision or 64 bits.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Tensor> {
        self.tensors.get(name)
    }

    /// The tensor of that name, which the case must have.
    ///
    /// # Errors
    /// If it is absent.
    pub fn require(&self, name: &str) -> anyhow::Result<&Tensor> {
        self.get(name)
            .with_context(|| format!("{}: no {name}", self.path))
    }

    /// The numbers of a tensor in double precision.
    ///
    /// # Errors
    /// If the tensor is absent.
    pub fn real(&self, name: &str) -> anyhow::Result<Vec<f64>> {
        Ok(elements(self.require(name)?)?)
    }

    /// The whole numbers of a tensor.
    ///
    /// # Errors
    /// If the tensor is absent or holds real numbers.
    pub fn whole(&self, name: &str) -> anyhow::Result<Vec<i64>> {
        let tensor = self.require(name)?;
        if tensor.dtype() != DType::I64 {
            bail!("{}: {name}: expected whole numbers", self.path);
        }
        Ok(elements(tensor)?)
    }

    /// Rows, such as those of tuples.
    ///
    /// # Errors
    /// If the tensor is absent, or one is negative or larger than 32 bits.
    pub fn row_numbers(&self, name: &str) -> anyhow::Result<Vec<u32>> {
        let number =
            |row: i64| u32::try_from(row).with_context(|| format!("{}: {name}: {row}", self.path));
        self.whole(name)?.into_iter().map(number).collect()
    }

    /// A tensor for the component; `None` if it is absent.
    ///
    /// # Errors
    /// If Candle cannot make it.
    pub fn tensor(&self, name: &str) -> anyhow::Result<Option<Tensor>> {
        let Some(tensor) = self.get(name) else {
            return Ok(None);
        };
        let dtype = match tensor.dtype() {
            DType::I64 => DType::I64,
            _ => self.precision,
        };
        Ok(Some(tensor.to_dtype(dtype)?.to_device(&self.device)?))
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
    pub fn expected(&self) -> BTreeMap<String, Tensor> {
        let mut expected: BTreeMap<String, Tensor> = self
            .tensors
            .iter()
            .filter(|(name, _)| {
                (name.starts_with("out.") || name.starts_with("grad."))
                    && !name.starts_with("out.stat.")
            })
            .map(|(name, tensor)| (name.clone(), tensor.clone()))
            .collect();
        for (name, tensor) in &self.tensors {
            if let Some(corrected) = name.strip_prefix("alt.") {
                expected.insert(corrected.to_owned(), tensor.clone());
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

/// The elements of a tensor in row-major order, converted to `T`.
pub(crate) fn elements<T: WithDType>(tensor: &Tensor) -> candle_core::Result<Vec<T>> {
    tensor.flatten_all()?.to_dtype(T::DTYPE)?.to_vec1()
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
