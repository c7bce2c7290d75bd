//! The exponent of a norm, told apart once.

use crate::Real;

/// The exponent of a norm: those with a formula of their own, and the others.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Exponent {
    One,
    Two,
    Infinite,
    /// Another whole number that is small enough for products to be faster than logarithms.
    Whole(u32),
    Other(f64),
}

impl Exponent {
    pub(crate) fn new(p: f64) -> Self {
        if p.is_infinite() {
            Self::Infinite
        } else if p.fract() != 0.0 || p > 64.0 {
            Self::Other(p)
        } else {
            match p as u32 {
                1 => Self::One,
                2 => Self::Two,
                whole => Self::Whole(whole),
            }
        }
    }

    /// p; infinity included.
    pub(crate) fn value(self) -> f64 {
        match self {
            Self::One => 1.0,
            Self::Two => 2.0,
            Self::Infinite => f64::INFINITY,
            Self::Whole(whole) => f64::from(whole),
            Self::Other(p) => p,
        }
    }
}

/// Raises each of `values`, none negative, to a power of at least 0.
#[inline(always)]
pub(crate) fn raise<T: Real, const N: usize>(values: &mut [T; N], exponent: Exponent) {
    match exponent {
        Exponent::One => {}
        Exponent::Two => {
            for x in values {
                *x = *x * *x;
            }
        }
        Exponent::Whole(whole) => raise_whole(values, whole),
        Exponent::Infinite | Exponent::Other(_) => {
            let p = T::from_f64(exponent.value());
            for x in values {
                *x = x.powf(p);
            }
        }
    }
}

#[inline(always)]
fn raise_whole<T: Real, const N: usize>(values: &mut [T; N], mut whole: u32) {
    let mut square = *values;
    *values = [T::ONE; N];
    loop {
        if whole % 2 == 1 {
            for (x, square) in values.iter_mut().zip(&square) {
                *x = *x * *square;
            }
        }
        whole /= 2;
        if whole == 0 {
            return;
        }
        for x in &mut square {
            *x = *x * *x;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raised<const N: usize>(mut values: [f64; N], exponent: Exponent) -> [f64; N] {
        raise(&mut values, exponent);
        values
    }

    #[test]
    fn powers_by_hand() {
        for (p, expected) in [
            (1.0, 3.0),
            (2.0, 9.0),
            (3.0, 27.0),
            (6.0, 729.0),
            (7.0, 2187.0),
        ] {
            assert_eq!(raised([3.0, 1.0], Exponent::new(p)), [expected, 1.0]);
        }
        assert_eq!(raised([4.0], Exponent::new(1.5)), [8.0]);
        assert_eq!(raised([4.0], Exponent::new(0.5)), [2.0]);
        assert_eq!(raised([5.0], Exponent::Whole(0)), [1.0]);
    }

    #[test]
    fn the_value_is_what_was_given() {
        for p in [1.0, 1.5, 2.0, 3.0, 64.0, 65.0, f64::INFINITY] {
            assert_eq!(Exponent::new(p).value(), p);
        }
        assert_eq!(Exponent::new(65.0), Exponent::Other(65.0));
    }
}
