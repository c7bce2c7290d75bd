//! A loss of one's own: a file of formulas, and everything else of the library works with it.
//!
//! ```text
//! ℓ(a, p, n) = max(0, h(a,p) − h(a,n) + m)²
//! ```
//!
//! Prints the loss of ten gradient steps, which fall.

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;

use dml::candle_core::{Device, Tensor, Var};
use dml::reducers::AvgNonZeroReducer;
use dml::{
    Batch, Distance, Indices, Loss, Objective, Over, Result, TensorExt, Term, Terms, Tuples,
};
use dml_examples::terminal::main_of;

/// A squared hinge on every triplet.
#[derive(Debug)]
struct QuadraticGap {
    margin: f64,
    distance: Arc<dyn Distance>,
}

impl Loss for QuadraticGap {
    fn terms(&self, batch: &Batch, tuples: &Tuples) -> Result<Terms> {
        let triplets = tuples.triplets(batch)?; // T triplets
        let matrix = batch.distances(&self.distance)?; // [Q, R]
        let near = matrix.pick_entries(&triplets.anchors, &triplets.positives)?; // [T]
        let far = matrix.pick_entries(&triplets.anchors, &triplets.negatives)?; // [T]
        let violation = (self.distance.gap(&near, &far)? + self.margin)?.hinge()?;
        let indices = Indices::Triplets(triplets);
        Ok(Term::explicit("loss", Over::Triplets, violation.sqr()?, indices)?.into())
    }
}

fn main() -> ExitCode {
    main_of(run)
}

fn run(out: &mut dyn Write) -> anyhow::Result<()> {
    let loss = QuadraticGap {
        margin: 0.5,
        distance: dml::defaults::lp(),
    };
    let objective = Objective::new(loss, AvgNonZeroReducer::default());
    let rows = [
        [1f32, 0.2],
        [0.3, 1.],
        [1., 0.4],
        [0.2, 0.9],
        [0.7, 0.6],
        [0.6, 0.8],
    ];
    let embeddings = Var::new(&rows, &Device::Cpu)?;
    for step in 0..10 {
        let loss = objective.forward(&Batch::new(&embeddings, [0i64, 1, 1, 0, 0, 1])?)?;
        writeln!(out, "step {step}: {:.4}", loss.to_scalar::<f32>()?)?;
        let gradients = loss.backward()?;
        if let Some(gradient) = gradients.get(embeddings.as_tensor()) {
            let moved: Tensor = (embeddings.as_tensor() - (gradient * 0.5)?)?;
            embeddings.set(&moved)?;
        }
    }
    Ok(())
}
