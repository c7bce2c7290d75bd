//! Matrices of a MAT file.

use super::Value;
use super::bytes::{Bytes, Element, Fault, INT8, INT32, MATRIX, UINT8, UINT32, UTF8};

/// Matrices within matrices that are followed.
const DEPTH: u32 = 16;
/// Most matrices of a file.
const MOST_VALUES: usize = 1 << 22;
/// Most bytes of the name of a field.
const LONGEST_NAME: usize = 256;

const CELL: u32 = 1;
const STRUCT: u32 = 2;
const OBJECT: u32 = 3;
const CHARACTERS: u32 = 4;
const SPARSE: u32 = 5;
/// The last class of numbers: whole numbers of 64 bits without sign.
const LAST_CLASS: u32 = 15;

/// Reads matrices, and counts them.
#[derive(Debug, Default)]
pub(super) struct Reader {
    count: usize,
}

impl Reader {
    /// A variable with its name; `None` for an element that is no matrix.
    pub(super) fn variable(
        &mut self,
        element: &Element<'_>,
    ) -> Result<Option<(String, Value)>, Fault> {
        match element.kind {
            MATRIX => self.matrix(element.data, 0).map(Some),
            _ => Ok(None),
        }
    }

    fn matrix(&mut self, mut data: Bytes<'_>, depth: u32) -> Result<(String, Value), Fault> {
        let at = data.at();
        self.count += 1;
        if depth > DEPTH || self.count > MOST_VALUES {
            let expected = "at most 16 matrices within each other, and 4194304 in all";
            return Err(Fault::new(at, expected, "more"));
        }
        // A cell or field that was never set.
        if data.is_empty() {
            return Ok((String::new(), Value::Numbers(Vec::new())));
        }
        let flags = data.expect(&[UINT32], "the flags of a matrix")?.numbers()?;
        let class = flags.first().map_or(0, |flags| *flags as u32 & 0xff);
        // Newer kinds of objects have neither dimensions nor a name here.
        if class > LAST_CLASS {
            return Ok((String::new(), Value::Other));
        }
        let dims = data
            .expect(&[INT32], "the dimensions of a matrix")?
            .numbers()?;
        let size = size(&dims).ok_or_else(|| {
            Fault::new(
                at,
                "dimensions of a matrix that fits into memory",
                format!("{dims:?}"),
            )
        })?;
        let name = data.expect(&[INT8, UINT8, UTF8], "the name of a matrix")?;
        let name = name.characters()?.into_iter().collect();
        let value = match class {
            CELL => Value::Cells(self.matrices(&mut data, size, depth)?),
            STRUCT => {
                let names = field_names(&mut data)?;
                let count = size.checked_mul(names.len());
                let count = count.ok_or_else(|| Fault::new(at, "fewer fields", "too many"))?;
                let values = self.matrices(&mut data, count, depth)?;
                Value::Structs(names, values)
            }
            OBJECT | SPARSE => Value::Other,
            CHARACTERS => {
                let characters = data.element()?.characters()?;
                Value::Text(rows(&dims, &characters))
            }
            _ => {
                let numbers = data.element()?.numbers()?;
                if numbers.len() != size {
                    let found = format!("{} for dimensions {dims:?}", numbers.len());
                    return Err(Fault::new(at, "a number for each place of a matrix", found));
                }
                Value::Numbers(numbers)
            }
        };
        Ok((name, value))
    }

    /// Reads `count` consecutive matrices. Each takes at least 8 bytes, so the data bounds their number.
    fn matrices(
        &mut self,
        data: &mut Bytes<'_>,
        count: usize,
        depth: u32,
    ) -> Result<Vec<Value>, Fault> {
        let mut values = Vec::new();
        for _ in 0..count {
            let element = data.expect(&[MATRIX], "a matrix")?;
            values.push(self.matrix(element.data, depth + 1)?.1);
        }
        Ok(values)
    }
}

/// The number of places of a matrix.
fn size(dims: &[f64]) -> Option<usize> {
    let mut dims = dims.iter().map(|dim| usize::try_from(*dim as i64).ok());
    dims.try_fold(1usize, |size, dim| size.checked_mul(dim?))
}

fn field_names(data: &mut Bytes<'_>) -> Result<Vec<String>, Fault> {
    let at = data.at();
    let length = data
        .expect(&[INT32], "the length of the names of fields")?
        .numbers()?;
    let length = length.first().map_or(0, |length| *length as usize);
    if !(1..=LONGEST_NAME).contains(&length) {
        let found = length.to_string();
        return Err(Fault::new(at, "names of fields of 1 to 256 bytes", found));
    }
    let names = data.expect(&[INT8, UINT8, UTF8], "the names of fields")?;
    let names = names.data.all().chunks(length).map(|name| {
        let end = name
            .iter()
            .position(|byte| *byte == 0)
            .unwrap_or(name.len());
        String::from_utf8_lossy(&name[..end]).into_owned()
    });
    Ok(names.collect())
}

/// The characters row after row: they are stored column after column. Rows are one text.
fn rows(dims: &[f64], characters: &[char]) -> String {
    let rows = dims.first().map_or(1, |rows| (*rows as usize).max(1));
    let columns = characters.len() / rows;
    let places = (0..rows).flat_map(|row| (0..columns).map(move |column| column * rows + row));
    places.filter_map(|place| characters.get(place)).collect()
}
