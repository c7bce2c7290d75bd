//! A service on a loopback address, and an HTTP client.

#![allow(clippy::unwrap_used)] // A test that meets an error has failed.

mod edits;
mod limits;
mod load;
mod page;
mod pictures;
mod refusals;
mod reload;
mod routes;
mod service;
mod shutdown;
