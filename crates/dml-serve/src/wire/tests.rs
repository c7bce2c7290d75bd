use super::*;

fn search(json: &str) -> Result<SearchArguments, Problem> {
    parse::<SearchBody>("body", json.as_bytes())?.arguments(&Limits::default())
}

fn message<T: std::fmt::Debug>(result: Result<T, Problem>) -> String {
    result.unwrap_err().message
}

#[test]
fn a_search_has_defaults() {
    let own = search(r#"{"vector": [1, 2.5]}"#).unwrap();
    assert_eq!(own.input, Input::Vector(vec![1.0, 2.5]));
    assert_eq!((own.k, own.within, own.with_attributes), (10, None, true));
    let own = search(r#"{"id": 7, "k": 3, "within": 0.5, "filter": "a = 1", "attributes": false}"#)
        .unwrap();
    assert_eq!(
        (own.input, own.k, own.within),
        (Input::Item(Id::Number(7)), 3, Some(0.5))
    );
    assert_eq!(own.filter, Some(Filter::eq("a", 1)));
    assert!(!own.with_attributes);
    let few = Limits {
        k: 4,
        ..Limits::default()
    };
    let own = parse::<SearchBody>("body", br#"{"text": "x"}"#)
        .unwrap()
        .arguments(&few)
        .unwrap();
    assert_eq!(own.k, 4);
}

#[test]
fn filters_are_text_or_json() {
    let of =
        |filter: &str| search(&format!(r#"{{"id": 1, "filter": {filter}}}"#)).map(|own| own.filter);
    let expected = Filter::eq("color", "red");
    assert_eq!(of(r#""color = \"red\"""#).unwrap(), Some(expected.clone()));
    assert_eq!(
        of(r#"{"eq": {"attribute": "color", "value": "red"}}"#).unwrap(),
        Some(expected.clone())
    );
    assert_eq!(of("null").unwrap(), None);
    let text = r#"{"eq": {"attribute": "color", "value": "red"}}"#;
    assert_eq!(filter_of_text(text).unwrap(), Some(expected));
    assert_eq!(filter_of_text("  ").unwrap(), None);
    for wrong in [
        r#""color =""#,
        "7",
        r#"{"eq": {"attribute": 1}}"#,
        r#"{"near": {}}"#,
        r#""""#,
    ] {
        let got = message(of(wrong));
        let is_named = got.starts_with("filter: ") || got.starts_with("filter, at byte ");
        assert!(
            is_named && !got.contains("filter: filter"),
            "{wrong}: {got}"
        );
    }
}

#[test]
fn wrong_bodies_name_the_place() {
    let table = [
        ("", "body: EOF while parsing a value at line 1 column 0"),
        ("{", "body: EOF while parsing an object at line 1 column 1"),
        ("[]", "body: "),
        (r#"{"id": 1} x"#, "body: trailing characters"),
        (r#"{"id": 1, "K": 3}"#, "body: K: unknown field `K`"),
        (
            r#"{"id": 1, "k": "3"}"#,
            "body: k: invalid type: string \"3\", expected usize",
        ),
        (
            r#"{"id": 1, "k": -1}"#,
            "body: k: invalid value: integer `-1`, expected usize",
        ),
        (r#"{"id": 1, "k": 0}"#, "k: expected 1 to 1000, got 0"),
        (r#"{"id": 1, "k": 1001}"#, "k: expected 1 to 1000, got 1001"),
        (r#"{"id": 1, "id": 2}"#, "body: duplicate field `id`"),
        (
            r#"{"vector": [1, "x"]}"#,
            "body: vector[1]: invalid type: string \"x\", expected f32",
        ),
        (
            r#"{"vector": [1, null]}"#,
            "body: vector[1]: invalid type: null, expected f32",
        ),
        (
            r#"{"vector": [1, 1e300]}"#,
            "body: vector[1]: number out of range",
        ),
        (
            r#"{}"#,
            "expected one of image, text, vector and id, got none",
        ),
        (
            r#"{"id": 1, "text": "x"}"#,
            "expected one of image, text, vector and id, got several",
        ),
        (
            r#"{"text": " \n"}"#,
            "text: expected a text, got nothing but spaces",
        ),
        (r#"{"id": 1.5}"#, "body: id: "),
        (r#"{"id": -1}"#, "body: id: "),
    ];
    for (body, expected) in table {
        let got = message(search(body));
        assert!(got.starts_with(expected), "{body}: {got}");
    }
    let long = format!(r#"{{"text": "{}"}}"#, "x".repeat(70_000));
    assert_eq!(search(&long).unwrap_err().status, 413);
    // Nested beyond what a reader should follow.
    let deep = format!(
        r#"{{"id": 1, "filter": {}1{}}}"#,
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    assert!(message(search(&deep)).contains("recursion limit"));
}

/// Readers of JSON that turn large numbers into infinities.
#[test]
fn vectors_of_infinities_are_refused() {
    let vector = Input::Vector(vec![1.0, f32::INFINITY]);
    assert_eq!(
        message(check_input(&vector, &Limits::default())),
        "vector: expected finite numbers in single precision, got another at position 1"
    );
}

#[test]
fn ids_are_what_the_collection_has() {
    let text = || Id::Text("7".to_owned());
    assert_eq!(resolved(text(), Some(IdKind::Number)), Id::Number(7));
    assert_eq!(resolved(text(), Some(IdKind::Text)), text());
    assert_eq!(resolved(text(), None), text());
    assert_eq!(resolved(Id::Number(7), Some(IdKind::Text)), text());
    let name = Id::Text("a".to_owned());
    assert_eq!(resolved(name.clone(), Some(IdKind::Number)), name);
}

#[test]
fn large_numbers_are_written_as_text() {
    let written = |id: Id| serde_json::to_string(&WireId(id)).unwrap();
    assert_eq!(written(Id::Number(EXACT)), "9007199254740991");
    assert_eq!(written(Id::Number(EXACT + 1)), "\"9007199254740992\"");
    assert_eq!(written(Id::Text("7".to_owned())), "\"7\"");
}

#[test]
fn items_have_one_input_each_and_their_place_is_named() {
    let items =
        |json: &str| parse::<UpsertBody>("body", json.as_bytes())?.items(&Limits::default());
    let stored = items(
        r#"{"items": [{"id": "a", "vector": [1], "attributes": {"n": 1, "x": 1.5, "t": "y", "b": true}}]}"#,
    );
    let stored = stored.unwrap();
    assert_eq!(
        stored[0].attributes.to_string(),
        r#"b = true, n = 1, t = "y", x = 1.5"#
    );
    let table = [
        (r#"{"items": []}"#, "items: expected 1 to 10000, got 0"),
        (
            r#"{"items": [{"id": "a", "vector": [1]}, {"id": "b"}]}"#,
            "items[1]: expected one of",
        ),
        (
            r#"{"items": [{"id": "a", "vector": [1e99]}]}"#,
            "body: items[0].vector[0]: number out of range",
        ),
        (
            r#"{"items": [{"vector": [1]}]}"#,
            "body: items[0]: missing field `id`",
        ),
        (
            r#"{"items": [{"id": "a", "vector": [1], "attributes": {"x": null}}]}"#,
            "body: items[0]",
        ),
        (
            r#"{"items": [{"id": "a", "vector": [1], "attributes": {"x": [1]}}]}"#,
            "body: items[0]",
        ),
    ];
    for (body, expected) in table {
        let got = message(items(body));
        assert!(got.starts_with(expected), "{body}: {got}");
    }
    let delete = |json: &str| parse::<DeleteBody>("body", json.as_bytes())?.ids(&Limits::default());
    assert_eq!(delete(r#"{"ids": ["a", 3]}"#).unwrap().len(), 2);
    assert_eq!(
        message(delete(r#"{"ids": []}"#)),
        "ids: expected 1 to 10000, got 0"
    );
}
