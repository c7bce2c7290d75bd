//! The body of a request: read within limits, and taken apart by its media type.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::str::FromStr;
use std::sync::Arc;

use axum::body::{Body, BodyDataStream};
use axum::http::{HeaderMap, header};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use crate::limits::Limits;
use crate::problem::{Problem, quoted};

/// Fields of a form at most.
const MOST_FIELDS: usize = 16;
/// Bytes of a body that need no place in the budget of all bodies. The limit of requests bounds them.
const FREE: usize = 64 << 10;
/// What a place in the budget of all bodies stands for, in bytes.
const PLACE: usize = 1024;

/// The memory for the bodies of all requests, without the first part of each.
#[derive(Clone, Debug)]
pub(crate) struct BodyBudget {
    places: Arc<Semaphore>,
}

impl BodyBudget {
    pub(crate) fn new(bytes: usize) -> Self {
        Self {
            places: Arc::new(Semaphore::new(bytes.div_ceil(PLACE))),
        }
    }
}

/// The body of a request, and its share of the budget for as long as it is in use.
#[derive(Debug)]
pub(crate) struct Content {
    pub(crate) kind: ContentKind,
    _places: Option<OwnedSemaphorePermit>,
}

/// What a body holds.
#[derive(Debug)]
pub(crate) enum ContentKind {
    Json(Bytes),
    Image(Bytes),
    Form(Form),
}

impl Content {
    /// Reads a body of one of the three kinds.
    ///
    /// # Errors
    /// Status 415 for another media type, 413 and 408 beyond the limits, 400 for a form that is malformed.
    pub(crate) async fn read(
        headers: &HeaderMap,
        body: Body,
        limits: &Limits,
        budget: &BodyBudget,
    ) -> Result<Self, Problem> {
        const EXPECTED: &str = "application/json, multipart/form-data or image/*";
        let (essence, whole) = media_type(headers);
        let is_json = essence == "application/json";
        let is_form = essence == "multipart/form-data";
        if !(is_json || is_form || essence.starts_with("image/")) {
            let got = if whole.is_empty() {
                "none".to_owned()
            } else {
                quoted(whole)
            };
            return Err(Problem::media_type(EXPECTED, &got));
        }
        let (bytes, places) = read(headers, body, limits, budget).await?;
        let kind = match () {
            () if is_json => ContentKind::Json(bytes),
            () if is_form => ContentKind::Form(Form::read(bytes, whole).await?),
            () => ContentKind::Image(bytes),
        };
        Ok(Self {
            kind,
            _places: places,
        })
    }
}

/// The media type without its parameters and in small letters, and the whole header.
fn media_type(headers: &HeaderMap) -> (String, &str) {
    let value = headers.get(header::CONTENT_TYPE);
    let whole = value.and_then(|value| value.to_str().ok()).unwrap_or("");
    let essence = whole.split(';').next().unwrap_or("").trim();
    (essence.to_ascii_lowercase(), whole)
}

/// Reads a body, and takes its share of the budget once more than [`FREE`] bytes have arrived: clients that send slowly hold no
/// place, and short bodies never wait for long ones.
async fn read(
    headers: &HeaderMap,
    body: Body,
    limits: &Limits,
    budget: &BodyBudget,
) -> Result<(Bytes, Option<OwnedSemaphorePermit>), Problem> {
    let announced = headers.get(header::CONTENT_LENGTH);
    let announced = announced.and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    let most = limits.body_bytes;
    if announced.is_some_and(|bytes| bytes > most as u64) {
        return Err(Problem::too_large("body", most));
    }
    let slow = |_| Problem::slow_body(limits.body_time.as_secs_f64());
    let mut deadline = Instant::now() + limits.body_time;
    let mut stream = body.into_data_stream();
    let mut all = BytesMut::new();
    let first = collect(&mut stream, &mut all, FREE, most);
    if timeout_at(deadline, first).await.map_err(slow)?? {
        return Ok((all.freeze(), None));
    }
    // All at once: bodies that each wait for the rest of their places would wait for each other. A body that does not say how
    // long it is may be as long as allowed.
    let expected = announced.map_or(most, |bytes| bytes as usize);
    let count = expected.max(all.len()).div_ceil(PLACE) as u32;
    let waiting = Instant::now();
    let closed = |_| Problem::internal("the service has ended");
    let places = Arc::clone(&budget.places).acquire_many_owned(count);
    let places = places.await.map_err(closed)?;
    deadline += waiting.elapsed();
    let rest = collect(&mut stream, &mut all, usize::MAX, most);
    timeout_at(deadline, rest).await.map_err(slow)??;
    Ok((all.freeze(), Some(places)))
}

/// Reads until more than `enough` bytes are there; whether the body has ended before.
async fn collect(
    stream: &mut BodyDataStream,
    all: &mut BytesMut,
    enough: usize,
    most: usize,
) -> Result<bool, Problem> {
    while all.len() <= enough {
        let Some(part) = stream.next().await else {
            return Ok(true);
        };
        let part = part.map_err(|_| Problem::invalid("the body ended before it was complete"))?;
        if all.len() + part.len() > most {
            return Err(Problem::too_large("body", most));
        }
        all.extend_from_slice(&part);
    }
    Ok(false)
}

/// The fields of a form, by name.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Form {
    fields: BTreeMap<String, Bytes>,
}

impl Form {
    /// Reads `multipart/form-data`; the boundary stands in the media type.
    ///
    /// # Errors
    /// Status 400 if it is malformed, a field has no name or comes twice, or there are more than 16.
    async fn read(bytes: Bytes, media_type: &str) -> Result<Self, Problem> {
        let wrong = |error: multer::Error| Problem::invalid(format!("body: {error}"));
        let boundary = multer::parse_boundary(media_type).map_err(wrong)?;
        let stream = futures_util::stream::iter([Ok::<_, Infallible>(bytes)]);
        let mut parts = multer::Multipart::new(stream, boundary);
        let mut form = Self::default();
        while let Some(part) = parts.next_field().await.map_err(wrong)? {
            let Some(name) = part.name().map(str::to_owned) else {
                return Err(Problem::invalid("body: expected fields with names"));
            };
            let value = part.bytes().await.map_err(wrong)?;
            if form.fields.len() == MOST_FIELDS {
                return Err(Problem::invalid(format!(
                    "body: expected at most {MOST_FIELDS} fields"
                )));
            }
            if form.fields.contains_key(&name) {
                let name = quoted(&name);
                return Err(Problem::invalid(format!(
                    "body: the field {name} is given twice"
                )));
            }
            form.fields.insert(name, value);
        }
        Ok(form)
    }

    /// Takes a field.
    pub(crate) fn bytes(&mut self, name: &str) -> Option<Bytes> {
        self.fields.remove(name)
    }

    /// Takes a field as text.
    pub(crate) fn text(&mut self, name: &'static str) -> Result<Option<String>, Problem> {
        let Some(bytes) = self.bytes(name) else {
            return Ok(None);
        };
        match String::from_utf8(bytes.into()) {
            Ok(text) => Ok(Some(text)),
            Err(_) => Err(Problem::argument(name, "text in UTF-8", "other bytes")),
        }
    }

    /// Takes a field as a number or a truth value.
    pub(crate) fn parsed<T: FromStr>(&mut self, name: &'static str) -> Result<Option<T>, Problem>
    where
        T::Err: std::fmt::Display,
    {
        let Some(text) = self.text(name)? else {
            return Ok(None);
        };
        let wrong = |error| Problem::invalid(format!("{name}: {error}, got {}", quoted(&text)));
        text.trim().parse().map(Some).map_err(wrong)
    }

    /// Refuses fields that were not taken.
    pub(crate) fn finish(self) -> Result<(), Problem> {
        match self.fields.keys().next() {
            None => Ok(()),
            Some(name) => Err(Problem::invalid(format!(
                "body: unknown field {}",
                quoted(name)
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::http::HeaderValue;

    use super::*;

    fn headers(media_type: &str, length: Option<usize>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_str(media_type).unwrap(),
        );
        if let Some(length) = length {
            headers.insert(header::CONTENT_LENGTH, length.into());
        }
        headers
    }

    fn block_on<F: Future>(future: F) -> F::Output {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all().build().unwrap().block_on(future)
    }

    fn content(
        media_type: &str,
        length: Option<usize>,
        body: Body,
        limits: &Limits,
    ) -> Result<Content, Problem> {
        let budget = BodyBudget::new(limits.bodies_bytes);
        block_on(Content::read(
            &headers(media_type, length),
            body,
            limits,
            &budget,
        ))
    }

    fn form(text: &'static str) -> Result<Form, Problem> {
        let read = content(
            "multipart/form-data; boundary=X",
            None,
            Body::from(text),
            &Limits::default(),
        );
        match read?.kind {
            ContentKind::Form(form) => Ok(form),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_media_type_decides() {
        let limits = Limits::default();
        let read = |kind: &str| content(kind, None, Body::from("{}"), &limits).map(|own| own.kind);
        assert!(matches!(
            read("Application/JSON; charset=utf-8"),
            Ok(ContentKind::Json(_))
        ));
        assert!(matches!(read("image/jpeg"), Ok(ContentKind::Image(_))));
        for (kind, got) in [
            ("text/plain", "\"text/plain\""),
            ("", "none"),
            ("application/x-www-form-urlencoded", "urlencoded\""),
        ] {
            let problem = read(kind).unwrap_err();
            assert_eq!(problem.status, 415);
            assert!(problem.message.ends_with(got), "{}", problem.message);
        }
        let problem = read("multipart/form-data").unwrap_err();
        assert_eq!(problem.status, 400);
    }

    #[test]
    fn bodies_end_at_the_limit_whatever_they_announce() {
        let limits = Limits {
            body_bytes: 10,
            bodies_bytes: 20,
            ..Limits::default()
        };
        let read =
            |length, body: &'static str| content("image/png", length, Body::from(body), &limits);
        assert!(read(None, "0123456789").is_ok());
        for (length, body) in [
            (None, "0123456789a"),
            (Some(11), ""),
            (Some(5), "0123456789a"),
        ] {
            assert_eq!(read(length, body).unwrap_err().status, 413);
        }
    }

    #[test]
    fn a_body_that_stops_coming_is_given_up() {
        let limits = Limits {
            body_time: Duration::from_millis(5),
            ..Limits::default()
        };
        let never = Body::from_stream(futures_util::stream::pending::<Result<Bytes, Infallible>>());
        let problem = content("image/png", Some(10), never, &limits).unwrap_err();
        assert_eq!((problem.status.as_u16(), problem.code), (408, "slow_body"));
        let broken =
            futures_util::stream::iter([Ok(Bytes::from("a")), Err(std::io::Error::other("gone"))]);
        let problem =
            content("image/png", Some(10), Body::from_stream(broken), &limits).unwrap_err();
        assert_eq!(problem.status, 400);
    }

    #[test]
    fn long_bodies_wait_for_their_share_of_the_budget_and_short_ones_do_not() {
        let limits = Limits::default();
        let budget = BodyBudget::new(3 * FREE);
        block_on(async {
            let read = |length: usize| {
                let body = Body::from(vec![0; length]);
                let headers = headers("image/png", Some(length));
                let (limits, budget) = (&limits, &budget);
                async move { Content::read(&headers, body, limits, budget).await }
            };
            let first = read(2 * FREE).await.unwrap();
            let waiting = tokio::time::timeout(Duration::from_millis(5), read(2 * FREE)).await;
            assert!(waiting.is_err());
            assert!(read(FREE).await.is_ok());
            drop(first);
            assert!(read(2 * FREE).await.is_ok());
        });
    }

    #[test]
    fn bodies_that_come_slowly_hold_no_share_of_the_budget() {
        let limits = Limits::default();
        let budget = BodyBudget::new(2 * FREE);
        block_on(async {
            for length in [None, Some(2 * FREE)] {
                let some = futures_util::stream::iter([Ok::<_, Infallible>(Bytes::from("x"))]);
                let never = futures_util::stream::pending();
                let slow = Body::from_stream(some.chain(never));
                let headers = headers("image/png", length);
                let slow = Content::read(&headers, slow, &limits, &budget);
                let slow = tokio::time::timeout(Duration::from_millis(5), slow);
                assert!(slow.await.is_err());
                assert_eq!(budget.places.available_permits(), 2 * FREE / PLACE);
            }
        });
    }

    #[test]
    fn fields_of_a_form_are_taken_by_name() {
        let mut form = form(
            "--X\r\nContent-Disposition: form-data; name=\"k\"\r\n\r\n 7\r\n\
             --X\r\nContent-Disposition: form-data; name=\"image\"; filename=\"a.png\"\r\nContent-Type: image/png\r\n\r\n\u{89}\r\n--X--\r\n",
        )
        .unwrap();
        assert_eq!(form.parsed::<usize>("k"), Ok(Some(7)));
        assert_eq!(form.parsed::<usize>("k"), Ok(None));
        assert!(form.bytes("image").is_some());
        assert_eq!(form.finish(), Ok(()));
    }

    #[test]
    fn malformed_forms_are_refused() {
        let table = [
            ("", "body: "),
            (
                "--X\r\nContent-Disposition: form-data; name=\"k\"\r\n\r\n7",
                "body: ",
            ),
            (
                "--X\r\nContent-Disposition: form-data\r\n\r\n7\r\n--X--\r\n",
                "body: expected fields with names",
            ),
            (
                "--X\r\nContent-Disposition: form-data; name=\"k\"\r\n\r\n7\r\n--X\r\nContent-Disposition: form-data; name=\"k\"\r\n\r\n8\r\n--X--\r\n",
                "body: the field \"k\" is given twice",
            ),
        ];
        for (text, expected) in table {
            let problem = form(text).unwrap_err();
            assert_eq!(problem.status, 400);
            assert!(problem.message.starts_with(expected), "{}", problem.message);
        }
        let mut wrong =
            form("--X\r\nContent-Disposition: form-data; name=\"k\"\r\n\r\nmany\r\n--X--\r\n")
                .unwrap();
        let problem = wrong.parsed::<usize>("k").unwrap_err();
        assert!(problem.message.starts_with("k: ") && problem.message.ends_with("got \"many\""));
        let rest = form("--X\r\nContent-Disposition: form-data; name=\"q\"\r\n\r\nx\r\n--X--\r\n")
            .unwrap();
        assert_eq!(
            rest.finish().unwrap_err().message,
            "body: unknown field \"q\""
        );
    }
}
