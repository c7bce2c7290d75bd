//! Ids, columns and rows as bytes.
//!
//! ```text
//! numbers   little-endian
//! text      length: u32, UTF-8
//! ids       kind: u8, count: u64, numbers of 64 bits or texts
//! columns   count: u32; each its name, kind: u8, count: u64, one bit a value that says whether it is there, the values that are
//! rows      element type: u8 (2 single, 3 double precision), rows: u64, dim: u64, the numbers
//! ```
//!
//! Nothing is reserved on the word of a length: it is held against the bytes that are left.

use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use dml_core::autograd::with_slice;

use crate::index::collection::column::Column;
use crate::index::collection::id::{Ids, List};

/// What is wrong with bytes that should be items.
pub(super) type Fault = &'static str;

const CUT: Fault = "it ends too early";

/// Bytes that grow.
#[derive(Default)]
pub(super) struct Writer(pub(super) Vec<u8>);

impl Writer {
    pub(super) fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }

    pub(super) fn short(&mut self, number: u32) {
        self.0.extend(number.to_le_bytes());
    }

    pub(super) fn long(&mut self, number: u64) {
        self.0.extend(number.to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        // No text that is kept is that long: its length has been checked.
        self.short(text.len() as u32);
        self.0.extend(text.as_bytes());
    }

    pub(super) fn ids(&mut self, ids: &Ids) {
        match &ids.0 {
            List::Numbers(numbers) => {
                self.byte(0);
                self.long(numbers.len() as u64);
                numbers.iter().for_each(|number| self.long(*number));
            }
            List::Texts(texts) => {
                self.byte(1);
                self.long(texts.len() as u64);
                texts.iter().for_each(|text| self.text(text));
            }
        }
    }

    pub(super) fn columns(&mut self, columns: &[(String, Column)]) {
        self.short(columns.len() as u32);
        for (name, column) in columns {
            self.column(name, column);
        }
    }

    pub(super) fn column(&mut self, name: &str, column: &Column) {
        self.text(name);
        match column {
            Column::Bool(values) => {
                self.presence(0, values);
                let values: Vec<bool> = values.iter().map(|value| *value == Some(true)).collect();
                self.bits(values.into_iter());
            }
            Column::Integer(values) => {
                self.presence(1, values);
                let values = values.iter().flatten();
                values.for_each(|value| self.long(value.cast_unsigned()));
            }
            Column::Float(values) => {
                self.presence(2, values);
                let values = values.iter().flatten();
                values.for_each(|value| self.long(value.to_bits()));
            }
            Column::Text(values) => {
                self.presence(3, values);
                values.iter().flatten().for_each(|text| self.text(text));
            }
        }
    }

    fn presence<T>(&mut self, kind: u8, values: &[Option<T>]) {
        self.byte(kind);
        self.long(values.len() as u64);
        self.bits(values.iter().map(Option::is_some));
    }

    fn bits(&mut self, mut bits: impl ExactSizeIterator<Item = bool>) {
        for _ in 0..bits.len().div_ceil(8) {
            let eight = bits.by_ref().take(8).enumerate();
            let byte = eight.fold(0, |byte, (i, bit)| byte | u8::from(bit) << i);
            self.byte(byte);
        }
    }

    /// Rows `[rows, dim]` of single or double precision, on the CPU.
    pub(super) fn rows(&mut self, rows: &Tensor) -> dml_core::Result<()> {
        let (count, dim) = rows.dims2()?;
        self.byte(if rows.dtype() == DType::F64 { 3 } else { 2 });
        self.long(count as u64);
        self.long(dim as u64);
        if rows.dtype() == DType::F64 {
            with_slice::<f64, _>(rows, |rows| {
                self.0.extend(rows.iter().flat_map(|x| x.to_le_bytes()));
            })
        } else {
            with_slice::<f32, _>(rows, |rows| {
                self.0.extend(rows.iter().flat_map(|x| x.to_le_bytes()));
            })
        }
    }
}

/// Bytes from the front on.
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], Fault> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(CUT)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(CUT)?;
        self.0 = rest;
        Ok(*taken)
    }

    pub(super) fn byte(&mut self) -> Result<u8, Fault> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(super) fn short(&mut self) -> Result<u32, Fault> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn long(&mut self) -> Result<u64, Fault> {
        self.array().map(u64::from_le_bytes)
    }

    /// A count of things of so many bits each at least, which must fit into what is left.
    fn count(&mut self, bits: u128) -> Result<usize, Fault> {
        let count = self.long()?;
        let fits = u128::from(count) * bits <= self.0.len() as u128 * 8;
        let count = usize::try_from(count).ok().filter(|_| fits);
        count.ok_or("it says to have more than it has")
    }

    fn text(&mut self) -> Result<&'a str, Fault> {
        let length = self.short()? as usize;
        let text = self.take(length)?;
        std::str::from_utf8(text).map_err(|_| "it has a text that is none")
    }

    pub(super) fn ids(&mut self) -> Result<Ids, Fault> {
        match self.byte()? {
            0 => {
                let count = self.count(64)?;
                let numbers = (0..count).map(|_| self.long());
                Ok(Ids(List::Numbers(numbers.collect::<Result<_, _>>()?)))
            }
            1 => {
                let count = self.count(32)?;
                let texts = (0..count).map(|_| self.text().map(Arc::from));
                Ok(Ids(List::Texts(texts.collect::<Result<_, _>>()?)))
            }
            _ => Err("it has ids of an unknown kind"),
        }
    }

    /// Columns of so many values each.
    pub(super) fn columns(&mut self, values: usize) -> Result<Vec<(String, Column)>, Fault> {
        let count = self.short()?;
        let mut columns = Vec::new();
        for _ in 0..count {
            columns.push(self.column(values)?);
        }
        Ok(columns)
    }

    pub(super) fn column(&mut self, values: usize) -> Result<(String, Column), Fault> {
        let name = self.text()?.to_owned();
        let kind = self.byte()?;
        let count = self.count(1)?;
        if count != values {
            return Err("it has another number of values than of items");
        }
        let present = self.bits(count)?;
        let column = match kind {
            0 => {
                let values = self.bits(count)?.into_iter().zip(present);
                Column::Bool(
                    values
                        .map(|(value, is_there)| is_there.then_some(value))
                        .collect(),
                )
            }
            1 => Column::Integer(self.present(&present, |own| Ok(own.long()?.cast_signed()))?),
            2 => Column::Float(self.present(&present, |own| {
                let number = f64::from_bits(own.long()?);
                let fault = "it has a number that is not finite";
                Some(number).filter(|own| own.is_finite()).ok_or(fault)
            })?),
            3 => Column::Text(self.present(&present, |own| own.text().map(str::to_owned))?),
            _ => return Err("it has values of an unknown kind"),
        };
        Ok((name, column))
    }

    fn bits(&mut self, count: usize) -> Result<Vec<bool>, Fault> {
        let bytes = self.take(count.div_ceil(8))?;
        let bits = bytes
            .iter()
            .flat_map(|byte| (0..8).map(move |bit| byte >> bit & 1 == 1));
        Ok(bits.take(count).collect())
    }

    fn present<T>(
        &mut self,
        present: &[bool],
        mut value: impl FnMut(&mut Self) -> Result<T, Fault>,
    ) -> Result<Vec<Option<T>>, Fault> {
        let values = present.iter();
        let values = values.map(|is_there| is_there.then(|| value(self)).transpose());
        values.collect()
    }

    pub(super) fn rows(&mut self) -> Result<Tensor, Fault> {
        let size = match self.byte()? {
            2 => 4,
            3 => 8,
            _ => return Err("it has rows of an unknown type"),
        };
        let (count, dim) = (self.long()?, self.long()?);
        let bytes = u128::from(count) * u128::from(dim) * size;
        if dim == 0 || bytes > self.0.len() as u128 {
            return Err("it says to have more rows than it has");
        }
        let bytes = self.take(bytes as usize)?;
        let shape = (count as usize, dim as usize);
        let rows = if size == 4 {
            let numbers = bytes.as_chunks::<4>().0.iter();
            let numbers: Vec<f32> = numbers.map(|x| f32::from_le_bytes(*x)).collect();
            Tensor::from_vec(numbers, shape, &Device::Cpu)
        } else {
            let numbers = bytes.as_chunks::<8>().0.iter();
            let numbers: Vec<f64> = numbers.map(|x| f64::from_le_bytes(*x)).collect();
            Tensor::from_vec(numbers, shape, &Device::Cpu)
        };
        rows.map_err(|_| "it has rows that are no matrix")
    }

    /// Whether everything has been read.
    pub(super) fn end(&self) -> Result<(), Fault> {
        if self.0.is_empty() {
            return Ok(());
        }
        Err("it goes on behind its end")
    }
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn columns() -> Vec<(String, Column)> {
        let some = |i: usize| i % 3 != 1;
        let of = |i: usize| some(i).then(|| format!("text {i}"));
        vec![
            ("text".to_owned(), Column::Text((0..11).map(of).collect())),
            (
                "integer".to_owned(),
                Column::Integer((0..11).map(|i| some(i).then_some(i as i64 - 5)).collect()),
            ),
            (
                "float".to_owned(),
                Column::Float((0..11).map(|i| some(i).then_some(i as f64 / 3.0)).collect()),
            ),
            (
                "bool".to_owned(),
                Column::Bool((0..11).map(|i| some(i).then_some(i % 2 == 0)).collect()),
            ),
        ]
    }

    #[test]
    fn what_is_written_is_read() {
        let mut writer = Writer::default();
        let (numbers, texts) = (Ids::from([1, u64::MAX]), Ids::from(["a", "größe"]));
        writer.ids(&numbers);
        writer.ids(&texts);
        writer.columns(&columns());
        let rows = Tensor::new(&[[1f32, -2.5], [0., f32::MIN]], &Device::Cpu).unwrap();
        writer.rows(&rows).unwrap();
        writer.rows(&rows.to_dtype(DType::F64).unwrap()).unwrap();
        let mut reader = Reader(&writer.0);
        assert_eq!(reader.ids(), Ok(numbers));
        assert_eq!(reader.ids(), Ok(texts));
        assert_eq!(reader.columns(11), Ok(columns()));
        let read = reader.rows().unwrap().to_vec2::<f32>().unwrap();
        assert_eq!(read, rows.to_vec2::<f32>().unwrap());
        assert_eq!(reader.rows().unwrap().dtype(), DType::F64);
        assert_eq!(reader.end(), Ok(()));
    }

    #[test]
    fn whatever_the_bytes_are_reading_ends() {
        let mut writer = Writer::default();
        writer.columns(&columns());
        writer.ids(&Ids::from(["a", "b"]));
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for _ in 0..5000 {
            let mut bytes = writer.0.clone();
            for _ in 0..rng.random_range(1..4) {
                let at = rng.random_range(0..bytes.len());
                bytes[at] = rng.random();
            }
            bytes.truncate(rng.random_range(0..=bytes.len()));
            let mut reader = Reader(&bytes);
            let _ = reader.columns(11).and_then(|_| reader.ids());
            let _ = Reader(&bytes).rows();
        }
        let mut huge = Writer::default();
        huge.byte(0);
        huge.long(u64::MAX);
        assert!(Reader(&huge.0).ids().is_err());
        assert!(
            Reader(&[2, 255, 255, 255, 255, 255, 255, 255, 255])
                .rows()
                .is_err()
        );
    }
}
