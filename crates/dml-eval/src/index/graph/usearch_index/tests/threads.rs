//! Searches from more threads than there are cores.

use super::*;

#[test]
fn more_threads_than_cores_search_one_query_at_a_time() -> Result<()> {
    let index = index(FlatMetric::SquaredEuclidean, &rows(500, 0));
    let queries = rows(40, 1);
    let want = index.search(&queries, 5)?;
    let threads = 3 * std::thread::available_parallelism().map_or(1, usize::from) + 2;
    std::thread::scope(|scope| {
        let search = || -> Result<()> {
            for q in 0..40 {
                let found = index.search(&queries.narrow(0, q, 1)?, 5)?;
                assert_eq!(found.indices, want.indices[q * 5..(q + 1) * 5]);
            }
            Ok(())
        };
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(search)).collect();
        let done = running.into_iter().map(|thread| thread.join().unwrap());
        done.collect::<Result<()>>()
    })
}

#[test]
fn a_pool_of_more_threads_than_were_known_searches_and_adds() -> Result<()> {
    let mut index = UsearchIndex::new(UsearchIndexConfig {
        parallel_build: true,
        ..Default::default()
    })?;
    index.add(&rows(100, 0))?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(4 * cores + 3);
    let pool = pool.build().unwrap();
    pool.install(|| index.add(&rows(300, 1)))?;
    let found = pool.install(|| index.search(&rows(300, 2), 3))?;
    assert_eq!(found.queries(), 300);
    Ok(())
}
