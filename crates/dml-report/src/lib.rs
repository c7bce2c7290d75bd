#![doc = include_str!("../README.md")]

mod figure;
mod page;

pub use figure::Figure;
pub use page::Page;
