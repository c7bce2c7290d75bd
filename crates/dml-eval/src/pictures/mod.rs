//! Pictures of embeddings, as SVG and PNG.
//!
//! | picture | |
//! |---|---|
//! | [`scatter`] | rows in the plane, such as by [`Pca`](crate::Pca) or [`TSne`](crate::TSne), in the colours of their classes |
//! | [`roc_curve`], [`det_curve`] | true accepts, or false rejects, over false accepts |
//! | [`neighbor_sheet`] | queries and their neighbours as images, right ones and wrong ones framed |
//! | [`confusion_matrix`] | which classes are taken for which |

mod axes;
mod confusion;
mod curves;
mod drawing;
mod png_file;
mod raster;
mod scatter;
mod sheet;
mod svg;

pub use confusion::confusion_matrix;
pub use curves::{det_curve, roc_curve};
pub use drawing::{Color, Drawing};
pub use scatter::scatter;
pub use sheet::neighbor_sheet;
