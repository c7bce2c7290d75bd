//! The checksum of TensorFlow's records: CRC-32C, masked.
//!
//! ```text
//! masked(c) = ((c >> 15) | (c << 17)) + 0xa282ead8   (mod 2³²)
//! ```
//!
//! The mask is for records that hold checksums themselves.

/// The masked CRC-32C of `bytes`.
pub(super) fn masked_crc32c(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes)
        .rotate_right(15)
        .wrapping_add(0xa282_ead8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_values_come_out() {
        // RFC 3720, B.4: 32 bytes of zeros; and the usual check of nine digits.
        assert_eq!(crc32c::crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c::crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(masked_crc32c(b""), 0xa282_ead8);
    }
}
