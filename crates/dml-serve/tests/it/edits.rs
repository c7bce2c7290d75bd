//! Storing and deleting items over HTTP, and who may.

use dml_core::candle_core::{Device, Tensor};
use dml_eval::{Collection, FlatIndex, FlatMetric, Items};
use dml_serve::{Edits, Server};
use serde_json::json;

use crate::service::{ColorNames, MeanColor, Service, color_server, png};

#[test]
fn items_are_stored_replaced_found_and_deleted() {
    let service = Service::start(color_server().edits(Edits::Allowed));
    let stored = service.post("/items", &json!({"items": [
        {"id": "violet", "vector": [0.5, 0, 0.5], "attributes": {"price": 9.5, "family": "red"}},
        {"id": "green", "text": "blue"},
    ]}));
    assert_eq!(stored.json(), json!({"added": 1, "replaced": 1}));
    assert_eq!(
        service
            .post("/search", &json!({"vector": [1, 0, 1], "k": 1}))
            .ids(),
        ["violet"]
    );
    // Replaced with its attributes.
    assert_eq!(
        service.get("/items/green").json(),
        json!({"id": "green", "attributes": {}})
    );
    assert_eq!(service.get("/collection").json()["items"], 6);

    let image = service.form(
        "/items",
        &[
            ("id", b"yellow"),
            ("image", &png([255, 255, 0])),
            ("attributes", b"{\"price\": 1.5}"),
        ],
    );
    assert_eq!(image.json(), json!({"added": 1, "replaced": 0}));
    assert_eq!(
        service
            .post("/search", &json!({"vector": [1, 1, 0], "k": 1}))
            .ids(),
        ["yellow"]
    );

    assert_eq!(
        service.send("DELETE", "/items/yellow", &[], &[]).json(),
        json!({"removed": 1})
    );
    assert_eq!(service.get("/items/yellow").status, 404);
    let kind = [("content-type", "application/json")];
    let many = service.send(
        "DELETE",
        "/items",
        &kind,
        b"{\"ids\": [\"violet\", \"red/1\", \"none\"]}",
    );
    assert_eq!(many.json(), json!({"removed": 2}));
    assert_eq!(service.get("/items").ids().len(), 4);
    let text = service.get("/metrics");
    assert!(
        text.text()
            .contains("dml_collection_edits_total{result=\"success\"} 4"),
        "{}",
        text.text()
    );
}

#[test]
fn many_texts_are_embedded_in_batches() {
    let service = Service::start(color_server().edits(Edits::Allowed));
    let items: Vec<_> = (0..100)
        .map(|place| json!({"id": format!("n{place}"), "text": "red"}))
        .collect();
    assert_eq!(
        service.post("/items", &json!({"items": items})).json()["added"],
        100
    );
    assert_eq!(service.get("/items?limit=1").json()["total"], 105);
}

#[test]
fn edits_are_refused_without_a_token_and_without_leave() {
    let body = json!({"items": [{"id": "a", "vector": [1, 2, 3]}]});
    let open = Service::start(color_server());
    let (status, code, message) = open.post("/items", &body).problem();
    assert_eq!((status, code.as_str()), (403, "forbidden"));
    assert!(message.contains("no token"), "{message}");
    assert_eq!(open.send("DELETE", "/items/green", &[], &[]).status, 403);
    // Reading stays allowed on the same path.
    assert_eq!(open.get("/items").status, 200);

    let with_token = Service::start(color_server().token("t"));
    assert_eq!(with_token.post("/items", &body).status, 401);
    let with_token = with_token.with_token("t");
    assert_eq!(with_token.post("/items", &body).status, 200);

    let refused = Service::start(color_server().token("t").edits(Edits::Refused)).with_token("t");
    assert_eq!(refused.post("/items", &body).status, 403);
}

#[test]
fn changes_of_a_folder_are_on_the_disk_and_a_reader_refuses_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shop");
    let mut collection = Collection::create(&path, FlatIndex::new(FlatMetric::Cosine)).unwrap();
    let rows = Tensor::new(&[[1f32, 0., 0.]], &Device::Cpu).unwrap();
    collection.add(Items::new(["a"], &rows).unwrap()).unwrap();
    let service = Service::start(
        Server::builder(collection)
            .edits(Edits::Allowed)
            .images(MeanColor)
            .texts(ColorNames),
    );
    service
        .post("/items", &json!({"items": [{"id": "b", "text": "blue"}]}))
        .json();
    // Another process sees it at once.
    let reader = Collection::open_read_only(&path).unwrap();
    assert!(reader.contains("b"));
    drop(service);

    let service = Service::start(Server::builder(reader).edits(Edits::Allowed));
    let (status, _, message) = service
        .post(
            "/items",
            &json!({"items": [{"id": "c", "vector": [1, 2, 3]}]}),
        )
        .problem();
    assert_eq!(status, 403);
    assert!(message.ends_with("opened for reading only"), "{message}");
}
