use super::*;

/// A table of one entry: `ab` becomes `x y`.
fn table() -> Vec<u8> {
    // Units of the trie: the root, then the children by the exclusive or of offset and byte.
    let mut units = vec![0u32; 512];
    units[0] = 256 << 10;
    let a = 256 ^ u32::from(b'a');
    units[a as usize] = u32::from(b'a') | (a ^ 128) << 10;
    let b = 128 ^ u32::from(b'b');
    units[b as usize] = u32::from(b'b') | 1 << 8 | (b ^ 32) << 10;
    units[32] = 1 << 31 | 1;
    let trie: Vec<u8> = units.iter().flat_map(|unit| unit.to_le_bytes()).collect();
    let length = (trie.len() as u32).to_le_bytes();
    [&length[..], &trie, b"\0x y\0"].concat()
}

fn own(pieces: &[(&str, f64)], charsmap: Vec<u8>) -> Result<SentencePiece, String> {
    let pieces = pieces
        .iter()
        .map(|(piece, score)| ((*piece).to_owned(), *score));
    SentencePiece::new(Vocabulary {
        pieces: pieces.collect(),
        hidden: vec![0],
        unknown: 0,
        byte_fallback: false,
        charsmap,
    })
}

#[test]
fn the_likeliest_pieces_are_chosen() {
    // ▁ab: −2.5 in one piece, −3 in two.
    let pieces = [
        ("<unk>", 0.0),
        ("▁", -1.0),
        ("▁a", -1.5),
        ("b", -1.5),
        ("▁ab", -2.5),
        ("c", -1.0),
    ];
    let own = own(&pieces, Vec::new()).unwrap();
    assert_eq!(own.encode("ab").unwrap(), [4]);
    assert_eq!(own.encode("abc  a").unwrap(), [4, 5, 2]);
    // What is unknown is one token, however long it is; the name of a piece for control is a text like others.
    assert_eq!(own.encode("zzc<unk>").unwrap(), [1, 0, 5, 0]);
    assert!(own.encode("").unwrap().is_empty());
    assert_eq!(
        (own.id("<unk>"), own.id("▁ab"), own.id("z")),
        (Some(0), Some(4), None)
    );
}

#[test]
fn characters_are_replaced_by_the_longest_entry() {
    let pieces = [("<unk>", 0.0), ("▁", -1.0)];
    let own = own(&pieces, table()).unwrap();
    assert_eq!(own.normalized("aab  b ab"), "▁ax▁y▁b▁x▁y");
    assert_eq!(own.normalized("  "), "");
    assert_eq!(own.normalized(" ▁ a"), "▁▁▁a");
}

#[test]
fn damaged_tables_are_refused_or_do_nothing() {
    let pieces = [("<unk>", 0.0), ("▁", -1.0)];
    for (bytes, found) in [
        (vec![1, 2], "no length"),
        (vec![8, 0, 0, 0, 1], "1 of 8 bytes"),
        (vec![3, 0, 0, 0, 1, 1, 1], "a trie of 3 bytes"),
        (vec![4, 0, 0, 0, 0, 0, 0, 0, 0xff], "no Unicode"),
    ] {
        let error = own(&pieces, bytes).unwrap_err();
        assert!(error.contains(found), "{error}");
    }
    // Links that lead out of the trie, and texts without an end.
    for at in [4, 4 + 4 * 32] {
        let mut bytes = table();
        bytes[at..at + 4].fill(0xff);
        let own = own(&pieces, bytes).unwrap();
        assert_eq!(own.normalized("ab"), "▁ab");
    }
    let mut bytes = table();
    bytes.truncate(bytes.len() - 1);
    assert_eq!(own(&pieces, bytes).unwrap().normalized("ab"), "▁ab");
}
