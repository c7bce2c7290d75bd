//! Batches fetched ahead of time by any number of threads, in an order that is no thread's business.
//!
//! Batch b of pass p holds the rows that the sampler names, fetched with a seed made of the loader's own seed, p and b.
//! Which thread fetches it, and when, changes nothing about it, and batches leave in order.
//!
//! A sampler with a [state](Sampler::state) is asked for a pass only when its first batch is: no thread runs ahead into a
//! pass whose batches may still change.

use std::any::Any;
use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use dml_core::{Dataset, Examples, Sampler, mix_seed};
use tracing::warn;

use crate::{Result, TrainError};

/// Where in the sequence of all batches a run stands.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
///
/// ```
/// use dml_train::Position;
///
/// assert_eq!(Position::START, Position { pass: 1, batch: 0 });
/// ```
pub struct Position {
    /// Number of the pass over the sampler, from 1.
    pub pass: u64,
    /// Number of batches of the pass that are done.
    pub batch: u64,
}

impl Position {
    /// The first batch of the first pass.
    pub const START: Self = Self { pass: 1, batch: 0 };

    fn next_pass(self) -> Self {
        let pass = self.pass + 1;
        Self { pass, batch: 0 }
    }
}

impl Default for Position {
    /// [`Position::START`].
    fn default() -> Self {
        Self::START
    }
}

/// The endless sequence of a sampler's batches, fetched ([order](self)).
///
/// ```
/// use dml_data::Normalization;
/// use dml_data::synthetic::{SyntheticDigits, SyntheticDigitsConfig};
/// use dml_samplers::{MPerClassSampler, MPerClassSamplerConfig};
/// use dml_train::{Loader, Position};
///
/// let digits = SyntheticDigits::new(SyntheticDigitsConfig::default())?.train_test(40, 10)?.train;
/// let config = MPerClassSamplerConfig { batch_size: Some(4), ..MPerClassSamplerConfig::new(2) };
/// let sampler = MPerClassSampler::new(config, digits.labels())?;
/// let digits = digits.normalized(Normalization::MNIST);
/// let mut loader = Loader::new(digits, sampler, 0, Position::START, 2);
/// let (examples, next) = loader.next_batch()?;
/// assert_eq!(examples.views()[0].dims(), [4, 1, 28, 28]);
/// assert_eq!(next, Position { pass: 1, batch: 1 });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Loader {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

/// Result of a fetch: examples and the position after them, or an error.
type Fetched = std::result::Result<(Examples, Position), Box<Failed>>;

/// Why there is no batch, and which one there should be, unless the sampler already failed.
struct Failed {
    error: TrainError,
    job: Option<Job>,
}

struct Shared {
    dataset: Box<dyn Dataset>,
    sampler: Box<dyn Sampler>,
    /// Whether passes depend on the state of the sampler.
    has_state: bool,
    seed: u64,
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    /// Where the next batch to be fetched stands.
    position: Position,
    /// What is left of the pass at `position`; `None` before it is asked for.
    rest: Option<VecDeque<Vec<usize>>>,
    /// The state of the sampler that the latest pass was drawn with.
    drawn_with: Option<Arc<[f64]>>,
    /// A batch that could not be fetched, which is next again.
    retry: Option<Job>,
    /// Whether somebody waits for the batch `wanted`.
    asked: bool,
    /// Numbers of batches: to be fetched next, to leave next.
    next: u64,
    wanted: u64,
    ready: BTreeMap<u64, Fetched>,
    closed: bool,
}

/// Batches that wait for each thread.
const AHEAD: u64 = 2;

/// Most threads of a loader.
pub(crate) const MAX_THREADS: usize = 1_024;

impl Loader {
    /// Batches from `position` on. With no threads, a batch is fetched when it is asked for. At most 1,024 threads are
    /// started, and fewer if the operating system refuses one; the batches are the same.
    #[must_use]
    pub fn new(
        dataset: impl Dataset + 'static,
        sampler: impl Sampler + 'static,
        seed: u64,
        position: Position,
        threads: usize,
    ) -> Self {
        let mut shared = Shared {
            has_state: sampler.state().is_some(),
            dataset: Box::new(dataset),
            sampler: Box::new(sampler),
            seed,
            state: Mutex::new(State {
                position,
                rest: None,
                drawn_with: None,
                retry: None,
                asked: false,
                next: 0,
                wanted: 0,
                ready: BTreeMap::new(),
                closed: false,
            }),
            changed: Condvar::new(),
        };
        if shared.has_state && position.batch > 0 {
            // The rest of a pass that was drawn before: by the state as it is now, not as it may be when it is asked for.
            let (rest, drawn_with) = shared.draw(position);
            let state = shared.state.get_mut();
            let state = state.unwrap_or_else(PoisonError::into_inner);
            state.rest = Some(rest);
            state.drawn_with = drawn_with;
        }
        let shared = Arc::new(shared);
        let wished = threads.min(MAX_THREADS);
        let ahead = AHEAD * wished as u64;
        let start = |_| {
            let shared = shared.clone();
            let named = thread::Builder::new().name("dml-loader".to_owned());
            named.spawn(move || shared.work(ahead))
        };
        let mut threads = Vec::new();
        for started in (0..wished).map(start) {
            match started {
                Ok(thread) => threads.push(thread),
                Err(error) => {
                    let count = threads.len();
                    warn!(%error, count, "batches are loaded by fewer threads than were asked for");
                    break;
                }
            }
        }
        Self { threads, shared }
    }

    /// The next batch, and where the one after it stands. A batch that fails is not passed over: the next call fetches it
    /// again.
    ///
    /// # Errors
    /// As the data set; [`TrainError::NoBatches`] if the sampler has none; [`TrainError::Panicked`] if data set or
    /// sampler panic.
    pub fn next_batch(&mut self) -> Result<(Examples, Position)> {
        let shared = &self.shared;
        let mut state = shared.lock();
        if let Some(job) = state.retry.take() {
            drop(state);
            return shared.answer(shared.fetch(job));
        }
        if self.threads.is_empty() {
            let job = shared.next_job(&mut state);
            drop(state);
            return shared.answer(job.and_then(|job| shared.fetch(job)));
        }
        let wanted = state.wanted;
        state.asked = true;
        shared.changed.notify_all();
        let fetched = loop {
            if let Some(fetched) = state.ready.remove(&wanted) {
                break fetched;
            }
            state = shared.wait(state);
        };
        state.asked = false;
        state.wanted += 1;
        drop(state);
        shared.changed.notify_all();
        shared.answer(fetched)
    }

    /// The state of the sampler that the latest pass was drawn with; `None` if it has none.
    pub(crate) fn drawn_with(&self) -> Option<Arc<[f64]>> {
        self.shared.lock().drawn_with.clone()
    }
}

/// The rows of a batch, its seed, and where the next one stands.
type Job = (Vec<usize>, u64, Position);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that can panic runs under the lock but the sampler, which leaves the state as it was.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        let waited = self.changed.wait(state);
        waited.unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self, ahead: u64) {
        loop {
            let mut state = self.lock();
            while !state.closed && (state.next >= state.wanted + ahead || self.must_wait(&state)) {
                state = self.wait(state);
            }
            if state.closed {
                return;
            }
            let number = state.next;
            state.next += 1;
            let job = self.next_job(&mut state);
            drop(state);
            let fetched = job.and_then(|job| self.fetch(job));
            self.lock().ready.insert(number, fetched);
            self.changed.notify_all();
        }
    }

    /// Whether the next batch begins a pass that depends on when it is drawn, and nobody has asked for it yet.
    fn must_wait(&self, state: &State) -> bool {
        self.has_state && state.rest.is_none() && !(state.asked && state.next == state.wanted)
    }

    /// The batches of a pass from `position` on, and what they were drawn with.
    fn draw(
        &self,
        Position { pass, batch }: Position,
    ) -> (VecDeque<Vec<usize>>, Option<Arc<[f64]>>) {
        let drawn_with = self.sampler.state().map(Arc::from);
        let batches = self.sampler.epoch(pass);
        (batches.skip(batch as usize).collect(), drawn_with)
    }

    /// Takes the next batch off the sequence. If the sampler panics, the sequence stays where it was.
    fn next_job(&self, state: &mut State) -> std::result::Result<Job, Box<Failed>> {
        let drawn = catch_unwind(AssertUnwindSafe(|| self.drawn_job(state)));
        let drawn = drawn.unwrap_or_else(|panic| Err(panicked("sampler", &*panic)));
        drawn.map_err(|error| Box::new(Failed { error, job: None }))
    }

    fn drawn_job(&self, state: &mut State) -> Result<Job> {
        let mut empty_passes = 0;
        loop {
            let Position { pass, batch } = state.position;
            let mut rest = match state.rest.take() {
                Some(rest) => rest,
                None => {
                    let (rest, drawn_with) = self.draw(state.position);
                    state.drawn_with = drawn_with;
                    rest
                }
            };
            if let Some(rows) = rest.pop_front() {
                state.position.batch += 1;
                state.rest = Some(rest).filter(|rest| !rest.is_empty());
                if state.rest.is_none() {
                    state.position = state.position.next_pass();
                }
                return Ok((rows, seed_of(self.seed, pass, batch), state.position));
            }
            empty_passes += 1;
            if empty_passes > 1 {
                return Err(TrainError::NoBatches { pass });
            }
            state.position = state.position.next_pass();
        }
    }

    fn fetch(&self, job: Job) -> Fetched {
        let (rows, seed, next) = &job;
        let fetched = catch_unwind(AssertUnwindSafe(|| self.dataset.fetch(rows, *seed)));
        let error = match fetched {
            Ok(Ok(examples)) => return Ok((examples, *next)),
            Ok(Err(error)) => error.into(),
            Err(panic) => panicked("data set", &*panic),
        };
        let job = Some(job);
        Err(Box::new(Failed { error, job }))
    }

    /// What came of a fetch. A batch that failed is the next one again.
    fn answer(&self, fetched: Fetched) -> Result<(Examples, Position)> {
        fetched.map_err(|failed| {
            self.lock().retry = failed.job;
            failed.error
        })
    }
}

/// A panic as an error.
fn panicked(component: &'static str, panic: &(dyn Any + Send)) -> TrainError {
    let message = panic.downcast_ref::<String>().map(String::as_str);
    let message = message.or(panic.downcast_ref::<&str>().copied());
    TrainError::Panicked {
        component,
        message: message.unwrap_or("no message").to_owned(),
    }
}

impl Drop for Loader {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.changed.notify_all();
        for thread in self.threads.drain(..) {
            // A thread hands its panics on as errors, so there is nothing to hear from it.
            thread.join().ok();
        }
    }
}

dml_core::debug_fields!(Loader, |own| {
    dataset: own.shared.dataset, sampler: own.shared.sampler, threads: own.threads.len(),
});

/// A seed for each batch of each pass.
fn seed_of(seed: u64, pass: u64, batch: u64) -> u64 {
    mix_seed(mix_seed(seed, pass), batch)
}

#[cfg(test)]
mod tests;
