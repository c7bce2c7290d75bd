//! Whole numbers that a CSV file has as real ones.

use super::Entry;

/// Reads `1.0` as `1` where every label, camera, sequence or category is a whole number written so.
pub(super) fn unify(entries: &mut [Entry]) {
    let labels = entries.iter_mut().filter(|entry| !entry.label.is_empty());
    unify_cells(labels.map(|entry| &mut entry.label).collect());
    let cells: [fn(&mut Entry) -> &mut Option<String>; 3] = [
        |entry| &mut entry.camera,
        |entry| &mut entry.sequence,
        |entry| &mut entry.category,
    ];
    for cell in cells {
        unify_cells(
            entries
                .iter_mut()
                .filter_map(|entry| cell(entry).as_mut())
                .collect(),
        );
    }
}

fn unify_cells(cells: Vec<&mut String>) {
    if cells.iter().all(|cell| whole(cell).is_some()) {
        for cell in cells {
            if let Some(number) = whole(cell) {
                *cell = number.to_owned();
            }
        }
    }
}

/// The digits before `.0`.
fn whole(text: &str) -> Option<&str> {
    let (number, zeros) = text.split_once('.')?;
    let digits = number.strip_prefix('-').unwrap_or(number);
    let is_whole = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let is_zero = !zeros.is_empty() && zeros.bytes().all(|byte| byte == b'0');
    (is_whole && is_zero).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_digits_and_zeros_are_whole() {
        assert_eq!(whole("1.0"), Some("1"));
        assert_eq!(whole("-1.00"), Some("-1"));
        for other in ["1", "1.", "1.5", ".0", "-.0", "v1.0", "1.0.0", ""] {
            assert_eq!(whole(other), None, "{other}");
        }
    }
}
