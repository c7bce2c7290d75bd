//! The names of items: whole numbers or texts.

use std::fmt;
use std::sync::Arc;

use super::error::CollectionError;

/// Bytes of a text id at most.
pub(super) const LONGEST_ID: usize = 4096;

/// The name of an item.
///
/// ```
/// use dml_eval::Id;
///
/// assert_eq!(Id::from(7).to_string(), "7");
/// assert_eq!(Id::from("a-1"), Id::Text("a-1".to_owned()));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Id {
    /// A whole number.
    Number(u64),
    /// A text of 1 to 4,096 bytes.
    Text(String),
}

/// An [`Id`] whose text is borrowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum IdRef<'a> {
    /// A whole number.
    Number(u64),
    /// A text.
    Text(&'a str),
}

/// Which of both the ids of a collection are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum IdKind {
    /// Whole numbers.
    Number,
    /// Texts.
    Text,
}

impl Id {
    /// The id with its text borrowed.
    #[must_use]
    pub fn as_ref(&self) -> IdRef<'_> {
        match self {
            Self::Number(number) => IdRef::Number(*number),
            Self::Text(text) => IdRef::Text(text),
        }
    }
}

impl IdRef<'_> {
    /// The id with a text of its own.
    #[must_use]
    pub fn to_id(self) -> Id {
        match self {
            Self::Number(number) => Id::Number(number),
            Self::Text(text) => Id::Text(text.to_owned()),
        }
    }

    /// Which kind of id it is.
    #[must_use]
    pub fn kind(self) -> IdKind {
        match self {
            Self::Number(_) => IdKind::Number,
            Self::Text(_) => IdKind::Text,
        }
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_ref().fmt(f)
    }
}

impl fmt::Display for IdRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Text(text) => text.fmt(f),
        }
    }
}

impl fmt::Display for IdKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Number => "numbers",
            Self::Text => "texts",
        })
    }
}

impl From<u64> for Id {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl From<&str> for Id {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Id {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<IdRef<'_>> for Id {
    fn from(id: IdRef<'_>) -> Self {
        id.to_id()
    }
}

impl From<u64> for IdRef<'_> {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl<'a> From<&'a str> for IdRef<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a String> for IdRef<'a> {
    fn from(text: &'a String) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a Id> for IdRef<'a> {
    fn from(id: &'a Id) -> Self {
        id.as_ref()
    }
}

/// A list of ids of one kind.
///
/// ```
/// use dml_eval::{IdKind, IdRef, Ids};
///
/// let numbers = Ids::from([3, 1, 2]);
/// assert_eq!((numbers.len(), numbers.get(0)), (3, Some(IdRef::Number(3))));
/// let texts = Ids::from(["a", "b"]);
/// assert_eq!(texts.kind(), Some(IdKind::Text));
/// assert!(Ids::of(["a".into(), 3.into()]).is_err());
/// # Ok::<(), dml_eval::CollectionError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Ids(pub(super) List);

#[derive(Clone, PartialEq, Eq)]
pub(super) enum List {
    Numbers(Vec<u64>),
    Texts(Vec<Arc<str>>),
}

dml_core::debug_fields!(Ids, |own| { kind: own.kind(), count: own.len() });

impl Ids {
    /// A list of ids.
    ///
    /// # Errors
    /// [`CollectionError::IdKind`] if not all are of one kind.
    pub fn of(ids: impl IntoIterator<Item = Id>) -> Result<Self, CollectionError> {
        let mut list = Self(List::Numbers(Vec::new()));
        for id in ids {
            list.push(id.as_ref())?;
        }
        Ok(list)
    }

    /// Appends an id.
    ///
    /// # Errors
    /// [`CollectionError::IdKind`] if it is of another kind.
    pub fn push<'a>(&mut self, id: impl Into<IdRef<'a>>) -> Result<(), CollectionError> {
        let id = id.into();
        match (&mut self.0, id) {
            (List::Numbers(numbers), IdRef::Number(number)) => numbers.push(number),
            (List::Texts(texts), IdRef::Text(text)) => texts.push(text.into()),
            (List::Numbers(numbers), IdRef::Text(text)) if numbers.is_empty() => {
                self.0 = List::Texts(vec![text.into()]);
            }
            (List::Texts(texts), IdRef::Number(number)) if texts.is_empty() => {
                self.0 = List::Numbers(vec![number]);
            }
            (List::Numbers(_), IdRef::Text(_)) => {
                return Err(CollectionError::id_kind(IdKind::Number, id));
            }
            (List::Texts(_), IdRef::Number(_)) => {
                return Err(CollectionError::id_kind(IdKind::Text, id));
            }
        }
        Ok(())
    }

    /// Number of ids.
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.0 {
            List::Numbers(numbers) => numbers.len(),
            List::Texts(texts) => texts.len(),
        }
    }

    /// Whether there is no id.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Which kind of ids they are; `None` of an empty list.
    #[must_use]
    pub fn kind(&self) -> Option<IdKind> {
        self.get(0).map(IdRef::kind)
    }

    /// The id at that place.
    #[must_use]
    pub fn get(&self, place: usize) -> Option<IdRef<'_>> {
        match &self.0 {
            List::Numbers(numbers) => numbers.get(place).map(|number| IdRef::Number(*number)),
            List::Texts(texts) => texts.get(place).map(|text| IdRef::Text(text)),
        }
    }

    /// The ids in their order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = IdRef<'_>> {
        (0..self.len()).map(|place| match &self.0 {
            List::Numbers(numbers) => IdRef::Number(numbers[place]),
            List::Texts(texts) => IdRef::Text(&texts[place]),
        })
    }

    /// An id that is there twice.
    pub(super) fn repeated(&self) -> Option<IdRef<'_>> {
        fn second<T: Ord>(list: &[T]) -> Option<usize> {
            let mut places: Vec<usize> = (0..list.len()).collect();
            places.sort_unstable_by(|a, b| list[*a].cmp(&list[*b]));
            let mut pairs = places.windows(2);
            pairs
                .find(|pair| list[pair[0]] == list[pair[1]])
                .map(|pair| pair[0])
        }
        let place = match &self.0 {
            List::Numbers(numbers) => second(numbers),
            List::Texts(texts) => second(texts),
        };
        self.get(place?)
    }

    /// A text that no id can be.
    pub(super) fn check(&self) -> Result<(), CollectionError> {
        if let List::Texts(texts) = &self.0 {
            for (position, text) in texts.iter().enumerate() {
                check_text(text).map_err(|bytes| CollectionError::IdLength { position, bytes })?;
            }
        }
        Ok(())
    }
}

/// Says the length of a text that can't be an id.
fn check_text(text: &str) -> Result<(), usize> {
    let bytes = text.len();
    if (1..=LONGEST_ID).contains(&bytes) {
        Ok(())
    } else {
        Err(bytes)
    }
}

macro_rules! lists {
    ($($list:ty, $numbers:ident => $collected:expr, $kind:ident;)+) => {$(
        impl<const N: usize> From<[$list; N]> for Ids {
            fn from($numbers: [$list; N]) -> Self {
                Self(List::$kind($collected))
            }
        }

        impl From<Vec<$list>> for Ids {
            fn from($numbers: Vec<$list>) -> Self {
                Self(List::$kind($collected))
            }
        }

        impl From<&[$list]> for Ids {
            fn from(list: &[$list]) -> Self {
                Self::from(list.to_vec())
            }
        }
    )+};
}

lists! {
    u64, list => list.into_iter().collect(), Numbers;
    &str, list => list.into_iter().map(Arc::from).collect(), Texts;
    String, list => list.into_iter().map(Arc::from).collect(), Texts;
}

impl From<Id> for Ids {
    fn from(id: Id) -> Self {
        Self(match id {
            Id::Number(number) => List::Numbers(vec![number]),
            Id::Text(text) => List::Texts(vec![text.into()]),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_of_one_kind() {
        let mut ids = Ids::of([]).unwrap();
        assert_eq!((ids.kind(), ids.is_empty()), (None, true));
        ids.push("a").unwrap();
        assert_eq!(ids.kind(), Some(IdKind::Text));
        assert!(matches!(
            ids.push(3),
            Err(CollectionError::IdKind {
                expected: IdKind::Text,
                ..
            })
        ));
        assert_eq!(ids, Ids::from(Id::from("a")));
        let listed: Vec<Id> = Ids::from([5, 6]).iter().map(IdRef::to_id).collect();
        assert_eq!(listed, [Id::Number(5), Id::Number(6)]);
    }

    #[test]
    fn what_is_there_twice_is_found() {
        assert_eq!(Ids::from([5, 6, 7]).repeated(), None);
        assert_eq!(Ids::from([5, 6, 5]).repeated(), Some(IdRef::Number(5)));
        let texts = Ids::from(["b", "a", "b", "c"]);
        assert_eq!(texts.repeated(), Some(IdRef::Text("b")));
    }

    #[test]
    fn texts_have_a_length() {
        assert!(Ids::from(["a"]).check().is_ok());
        let long = "x".repeat(LONGEST_ID + 1);
        for (texts, bytes) in [
            (vec!["a".to_owned(), String::new()], 0),
            (vec!["a".to_owned(), long], 4097),
        ] {
            let error = Ids::from(texts).check().unwrap_err();
            assert!(
                matches!(error, CollectionError::IdLength { position: 1, bytes: own } if own == bytes)
            );
        }
    }
}
