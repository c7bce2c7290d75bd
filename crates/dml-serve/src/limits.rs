//! Bounds on what one request may cost, and on what all of them may cost together.

use std::time::Duration;

use crate::ServeError;

dml_core::config! {
    serde never:
    /// Limits of a [`Server`](crate::Server). A request beyond one of them is answered with an error that names it.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use dml_serve::Limits;
    ///
    /// let limits = Limits { k: 50, request_time: Duration::from_secs(5), ..Limits::default() };
    /// assert_eq!(limits.body_bytes, 16 << 20);
    /// ```
    pub struct Limits {
        /// Size of a request's body, in bytes. Larger bodies get status 413. Default 16 MiB.
        pub body_bytes: usize = 16 << 20,
        /// Bytes of all bodies above 64 KiB that are in memory at once. Further ones wait. At least `body_bytes`. Default
        /// 256 MiB.
        pub bodies_bytes: usize = 256 << 20,
        /// Length of a text to embed, in bytes of UTF-8. Longer texts get status 413. Default 64 KiB.
        pub text_bytes: usize = 64 << 10,
        /// Number of neighbours that a search may return. Default `1000`.
        pub k: usize = 1000,
        /// Number of items that one request may store, delete or list. Default `10_000`.
        pub items: usize = 10_000,
        /// Time in which a client has to send the head of a request, and for which an idle connection stays open.
        /// Default 15 s.
        pub head_time: Duration = Duration::from_secs(15),
        /// Time in which a client has to send the body of a request; then it gets status 408. Default 15 s.
        pub body_time: Duration = Duration::from_secs(15),
        /// Time in which a request is answered; then it gets status 504. Default 30 s.
        pub request_time: Duration = Duration::from_secs(30),
        /// Time for which a connection may take none of the bytes that wait for it; then it is closed. Default 30 s.
        pub write_time: Duration = Duration::from_secs(30),
        /// Time that requests in progress get when the server shuts down. Default 30 s.
        pub shutdown_time: Duration = Duration::from_secs(30),
        /// Number of requests that are answered at once. Further ones get status 503. Default `512`.
        pub requests: usize = 512,
        /// Number of open connections. Further ones wait to be accepted. Default `2048`.
        pub connections: usize = 2048,
        /// Number of queries that are searched together. Default `64`.
        pub search_batch: usize = 64,
        /// Number of threads that take batches of queries. A search runs on all cores by itself; a second thread prepares
        /// a batch while the first one searches. Default `2`.
        pub search_threads: usize = 2,
        /// Number of images or texts that are embedded together. Default `16`.
        pub embed_batch: usize = 16,
        /// Number of threads for everything else that computes or reads files, such as thumbnails. Default `4`.
        pub other_threads: usize = 4,
        /// Size of a picture's file, in bytes. Larger ones are not served. Default 64 MiB.
        pub picture_bytes: u64 = 64 << 20,
        /// Memory for decoding a picture, in bytes, 1 MiB to 1 TiB. Pictures that need more have no thumbnail. Default
        /// 512 MiB.
        pub picture_memory: u64 = 512 << 20,
        /// Memory for thumbnails that are kept, in bytes. Default 64 MiB.
        pub thumbnail_bytes: usize = 64 << 20,
    }
}

impl Limits {
    /// # Errors
    /// [`ServeError::Limit`] for a limit that is out of range.
    pub(crate) fn check(&self) -> Result<(), ServeError> {
        let numbers = [
            ("body_bytes", self.body_bytes),
            ("text_bytes", self.text_bytes),
            ("k", self.k),
            ("items", self.items),
            ("requests", self.requests),
            ("connections", self.connections),
            ("search_batch", self.search_batch),
            ("search_threads", self.search_threads),
            ("embed_batch", self.embed_batch),
            ("other_threads", self.other_threads),
        ];
        let refuse = |name, expected: &str, got: String| {
            let expected = expected.to_owned();
            Err(ServeError::Limit {
                name,
                expected,
                got,
            })
        };
        // Semaphores of tokio hold no more.
        let most = u32::MAX as usize >> 3;
        for (name, number) in numbers {
            let counted = !name.ends_with("bytes");
            if number == 0 || (counted && number > most) {
                return refuse(name, &format!("1 to {most}"), number.to_string());
            }
        }
        if self.bodies_bytes < self.body_bytes || self.bodies_bytes > 1 << 40 {
            let expected = format!("body_bytes ({}) to 1 TiB", self.body_bytes);
            return refuse("bodies_bytes", &expected, self.bodies_bytes.to_string());
        }
        if !(1 << 20..=1 << 40).contains(&self.picture_memory) {
            return refuse(
                "picture_memory",
                "1048576 (1 MiB) to 1099511627776 (1 TiB)",
                self.picture_memory.to_string(),
            );
        }
        let times = [
            ("head_time", self.head_time),
            ("body_time", self.body_time),
            ("request_time", self.request_time),
            ("write_time", self.write_time),
        ];
        for (name, time) in times {
            if time.is_zero() {
                return refuse(name, "more than 0 s", "0 s".to_owned());
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_limit_is_checked_by_its_name() {
        assert!(Limits::default().check().is_ok());
        type Change = fn(&mut Limits);
        let table: [(Change, &str); 10] = [
            (|own| own.body_bytes = 0, "body_bytes"),
            (|own| own.text_bytes = 0, "text_bytes"),
            (|own| own.k = 0, "k"),
            (|own| own.requests = 0, "requests"),
            (|own| own.requests = usize::MAX, "requests"),
            (|own| own.search_batch = 0, "search_batch"),
            (|own| own.bodies_bytes = 5, "bodies_bytes"),
            (|own| own.bodies_bytes = usize::MAX, "bodies_bytes"),
            (|own| own.picture_memory = 5, "picture_memory"),
            (|own| own.request_time = Duration::ZERO, "request_time"),
        ];
        for (change, name) in table {
            let mut limits = Limits::default();
            change(&mut limits);
            let error = limits.check().unwrap_err().to_string();
            assert!(error.starts_with(&format!("{name}: expected ")), "{error}");
        }
    }
}
