//! Jobs that are done together: what arrives while a batch is computed makes up the next one.
//!
//! ```text
//! request ─▶ queue ─▶ thread: up to `most` jobs at once ─▶ answers
//! ```
//!
//! A job never waits for others to come. A queue that is empty gives batches of one, a queue under load gives full ones: an
//! exact search for 64 queries reads the rows once and not 64 times. The threads are the queue's own, so that the threads of
//! the runtime only read and write sockets.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use tokio::sync::oneshot;

use crate::ServeError;
use crate::metrics::StageMetrics;
use crate::problem::Problem;

/// What a job gives.
pub(crate) type Answer<A> = Result<A, Problem>;

/// A queue with threads of its own. Dropping it lets the threads end once the queue is empty.
pub(crate) struct Batcher<J, A> {
    queue: Arc<Queue<J, A>>,
    capacity: usize,
}

struct Queue<J, A> {
    state: Mutex<State<J, A>>,
    wake: Condvar,
}

struct State<J, A> {
    waiting: VecDeque<Waiting<J, A>>,
    is_closed: bool,
}

struct Waiting<J, A> {
    job: J,
    reply: oneshot::Sender<Answer<A>>,
    since: Instant,
}

/// How a queue works.
pub(crate) struct BatcherConfig {
    /// Name of the threads, and of the stage in messages.
    pub(crate) name: &'static str,
    pub(crate) threads: usize,
    /// Jobs of a batch.
    pub(crate) most: usize,
    /// Jobs that wait.
    pub(crate) capacity: usize,
    pub(crate) metrics: StageMetrics,
}

impl<J: Send + 'static, A: Send + 'static> Batcher<J, A> {
    /// `work` gets 1 to `most` jobs and returns their answers in the same order.
    ///
    /// # Errors
    /// [`ServeError::Start`] if the system refuses a thread.
    pub(crate) fn new(
        config: BatcherConfig,
        work: impl Fn(&[J]) -> Vec<Answer<A>> + Send + Sync + 'static,
    ) -> Result<Self, ServeError> {
        let queue = Arc::new(Queue {
            state: Mutex::new(State {
                waiting: VecDeque::new(),
                is_closed: false,
            }),
            wake: Condvar::new(),
        });
        let own = Self {
            queue: Arc::clone(&queue),
            capacity: config.capacity,
        };
        let work = Arc::new(work);
        for number in 0..config.threads {
            let (queue, work) = (Arc::clone(&queue), Arc::clone(&work));
            let (name, most) = (config.name, config.most);
            let metrics = config.metrics.clone();
            thread::Builder::new()
                .name(format!("dml-{name}-{number}"))
                .spawn(move || {
                    while let Some(batch) = queue.next_batch(most) {
                        run(batch, &*work, name, &metrics);
                    }
                })
                .map_err(|source| ServeError::Start {
                    what: "a thread",
                    source,
                })?;
        }
        Ok(own)
    }

    /// Does a job with others.
    ///
    /// # Errors
    /// That of the job; status 503 if the queue is full, 500 if the work panics.
    pub(crate) async fn run(&self, job: J) -> Answer<A> {
        let (reply, answer) = oneshot::channel();
        self.push(job, reply)?;
        let lost =
            |_| Problem::internal("a batch was lost: its work panicked, or the service ended");
        answer.await.unwrap_or_else(|error| Err(lost(error)))
    }

    fn push(&self, job: J, reply: oneshot::Sender<Answer<A>>) -> Result<(), Problem> {
        let since = Instant::now();
        let mut state = self.queue.state();
        if state.waiting.len() >= self.capacity {
            // Requests that ran out of time, or whose clients have gone.
            state.waiting.retain(|own| !own.reply.is_closed());
        }
        if state.waiting.len() >= self.capacity {
            return Err(Problem::overloaded(self.capacity));
        }
        state.waiting.push_back(Waiting { job, reply, since });
        drop(state);
        self.queue.wake.notify_one();
        Ok(())
    }
}

impl<J, A> Drop for Batcher<J, A> {
    fn drop(&mut self) {
        self.queue.state().is_closed = true;
        self.queue.wake.notify_all();
    }
}

impl<J, A> std::fmt::Debug for Batcher<J, A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Batcher")
            .field("waiting", &self.queue.state().waiting.len())
            .finish_non_exhaustive()
    }
}

impl<J, A> Queue<J, A> {
    fn state(&self) -> std::sync::MutexGuard<'_, State<J, A>> {
        // The queue is whole at every moment at which a thread could panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next jobs, oldest first; `None` once the queue is closed and empty.
    fn next_batch(&self, most: usize) -> Option<Vec<Waiting<J, A>>> {
        let mut state = self.state();
        loop {
            let mut batch = Vec::new();
            while batch.len() < most
                && let Some(next) = state.waiting.pop_front()
            {
                if !next.reply.is_closed() {
                    batch.push(next);
                }
            }
            if !batch.is_empty() {
                if !state.waiting.is_empty() {
                    self.wake.notify_one();
                }
                return Some(batch);
            }
            if state.is_closed {
                return None;
            }
            state = self
                .wake
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Does the jobs of a batch and answers each.
fn run<J, A>(
    batch: Vec<Waiting<J, A>>,
    work: &impl Fn(&[J]) -> Vec<Answer<A>>,
    name: &str,
    metrics: &StageMetrics,
) {
    let start = Instant::now();
    let (mut jobs, mut replies) = (Vec::new(), Vec::new());
    for own in batch {
        metrics.waited(start.duration_since(own.since));
        jobs.push(own.job);
        replies.push(own.reply);
    }
    // What a panic may leave half-done is the batch's own; the collection is only read.
    let answers = catch_unwind(AssertUnwindSafe(|| work(&jobs)));
    metrics.computed(jobs.len(), start.elapsed());
    match answers {
        Ok(answers) => {
            for (reply, answer) in replies.into_iter().zip(answers) {
                // A client that has gone needs no answer.
                reply.send(answer).ok();
            }
        }
        Err(_) => tracing::error!("{name}: a batch of {} panicked", jobs.len()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;
    use crate::metrics::Metrics;

    fn config(most: usize, capacity: usize) -> BatcherConfig {
        BatcherConfig {
            name: "test",
            threads: 1,
            most,
            capacity,
            metrics: Metrics::new().stage("test"),
        }
    }

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap()
    }

    type Held = (
        Arc<Batcher<u32, u32>>,
        mpsc::Receiver<Vec<u32>>,
        mpsc::Sender<()>,
    );

    /// A queue whose thread sends every batch to the test and waits for a message before it continues.
    fn held(most: usize, capacity: usize) -> Held {
        let (tell, told) = mpsc::channel();
        let (go, gone) = mpsc::channel::<()>();
        let (tell, gone) = (Mutex::new(tell), Mutex::new(gone));
        let work = move |jobs: &[u32]| {
            tell.lock().unwrap().send(jobs.to_vec()).ok();
            gone.lock().unwrap().recv().ok();
            jobs.iter().map(|job| Ok(job * 10)).collect()
        };
        (
            Arc::new(Batcher::new(config(most, capacity), work).unwrap()),
            told,
            go,
        )
    }

    #[test]
    fn what_arrives_during_a_batch_is_the_next_one() {
        let runtime = runtime();
        let (batcher, told, go) = held(3, 100);
        let submit = |job: u32| {
            let own = Arc::clone(&batcher);
            runtime.spawn(async move { own.run(job).await })
        };
        let first = submit(1);
        assert_eq!(told.recv().unwrap(), [1]);
        let mut later: Vec<_> = (2..=6).map(submit).collect();
        while batcher.queue.state().waiting.len() < 5 {
            thread::yield_now();
        }
        // One of them leaves.
        later.remove(1).abort();
        for _ in 0..10 {
            go.send(()).unwrap();
        }
        let (second, third) = (told.recv().unwrap(), told.recv().unwrap());
        let mut all = [second.clone(), third].concat();
        all.sort_unstable();
        assert!(second.len() == 3);
        assert!(all == [2, 4, 5, 6] || all == [2, 3, 4, 5, 6], "{all:?}");
        assert_eq!(runtime.block_on(first).unwrap(), Ok(10));
        let mut answers: Vec<u32> = later
            .into_iter()
            .map(|own| runtime.block_on(own).unwrap().unwrap())
            .collect();
        answers.sort_unstable();
        assert_eq!(answers, [20, 40, 50, 60]);
    }

    #[test]
    fn a_full_queue_refuses_until_somebody_leaves() {
        let runtime = runtime();
        let (batcher, told, go) = held(1, 2);
        let submit = |job: u32| {
            let own = Arc::clone(&batcher);
            runtime.spawn(async move { own.run(job).await })
        };
        let running = submit(1);
        told.recv().unwrap();
        let waiting = [submit(2), submit(3)];
        while batcher.queue.state().waiting.len() < 2 {
            thread::yield_now();
        }
        let refused = runtime.block_on(batcher.run(4)).unwrap_err();
        assert_eq!((refused.status.as_u16(), refused.code), (503, "overloaded"));
        let [gone, stays] = waiting;
        gone.abort();
        runtime.block_on(gone).unwrap_err();
        let late = submit(5);
        for _ in 0..3 {
            go.send(()).unwrap();
        }
        for (task, expected) in [(running, 10), (stays, 30), (late, 50)] {
            assert_eq!(runtime.block_on(task).unwrap(), Ok(expected));
        }
    }

    #[test]
    fn a_panic_fails_its_batch_and_no_other() {
        let runtime = runtime();
        let work = |jobs: &[u32]| {
            assert!(jobs[0] != 7, "seven");
            jobs.iter().map(|job| Ok(job + 1)).collect()
        };
        let batcher = Batcher::new(config(1, 10), work).unwrap();
        let failed = runtime.block_on(batcher.run(7)).unwrap_err();
        assert_eq!(failed.status, 500);
        let answer = runtime.block_on(async {
            tokio::time::timeout(Duration::from_secs(60), batcher.run(1)).await
        });
        assert_eq!(answer.unwrap(), Ok(2));
    }
}
