//! Initialisation of the weights that a loss learns.
//!
//! The functions of `torch.nn.init` with their names, arguments and defaults. For a weight of shape `[out, in]` PyTorch
//! calls `in` the fan in and `out` the fan out, whatever the rows and columns mean to the loss.

mod orthogonal;
mod probit;
#[cfg(feature = "serde")]
mod wrapped;

use candle_core::{DType, Device, Tensor, Var};
use candle_nn::{Init, VarBuilder};
use dml_core::{Result, check};

/// Initialisation of a weight, by the functions of `torch.nn.init`.
///
/// It works with any backend of a [`VarBuilder`]: distributions that Candle's hints lack are transformed from one that they
/// have.
/// The form in configurations is that of PyTorch Metric Learning's wrapper:
/// `{"name": "TorchInitWrapper", "init_func": "uniform_", "a": -0.25, "b": 0.5}`.
///
/// ```
/// use dml_core::candle_core::{DType, Device};
/// use dml_losses::{SeededVars, WeightInit};
///
/// let vars = SeededVars::new(0).builder(DType::F32, &Device::Cpu);
/// let weight = WeightInit::Uniform { a: 1.0, b: 2.0 }.variable(&vars, (2, 3), "W")?;
/// assert!(weight.flatten_all()?.to_vec1::<f32>()?.iter().all(|x| (1.0..2.0).contains(x)));
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(
    feature = "serde",
    serde(remote = "Self", tag = "init_func", deny_unknown_fields)
)]
pub enum WeightInit {
    /// Uniform in `[a, b)`.
    #[cfg_attr(feature = "serde", serde(rename = "uniform_"))]
    Uniform {
        /// The lower end. Default 0.
        #[cfg_attr(feature = "serde", serde(default))]
        a: f64,
        /// The upper end. Default 1.
        #[cfg_attr(feature = "serde", serde(default = "wrapped::one"))]
        b: f64,
    },
    /// Normal.
    #[cfg_attr(feature = "serde", serde(rename = "normal_"))]
    Normal {
        /// The mean. Default 0.
        #[cfg_attr(feature = "serde", serde(default))]
        mean: f64,
        /// The standard deviation. Default 1.
        #[cfg_attr(feature = "serde", serde(default = "wrapped::one"))]
        std: f64,
    },
    /// Normal, truncated to `[a, b]`.
    #[cfg_attr(feature = "serde", serde(rename = "trunc_normal_"))]
    TruncatedNormal {
        /// Mean before the truncation. Default 0.
        #[cfg_attr(feature = "serde", serde(default))]
        mean: f64,
        /// Standard deviation before the truncation. Default 1.
        #[cfg_attr(feature = "serde", serde(default = "wrapped::one"))]
        std: f64,
        /// The smallest value. Default −2.
        #[cfg_attr(feature = "serde", serde(default = "wrapped::minus_two"))]
        a: f64,
        /// The largest value. Default 2.
        #[cfg_attr(feature = "serde", serde(default = "wrapped::two"))]
        b: f64,
    },
    /// Constant.
    #[cfg_attr(feature = "serde", serde(rename = "constant_"))]
    Constant {
        /// The number.
        val: f64,
    },
    /// Ones.
    #[cfg_attr(feature = "serde", serde(rename = "ones_"))]
    Ones {},
    /// Zeros.
    #[cfg_attr(feature = "serde", serde(rename = "zeros_"))]
    Zeros {},
    /// Uniform with standard deviation `gain · √(2 / (fan in + fan out))`.
    ///
    /// Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks", 2010.
    #[cfg_attr(feature = "serde", serde(rename = "xavier_uniform_"))]
    XavierUniform {
        /// A factor. Default 1.
        #[cfg_attr(feature = "serde", serde(default = "wrapped::one"))]
        gain: f64,
    },
    /// Normal with standard deviation `gain · √(2 / (fan in + fan out))`.
    #[cfg_attr(feature = "serde", serde(rename = "xavier_normal_"))]
    XavierNormal {
        /// A factor. Default 1.
        #[cfg_attr(feature = "serde", serde(default = "wrapped::one"))]
        gain: f64,
    },
    /// Uniform with standard deviation `gain / √fan`.
    ///
    /// He, Zhang, Ren and Sun, "Delving Deep into Rectifiers", 2015, arXiv:1502.01852.
    #[cfg_attr(feature = "serde", serde(rename = "kaiming_uniform_"))]
    KaimingUniform {
        /// Gradient of the leaky rectifier below 0. Default 0.
        #[cfg_attr(feature = "serde", serde(default))]
        a: f64,
        /// Fan that the spread depends on. Default: fan in.
        #[cfg_attr(feature = "serde", serde(default))]
        mode: Fan,
        /// Nonlinearity that the gain is for. Default: leaky rectifier.
        #[cfg_attr(feature = "serde", serde(default))]
        nonlinearity: Nonlinearity,
    },
    /// Normal with standard deviation `gain / √fan`.
    #[cfg_attr(feature = "serde", serde(rename = "kaiming_normal_"))]
    KaimingNormal {
        /// Gradient of the leaky rectifier below 0. Default 0.
        #[cfg_attr(feature = "serde", serde(default))]
        a: f64,
        /// Fan that the spread depends on. Default: fan in.
        #[cfg_attr(feature = "serde", serde(default))]
        mode: Fan,
        /// Nonlinearity that the gain is for. Default: leaky rectifier.
        #[cfg_attr(feature = "serde", serde(default))]
        nonlinearity: Nonlinearity,
    },
    /// Rows, or columns if there are fewer of them, that are orthogonal to each other and of length `gain`.
    ///
    /// Saxe, `McClelland` and Ganguli, "Exact solutions to the nonlinear dynamics of learning in deep linear neural
    /// networks", 2013, arXiv:1312.6120.
    #[cfg_attr(feature = "serde", serde(rename = "orthogonal_"))]
    Orthogonal {
        /// A factor. Default 1.
        #[cfg_attr(feature = "serde", serde(default = "wrapped::one"))]
        gain: f64,
    },
}

/// Side of a weight that the spread depends on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Fan {
    /// The length of a row.
    #[default]
    FanIn,
    /// The number of rows.
    FanOut,
}

/// Nonlinearity after a weight, which determines the gain of its initialisation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Nonlinearity {
    /// Nothing: gain 1.
    #[cfg_attr(
        feature = "serde",
        serde(alias = "conv1d", alias = "conv2d", alias = "conv3d")
    )]
    Linear,
    /// The logistic function: gain 1.
    Sigmoid,
    /// The hyperbolic tangent: gain 5/3.
    Tanh,
    /// The rectifier: gain √2.
    Relu,
    /// The leaky rectifier of gradient `a`: gain `√(2 / (1 + a²))`.
    #[default]
    LeakyRelu,
    /// The scaled exponential unit: gain 3/4.
    Selu,
}

impl Nonlinearity {
    fn gain(self, a: f64) -> f64 {
        match self {
            Self::Linear | Self::Sigmoid => 1.0,
            Self::Tanh => 5.0 / 3.0,
            Self::Relu => 2f64.sqrt(),
            Self::LeakyRelu => (2.0 / (1.0 + a * a)).sqrt(),
            Self::Selu => 0.75,
        }
    }
}

/// A uniform distribution of that standard deviation, around 0.
fn uniform(stdev: f64) -> Init {
    let up = 3f64.sqrt() * stdev;
    Init::Uniform { lo: -up, up }
}

impl WeightInit {
    /// Names in configurations.
    pub const NAMES: &'static [&'static str] = &["TorchInitWrapper"];

    /// The standard normal distribution.
    pub const STANDARD_NORMAL: Self = Self::Normal {
        mean: 0.0,
        std: 1.0,
    };

    /// The variable `name` of a builder; drawn by this function if the builder does not hold it yet.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) for arguments outside of their range,
    /// [`Error::Size`](dml_core::Error::Size) if the weights do not fit into memory,
    /// [`Error::Count`](dml_core::Error::Count) for orthogonal weights of more than 16,384 rows and columns,
    /// [`Error::Tensor`](dml_core::Error::Tensor) if the builder has a variable of that name and another shape.
    pub fn variable(
        &self,
        vars: &VarBuilder<'_>,
        shape: (usize, usize),
        name: &str,
    ) -> Result<Var> {
        check::elements("weights", &[shape.0, shape.1], check::PARAMETER)?;
        let hint = self.hint(shape)?;
        let is_new = !vars.contains_tensor(name);
        let var = Var::from_tensor(&vars.get_with_hints(shape, name, hint)?)?;
        if is_new && let Some(values) = self.finish(&var)? {
            var.set(&values.to_dtype(var.dtype())?.to_device(var.device())?)?;
        }
        Ok(var)
    }

    /// The hint for the backend.
    fn hint(&self, (rows, columns): (usize, usize)) -> Result<Init> {
        let fan = |mode| match mode {
            Fan::FanIn => columns as f64,
            Fan::FanOut => rows as f64,
        };
        let xavier = |gain: f64| gain * (2.0 / (rows + columns) as f64).sqrt();
        Ok(match *self {
            Self::Uniform { a, b } => Init::Uniform {
                lo: check::finite("a", a)?,
                up: check::finite("b", b)?,
            },
            Self::Normal { mean, std } => Init::Randn {
                mean: check::finite("mean", mean)?,
                stdev: check::non_negative("std", std)?,
            },
            Self::TruncatedNormal { mean, std, a, b } => {
                check::positive("std", std)?;
                for (name, value) in [("mean", mean), ("a", a), ("b", b)] {
                    check::finite(name, value)?;
                }
                Init::Uniform {
                    lo: probit::normal_cdf((a - mean) / std),
                    up: probit::normal_cdf((b - mean) / std),
                }
            }
            Self::Constant { val } => Init::Const(check::finite("val", val)?),
            Self::Ones {} => Init::Const(1.0),
            Self::Zeros {} => Init::Const(0.0),
            Self::XavierUniform { gain } => uniform(xavier(check::finite("gain", gain)?)),
            Self::XavierNormal { gain } => Init::Randn {
                mean: 0.0,
                stdev: xavier(check::non_negative("gain", gain)?),
            },
            Self::KaimingUniform {
                a,
                mode,
                nonlinearity,
            } => uniform(nonlinearity.gain(check::finite("a", a)?) / fan(mode).sqrt()),
            Self::KaimingNormal {
                a,
                mode,
                nonlinearity,
            } => Init::Randn {
                mean: 0.0,
                stdev: nonlinearity.gain(check::finite("a", a)?) / fan(mode).sqrt(),
            },
            Self::Orthogonal { gain } => {
                check::finite("gain", gain)?;
                // Every vector is made orthogonal to all before it.
                let side = rows.min(columns);
                check::count("smaller side of orthogonal weights", side, 1 << 14)?;
                Init::Randn {
                    mean: 0.0,
                    stdev: 1.0,
                }
            }
        })
    }

    /// The values that the draw is transformed to; `None` if it stays as it is.
    fn finish(&self, drawn: &Tensor) -> Result<Option<Tensor>> {
        let make = |f: &dyn Fn(Vec<f64>) -> Vec<f64>| -> Result<Option<Tensor>> {
            let values = drawn.flatten_all()?.to_dtype(DType::F64)?;
            let values = f(values.to_device(&Device::Cpu)?.to_vec1()?);
            Ok(Some(Tensor::from_vec(
                values,
                drawn.shape(),
                drawn.device(),
            )?))
        };
        match *self {
            Self::TruncatedNormal { mean, std, a, b } => make(&|values| {
                let value = |u| (mean + std * probit::probit(u)).clamp(a.min(b), b.max(a));
                values.into_iter().map(value).collect()
            }),
            Self::Orthogonal { gain } => {
                let (rows, columns) = drawn.dims2()?;
                make(&|values| orthogonal::orthogonal(&values, rows, columns, gain))
            }
            _ => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests;
