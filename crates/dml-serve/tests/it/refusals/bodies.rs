//! Bodies that are refused by their media type.

use crate::service::{Service, color_server, png};

/// Names and contents of the fields of a form.
type Form<'a> = &'a [(&'a str, &'a [u8])];

#[test]
fn wrong_bodies_are_refused_by_their_media_type() {
    let service = Service::start(color_server());
    let send = |kind: &str, body: &[u8]| {
        let headers: &[(&str, &str)] = if kind.is_empty() {
            &[]
        } else {
            &[("content-type", kind)]
        };
        let answer = service.send("POST", "/search", headers, body);
        (answer.status, answer.problem().2)
    };
    let table: &[(&str, &[u8], u16, &str)] = &[
        (
            "",
            b"{}",
            415,
            "content-type: expected application/json, multipart/form-data or image/*, got none",
        ),
        ("text/plain", b"{}", 415, "content-type: expected"),
        (
            "application/x-www-form-urlencoded",
            b"k=1",
            415,
            "content-type: expected",
        ),
        (
            "image/png",
            b"",
            400,
            "image: expected the content of an image file, got 0 bytes",
        ),
        ("image/png", b"no image", 422, "image: "),
        ("multipart/form-data", b"x", 400, "body: "),
        (
            "multipart/form-data; boundary=frontier",
            b"x",
            400,
            "body: ",
        ),
        ("application/json", b"\xff\xfe", 400, "body: "),
    ];
    for (kind, body, status, sentence) in table {
        let (got, message) = send(kind, body);
        assert_eq!(got, *status, "{kind}: {message}");
        assert!(message.starts_with(sentence), "{kind}: {message}");
    }
    let image = png([1, 2, 3]);
    let truncated = &image[..image.len() / 2];
    let forms: &[(Form<'_>, u16, &str)] = &[
        (
            &[],
            400,
            "expected one of image, text, vector and id, got none",
        ),
        (&[("image", truncated)], 422, "image: "),
        (
            &[("image", &image), ("text", b"red")],
            400,
            "expected one of image, text, vector and id, got several",
        ),
        (&[("text", b"red"), ("k", b"ten")], 400, "k: "),
        (
            &[("text", b"red"), ("within", b"NaN")],
            400,
            "within: expected a number, got NaN",
        ),
        (
            &[("text", b"red"), ("size", b"1")],
            400,
            "body: unknown field \"size\"",
        ),
        (
            &[("text", b"red"), ("text", b"red")],
            400,
            "body: the field \"text\" is given twice",
        ),
        (
            &[("text", b"\xff")],
            400,
            "text: expected text in UTF-8, got other bytes",
        ),
        (&[("vector", b"[1, 0")], 400, "vector: "),
        (&[("text", b"red"), ("filter", b"{\"eq\"")], 400, "filter: "),
    ];
    for (fields, status, sentence) in forms {
        let (got, _, message) = service.form("/search", fields).problem();
        assert_eq!(got, *status, "{message}");
        assert!(message.starts_with(sentence), "{message}");
    }
    let (status, _, message) = service.form("/embed", &[("vector", b"[1]")]).problem();
    assert_eq!(
        (status, message.as_str()),
        (400, "embed: expected an image or a text, got a vector")
    );
}
