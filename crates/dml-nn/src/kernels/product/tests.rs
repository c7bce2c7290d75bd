use super::*;
use dml_core::kernels::SimdReal;

fn numbers<T: SimdReal>(count: usize, modulus: usize) -> Vec<T> {
    (0..count)
        .map(|i| T::from_f64((i * 7 % modulus) as f64 - (modulus / 2) as f64))
        .collect()
}

/// Both packings and both left sides against the sum, with whole numbers, so that every order gives the same bits.
fn agrees<T: SimdReal>() {
    for (rows, depth, columns) in [
        (1, 1, 1),
        (6, 3, 16),
        (7, 20, 33),
        (13, 5, 5),
        (48, 17, 70),
        (5, 0, 3),
    ] {
        let left = numbers::<T>(rows * depth, 11);
        let right = numbers::<T>(depth * columns, 13);
        let expected = |i: usize, j: usize| -> T {
            (0..depth)
                .map(|k| left[i * depth + k] * right[k * columns + j])
                .sum()
        };
        let panels = Panels::new::<T>(depth, columns);
        // Garbage in the padding must not count.
        let mut packed = vec![T::from_f64(f64::NAN); panels.len()];
        panels.pack_rows(&right, columns, &mut packed);
        let mut again = vec![T::from_f64(f64::NAN); panels.len()];
        let turned: Vec<T> = (0..columns * depth)
            .map(|i| right[i % depth.max(1) * columns + i / depth.max(1)])
            .collect();
        panels.pack_columns(&turned, depth, &mut again);
        assert_eq!(packed, again);
        panels.par_pack_columns(&turned, depth, &mut again);
        assert_eq!(packed, again);
        panels.par_pack_rows(&right, columns, &mut again);
        assert_eq!(packed, again);

        let height = rows.next_multiple_of(TILE_ROWS);
        let mut steps = vec![T::from_f64(f64::NAN); height * depth];
        for i in 0..rows {
            for k in 0..depth {
                steps[k * height + i] = left[i * depth + k];
            }
        }
        let sides = [
            Left::Rows {
                data: &left,
                stride: depth,
            },
            Left::Steps {
                data: &steps,
                stride: height,
            },
        ];
        let stride = columns + 2;
        for side in sides {
            for existing in [Existing::Overwrite, Existing::AddTo] {
                let mut out = vec![T::ONE; rows * stride];
                let right = (&panels, &packed[..]);
                multiply(side, rows, right, 0..depth, (&mut out, stride), existing);
                let more = if existing == Existing::AddTo {
                    T::ONE
                } else {
                    T::ZERO
                };
                for i in 0..rows {
                    for j in 0..columns {
                        assert_eq!(out[i * stride + j], more + expected(i, j), "{i} {j}");
                    }
                    assert_eq!(out[i * stride + columns..][..2], [T::ONE; 2]);
                }
            }
        }
    }
}

#[test]
fn every_shape_agrees_with_the_sum() {
    agrees::<f32>();
    agrees::<f64>();
}

#[test]
fn the_sum_can_be_taken_in_pieces() {
    let (left, right) = (numbers::<f32>(4 * 10, 11), numbers::<f32>(10 * 20, 13));
    let panels = Panels::new::<f32>(10, 20);
    let mut packed = vec![0.0; panels.len()];
    panels.pack_rows(&right, 20, &mut packed);
    let product = |pieces: &[std::ops::Range<usize>]| {
        let mut out = vec![0.0; 80];
        for steps in pieces {
            let left = Left::Rows {
                data: &left[steps.start..],
                stride: 10,
            };
            multiply(
                left,
                4,
                (&panels, &packed),
                steps.clone(),
                (&mut out, 20),
                Existing::AddTo,
            );
        }
        out
    };
    let whole = 0..10;
    assert_eq!(
        product(std::slice::from_ref(&whole)),
        product(&[0..3, 3..9, 9..10])
    );
}
