//! Values by hand, and what holds for any batch.

use candle_core::{DType, Device, Var};
use dml_core::{PairKind, Triplets};
use dml_distances::{CosineSimilarity, LpDistance};

use super::*;

fn margin(margin: f64) -> CentroidTripletLossConfig {
    CentroidTripletLossConfig {
        margin,
        ..Default::default()
    }
}

fn loss(config: CentroidTripletLossConfig) -> Result<CentroidTripletLoss> {
    CentroidTripletLoss::new(config, Arc::new(LpDistance::unnormalized()))
}

fn list(loss: &CentroidTripletLoss, batch: &Batch) -> Result<(Vec<f64>, Vec<u32>)> {
    let terms = loss.terms(batch, &Tuples::all())?;
    let (values, indices) = terms.get("loss").unwrap().values()?;
    Ok((values.to_vec1()?, indices.anchors().to_vec()))
}

/// Rows of an uneven curve, with labels of three classes and one of its own.
fn scattered() -> Result<(Var, Vec<i64>)> {
    let values: Vec<f64> = (0..30).map(|i| (f64::from(i) * 1.7).sin()).collect();
    let rows = Var::from_tensor(&Tensor::from_vec(values, (10, 3), &Device::Cpu)?)?;
    Ok((rows, vec![5, -1, 5, 3, 3, -1, 5, 3, -1, 8]))
}

#[test]
fn value_and_gradient_by_hand() -> Result<()> {
    let rows = Var::new(&[[0f64], [1.], [3.], [2.]], &Device::Cpu)?;
    let batch = Batch::new(&rows, [0i64, 0, 0, 1])?;
    let terms = loss(margin(1.0))?.terms(&batch, &Tuples::all())?;
    let (values, _) = terms.get("loss").unwrap().values()?;
    // Row 1: its class is at (0 + 3) / 2, the other at 2; row 3 is alone and no anchor.
    assert_eq!(values.to_vec1::<f64>()?, [1.0, 0.5, 2.5]);
    let gradient = values.narrow(0, 1, 1)?.sum_all()?.backward()?;
    let gradient = gradient.get(rows.as_tensor()).unwrap().to_vec2::<f64>()?;
    // ½(x₀ + x₂) − x₁ − (x₃ − x₁) + 1
    assert_eq!(gradient, [[0.5], [0.0], [0.5], [-1.0]]);
    Ok(())
}

#[test]
fn softplus_and_swap_by_hand() -> Result<()> {
    let rows = Var::new(&[[0f64], [4.], [5.]], &Device::Cpu)?;
    let batch = Batch::new(&rows, [0i64, 0, 1])?;
    let config = CentroidTripletLossConfig {
        swap: true,
        smooth_loss: true,
        ..margin(0.0)
    };
    // The centroid of row 0 is row 4, and that is 1 from 5, where row 0 is 5 from it.
    let (values, _) = list(&loss(config)?, &batch)?;
    for (got, v) in values.iter().zip([4.0f64 - 1.0, 4.0 - 1.0]) {
        assert!((got - v.exp().ln_1p()).abs() < 1e-12);
    }
    Ok(())
}

#[test]
fn the_anchor_is_left_out_of_its_own_centroid() -> Result<()> {
    let (rows, labels) = scattered()?;
    let batch = Batch::new(&rows, labels.clone())?;
    let (values, anchors) = list(&loss(margin(100.0))?, &batch)?;
    // 3 anchors of each of 3 classes, 3 other classes each.
    assert_eq!(values.len(), 27);
    let rows = rows.to_vec2::<f64>()?;
    let mean = |keep: &dyn Fn(usize) -> bool| -> Vec<f64> {
        let members: Vec<&Vec<f64>> = (0..10).filter(|&i| keep(i)).map(|i| &rows[i]).collect();
        (0..3)
            .map(|k| members.iter().map(|row| row[k]).sum::<f64>() / members.len() as f64)
            .collect()
    };
    let distance = |x: &[f64], y: &[f64]| -> f64 {
        x.iter()
            .zip(y)
            .map(|(x, y)| (x - y).powi(2))
            .sum::<f64>()
            .sqrt()
    };
    let mut want = Vec::new();
    for a in 0..9 {
        let own = mean(&|i| labels[i] == labels[a] && i != a);
        for class in [-1i64, 3, 5, 8] {
            if class != labels[a] {
                let other = mean(&|i| labels[i] == class);
                let v = distance(&rows[a], &own) - distance(&rows[a], &other) + 100.0;
                want.push((a as u32, v));
            }
        }
    }
    for (i, (anchor, value)) in want.into_iter().enumerate() {
        assert_eq!(anchors[i], anchor);
        assert!((values[i] - value).abs() < 1e-10, "{i}");
    }
    Ok(())
}

#[test]
fn neither_the_order_of_rows_nor_the_names_of_classes_matter() -> Result<()> {
    let (rows, labels) = scattered()?;
    for distance in [
        Arc::new(LpDistance::default()) as Arc<dyn Distance>,
        Arc::new(CosineSimilarity::default()),
    ] {
        let loss = CentroidTripletLoss::new(margin(0.3), distance)?;
        let sum = |rows: &Tensor, labels: &[i64]| -> Result<f64> {
            let batch = Batch::new(rows, labels)?;
            Ok(list(&loss, &batch)?.0.iter().sum())
        };
        let want = sum(&rows, &labels)?;
        let order: Vec<u32> = vec![9, 2, 4, 0, 7, 1, 8, 3, 6, 5];
        let moved = rows.index_select(&Tensor::new(order.as_slice(), &Device::Cpu)?, 0)?;
        let renamed: Vec<i64> = order.iter().map(|&i| 100 - labels[i as usize]).collect();
        assert!((sum(&moved, &renamed)? - want).abs() < 1e-9);
    }
    Ok(())
}

#[test]
fn the_gradient_is_that_of_central_differences() -> Result<()> {
    let (rows, labels) = scattered()?;
    let config = CentroidTripletLossConfig {
        swap: true,
        smooth_loss: true,
        ..margin(0.1)
    };
    let loss = loss(config)?;
    let value = |rows: &Tensor| -> Result<Tensor> {
        let terms = loss.terms(&Batch::new(rows, labels.as_slice())?, &Tuples::all())?;
        Ok(terms.get("loss").unwrap().values()?.0.sum_all()?)
    };
    let gradient = value(&rows)?.backward()?;
    let gradient: Vec<f64> = gradient
        .get(rows.as_tensor())
        .unwrap()
        .flatten_all()?
        .to_vec1()?;
    let start: Vec<f64> = rows.flatten_all()?.to_vec1()?;
    for i in 0..30 {
        let at = |step: f64| -> Result<f64> {
            let mut moved = start.clone();
            moved[i] += step;
            let moved = Tensor::from_vec(moved, (10, 3), &Device::Cpu)?;
            Ok(value(&moved)?.to_scalar()?)
        };
        let slope = (at(1e-6)? - at(-1e-6)?) / 2e-6;
        assert!(
            (slope - gradient[i]).abs() < 1e-6,
            "{i}: {slope} {}",
            gradient[i]
        );
    }
    Ok(())
}

#[test]
fn references_make_the_centroids() -> Result<()> {
    let rows = Var::new(&[[0f64], [9.]], &Device::Cpu)?;
    let reference = Tensor::new(&[[1f64], [3.], [4.], [0.]], &Device::Cpu)?;
    let batch = Batch::new(&rows, [0i64, 7])?.with_reference(&reference, [0i64, 0, 1, 0])?;
    // The class of query 0 is at 4/3, the other at 4; no reference is of the class of query 1.
    let (values, anchors) = list(&loss(margin(4.0))?, &batch)?;
    assert!((values[0] - 4.0 / 3.0).abs() < 1e-12 && anchors == [0]);
    // Reference 3 is query 0: without it the class is at 2.
    let relation =
        Relation::cross_labels([0i64, 7], [0i64, 0, 1, 0])?.with_self_matches(&[Some(3), None])?;
    let (values, _) = list(&loss(margin(4.0))?, &batch.with_relation(relation)?)?;
    assert_eq!(values, [2.0]);
    Ok(())
}

#[test]
fn random_classes_are_as_many_as_asked_and_never_the_own_one() -> Result<()> {
    let (rows, labels) = scattered()?;
    let batch = Batch::new(&rows, labels)?;
    let config = CentroidTripletLossConfig {
        triplets_per_anchor: TripletsPerAnchor::Random(5),
        seed: 3,
        ..margin(100.0)
    };
    let all = list(&loss(margin(100.0))?, &batch)?;
    let (once, again) = (loss(config.clone())?, loss(config)?);
    let first = list(&once, &batch)?;
    assert_eq!(first.0.len(), 45);
    assert_eq!(first, list(&again, &batch)?);
    assert_ne!(first, list(&once, &batch)?);
    for (value, anchor) in first.0.iter().zip(&first.1) {
        let mut known = all.0.iter().zip(&all.1);
        assert!(known.any(|(v, a)| a == anchor && (v - value).abs() < 1e-12));
    }
    Ok(())
}

#[test]
fn nothing_to_do_is_empty_and_errors_name_their_cause() -> Result<()> {
    let rows = Tensor::zeros((2, 2), DType::F32, &Device::Cpu)?;
    for labels in [[0i64, 0], [0, 1]] {
        let terms = loss(margin(1.0))?.terms(&Batch::new(&rows, labels)?, &Tuples::all())?;
        assert!(terms.get("loss").unwrap().is_empty());
    }
    let none = Tensor::zeros((0, 2), DType::F32, &Device::Cpu)?;
    let terms = loss(margin(1.0))?.terms(&Batch::new(&none, Vec::<i64>::new())?, &Tuples::all())?;
    assert!(terms.get("loss").unwrap().is_empty());
    let batch = Batch::new(&rows, [0i64, 0])?;
    let triplets = Triplets::new(vec![0], vec![1], vec![1])?;
    assert!(matches!(
        loss(margin(1.0))?.terms(&batch, &triplets.into()),
        Err(Error::Unsupported { .. })
    ));
    let by_hand = batch.with_relation(Relation::closure(2, 2, |_, _| PairKind::POSITIVE))?;
    assert!(matches!(
        loss(margin(1.0))?.terms(&by_hand, &Tuples::all()),
        Err(Error::Missing {
            needed: "labels",
            ..
        })
    ));
    assert!(matches!(
        loss(margin(f64::NAN)),
        Err(Error::InvalidParameter { name: "margin", .. })
    ));
    Ok(())
}
