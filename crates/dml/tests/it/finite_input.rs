//! Rows of finite numbers, however small or large, have finite losses with finite gradients.

use dml::candle_core::DType;
use dml::config::LossKind;

use crate::registry::{
    DTYPES, Hostile, batch, gradient, in_both_forms, leaf, number, objective, rows,
};

/// What the numbers of a row are: nothing at all, almost nothing, and more than single precision can square.
const HOSTILE: [f64; 3] = [0.0, 1e-30, 1e30];

/// Whether there is a finite answer that the element type can hold.
///
/// Half precision ends at 65,504: 1e30 is infinite there before any loss sees it. Squares of 1e30 are 1e60, and single
/// precision ends at 3.4e38. Losses without squares of rows as they come divide rows by their length first, or are linear
/// in it, so that 1e30 is a length as any other.
fn has_finite_answer(squares_embeddings: bool, value: f64, dtype: DType) -> bool {
    match dtype {
        DType::F16 => value < 65_504.0,
        DType::F64 => true,
        _ => value < 1e19 || !squares_embeddings,
    }
}

#[test]
fn finite_rows_have_finite_losses_and_gradients() {
    let broken = std::cell::RefCell::new(Vec::new());
    for name in LossKind::NAMES {
        let profile = LossKind::profile(name).unwrap();
        in_both_forms(|form| {
            for (seed, dtype) in (20..).zip(DTYPES) {
                for hostile in [Hostile::None, Hostile::One, Hostile::Two, Hostile::All] {
                    for value in HOSTILE {
                        let is_sound = matches!(hostile, Hostile::None);
                        let (x, labels) = rows(seed, hostile, value);
                        let x = leaf(&x, dtype).unwrap();
                        let objective = objective(name, dtype);
                        let evaluated = batch(objective.loss(), &x, &labels).and_then(|batch| {
                            let loss = objective.forward(&batch)?;
                            let slopes = gradient(&loss, &x)?;
                            Ok((number(&loss), slopes))
                        });
                        let what = format!("{name}, {form}, {dtype:?}, {value:e} in {hostile:?}");
                        let (loss, slopes) =
                            evaluated.unwrap_or_else(|error| panic!("{what}: {error}"));
                        if !is_sound && !has_finite_answer(profile.squares_embeddings, value, dtype)
                        {
                            // Not finite, then, and no number that hides it.
                            if loss.is_finite() {
                                broken
                                    .borrow_mut()
                                    .push(format!("{what}: {loss}, a number"));
                            }
                            continue;
                        }
                        let slope = slopes.iter().find(|x| !x.is_finite());
                        if !loss.is_finite() || slope.is_some() {
                            let found = format!("{what}: {loss}, gradient {slope:?}");
                            broken.borrow_mut().push(found);
                        }
                    }
                }
            }
        });
    }
    let broken = broken.into_inner();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}
