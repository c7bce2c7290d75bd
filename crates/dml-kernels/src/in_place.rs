//! Loops that the calling thread takes part in.
//!
//! A thread from outside of rayon's pool that asks for a parallel loop hands the whole of it over, sleeps, and is woken
//! at the end: two changes of context, 20 to 50 µs, even for a loop of one piece. A step over a small batch is a dozen
//! such loops, which then cost more than their arithmetic. Here the caller begins at once, threads of the pool join as
//! they wake, and a loop too short to be worth waking anybody stays where it is.

use std::sync::{Mutex, PoisonError};

use rayon::iter::IndexedParallelIterator;
use rayon::iter::plumbing::{Producer, ProducerCallback};
use rayon::prelude::*;

/// How many pieces a loop is cut into for each thread: enough that nobody waits long for the last one.
const PIECES: usize = 8;

/// Parallel loops in which the calling thread works, too.
///
/// [`with_min_len`](IndexedParallelIterator::with_min_len) says how many items are worth a thread. Items are taken in any
/// order and by any thread, as with rayon's own loops.
pub trait InPlace: IndexedParallelIterator {
    /// `f` on each item.
    fn for_each_in_place(self, f: impl Fn(Self::Item) + Sync) {
        self.for_each_init_in_place(|| (), |(), item| f(item));
    }

    /// `f` on each item, with scratch memory that each thread makes once.
    fn for_each_init_in_place<S>(
        self,
        init: impl Fn() -> S + Sync,
        f: impl Fn(&mut S, Self::Item) + Sync,
    ) {
        let len = self.len();
        self.with_producer(Loop { len, init, f });
    }

    /// What `f` makes of each item, in order.
    fn map_in_place<R: Send>(self, f: impl Fn(Self::Item) -> R + Sync) -> Vec<R> {
        let mut results: Vec<Option<R>> = Vec::new();
        results.resize_with(self.len(), || None);
        let slots = results.par_iter_mut().zip(self);
        slots.for_each_in_place(|(slot, item)| *slot = Some(f(item)));
        results.into_iter().flatten().collect()
    }
}

impl<I: IndexedParallelIterator> InPlace for I {}

struct Loop<I, F> {
    len: usize,
    init: I,
    f: F,
}

impl<T, S, I, F> ProducerCallback<T> for Loop<I, F>
where
    I: Fn() -> S + Sync,
    F: Fn(&mut S, T) + Sync,
{
    type Output = ();

    fn callback<P: Producer<Item = T>>(self, items: P) {
        let Self { len, init, f } = self;
        let run = |pieces: &mut dyn FnMut() -> Option<P>| {
            let mut state = init();
            while let Some(piece) = pieces() {
                piece.into_iter().for_each(|item| f(&mut state, item));
            }
        };
        let threads = rayon::current_num_threads();
        let count = (len / items.min_len().max(1)).min(PIECES * threads);
        if threads == 1 || count <= 1 {
            let mut all = Some(items);
            return run(&mut || all.take());
        }
        let pieces = Mutex::new(cut(items, len, count).into_iter());
        let work = || {
            run(&mut || {
                let mut pieces = pieces.lock().unwrap_or_else(PoisonError::into_inner);
                pieces.next()
            });
        };
        together(threads.min(count), &work);
    }
}

/// `work` by this thread and by others, `threads` in all. It is compiled once for all loops.
fn together(threads: usize, work: &(dyn Fn() + Sync)) {
    rayon::in_place_scope(|scope| {
        for _ in 1..threads {
            scope.spawn(|_| work());
        }
        work();
    });
}

/// `len` items in `count` pieces of nearly equal length.
fn cut<P: Producer>(items: P, len: usize, count: usize) -> Vec<P> {
    let mut pieces = Vec::with_capacity(count);
    let mut rest = items;
    for piece in 0..count - 1 {
        let (head, tail) = rest.split_at((piece + 1) * len / count - piece * len / count);
        pieces.push(head);
        rest = tail;
    }
    pieces.push(rest);
    pieces
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn every_item_comes_once_with_its_number() {
        for len in [0usize, 1, 2, 7, 100, 1000] {
            for min_len in [1, 10, 5000] {
                let mut x = vec![0usize; len];
                x.par_iter_mut()
                    .enumerate()
                    .with_min_len(min_len)
                    .for_each_in_place(|(i, x)| *x += i + 1);
                assert!(x.iter().copied().eq(1..=len));
                let squares = x.par_iter().with_min_len(min_len).map_in_place(|x| x * x);
                assert!(squares.into_iter().eq((1..=len).map(|x| x * x)));
            }
        }
    }

    #[test]
    fn loops_stand_within_loops_and_within_the_pool() {
        let count = AtomicUsize::new(0);
        let nested = || {
            (0..10usize).into_par_iter().for_each_in_place(|_| {
                (0..10usize).into_par_iter().for_each_in_place(|_| {
                    count.fetch_add(1, Ordering::Relaxed);
                });
            });
        };
        nested();
        rayon::join(nested, nested);
        assert_eq!(count.into_inner(), 300);
    }

    #[test]
    fn a_short_loop_stays_on_its_thread_and_makes_its_scratch_memory_once() {
        let own = std::thread::current().id();
        let made = AtomicUsize::new(0);
        let make = || made.fetch_add(1, Ordering::Relaxed);
        let items = (0..20usize).into_par_iter().with_min_len(11);
        items.for_each_init_in_place(make, |_, _| assert_eq!(std::thread::current().id(), own));
        assert_eq!(made.into_inner(), 1);
    }

    #[test]
    fn a_panic_reaches_the_caller() {
        let loop_that_fails = || {
            (0..100usize).into_par_iter().for_each_in_place(|i| {
                assert!(i != 50, "the fiftieth");
            });
        };
        let panic = std::panic::catch_unwind(loop_that_fails).unwrap_err();
        assert_eq!(panic.downcast_ref::<&str>(), Some(&"the fiftieth"));
    }
}
