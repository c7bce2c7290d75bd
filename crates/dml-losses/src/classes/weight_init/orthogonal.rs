//! Orthogonal rows or columns from normal numbers.

/// `gain · Q` of the QR decomposition of a matrix `[rows, columns]`, or of its transpose if it is wide, whose R has a
/// positive diagonal: distributed evenly over all orthogonal matrices if the numbers are standard normal.
pub(super) fn orthogonal(drawn: &[f64], rows: usize, columns: usize, gain: f64) -> Vec<f64> {
    let wide = rows < columns;
    let (count, length) = if wide {
        (rows, columns)
    } else {
        (columns, rows)
    };
    let place = |vector: usize, k: usize| {
        if wide {
            vector * columns + k
        } else {
            k * columns + vector
        }
    };
    let mut vectors: Vec<Vec<f64>> = Vec::with_capacity(count);
    for i in 0..count {
        let mut vector: Vec<f64> = (0..length).map(|k| drawn[place(i, k)]).collect();
        // Twice is enough: what rounding leaves of the earlier directions is gone after the second pass.
        for _ in 0..2 {
            for earlier in &vectors {
                let dot: f64 = vector.iter().zip(earlier).map(|(a, b)| a * b).sum();
                vector
                    .iter_mut()
                    .zip(earlier)
                    .for_each(|(a, b)| *a -= dot * b);
            }
        }
        let norm = vector.iter().map(|x| x * x).sum::<f64>().sqrt();
        vector
            .iter_mut()
            .for_each(|x| *x /= norm.max(f64::MIN_POSITIVE));
        vectors.push(vector);
    }
    let mut result = vec![0.0; rows * columns];
    for (i, vector) in vectors.iter().enumerate() {
        for (k, x) in vector.iter().enumerate() {
            result[place(i, k)] = gain * x;
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shorter_side_is_orthogonal() {
        // (3, 4) and (4, 3): the second one loses its part along the first, and both become of length 2.
        let square = orthogonal(&[3.0, 4.0, 4.0, 3.0], 2, 2, 2.0);
        let want = [1.2, 1.6, 1.6, -1.2];
        assert!(
            square.iter().zip(want).all(|(a, b)| (a - b).abs() < 1e-12),
            "{square:?}"
        );
        let tall = orthogonal(&[1.0, 1.0, 0.0, 1.0, 0.0, 0.0], 3, 2, 1.0);
        assert_eq!(tall, [1.0, 0.0, 0.0, 1.0, 0.0, 0.0]);
        let wide = orthogonal(&[1.0, 0.0, 0.0, 1.0, 1.0, 0.0], 2, 3, 1.0);
        assert_eq!(wide, [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]);
    }
}
