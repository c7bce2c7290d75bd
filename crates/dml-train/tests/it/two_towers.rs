//! A network for each view.

use candle_core::Tensor;
use dml_core::{Batch, Dataset, Error, Examples, Objective};
use dml_distances::CosineSimilarity;
use dml_losses::{NTXentLoss, NTXentLossConfig};
use dml_nn::Layer;
use dml_reducers::MeanReducer;
use dml_train::{Losses, Method, NamedModule, TrainError, Trainer, TwoStreamMetricLoss};

use crate::blobs::{Blobs, WIDTH, adam, named_module, network, sampler, triplets, weights};

fn tower(name: &str, seed: u64, inputs: usize, outputs: usize) -> NamedModule {
    named_module(name, network(seed, inputs, outputs, 0.0))
        .with_optimizer(adam)
        .unwrap()
}

fn ntxent() -> Objective {
    let config = NTXentLossConfig { temperature: 0.5 };
    let loss = NTXentLoss::new(config, CosineSimilarity::default()).unwrap();
    Objective::new(loss, MeanReducer)
}

fn method(objective: Objective) -> TwoStreamMetricLoss {
    TwoStreamMetricLoss::new(tower("image", 1, WIDTH, 4), objective).with_second_tower(
        tower("text", 2, WIDTH, 5),
        Some(tower("text_head", 3, 5, 4)),
    )
}

fn examples() -> Examples {
    let rows = [0, 8, 16, 1, 9, 17, 2, 10, 18];
    Blobs::new(64, 2).fetch(&rows, 4).unwrap()
}

fn losses(method: &dyn Method) -> dml_core::Result<Losses> {
    let examples = examples();
    let views = examples.views().iter().enumerate();
    let embedded = views.map(|(i, view)| method.represent_view(i, view, true));
    let embedded: Vec<Tensor> = embedded.collect::<dml_core::Result<_>>()?;
    method.losses(&embedded, &examples, 1)
}

fn number(tensor: &Tensor) -> f32 {
    tensor.to_scalar().unwrap()
}

/// Embeddings of the two views, by hand.
fn embeddings() -> dml_core::Result<[Tensor; 2]> {
    let examples = examples();
    let text = network(2, WIDTH, 5, 0.0).forward(&examples.views()[1])?;
    Ok([
        network(1, WIDTH, 4, 0.0).forward(&examples.views()[0])?,
        network(3, 5, 4, 0.0).forward(&text)?,
    ])
}

#[test]
fn each_view_goes_through_its_own_tower() -> Result<(), TrainError> {
    let [image, text] = embeddings()?;
    let examples = examples();
    let labels = examples.labels();
    let of = |a: &Tensor, b: &Tensor| -> dml_core::Result<f32> {
        let batch = Batch::new(a, labels)?.with_reference(b, labels)?;
        Ok(number(&ntxent().forward(&batch)?))
    };
    let (forth, back) = (of(&image, &text)?, of(&text, &image)?);
    assert!((forth - back).abs() > 1e-4);
    let own = losses(&method(ntxent()))?;
    assert!((number(&own.total()?) - forth).abs() < 1e-5);
    let both = losses(&method(ntxent()).symmetric())?;
    assert!((number(&both.total()?) - (forth + back) / 2.0).abs() < 1e-5);
    let names: Vec<&str> = both.values().iter().map(|own| own.name.as_str()).collect();
    assert_eq!(names, ["metric_loss", "metric_loss.reversed"]);
    let method = method(ntxent());
    let embedded = method.embed_view(1, &examples.views()[1])?;
    assert_eq!(embedded.to_vec2::<f32>()?, text.to_vec2::<f32>()?);
    let embedded = method.embed(&examples.views()[0])?;
    assert_eq!(embedded.to_vec2::<f32>()?, image.to_vec2::<f32>()?);
    Ok(())
}

#[test]
fn both_towers_learn_and_a_gradient_cache_changes_nothing() -> Result<(), TrainError> {
    let run = |cache: Option<usize>| -> Result<Trainer<TwoStreamMetricLoss>, TrainError> {
        let data = Blobs::new(64, 2);
        let order = sampler(&data);
        let mut builder = Trainer::builder(method(ntxent()).symmetric(), data, order);
        if let Some(rows) = cache {
            builder = builder.with_gradient_cache(rows);
        }
        let mut trainer = builder.build()?;
        trainer.run(1)?;
        Ok(trainer)
    };
    let (whole, chunked) = (run(None)?, run(Some(5))?);
    let seeds = [
        ("image", 1, WIDTH, 4),
        ("text", 2, WIDTH, 5),
        ("text_head", 3, 5, 4),
    ];
    for (name, seed, inputs, outputs) in seeds {
        let fresh = network(seed, inputs, outputs, 0.0).parameters();
        let all = weights(&whole).into_iter().zip(weights(&chunked));
        for ((own, values), (_, other)) in all {
            let Some(own) = own.strip_prefix(&format!("{name}/")) else {
                continue;
            };
            let start = fresh.get(own).unwrap().flatten_all()?.to_vec1::<f32>()?;
            assert_ne!(values, start, "{name}/{own}");
            let differs = |(a, b): (&f32, &f32)| (a - b).abs() > 1e-3;
            assert!(!values.iter().zip(&other).any(differs), "{name}/{own}");
        }
    }
    let view = &examples().views()[1].clone();
    assert_eq!(whole.embed_view(1, view)?.dims(), [9, 4]);
    Ok(())
}

#[test]
fn towers_that_do_not_fit_are_refused() -> dml_core::Result<()> {
    let long = TwoStreamMetricLoss::new(tower("image", 1, WIDTH, 4), triplets())
        .with_second_tower(tower("text", 2, WIDTH, 5), None);
    let error = losses(&long).unwrap_err();
    assert!(matches!(error, Error::Shape { .. }), "{error}");
    let one = TwoStreamMetricLoss::new(tower("image", 1, WIDTH, 4), triplets())
        .with_second_tower(tower("image", 2, WIDTH, 4), None);
    let data = Blobs::new(64, 2);
    let order = sampler(&data);
    let built = Trainer::builder(one, data, order).build();
    assert!(matches!(built, Err(TrainError::SameName { .. })));
    Ok(())
}

#[test]
fn views_beyond_the_second_are_hard_negatives_of_all_rows() -> dml_core::Result<()> {
    let rows = [0, 8, 16, 1];
    let examples = Blobs::new(64, 4).fetch(&rows, 4)?;
    let own = TwoStreamMetricLoss::new(tower("text", 1, WIDTH, 4), ntxent());
    let embedded = examples.views().iter();
    let embedded = embedded.map(|view| own.embed(view));
    let embedded: Vec<Tensor> = embedded.collect::<dml_core::Result<_>>()?;
    let found = number(&own.losses(&embedded, &examples, 1)?.total()?);

    // By hand: every anchor against the second view, where labels tell, and both further ones, where nothing matches.
    let unit: Vec<Vec<Vec<f32>>> = embedded
        .iter()
        .map(|view| {
            dml_core::TensorExt::normalize_rows(view, 2.0)?
                .to_vec2::<f32>()
                .map_err(Into::into)
        })
        .collect::<dml_core::Result<_>>()?;
    let dot = |a: &[f32], b: &[f32]| -> f64 {
        let products = a.iter().zip(b).map(|(a, b)| f64::from(a * b));
        products.sum::<f64>() / 0.5
    };
    let labels = examples.labels().as_slice();
    let mut losses = Vec::new();
    for (i, anchor) in unit[0].iter().enumerate() {
        let of_second = unit[1].iter().zip(labels);
        let others: f64 = of_second
            .clone()
            .filter(|(_, label)| **label != labels[i])
            .map(|(row, _)| dot(anchor, row).exp())
            .chain(unit[2..].concat().iter().map(|row| dot(anchor, row).exp()))
            .sum();
        for (row, _) in of_second.filter(|(_, label)| **label == labels[i]) {
            let near = dot(anchor, row);
            losses.push((near.exp() + others).ln() - near);
        }
    }
    let expected = losses.iter().sum::<f64>() / losses.len() as f64;
    assert!(
        (f64::from(found) - expected).abs() < 1e-4,
        "{found} {expected}"
    );

    let symmetric = TwoStreamMetricLoss::new(tower("text", 1, WIDTH, 4), ntxent()).symmetric();
    let refused = symmetric.losses(&embedded, &examples, 1).unwrap_err();
    assert!(refused.to_string().contains("hard negatives"), "{refused}");
    Ok(())
}
