//! Squares of bytes.

/// Exchanges rows and columns of squares of 8 × 8 bytes, of which there are `COUNT` side by side. The first byte of a row is the
/// lowest one of its number.
#[inline(always)]
pub(super) fn transpose<const COUNT: usize>(rows: &mut [[u64; COUNT]; 8]) {
    // Squares beside the diagonal change places: of 4 × 4 bytes, of 2 × 2, of one.
    exchange::<4, COUNT>(rows, 0x0000_0000_ffff_ffff);
    exchange::<2, COUNT>(rows, 0x0000_ffff_0000_ffff);
    exchange::<1, COUNT>(rows, 0x00ff_00ff_00ff_00ff);
}

/// Exchanges the upper right square of `SIDE` bytes with the lower left one, wherever there is one in eight rows. `mask` has
/// the lower left ones of a row.
#[inline(always)]
fn exchange<const SIDE: usize, const COUNT: usize>(rows: &mut [[u64; COUNT]; 8], mask: u64) {
    for pair in 0..4 {
        let upper = pair / SIDE * 2 * SIDE + pair % SIDE;
        let (above, below) = rows.split_at_mut(upper + SIDE);
        for (upper, lower) in above[upper].iter_mut().zip(&mut below[0]) {
            let changed = (*upper >> (8 * SIDE) ^ *lower) & mask;
            *lower ^= changed;
            *upper ^= changed << (8 * SIDE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_become_columns() {
        let byte =
            |square: usize, row: usize, column: usize| (97 * square + 31 * row + 7 * column) as u8;
        let number = |byte: &dyn Fn(usize) -> u8| u64::from_le_bytes(std::array::from_fn(byte));
        let mut rows: [[u64; 3]; 8] = std::array::from_fn(|row| {
            std::array::from_fn(|square| number(&|column| byte(square, row, column)))
        });
        transpose(&mut rows);
        for (column, squares) in rows.iter().enumerate() {
            for (square, found) in squares.iter().enumerate() {
                assert_eq!(*found, number(&|row| byte(square, row, column)));
            }
        }
    }
}
