//! A folder that another process writes to, served meanwhile.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use dml_core::candle_core::{Device, Tensor};
use dml_eval::{Collection, FlatIndex, Items};
use dml_serve::{CollectionSource, Server};
use serde_json::json;

use crate::service::Service;

/// Looks every few milliseconds.
fn watched(path: &Path) -> CollectionSource {
    let path = path.to_path_buf();
    CollectionSource::watched_with(Duration::from_millis(2), move || {
        Collection::open_read_only(&path)
    })
    .unwrap()
}

fn item(number: u64) -> Items {
    let row = Tensor::new(&[[number as f32, 1.0]], &Device::Cpu).unwrap();
    Items::new([number], &row).unwrap()
}

#[test]
fn searches_go_on_while_the_folder_moves_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shop");
    let mut writer = Collection::create(&path, FlatIndex::default()).unwrap();
    writer.add(item(0)).unwrap();
    let service = Service::start(Server::builder(watched(&path)));
    let (is_done, searches) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let mut seen = 1;
                while !is_done.load(Ordering::Relaxed) {
                    let found = service
                        .post("/search", &json!({"vector": [0, 1], "k": 100}))
                        .ids();
                    // A version is whole, and none comes back.
                    let expected: Vec<String> =
                        (0..found.len()).map(|number| number.to_string()).collect();
                    assert_eq!(found, expected);
                    assert!(found.len() >= seen, "{} after {seen}", found.len());
                    seen = found.len();
                    searches.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for number in 1..=20 {
            writer.add(item(number)).unwrap();
            if number == 10 {
                writer.compact().unwrap();
            }
            let before = searches.load(Ordering::Relaxed);
            while searches.load(Ordering::Relaxed) < before + 5 {
                std::thread::yield_now();
            }
        }
        while service.get("/items?limit=1").json()["total"] != 21 {
            std::thread::yield_now();
        }
        is_done.store(true, Ordering::Relaxed);
    });
    let metrics = service.get("/metrics");
    assert!(
        metrics
            .text()
            .contains("dml_collection_reloads_total{result=\"success\"}"),
        "{}",
        metrics.text()
    );
    assert!(!metrics.text().contains("result=\"failure\""));
}

#[test]
fn a_version_that_can_not_be_opened_is_reported_and_the_old_one_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shop");
    let mut writer = Collection::create(&path, FlatIndex::default()).unwrap();
    writer.add(item(0)).unwrap();
    let service = Service::start(Server::builder(watched(&path)));
    drop(writer);
    let aside = folder.path().join("aside");
    std::fs::rename(&path, &aside).unwrap();
    while service.get("/health/ready").json().get("reload").is_none() {
        std::thread::yield_now();
    }
    let health = service.get("/health/ready").json();
    assert_eq!(
        health,
        json!({"status": "ready", "reload": "the newer version of the collection can't be opened"})
    );
    assert_eq!(service.get("/items").ids(), ["0"]);
    let mut writer = Collection::open(&aside).unwrap();
    writer.add(item(1)).unwrap();
    drop(writer);
    std::fs::rename(&aside, &path).unwrap();
    while service.get("/items").ids().len() != 2 {
        std::thread::yield_now();
    }
    while service.get("/health/ready").json().get("reload").is_some() {
        std::thread::yield_now();
    }
}
