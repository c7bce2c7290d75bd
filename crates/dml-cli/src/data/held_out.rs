//! Classes that are held out of the training data: to judge by, and to choose the best epoch by.

use dml::Labels;
use dml::data::{ClassSplit, TestClasses};

use crate::settings::{HeldOut, Problem, Settings, nearest};

/// Rows by what they are for.
#[derive(Debug)]
pub(super) struct HeldOutRows {
    pub(super) train: Vec<usize>,
    pub(super) validation: Vec<usize>,
    pub(super) test: Vec<usize>,
}

impl HeldOutRows {
    /// Takes the test classes out of all, and then the validation classes out of the rest; labels are places of `names`.
    /// Rows of several classes are refused: a held-out class would be learnt from by its other classes' rows.
    pub(super) fn of(
        settings: &Settings,
        labels: &Labels,
        names: &[String],
        has_several: bool,
    ) -> Result<Self, Problem> {
        let data = &settings.data;
        for (field, is_given) in [
            ("data.test_classes", data.test_classes.is_some()),
            ("data.validation_classes", data.validation_classes.is_some()),
        ] {
            if has_several && is_given {
                let sentence = "rows of several classes are not split by class: expected another table or a split";
                return Err(settings.problem(field, sentence));
            }
        }
        let all = (0..labels.len()).collect();
        let split = |field: &str, classes: Option<&HeldOut>, rows| match classes {
            None => Ok((rows, Vec::new())),
            Some(classes) => held_out(settings, field, classes, (labels, names), rows),
        };
        let (train, test) = split("data.test_classes", data.test_classes.as_ref(), all)?;
        let validation = data.validation_classes.as_ref();
        let (train, validation) = split("data.validation_classes", validation, train)?;
        Ok(Self {
            train,
            validation,
            test,
        })
    }
}

/// Splits rows by class: the rest, and the held-out ones.
fn held_out(
    settings: &Settings,
    field: &str,
    classes: &HeldOut,
    (labels, names): (&Labels, &[String]),
    rows: Vec<usize>,
) -> Result<(Vec<usize>, Vec<usize>), Problem> {
    let test = match classes {
        HeldOut::Fraction(fraction) => TestClasses::Fraction {
            fraction: *fraction,
            seed: settings.data.seed,
        },
        HeldOut::Names(held) => {
            let label = |name: &String| {
                let place = names.iter().position(|own| own == name);
                place.map(|place| place as i64).ok_or_else(|| {
                    let meant = nearest(name, names.iter().map(String::as_str));
                    let meant = meant.map_or(String::new(), |own| format!("; did you mean {own}?"));
                    let sentence = format!("{name}: the data has no class of that name{meant}");
                    settings.problem(field, sentence)
                })
            };
            TestClasses::Labels(held.iter().map(label).collect::<Result<_, _>>()?)
        }
    };
    let own: Vec<i64> = rows.iter().map(|&row| labels.as_slice()[row]).collect();
    let split = ClassSplit::new(&own, &test);
    let split = split.map_err(|error| settings.problem(field, error))?;
    let of = |places: &[usize]| places.iter().map(|&place| rows[place]).collect();
    Ok((of(split.train_rows()), of(split.test_rows())))
}
