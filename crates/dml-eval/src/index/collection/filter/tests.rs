use super::*;
use crate::index::RowSet;
use crate::index::collection::Column;
use crate::index::collection::error::CollectionError;
use crate::index::collection::slots::Slots;
use crate::index::collection::table::Table;
use crate::index::collection::value::ValueKind;

/// Five items of which the last one has no attribute.
fn items() -> (Slots, Table) {
    let (mut slots, mut table) = (Slots::new(), Table::default());
    slots.append(&Ids::from(["a", "b", "c", "d", "e"]));
    let color = vec![
        Some("red"),
        Some("blue"),
        Some("red"),
        Some("a \"b\""),
        None,
    ];
    let columns = [
        ("color".to_owned(), Column::from(color)),
        (
            "price".to_owned(),
            Column::from(vec![Some(1.0), Some(2.5), Some(3.0), Some(-0.0), None]),
        ),
        (
            "size".to_owned(),
            Column::from(vec![Some(40), Some(41), None, Some(-3), None]),
        ),
        (
            "new".to_owned(),
            Column::from(vec![Some(true), Some(false), None, Some(true), None]),
        ),
    ];
    table.append(5, &columns);
    (slots, table)
}

fn found(filter: &Filter) -> String {
    let (slots, table) = items();
    let set = evaluate(filter, &slots, &table).unwrap();
    set.iter()
        .map(|slot| slots.id(slot as usize).to_string())
        .collect()
}

#[test]
fn texts_hold_for_the_items_that_they_say() {
    for (text, want) in [
        ("all", "abcde"),
        ("not all", ""),
        (r#"color = "red""#, "ac"),
        ("color == 'red'", "ac"),
        (r#"color != "red""#, "bde"),
        (r#"color = "green""#, ""),
        (r#"color = "a \"b\"""#, "d"),
        (r#"color in ("red", "blue", "x")"#, "abc"),
        ("color in ()", ""),
        (r#"color not in ("red", "blue")"#, "de"),
        ("has(color)", "abcd"),
        ("not has(color)", "e"),
        (r#"color < "r""#, "bd"),
        (r#"color >= "red""#, "ac"),
        ("price = 1", "a"),
        ("price = 0", "d"),
        ("price in (3, 2.5, 7)", "bc"),
        ("price < 2.5", "ad"),
        ("price <= 2.5", "abd"),
        ("price > 1", "bc"),
        ("price in 1..3", "ab"),
        ("price in 1..=3", "abc"),
        ("price in -1.5..1e0", "d"),
        ("size = 40.0", "a"),
        ("size = 40.5", ""),
        ("size > 40.5", "b"),
        ("size >= -3 and size < 41", "ad"),
        ("size in (40, -3, 40)", "ad"),
        ("new = true", "ad"),
        ("new = false", "b"),
        ("new in (true, false)", "abd"),
        (r#"id = "b""#, "b"),
        (r#"id in ("e", "nobody", "a")"#, "ae"),
        (r#"id not in ("e", "a")"#, "bcd"),
        (r#"id != "e" and not new = true"#, "bc"),
        (r#"color = "red" or price = 2.5 and new = true"#, "ac"),
        (r#"(color = "red" or price = 2.5) and new = true"#, "a"),
        ("NOT (has(size) AND new = TRUE)", "bce"),
        ("not not has(size)", "abd"),
    ] {
        let filter: Filter = text
            .parse()
            .unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(found(&filter), want, "{text}");
        // What is written is read as the same filter.
        let written = filter.to_string();
        assert_eq!(written.parse::<Filter>(), Ok(filter), "{text}: {written}");
    }
}

#[test]
fn what_no_text_says_is_written_as_something_that_holds_for_the_same() {
    for (filter, want) in [
        (Filter::And(vec![]), "abcde"),
        (Filter::Or(vec![]), ""),
        (!Filter::Or(vec![]), "abcde"),
        (Filter::range::<i64>("size", ..), "abd"),
        (Filter::And(vec![Filter::has("new")]), "abd"),
        (
            !Filter::And(vec![Filter::has("new") | Filter::has("size")]),
            "ce",
        ),
        (
            Filter::Range {
                attribute: "price".to_owned(),
                at_least: Some(1.into()),
                above: Some(1.into()),
                at_most: None,
                below: Some(3.into()),
            } | Filter::ids(["e"]),
            "be",
        ),
        (
            !Filter::range("price", (Bound::Excluded(1), Bound::Included(3))),
            "ade",
        ),
    ] {
        assert_eq!(found(&filter), want, "{filter}");
        let read: Filter = filter.to_string().parse().unwrap();
        assert_eq!(found(&read), want, "{filter}");
    }
    // Ranges over what has only two values mean nothing, but for the one without bounds.
    assert_eq!(found(&Filter::range::<i64>("new", ..)), "abd");
}

#[test]
fn names_that_are_no_words_stand_in_backquotes() {
    for name in [
        "in stock",
        "id",
        "not",
        "True",
        "größe_2",
        "2nd",
        "a`b\\c",
        "é",
    ] {
        let filter = Filter::eq(name, 1) & Filter::has(name);
        let text = filter.to_string();
        assert_eq!(text.parse::<Filter>(), Ok(filter), "{text}");
    }
    assert_eq!(Filter::has("größe_2").to_string(), "has(größe_2)");
    assert_eq!(Filter::has("id").to_string(), "has(`id`)");
}

#[test]
fn what_is_no_filter_is_refused_with_its_place() {
    for (text, position, expected) in [
        ("", 0, "the name of an attribute"),
        ("   ", 3, "the name of an attribute"),
        ("color", 5, "a comparison"),
        ("color =", 7, "a text in quotes"),
        ("color = red", 8, "a text in quotes"),
        ("color = \"red", 8, "a closing quote"),
        ("color ~ 1", 6, "a filter"),
        ("color = 1 color = 2", 10, "and, or, or the end"),
        ("(color = 1", 10, "a closing parenthesis"),
        ("color = 1)", 9, "and, or, or the end"),
        ("color in 1", 10, "a range"),
        ("color in (1 2)", 12, "a comma"),
        ("color in (1,)", 12, "a text in quotes"),
        ("color not = 1", 10, "in"),
        ("has color", 4, "the name of an attribute in parentheses"),
        ("has(and)", 4, "the name of an attribute"),
        ("id < 3", 3, "=, != or in"),
        ("id = -3", 5, "an id"),
        ("id = 1.5", 5, "an id"),
        ("and", 0, "the name of an attribute"),
        ("price = 1e999", 8, "a text in quotes"),
        ("price , 3", 6, "a comparison"),
        ("größe = 'a' und x = 1", 14, "and, or, or the end"),
    ] {
        let error = text.parse::<Filter>().unwrap_err();
        assert_eq!(error.position, position, "{text}: {error}");
        assert!(error.expected.starts_with(expected), "{text}: {error}");
    }
    let deep = |depth: usize| format!("{}all{}", "(".repeat(depth), ")".repeat(depth));
    assert!(deep(64).parse::<Filter>().is_ok());
    assert!(deep(65).parse::<Filter>().is_err());
    assert!("not ".repeat(100_000).parse::<Filter>().is_err());
    // Ids may be larger than whole numbers of attributes.
    let largest = format!("id = {}", u64::MAX);
    assert_eq!(largest.parse(), Ok(Filter::ids([u64::MAX])));
}

#[test]
fn attributes_that_are_not_there_and_values_of_other_kinds_are_errors() {
    let (slots, table) = items();
    let refused = |text: &str| evaluate(&text.parse().unwrap(), &slots, &table).unwrap_err();
    let error = refused("colour = 1");
    assert_eq!(
        error.to_string(),
        "attribute colour: no item has it; there are color, new, price, size"
    );
    for (text, expected, got) in [
        ("color = 1", ValueKind::Text, ValueKind::Integer),
        ("color > 1", ValueKind::Text, ValueKind::Integer),
        ("price = 'x'", ValueKind::Float, ValueKind::Text),
        ("size in (1, true)", ValueKind::Integer, ValueKind::Bool),
        ("size < 'x'", ValueKind::Integer, ValueKind::Text),
        ("new = 1", ValueKind::Bool, ValueKind::Integer),
        ("new < true", ValueKind::Bool, ValueKind::Bool),
        ("all or not new = 'x'", ValueKind::Bool, ValueKind::Text),
    ] {
        assert!(
            matches!(refused(text), CollectionError::AttributeKind { expected: own, got: came, .. }
                if (own, came) == (expected, got)),
            "{text}"
        );
    }
}

#[test]
fn filters_that_a_loop_joins_do_not_nest() {
    let size = || Filter::has("size");
    let (mut left, mut right, mut either, mut not) = (size(), size(), size(), size());
    for _ in 0..20_000 {
        left = left & size();
        right = size() & right;
        either = size() | either;
        not = !not;
    }
    let all = found(&size());
    for filter in [&left, &right, &either, &not] {
        assert_eq!(found(filter), all);
    }
    assert_eq!(left, right);
    assert_eq!(not, size());
    let joined = (size() & Filter::All) & (size() & Filter::All);
    assert_eq!(
        joined,
        Filter::And(vec![size(), Filter::All, size(), Filter::All])
    );
}

#[test]
fn long_columns_are_evaluated_word_by_word() {
    let count = 1000;
    let (mut slots, mut table) = (Slots::new(), Table::default());
    let ids: Vec<u64> = (0..count).collect();
    slots.append(&ids.into());
    let values = (0..count as i64).map(|i| (i % 3 > 0).then_some(i % 7));
    table.append(
        count as usize,
        &[("x".to_owned(), Column::from(values.collect::<Vec<_>>()))],
    );
    let set = evaluate(&Filter::range("x", 2..5), &slots, &table).unwrap();
    let want = RowSet::from_fn(count as usize, |i| i % 3 > 0 && (2..5).contains(&(i % 7)));
    assert_eq!(set, want);
    assert_eq!(
        evaluate(&!Filter::has("x"), &slots, &table)
            .unwrap()
            .count(),
        334
    );
}

#[cfg(feature = "serde")]
#[test]
fn filters_are_json() {
    let json = r#"{"and":[{"eq":{"attribute":"color","value":"red"}},{"in":{"attribute":"size","values":[40,41]}},{"range":{"attribute":"price","at_least":2.5,"below":10}},{"not":{"has":{"attribute":"new"}}},{"or":["all",{"ids":["a","b"]}]}]}"#;
    let filter: Filter = serde_json::from_str(json).unwrap();
    let text = r#"color = "red" and size in (40, 41) and price in 2.5..10 and not has(new) and (all or id in ("a", "b"))"#;
    assert_eq!(filter.to_string(), text);
    assert_eq!(serde_json::to_string(&filter).unwrap(), json);
    assert!(serde_json::from_str::<Filter>(r#"{"eq":{"attribute":"color"}}"#).is_err());
    assert!(
        serde_json::from_str::<Filter>(r#"{"eq":{"attribute":"color","value":1,"x":2}}"#).is_err()
    );
    let ids: Filter = serde_json::from_str(r#"{"ids":[18446744073709551615]}"#).unwrap();
    assert_eq!(ids, Filter::ids([u64::MAX]));
}
