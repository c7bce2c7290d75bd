use std::sync::Arc;

use candle_core::{Device, Tensor};
use dml_core::{Error, Labels, PairKind, Relation, Result};

use super::*;
use crate::accuracy::{
    AccuracyCalculator, AccuracyCalculatorConfig, AccuracyMetric, LabelRelation,
};
use crate::index::FlatIndex;

fn calculator() -> AccuracyCalculator {
    let config = AccuracyCalculatorConfig {
        include: vec![AccuracyMetric::PrecisionAt1],
        ..Default::default()
    };
    AccuracyCalculator::new(config, FlatIndex::default()).unwrap()
}

fn plain() -> TesterConfig {
    TesterConfig {
        normalize_embeddings: false,
        batch_size: 2,
        ..Default::default()
    }
}

fn line(places: &[f32]) -> Arc<Tensor> {
    Arc::new(Tensor::from_slice(places, (places.len(), 1), &Device::Cpu).unwrap())
}

fn identity(x: &Tensor) -> candle_core::Result<Tensor> {
    Ok(x.clone())
}

/// Two levels: cats (0, 1) and dogs (2, 3).
fn splits() -> Vec<TestSplit> {
    let split = |name, places: &[f32], labels: &[i64], parents: &[i64]| {
        TestSplit::new(name, line(places), labels)
            .and_then(|split| split.with_parent_labels(parents))
            .unwrap()
    };
    vec![
        split(
            "train",
            &[0., 1., 2., 3., 4.],
            &[0, 2, 1, 3, 0],
            &[0, 1, 0, 1, 0],
        ),
        split("test", &[0.1, 0.9, 2.4], &[0, 0, 3], &[0, 0, 1]),
    ]
}

#[test]
fn queries_among_other_splits_among_themselves_and_among_both() -> Result<()> {
    let config = TesterConfig {
        label_hierarchy_level: LabelLevels::All,
        ..plain()
    };
    let tester = GlobalEmbeddingSpaceTester::new(config, calculator())?;
    let (train, both): (&[&str], &[&str]) = (&["train"], &["train", "test"]);
    let found = tester.test(&splits(), Some(&[("test", train)]), &identity, None)?;
    assert_eq!(
        (found.len(), &found[0].references[..]),
        (1, &["train".to_owned()][..])
    );
    // Nearest: 0 (class 0), 1 (class 2, a dog), 2 (class 1, a cat).
    assert_eq!(found[0].get("precision_at_1_level0"), Some(1. / 3.));
    assert_eq!(found[0].get("precision_at_1_level1"), Some(1. / 3.));
    assert_eq!(found[0].get("AVERAGE_precision_at_1"), Some(1. / 3.));
    // By itself: 0.1 and 0.9 find each other, 2.4 is lone.
    let found = tester.test(&splits(), None, &identity, None)?;
    assert_eq!(
        (found[0].query.as_str(), found[1].query.as_str()),
        ("train", "test")
    );
    assert_eq!(found[1].get("precision_at_1_level0"), Some(1.0));
    // Among both, no row finds itself; the nearest of 0.1 is 0, of 0.9 it is 1, of 2.4 it is 2.
    let found = tester.test(&splits(), Some(&[("test", both)]), &identity, None)?;
    assert_eq!(found[0].references, ["test", "train"]);
    assert_eq!(found[0].get("precision_at_1_level0"), Some(1. / 3.));
    assert_eq!(found[0].get("NMI_level0"), None);
    Ok(())
}

#[test]
fn with_the_same_parent_other_parents_are_not_in_the_way() -> Result<()> {
    let tester = WithSameParentLabelTester::new(plain(), calculator())?;
    let train: &[&str] = &["train"];
    let found = tester.test(&splits(), Some(&[("test", train)]), &identity, None)?;
    // Cats at 0, 2 and 4: 0.1 and 0.9 find 0. Dogs at 1 and 3: 2.4 finds 3.
    assert_eq!(found[0].values, [("precision_at_1_level0".to_owned(), 1.0)]);
    // The coarsest level has no parents.
    let config = TesterConfig {
        label_hierarchy_level: LabelLevels::One(1),
        ..plain()
    };
    let coarse = WithSameParentLabelTester::new(config, calculator())?;
    assert!(matches!(
        coarse.test(&splits(), None, &identity, None),
        Err(Error::Missing {
            component: "WithSameParentLabelTester",
            ..
        })
    ));
    Ok(())
}

#[test]
fn parents_without_a_value_are_left_out_and_none_with_one_is_nan() -> Result<()> {
    let config = AccuracyCalculatorConfig {
        include: vec![AccuracyMetric::PrecisionAt1, AccuracyMetric::NMI],
        ..Default::default()
    };
    let calculator = AccuracyCalculator::new(config, FlatIndex::default())?;
    let all = TesterConfig {
        label_hierarchy_level: LabelLevels::All,
        ..plain()
    };
    let tester = WithSameParentLabelTester::new(all, calculator)?;
    let split = |name, places: &[f32], labels: &[i64], parents: &[i64], roots: &[i64]| {
        TestSplit::new(name, line(places), labels)
            .and_then(|split| split.with_parent_labels(parents))
            .and_then(|split| split.with_parent_labels(roots))
    };
    let value = |splits: &[TestSplit], references: &[&str], name: &str| -> Result<f64> {
        let found = tester.test(splits, Some(&[("query", references)]), &identity, None)?;
        Ok(found[0].get(name).unwrap())
    };
    // One parent's queries are lone, those of the other find each other.
    let query = split(
        "query",
        &[0., 1., 5., 6.],
        &[0, 1, 2, 2],
        &[0, 0, 1, 1],
        &[0; 4],
    )?;
    let splits = [query];
    assert_eq!(value(&splits, &["query"], "precision_at_1_level0")?, 1.0);
    // All are lone: no ranking has a value, while clusters need no neighbours.
    let query = split(
        "query",
        &[0., 1., 5., 6.],
        &[0, 1, 2, 3],
        &[0, 0, 1, 1],
        &[0; 4],
    )?;
    let splits = [query];
    assert!(value(&splits, &["query"], "precision_at_1_level0")?.is_nan());
    assert_eq!(value(&splits, &["query"], "NMI_level0")?, 1.0);
    assert_eq!(value(&splits, &["query"], "precision_at_1_level1")?, 1.0);
    assert!(value(&splits, &["query"], "AVERAGE_precision_at_1")?.is_nan());
    // No parent has references, at either level: every metric is there, and has no value.
    for (parent, root) in [(9, 0), (0, 9), (9, 9)] {
        let query = split("query", &[0., 1.], &[0, 0], &[0, 0], &[0, 0])?;
        let train = split("train", &[0., 1.], &[0, 0], &[parent; 2], &[root; 2])?;
        let splits = [query, train];
        for (level, other) in [(0, parent), (1, root)] {
            let nmi = value(&splits, &["train"], &format!("NMI_level{level}"))?;
            assert_eq!(nmi.is_nan(), other == 9, "{level}: {nmi}");
            let precision = value(&splits, &["train"], &format!("precision_at_1_level{level}"))?;
            assert!(precision.is_nan() || other != 9, "{level}: {precision}");
        }
        assert!(value(&splits, &["train"], "AVERAGE_NMI")?.is_nan());
    }
    Ok(())
}

#[test]
fn first_inputs_among_second_ones() -> Result<()> {
    let tester = GlobalTwoStreamEmbeddingSpaceTester::new(plain(), calculator())?;
    let split = TestSplit::new("test", line(&[0., 1., 5.]), [0i64, 1, 2])?;
    assert!(matches!(
        tester.test(std::slice::from_ref(&split), None, &identity, None),
        Err(Error::Missing { .. })
    ));
    let split = split.with_second_inputs(line(&[0.9, 1.2, 5.]))?;
    // 0 finds 0.9, its own; 1 finds 0.9, not its own; 5 finds 5, which is another thing of its label.
    let found = tester.test(&[split], None, &identity, None)?;
    assert_eq!(found[0].get("precision_at_1_level0"), Some(2. / 3.));
    let train: &[&str] = &["train"];
    assert!(matches!(
        tester.test(&splits(), Some(&[("test", train)]), &identity, None),
        Err(Error::Unsupported { .. })
    ));
    Ok(())
}

#[test]
fn trunk_embedder_and_norm() -> Result<()> {
    // The trunk mixes the classes up, the embedder puts them back.
    let trunk = |x: &Tensor| x.affine(0.0, 1.0)?.broadcast_mul(x);
    let flip = |x: &Tensor| x.affine(-1.0, 0.0);
    let rows = |rows: [[f32; 2]; 3]| Arc::new(Tensor::new(&rows, &Device::Cpu).unwrap());
    // By direction the first two are alike, by place the last two.
    let split = TestSplit::new("all", rows([[9., 0.], [1., 0.1], [0., 1.]]), [0i64, 0, 1])?;
    let value = |config: TesterConfig| -> Result<f64> {
        let tester = GlobalEmbeddingSpaceTester::new(config, calculator())?;
        let found = tester.test(std::slice::from_ref(&split), None, &trunk, Some(&flip))?;
        Ok(found[0].get("precision_at_1_level0").unwrap())
    };
    assert_eq!(value(TesterConfig::default())?, 1.0);
    assert_eq!(value(plain())?, 0.5);
    let config = TesterConfig {
        use_trunk_output: true,
        ..Default::default()
    };
    assert_eq!(value(config)?, 1.0);
    Ok(())
}

#[test]
fn one_pca_serves_all_splits() -> Result<()> {
    let rows: Vec<f32> = (0..60).map(|i| ((i * i * 7) % 31) as f32 / 9.0).collect();
    let rows = Arc::new(Tensor::from_vec(rows, (20, 3), &Device::Cpu)?);
    let labels: Vec<i64> = (0..20).collect();
    let train = TestSplit::new("train", rows.clone(), &labels)?;
    // The same rows, but only some of them: by a PCA of its own they would lie elsewhere.
    let some = Arc::new(rows.narrow(0, 5, 4)?);
    let test = TestSplit::new("test", some, &labels[5..9])?;
    let config = TesterConfig {
        pca: Some(2),
        ..Default::default()
    };
    let tester = GlobalEmbeddingSpaceTester::new(config.clone(), calculator())?;
    let reference: &[&str] = &["train"];
    let found = tester.test(
        &[train, test.clone()],
        Some(&[("test", reference)]),
        &identity,
        None,
    )?;
    assert_eq!(found[0].get("precision_at_1_level0"), Some(1.0));
    // More components than columns.
    let tester = GlobalEmbeddingSpaceTester::new(
        TesterConfig {
            pca: Some(4),
            ..config
        },
        calculator(),
    )?;
    assert!(matches!(
        tester.test(&[test], None, &identity, None),
        Err(Error::InvalidParameter {
            name: "components",
            ..
        })
    ));
    Ok(())
}

#[test]
fn half_precision_among_themselves() -> Result<()> {
    // Each split by itself: the references are the queries.
    let tester = GlobalEmbeddingSpaceTester::new(plain(), calculator())?;
    for dtype in [candle_core::DType::F16, candle_core::DType::BF16] {
        let narrow = |x: &Tensor| x.to_dtype(dtype);
        let split = TestSplit::new("all", line(&[0., 1., 5., 6.]), [0i64, 0, 1, 1])?;
        let found = tester.test(&[split], None, &narrow, None)?;
        assert_eq!(
            found[0].get("precision_at_1_level0"),
            Some(1.0),
            "{dtype:?}"
        );
    }
    Ok(())
}

/// Labels match if those one level up do.
#[derive(Debug)]
struct ByParent;

impl LabelRelation for ByParent {
    fn relation(&self, query: &[Labels], reference: &[Labels]) -> Result<Relation> {
        let (Some(query), Some(reference)) = (query.get(1), reference.get(1)) else {
            return Err(Error::Missing {
                component: "ByParent",
                needed: "parents",
            });
        };
        let (query, reference) = (query.clone(), reference.clone());
        let (queries, references) = (query.len(), reference.len());
        Ok(Relation::closure(queries, references, move |q, r| {
            if query.as_slice()[q] == reference.as_slice()[r] {
                PairKind::POSITIVE
            } else {
                PairKind::NEGATIVE
            }
        }))
    }
}

#[test]
fn testers_ask_the_relation_of_labels() -> Result<()> {
    let related = || calculator().with_label_relation(ByParent);
    let tester = GlobalEmbeddingSpaceTester::new(plain(), related())?;
    let (train, both): (&[&str], &[&str]) = (&["train"], &["train", "test"]);
    let found = tester.test(&splits(), Some(&[("test", train)]), &identity, None)?;
    // Nearest of the cats at 0.1 and 0.9 and the dog at 2.4: 0 (a cat), 1 (a dog) and 2 (a cat). By labels alone, none
    // but the first would be asked about; by parents all three have a match.
    let score = found[0].scores[0].accuracies.get("precision_at_1").unwrap();
    assert_eq!(score.per_query, [1.0, 0.0, 0.0]);
    // With the test split among the references no row finds itself.
    let found = tester.test(&splits(), Some(&[("test", both)]), &identity, None)?;
    assert_eq!(found[0].get("precision_at_1_level0"), Some(1. / 3.));
    // Among references of the same parent all match, and only that label is compared.
    let tester = WithSameParentLabelTester::new(plain(), related())?;
    let itself = TestSplit::new("x", line(&[0., 1., 2.]), [0i64, 1, 2])?;
    let itself = itself.with_parent_labels([0i64, 0, 0])?;
    let found = tester.test(&[itself], None, &identity, None)?;
    assert_eq!(found[0].get("precision_at_1_level0"), Some(1.0));
    let coarse = TesterConfig {
        label_hierarchy_level: LabelLevels::One(1),
        ..plain()
    };
    let tester = GlobalEmbeddingSpaceTester::new(coarse, related())?;
    assert!(matches!(
        tester.test(&splits(), None, &identity, None),
        Err(Error::Missing {
            component: "ByParent",
            ..
        })
    ));
    Ok(())
}

#[test]
fn classes_and_queries_are_kept_beside_the_values() -> Result<()> {
    let config = AccuracyCalculatorConfig {
        include: vec![AccuracyMetric::PrecisionAt1],
        return_per_class: true,
        ..Default::default()
    };
    let calculator = AccuracyCalculator::new(config, FlatIndex::default())?;
    let train: &[&str] = &["train"];
    let asked: SplitsToEval<'_> = Some(&[("test", train)]);
    let tester = GlobalEmbeddingSpaceTester::new(plain(), calculator.clone())?;
    let found = tester.test(&splits(), asked, &identity, None)?;
    assert_eq!(found[0].scores.len(), 1);
    let whole = &found[0].scores[0];
    assert_eq!((whole.level, whole.parent), (0, None));
    let score = whole.accuracies.get("precision_at_1").unwrap();
    assert_eq!(score.per_query, [1.0, 0.0, 0.0]);
    assert_eq!(score.per_class, [(0, 0.5), (3, 0.0)]);
    let tester = WithSameParentLabelTester::new(plain(), calculator)?;
    let found = tester.test(&splits(), asked, &identity, None)?;
    let parents: Vec<_> = found[0].scores.iter().map(|scores| scores.parent).collect();
    assert_eq!(parents, [Some(0), Some(1)]);
    let of = |at: usize| {
        let accuracies = &found[0].scores[at].accuracies;
        accuracies.get("precision_at_1").unwrap()
    };
    assert_eq!(of(0).per_query, [1.0, 1.0]);
    assert_eq!(of(1).per_class, [(3, 1.0)]);
    Ok(())
}

#[test]
fn bad_arguments_splits_and_levels_are_refused() -> Result<()> {
    for config in [
        TesterConfig {
            batch_size: 0,
            ..plain()
        },
        TesterConfig {
            pca: Some(0),
            ..plain()
        },
    ] {
        assert!(GlobalEmbeddingSpaceTester::new(config, calculator()).is_err());
    }
    let tester = GlobalEmbeddingSpaceTester::new(plain(), calculator())?;
    let (unknown, none): (&[&str], &[&str]) = (&["other"], &[]);
    for references in [unknown, none] {
        assert!(matches!(
            tester.test(&splits(), Some(&[("test", references)]), &identity, None),
            Err(Error::Unsupported {
                component: "splits_to_eval",
                ..
            })
        ));
    }
    let config = TesterConfig {
        label_hierarchy_level: LabelLevels::Some(vec![0, 2]),
        ..plain()
    };
    let tester = GlobalEmbeddingSpaceTester::new(config, calculator())?;
    assert!(matches!(
        tester.test(&splits(), None, &identity, None),
        Err(Error::Index {
            position: 1,
            limit: 2,
            got: 2,
            ..
        })
    ));
    assert!(matches!(
        TestSplit::new("x", line(&[1.0]), [0i64, 1]),
        Err(Error::Length { arg: "labels", .. })
    ));
    let split = TestSplit::new("x", line(&[1.0]), [0i64])?;
    assert!(split.with_second_inputs(line(&[1.0, 2.0])).is_err());
    let empty = TestSplit::new("x", line(&[]), [0i64; 0])?;
    assert!(matches!(
        GlobalEmbeddingSpaceTester::new(plain(), calculator())?.test(
            &[empty],
            None,
            &identity,
            None
        ),
        Err(Error::Shape { .. })
    ));
    Ok(())
}
