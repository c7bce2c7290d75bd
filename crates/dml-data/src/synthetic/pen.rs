//! The pen: strokes on paper become grey values.
//!
//! ```text
//! grey(pixel) = clamp((radius + softness − distance to the nearest stroke) / (2 · softness), 0, 1)
//! ```

use super::glyphs::Point;

/// Height and width of an image in pixels.
pub const SIZE: usize = 28;

/// Squared distances of all pixels from the nearest stroke drawn so far.
#[derive(Debug)]
pub(super) struct Paper {
    squared: [f32; SIZE * SIZE],
    /// Pixels farther away from a stroke stay black.
    reach: f32,
    radius: f32,
    softness: f32,
}

impl Paper {
    /// Empty paper for a pen of `radius` pixels, whose edge is `2 · softness` pixels wide.
    pub(super) fn new(radius: f32, softness: f32) -> Self {
        Self {
            squared: [f32::INFINITY; SIZE * SIZE],
            reach: radius + softness,
            radius,
            softness,
        }
    }

    /// Draws straight from `a` to `b`, in pixels.
    pub(super) fn segment(&mut self, a: Point, b: Point) {
        let range = |i: usize| {
            let low = (a[i].min(b[i]) - self.reach).max(0.0);
            let high = (a[i].max(b[i]) + self.reach + 1.0).clamp(0.0, SIZE as f32);
            low as usize..high as usize // beyond the paper both ends meet
        };
        let (columns, rows) = (range(0), range(1));
        let (dx, dy) = (b[0] - a[0], b[1] - a[1]);
        let length = dx * dx + dy * dy;
        let scale = if length > 0.0 { 1.0 / length } else { 0.0 };
        for row in rows {
            let y = row as f32 - a[1];
            let line = &mut self.squared[row * SIZE..][..SIZE];
            for column in columns.clone() {
                let x = column as f32 - a[0];
                let t = ((x * dx + y * dy) * scale).clamp(0.0, 1.0);
                let (ex, ey) = (x - t * dx, y - t * dy);
                line[column] = line[column].min(ex * ex + ey * ey);
            }
        }
    }

    /// The grey values in `[0, 1]`.
    pub(super) fn grey(&self) -> [f32; SIZE * SIZE] {
        let scale = 0.5 / self.softness;
        self.squared
            .map(|squared| ((self.radius + self.softness - squared.sqrt()) * scale).clamp(0.0, 1.0))
    }
}

/// Calls `f` for the straight pieces of a line through `points`.
pub(super) fn flatten_line(points: &[Point], mut f: impl FnMut(Point)) {
    // Long pieces are cut so that they can be bent.
    const PIECES: usize = 4;
    for (i, pair) in points.windows(2).enumerate() {
        for k in usize::from(i > 0)..=PIECES {
            let t = k as f32 / PIECES as f32;
            f([0, 1].map(|c| pair[0][c] + t * (pair[1][c] - pair[0][c])));
        }
    }
}

/// Calls `f` along a smooth curve through `points`: a Catmull-Rom spline.
pub(super) fn flatten_curve(points: &[Point], closed: bool, mut f: impl FnMut(Point)) {
    const PIECES: usize = 5;
    let n = points.len();
    let at = |i: isize| {
        let n = n as isize;
        points[if closed {
            i.rem_euclid(n)
        } else {
            i.clamp(0, n - 1)
        } as usize]
    };
    let spans = if closed { n } else { n - 1 };
    for i in 0..spans as isize {
        let (p, q, r, s) = (at(i - 1), at(i), at(i + 1), at(i + 2));
        for k in usize::from(i > 0)..=PIECES {
            let t = k as f32 / PIECES as f32;
            f([0, 1].map(|c| {
                let linear = r[c] - p[c];
                let square = 2.0 * p[c] - 5.0 * q[c] + 4.0 * r[c] - s[c];
                let cube = 3.0 * (q[c] - r[c]) + s[c] - p[c];
                q[c] + 0.5 * t * (linear + t * (square + t * cube))
            }));
        }
    }
}
