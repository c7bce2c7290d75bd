//! `dml init`: a commented configuration from a look at the data.

mod divisions;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context;
use dml::Dataset;
use dml::data::{ImageFiles, ImageFilesConfig, Manifest};
use dml_program::println;

use crate::commands::train::DEFAULT_CONFIG;
use crate::data::open_images;
use crate::exit::Misuse;
use crate::inputs::has_only_texts;
use crate::run_folder::write;
use crate::settings::{Override, SECTIONS, Settings, Sizes, help, in_utf8, is_table, load};
use crate::shell::quoted;

use divisions::Divisions;

/// Images that are looked at for their sizes.
const MEASURED: usize = 200;
/// Classes from which on some are held out for validation.
const MANY_CLASSES: usize = 20;
/// Learning rate of the head of a pretrained network; that of the backbone is a tenth.
const PRETRAINED_RATE: &str = "0.0001";
/// Sides of the networks' inputs that are proposed, in pixels.
const SIDES: [usize; 5] = [224, 192, 160, 128, 96];

/// What to look at, and where the configuration goes.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Folder of class folders, also within the folders train, validation and test; or a table.
    #[arg(value_name = "DATA")]
    pub data: PathBuf,
    /// Folder or table to judge by. Default: the folder test of DATA, else half of its classes.
    #[arg(long, value_name = "PATH")]
    pub test: Option<PathBuf>,
    /// Image network.
    #[arg(long, value_name = "NAME", default_value = "mobilenet_v2")]
    pub backbone: String,
    /// Its published weights, .pth or .safetensors.
    #[arg(long, value_name = "FILE")]
    pub weights: Option<PathBuf>,
    /// Folder of the results. Default: a folder in `runs` with the name of the data.
    #[arg(long, value_name = "DIR")]
    pub results: Option<PathBuf>,
    /// The configuration.
    #[arg(short, long, value_name = "FILE", default_value = DEFAULT_CONFIG)]
    pub out: PathBuf,
    /// Replace a file that is there.
    #[arg(long)]
    pub overwrite: bool,
}

/// What the data is like.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Look {
    images: usize,
    classes: usize,
    /// Images of the smallest and the largest class.
    of_class: [usize; 2],
    /// Median of the shorter sides of some images, in pixels.
    side: Option<usize>,
    skipped: usize,
}

/// Looks, and writes.
///
/// # Errors
/// Data that can't be read, a file that is there already.
pub fn run(args: &Args) -> anyhow::Result<()> {
    if args.out.exists() && !args.overwrite {
        let shown = args.out.display();
        return Err(Misuse::error(format!(
            "{shown}: there is a file of that name; replace it by --overwrite"
        )));
    }
    let shown = args.data.display();
    if is_table(&args.data) && has_only_texts(&Manifest::read(&args.data)?) {
        return Err(Misuse::error(format!(
            "{shown}: a table of texts; the guide has a configuration for them"
        )));
    }
    let mut divisions = Divisions::of(&args.data);
    if let Some(test) = &args.test {
        divisions.test = Some(test.clone());
    }
    let images = open_images(&divisions.train, None, &ImageFilesConfig::default())?;
    let look = Look::at(&images);
    if look.classes < 2 {
        return Err(Misuse::error(format!(
            "{shown}: expected at least 2 classes to learn from, got {}",
            look.classes
        )));
    }
    look.tell(&divisions);
    let settings = proposal(args, &divisions, &look)?;
    let text = commented(&settings, &look);
    write(&args.out, text.as_bytes())?;
    // What is written has to be read; a fault of the proposal would show here and not in training.
    load(Some(&args.out), &[]).with_context(|| format!("{} was written", args.out.display()))?;
    println!(
        "{}: read it, change it, and run `dml train {}`",
        args.out.display(),
        quoted(&args.out)
    );
    Ok(())
}

impl Look {
    fn at(images: &ImageFiles) -> Self {
        let mut counts: BTreeMap<i64, usize> = BTreeMap::new();
        for label in Dataset::labels(images).as_slice() {
            *counts.entry(*label).or_default() += 1;
        }
        let step = (images.paths().len() / MEASURED).max(1);
        let sizes = images
            .paths()
            .iter()
            .step_by(step)
            .filter_map(|path| image_size(path));
        let mut sides: Vec<usize> = sizes.map(|(width, height)| width.min(height)).collect();
        sides.sort_unstable();
        Self {
            images: images.paths().len(),
            classes: counts.len(),
            of_class: [
                counts.values().copied().min().unwrap_or(0),
                counts.values().copied().max().unwrap_or(0),
            ],
            side: sides.get(sides.len() / 2).copied(),
            skipped: images.skipped().len(),
        }
    }

    /// Whether half of the classes can be held out, at least 2 to learn from and 2 to judge by.
    fn can_hold_out(&self) -> bool {
        self.classes >= 4
    }

    fn tell(&self, divisions: &Divisions) {
        let [least, most] = self.of_class;
        println!(
            "{}: {} of {}, {least} to {most} of each",
            divisions.train.display(),
            counted(self.images, "image", "images"),
            counted(self.classes, "class", "classes")
        );
        if let Some(side) = self.side {
            println!("the shorter side of an image is {side} pixels (median)");
        }
        let others = [
            (&divisions.validation, "to choose the best epoch by"),
            (&divisions.test, "to judge by"),
        ];
        for (path, purpose) in others {
            if let Some(path) = path {
                println!("{}: images {purpose}", path.display());
            }
        }
        if !self.can_hold_out() && divisions.test.is_none() {
            println!(
                "note: too few classes to hold some out: without --test there is nothing to judge by"
            );
        }
        if self.skipped > 0 {
            println!(
                "left out {}, which can't be read as images; `dml inspect` counts them",
                counted(self.skipped, "file", "files")
            );
        }
    }

    /// The largest proposed input that an image fills.
    fn size(&self) -> usize {
        let side = self.side.unwrap_or(SIDES[0]);
        let fits = SIDES.into_iter().find(|own| *own <= side);
        fits.unwrap_or(SIDES[SIDES.len() - 1])
    }
}

fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// Width and height by the header of a file.
fn image_size(path: &Path) -> Option<(usize, usize)> {
    let reader = image::ImageReader::open(path)
        .ok()?
        .with_guessed_format()
        .ok()?;
    let (width, height) = reader.into_dimensions().ok()?;
    Some((width as usize, height as usize))
}

/// The settings for such data.
fn proposal(args: &Args, divisions: &Divisions, look: &Look) -> anyhow::Result<Settings> {
    let path = |path: &Path| -> anyhow::Result<String> {
        let folder = args.out.parent().unwrap_or(Path::new(""));
        // Paths of a file are relative to its folder.
        let shown = match folder.as_os_str().is_empty() {
            true => path.to_owned(),
            false => std::path::absolute(path)?,
        };
        Ok(in_utf8(&shown, &shown.display().to_string())?.to_owned())
    };
    let mut fields = vec![
        ("data.train", path(&divisions.train)?),
        ("backbone.name", args.backbone.clone()),
        ("backbone.size", look.size().to_string()),
    ];
    match &divisions.test {
        Some(test) => fields.push(("data.test", path(test)?)),
        None if look.can_hold_out() => fields.push(("data.test_classes", "0.5".to_owned())),
        None => {}
    }
    match &divisions.validation {
        Some(validation) => fields.push(("data.validation", path(validation)?)),
        None if look.classes >= MANY_CLASSES => {
            fields.push(("data.validation_classes", "0.2".to_owned()));
        }
        None => {}
    }
    if let Some(weights) = &args.weights {
        fields.push(("backbone.weights", path(weights)?));
        // With the optimiser's own 0.001, a pretrained MobileNetV2 finds unseen kinds of clothing worse than before training.
        fields.push(("optimizer.lr", PRETRAINED_RATE.to_owned()));
    }
    let results = match &args.results {
        Some(folder) => path(folder)?,
        None => {
            let name = std::path::absolute(&args.data)?;
            let name = name
                .file_stem()
                .map(|own| own.to_string_lossy().into_owned());
            path(&Path::new("runs").join(name.unwrap_or("dml".to_owned())))?
        }
    };
    fields.push(("train.out", results));
    let text = [
        "data.train",
        "data.test",
        "data.validation",
        "backbone.name",
        "backbone.weights",
        "train.out",
    ];
    let overrides = fields.into_iter().map(|(field, value)| Override {
        path: field.to_owned(),
        argument: format!("{field} = {value}"),
        value: match text.contains(&field) {
            true => toml::Value::from(value).to_string(),
            false => value,
        },
    });
    let overrides: Vec<Override> = overrides.collect();
    let mut settings = load(None, &overrides)?;
    // Half of the classes are learnt from, unless there is other data to judge by.
    let learnt = match settings.data.test_classes {
        None => look.classes,
        Some(_) => look.classes.div_ceil(2),
    };
    settings.fill(Sizes {
        classes: learnt.max(1),
        rows: look.images,
        embedding: settings.head.embedding,
    })?;
    Ok(settings)
}

/// The configuration with a comment on every field; fields without a value are comments themselves.
fn commented(settings: &Settings, look: &Look) -> String {
    let mut text = format!(
        "# {} images of {} classes. Paths are relative to this file.\n# `dml train --dry-run` prints what is in force.\n",
        look.images, look.classes
    );
    let body = settings.to_toml(true);
    for (section, about) in SECTIONS {
        let header = format!("# {about}\n[{section}]\n");
        text.push('\n');
        match body.split_once(&header) {
            None => {
                let commented = match section {
                    "miner" => "# [miner]\n# name = \"MultiSimilarityMiner\"\n".to_owned(),
                    _ => format!("# [{section}]\n"),
                };
                text.push_str(&format!("# {about}\n{commented}"));
            }
            Some((_, rest)) => {
                let own = rest.split("\n\n").next().unwrap_or(rest).trim_end();
                text.push_str(&header);
                text.push_str(own);
                text.push('\n');
                text.push_str(&absent(settings, section));
            }
        }
    }
    text
}

/// The fields of a section that have no value, as comments.
fn absent(settings: &Settings, section: &str) -> String {
    let fields = settings.fields_of(section);
    let names = fields
        .iter()
        .filter(|(_, value)| value.is_null())
        .map(|(name, _)| name);
    let lines = names.filter_map(|name| {
        let help = help(&format!("{section}.{name}"))?;
        Some(format!("# {name} =  # {help}\n"))
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(classes: usize, side: Option<usize>) -> Look {
        Look {
            images: 100,
            classes,
            of_class: [2, 30],
            side,
            skipped: 0,
        }
    }

    fn args(out: &Path) -> Args {
        Args {
            data: "photos/shoes".into(),
            test: None,
            backbone: "resnet18".to_owned(),
            weights: Some("a \"b\".pth".into()),
            results: None,
            out: out.to_owned(),
            overwrite: false,
        }
    }

    #[test]
    fn the_proposal_is_a_configuration_that_fits_the_data() {
        let args = args(Path::new("dml.toml"));
        let few = proposal(&args, &Divisions::of(&args.data), &look(10, Some(144))).unwrap();
        assert_eq!(
            (few.backbone.size, few.data.validation_classes.is_none()),
            (Some(128), true)
        );
        assert_eq!(
            (&few.sampler["m"], &few.sampler["batch_size"]),
            (&6.into(), &30.into())
        );
        assert_eq!(few.train.out, Path::new("runs/shoes"));
        let text = commented(&few, &look(10, Some(144)));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("dml.toml");
        std::fs::write(&path, &text).unwrap();
        let read = load(Some(&path), &[]).unwrap_or_else(|problem| panic!("{problem}\n{text}"));
        assert_eq!(read.sampler, few.sampler);
        assert_eq!(
            read.backbone.weights.unwrap().file_name().unwrap(),
            "a \"b\".pth"
        );
        for told in [
            "# validation =",
            "[loss]",
            "# [miner]",
            "test_classes = 0.5",
        ] {
            assert!(text.contains(told), "{told} is not in {text}");
        }
        assert_eq!(few.optimizer.learning_rate(), 1e-4);
        let many = proposal(&args, &Divisions::of(&args.data), &look(50, None)).unwrap();
        assert!(many.data.validation_classes.is_some());
        assert_eq!(many.backbone.size, Some(224));
        assert_eq!(look(1, Some(20)).size(), 96);
        // With three classes, one side would have a single one.
        let three = proposal(&args, &Divisions::of(&args.data), &look(3, None)).unwrap();
        assert_eq!(three.data.test_classes, None);
    }
}
