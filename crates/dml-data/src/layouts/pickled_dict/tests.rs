use super::*;

fn dictionary(bytes: &[u8]) -> Result<PickledDict> {
    PickledDict::parse(Path::new("p"), bytes)
}

#[test]
fn lists_of_texts_are_read_from_every_kind_of_text() -> Result<()> {
    // {"a": ["x", "yy", b"z"]}, of protocols 2 and 4, then bytes as Python 3 writes them in protocol 2.
    let old = b"\x80\x02}q\x00U\x01aq\x01]q\x02(U\x01xX\x02\x00\x00\x00yyC\x01zes.";
    assert_eq!(dictionary(old)?.texts("a")?, ["x", "yy", "z"]);
    let encoded = b"\x80\x02}U\x01a](c_codecs\nencode\nX\x02\x00\x00\x00\xc3\xa9X\x06\x00\x00\x00latin1\x86Res.";
    let own = dictionary(encoded)?;
    let list = own.list("a")?;
    assert_eq!(own.bytes_of(list[0]).as_deref(), Some(&[0xe9][..]));
    Ok(())
}

#[test]
fn files_without_what_is_looked_for_are_refused() {
    let cases: [(&[u8], &str); 5] = [
        (
            b"",
            "the pickle: expected a dictionary, found byte 0: expected a pickle, found its end",
        ),
        (
            b"\x80\x02}.",
            "key a: expected a value of that key, found none",
        ),
        (
            b"\x80\x02].",
            "key a: expected a dictionary, found something else",
        ),
        (
            b"cos\nsystem\n(U\x02lstR}U\x01a]s0.",
            "key a: expected a dictionary",
        ),
        // a = []; a.append(a); {"a": a}
        (b"\x80\x02}U\x01a]q\x00h\x00as.", "expected a list of texts"),
    ];
    for (bytes, expected) in cases {
        let result = dictionary(bytes).and_then(|own| own.texts("a"));
        let text = result.unwrap_err().to_string();
        assert!(text.contains(expected), "{text}");
    }
}
