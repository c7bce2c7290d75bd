//! Time of single layers, forward and forward with backward.
//!
//! `cargo run --release -p dml-nn --example layers [PART OF A ROW'S NAME]`; `RAYON_NUM_THREADS` sets the number of threads.
//! `xtask/peers/layers.py` prints the same rows of PyTorch.
#![allow(clippy::print_stdout)]

mod attention;

use std::time::Instant;

use candle_core::{Tensor, Var};
use dml_core::Result;
use dml_nn::Layer;

/// Something to be timed.
struct Row {
    name: String,
    forward: Box<dyn FnMut() -> Result<()>>,
    /// Forward and backward.
    both: Option<Box<dyn FnMut() -> Result<()>>>,
}

impl Row {
    fn of_layer(name: String, input: Var, layer: impl Layer + 'static) -> Self {
        Self::of_function(name, vec![input], move |x| layer.forward_t(&x[0], true))
    }

    fn of_function(
        name: String,
        inputs: Vec<Var>,
        f: impl Fn(&[Tensor]) -> Result<Tensor> + 'static,
    ) -> Self {
        let f = std::rc::Rc::new(f);
        let constants: Vec<Tensor> = inputs.iter().map(|x| x.as_tensor().detach()).collect();
        let tracked: Vec<Tensor> = inputs.iter().map(|x| x.as_tensor().clone()).collect();
        let forward = f.clone();
        Self {
            name,
            forward: Box::new(move || forward(&constants).map(drop)),
            // The gradient of the output is 1.
            both: Some(Box::new(move || {
                f(&tracked)?.backward().map(drop).map_err(Into::into)
            })),
        }
    }
}

/// Median of the milliseconds of a call.
fn median(f: &mut dyn FnMut() -> Result<()>) -> Result<f64> {
    for _ in 0..2 {
        f()?;
    }
    let mut times = Vec::new();
    let start = Instant::now();
    while times.len() < 5 || (start.elapsed().as_secs_f64() < 1.0 && times.len() < 50) {
        let start = Instant::now();
        f()?;
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    Ok(times[times.len() / 2])
}

fn main() -> Result<()> {
    let part = std::env::args().nth(1).unwrap_or_default();
    println!("{:42} {:>10} {:>10}", "ms", "forward", "both");
    for mut row in attention::rows()? {
        if !row.name.contains(&part) {
            continue;
        }
        let forward = median(&mut *row.forward)?;
        let both = match &mut row.both {
            Some(both) => format!("{:10.2}", median(&mut **both)?),
            None => String::new(),
        };
        println!("{:42} {forward:10.2} {both}", row.name);
    }
    Ok(())
}
