//! The writer's hand: what makes every image of a digit another one.

use rand::Rng;

use super::glyphs::{Point, Stroke, styles};
use super::pen::{Paper, SIZE, flatten_curve, flatten_line};

/// Control points of the longest stroke.
const MOST_POINTS: usize = 12;

/// A number in `[0, 1)`.
fn unit(rng: &mut impl Rng) -> f32 {
    (rng.next_u32() >> 8) as f32 / (1 << 24) as f32
}

/// A number between the two.
fn between(low: f32, high: f32, rng: &mut impl Rng) -> f32 {
    low + (high - low) * unit(rng)
}

/// A number of mean 0 and standard deviation 1, bell-shaped and never beyond 3.5: four uniform ones together.
fn bell(rng: &mut impl Rng) -> f32 {
    let sum: f32 = (0..4).map(|_| unit(rng)).sum();
    (sum - 2.0) * 3f32.sqrt()
}

/// A smooth map of the glyph's plane to the paper.
#[derive(Debug)]
struct Bend {
    /// Coefficients of `xy`, `x²`, `y²`, `x²y`, `xy²` and `y³` for each coordinate: a bend without a kink.
    warp: [[f32; 6]; 2],
    matrix: [[f32; 2]; 2],
    shift: Point,
}

impl Bend {
    fn draw(variation: f32, rng: &mut impl Rng) -> Self {
        let warp = [0, 1].map(|_| [0; 6].map(|_| 0.08 * variation * bell(rng)));
        // Rotation by the half-angle formula: no sine, the same bits everywhere.
        let half = 0.1 * variation * bell(rng);
        let (cosine, sine) = (
            (1.0 - half * half) / (1.0 + half * half),
            2.0 * half / (1.0 + half * half),
        );
        let shear = 0.21 * variation * bell(rng);
        let size = 9.0 * (1.0 - 0.28 * variation.min(1.0) * unit(rng));
        let (width, height) = (size * (1.0 + 0.15 * variation * bell(rng)).max(0.3), size);
        let matrix = [
            [cosine * width, (cosine * shear - sine) * height],
            [sine * width, (sine * shear + cosine) * height],
        ];
        let middle = (SIZE - 1) as f32 / 2.0;
        let shift = [0, 1].map(|_| middle + 1.65 * variation * bell(rng));
        Self {
            warp,
            matrix,
            shift,
        }
    }

    fn apply(&self, [x, y]: Point) -> Point {
        let terms = [
            x * y,
            x * x,
            y * y - 0.4,
            x * x * y,
            x * y * y,
            y * y * y - 0.6 * y,
        ];
        let bent = [0, 1].map(|c| {
            let moved: f32 = self.warp[c].iter().zip(&terms).map(|(a, b)| a * b).sum();
            [x, y][c] + moved
        });
        [0, 1].map(|c| self.matrix[c][0] * bent[0] + self.matrix[c][1] * bent[1] + self.shift[c])
    }
}

/// Writes `digit` once.
pub(super) fn write(
    digit: u8,
    variation: f32,
    noise: f32,
    rng: &mut impl Rng,
) -> [u8; SIZE * SIZE] {
    let ways = styles(digit);
    let strokes = ways[rng.random_range(0..ways.len() as u32) as usize];
    let bend = Bend::draw(variation, rng);
    let radius = (1.25 + 0.35 * variation * bell(rng)).clamp(0.6, 2.4);
    let softness = 0.7 + 0.2 * variation.min(1.0) * between(-1.0, 1.0, rng);
    let mut paper = Paper::new(radius, softness);
    for &stroke in strokes {
        draw_stroke(stroke, &bend, variation, &mut paper, rng);
    }
    if unit(rng) < 0.25 * variation {
        stray_mark(&mut paper, rng);
    }
    let contrast = 1.0 - 0.35 * variation.min(1.0) * unit(rng);
    develop(&paper.grey(), contrast, noise, rng)
}

fn draw_stroke(stroke: Stroke, bend: &Bend, variation: f32, paper: &mut Paper, rng: &mut impl Rng) {
    let mut wandered = [[0.0; 2]; MOST_POINTS];
    let points = stroke.points();
    let wandered = &mut wandered[..points.len()];
    for (to, from) in wandered.iter_mut().zip(points) {
        *to = from.map(|x| x + 0.065 * variation * bell(rng));
    }
    let mut last = None;
    let mut draw = |point| {
        let point = bend.apply(point);
        if let Some(last) = last.replace(point) {
            paper.segment(last, point);
        }
    };
    match stroke {
        Stroke::Line(_) => flatten_line(wandered, &mut draw),
        Stroke::Curve(_) => flatten_curve(wandered, false, &mut draw),
        Stroke::Loop(_) => flatten_curve(wandered, true, &mut draw),
    }
}

/// A short mark near the border, as where a neighbour was cut off.
fn stray_mark(paper: &mut Paper, rng: &mut impl Rng) {
    let along = between(0.0, (SIZE - 1) as f32, rng);
    let depth = between(-1.0, 2.5, rng);
    let start = match rng.next_u32() % 4 {
        0 => [along, depth],
        1 => [along, (SIZE - 1) as f32 - depth],
        2 => [depth, along],
        _ => [(SIZE - 1) as f32 - depth, along],
    };
    let end = start.map(|x| x + between(-4.0, 4.0, rng));
    paper.segment(start, end);
}

/// Grey values to bytes: contrast, and noise of a triangular distribution whose strength differs between images.
fn develop(
    grey: &[f32; SIZE * SIZE],
    contrast: f32,
    noise: f32,
    rng: &mut impl Rng,
) -> [u8; SIZE * SIZE] {
    let strength = 0.14 * noise * unit(rng);
    let mut grain = [0u8; 2 * SIZE * SIZE];
    rng.fill_bytes(&mut grain);
    std::array::from_fn(|i| {
        let speck = f32::from(grain[2 * i]) + f32::from(grain[2 * i + 1]) - 255.0;
        (255.0 * contrast * grey[i] + strength * speck + 0.5) as u8 // saturates at both ends
    })
}
