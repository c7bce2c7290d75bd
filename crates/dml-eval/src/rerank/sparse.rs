//! Rows that are zero almost everywhere.

/// The entries of a row that are not zero, by ascending column.
pub(super) type SparseRow = Vec<(u32, f32)>;

/// Rows by columns: where each of `count` columns is not zero, and what it is there.
pub(super) fn columns(rows: &[SparseRow], count: usize) -> Vec<SparseRow> {
    let mut columns = vec![SparseRow::new(); count];
    for (row, entries) in (0u32..).zip(rows) {
        for (column, value) in entries {
            columns[*column as usize].push((row, *value));
        }
    }
    columns
}

/// Σ min(row, rowᵢ) for every row i of `columns`.
pub(super) fn shared(row: &SparseRow, columns: &[SparseRow], rows: usize) -> Vec<f32> {
    let mut shared = vec![0.0; rows];
    for (column, value) in row {
        for (other, theirs) in &columns[*column as usize] {
            shared[*other as usize] += value.min(*theirs);
        }
    }
    shared
}

/// The mean of rows.
pub(super) fn mean(rows: &[&SparseRow]) -> SparseRow {
    let mut entries: SparseRow = rows.iter().flat_map(|row| row.iter().copied()).collect();
    // Stable: what is added stays in the order of the rows.
    entries.sort_by_key(|(column, _)| *column);
    let mut sum: SparseRow = Vec::with_capacity(entries.len());
    for (column, value) in entries {
        match sum.last_mut() {
            Some((last, sum)) if *last == column => *sum += value,
            _ => sum.push((column, value)),
        }
    }
    let count = rows.len().max(1) as f32;
    sum.iter_mut().for_each(|(_, value)| *value /= count);
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_and_shared_parts_by_hand() {
        let (a, b) = (vec![(0, 0.5), (2, 0.5)], vec![(2, 0.25), (3, 0.75)]);
        assert_eq!(mean(&[&a, &b]), [(0, 0.25), (2, 0.375), (3, 0.375)]);
        let columns = columns(&[a.clone(), b], 4);
        assert_eq!(shared(&a, &columns, 2), [1.0, 0.25]);
    }
}
