//! The name that was meant.

use dml_core::NamePattern;

/// Fewest letters of a name that may be meant by its beginning, or by some of its letters in their order.
const PART: usize = 4;

/// The name nearest to a mistyped one, if one is near: at most two in five letters differ, or letters are left out.
///
/// ```
/// use dml_cli::settings::nearest;
///
/// assert_eq!(nearest("marign", ["margin", "swap"]), Some("margin"));
/// assert_eq!(nearest("batchSize", ["batch_size", "m"]), Some("batch_size"));
/// assert_eq!(nearest("TripletLoss", ["AngularLoss", "TripletMarginLoss"]), Some("TripletMarginLoss"));
/// assert_eq!(nearest("colour", ["margin", "swap"]), None);
/// ```
pub fn nearest<'a>(wanted: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = plain(wanted);
    if wanted.is_empty() {
        return None;
    }
    let pattern = NamePattern::new(wanted.as_str());
    let most = (wanted.chars().count() * 2 / 5).max(1);
    let distances = names.into_iter().map(|name| {
        let own = plain(name);
        let distance = pattern.distance(&own);
        // An abbreviation means the name, however many letters it leaves out.
        let rank = if is_abbreviation(&wanted, &own) {
            1
        } else {
            distance
        };
        ((rank, distance), name)
    });
    let near = distances.filter(|((rank, _), _)| *rank <= most);
    Some(near.min_by_key(|(key, _)| *key)?.1)
}

/// Letters and digits in small letters.
fn plain(name: &str) -> String {
    let letters = name.chars().filter(|c| c.is_alphanumeric());
    letters.flat_map(char::to_lowercase).collect()
}

/// Whether one name has the letters of the other in their order, and more than half of them.
fn is_abbreviation(one: &str, other: &str) -> bool {
    let (short, long) = if one.len() <= other.len() {
        (one, other)
    } else {
        (other, one)
    };
    let mut letters = long.chars();
    let is_within = short.chars().all(|letter| letters.any(|own| own == letter));
    is_within && short.len() >= PART && 2 * short.len() > long.len()
}
