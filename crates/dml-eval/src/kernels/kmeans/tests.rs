use dml_core::kernels::exact::squared_distance;
use proptest::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::*;

fn rng(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

#[test]
fn two_pairs_by_hand() {
    for start in [KMeansStart::PlusPlus, KMeansStart::Random] {
        for seed in 0..10 {
            let found = kmeans(&[0f64, 1., 10., 11.], 1, 2, 20, start, &mut rng(seed));
            let mut centroids = found.centroids.clone();
            centroids.sort_by(f64::total_cmp);
            assert_eq!((centroids, found.inertia), (vec![0.5, 10.5], 1.0));
            assert_eq!(found.centroids[found.assignments[3] as usize], 10.5);
            // Nothing moves after two updates, wherever they begin; finding that out is no update.
            assert!(found.updates <= 3);
        }
    }
}

#[test]
fn one_cluster_is_the_mean_and_as_many_as_rows_is_the_rows() {
    let rows = [1f32, 2., 6.];
    let one = kmeans(&rows, 1, 1, 5, KMeansStart::Random, &mut rng(0));
    assert_eq!((one.centroids, one.inertia), (vec![3.0], 14.0));
    let all = kmeans(&rows, 1, 3, 5, KMeansStart::PlusPlus, &mut rng(0));
    assert_eq!(all.inertia, 0.0);
    assert_eq!(all.updates, 1);
}

#[test]
fn without_updates_the_rows_go_to_the_first_centroids() {
    let found = kmeans(&[0f32, 1., 5.], 1, 2, 0, KMeansStart::Random, &mut rng(1));
    assert_eq!(found.updates, 0);
    assert!(found.centroids.iter().all(|c| [0., 1., 5.].contains(c)));
}

#[test]
fn fewer_different_rows_than_clusters_leave_clusters_empty() {
    for start in [KMeansStart::PlusPlus, KMeansStart::Random] {
        let found = kmeans(&[2f64, 2., 2., 7., 7.], 1, 4, 10, start, &mut rng(5));
        assert_eq!(found.inertia, 0.0);
        assert_eq!(found.assignments[0], found.assignments[2]);
        assert_ne!(found.assignments[0], found.assignments[4]);
    }
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let mut random = rng(9);
    let rows: Vec<f32> = (0..3_000 * 5)
        .map(|_| rand::Rng::random_range(&mut random, -1.0..1.0))
        .collect();
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| kmeans(&rows, 5, 40, 6, KMeansStart::PlusPlus, &mut rng(2)))
    };
    let one = run(1);
    assert_eq!(one, run(2));
    assert_eq!(one, run(5));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Every row has the closest centroid, the inertia is what it says, and further updates never raise it.
    #[test]
    fn updates_never_make_it_worse(
        rows in prop::collection::vec(-5i8..5, 6..120),
        clusters in 1usize..6,
        seed in 0u64..1000,
        plus_plus in any::<bool>(),
    ) {
        let rows: Vec<f64> = rows[..rows.len() / 2 * 2].iter().map(|x| f64::from(*x)).collect();
        let clusters = clusters.min(rows.len() / 2);
        let start = if plus_plus { KMeansStart::PlusPlus } else { KMeansStart::Random };
        let mut before = f64::INFINITY;
        for updates in 0..6 {
            let found = kmeans(&rows, 2, clusters, updates, start, &mut rng(seed));
            let mut inertia = 0.0;
            for (row, cluster) in rows.chunks_exact(2).zip(&found.assignments) {
                let distances: Vec<f64> = found.centroids.chunks_exact(2).map(|c| squared_distance(row, c)).collect();
                let own = distances[*cluster as usize];
                prop_assert!(distances.iter().all(|d| *d >= own));
                inertia += own;
            }
            prop_assert!((inertia - found.inertia).abs() <= 1e-9);
            prop_assert!(found.inertia <= before + 1e-9);
            before = found.inertia;
        }
    }
}
