//! Items on their way into a collection.

use candle_core::Tensor;
use dml_core::check;

use super::column::Column;
use super::error::CollectionError;
use super::id::Ids;
use super::value::{Attributes, check_name};

/// New items: ids, rows and attributes.
///
/// ```
/// use dml_core::candle_core::{Device, Tensor};
/// use dml_eval::{Attributes, Items};
///
/// let rows = Tensor::new(&[[1f32, 0.], [0., 1.]], &Device::Cpu)?;
/// // Item by item, ...
/// let items = Items::new(["a", "b"], &rows)?.with_attributes([
///     Attributes::from([("color", "red".into()), ("price", 9.5.into())]),
///     Attributes::from([("color", "blue".into())]),
/// ])?;
/// // ... or attribute by attribute.
/// let same = Items::new(["a", "b"], &rows)?
///     .with_column("color", vec!["red", "blue"])?
///     .with_column("price", vec![Some(9.5), None])?;
/// assert_eq!((items.len(), items.columns()), (2, same.columns()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Items {
    pub(super) ids: Ids,
    pub(super) rows: Tensor,
    pub(super) columns: Vec<(String, Column)>,
}

impl Items {
    /// Items without attributes; `rows` are `[items, dim]`.
    ///
    /// # Errors
    /// [`CollectionError::Count`] unless there is an id for every row, [`CollectionError::RepeatedId`] if two are equal,
    /// [`CollectionError::IdLength`] for a text that can't be an id; [`CollectionError::Index`] unless the rows are a matrix.
    pub fn new(ids: impl Into<Ids>, rows: &Tensor) -> Result<Self, CollectionError> {
        let ids = ids.into();
        check::shape(rows.rank() == 2, "rows", rows, "[items, dim]")?;
        check_count("ids", rows.dims()[0], ids.len())?;
        ids.check()?;
        if let Some(id) = ids.repeated() {
            return Err(CollectionError::RepeatedId { id: id.to_id() });
        }
        Ok(Self {
            ids,
            rows: rows.detach(),
            columns: Vec::new(),
        })
    }

    /// Adds the attributes of each item.
    ///
    /// # Errors
    /// [`CollectionError::Count`] unless there are as many as items; [`CollectionError::AttributeName`],
    /// [`CollectionError::AttributeKind`], [`CollectionError::AttributeValue`] or [`CollectionError::RepeatedAttribute`] for
    /// an attribute that can't be.
    pub fn with_attributes(
        mut self,
        attributes: impl IntoIterator<Item = Attributes>,
    ) -> Result<Self, CollectionError> {
        let mut columns: Vec<(String, Column)> = Vec::new();
        let mut places = std::collections::HashMap::new();
        let mut count = 0;
        for attributes in attributes {
            if count < self.ids.len() {
                for (name, value) in attributes {
                    let place = match places.get(&name) {
                        Some(place) => *place,
                        None => {
                            places.insert(name.clone(), columns.len());
                            columns.push((name, Column::none(value.kind())));
                            columns.len() - 1
                        }
                    };
                    let (name, column) = &mut columns[place];
                    column.pad(count);
                    widen(column, &value);
                    column.push(name, value)?;
                }
            }
            count += 1;
        }
        check_count("attributes", self.ids.len(), count)?;
        for (name, mut column) in columns {
            column.pad(count);
            self = self.with_column(name, column)?;
        }
        Ok(self)
    }

    /// Adds an attribute of all items.
    ///
    /// # Errors
    /// [`CollectionError::Count`] unless there are as many values as items, else as
    /// [`with_attributes`](Self::with_attributes).
    pub fn with_column(
        mut self,
        name: impl Into<String>,
        values: impl Into<Column>,
    ) -> Result<Self, CollectionError> {
        let (name, values) = (name.into(), values.into());
        check_name(&name)?;
        check_count(&name, self.ids.len(), values.len())?;
        if self.columns.iter().any(|(own, _)| *own == name) {
            return Err(CollectionError::RepeatedAttribute { attribute: name });
        }
        let values = values.checked(&name)?;
        self.columns.push((name, values));
        Ok(self)
    }

    /// Number of items.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there is no item.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// The ids.
    #[must_use]
    pub fn ids(&self) -> &Ids {
        &self.ids
    }

    /// The rows `[items, dim]`.
    #[must_use]
    pub fn rows(&self) -> &Tensor {
        &self.rows
    }

    /// The attributes with their names.
    #[must_use]
    pub fn columns(&self) -> &[(String, Column)] {
        &self.columns
    }
}

/// Makes a column of whole numbers one of real numbers if a real one comes, and all of its values stay what they are.
fn widen(column: &mut Column, value: &super::Value) {
    if matches!(
        (&*column, value),
        (Column::Integer(_), super::Value::Float(_))
    ) {
        let real = column.clone().of_kind("", super::ValueKind::Float);
        *column = real.unwrap_or_else(|_| column.clone());
    }
}

pub(super) fn check_count(what: &str, expected: usize, got: usize) -> Result<(), CollectionError> {
    if expected == got {
        return Ok(());
    }
    Err(CollectionError::Count {
        what: what.to_owned(),
        expected,
        got,
    })
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;
    use crate::index::collection::Value;

    fn rows() -> Tensor {
        Tensor::new(&[[1f32], [2.], [3.]], &Device::Cpu).unwrap()
    }

    #[test]
    fn attributes_of_items_become_columns() {
        let attributes = [
            Attributes::from([("a", 1.into())]),
            Attributes::default(),
            Attributes::from([("a", 2.5.into()), ("b", true.into())]),
        ];
        let items = Items::new([1, 2, 3], &rows()).unwrap();
        let items = items.with_attributes(attributes).unwrap();
        let want = [
            (
                "a".to_owned(),
                Column::from(vec![Some(1.0), None, Some(2.5)]),
            ),
            ("b".to_owned(), Column::from(vec![None, None, Some(true)])),
        ];
        assert_eq!(items.columns(), want);
        assert_eq!(items.columns()[0].1.get(1), None::<Value>);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let rows = rows();
        let new = || Items::new([1, 2, 3], &rows).unwrap();
        let refused = |result: Result<Items, CollectionError>| result.unwrap_err().to_string();
        assert_eq!(
            refused(Items::new([1, 2], &rows)),
            "ids: expected 3, one an item, got 2"
        );
        assert_eq!(
            refused(Items::new([1, 2, 1], &rows)),
            "id 1: given twice in one call"
        );
        assert!(Items::new([1], &rows.get(0).unwrap()).is_err());
        let few = [Attributes::default(), Attributes::default()];
        assert_eq!(
            refused(new().with_attributes(few)),
            "attributes: expected 3, one an item, got 2"
        );
        let many = vec![Attributes::default(); 4];
        assert!(new().with_attributes(many).is_err());
        assert!(new().with_column("x", vec![1]).is_err());
        assert!(new().with_column("", vec![1, 2, 3]).is_err());
        assert!(new().with_column("x", vec![1.0, f64::NAN, 2.0]).is_err());
        let twice = new().with_column("x", vec![1, 2, 3]).unwrap();
        assert_eq!(
            refused(twice.with_column("x", vec![1, 2, 3])),
            "attribute x: given twice in one call"
        );
        let mixed = [
            Attributes::from([("a", 1.into())]),
            Attributes::from([("a", "x".into())]),
            Attributes::default(),
        ];
        assert_eq!(
            refused(new().with_attributes(mixed)),
            "attribute a: expected whole numbers, got texts"
        );
    }
}
