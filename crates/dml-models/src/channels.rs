//! Numbers of channels, rounded as the MobileNets round them.

use dml_core::{Result, check};

/// Largest width multiplier.
const WIDEST: f64 = 64.0;

/// The multiple of `divisor` nearest to `channels`, at least `divisor` and at least nine tenths of `channels`.
pub(crate) fn make_divisible(channels: f64, divisor: usize) -> usize {
    let divisor = divisor.max(1);
    // `as` rounds towards zero and saturates; sizes are checked where layers are made.
    let steps = (channels + divisor as f64 / 2.0) as usize / divisor;
    let rounded = steps.saturating_mul(divisor).max(divisor);
    if (rounded as f64) < 0.9 * channels {
        rounded.saturating_add(divisor)
    } else {
        rounded
    }
}

/// `value`, if it is a factor for numbers of channels or layers: in (0, 64].
pub(crate) fn multiplier(name: &'static str, value: f64) -> Result<f64> {
    let ok = (check::SMALLEST..=WIDEST).contains(&value);
    check::parameter(ok, name, value, "a number > 0 and <= 64")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_are_rounded_to_multiples_and_not_far_down() {
        let rounded = [32.0, 16.0 * 0.25, 24.0 * 0.35, 24.0 * 0.5, 44.0, 0.0];
        let rounded = rounded.map(|channels| make_divisible(channels, 8));
        assert_eq!(rounded, [32, 8, 8, 16, 48, 8]);
        assert_eq!(make_divisible(5.4, 1), 5);
        assert_eq!(make_divisible(f64::NAN, 8), 8);
        assert!(multiplier("width_mult", 0.0).is_err() && multiplier("width_mult", 65.0).is_err());
        assert!(multiplier("width_mult", f64::NAN).is_err());
    }
}
