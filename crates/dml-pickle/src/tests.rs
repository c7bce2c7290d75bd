use super::*;

fn read(bytes: &[u8]) -> Result<Pickle, PickleError> {
    Pickle::read(bytes, 1 << 20)
}

fn message(bytes: &[u8]) -> String {
    read(bytes).unwrap_err().to_string()
}

/// `pickle.dumps({"a": [1, -2, 300, 70000, -1 << 40, 1 << 70], "b": ("x", True, None, 0.5)}, protocol)` by Python 3.13.
#[test]
fn values_of_each_protocol_are_the_same() -> Result<(), PickleError> {
    let two = b"\x80\x02}q\x00(X\x01\x00\x00\x00aq\x01]q\x02(K\x01J\xfe\xff\xff\xffM,\x01Jp\x11\x01\x00\x8a\x06\x00\x00\x00\x00\x00\xff\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x00@eX\x01\x00\x00\x00bq\x03(X\x01\x00\x00\x00xq\x04\x88NG?\xe0\x00\x00\x00\x00\x00\x00tq\x05u.";
    let four = b"\x80\x04\x95E\x00\x00\x00\x00\x00\x00\x00}\x94(\x8c\x01a\x94]\x94(K\x01J\xfe\xff\xff\xffM,\x01Jp\x11\x01\x00\x8a\x06\x00\x00\x00\x00\x00\xff\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x00@e\x8c\x01b\x94(\x8c\x01x\x94\x88NG?\xe0\x00\x00\x00\x00\x00\x00t\x94u.";
    for bytes in [&two[..], four] {
        let pickle = read(bytes)?;
        let Node::Dict(pairs) = pickle.node(pickle.root()) else {
            panic!("expected a dictionary");
        };
        assert_eq!(pickle.text(pairs[0].0), Some("a"));
        let Node::List(numbers) = pickle.node(pairs[0].1) else {
            panic!("expected a list");
        };
        let numbers: Vec<&Node> = numbers.iter().map(|id| pickle.node(*id)).collect();
        let expected = [1, -2, 300, 70_000, -(1 << 40)].map(Node::Int);
        assert_eq!(numbers[..5], expected.each_ref());
        assert_eq!(*numbers[5], Node::Other);
        assert_eq!(pickle.text(pairs[1].0), Some("b"));
        let items = pickle.tuple(pairs[1].1).expect("a tuple");
        assert_eq!(pickle.text(items[0]), Some("x"));
        assert_eq!(*pickle.node(items[1]), Node::Bool(true));
        assert_eq!(*pickle.node(items[2]), Node::Other);
    }
    Ok(())
}

#[test]
fn a_reader_ends_behind_its_pickle() -> Result<(), PickleError> {
    let mut bytes = &b"K\x01.K\x02.rest"[..];
    for expected in [1, 2] {
        let pickle = Pickle::read(&mut bytes, 1 << 20)?;
        assert_eq!(pickle.count(pickle.root()), Some(expected));
    }
    assert_eq!(bytes, b"rest");
    Ok(())
}

#[test]
fn an_object_keeps_its_call_and_its_state() -> Result<(), PickleError> {
    let pickle = read(b"cm\nC\nK\x01\x85RK\x02b.")?;
    let Node::Call {
        callable,
        args,
        state: Some(state),
    } = pickle.node(pickle.root())
    else {
        panic!("expected a call with a state");
    };
    assert_eq!(pickle.class(*callable), Some(("m", "C")));
    assert_eq!(pickle.tuple(*args).map(<[_]>::len), Some(1));
    assert_eq!(pickle.count(*state), Some(2));
    let ordered = read(b"ccollections\nOrderedDict\n)RX\x01\x00\x00\x00aK\x01s.")?;
    assert!(matches!(ordered.node(ordered.root()), Node::Dict(pairs) if pairs.len() == 1));
    Ok(())
}

#[test]
fn programs_that_make_no_sense_are_refused() {
    let cases: [(&[u8], &str); 12] = [
        (b"", "byte 0: expected a pickle, found its end"),
        (
            b".",
            "byte 1: expected a pickle of protocol 2 to 5, found a missing value",
        ),
        (b"K\x01(0.", "found a missing value"),
        (b"1.", "found a missing mark"),
        (
            b"X\xff\xff\xff\xffa.",
            "byte 7: expected a pickle, found its end",
        ),
        (b"\x8e\xff\xff\xff\xff\xff\xff\xff\xff.", "found its end"),
        (b"T\xff\xff\xff\xff", "found a negative length"),
        (b"h\x07.", "found a reference to a missing value"),
        (b"K\x01K\x02s.", "found a missing value"),
        (
            b"K\x01K\x02K\x03s.",
            "found keys for something that is no dictionary",
        ),
        (b"K\x01K\x02\x93.", "found a class without a name"),
        (b"i", "found the operation 0x69"),
    ];
    for (bytes, expected) in cases {
        let text = message(bytes);
        assert!(text.contains(expected), "{text} instead of {expected}");
    }
}

#[test]
fn values_that_contain_themselves_and_deep_nesting_end() {
    assert!(read(b"]q\x00h\x00a.").is_ok());
    let mut deep = vec![b']'; 200_000];
    deep.extend(vec![b'a'; 199_999]);
    deep.push(b'.');
    assert!(read(&deep).is_ok());
}

#[test]
fn memory_is_bounded() {
    let long = Pickle::read(std::io::repeat(b'N'), 1 << 30).unwrap_err();
    assert!(
        long.to_string().contains("more than 4194304 values"),
        "{long}"
    );
    let copies = std::io::Read::chain(&b"N"[..], std::io::repeat(b'2'));
    let copies = Pickle::read(copies, 1 << 30).unwrap_err();
    assert!(
        copies.to_string().contains("more than 4194304 values"),
        "{copies}"
    );
    let marks = Pickle::read(std::io::repeat(b'('), 1 << 30).unwrap_err();
    assert!(
        marks.to_string().contains("more than 4194304 values"),
        "{marks}"
    );
    let limit = Pickle::read(&b"X\x05\x00\x00\x00label."[..], 8).unwrap_err();
    assert!(matches!(limit, PickleError::Ended { byte: 8 }), "{limit}");
}
