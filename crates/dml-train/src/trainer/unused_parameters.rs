//! Parameters that no gradient reaches.

use candle_core::backprop::GradStore;

use crate::Learner;

/// Watches which parameters have got a gradient, until all have or the time is up.
#[derive(Debug, Default)]
pub(super) struct Reached {
    learners: Vec<Watch>,
    is_done: bool,
}

#[derive(Debug)]
struct Watch {
    /// Steps in which the learner had its turn.
    steps: u64,
    /// Places of the parameters that have got none; `None` when all have, or they were reported.
    missing: Option<Vec<usize>>,
}

/// What a step is for a learner.
pub(super) struct Turn<'a> {
    pub(super) learner: &'a Learner,
    /// Whether a gradient is to be expected.
    pub(super) expected: bool,
    /// In how many steps there must have been one.
    pub(super) within: u64,
}

impl Reached {
    /// Whether there is nothing left to watch.
    pub(super) fn is_done(&self) -> bool {
        self.is_done
    }

    /// Takes the gradients of a step in, and returns the parameters whose time is up, as `part/parameter`. They are not
    /// watched any more if `reports_once`.
    pub(super) fn observe(
        &mut self,
        turns: &[Turn<'_>],
        gradients: &GradStore,
        reports_once: bool,
    ) -> Vec<String> {
        if self.learners.len() != turns.len() {
            let watch = |turn: &Turn<'_>| Watch {
                steps: 0,
                missing: Some((0..turn.learner.parameters().len()).collect()),
            };
            self.learners = turns.iter().map(watch).collect();
        }
        let mut unused = Vec::new();
        for (watch, turn) in self.learners.iter_mut().zip(turns) {
            let Some(missing) = &mut watch.missing else {
                continue;
            };
            if !turn.learner.learns() {
                watch.missing = None;
                continue;
            }
            let moved: Vec<_> = turn.learner.moved().collect();
            missing.retain(|place| {
                moved
                    .get(*place)
                    .is_some_and(|var| gradients.get(var).is_none())
            });
            if missing.is_empty() {
                watch.missing = None;
                continue;
            }
            if !turn.expected {
                continue;
            }
            watch.steps = watch.steps.saturating_add(1);
            if watch.steps < turn.within {
                continue;
            }
            let parameters = turn.learner.parameters();
            let names = missing.iter().filter_map(|place| parameters.get(*place));
            unused.extend(names.map(|(name, _)| format!("{}/{name}", turn.learner.name())));
            if reports_once {
                watch.missing = None;
            }
        }
        self.is_done = self.learners.iter().all(|watch| watch.missing.is_none());
        unused
    }
}
