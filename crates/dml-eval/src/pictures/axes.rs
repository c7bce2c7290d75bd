//! A frame with ticks, and places in it.

use super::drawing::{Anchor, Color, Drawing};

const LEFT: f64 = 70.0;
const TOP: f64 = 40.0;
const SIDE: f64 = 480.0;

/// How an axis counts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Scale {
    Linear {
        from: f64,
        to: f64,
    },
    /// As linear, of things that are counted: only whole numbers are marked.
    Whole {
        from: f64,
        to: f64,
    },
    /// From the one power of ten to the other.
    Log {
        from: i32,
        to: i32,
    },
}

impl Scale {
    /// Where a value stands: from 0 to 1 along the axis, at its ends if it is beyond them.
    pub(super) fn place(self, value: f64) -> f64 {
        let place = match self {
            Self::Linear { from, to } | Self::Whole { from, to } => share(value, from, to),
            Self::Log { from, to } => share(value.log10(), f64::from(from), f64::from(to)),
        };
        place.clamp(0.0, 1.0)
    }

    /// The value that stands there; what [`place`](Self::place) reverses.
    pub(super) fn value(self, place: f64) -> f64 {
        match self {
            Self::Linear { from, to } | Self::Whole { from, to } => from + place * (to - from),
            Self::Log { from, to } => {
                let (from, to) = (f64::from(from), f64::from(to));
                10f64.powf(from + place * (to - from))
            }
        }
    }

    /// An axis on which `low` and `high` have `room` times their distance on either side; around a single number, half of its
    /// size, and at least 0.5.
    pub(super) fn around(low: f64, high: f64, room: f64) -> Self {
        let span = (high - low).min(f64::MAX);
        let room = if span > 0.0 {
            room * span
        } else {
            (0.5 * low.abs()).max(0.5)
        };
        Self::Linear {
            from: (low - room).max(f64::MIN),
            to: (high + room).min(f64::MAX),
        }
    }

    pub(super) fn ticks(self) -> Vec<(f64, String)> {
        match self {
            Self::Linear { from, to } => round_ticks(from, to, 0.0),
            // Half an epoch is none.
            Self::Whole { from, to } => round_ticks(from, to, 1.0),
            Self::Log { from, to } => (from..=to)
                .map(|power| (10f64.powi(power), short(10f64.powi(power))))
                .collect(),
        }
    }
}

/// How far `value` is from `from` to `to`, whose distance may be larger than any number, or 0: then it is in the middle.
fn share(value: f64, from: f64, to: f64) -> f64 {
    let span = to - from;
    if span.is_infinite() {
        (value / 2.0 - from / 2.0) / (to / 2.0 - from / 2.0)
    } else if span > 0.0 {
        (value - from) / span
    } else {
        0.5
    }
}

/// Four to nine numbers within these, at steps of 1, 2 or 5 times a power of ten that are not below `smallest`.
fn round_ticks(from: f64, to: f64, smallest: f64) -> Vec<(f64, String)> {
    let rough = to / 8.0 - from / 8.0;
    let power = 10f64.powf(rough.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|step| step * power);
    let step = steps.into_iter().find(|step| *step >= rough * 0.999);
    let step = step.unwrap_or(rough).max(smallest);
    // Beside numbers of such a size, a step is lost to rounding.
    if !step.is_normal() || from + step == from || to - step == to {
        return vec![(from, short(from))];
    }
    // As many digits as tell the ticks apart.
    let digits = (-step.log10().floor()).clamp(0.0, 12.0) as usize;
    let name = |value: f64| match value.abs() {
        1e15.. => short(value),
        1e6.. => format!("{}M", trimmed(&format!("{:.1}", value / 1e6))),
        1e4.. => format!("{}k", trimmed(&format!("{:.1}", value / 1e3))),
        _ => trimmed(&format!("{value:.digits$}")),
    };
    // A tick at the very end is not lost to rounding.
    let (first, last) = ((from / step - 1e-9).ceil(), (to / step + 1e-9).floor());
    (0..=(last - first).clamp(0.0, 20.0) as u32)
        .map(|i| (first + f64::from(i)) * step)
        .map(|value| (value, name(value)))
        .collect()
}

/// A number in few characters.
pub(super) fn short(value: f64) -> String {
    let size = value.abs();
    if size != 0.0 && !(1e-4..1e5).contains(&size) {
        return format!("{value:.0e}");
    }
    trimmed(&format!("{value:.4}"))
}

/// Without zeros that say nothing.
fn trimmed(text: &str) -> String {
    let text = match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.'),
        false => text,
    };
    if text == "-0" { "0" } else { text }.to_owned()
}

/// A frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Axes {
    x: Scale,
    y: Scale,
    size: (f64, f64),
}

impl Axes {
    /// As wide as high.
    pub(super) fn square(x: Scale, y: Scale) -> Self {
        Self {
            x,
            y,
            size: (SIDE, SIDE),
        }
    }

    /// Half as high as wide.
    pub(super) fn wide(x: Scale, y: Scale) -> Self {
        Self {
            x,
            y,
            size: (SIDE, SIDE / 2.0),
        }
    }

    /// A drawing with the frame, its ticks, a title and the names of the axes; `right` pixels are left beside it.
    pub(super) fn drawing(self, title: &str, names: (&str, &str), right: usize) -> Drawing {
        let (bottom, end) = (TOP + self.size.1, LEFT + self.size.0);
        let mut drawing = Drawing::new(end as usize + right, bottom as usize + 60);
        for (value, text) in self.x.ticks() {
            let x = self.point(value, 0.0).0;
            drawing.line(&[(x, TOP), (x, bottom)], 0.5, Color::GREY);
            drawing.text((x, bottom + 18.0), 8.0, Anchor::Middle, text);
        }
        for (value, text) in self.y.ticks() {
            let y = self.point(0.0, value).1;
            drawing.line(&[(LEFT, y), (end, y)], 0.5, Color::GREY);
            drawing.text((LEFT - 6.0, y + 3.0), 8.0, Anchor::End, text);
        }
        drawing.frame((LEFT, TOP), self.size);
        let middle = LEFT + self.size.0 / 2.0;
        drawing.text((middle, TOP - 24.0), 10.0, Anchor::Middle, title);
        drawing.text((middle, bottom + 44.0), 8.0, Anchor::Middle, names.0);
        drawing.text((LEFT, TOP - 8.0), 8.0, Anchor::Start, names.1);
        drawing
    }

    /// The point of the drawing where two values meet.
    pub(super) fn point(self, x: f64, y: f64) -> (f64, f64) {
        (
            LEFT + self.x.place(x) * self.size.0,
            TOP + self.size.1 * (1.0 - self.y.place(y)),
        )
    }

    /// Where what stands beside the frame begins.
    pub(super) fn beside(self) -> (f64, f64) {
        (LEFT + self.size.0 + 20.0, TOP + 10.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_places_are_in_the_frame() {
        for (value, text) in [
            (0.0, "0"),
            (0.25, "0.25"),
            (1e-6, "1e-6"),
            (-3.0, "-3"),
            (1e-4, "0.0001"),
        ] {
            assert_eq!(short(value), text);
        }
        let ticks = |from, to| -> Vec<String> {
            let ticks = Scale::Linear { from, to }.ticks();
            ticks.into_iter().map(|(_, text)| text).collect()
        };
        assert_eq!(ticks(-0.5, 0.5), ["-0.4", "-0.2", "0", "0.2", "0.4"]);
        assert_eq!(
            ticks(-31.5011, 34.1091),
            ["-30", "-20", "-10", "0", "10", "20", "30"]
        );
        assert_eq!(ticks(0.0, 1.0), ["0", "0.2", "0.4", "0.6", "0.8", "1"]);
        assert_eq!(ticks(0.93, 0.97)[..3], ["0.93", "0.935", "0.94"]);
        assert_eq!(
            ticks(0.0, 5000.0),
            ["0", "1000", "2000", "3000", "4000", "5000"]
        );
        assert_eq!(ticks(0.0, 6e4)[..3], ["0", "10k", "20k"]);
        assert_eq!(ticks(0.0, 1.3e6)[4..6], ["800k", "1M"]);
        assert_eq!(ticks(1e300, 3e300).len(), 5);
        let whole = |from, to| -> Vec<f64> {
            let ticks = Scale::Whole { from, to }.ticks();
            ticks.into_iter().map(|(value, _)| value).collect()
        };
        assert_eq!(whole(1.0, 2.0), [1.0, 2.0]);
        assert_eq!(whole(0.0, 187.0), [0.0, 50.0, 100.0, 150.0]);
        let log = Scale::Log { from: -3, to: 0 };
        assert!((log.place(0.1) - 2. / 3.).abs() < 1e-12);
        assert_eq!((log.place(0.0), log.place(9.0)), (0.0, 1.0));
        assert!((log.value(2. / 3.) - 0.1).abs() < 1e-12);
        assert_eq!(
            Scale::Linear {
                from: -1.0,
                to: 3.0
            }
            .place(0.0),
            0.25
        );
    }
}
