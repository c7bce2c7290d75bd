//! Events as bytes, as `TensorBoard` reads them.
//!
//! ```text
//! record  = u64 length | u32 masked CRC of the length | event | u32 masked CRC of the event     (little-endian)
//! event   = { 1: f64 wall time, 2: i64 step, 3: file version, 5: summary }                  (protocol buffers)
//! summary = { 1: value }*,    value = { 1: tag, 2: f32 number }
//! masked(c) = ((c >> 15) | (c << 17)) + 0xa282ead8   (mod 2³²), where c is the CRC-32C
//! ```
//!
//! The mask is for records that hold checksums themselves.

/// The first event of a file.
pub(super) fn version(wall_time: f64) -> Vec<u8> {
    let mut event = Vec::new();
    double(&mut event, 1, wall_time);
    bytes(&mut event, 3, b"brain.Event:2");
    record(&event)
}

/// An event of scalars.
pub(super) fn scalars(wall_time: f64, step: u64, scalars: &[(String, f64)]) -> Vec<u8> {
    let mut summary = Vec::new();
    for (tag, number) in scalars {
        let mut value = Vec::new();
        bytes(&mut value, 1, tag.as_bytes());
        key(&mut value, 2, 5);
        value.extend((*number as f32).to_le_bytes());
        bytes(&mut summary, 1, &value);
    }
    let mut event = Vec::new();
    double(&mut event, 1, wall_time);
    key(&mut event, 2, 0);
    varint(&mut event, step);
    bytes(&mut event, 5, &summary);
    record(&event)
}

fn record(event: &[u8]) -> Vec<u8> {
    let length = (event.len() as u64).to_le_bytes();
    let mut record = Vec::with_capacity(event.len() + 16);
    record.extend(length);
    record.extend(masked_crc32c(&length).to_le_bytes());
    record.extend(event);
    record.extend(masked_crc32c(event).to_le_bytes());
    record
}

/// The masked CRC-32C of `bytes`.
fn masked_crc32c(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes)
        .rotate_right(15)
        .wrapping_add(0xa282_ead8)
}

fn key(message: &mut Vec<u8>, field: u64, wire_type: u64) {
    varint(message, field << 3 | wire_type);
}

fn varint(message: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        message.push(number as u8 | 0x80);
        number >>= 7;
    }
    message.push(number as u8);
}

fn double(message: &mut Vec<u8>, field: u64, number: f64) {
    key(message, field, 1);
    message.extend(number.to_le_bytes());
}

fn bytes(message: &mut Vec<u8>, field: u64, content: &[u8]) {
    key(message, field, 2);
    varint(message, content.len() as u64);
    message.extend(content);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_seven_bits_at_a_time() {
        let mut message = Vec::new();
        varint(&mut message, 300);
        assert_eq!(message, [0xac, 0x02]);
    }

    #[test]
    fn an_event_is_what_tensorflow_writes() {
        // Of `Event(wall_time=0.5, step=300, summary=Summary(value=[Value(tag="a", simple_value=1.0)]))`.
        let record = scalars(0.5, 300, &[("a".to_owned(), 1.0)]);
        let event = [
            0x09, 0, 0, 0, 0, 0, 0, 0xe0, 0x3f, 0x10, 0xac, 0x02, 0x2a, 0x0a, 0x0a, 0x08, 0x0a,
            0x01, b'a', 0x15, 0, 0, 0x80, 0x3f,
        ];
        assert_eq!(record[..8], 24u64.to_le_bytes());
        assert_eq!(record[12..36], event);
        assert_eq!(record.len(), 40);
    }

    #[test]
    fn the_published_values_come_out() {
        // RFC 3720, B.4: 32 bytes of zeros; and the usual check of nine digits.
        assert_eq!(crc32c::crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c::crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(masked_crc32c(b""), 0xa282_ead8);
    }
}
