//! What each route answers.

use dml_core::candle_core::{Device, Tensor};
use dml_eval::{Collection, FlatIndex, Items};
use dml_serve::{HardPair, HardPairs, PairKind, PairSide, Server};
use serde_json::json;

use crate::service::{COLORS, Service, color_server, png};

#[test]
fn a_search_finds_the_nearest_by_vector_text_image_and_item() {
    let service = Service::start(color_server());
    let by_vector = service.post("/search", &json!({"vector": [1, 0, 0], "k": 3}));
    assert_eq!(by_vector.ids(), ["red/1", "red/2", "orange"]);
    let body = by_vector.json();
    assert_eq!(body["distance"], "cosine similarity");
    assert!(body["milliseconds"].as_f64().unwrap() >= 0.0);
    let hits = body["hits"].as_array().unwrap();
    assert!((hits[0]["distance"].as_f64().unwrap() - 1.0).abs() < 1e-6);
    let cosine = 0.9 / (0.81f64 + 0.01).sqrt();
    assert!((hits[1]["distance"].as_f64().unwrap() - cosine).abs() < 1e-6);
    assert_eq!(
        hits[0]["attributes"],
        json!({"family": "red", "path": "0.png", "price": 0.5})
    );

    let by_text = service.post("/search", &json!({"text": "blue", "k": 1}));
    assert_eq!(by_text.ids(), ["blue <b>"]);
    // An item does not find itself.
    let by_item = service.post("/search", &json!({"id": "red/1", "k": 2}));
    assert_eq!(by_item.ids(), ["red/2", "orange"]);

    let green = png([0, 250, 0]);
    let by_form = service.form(
        "/search",
        &[("image", &green), ("k", b"1"), ("attributes", b"false")],
    );
    assert_eq!(by_form.ids(), ["green"]);
    assert!(by_form.json()["hits"][0].get("attributes").is_none());
    let path = "/search?k=2&filter=price%20%3E%203";
    let by_body = service.send("POST", path, &[("content-type", "image/png")], &green);
    assert_eq!(by_body.ids(), ["orange", "blue <b>"]);
    // Fewer items than `k`.
    assert_eq!(
        service
            .post("/search", &json!({"text": "red", "k": 1000}))
            .ids()
            .len(),
        5
    );
}

#[test]
fn filters_and_bounds_narrow_a_search() {
    let service = Service::start(color_server());
    let ids = |more: serde_json::Value| {
        let mut body = json!({"vector": [1, 0, 0], "k": 10});
        body.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        service.post("/search", &body).ids()
    };
    assert_eq!(
        ids(json!({"filter": "price > 1 and price < 3"})),
        ["red/2", "green"]
    );
    let filter = json!({"eq": {"attribute": "family", "value": "red"}});
    assert_eq!(ids(json!({"filter": filter})), ["red/1", "red/2"]);
    assert_eq!(
        ids(json!({"filter": "not has(family)", "within": 0.5})),
        ["orange"]
    );
    assert_eq!(ids(json!({"within": 0.99})), ["red/1", "red/2"]);
    assert_eq!(ids(json!({"within": 0.5, "k": 1})), ["red/1"]);
    let none = service.post(
        "/search",
        &json!({"id": "red/1", "filter": "family = \"blue\""}),
    );
    assert!(none.ids().is_empty());
}

#[test]
fn embeddings_are_those_of_the_models() {
    let service = Service::start(color_server());
    let body = service.post("/embed", &json!({"text": "green"})).json();
    assert_eq!(body, json!({"dim": 3, "vector": [0.0, 1.0, 0.0]}));
    let image = service
        .form("/embed", &[("image", &png([255, 0, 0]))])
        .json();
    assert_eq!(image["vector"], json!([1.0, 0.0, 0.0]));
    let alone = service.send(
        "POST",
        "/embed",
        &[("content-type", "image/png")],
        &png([0, 0, 255]),
    );
    assert_eq!(alone.json()["vector"], json!([0.0, 0.0, 1.0]));
}

#[test]
fn items_are_listed_and_read() {
    let service = Service::start(color_server());
    let all = service.get("/items");
    assert_eq!(all.ids(), COLORS.map(|own| own.0));
    assert_eq!(all.json()["total"], 5);
    assert_eq!(
        service.get("/items?offset=1&limit=2").ids(),
        ["red/2", "green"]
    );
    let filtered = service.get("/items?filter=price%20%3E%201&offset=1&limit=2");
    assert_eq!(filtered.ids(), ["green", "blue <b>"]);
    assert_eq!(filtered.json()["total"], 4);
    assert!(service.get("/items?offset=9").ids().is_empty());

    let item = service.get("/items/blue%20%3Cb%3E").json();
    assert_eq!(
        item,
        json!({"id": "blue <b>", "attributes": {"path": "3.png", "price": 3.5}})
    );
    // A slash in an id is written as %2F. Rows are of length 1.
    let item = service.get("/items/red%2F2?vector=true").json();
    let vector: Vec<f64> = item["vector"]
        .as_array()
        .unwrap()
        .iter()
        .map(|own| own.as_f64().unwrap())
        .collect();
    assert!(
        (vector[0] - 0.9 / (0.82f64).sqrt()).abs() < 1e-6 && vector[2] == 0.0,
        "{vector:?}"
    );
}

#[test]
fn numbers_are_ids_too() {
    let mut collection = Collection::new(FlatIndex::default());
    let large = (1u64 << 53) + 1;
    let rows = Tensor::new(&[[0f32], [1.], [5.]], &Device::Cpu).unwrap();
    collection
        .add(Items::new([7, 8, large], &rows).unwrap())
        .unwrap();
    let service = Service::start(Server::builder(collection));
    let hits = service
        .post("/search", &json!({"vector": [0.2], "k": 3}))
        .json();
    assert_eq!(hits["hits"][0]["id"], 7);
    // Every reader of JSON keeps a text.
    assert_eq!(hits["hits"][2]["id"], "9007199254740993");
    for id in [json!(large), json!("9007199254740993")] {
        assert_eq!(
            service.post("/search", &json!({"id": id, "k": 1})).ids(),
            ["8"]
        );
    }
    assert_eq!(service.get("/items/7").json()["id"], 7);
    assert_eq!(service.get("/items/seven").status, 404);
}

#[test]
fn a_collection_is_described_with_what_there_is_to_filter_by() {
    let service = Service::start(color_server());
    let body = service.get("/collection").json();
    for (name, expected) in [
        ("title", json!("Colors <1>")),
        ("items", json!(5)),
        ("dim", json!(3)),
        ("id_kind", json!("text")),
        ("reads_images", json!(true)),
        ("has_pictures", json!(false)),
        ("pairs", json!(0)),
        ("largest_k", json!(1000)),
    ] {
        assert_eq!(body[name], expected, "{name}");
    }
    let of = |name: &str| {
        let all = body["attributes"].as_array().unwrap();
        all.iter().find(|own| own["name"] == name).unwrap().clone()
    };
    let family = json!({"name": "family", "kind": "text", "count": 2, "values": [{"value": "red", "count": 2}], "is_complete": true});
    assert_eq!(of("family"), family);
    let price = of("price");
    assert_eq!(
        (&price["kind"], &price["range"]),
        (&json!("float"), &json!([0.5, 4.5]))
    );
}

#[test]
fn an_empty_collection_is_no_error() {
    let service = Service::start(Server::builder(Collection::new(FlatIndex::default())));
    assert!(
        service
            .post("/search", &json!({"vector": [1, 2]}))
            .ids()
            .is_empty()
    );
    assert!(service.get("/items").ids().is_empty());
    let body = service.get("/collection").json();
    assert_eq!((&body["items"], body.get("dim")), (&json!(0), None));
    assert_eq!(service.get("/health/ready").status, 200);
}

#[test]
fn health_and_metrics_tell_what_happened() {
    let service = Service::start(color_server());
    assert_eq!(
        service.get("/health/live").json(),
        json!({"status": "live"})
    );
    assert_eq!(service.get("/health").json(), json!({"status": "ready"}));
    service.post("/search", &json!({"text": "red"}));
    service.post("/search", &json!({"text": "nothing"}));
    service.get("/nowhere");
    let metrics = service.get("/metrics");
    assert!(
        metrics
            .header("content-type")
            .starts_with("application/openmetrics-text")
    );
    for line in [
        "dml_http_requests_total{method=\"POST\",route=\"/search\",status=\"200\"} 1",
        "dml_http_requests_total{method=\"POST\",route=\"/search\",status=\"422\"} 1",
        "dml_http_requests_total{method=\"GET\",route=\"none\",status=\"404\"} 1",
        "dml_batch_jobs_count{stage=\"search\"} 1",
        "dml_batch_jobs_count{stage=\"texts\"} 2",
        "dml_collection_items 5",
        "dml_http_requests_in_progress 1",
    ] {
        assert!(
            metrics.text().lines().any(|own| own == line),
            "{line}\n{}",
            metrics.text()
        );
    }
}

#[test]
fn names_that_clients_make_up_are_not_kept_by_the_metrics() {
    let service = Service::start(color_server());
    let names = ["AAA", "AAB", "AAC"];
    for name in names {
        assert_eq!(service.send(name, "/items", &[], &[]).status, 405);
        assert_eq!(service.get(&format!("/{name}")).status, 404);
    }
    let metrics = service.get("/metrics");
    let text = metrics.text();
    assert!(
        text.contains("{method=\"other\",route=\"/items\",status=\"405\"} 3"),
        "{text}"
    );
    assert!(!names.iter().any(|name| text.contains(name)), "{text}");
}

#[test]
fn hard_pairs_are_listed_by_kind() {
    let pair = |kind, distance, a: &str, b: PairSide| HardPair {
        kind,
        distance,
        a: PairSide::of_id(a).with_label("red"),
        b,
    };
    let pairs = HardPairs {
        distance: Some("cosine".to_owned()),
        pairs: vec![
            pair(
                PairKind::Negative,
                0.9,
                "red/1",
                PairSide::of_id("orange").with_label("orange"),
            ),
            pair(
                PairKind::Positive,
                0.1,
                "red/1",
                PairSide::of_text("crimson"),
            ),
            pair(
                PairKind::Negative,
                0.8,
                "gone",
                PairSide::of_picture("3.png"),
            ),
        ],
    };
    let service = Service::start(color_server().hard_pairs(pairs));
    let all = service.get("/pairs").json();
    assert_eq!(
        (&all["total"], &all["distance"]),
        (&json!(3), &json!("cosine"))
    );
    let first = json!({
        "number": 0, "kind": "negative", "distance": 0.9,
        "a": {"id": "red/1", "name": "red/1", "label": "red", "has_picture": false},
        "b": {"id": "orange", "name": "orange", "label": "orange", "has_picture": false},
    });
    assert_eq!(all["pairs"][0], first);
    let negative = service.get("/pairs?kind=negative&offset=1").json();
    assert_eq!(
        (&negative["total"], &negative["pairs"][0]["number"]),
        (&json!(2), &json!(2))
    );
    // An item that the collection lacks can't be searched from.
    assert_eq!(
        negative["pairs"][0]["a"],
        json!({"name": "gone", "label": "red", "has_picture": false})
    );
    assert_eq!(
        service.get("/pairs?kind=positive&limit=1").json()["total"],
        1
    );
    assert_eq!(service.get("/collection").json()["pairs"], 3);
}

#[test]
fn every_answer_has_an_id_and_the_headers_that_browsers_heed() {
    let service = Service::start(color_server());
    for path in ["/items", "/nowhere", "/health/live"] {
        let answer = service.get(path);
        assert!(answer.header("x-request-id").len() > 9, "{path}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("cache-control"), "no-store");
        assert!(
            answer
                .header("content-security-policy")
                .starts_with("default-src 'none'")
        );
    }
    let own = service.send("GET", "/items", &[("x-request-id", "proxy-7")], &[]);
    assert_eq!(own.header("x-request-id"), "proxy-7");
    assert_ne!(
        service.get("/items").header("x-request-id"),
        service.get("/items").header("x-request-id")
    );
}
