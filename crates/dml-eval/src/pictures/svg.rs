//! A drawing as SVG: text, and sharp at every size.

use super::drawing::{Anchor, Color, Drawing, Shape};
use super::png_file;
use dml_core::Result;

impl Drawing {
    /// The drawing as an SVG file.
    ///
    /// # Errors
    /// If an image in it can't be encoded.
    pub fn to_svg(&self) -> Result<String> {
        let (width, height) = self.size();
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
             font-family=\"monospace\">\n<rect width=\"{width}\" height=\"{height}\" fill=\"#fff\"/>\n"
        );
        for shape in &self.shapes {
            svg.push_str(&element(shape)?);
            svg.push('\n');
        }
        svg.push_str("</svg>\n");
        Ok(svg)
    }
}

fn element(shape: &Shape) -> Result<String> {
    Ok(match shape {
        Shape::Disc((x, y), radius, color) => format!(
            "<circle cx=\"{x:.2}\" cy=\"{y:.2}\" r=\"{radius}\" fill=\"{}\"/>",
            hex(*color)
        ),
        Shape::Line(points, width, color) => {
            let places = points.iter().map(|(x, y)| format!("{x:.2},{y:.2}"));
            format!(
                "<polyline points=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"{width}\"/>",
                places.collect::<Vec<String>>().join(" "),
                hex(*color)
            )
        }
        Shape::Rectangle((x, y), (width, height), color) => format!(
            "<rect x=\"{x:.2}\" y=\"{y:.2}\" width=\"{width:.2}\" height=\"{height:.2}\" fill=\"{}\"/>",
            hex(*color)
        ),
        Shape::Text(text) => {
            let (x, y) = text.place;
            let anchor = match text.anchor {
                Anchor::Start => "start",
                Anchor::Middle => "middle",
                Anchor::End => "end",
            };
            let escaped = text.text.replace('&', "&amp;");
            let escaped = escaped.replace('<', "&lt;").replace('>', "&gt;");
            format!(
                "<text x=\"{x:.2}\" y=\"{y:.2}\" font-size=\"{:.1}\" text-anchor=\"{anchor}\" fill=\"{}\">{escaped}</text>",
                text.height * 1.4,
                hex(text.color)
            )
        }
        Shape::Image((x, y), (width, height), pixels) => format!(
            "<image x=\"{x:.2}\" y=\"{y:.2}\" width=\"{width:.2}\" height=\"{height:.2}\" image-rendering=\"pixelated\" \
             href=\"data:image/png;base64,{}\"/>",
            base64(&png_file::encode(pixels)?)
        ),
    })
}

fn hex(Color(red, green, blue): Color) -> String {
    format!("#{red:02x}{green:02x}{blue:02x}")
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let byte = |i| u32::from(three.get(i).copied().unwrap_or(0));
        let all = byte(0) << 16 | byte(1) << 8 | byte(2);
        for i in 0..4 {
            let digit = char::from(DIGITS[(all >> (18 - 6 * i) & 63) as usize]);
            text.push(if i <= three.len() { digit } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_by_the_standard() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn every_shape_is_an_element_and_text_is_escaped() -> Result<()> {
        let mut drawing = Drawing::new(40, 30);
        drawing.disc((1.0, 2.0), 3.0, Color(255, 0, 16));
        drawing.line(&[(0.0, 0.0), (5.0, 5.5)], 2.0, Color::BLACK);
        drawing.text((1.0, 1.0), 10.0, Anchor::Middle, "a<b & c");
        let svg = drawing.to_svg()?;
        assert!(svg.contains("<circle cx=\"1.00\" cy=\"2.00\" r=\"3\" fill=\"#ff0010\"/>"));
        assert!(svg.contains("points=\"0.00,0.00 5.00,5.50\""));
        assert!(svg.contains("a&lt;b &amp; c</text>") && svg.ends_with("</svg>\n"));
        Ok(())
    }
}
