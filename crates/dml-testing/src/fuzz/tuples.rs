//! Tuples that were given by hand, into every loss and miner.

use std::sync::{Arc, OnceLock};

use dml::candle_core::Var;
use dml::config::{ConfigError, LossConfig, MinerConfig, MinerKind, from_value};
use dml::core::kernels::PairMask;
use dml::distances::LpDistance;
use dml::losses::one_positive_pair_per_label;
use dml::miners::{HDCMiner, HDCMinerConfig};
use dml::{Batch, Miner, Objective, Pairs, Triplets, Tuples};

use super::configuration::{Role, defaults};
use super::rows;

const ROWS: u32 = 6;
const DIM: usize = 4;

/// The first byte says what kind of tuples, the second one and those after it how long the lists are, and the rest are their
/// entries: a byte below 200 is a row number modulo 8, so that 6 and 7 point outside; others are large.
pub(super) fn run(bytes: &[u8]) {
    let Some(case) = Case::read(bytes) else {
        return;
    };
    let embeddings = Var::from_tensor(&rows(ROWS as usize, DIM, 1.3));
    let embeddings = embeddings.expect("a variable of numbers");
    let batch = Batch::new(&embeddings, [0i64, 0, 1, 1, 2, 2]).expect("a label for each row");
    for (name, objective) in objectives() {
        let outcome = objective.evaluate_tuples(&batch, &case.tuples);
        let loss = outcome.and_then(|outcome| Ok(outcome.loss.backward()?));
        // Tuples for a memory name places in the memory, which has more rows than the batch.
        let is_refused = loss.is_err() || name == "CrossBatchMemory";
        assert!(case.is_valid || is_refused, "{name} took {:?}", case.tuples);
    }
    let hdc = HDCMiner::new(HDCMinerConfig::default(), Arc::new(LpDistance::default()));
    let hdc = hdc.expect("the default is in range");
    let filtered = hdc.filter(&batch, &case.tuples);
    assert!(case.is_valid || filtered.is_err(), "HDCMiner.filter");
    for miner in miners() {
        // Most miners pay no attention to what other miners found.
        miner.mine_among(&batch, &case.tuples).ok();
    }
    for taken in [
        case.tuples.triplets(&batch).map(drop),
        case.tuples.pairs(&batch).map(drop),
        case.tuples.mask(&batch).map(drop),
        case.tuples.weights(&batch).map(drop),
        one_positive_pair_per_label(&batch, &case.tuples).map(drop),
    ] {
        assert!(case.is_valid || taken.is_err(), "{:?}", case.tuples);
    }
}

struct Case {
    tuples: Tuples,
    is_valid: bool,
}

impl Case {
    fn read(bytes: &[u8]) -> Option<Self> {
        let (&kind, rest) = bytes.split_first()?;
        let (lengths, entries) = rest.split_at_checked(4)?;
        let mut entries = entries.iter().copied().map(entry);
        let mut list =
            |length: u8| -> Vec<u32> { entries.by_ref().take(usize::from(length % 12)).collect() };
        let lists: Vec<Vec<u32>> = lengths.iter().map(|length| list(*length)).collect();
        let lists: [Vec<u32>; 4] = lists.try_into().ok()?;
        let inside = |lists: &[Vec<u32>]| lists.iter().flatten().all(|row| *row < ROWS);
        let [a, b, c, d] = lists.clone();
        Some(match kind % 3 {
            0 => Self {
                is_valid: a.len() == b.len() && c.len() == d.len() && inside(&lists),
                // Not by `new`, which compares lengths: the lists are public.
                tuples: Pairs {
                    positive_anchors: a,
                    positives: b,
                    negative_anchors: c,
                    negatives: d,
                }
                .into(),
            },
            1 => Self {
                is_valid: a.len() == b.len() && a.len() == c.len() && inside(&lists[..3]),
                tuples: Triplets {
                    anchors: a,
                    positives: b,
                    negatives: c,
                }
                .into(),
            },
            _ => {
                let (queries, references) = (a.len() + 1, b.len() + 1);
                let mask = PairMask::select(queries, references, |q, p, n, _: &mut ()| {
                    p.insert_if(c.len() % references, q % 2 == 0);
                    n.insert_if(d.len() % references, q % 3 == 0);
                });
                Self {
                    // A mask of the first rows only says nothing about the others.
                    is_valid: queries.max(references) <= ROWS as usize,
                    tuples: Tuples::from_set(mask),
                }
            }
        })
    }
}

fn entry(byte: u8) -> u32 {
    match byte {
        0..200 => u32::from(byte % 8),
        200..220 => u32::from(byte) << 8,
        220..240 => u32::MAX - u32::from(byte),
        _ => u32::MAX,
    }
}

/// Every loss with its name and defaults, for the width of the rows.
fn objectives() -> &'static [(String, Objective)] {
    static OBJECTIVES: OnceLock<Vec<(String, Objective)>> = OnceLock::new();
    OBJECTIVES.get_or_init(|| {
        let losses = defaults()
            .into_iter()
            .filter(|(role, _)| *role == Role::Loss);
        let built = losses.map(|(_, config)| -> Result<_, ConfigError> {
            let config = from_value::<LossConfig>(config)?;
            Ok((config.loss.name().to_owned(), config.build()?))
        });
        built
            .collect::<Result<_, _>>()
            .expect("the defaults are in range")
    })
}

fn miners() -> &'static [Arc<dyn Miner>] {
    static MINERS: OnceLock<Vec<Arc<dyn Miner>>> = OnceLock::new();
    MINERS.get_or_init(|| {
        let built = MinerKind::NAMES
            .iter()
            .map(|name| MinerConfig::from_json(name)?.build());
        built
            .collect::<Result<_, _>>()
            .expect("the defaults are in range")
    })
}

/// Valid tuples, tuples of which a row is outside, and lists of unequal length, of every kind.
pub(super) fn seeds() -> Vec<Vec<u8>> {
    vec![
        vec![0, 2, 2, 3, 3, 0, 2, 1, 3, 0, 0, 2, 2, 3, 4],
        vec![1, 3, 3, 3, 0, 0, 1, 2, 1, 0, 3, 2, 3, 4],
        vec![1, 1, 1, 1, 0, 0, 7, 2],
        vec![1, 1, 1, 1, 0, 255, 1, 2],
        vec![1, 2, 1, 2, 0, 0, 1, 1, 4, 5],
        vec![0, 1, 0, 0, 1, 0, 2],
        vec![0, 0, 0, 0, 0],
        vec![2, 5, 5, 2, 3, 0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0, 0, 0, 0, 0],
        vec![2, 7, 5, 2, 3],
    ]
}
