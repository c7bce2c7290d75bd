//! Every kernel with slices that do not fit each other.

use std::collections::BTreeSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::int8;
use super::kmeans::{KMeansStart, kmeans};
use super::nearest::{Affinity, Candidates, References, closest_of_rows};

/// The message that a call panics with.
fn refusal(call: &dyn Fn()) -> Option<String> {
    let payload = catch_unwind(AssertUnwindSafe(call)).err()?;
    payload.downcast_ref::<String>().cloned()
}

type Call = Box<dyn Fn()>;

/// Calls of the kernels by name, each with a length that does not fit.
#[derive(Default)]
struct Calls(Vec<(&'static str, Call)>);

impl Calls {
    fn add(&mut self, name: &'static str, call: impl Fn() + 'static) {
        self.0.push((name, Box::new(call)));
    }
}

const SIX: [f32; 6] = [3.; 6];
const FIVE: [f32; 5] = [3.; 5];
const FOUR: [f32; 4] = [3.; 4];

fn of_search(calls: &mut Calls) {
    let references = || {
        let mut references = References::<f32>::new(2);
        references.extend(&SIX);
        references
    };
    let affinity = Affinity::SquaredEuclidean;
    calls.add("extend", || References::<f32>::new(2).extend(&FIVE));
    calls.add("extend", || References::<f32>::new(0).extend(&FIVE));
    calls.add("nearest", move || {
        drop(references().nearest(&FIVE, 1, affinity, |_| None));
    });
    calls.add("norms_of", || drop(References::norms_of(&FIVE, 2)));
    calls.add("nearest_among", move || {
        drop(references().nearest_among(&FIVE, 1, affinity, &[0, 2]));
    });
    calls.add("within", move || {
        drop(references().within(&FIVE, 1., affinity, |_| None));
    });
    calls.add("nearest_of_candidates", move || {
        let candidates = Candidates {
            rows: &[0, 1, 2],
            others: &[1., 1.],
        };
        drop(references().nearest_of_candidates(&FOUR, candidates, 1, affinity));
    });
    calls.add("closest_of_rows", || {
        drop(closest_of_rows(&FIVE, 2, 1, false, |_| None));
    });
}

fn of_clusters(calls: &mut Calls) {
    calls.add("kmeans", || {
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        drop(kmeans(&FIVE, 2, 1, 1, KMeansStart::PlusPlus, &mut rng));
    });
    for clusters in [0, 4] {
        calls.add("kmeans", move || {
            let mut rng = ChaCha8Rng::seed_from_u64(0);
            drop(kmeans(
                &SIX,
                2,
                clusters,
                1,
                KMeansStart::PlusPlus,
                &mut rng,
            ));
        });
    }
}

fn of_codes(calls: &mut Calls) {
    calls.add("quantize", || drop(int8::quantize(&FIVE, 2)));
    for (codes, norms) in [(5, 3), (6, 2)] {
        calls.add("nearest", move || {
            let rows = int8::Int8Rows {
                codes: vec![0; codes],
                steps: vec![0.; 3],
            };
            let references = int8::Int8References {
                rows: &rows,
                squared_norms: &SIX[..norms],
                dim: 2,
                affinity: Affinity::InnerProduct,
            };
            drop(int8::nearest(&rows, references, 1, |_| true));
        });
    }
}

fn calls() -> Calls {
    let mut calls = Calls::default();
    of_search(&mut calls);
    of_clusters(&mut calls);
    of_codes(&mut calls);
    calls
}

#[test]
fn every_kernel_refuses_slices_that_do_not_fit() {
    for (i, (name, call)) in calls().0.iter().enumerate() {
        let message = refusal(&**call);
        assert!(
            message
                .as_ref()
                .is_some_and(|text| text.contains(": expected ")),
            "call {i}, of {name}: {message:?}"
        );
    }
}

/// The names of the kernels of a source file: functions for the whole crate that take slices.
fn kernels(text: &str, names: &mut BTreeSet<String>) {
    let code = text.split("#[cfg(test)]").next().unwrap_or(text);
    for function in code.split("pub(crate) fn ").skip(1) {
        let name = function.split(['<', '(']).next().unwrap_or(function);
        let signature = function.split(" {\n").next().unwrap_or(function);
        let parameters = signature
            .rsplit_once("->")
            .map_or(signature, |(front, _)| front);
        let reads = ["&[T]", "&[i8]", "Candidates<"];
        if reads.iter().any(|slice| parameters.contains(slice)) {
            names.insert(name.to_owned());
        }
    }
}

fn visit(folder: &Path, names: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            visit(&path, names);
        } else if path.extension().is_some_and(|ext| ext == "rs") && !path.ends_with("tests.rs") {
            kernels(&fs::read_to_string(&path).expect("a source file"), names);
        }
    }
}

#[test]
fn no_kernel_is_left_out() {
    let mut names = BTreeSet::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/kernels");
    visit(&folder, &mut names);
    assert!(names.contains("nearest") && names.contains("kmeans"));
    // Two rows of one matrix, which callers cut.
    names.remove("key");
    let tried: BTreeSet<&str> = calls().0.iter().map(|(name, _)| *name).collect();
    let left: Vec<&String> = names
        .iter()
        .filter(|name| !tried.contains(name.as_str()))
        .collect();
    assert!(
        left.is_empty(),
        "no call with lengths that do not fit: {left:?}"
    );
}
