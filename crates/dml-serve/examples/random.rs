//! `cargo run --release -p dml-serve --example random -- [ROWS [DIM [ADDRESS]]]`: random vectors, to measure a service under load.
//!
//! The vectors have whole numbers as ids, and one attribute, `group`, a number from 0 to 19.

use std::error::Error;
use std::io::Write;

use dml_core::candle_core::{Device, Tensor};
use dml_core::rand::{Rng, SeedableRng};
use dml_core::rand_chacha::ChaCha8Rng;
use dml_eval::{Collection, FlatIndex, FlatMetric, Items};
use dml_serve::Server;

fn main() -> Result<(), Box<dyn Error>> {
    let argument = |place| std::env::args().nth(place);
    let rows: u64 = argument(1).map_or(Ok(1_000_000), |text| text.parse())?;
    let dim: usize = argument(2).map_or(Ok(128), |text| text.parse())?;
    let address = argument(3).unwrap_or("127.0.0.1:8080".to_owned());
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let mut collection = Collection::new(FlatIndex::new(FlatMetric::Cosine));
    const BLOCK: u64 = 50_000;
    for start in (0..rows).step_by(BLOCK as usize) {
        let ids: Vec<u64> = (start..(start + BLOCK).min(rows)).collect();
        let values = (0..ids.len() * dim).map(|_| rng.random_range(-1f32..1.0));
        let block = Tensor::from_vec(values.collect::<Vec<f32>>(), (ids.len(), dim), &Device::Cpu)?;
        let group: Vec<i64> = ids.iter().map(|id| (id % 20) as i64).collect();
        collection.add(Items::new(ids, &block)?.with_column("group", group)?)?;
    }
    let server = Server::builder(collection)
        .title("Random")
        .distance("cosine similarity")
        .build()?;
    let tell = |address| {
        writeln!(std::io::stdout(), "http://{address}").ok();
    };
    server.run(address.parse()?, tell)?;
    Ok(())
}
