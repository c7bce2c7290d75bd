//! Counters, gauges and histograms of a service, in the text format that Prometheus scrapes.

use std::fmt::Write;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

/// The media type of [`Metrics::text`].
pub(crate) const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RequestLabels {
    method: &'static str,
    route: String,
    status: u16,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RouteLabels {
    route: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct StageLabels {
    stage: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ResultLabels {
    result: &'static str,
}

/// What a service counts.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    request_seconds: Family<RouteLabels, Histogram>,
    reloads: Family<ResultLabels, Counter>,
    edits: Family<ResultLabels, Counter>,
    batch_jobs: Family<StageLabels, Histogram>,
    batch_seconds: Family<StageLabels, Histogram>,
    wait_seconds: Family<StageLabels, Histogram>,
    /// Requests in progress.
    pub(crate) in_progress: Gauge,
    /// Open connections.
    pub(crate) connections: Gauge,
    items: Gauge,
    memory: Gauge<f64, AtomicU64>,
}

/// 0.1 ms to 26 s, by factors of 2.
fn seconds() -> Histogram {
    Histogram::new(exponential_buckets(1e-4, 2.0, 19))
}

/// 1 to 4,096, by factors of 2.
fn jobs() -> Histogram {
    Histogram::new(exponential_buckets(1.0, 2.0, 13))
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut own = Self {
            registry: Registry::with_prefix("dml"),
            requests: Family::default(),
            request_seconds: Family::new_with_constructor(seconds),
            reloads: Family::default(),
            edits: Family::default(),
            batch_jobs: Family::new_with_constructor(jobs),
            batch_seconds: Family::new_with_constructor(seconds),
            wait_seconds: Family::new_with_constructor(seconds),
            in_progress: Gauge::default(),
            connections: Gauge::default(),
            items: Gauge::default(),
            memory: Gauge::default(),
        };
        let to = &mut own.registry;
        to.register(
            "http_requests",
            "Requests that were answered",
            own.requests.clone(),
        );
        let help = "Time from the head of a request to the head of its answer";
        let name = "http_request_duration";
        to.register_with_unit(name, help, Unit::Seconds, own.request_seconds.clone());
        to.register(
            "http_requests_in_progress",
            "Requests in progress",
            own.in_progress.clone(),
        );
        to.register(
            "http_connections",
            "Open connections",
            own.connections.clone(),
        );
        let help = "Jobs that were computed together, by stage";
        to.register("batch_jobs", help, own.batch_jobs.clone());
        let help = "Time that a batch was computed for, by stage";
        to.register_with_unit(
            "batch_duration",
            help,
            Unit::Seconds,
            own.batch_seconds.clone(),
        );
        let help = "Time that a job waited for its batch, by stage";
        to.register_with_unit("batch_wait", help, Unit::Seconds, own.wait_seconds.clone());
        to.register(
            "collection_items",
            "Items of the collection",
            own.items.clone(),
        );
        let help = "Attempts to replace the collection by its newer version on disk";
        to.register("collection_reloads", help, own.reloads.clone());
        to.register(
            "collection_edits",
            "Requests that store or delete items",
            own.edits.clone(),
        );
        let help = "Resident memory of the process; 0 where it is unknown";
        to.register_with_unit(
            "process_resident_memory",
            help,
            Unit::Bytes,
            own.memory.clone(),
        );
        own
    }

    /// Counts an answer. `route` is the pattern of the path, so that there are few of them.
    pub(crate) fn answered(&self, method: &'static str, route: &str, status: u16, time: Duration) {
        let labels = RequestLabels {
            method,
            route: route.to_owned(),
            status,
        };
        self.requests.get_or_create(&labels).inc();
        let labels = RouteLabels {
            route: route.to_owned(),
        };
        self.request_seconds
            .get_or_create(&labels)
            .observe(time.as_secs_f64());
    }

    pub(crate) fn reloaded(&self, succeeded: bool) {
        self.reloads.get_or_create(&of_result(succeeded)).inc();
    }

    pub(crate) fn edited(&self, succeeded: bool) {
        self.edits.get_or_create(&of_result(succeeded)).inc();
    }

    /// The histograms of a stage.
    pub(crate) fn stage(&self, stage: &'static str) -> StageMetrics {
        let labels = StageLabels { stage };
        StageMetrics {
            jobs: self.batch_jobs.get_or_create_owned(&labels),
            seconds: self.batch_seconds.get_or_create_owned(&labels),
            wait: self.wait_seconds.get_or_create_owned(&labels),
        }
    }

    /// All of them as text, with the number of items.
    pub(crate) fn text(&self, items: usize) -> Result<String, std::fmt::Error> {
        self.items.set(items as i64);
        self.memory.set(resident_bytes().unwrap_or(0.0));
        let mut out = String::new();
        text::encode_registry(&mut out, &self.registry)?;
        let version = env!("CARGO_PKG_VERSION");
        writeln!(
            out,
            "# HELP dml_build Version of the service.\n# TYPE dml_build info"
        )?;
        writeln!(out, "dml_build_info{{version=\"{version}\"}} 1")?;
        text::encode_eof(&mut out)?;
        Ok(out)
    }
}

fn of_result(succeeded: bool) -> ResultLabels {
    let result = if succeeded { "success" } else { "failure" };
    ResultLabels { result }
}

/// Histograms of one stage, such as searching.
#[derive(Clone, Debug)]
pub(crate) struct StageMetrics {
    jobs: Histogram,
    seconds: Histogram,
    wait: Histogram,
}

impl StageMetrics {
    /// A job has left the queue.
    pub(crate) fn waited(&self, time: Duration) {
        self.wait.observe(time.as_secs_f64());
    }

    /// A batch is done.
    pub(crate) fn computed(&self, jobs: usize, time: Duration) {
        self.jobs.observe(jobs as f64);
        self.seconds.observe(time.as_secs_f64());
    }
}

/// Resident memory of this process, where there is `/proc`.
fn resident_bytes() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_has_every_metric_once() {
        let metrics = Metrics::new();
        metrics.answered("GET", "/items/{id}", 200, Duration::from_millis(3));
        metrics.answered("GET", "/items/{id}", 404, Duration::from_millis(3));
        metrics.reloaded(false);
        metrics.edited(true);
        let stage = metrics.stage("search");
        stage.waited(Duration::ZERO);
        stage.computed(8, Duration::from_millis(30));
        let text = metrics.text(12).unwrap();
        for line in [
            "dml_http_requests_total{method=\"GET\",route=\"/items/{id}\",status=\"404\"} 1",
            "dml_http_request_duration_seconds_count{route=\"/items/{id}\"} 2",
            "dml_collection_items 12",
            "dml_collection_reloads_total{result=\"failure\"} 1",
            "dml_collection_edits_total{result=\"success\"} 1",
            "dml_batch_jobs_sum{stage=\"search\"} 8.0",
            "dml_batch_wait_seconds_bucket{le=\"0.0001\",stage=\"search\"} 1",
        ] {
            assert!(text.lines().any(|own| own == line), "{line}\n{text}");
        }
        assert!(text.ends_with("# EOF\n"));
        let mut kinds: Vec<&str> = text
            .lines()
            .filter(|line| line.starts_with("# TYPE"))
            .collect();
        kinds.sort_unstable();
        let all = kinds.len();
        kinds.dedup();
        assert_eq!((kinds.len(), all), (12, 12), "{kinds:?}");
    }
}
