//! Every public kernel with slices that do not fit each other.

use std::collections::BTreeSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use crate::boundary_hinges::BoundaryHinges;
use crate::class_softmax::{Logits, cross_entropies, cross_entropies_backward};
use crate::euclidean::{Form, euclidean, euclidean_among, euclidean_backward};
use crate::exact::{dot, squared_distance};
use crate::matrix_gradient::{Factor, Summand};
use crate::matrix_product::{Matrix, MatrixMut};
use crate::pairwise_lp::{pairwise_lp, pairwise_lp_among, pairwise_lp_backward};
use crate::row_panels::RowPanels;
use crate::soft_histogram::{SoftBins, soft_histograms, soft_histograms_backward};
use crate::soft_rank::SoftRank;
use crate::triplet_margin::{TripletMargin, TripletPenalty};
use crate::triplet_ranges::{GapInterval, TripletRanges};
use crate::{
    AngularTriplets, MatrixGradient, PairMask, Side, Triangle, TripletWalk, column_groups,
    divided_rows, elementwise, finite, hamming, inverse, lengths, log_sum_exp, normalize,
    pairwise_dot, row_values, softmax,
};

/// The message that a call panics with.
fn refusal(call: &dyn Fn()) -> Option<String> {
    let payload = catch_unwind(AssertUnwindSafe(call)).err()?;
    let text = payload.downcast_ref::<String>().cloned();
    text.or_else(|| {
        payload
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
    })
}

type Call = Box<dyn Fn()>;

/// Calls of the public functions by name, each with a length that does not fit.
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

fn of_rows(calls: &mut Calls) {
    calls.add("normalize_rows", || {
        drop(normalize::normalize_rows(&SIX, 0, 2.));
    });
    calls.add("normalize_rows", || {
        drop(normalize::normalize_rows(&FIVE, 2, 2.));
    });
    calls.add("normalize_rows", || {
        drop(normalize::normalize_rows(&FIVE, 9, 2.));
    });
    calls.add("normalize_rows_backward", || {
        normalize::normalize_rows_backward(&SIX, &[1.; 2], &mut [1f32; 6], 2, 2.);
    });
    calls.add("normalize_rows_backward", || {
        normalize::normalize_rows_backward(&SIX, &[1.; 3], &mut [1f32; 4], 2, 2.);
    });
    calls.add("norm_gradient", || {
        normalize::norm_gradient(&SIX, 2., 1., &mut [0f32; 5]);
    });
    calls.add("divided_rows", || {
        drop(divided_rows::divided_rows(&SIX, &[1.; 2], 2));
    });
    calls.add("divided_rows", || {
        drop(divided_rows::divided_rows(&SIX, &[], 0));
    });
    calls.add("divisor_gradient", || {
        drop(divided_rows::divisor_gradient(&SIX, &FIVE, &[1.; 3], 2));
    });
    calls.add("rows_not_finite", || {
        drop(finite::rows_not_finite(&FIVE, 2));
    });
    calls.add("zip_map", || {
        drop(elementwise::zip_map(&SIX, &FIVE, |x, _| x));
    });
    calls.add("scale_rows", || {
        drop(elementwise::scale_rows(&SIX, &[1.; 2], 2));
    });
    calls.add("transposed", || drop(crate::transposed(&SIX, 2, 2)));
    calls.add("transposed", || {
        drop(crate::transposed(&SIX, usize::MAX, 2));
    });
    calls.add("inverse", || drop(inverse::inverse(&SIX, 2)));
    calls.add("inverse", || {
        drop(inverse::inverse(&[0f32; 0], usize::MAX / 2 + 1));
    });
    calls.add("for_each_row", || {
        crate::for_each_row(&mut [0f32; 5], 2, |_, _| {});
    });
    calls.add("for_each_row", || {
        crate::for_each_row(&mut [0f32; 5], 0, |_, _| {});
    });
    calls.add("row_values", || {
        drop(row_values::row_values(
            &SIX,
            2,
            2,
            |_, _, _, (): &mut ()| 0.,
        ));
    });
    calls.add("row_values", || {
        let huge = usize::MAX / 2 + 1;
        drop(row_values::row_values(
            &[0f32; 0],
            huge,
            2,
            |_, _, _, (): &mut ()| 0.,
        ));
    });
    calls.add("row_values_alone", || {
        drop(row_values::row_values_alone(
            &SIX,
            2,
            2,
            |_, _, _, (): &mut ()| 0.,
        ));
    });
    calls.add("largest", || drop(column_groups::largest(&SIX, 4)));
    calls.add("largest", || drop(column_groups::largest(&SIX, 0)));
    calls.add("largest_backward", || {
        drop(column_groups::largest_backward(&[0, 1], &FOUR, 2));
    });
    calls.add("softmax_means", || {
        drop(column_groups::softmax_means(&SIX, 4, 1.));
    });
    calls.add("log_sum_exp", || {
        drop(log_sum_exp::log_sum_exp(&SIX, None, 4, false));
    });
    calls.add("log_sum_exp", || {
        drop(log_sum_exp::log_sum_exp(&SIX, Some(&[1; 5]), 2, false));
    });
    calls.add("log_sum_exp_backward", || {
        drop(log_sum_exp::log_sum_exp_backward(
            &SIX, None, &[1.; 3], &[1.; 2], 2,
        ));
    });
    calls.add("softmax_in_place", || {
        softmax::softmax_in_place(&mut [0f32; 3], &[1.; 2], false);
    });
    calls.add("sum_of_exponentials", || {
        let _ = softmax::sum_of_exponentials(&SIX, &FIVE, 0.);
    });
    calls.add("add_softmax_of_sums", || {
        softmax::add_softmax_of_sums(&mut [0f32; 6], &SIX, &FIVE, 0., 1.);
    });
    calls.add("shares", || {
        SoftRank::new(1.).shares(&SIX, 0., &mut [0.; 5]);
    });
    calls.add("spread", || {
        SoftRank::new(1.).spread(&mut [0f32; 5], 1., &mut [0.; 6]);
    });
}

fn of_pairs(calls: &mut Calls) {
    fn gradient(width: usize) -> MatrixGradient<'static, f32> {
        MatrixGradient::written_out(&SIX, width)
    }
    calls.add("pairwise_dot", || {
        drop(pairwise_dot::pairwise_dot(&SIX, &FOUR, 4));
    });
    calls.add("pairwise_dot", || {
        drop(pairwise_dot::pairwise_dot(&SIX, &FOUR, 0));
    });
    calls.add("pairwise_dot_among", || {
        drop(pairwise_dot::pairwise_dot_among(&FIVE, 2));
    });
    for side in [Side::Query, Side::Reference, Side::Both] {
        calls.add("pairwise_dot_backward", move || {
            drop(pairwise_dot::pairwise_dot_backward(
                &FIVE,
                &gradient(3),
                2,
                side,
            ));
        });
        calls.add("pairwise_lp_backward", move || {
            let g = gradient(3);
            drop(pairwise_lp_backward(&FOUR, &FOUR, &SIX, &g, 2, 3., side));
        });
        calls.add("euclidean_backward", move || {
            let g = gradient(3);
            drop(euclidean_backward(
                &FIVE,
                &SIX,
                &SIX,
                &g,
                2,
                Form::Squared,
                side,
            ));
        });
    }
    calls.add("written_out", || drop(gradient(4)));
    calls.add("new", || {
        let summand = Summand {
            entries: None,
            factor: Factor::OfRows(&FIVE[..]),
        };
        drop(MatrixGradient::new(vec![summand], 2, 3));
    });
    for p in [1., 2., 3., f64::INFINITY] {
        calls.add("pairwise_lp", move || drop(pairwise_lp(&SIX, &FIVE, 2, p)));
        calls.add("pairwise_lp_among", move || {
            drop(pairwise_lp_among(&FIVE, 2, p));
        });
    }
    calls.add("euclidean", || {
        drop(euclidean(&SIX, &FIVE, 2, Form::Distance));
    });
    calls.add("euclidean_among", || {
        drop(euclidean_among(&FIVE, 2, Form::Distance));
    });
    calls.add("pack_signs", || drop(hamming::pack_signs(&FIVE, 2)));
    calls.add("hamming", || drop(hamming::hamming(&[0; 6], &[0; 5], 2)));
    calls.add("hamming_of_pairs", || {
        drop(hamming::hamming_of_pairs(&[0; 6], &[0; 4], 2));
    });
    calls.add("squared_distance", || {
        let _ = squared_distance(&FIVE, &SIX);
    });
    calls.add("dot", || {
        let _ = dot(&FIVE, &SIX);
    });
    calls.add("below", || lengths::below("numbers", &[0, 3], 3));
    calls.add("of_rows", || {
        let _ = Matrix::of_rows(&FIVE, 2, 3, 3);
    });
    calls.add("of_rows", || {
        drop(MatrixMut::of_rows(&mut FIVE.clone(), 2, 3, 2));
    });
    calls.add("new", || drop(RowPanels::new(&FIVE, 2, 2)));
    calls.add("select", || {
        drop(PairMask::select(usize::MAX, 65, |_, _, _, (): &mut ()| {}));
    });
    let mask = || PairMask::select(2, 3, |_, p, _, (): &mut ()| p.insert(1));
    let bins = SoftBins::new(0., 1., 2);
    calls.add("soft_histograms", move || {
        drop(soft_histograms(&FIVE, &mask(), bins));
    });
    calls.add("soft_histograms_backward", move || {
        drop(soft_histograms_backward(&SIX, &mask(), bins, &SIX));
    });
    calls.add("histogram", move || {
        bins.histogram(&SIX, &[0; 5], &mut Vec::new());
    });
}

fn of_classes(calls: &mut Calls) {
    fn logits(own: &[u32]) -> Logits<'_, f32> {
        Logits {
            scale: 1.,
            rows: None,
            classes: None,
            own,
        }
    }
    let margin = |x| (x, 1.);
    calls.add("cross_entropies", move || {
        drop(cross_entropies(&FIVE, 3, logits(&[0, 1]), margin));
    });
    calls.add("cross_entropies", move || {
        drop(cross_entropies(&SIX, 3, logits(&[0, 3]), margin));
    });
    calls.add("cross_entropies", move || {
        drop(cross_entropies(&[0f32; 0], 0, logits(&[0]), margin));
    });
    calls.add("cross_entropy", move || {
        logits(&[0, 1]).cross_entropy(0, &FIVE[..3], 1., &mut [0.; 2]);
    });
    calls.add("cross_entropies_backward", move || {
        let entropies = cross_entropies(&SIX, 3, logits(&[0, 1]), margin);
        drop(cross_entropies_backward(
            &SIX,
            3,
            logits(&[0, 1]),
            &entropies,
            &FIVE,
        ));
    });
}

fn of_triplets(calls: &mut Calls) {
    let ranges = || {
        TripletRanges::select(&SIX, 3, 1., GapInterval::default(), |_, p, n| {
            p.push(0);
            n.push(1);
        })
    };
    calls.add("select", || {
        drop(TripletRanges::select(
            &FIVE,
            3,
            1.,
            GapInterval::default(),
            |_, _, _| {},
        ));
    });
    let margin = TripletMargin {
        sign: 1f32,
        margin: 0.1,
        penalty: TripletPenalty::Hinge,
        low: None,
        high: None,
    };
    calls.add("sum", move || {
        drop(margin.sum(&FIVE, 3, TripletWalk::Ranges(&ranges())));
    });
    calls.add("sum", move || {
        drop(margin.sum(&[0f32; 3], 3, TripletWalk::Set(&ranges())));
    });
    calls.add("sum_with_swap", move || {
        drop(margin.sum_with_swap(&SIX, &SIX, 3, &ranges()));
    });
    calls.add("sum_with_swap", move || {
        drop(margin.sum_with_swap(&FIVE, &[0f32; 9], 3, &ranges()));
    });
    let hinges = BoundaryHinges {
        sign: 1f32,
        margin: 0.1,
        low: None,
        high: None,
    };
    calls.add("active", move || {
        let _ = hinges.active(&SIX, 3, &[0.; 3], TripletWalk::Ranges(&ranges()));
    });
    calls.add("sum", move || {
        drop(hinges.sum(&SIX, 3, &[0.; 1], TripletWalk::Ranges(&ranges())));
    });
    let bins = crate::binned_gaps::GapBins::new(0., 1., 2);
    calls.add("histogram", move || {
        drop(bins.histogram(&[0f32; 3], 3, TripletWalk::Ranges(&ranges())));
    });
    calls.add("weighted_sum", move || {
        drop(bins.weighted_sum(&SIX, 4, TripletWalk::Ranges(&ranges()), &[1.; 2]));
    });
    calls.add("new", || {
        let rows = Triangle {
            anchors: &SIX,
            references: &FOUR,
            dim: 2,
            from_anchor: &SIX,
            among: None,
        };
        drop(AngularTriplets::new(rows, 0.1, 0., |_, _, _| {}));
    });
    calls.add("random_triplets", || {
        let split = |_: usize, p: &mut Vec<u32>, n: &mut Vec<u32>| {
            p.push(0);
            n.push(1);
        };
        let weigh = |_: usize, _: &[u32], weights: &mut Vec<f64>| weights.extend([1., 1.]);
        drop(crate::random_triplets(1, 0, split, |_, _| 9, Some(&weigh)));
    });
}

fn calls() -> Calls {
    let mut calls = Calls::default();
    of_rows(&mut calls);
    of_pairs(&mut calls);
    of_classes(&mut calls);
    of_triplets(&mut calls);
    calls
}

#[test]
fn every_public_kernel_refuses_slices_that_do_not_fit() {
    for (i, (name, call)) in calls().0.iter().enumerate() {
        let message = refusal(&**call);
        let says_why = message.as_ref().is_some_and(|text| {
            text.contains(": expected ") || text.contains("are more than can be counted")
        });
        assert!(says_why, "call {i}, of {name}: {message:?}");
    }
}

/// Public functions that read slices of any length.
const ANY_LENGTH: [&str; 14] = [
    "all_finite",
    "bins",
    "for_each_row_with",
    "gradient",
    "gradients",
    "histogram_of",
    "keeps",
    "map",
    "norm",
    "room",
    "smallest",
    "sum",
    "written",
    "written_chunks",
];

/// The names of the public functions of a source file that take slices.
fn public_functions(text: &str, names: &mut BTreeSet<String>) {
    let code = text.split("#[cfg(test)]").next().unwrap_or(text);
    for function in code.split("pub fn ").skip(1) {
        let name: String = function
            .chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect();
        let signature = function.split(" {\n").next().unwrap_or(function);
        let parameters = signature
            .rsplit_once("->")
            .map_or(signature, |(front, _)| front);
        let reads = [
            "&[T]", "&mut [T]", "&[u8]", "&[i8]", "&[u32]", "&[f64]", "&[&[T]]",
        ];
        let bundles = ["Triangle<"];
        if reads
            .iter()
            .chain(&bundles)
            .any(|slice| parameters.contains(slice))
        {
            names.insert(name);
        }
    }
}

fn visit(folder: &Path, names: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            visit(&path, names);
        } else if path.extension().is_some_and(|ext| ext == "rs") && !path.ends_with("tests.rs") {
            public_functions(&fs::read_to_string(&path).expect("a source file"), names);
        }
    }
}

#[test]
fn no_public_kernel_is_left_out() {
    let mut names = BTreeSet::new();
    visit(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
        &mut names,
    );
    assert!(names.contains("normalize_rows") && names.contains("pairwise_lp"));
    let tried: BTreeSet<&str> = calls().0.iter().map(|(name, _)| *name).collect();
    let left: Vec<&String> = names
        .iter()
        .filter(|name| !tried.contains(name.as_str()) && !ANY_LENGTH.contains(&name.as_str()))
        .collect();
    assert!(
        left.is_empty(),
        "no call with lengths that do not fit: {left:?}"
    );
}
