//! One item of a collection.

use super::Collection;
use super::id::{Id, IdRef};
use super::value::{Attributes, Value};

/// An item, copied out of its collection.
///
/// ```
/// use dml_core::candle_core::{Device, Tensor};
/// use dml_eval::{Collection, FlatIndex, Items};
///
/// let rows = Tensor::new(&[[0f32], [3.]], &Device::Cpu)?;
/// let mut collection = Collection::new(FlatIndex::default());
/// collection.add(Items::new(["a", "b"], &rows)?.with_column("size", vec![Some(40), None])?)?;
/// let item = collection.get("a")?.ok_or("no such item")?;
/// assert_eq!((item.row, item.attributes.to_string()), (vec![0.], "size = 40".to_owned()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Item {
    /// Its id.
    pub id: Id,
    /// Its row in single precision, as it is compared: of length 1 for a cosine.
    pub row: Vec<f32>,
    /// Its attributes.
    pub attributes: Attributes,
}

/// An item in its collection, for a closure that chooses.
///
/// ```
/// use dml_core::candle_core::{Device, Tensor};
/// use dml_eval::{Collection, FlatIndex, Items, Value};
///
/// let rows = Tensor::new(&[[0f32], [1.], [2.]], &Device::Cpu)?;
/// let mut collection = Collection::new(FlatIndex::default());
/// collection.add(Items::new([1, 2, 3], &rows)?.with_column("name", vec!["ab", "b", "ba"])?)?;
/// let with_a = collection.select_where(|item| match item.value("name") {
///     Some(Value::Text(name)) => name.contains('a'),
///     _ => false,
/// });
/// assert_eq!(with_a.count(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy)]
pub struct ItemRef<'a> {
    pub(super) collection: &'a Collection,
    pub(super) slot: usize,
}

dml_core::debug_fields!(ItemRef<'_>, |own| { id: own.id() });

impl<'a> ItemRef<'a> {
    /// Its id.
    #[must_use]
    pub fn id(&self) -> IdRef<'a> {
        self.collection.state.slots.id(self.slot)
    }

    /// The value of an attribute.
    #[must_use]
    pub fn value(&self, attribute: &str) -> Option<Value> {
        self.collection.state.table.value(attribute, self.slot)
    }

    /// All of its attributes.
    #[must_use]
    pub fn attributes(&self) -> Attributes {
        self.collection.state.table.attributes(self.slot)
    }
}
