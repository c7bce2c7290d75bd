//! The rows of each class.

use dml_core::{Labels, Result, check};
use rand::Rng;
use rand::seq::{SliceRandom, index};

/// Rows grouped by label, classes in ascending order of their labels.
#[derive(Clone, Debug)]
pub(crate) struct Classes {
    rows: Vec<usize>,
    /// `rows[starts[c]..starts[c + 1]]` are the rows of class `c`, ascending.
    starts: Vec<usize>,
}

impl Classes {
    /// Groups rows by their labels.
    pub(crate) fn new(labels: &Labels) -> Result<Self> {
        let labels = labels.as_slice();
        not_empty(labels, "[rows] with at least one row")?;
        let mut rows: Vec<usize> = (0..labels.len()).collect();
        rows.sort_by_key(|&row| labels[row]); // stable: rows of a class stay ascending
        let mut starts = vec![0];
        starts.extend((1..rows.len()).filter(|&i| labels[rows[i - 1]] != labels[rows[i]]));
        starts.push(rows.len());
        Ok(Self { rows, starts })
    }

    /// How many classes there are; at least one.
    pub(crate) fn len(&self) -> usize {
        self.starts.len() - 1
    }

    /// The rows of class `c`, ascending.
    pub(crate) fn rows(&self, c: usize) -> &[usize] {
        &self.rows[self.starts[c]..self.starts[c + 1]]
    }

    /// The rows of each class.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &[usize]> + Clone {
        (0..self.len()).map(|c| self.rows(c))
    }

    /// The rows of each class in random order.
    pub(crate) fn shuffled(&self, rng: &mut impl Rng) -> Vec<Vec<usize>> {
        let mut shuffled = |rows: &[usize]| {
            let mut rows = rows.to_vec();
            rows.shuffle(rng);
            rows
        };
        self.iter().map(&mut shuffled).collect()
    }
}

/// Refuses labels without a row.
///
/// # Errors
/// [`Error::Shape`](dml_core::Error::Shape).
pub(crate) fn not_empty(labels: &[i64], expected: &'static str) -> Result<()> {
    check::dims(!labels.is_empty(), "labels", &[labels.len()], expected)
}

/// Appends `m` of `rows`: all different where there are `m`, else drawn with replacement.
pub(crate) fn draw(rows: &[usize], m: usize, rng: &mut impl Rng, out: &mut Vec<usize>) {
    if m <= rows.len() {
        out.extend(index::sample(rng, rows.len(), m).iter().map(|i| rows[i]));
    } else {
        out.extend((0..m).map(|_| rows[rng.random_range(0..rows.len())]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dml_core::IntoLabels;

    #[test]
    fn rows_are_grouped_by_label() -> Result<()> {
        let classes = Classes::new(&[7i64, -1, 7, 3].into_labels()?)?;
        let groups: Vec<&[usize]> = classes.iter().collect();
        assert_eq!(groups, [&[1usize][..], &[3], &[0, 2]]);
        assert!(Classes::new(&Vec::<i64>::new().into_labels()?).is_err());
        Ok(())
    }
}
