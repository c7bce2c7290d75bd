//! Pictures of embeddings, as SVG and PNG.
//!
//! | picture | |
//! |---|---|
//! | [`scatter`] | rows in the plane, such as by [`Pca`](crate::Pca) or [`TSne`](crate::TSne), in the colours of their classes |
//! | [`roc_curve`], [`det_curve`] | true accepts, or false rejects, over false accepts |
//! | [`neighbor_sheet`] | queries and their neighbours as images, right ones and wrong ones framed |
//! | [`line_chart`] | how a number changes by iteration or epoch |
//! | [`confusion_matrix`] | which classes are taken for which |

mod axes;
mod confusion;
mod curves;
mod drawing;
mod line_chart;
mod png_file;
mod raster;
mod scatter;
mod sheet;
mod svg;

pub use confusion::confusion_matrix;
pub use curves::{det_curve, roc_curve};
pub use drawing::{Color, Drawing};
pub use line_chart::{line_chart, line_charts};
pub use scatter::scatter;
pub use sheet::neighbor_sheet;
