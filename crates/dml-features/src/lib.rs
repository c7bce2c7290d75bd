//! One set of features for the dependencies of all packages, and no code.
//!
//! Cargo builds a dependency once for each set of features that is turned on in it, and with it everything that depends on
//! it. A crate with benches has this package among its development dependencies, so that `cargo bench -p CRATE` uses the
//! Candle that `cargo xtask mnist` has built. `cargo xtask tidy` compares the features.
