//! The lengths that public functions require of their slices.
//!
//! A slice of the wrong length is a mistake of the calling code, so the functions panic, in release builds too, with the
//! name of the argument, what was expected and what came. The crates above compare the shapes of tensors first and
//! return typed errors; nothing that a user hands to them gets here with a wrong length.

/// The number of rows of `name`, `len` numbers in rows of `dim`; without coordinates there are no rows.
///
/// # Panics
/// Unless `len` is a multiple of `dim`.
#[inline(always)]
#[track_caller]
pub fn rows(name: &str, len: usize, dim: usize) -> usize {
    let rows = len.checked_div(dim).unwrap_or(0);
    if rows * dim != len {
        wrong(name, format_args!("a multiple of {dim} numbers"), len);
    }
    rows
}

/// Checks that `name` has the length that its partners require.
///
/// # Panics
/// Unless `len` is `expected`.
#[inline(always)]
#[track_caller]
pub fn length(name: &str, len: usize, expected: usize) {
    if len != expected {
        wrong(name, format_args!("{expected} numbers"), len);
    }
}

/// `rows · width`.
///
/// # Panics
/// If that is more than can be counted.
#[inline(always)]
#[track_caller]
pub fn area(name: &str, rows: usize, width: usize) -> usize {
    match rows.checked_mul(width) {
        Some(area) => area,
        None => panic!("{name}: {rows} rows of {width} numbers are more than can be counted"),
    }
}

/// Checks that every number of `name` is below `limit`.
///
/// # Panics
/// At the first number that is not.
#[inline(always)]
#[track_caller]
pub fn below(name: &str, numbers: &[u32], limit: usize) {
    if let Some(number) = numbers.iter().find(|number| **number as usize >= limit) {
        wrong(
            name,
            format_args!("numbers below {limit}"),
            *number as usize,
        );
    }
}

/// Apart from the checks, so that loops that contain them stay short.
#[cold]
#[inline(never)]
#[track_caller]
fn wrong(name: &str, expected: std::fmt::Arguments<'_>, got: usize) -> ! {
    panic!("{name}: expected {expected}, got {got}");
}

#[cfg(test)]
mod tests;
