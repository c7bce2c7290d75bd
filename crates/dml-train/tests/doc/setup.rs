// What the examples of the documentation have in common: each includes this file.

/// A linear layer with an optimiser.
fn module(name: &str, inputs: usize, outputs: usize) -> dml_core::Result<dml_train::NamedModule> {
    use candle_core::{DType, Device};
    use rand::SeedableRng;

    let rng = &mut rand_chacha::ChaCha8Rng::seed_from_u64(0);
    let config = dml_nn::LinearConfig::new(inputs, outputs);
    let layer = dml_nn::Linear::new(config, rng, DType::F32, &Device::Cpu)?;
    let network = dml_nn::Sequential::default()
        .with("flatten", dml_nn::Flatten)
        .with("fc1", layer);
    dml_train::NamedModule::of(name, network)
        .with_optimizer(|parameters| dml_nn::Adam::new(parameters, Default::default()))
}

/// Triplets by cosine similarity.
fn objective() -> dml_core::Result<dml_core::Objective> {
    let distance = dml_distances::CosineSimilarity::default();
    let loss = dml_losses::TripletMarginLoss::new(Default::default(), distance)?;
    Ok(dml_core::Objective::new(loss, dml_reducers::MeanReducer))
}

/// Forty digits of 28 × 28 pixels, drawn by a program.
fn digits() -> Result<dml_data::NormalizedImages, Box<dyn std::error::Error>> {
    let digits = dml_data::synthetic::SyntheticDigits::new(Default::default())?;
    Ok(digits.train_test(40, 10)?.train.normalized(dml_data::Normalization::MNIST))
}

/// The digits in two views of each.
#[derive(Debug)]
struct TwoViews(dml_data::NormalizedImages);

impl dml_core::Dataset for TwoViews {
    fn labels(&self) -> &dml_core::Labels {
        dml_core::Dataset::labels(&self.0)
    }

    fn fetch(&self, rows: &[usize], seed: u64) -> dml_core::Result<dml_core::Examples> {
        let first = dml_core::Dataset::fetch(&self.0, rows, seed)?.views()[0].clone();
        let second = (&first * 0.9)?;
        dml_core::Examples::with_views(vec![first, second], rows, self.labels())
    }
}

/// Batches of eight digits, two of each of four classes; five batches a pass.
fn sampler() -> Result<dml_samplers::MPerClassSampler, Box<dyn std::error::Error>> {
    let config = dml_samplers::MPerClassSamplerConfig {
        batch_size: Some(8),
        length_before_new_iter: 40,
        ..dml_samplers::MPerClassSamplerConfig::new(2)
    };
    let digits = digits()?;
    Ok(dml_samplers::MPerClassSampler::new(config, dml_core::Dataset::labels(&digits))?)
}
