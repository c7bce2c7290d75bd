//! What a relation says of a pair.

/// What a query and a reference are to each other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum PairKind {
    /// They belong together, with a weight in `(0, 1]`; 1 where nothing else is said.
    Positive(f32),
    /// They belong apart, with a weight in `(0, 1]`; 1 where nothing else is said.
    Negative(f32),
    /// Neither: the pair does not count. Every row is this to itself.
    Ignored,
}

impl PairKind {
    /// Positive with weight 1.
    pub const POSITIVE: Self = Self::Positive(1.0);
    /// Negative with weight 1.
    pub const NEGATIVE: Self = Self::Negative(1.0);

    /// Positive or negative, with weight 1.
    #[must_use]
    pub fn positive_if(is_positive: bool) -> Self {
        if is_positive {
            Self::POSITIVE
        } else {
            Self::NEGATIVE
        }
    }

    /// The weight of a positive or negative pair; `None` for one that does not count.
    #[must_use]
    pub fn weight(self) -> Option<f32> {
        match self {
            Self::Positive(weight) | Self::Negative(weight) => Some(weight),
            Self::Ignored => None,
        }
    }

    /// Whether the pair counts and has a weight other than 1.
    pub(super) fn is_weighted(self) -> bool {
        self.weight().is_some_and(|weight| weight != 1.0)
    }

    pub(super) fn weighted(weight: f32) -> Self {
        if weight > 0.0 {
            Self::Positive(weight)
        } else if weight == 0.0 {
            Self::NEGATIVE
        } else {
            Self::Ignored
        }
    }
}
