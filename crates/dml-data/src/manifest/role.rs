//! What the rows of a table are for.

/// What an image is for when embeddings are searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Role {
    /// It looks for others.
    Query,
    /// It is looked for.
    Gallery,
    /// It looks for others and is looked for.
    Both,
    /// It is in the gallery, but of no class: found or not, it doesn't count.
    Junk,
}

impl Role {
    pub(super) const NAMED: [(Self, &'static str); 4] = [
        (Self::Query, "query"),
        (Self::Gallery, "gallery"),
        (Self::Both, "both"),
        (Self::Junk, "junk"),
    ];

    /// Whether a row of this role belongs to a part that is asked for.
    pub(super) fn is_part_of(self, part: Self) -> bool {
        match part {
            Self::Query => matches!(self, Self::Query | Self::Both),
            Self::Gallery => matches!(self, Self::Gallery | Self::Both | Self::Junk),
            Self::Both | Self::Junk => self == part,
        }
    }

    pub(super) fn name(self) -> &'static str {
        let own = Self::NAMED.iter().find(|(role, _)| *role == self);
        own.map_or("", |(_, name)| name)
    }
}
