//! Pairs that have a text in common are of one class: neither is a negative of the other.

use std::collections::HashMap;

/// The class of each pair, from 0 without gaps, in the order of the first pair of a class. Texts of the first sides are compared
/// with each other, and so are those of the second sides.
pub(super) fn pair_classes<'a>(pairs: impl Iterator<Item = [&'a str; 2]>) -> Vec<i64> {
    // Each pair points to an earlier one of its class, or to itself.
    let mut earlier: Vec<usize> = Vec::new();
    let mut seen = [HashMap::new(), HashMap::new()];
    for (row, texts) in pairs.enumerate() {
        earlier.push(row);
        for (seen, text) in seen.iter_mut().zip(texts) {
            let other = *seen.entry(text).or_insert(row);
            let [a, b] = [first(&mut earlier, row), first(&mut earlier, other)];
            earlier[a.max(b)] = a.min(b);
        }
    }
    let mut numbers = HashMap::new();
    let rows = 0..earlier.len();
    let class = |row| {
        let next = numbers.len() as i64;
        *numbers.entry(first(&mut earlier, row)).or_insert(next)
    };
    rows.map(class).collect()
}

/// The first pair of a class; the way to it is halved for the next time.
fn first(earlier: &mut [usize], mut row: usize) -> usize {
    while earlier[row] != row {
        earlier[row] = earlier[earlier[row]];
        row = earlier[row];
    }
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_with_a_text_in_common_are_of_one_class() {
        let classes = |pairs: &[[&'static str; 2]]| pair_classes(pairs.iter().copied());
        assert_eq!(classes(&[["a", "b"], ["c", "d"], ["e", "f"]]), [0, 1, 2]);
        assert_eq!(classes(&[["a", "b"], ["c", "d"], ["a", "e"]]), [0, 1, 0]);
        assert_eq!(classes(&[["a", "b"], ["c", "b"], ["c", "d"]]), [0, 0, 0]);
        // The third pair joins the first two; a text of the other side is another thing.
        assert_eq!(
            classes(&[["a", "b"], ["c", "d"], ["a", "d"], ["b", "a"]]),
            [0, 0, 0, 1]
        );
        assert!(classes(&[]).is_empty());
    }
}
