//! Many requests at once.

use std::sync::atomic::{AtomicBool, Ordering};

use dml_core::candle_core::{Device, Tensor};
use dml_eval::{Collection, FlatIndex, Items};
use dml_serve::{Edits, Server};
use serde_json::json;

use crate::service::{COLORS, Service, color_server};

#[test]
fn thousands_of_requests_from_many_clients_all_have_their_own_answer() {
    const SIDE: u64 = 40;
    let mut collection = Collection::new(FlatIndex::default());
    let rows: Vec<Vec<f32>> = (0..SIDE * SIDE)
        .map(|n| vec![(n % SIDE) as f32, (n / SIDE) as f32])
        .collect();
    let ids: Vec<u64> = (0..SIDE * SIDE).collect();
    let parity: Vec<bool> = ids.iter().map(|n| n % 2 == 0).collect();
    let items = Items::new(ids, &Tensor::new(rows, &Device::Cpu).unwrap()).unwrap();
    collection
        .add(items.with_column("is_even", parity).unwrap())
        .unwrap();
    let service = Service::start(Server::builder(collection));
    std::thread::scope(|scope| {
        for client in 0..16u64 {
            let service = &service;
            scope.spawn(move || {
                for request in 0..200u64 {
                    let n = (client * 977 + request * 131) % (SIDE * SIDE);
                    let point = [(n % SIDE) as f64 + 0.1, (n / SIDE) as f64];
                    let (k, filter) = (
                        1 + request % 7,
                        ["", "is_even = true", "is_even = false"][(request % 3) as usize],
                    );
                    let body = match request % 5 {
                        0 => json!({"id": n, "k": k, "filter": filter_or_null(filter)}),
                        _ => json!({"vector": point, "k": k, "filter": filter_or_null(filter)}),
                    };
                    let found = service.post("/search", &body).ids();
                    assert_eq!(found.len() as u64, k);
                    if request % 5 != 0
                        && (filter.is_empty() || n.is_multiple_of(2) == filter.ends_with("true"))
                    {
                        assert_eq!(found[0], n.to_string());
                    }
                    if request % 5 == 0 {
                        assert!(!found.contains(&n.to_string()));
                    }
                    for id in &found {
                        let is_even = id.parse::<u64>().unwrap() % 2 == 0;
                        assert!(filter.is_empty() || is_even == filter.ends_with("true"));
                    }
                }
            });
        }
    });
    let metrics = service.get("/metrics");
    let line = "dml_http_requests_total{method=\"POST\",route=\"/search\",status=\"200\"} 3200";
    assert!(
        metrics.text().lines().any(|own| own == line),
        "{}",
        metrics.text()
    );
    // They were searched in fewer batches than there were requests.
    let count = metrics
        .text()
        .lines()
        .find_map(|own| own.strip_prefix("dml_batch_jobs_count{stage=\"search\"} "));
    assert!(count.unwrap().parse::<u64>().unwrap() <= 3200);
}

fn filter_or_null(filter: &str) -> serde_json::Value {
    match filter {
        "" => serde_json::Value::Null,
        filter => filter.into(),
    }
}

#[test]
fn a_bad_query_does_not_spoil_those_beside_it() {
    let service = Service::start(color_server());
    std::thread::scope(|scope| {
        for client in 0..12 {
            let service = &service;
            scope.spawn(move || {
                for _ in 0..40 {
                    match client % 4 {
                        0 => assert_eq!(
                            service
                                .post("/search", &json!({"text": "red", "k": 1}))
                                .ids(),
                            ["red/1"]
                        ),
                        1 => assert_eq!(
                            service.post("/search", &json!({"text": "mauve"})).status,
                            422
                        ),
                        2 => assert_eq!(
                            service.post("/search", &json!({"vector": [1, 2]})).status,
                            422
                        ),
                        _ => {
                            let filter = json!({"vector": [0, 1, 0], "filter": "nothing = 1"});
                            assert_eq!(service.post("/search", &filter).status, 400);
                        }
                    }
                }
            });
        }
    });
}

#[test]
fn searches_during_changes_see_whole_items() {
    let service = Service::start(color_server().edits(Edits::Allowed));
    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !is_done.load(Ordering::Relaxed) {
                    let found = service
                        .post("/search", &json!({"vector": [1, 0, 0], "k": 50}))
                        .json();
                    for hit in found["hits"].as_array().unwrap() {
                        let id = hit["id"].as_str().unwrap();
                        if let Some(number) = id.strip_prefix("new-") {
                            assert_eq!(
                                hit["attributes"]["price"].as_f64().unwrap().to_string(),
                                number
                            );
                        } else {
                            assert!(COLORS.iter().any(|own| own.0 == id), "{id}");
                        }
                    }
                }
            });
        }
        for number in 0..60 {
            let item = json!({"id": format!("new-{number}"), "vector": [1, 1, 1], "attributes": {"price": f64::from(number)}});
            service.post("/items", &json!({"items": [item]})).json();
            if number >= 5 {
                let gone = format!("/items/new-{}", number - 5);
                assert_eq!(service.send("DELETE", &gone, &[], &[]).status, 200);
            }
        }
        is_done.store(true, Ordering::Relaxed);
    });
    assert_eq!(service.get("/items").json()["total"], 10);
}
