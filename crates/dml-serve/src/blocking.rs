//! Work that blocks, on threads of its own and never more at once than allowed.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use crate::problem::Problem;

/// Runs closures on the runtime's threads for blocking work.
#[derive(Clone, Debug)]
pub(crate) struct Blocking {
    free: Arc<Semaphore>,
}

impl Blocking {
    pub(crate) fn new(threads: usize) -> Self {
        Self {
            free: Arc::new(Semaphore::new(threads)),
        }
    }

    /// Waits for a free place and runs `work`. When the caller is dropped, work that has begun goes on and keeps its place.
    ///
    /// # Errors
    /// That of the work; status 500 if it panics.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let closed = |_| Problem::internal("the service has ended");
        let place = Arc::clone(&self.free)
            .acquire_owned()
            .await
            .map_err(closed)?;
        let work = move || {
            let _place = place;
            work()
        };
        match spawn_blocking(work).await {
            Ok(result) => result,
            Err(error) => Err(Problem::internal(format!("work failed: {error}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    #[test]
    fn no_more_run_at_once_than_allowed_and_panics_are_answers() {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .build()
            .unwrap();
        let blocking = Blocking::new(2);
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let tasks: Vec<_> = (0..20)
            .map(|number| {
                let (blocking, now, most) = (blocking.clone(), now.clone(), most.clone());
                runtime.spawn(async move {
                    let work = move || {
                        most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        std::thread::sleep(Duration::from_millis(1));
                        now.fetch_sub(1, Ordering::SeqCst);
                        Ok(number)
                    };
                    blocking.run(work).await
                })
            })
            .collect();
        for (number, task) in tasks.into_iter().enumerate() {
            assert_eq!(runtime.block_on(task).unwrap(), Ok(number));
        }
        assert!(most.load(Ordering::SeqCst) <= 2);
        let failed = runtime.block_on(blocking.run::<()>(|| panic!("on purpose")));
        assert_eq!(failed.unwrap_err().status, 500);
    }
}
