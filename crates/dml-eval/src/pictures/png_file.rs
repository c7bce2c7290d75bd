//! Pixels as a PNG file.

use dml_core::{Error, Result};

use super::drawing::Pixels;

pub(super) fn encode(pixels: &Pixels) -> Result<Vec<u8>> {
    let failed = |error: png::EncodingError| -> Error { candle_core::Error::wrap(error).into() };
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, pixels.width as u32, pixels.height as u32);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header().map_err(failed)?;
    writer.write_image_data(&pixels.bytes).map_err(failed)?;
    writer.finish().map_err(failed)?;
    Ok(file)
}
