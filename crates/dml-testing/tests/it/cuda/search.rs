//! Exact search.

use dml::candle_core::{DType, Device, Tensor};
use dml::core::autograd::cuda::Runner;
use dml::core::kernels::cuda::{Precision, top_k};
use dml::eval::{FlatIndex, FlatMetric, KnnIndex, SelfMatch};
use dml_testing::HostKernels;

use super::{draw, on_cuda, var};

#[test]
fn the_index_finds_what_it_finds_on_the_cpu() {
    for dtype in [DType::F32, DType::F64] {
        for metric in [
            FlatMetric::SquaredEuclidean,
            FlatMetric::InnerProduct,
            FlatMetric::Cosine,
        ] {
            // Half of the references come twice: ties go to the lower row.
            let rows = draw(8, 150, 5);
            let references = var(&[rows.clone(), rows].concat(), &[300, 5], dtype);
            let mut index = FlatIndex::new(metric);
            index.add(&references).unwrap();
            let queries = references.narrow(0, 100, 60).unwrap();
            let own: Vec<Option<u32>> =
                (100..160).map(|row| (row % 3 > 0).then_some(row)).collect();
            for k in [1, 7, 200, 299] {
                for own in [SelfMatch::None, SelfMatch::Rows(&own)] {
                    let want = index.search_others(&queries, k, own).unwrap();
                    let Some(got) = on_cuda(|| index.search_others(&queries, k, own)) else {
                        return;
                    };
                    let got = got.unwrap();
                    assert_eq!(got.indices, want.indices, "{metric:?}, k {k}, {dtype:?}");
                    // Rows of length 1 come from another form of the division, which a GPU's queries are spared.
                    let tolerance = if metric == FlatMetric::Cosine {
                        1e-6
                    } else {
                        0.0
                    };
                    for (got, want) in got.distances.iter().zip(&want.distances) {
                        assert!(
                            (got - want).abs() <= tolerance,
                            "{metric:?}, k {k}: {got} {want}"
                        );
                    }
                }
            }
            // References that come later are searched, too.
            index.add(&queries).unwrap();
            let found = on_cuda(|| index.search(&queries, 2)).unwrap().unwrap();
            assert_eq!(found.indices, index.search(&queries, 2).unwrap().indices);
        }
    }
}

#[test]
fn a_query_that_rounding_leaves_uncertain_is_searched_again() {
    // Far from the origin, squared norms in single precision do not tell these rows apart.
    let rows: Vec<f64> = (0..200)
        .flat_map(|i| [4096.0 + f64::from(i % 97) / 64.0, 4096.0])
        .collect();
    let references = var(&rows, &[200, 2], DType::F32);
    let mut index = FlatIndex::new(FlatMetric::SquaredEuclidean);
    index.add(&references).unwrap();
    let want = index.search(&references, 3).unwrap();
    let Some(got) = on_cuda(|| index.search(&references, 3)) else {
        return;
    };
    assert_eq!(got.unwrap(), want);
}

#[test]
fn tiles_one_after_the_other_give_the_best_of_all() {
    let Some(kernels) = HostKernels::get().unwrap() else {
        return;
    };
    let (queries, width, k) = (3, 5000, 40);
    // Few different values: many ties.
    let products: Vec<f64> = draw(9, queries, width)
        .iter()
        .map(|x| (x * 50.0).round())
        .collect();
    let norms = vec![0.5; width];
    let tensor = |values: &[f64], shape: (usize, usize)| {
        Tensor::from_slice(values, shape, &Device::Cpu).unwrap()
    };
    let mut keys = tensor(&vec![f64::INFINITY; queries * k], (queries, k));
    let mut rows = Tensor::from_vec(vec![-1i64; queries * k], (queries, k), &Device::Cpu).unwrap();
    let own = Tensor::new(&[-1i64, 2, 4999], &Device::Cpu).unwrap();
    for (start, tile) in [(0, 1), (1, 2047), (2048, 2952)] {
        let columns: Vec<f64> = products
            .chunks(width)
            .flat_map(|row| row[start..start + tile].to_vec())
            .collect();
        let launch = top_k::take(queries, tile, start, k, -2.0);
        let columns = tensor(&columns, (queries, tile));
        let norms = Tensor::from_slice(&norms[start..start + tile], tile, &Device::Cpu).unwrap();
        let inputs = [columns, norms, own.clone(), keys, rows];
        let mut best = kernels.run(&launch, Precision::F64, &inputs).unwrap();
        rows = best.pop().unwrap();
        keys = best.pop().unwrap();
    }
    let (keys, rows) = (
        keys.to_vec1::<f64>().unwrap(),
        rows.to_vec1::<i64>().unwrap(),
    );
    for (q, own) in [-1i64, 2, 4999].into_iter().enumerate() {
        let mut all: Vec<(f64, i64)> = (0..width)
            .map(|r| (-2.0 * products[q * width + r] + 0.5, r as i64))
            .filter(|(_, r)| *r != own)
            .collect();
        all.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let got: Vec<(f64, i64)> = (q * k..(q + 1) * k).map(|i| (keys[i], rows[i])).collect();
        assert_eq!(got, all[..k]);
    }
}
