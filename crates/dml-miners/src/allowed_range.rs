//! Distances that a pair may have, in configurations written as `[low, high]`.

use dml_core::{Result, check};

/// The distances that a pair may have, ends included.
pub type AllowedRange = (f64, f64);

/// `range`, if its ends are in order.
pub(crate) fn checked(
    name: &'static str,
    range: Option<AllowedRange>,
) -> Result<Option<AllowedRange>> {
    if let Some((low, high)) = range {
        let expected = "a lower end that is not above the upper end";
        check::parameter(low <= high, name, low, expected)?;
    }
    Ok(range)
}

/// Ends may be infinite, and are then written as `"inf"` and `"-inf"`.
#[cfg(feature = "serde")]
pub(crate) mod extended {
    use dml_core::extended_real::Extended;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[allow(
        clippy::ref_option,
        reason = "serde hands a reference to the field, whatever its type"
    )]
    pub(crate) fn serialize<S: Serializer>(
        range: &Option<super::AllowedRange>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        range
            .map(|(low, high)| (Extended(low), Extended(high)))
            .serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<super::AllowedRange>, D::Error> {
        let range = Option::<(Extended, Extended)>::deserialize(deserializer)?;
        Ok(range.map(|(low, high)| (low.0, high.0)))
    }
}
