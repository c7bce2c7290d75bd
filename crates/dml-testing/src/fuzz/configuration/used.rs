//! What can be built is used once on a few rows.

use std::sync::Arc;

use dml::candle_core::{DType, Device, Tensor, Var};
use dml::config::{
    BatchSizes, ClassifierConfig, ClustererConfig, DistanceConfig, EvaluationConfig,
    InferenceConfig, KnnConfig, LossConfig, MatchConfig, MinerConfig, ProjectionConfig,
    ReducerConfig, RegularizerConfig, RerankConfig, SampledData, SamplerConfig, TesterKind,
};
use dml::defaults::lp;
use dml::eval::TestSplit;
use dml::losses::{SeededVars, TripletMarginLoss, TripletMarginLossConfig, WeightInit};
use dml::{Batch, IntoLabels, Objective};

/// The batch that components are used on.
pub(super) const SIZES: BatchSizes = BatchSizes {
    rows: LABELS.len(),
    num_classes: 3,
    embedding_size: 4,
};
const LABELS: [i64; 8] = [0, 0, 1, 1, 2, 2, 0, 1];

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn rows() -> dml::Result<Var> {
    let rows = crate::fuzz::rows(SIZES.rows, SIZES.embedding_size, 1.3);
    Ok(Var::from_tensor(&rows)?)
}

/// The rows among themselves, and compared with the same rows as references.
fn batches(rows: &Tensor) -> dml::Result<[Batch; 2]> {
    let batch = Batch::new(rows, LABELS)?;
    Ok([batch.clone(), batch.with_reference(&rows.detach(), LABELS)?])
}

fn vars() -> dml::candle_nn::VarBuilder<'static> {
    SeededVars::new(0).builder(DType::F32, &Device::Cpu)
}

/// Forward and backward over both batches. What one of them can't do, the other may.
fn trained(objective: &Objective) -> Outcome {
    let rows = rows()?;
    let mut done = Ok(());
    for batch in batches(&rows)? {
        let step = objective.forward(&batch).and_then(|loss| {
            loss.backward()?;
            Ok(())
        });
        done = done.or(step);
    }
    Ok(done?)
}

pub(super) fn distance(config: &DistanceConfig) -> Outcome {
    let distance = config.build_with(&vars())?;
    let rows = rows()?;
    distance.matrix(&rows, None)?.sum_all()?.backward()?;
    distance
        .pairs(&rows, &rows.detach())?
        .sum_all()?
        .backward()?;
    distance.norms(&rows)?;
    Ok(())
}

pub(super) fn reducer(config: &ReducerConfig) -> Outcome {
    let loss = TripletMarginLoss::new(TripletMarginLossConfig::default(), lp())?;
    trained(&Objective::new(Arc::new(loss), config.build()?))
}

pub(super) fn regularizer(config: &RegularizerConfig) -> Outcome {
    let regularizer = config.build()?;
    let rows = rows()?;
    regularizer.penalty(&rows)?.backward()?;
    Ok(())
}

pub(super) fn miner(config: &MinerConfig) -> Outcome {
    let miner = config.build()?;
    let rows = rows()?;
    for batch in batches(&rows)? {
        if let Ok(tuples) = miner.mine(&batch) {
            tuples.count(&batch)?;
            tuples.triplets(&batch)?;
        }
    }
    Ok(())
}

pub(super) fn loss(config: &LossConfig) -> Outcome {
    let objective = config.build()?;
    // What a loss remembers changes the second time.
    trained(&objective)?;
    trained(&objective)
}

pub(super) fn sampler(config: &SamplerConfig) -> Outcome {
    let levels = [LABELS, LABELS.map(|label| label % 2)];
    let levels = levels.map(IntoLabels::into_labels);
    let levels: Vec<_> = levels.into_iter().collect::<dml::Result<_>>()?;
    let embed = |chosen: &[usize]| -> dml::Result<Tensor> {
        let chosen: Vec<u32> = chosen.iter().map(|row| *row as u32).collect();
        Ok(rows()?.index_select(&Tensor::new(chosen, &Device::Cpu)?, 0)?)
    };
    let sampler = config.build_with(SampledData {
        levels: &levels,
        embed: Some(&embed),
    })?;
    sampler.batches();
    for epoch in [0, u64::MAX] {
        for batch in sampler.epoch(epoch).take(3) {
            assert!(batch.iter().all(|row| *row < LABELS.len()), "{batch:?}");
        }
    }
    Ok(())
}

pub(super) fn index(config: &KnnConfig) -> Outcome {
    let mut index = config.build()?.to_empty();
    let rows = rows()?;
    index.add(&rows)?;
    index.search(&rows, 2)?;
    index.search_within(&rows, 0.5, dml::eval::SelfMatch::None)?;
    Ok(())
}

pub(super) fn classifier(config: &ClassifierConfig) -> Outcome {
    let mut classifier = config.build()?;
    let rows = rows()?;
    classifier.add(&rows, LABELS)?;
    classifier.predict(&rows)?;
    Ok(())
}

pub(super) fn clusterer(config: &ClustererConfig) -> Outcome {
    let rows = rows()?;
    config.build()?.cluster(&rows, SIZES.num_classes)?;
    Ok(())
}

pub(super) fn match_finder(config: &MatchConfig) -> Outcome {
    let finder = config.build()?;
    let rows = rows()?;
    finder.is_match(&rows, &rows, None)?;
    Ok(())
}

pub(super) fn inference(config: &InferenceConfig) -> Outcome {
    let model = config.build()?;
    let rows = rows()?;
    model.get_embeddings(&rows)?;
    Ok(())
}

pub(super) fn evaluation(config: &EvaluationConfig) -> Outcome {
    let calculator = config.build()?;
    let rows = rows()?;
    for batch in batches(&rows)? {
        calculator.get_accuracy(&batch)?;
    }
    Ok(())
}

pub(super) fn projection(config: &ProjectionConfig) -> Outcome {
    let rows = rows()?;
    config.build()?.fit_transform(&rows)?;
    Ok(())
}

pub(super) fn rerank(config: &RerankConfig) -> Outcome {
    let rows = rows()?;
    config.build()?.search(&rows, &rows, 2)?;
    Ok(())
}

pub(super) fn tester(config: &TesterKind) -> Outcome {
    let tester = config.build()?;
    let rows = Arc::new(rows()?.detach());
    let split = TestSplit::new("all", rows.clone(), LABELS)?
        .with_parent_labels(LABELS.map(|label| label % 2))?
        .with_second_inputs(rows)?;
    let identity = |x: &Tensor| Ok(x.clone());
    tester.test(&[split], None, &identity, None)?;
    Ok(())
}

pub(super) fn weight_init(config: &WeightInit) -> Outcome {
    config.variable(&vars(), (SIZES.num_classes, SIZES.embedding_size), "W")?;
    Ok(())
}
