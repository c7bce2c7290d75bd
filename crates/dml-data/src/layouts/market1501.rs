//! Market-1501: 32,668 images of 1,501 persons that six cameras saw, and 3,368 queries.
//!
//! ```text
//! bounding_box_train/0002_c1s1_000451_03.jpg    person 2, camera 1, sequence 1, frame 451, detection 3
//! query/0001_c1s1_001051_00.jpg
//! bounding_box_test/0000_c1s1_000151_01.jpg     a distractor: a person whom no query looks for
//! bounding_box_test/-1_c1s1_000401_03.jpg       junk: neither right nor wrong
//! ```
//!
//! Persons of the first folder are in neither of the others. Distractors are a class of their own, `0`.

use std::path::Path;

use super::folder::Folder;
use super::{LayoutConfig, Published};
use crate::error::shortened;
use crate::{ClassOrder, DataError, Entry, Manifest, Result, Role};

const FOLDERS: [(&str, &str, Option<Role>); 3] = [
    ("bounding_box_train", "train", None),
    ("query", "test", Some(Role::Query)),
    ("bounding_box_test", "test", Some(Role::Gallery)),
];

pub(super) fn read(folder: &Folder<'_>, _: &LayoutConfig) -> Result<Published> {
    let mut entries = Vec::new();
    for (part, split, role) in FOLDERS {
        for (name, path) in folder.images(&folder.find(&[part])?)? {
            let seen = Sighting::parse(&name).ok_or_else(|| malformed(&path, &name))?;
            let role = match seen.person {
                -1 => Some(Role::Junk),
                _ => role,
            };
            entries.push(Entry {
                split: Some(split.to_owned()),
                role,
                camera: Some(seen.camera.to_string()),
                sequence: Some(format!("c{}s{}", seen.camera, seen.sequence)),
                ..Entry::new(path, seen.person.to_string())
            });
        }
    }
    let manifest = Manifest::new(folder.root(), entries)?;
    Ok(Published::new(
        manifest.with_class_order(ClassOrder::Number),
    ))
}

fn malformed(path: &Path, name: &str) -> DataError {
    DataError::Malformed {
        file: path.to_path_buf(),
        place: "name".to_owned(),
        expected: "PERSON_cCAMERAsSEQUENCE_FRAME_DETECTION, such as 0002_c1s1_000451_03.jpg",
        found: format!("{:?}", shortened(name)),
    }
}

/// What the name of an image says.
#[derive(Debug, PartialEq, Eq)]
struct Sighting {
    person: i32,
    camera: u32,
    sequence: u32,
}

impl Sighting {
    fn parse(name: &str) -> Option<Self> {
        let (person, rest) = name.split_once("_c")?;
        let (place, rest) = rest.split_once('_')?;
        let (camera, sequence) = place.split_once('s')?;
        let (frame, _) = rest.split_once('_')?;
        number::<u32>(frame)?;
        let person = match person {
            "-1" => -1,
            digits => number(digits)?,
        };
        Some(Self {
            person,
            camera: number(camera)?,
            sequence: number(sequence)?,
        })
    }
}

/// A number of digits alone.
fn number<T: std::str::FromStr>(text: &str) -> Option<T> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_carry_person_camera_and_sequence() {
        let of = |person, camera, sequence| {
            Some(Sighting {
                person,
                camera,
                sequence,
            })
        };
        assert_eq!(Sighting::parse("0002_c1s1_000451_03.jpg"), of(2, 1, 1));
        assert_eq!(Sighting::parse("-1_c6s4_000401_03.jpg"), of(-1, 6, 4));
        assert_eq!(Sighting::parse("1501_c6s12_1_0.jpg"), of(1501, 6, 12));
        for bad in [
            "",
            "0002.jpg",
            "0002_c1_000451.jpg",
            "-2_c1s1_1_0.jpg",
            "+2_c1s1_1_0.jpg",
            "a_c1s1_1_0.jpg",
        ] {
            assert_eq!(Sighting::parse(bad), None, "{bad}");
        }
    }
}
