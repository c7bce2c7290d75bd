//! What the columns of a table are.

use parquet::basic::{LogicalType, Type as Physical};
use parquet::schema::types::ColumnDescriptor;

/// What a column of single values is read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Bool,
    /// Whole numbers of 32 bits, with a sign or without.
    Int32(bool),
    /// Whole numbers of 64 bits, with a sign or without.
    Int64(bool),
    Float,
    Double,
    Text,
}

/// What a column of single values is, or why it is not read.
pub(super) fn kind_of(column: &ColumnDescriptor) -> Result<Kind, String> {
    let logical = column.logical_type_ref();
    if column.max_rep_level() > 0 || column.path().parts().len() > 1 {
        return Err("a column of lists or groups".to_owned());
    }
    let is_plain = logical.is_none() && !is_converted_otherwise(column);
    match (column.physical_type(), logical) {
        (Physical::BOOLEAN, _) => Ok(Kind::Bool),
        (Physical::INT32, Some(LogicalType::Integer(int))) => Ok(Kind::Int32(int.is_signed)),
        (Physical::INT64, Some(LogicalType::Integer(int))) => Ok(Kind::Int64(int.is_signed)),
        (Physical::INT32, None) if is_plain => Ok(Kind::Int32(true)),
        (Physical::INT64, None) if is_plain => Ok(Kind::Int64(true)),
        (Physical::FLOAT, None) => Ok(Kind::Float),
        (Physical::DOUBLE, None) => Ok(Kind::Double),
        (
            Physical::BYTE_ARRAY,
            None | Some(LogicalType::String | LogicalType::Enum | LogicalType::Json),
        ) => Ok(Kind::Text),
        (physical, Some(logical)) => Err(format!("a column of {logical:?} in {physical}")),
        (physical, None) => Err(format!(
            "a column of {} in {physical}",
            column.converted_type()
        )),
    }
}

/// Whether whole numbers stand for something else, such as days, in files that say so in the older way alone.
fn is_converted_otherwise(column: &ColumnDescriptor) -> bool {
    use parquet::basic::ConvertedType::{INT_8, INT_16, INT_32, INT_64, NONE};
    !matches!(
        column.converted_type(),
        NONE | INT_8 | INT_16 | INT_32 | INT_64
    )
}
