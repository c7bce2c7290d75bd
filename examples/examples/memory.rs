//! A batch compared with a memory of earlier embeddings that also holds the batch itself.
//!
//! Whether a reference *is* the query is said, never guessed: without it, every row's nearest positive would be its own
//! copy in the memory, at distance 0, and there would be nothing to learn from it.

use std::io::Write;
use std::process::ExitCode;

use dml::candle_core::{Device, Tensor};
use dml::config::MinerConfig;
use dml::{Batch, Miner, Relation, TupleCount, Tuples};
use dml_examples::terminal::main_of;

fn main() -> ExitCode {
    main_of(run)
}

fn run(out: &mut dyn Write) -> anyhow::Result<()> {
    let batch = Tensor::new(&[[1f32, 0.], [0., 1.]], &Device::Cpu)?;
    let labels = [0i64, 1];
    // Two older rows, then the batch itself.
    let memory = Tensor::new(
        &[[0.8f32, 0.6], [0.6, 0.8], [1., 0.], [0., 1.]],
        &Device::Cpu,
    )?;
    let memory_labels = [0i64, 1, 0, 1];

    let relation = Relation::cross_labels(labels, memory_labels)?;
    let told = relation.clone().with_self_matches(&[Some(2), Some(3)])?;
    let miner = MinerConfig::from_json(
        r#"{"name": "TripletMarginMiner", "type_of_triplets": "all", "margin": 1}"#,
    )?
    .build()?;
    for (what, relation) in [("untold", relation), ("told", told)] {
        let batch = Batch::unlabeled(&batch)?
            .with_unlabeled_reference(&memory)?
            .with_relation(relation)?;
        let all = Tuples::all().count(&batch)?;
        let mined = miner.mine(&batch)?.count(&batch)?;
        let TupleCount::Pairs { positive, .. } = all else {
            anyhow::bail!("all tuples are counted as pairs");
        };
        writeln!(
            out,
            "{what}: {positive} positive pairs, {} triplets within the margin",
            mined.total()
        )?;
    }
    Ok(())
}
