//! `dml serve`: an index over HTTP and on a web page.

mod mined_pairs;
mod model;
mod token;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use dml::Order;
use dml::encoder::Encoder;
use dml::eval::{Collection, OpenOptions, Storage};
use dml_program::number::within;
use dml_program::{eprintln, println};
use dml_serve::{CollectionSource, Edits, HardPairs, Limits, PictureFolder, ServeError, Server};

use crate::device::DeviceArgs;
use crate::exit::Misuse;
use crate::run_folder::{INDEX, index_in, is_run, model_of};

/// File of a run with the pairs that its model confuses.
const HARD_PAIRS: &str = "hard_pairs.json";

/// What to serve, where, and within which limits.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Folder of a run or of a model; or of an index, which is then served without a model.
    #[arg(value_name = "MODEL")]
    pub model: PathBuf,
    /// Folder of the index. Default: `index.dml` in the folder of the run.
    #[arg(value_name = "INDEX")]
    pub index: Option<PathBuf>,
    /// Address and port; port 0 is a free one.
    #[arg(
        long,
        value_name = "ADDRESS:PORT",
        default_value = "127.0.0.1:8080",
        help_heading = "Access"
    )]
    pub address: SocketAddr,
    /// Environment variable with the token that requests must have.
    #[arg(
        long,
        value_name = "NAME",
        conflicts_with = "token_file",
        help_heading = "Access"
    )]
    pub token_env: Option<String>,
    /// File with the token that requests must have.
    #[arg(long, value_name = "FILE", help_heading = "Access")]
    pub token_file: Option<PathBuf>,
    /// Allow an address that other machines reach without a token.
    #[arg(long, help_heading = "Access")]
    pub open_to_network: bool,
    /// Name under which the service is reached; may be repeated. Default: for an address of this machine its names, else any.
    #[arg(long = "host", value_name = "NAME", help_heading = "Access")]
    pub hosts: Vec<String>,
    /// Let requests with the token store and delete items. No other process can change the index meanwhile.
    #[arg(long, help_heading = "Access")]
    pub edit: bool,
    /// Folder of pictures. The id of an item is the path of its picture below this folder, as `dml index` names items.
    #[arg(long, value_name = "DIR", help_heading = "Page")]
    pub pictures: Option<PathBuf>,
    /// Attribute with the path of the picture, instead of the id.
    #[arg(
        long,
        value_name = "NAME",
        requires = "pictures",
        help_heading = "Page"
    )]
    pub picture_attribute: Option<String>,
    /// Pairs that the model confuses: the table of `dml mine` (.csv), or `hard_pairs.json`. Default: that of the run, if there is
    /// one.
    #[arg(long, value_name = "FILE", help_heading = "Page")]
    pub hard_pairs: Option<PathBuf>,
    /// Title of the page. Default: the name of the folder.
    #[arg(long, value_name = "TEXT", help_heading = "Page")]
    pub title: Option<String>,
    /// Keep the rows of the index on disk: it may be larger than memory.
    #[arg(long)]
    pub map: bool,
    /// Seconds between two looks for changes that another process made in the index; 0 for none.
    #[arg(long, value_name = "SECONDS", default_value_t = 1, value_parser = within(0u64, 86_400))]
    pub reload: u64,
    /// Where to compute.
    #[command(flatten)]
    pub device: DeviceArgs,
    /// Least severity of lines in the log, which goes to standard error; info has a line for each request.
    #[arg(long, value_name = "LEVEL", default_value = "warn", value_parser = ["off", "error", "warn", "info", "debug"])]
    pub log: String,
    /// Limits of requests.
    #[command(flatten)]
    pub limits: LimitArgs,
}

/// Limits of requests.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Limits")]
pub struct LimitArgs {
    /// Size of a request's body, in MiB.
    #[arg(long, value_name = "MIB", default_value_t = 16, value_parser = within(1usize, 1024))]
    pub max_body: usize,
    /// Neighbours of a search.
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = within(1usize, 1_000_000))]
    pub max_k: usize,
    /// Requests that are answered at a time; others get status 503.
    #[arg(long, value_name = "N", default_value_t = 512, value_parser = within(1usize, 1_000_000))]
    pub max_requests: usize,
    /// Open connections; others wait.
    #[arg(long, value_name = "N", default_value_t = 2048, value_parser = within(1usize, 1_000_000))]
    pub max_connections: usize,
    /// Seconds in which a request is answered; others get status 504.
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = within(1u64, 86_400))]
    pub request_time: u64,
    /// Seconds that requests in progress get after Ctrl-C or SIGTERM. A second Ctrl-C ends the service at once.
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = within(0u64, 86_400))]
    pub shutdown_time: u64,
}

/// Serves until Ctrl-C or SIGTERM.
///
/// # Errors
/// An index, a model, a token or pairs that can't be read or do not fit each other, an address that can't be listened on.
pub fn run(args: &Args) -> anyhow::Result<()> {
    start_log(&args.log);
    let device = args.device.open()?;
    let token = token::read(args)?;
    if args.edit && token.is_none() {
        return Err(Misuse::error(
            "--edit: expected a token, by --token-env or --token-file",
        ));
    }
    let (folder, model) = folders(args)?;
    let source = open(args, &folder)?;
    let index = source.collection();
    let shown = folder.display();
    let pairs = hard_pairs(args, index)?;
    let (items, dim) = (index.len(), index.dim());
    let distance = index.index().order().map(|order| match order {
        Order::LargerIsCloser => "similarity",
        Order::SmallerIsCloser => "distance",
    });
    let mut builder = Server::builder(source)
        .title(args.title.clone().unwrap_or_else(|| name_of(&args.model)))
        .limits(limits(&args.limits))
        .open_to_network(args.open_to_network)
        .edits(if args.edit {
            Edits::WithToken
        } else {
            Edits::Refused
        });
    if let Some(distance) = distance {
        builder = builder.distance(distance);
    }
    if let Some(token) = token {
        builder = builder.token(token);
    }
    if !args.hosts.is_empty() {
        builder = builder.hosts(args.hosts.clone());
    }
    if let Some(pictures) = &args.pictures {
        builder = builder.pictures(match &args.picture_attribute {
            Some(name) => PictureFolder::by_attribute(pictures, name)?,
            None => PictureFolder::by_id(pictures)?,
        });
    }
    if let Some(pairs) = pairs {
        builder = builder.hard_pairs(pairs);
    }
    let reads = match model {
        Some(model) => {
            let encoder = Encoder::open(model_of(&model), &device)?;
            let reads = encoder.reads();
            let given = model::dim(&encoder, &device)?;
            if dim.is_some_and(|dim| dim != given) {
                return Err(Misuse::error(format!(
                    "{shown}: expected an index of this model, whose embeddings have {given} numbers, got one of {}",
                    dim.unwrap_or_default()
                )));
            }
            builder = model::install(builder, encoder, device);
            reads
        }
        None => "vectors",
    };
    let server = builder.build().map_err(misuse)?;
    let ready = |address| {
        println!("http://{address}");
        eprintln!("{shown}: {items} items, searched by {reads}; Ctrl-C ends the service");
    };
    server.run(args.address, ready).map_err(misuse)
}

/// Lines of the log to standard error.
fn start_log(level: &str) {
    let level = level
        .parse()
        .unwrap_or(tracing_subscriber::filter::LevelFilter::WARN);
    let log = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_ansi(false)
        .with_target(false)
        // Standard error may be closed.
        .log_internal_errors(false)
        .with_writer(std::io::stderr);
    // Fails if the process has a log already, which then goes on.
    log.try_init().ok();
}

/// The folder of the index, and that of the model if there is one.
fn folders(args: &Args) -> anyhow::Result<(PathBuf, Option<PathBuf>)> {
    let (index, model) = match &args.index {
        Some(index) => (index.clone(), Some(args.model.clone())),
        None if is_run(&args.model) => (args.model.join(INDEX), Some(args.model.clone())),
        None => (args.model.clone(), None),
    };
    Ok((index_in(index)?, model))
}

/// The index for reading, followed as other processes change it; or for changes by requests.
fn open(args: &Args, folder: &Path) -> anyhow::Result<CollectionSource> {
    let storage = if args.map {
        Storage::Mapped
    } else {
        Storage::Memory
    };
    let options = OpenOptions::default()
        .read_only(!args.edit)
        .storage(storage);
    if args.edit || args.reload == 0 {
        return Ok(Collection::open_with(folder, options)?.into());
    }
    let folder = folder.to_owned();
    let every = Duration::from_secs(args.reload);
    let source = CollectionSource::watched_with(every, move || {
        Collection::open_with(&folder, options.clone())
    })?;
    Ok(source)
}

/// The pairs that the arguments or the run name.
fn hard_pairs(args: &Args, index: &Collection) -> anyhow::Result<Option<HardPairs>> {
    let path = match &args.hard_pairs {
        Some(path) => path.clone(),
        None => {
            let own = args.model.join(HARD_PAIRS);
            if !own.is_file() {
                return Ok(None);
            }
            own
        }
    };
    let is_table = path.extension().is_some_and(|ending| ending == "csv");
    Ok(Some(match is_table {
        true => mined_pairs::read(&path, index)?,
        false => HardPairs::read(&path)?,
    }))
}

fn limits(args: &LimitArgs) -> Limits {
    let default = Limits::default();
    let body_bytes = args.max_body << 20;
    Limits {
        body_bytes,
        bodies_bytes: default.bodies_bytes.max(body_bytes),
        k: args.max_k,
        requests: args.max_requests,
        connections: args.max_connections,
        request_time: Duration::from_secs(args.request_time),
        shutdown_time: Duration::from_secs(args.shutdown_time),
        ..default
    }
}

/// The last part of a path, as the title of a page.
fn name_of(path: &Path) -> String {
    let whole = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let name = whole.file_stem().unwrap_or(whole.as_os_str());
    name.to_string_lossy().into_owned()
}

/// Arguments that the service refuses are misuse; everything else is a failure.
fn misuse(error: ServeError) -> anyhow::Error {
    match error {
        ServeError::OpenToNetwork { address } => Misuse::error(format!(
            "--address {address}: other machines can reach it: expected a token, by --token-env or --token-file, or \
             --open-to-network"
        )),
        ServeError::Host { .. } | ServeError::Token { .. } | ServeError::Limit { .. } => {
            Misuse::error(error.to_string())
        }
        error => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_of_the_command_line_fit_each_other() {
        let args = |max_body| LimitArgs {
            max_body,
            max_k: 7,
            max_requests: 8,
            max_connections: 9,
            request_time: 10,
            shutdown_time: 0,
        };
        for max_body in [1, 16, 1024] {
            let limits = limits(&args(max_body));
            assert_eq!(limits.body_bytes, max_body << 20);
            assert!(limits.bodies_bytes >= limits.body_bytes);
            assert_eq!((limits.k, limits.requests, limits.connections), (7, 8, 9));
        }
    }

    #[test]
    fn the_title_is_the_name_of_the_folder() {
        assert_eq!(name_of(Path::new("runs/shop.dml")), "shop");
        assert!(!name_of(Path::new(".")).is_empty());
    }
}
