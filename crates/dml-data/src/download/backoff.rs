//! How long to wait before the next attempt.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use super::DownloadConfig;

/// The wait after the `failures`-th failure in a row: doubled with each, and shortened by up to half at random, so that
/// many clients that failed together do not come back together. A server's own wish counts, up to the longest wait.
pub(super) fn wait(
    config: &DownloadConfig,
    failures: u32,
    wish: Option<u64>,
    jitter: f64,
) -> Duration {
    let doubled = 2u32.saturating_pow(failures.saturating_sub(1));
    let full = config
        .first_wait
        .saturating_mul(doubled)
        .min(config.longest_wait);
    let wish = wish
        .map_or(Duration::ZERO, Duration::from_secs)
        .min(config.longest_wait);
    full.mul_f64(1.0 - 0.5 * jitter).max(wish)
}

/// A number in `[0, 1)` that differs between calls and between programs. Nothing but waits depends on it.
pub(super) fn jitter() -> f64 {
    let random = RandomState::new().hash_one(0u8);
    (random >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest() {
        let config = DownloadConfig {
            first_wait: Duration::from_millis(100),
            longest_wait: Duration::from_millis(1000),
            ..Default::default()
        };
        let millis = |failures, wish, jitter| wait(&config, failures, wish, jitter).as_millis();
        assert_eq!(
            [1, 2, 3, 4, 5, 99].map(|f| millis(f, None, 0.0)),
            [100, 200, 400, 800, 1000, 1000]
        );
        assert_eq!(millis(2, None, 0.5), 150);
        assert_eq!(millis(1, Some(0), 0.0), 100);
        assert_eq!(millis(1, Some(60), 0.0), 1000);
        assert!((0..100).all(|_| (0.0..1.0).contains(&jitter())));
        assert_ne!((jitter(), jitter()), (jitter(), jitter()));
    }
}
