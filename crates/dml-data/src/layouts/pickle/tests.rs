use super::*;

fn pickle(bytes: &[u8]) -> Result<Pickle> {
    Pickle::parse(Path::new("p"), bytes.to_vec())
}

fn message(bytes: &[u8]) -> String {
    pickle(bytes)
        .and_then(|own| own.texts("a"))
        .unwrap_err()
        .to_string()
}

#[test]
fn lists_of_texts_are_read_from_every_kind_of_text() -> Result<()> {
    // {"a": ["x", "yy", b"z"]}, of protocols 2 and 4, then bytes as Python 3 writes them in protocol 2.
    let old = b"\x80\x02}q\x00U\x01aq\x01]q\x02(U\x01xX\x02\x00\x00\x00yyC\x01zes.";
    assert_eq!(pickle(old)?.texts("a")?, ["x", "yy", "z"]);
    let encoded = b"\x80\x02}U\x01a](c_codecs\nencode\nX\x02\x00\x00\x00\xc3\xa9X\x06\x00\x00\x00latin1\x86Res.";
    let own = pickle(encoded)?;
    let list = own.list("a")?;
    assert_eq!(own.bytes_of(list[0]), Some(vec![0xe9]));
    Ok(())
}

#[test]
fn programs_that_make_no_sense_are_refused() {
    let cases: [(&[u8], &str); 9] = [
        (
            b"",
            "byte 0: expected a pickle of protocol 2 to 4, found the end of the file",
        ),
        (b".", "found a missing value"),
        (
            b"\x80\x02}.",
            "key a: expected a value of that key, found none",
        ),
        (
            b"\x80\x02].",
            "key a: expected a dictionary, found something else",
        ),
        (b"\x80\x02(1(", "found the end of the file"),
        (b"\x80\x02X\xff\xff\xff\x7f", "found the end of the file"),
        (b"\x80\x02T\xff\xff\xff\xff", "found a negative length"),
        (b"\x80\x02h\x07.", "found a reference to a missing value"),
        (
            b"cos\nsystem\n(U\x02lstR}U\x01a]s0.",
            "key a: expected a dictionary",
        ),
    ];
    for (bytes, expected) in cases {
        let text = message(bytes);
        assert!(text.contains(expected), "{text}");
    }
    assert!(message(b"\x80\x02i").contains("the operation 0x69"));
}

#[test]
fn values_that_contain_themselves_end() {
    // a = []; a.append(a); {"a": a}
    let bytes = b"\x80\x02}U\x01a]q\x00h\x00as.";
    assert!(message(bytes).contains("expected a list of texts"));
}
