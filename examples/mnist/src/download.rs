//! A data set from the network, with a progress bar.

use std::ops::ControlFlow;
use std::path::PathBuf;

use dml::data::MnistVariant;
use dml::data::download::{DownloadConfig, DownloadEvent};
use dml_program::eprintln;
use indicatif::{ProgressBar, ProgressStyle};

/// Downloads what is missing into the cache, and returns the folder.
///
/// The bar is drawn to a terminal only; what failed is said either way.
pub(crate) fn fetch(variant: MnistVariant) -> dml::data::Result<PathBuf> {
    let template = "{msg} {bar:30} {bytes}/{total_bytes}, {bytes_per_sec}, {eta} left";
    let style =
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::new(0).with_style(style);
    let folder = variant.download(&DownloadConfig::default(), &mut |event| {
        match event {
            DownloadEvent::Received {
                file,
                received,
                total,
            } => {
                bar.set_message(file.to_owned());
                bar.set_length(total.unwrap_or(received));
                bar.set_position(received);
            }
            DownloadEvent::Failed {
                file,
                attempt,
                wait,
            } => bar.suspend(|| {
                eprintln!(
                    "{file}: {}; trying again in {:.1} s",
                    dml::core::with_causes(attempt),
                    wait.as_secs_f64()
                );
            }),
            _ => {}
        }
        ControlFlow::Continue(())
    });
    bar.finish_and_clear();
    folder
}
