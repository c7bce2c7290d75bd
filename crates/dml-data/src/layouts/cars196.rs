//! Cars-196 (Stanford Cars): 16,185 photos of 196 models of cars, in any of the three forms that it is published in.
//!
//! ```text
//! one archive       car_ims/000001.jpg
//!                   cars_annos.mat: annotations.relative_im_path, .bbox_x1 … .bbox_y2, .class, .test; class_names
//! two archives      cars_train/00001.jpg, cars_test/00001.jpg
//!                   devkit/cars_train_annos.mat: annotations.bbox_x1 … .bbox_y2, .class, .fname
//!                   cars_test_annos_withlabels.mat: the same; devkit/cars_meta.mat: class_names
//! class folders     names.csv: a name a line
//!                   anno_train.csv, anno_test.csv: 00001.jpg,39,116,569,375,14
//!                   car_data/car_data/train/AM General Hummer SUV 2000/00001.jpg
//! ```
//!
//! Classes 1 to 98 are those to learn from. Boxes are the first and the last column and row, counted from 1.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::folder::{Folder, inner};
use super::list_file::{ListFile, read_bounded};
use super::mat::{self, Value};
use super::{LayoutConfig, Protocol, Published};
use crate::error::shortened;
use crate::{DataError, Entry, Manifest, PixelBox, Result};

/// Classes up to this number are those to learn from.
const LAST_TRAIN_CLASS: usize = 98;

pub(super) fn read(folder: &Folder<'_>, config: &LayoutConfig) -> Result<Published> {
    let (names, cars) = if folder.optional("cars_annos.mat").is_some() {
        one_archive(folder)?
    } else if folder.optional("anno_train.csv").is_some() {
        class_folders(folder)?
    } else if folder.optional("cars_train").is_some() {
        two_archives(folder)?
    } else {
        return Err(folder.missing("cars_annos.mat, cars_train or anno_train.csv"));
    };
    let entries = cars.into_iter().map(|car| {
        let is_train = match config.protocol {
            Protocol::UnseenClasses => car.class <= LAST_TRAIN_CLASS,
            Protocol::Published => car.is_train,
        };
        Entry {
            split: Some(if is_train { "train" } else { "test" }.to_owned()),
            bounding_box: config.boxes.then_some(car.bounding_box),
            // Classes are within the names.
            ..Entry::new(car.path, names[car.class - 1].clone())
        }
    });
    let entries: Vec<Entry> = entries.collect();
    Manifest::with_classes(folder.root(), entries, names).map(Published::new)
}

/// A photo.
struct Car {
    path: PathBuf,
    /// Number of its class, from 1 to the number of names.
    class: usize,
    is_train: bool,
    bounding_box: PixelBox,
}

fn one_archive(folder: &Folder<'_>) -> Result<(Vec<String>, Vec<Car>)> {
    let file = MatFile::open(folder.find(&["cars_annos.mat"])?)?;
    folder.find(&["car_ims"])?;
    let names = file.names()?;
    let cars = file.annotations()?.map(|own| {
        let test = own.number("test")?;
        own.car(folder.root(), "relative_im_path", names.len(), test == 0.0)
    });
    Ok((names.clone(), cars.collect::<Result<_>>()?))
}

fn two_archives(folder: &Folder<'_>) -> Result<(Vec<String>, Vec<Car>)> {
    let names = MatFile::open(folder.find(&["devkit/cars_meta.mat", "cars_meta.mat"])?)?.names()?;
    let mut cars = Vec::new();
    for (name, split) in [
        ("cars_train_annos.mat", "cars_train"),
        ("cars_test_annos_withlabels.mat", "cars_test"),
    ] {
        let file = MatFile::open(folder.find(&[name, &format!("devkit/{name}")])?)?;
        let images = folder.find(&[split])?;
        let own = file.annotations()?;
        let own = own.map(|own| own.car(&images, "fname", names.len(), split == "cars_train"));
        cars.extend(own.collect::<Result<Vec<_>>>()?);
    }
    Ok((names, cars))
}

fn class_folders(folder: &Folder<'_>) -> Result<(Vec<String>, Vec<Car>)> {
    let list = folder.list(&["names.csv"])?;
    let names: Vec<String> = list
        .lines()
        .map(|line| line.text.trim_matches('"').to_owned())
        .collect();
    let images = folder.find(&["car_data/car_data", "car_data"])?;
    let mut cars = Vec::new();
    for split in ["train", "test"] {
        let list: ListFile = folder.list(&[&format!("anno_{split}.csv")])?;
        for line in list.lines() {
            let cells: Vec<&str> = line.text.split(',').map(str::trim).collect();
            let [file, x1, y1, x2, y2, class] = cells[..] else {
                let expected = "a file, four numbers of its box and a class";
                return Err(line.wrong("1", expected, line.text));
            };
            let number = line.whole("6", class)? as usize;
            let name = number.checked_sub(1).and_then(|place| names.get(place));
            let expected = "the number of a line of names.csv";
            let name = name.ok_or_else(|| line.wrong("6", expected, class))?;
            // A slash can't be part of a folder's name.
            let path = format!("{split}/{}/{file}", name.replace('/', "-"));
            cars.push(Car {
                path: images.join(line.path("1", &path)?),
                class: number,
                is_train: split == "train",
                bounding_box: line.pixel_box([x1, y1, x2, y2], from_one)?,
            });
        }
    }
    Ok((names, cars))
}

/// A box by its first and last column and row, counted from 1.
fn from_one([x1, y1, x2, y2]: [f64; 4]) -> Option<PixelBox> {
    PixelBox::from_corners([x1 - 1.0, y1 - 1.0, x2, y2])
}

/// A file of annotations.
struct MatFile {
    path: PathBuf,
    variables: HashMap<String, Value>,
}

impl MatFile {
    fn open(path: PathBuf) -> Result<Self> {
        let variables = mat::read(&path, &read_bounded(&path)?)?;
        let variables = variables.into_iter().collect();
        Ok(Self { path, variables })
    }

    fn fault(&self, place: &str, expected: &'static str, found: &str) -> DataError {
        DataError::Malformed {
            file: self.path.clone(),
            place: place.to_owned(),
            expected,
            found: shortened(found),
        }
    }

    fn names(&self) -> Result<Vec<String>> {
        let fault = || self.fault("class_names", "a cell array of texts", "something else");
        let Some(Value::Cells(cells)) = self.variables.get("class_names") else {
            return Err(fault());
        };
        let names = cells.iter().map(|cell| cell.text().map(str::to_owned));
        names.collect::<Option<Vec<_>>>().ok_or_else(fault)
    }

    fn annotations(&self) -> Result<impl Iterator<Item = Annotation<'_>>> {
        let Some(Value::Structs(fields, values)) = self.variables.get("annotations") else {
            return Err(self.fault("annotations", "an array of structs", "something else"));
        };
        let rows = values.chunks(fields.len().max(1));
        Ok((1..).zip(rows).map(move |(row, values)| Annotation {
            file: self,
            row,
            fields,
            values,
        }))
    }
}

/// What is known of a photo.
struct Annotation<'a> {
    file: &'a MatFile,
    row: usize,
    fields: &'a [String],
    values: &'a [Value],
}

impl Annotation<'_> {
    fn field(&self, name: &str) -> Option<&Value> {
        let place = self.fields.iter().position(|field| field == name)?;
        self.values.get(place)
    }

    fn fault(&self, field: &str, expected: &'static str, found: &str) -> DataError {
        self.file.fault(
            &format!("annotations({}).{field}", self.row),
            expected,
            found,
        )
    }

    fn number(&self, name: &str) -> Result<f64> {
        let number = self.field(name).and_then(Value::number);
        number.ok_or_else(|| self.fault(name, "a number", "something else"))
    }

    /// The photo whose path below `images` stands in a field.
    fn car(&self, images: &Path, path: &str, classes: usize, is_train: bool) -> Result<Car> {
        let text = self.field(path).and_then(Value::text);
        let text = text.ok_or_else(|| self.fault(path, "a text", "something else"))?;
        let inside = inner(text);
        let expected = "a path within the data set's folder";
        let inside = inside.ok_or_else(|| self.fault(path, expected, &format!("{text:?}")))?;
        let class = self.number("class")?;
        if !(1.0..=classes as f64).contains(&class) || class.fract() != 0.0 {
            let expected = "the number of a class that has a name";
            return Err(self.fault("class", expected, &class.to_string()));
        }
        let corners = ["bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2"];
        let mut numbers = [0.0; 4];
        for (number, name) in numbers.iter_mut().zip(corners) {
            *number = self.number(name)?;
        }
        let expected = "a box with at least one pixel";
        let bounding_box = from_one(numbers)
            .ok_or_else(|| self.fault("bbox_x1", expected, &format!("{numbers:?}")))?;
        Ok(Car {
            path: images.join(inside),
            class: class as usize,
            is_train,
            bounding_box,
        })
    }
}
