//! A service that shuts down.

use std::net::TcpStream;
use std::time::Duration;

use dml_serve::{Limits, Server};
use serde_json::json;

use crate::limits::Held;
use crate::service::{Service, colors};

#[test]
fn requests_in_progress_are_answered_and_new_ones_are_not_taken() {
    let held = Held::default();
    let mut service = Service::start(Server::builder(colors()).texts(held.clone()));
    let address = service.address;
    let url = service.url("/search");
    let asked = std::thread::spawn(move || {
        let body = json!({"text": "red", "k": 1}).to_string();
        let mut answer = ureq::post(url)
            .header("content-type", "application/json")
            .send(body)
            .unwrap();
        answer.body_mut().read_to_string().unwrap()
    });
    held.wait_for(1);
    service.tell_to_stop();
    // The socket closes while the request is still in progress.
    while TcpStream::connect(address).is_ok() {
        std::thread::yield_now();
    }
    assert!(!asked.is_finished());
    held.release();
    assert!(asked.join().unwrap().contains("red/1"));
    service.join();
}

#[test]
fn idle_connections_do_not_hold_a_service() {
    let mut service = Service::start(Server::builder(colors()));
    assert_eq!(service.get("/items").status, 200);
    let idle = TcpStream::connect(service.address).unwrap();
    service.tell_to_stop();
    service.join();
    drop(idle);
}

#[test]
fn requests_that_do_not_end_are_dropped() {
    let held = Held::default();
    let limits = Limits {
        shutdown_time: Duration::from_millis(50),
        ..Limits::default()
    };
    let mut service = Service::start(Server::builder(colors()).texts(held.clone()).limits(limits));
    let url = service.url("/search");
    let asked = std::thread::spawn(move || {
        ureq::post(url)
            .header("content-type", "application/json")
            .send(json!({"text": "red"}).to_string())
            .is_err()
    });
    held.wait_for(1);
    service.tell_to_stop();
    assert!(asked.join().unwrap());
    held.release();
    service.join();
}
