//! A picture on the page.

/// A picture and what it shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Figure {
    pub(crate) caption: String,
    pub(crate) svg: String,
}

impl Figure {
    /// A caption, and a whole `<svg>` element, which goes into the page as it is.
    #[must_use]
    pub fn new(caption: impl Into<String>, svg: impl Into<String>) -> Self {
        Self {
            caption: caption.into(),
            svg: svg.into(),
        }
    }
}
