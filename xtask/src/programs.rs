//! Programs of other packages: `cargo xtask mnist` is `cargo run --release -p dml-mnist`.
//!
//! Arguments are passed on as they are, `--help` included. On Unix, cargo takes the place of this process and the program
//! takes cargo's, so that signals reach the program and its exit code is the command's.

use std::ffi::OsString;
use std::process::Command;

use anyhow::Context as _;
use clap::{Arg, ArgAction, ArgMatches, value_parser};

/// A program: its command of `cargo xtask`, its package, and how cargo starts it.
pub(crate) struct Program {
    pub(crate) name: &'static str,
    about: &'static str,
    package: &'static str,
    /// Whether the package has several programs; this one is the binary [`name`](Self::name).
    is_binary: bool,
    /// Whether the program has several commands; this one is [`name`](Self::name).
    is_command: bool,
    /// The device where the arguments name none; `None` for a program that uses none.
    device: Option<&'static str>,
}

pub(crate) const PROGRAMS: &[&Program] = &[&MNIST, &BENCH, &CATALOG, &CONFORMANCE, &GPU];

pub(crate) const MNIST: Program = Program {
    name: "mnist",
    about: "Train on MNIST as PyTorch Metric Learning's example does, and measure Precision@1",
    package: "dml-mnist",
    is_binary: false,
    is_command: false,
    device: Some("cpu"),
};

const BENCH: Program = Program {
    name: "bench",
    about: "Measure speed, as a ratio to PyTorch Metric Learning's where `--peer` is given",
    package: "dml-bench",
    is_command: true,
    ..MNIST
};

const GPU: Program = Program {
    name: "gpu",
    about: "Write one report of everything that runs on a GPU: numbers and speed",
    device: Some("cuda"),
    ..BENCH
};

pub(crate) const CONFORMANCE: Program = Program {
    name: "conformance",
    about: "Run every component against reference cases",
    package: "dml-conformance",
    is_binary: true,
    ..MNIST
};

const CATALOG: Program = Program {
    name: "catalog",
    about: "Bring docs/CATALOG.md, the table of components, up to date",
    device: None,
    ..CONFORMANCE
};

impl Program {
    /// The command line: any arguments, which the program parses itself.
    pub(crate) fn subcommand(&self) -> clap::Command {
        let args = Arg::new("args").action(ArgAction::Append).num_args(0..);
        let args = args.value_parser(value_parser!(OsString));
        let args = args.trailing_var_arg(true).allow_hyphen_values(true);
        clap::Command::new(self.name)
            .about(self.about)
            .disable_help_flag(true)
            .arg(args.help("Arguments of the program; `--help` lists them"))
    }

    /// Builds the program and becomes it; on Windows, runs it and ends with its exit code.
    pub(crate) fn run(&self, args: &ArgMatches) -> anyhow::Result<()> {
        let args: Vec<OsString> = crate::values(args, "args");
        if self.feature(&args) == Some("cuda") {
            // Candle's build script would fail without saying what to install.
            crate::ci::require_nvcc(&xshell::Shell::new()?).context("--device cuda")?;
        }
        let mut cargo = self.cargo(&args);
        #[cfg(unix)]
        let error = std::os::unix::process::CommandExt::exec(&mut cargo);
        #[cfg(not(unix))]
        let error = match cargo.status() {
            Ok(status) => std::process::exit(status.code().unwrap_or(1)),
            Err(error) => error,
        };
        Err(error).context("can't start cargo")
    }

    /// The call of cargo.
    pub(crate) fn cargo(&self, args: &[OsString]) -> Command {
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        // What cargo has told this process about itself would make build scripts run anew that look at it.
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
                cargo.env_remove(&name);
            }
        }
        cargo.args(["run", "--release", "--manifest-path"]);
        cargo.arg(crate::workspace_root().join("Cargo.toml"));
        cargo.args(["--package", self.package]);
        if self.is_binary {
            cargo.args(["--bin", self.name]);
        }
        let features = [self.feature(args), self.images(args)];
        for feature in features.into_iter().flatten() {
            cargo.args(["--features", feature]);
        }
        cargo.arg("--").args(self.is_command.then_some(self.name));
        cargo.args(args);
        cargo
    }

    /// The feature with decoders of images, for a bench of photos.
    fn images(&self, args: &[OsString]) -> Option<&'static str> {
        let is_photos = |arg: &OsString| {
            let arg = arg.to_string_lossy();
            arg == "--photos" || arg.starts_with("--photos=")
        };
        (self.package == BENCH.package && args.iter().any(is_photos)).then_some("images")
    }

    /// The feature that the device of the arguments needs.
    fn feature(&self, args: &[OsString]) -> Option<&'static str> {
        let mut device = self.device?.to_owned();
        if args.iter().any(|arg| arg == "-h" || arg == "--help") {
            return None;
        }
        let mut args = args.iter().map(|arg| arg.to_string_lossy());
        while let Some(arg) = args.next() {
            match arg.strip_prefix("--device") {
                Some("") => device = args.next()?.into_owned(),
                Some(value) => device = value.strip_prefix('=')?.to_owned(),
                None => {}
            }
        }
        ["cuda", "metal"]
            .into_iter()
            .find(|name| device.split(':').next() == Some(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(program: &Program, args: &[&str]) -> String {
        let args: Vec<OsString> = args.iter().map(Into::into).collect();
        let cargo = program.cargo(&args);
        let words = cargo
            .get_args()
            .map(|word| word.to_string_lossy().into_owned());
        let words: Vec<String> = words.skip(4).collect();
        words.join(" ")
    }

    #[test]
    fn arguments_are_passed_on() {
        let mnist = "--package dml-mnist -- --help";
        assert_eq!(words(&MNIST, &["--help"]), mnist);
        let catalog = "--package dml-conformance --bin catalog -- --check";
        assert_eq!(words(&CATALOG, &["--check"]), catalog);
        assert_eq!(
            words(&BENCH, &["--only", "eval"]),
            "--package dml-bench -- bench --only eval"
        );
    }

    #[test]
    fn a_device_brings_its_feature() {
        for args in [
            &["--device", "cuda:1"][..],
            &["--seed", "1", "--device=cuda"],
        ] {
            assert!(words(&MNIST, args).starts_with("--package dml-mnist --features cuda -- "));
        }
        assert!(!words(&MNIST, &["--device", "cpu"]).contains("--features"));
        assert!(words(&GPU, &[]).contains("--features cuda"));
        assert!(!words(&GPU, &["--device", "cpu"]).contains("--features"));
        assert!(words(&BENCH, &["--device", "metal"]).contains("--features metal"));
        let photos = words(&BENCH, &["--only", "images", "--photos", "x"]);
        assert!(photos.starts_with("--package dml-bench --features images -- bench "));
        assert!(!words(&MNIST, &["--photos", "x"]).contains("--features"));
    }
}
