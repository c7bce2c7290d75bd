//! A service over loopback, asked by an HTTP client.

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
