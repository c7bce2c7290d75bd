//! `cargo run --release -p dml-examples --example single_crates`: five lines of each of five crates.

fn main() -> anyhow::Result<()> {
    dml_examples::single_crates::run(&mut std::io::stdout())
}
