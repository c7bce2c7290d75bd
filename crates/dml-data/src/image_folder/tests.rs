use std::fs;

use image::{GrayImage, Luma};

use super::*;
use crate::Unreadable;

type Outcome = std::result::Result<(), Box<dyn std::error::Error>>;

/// A folder with a grey image of 4 × 4 pixels under each of these names.
fn folder(names: &[&str]) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for (i, name) in names.iter().enumerate() {
        let path = root.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let grey = GrayImage::from_pixel(4, 4, Luma([i as u8 * 10]));
        let mut bytes = std::io::Cursor::new(Vec::new());
        grey.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
        fs::write(path, bytes.into_inner()).unwrap();
    }
    root
}

fn config() -> ImageFilesConfig {
    ImageFilesConfig {
        size: [2, 3],
        channels: 1,
        ..ImageFilesConfig::default()
    }
}

fn open(root: &tempfile::TempDir) -> Result<ImageFolder> {
    ImageFolder::open(root.path(), config())
}

fn message(root: &tempfile::TempDir, config: ImageFilesConfig) -> String {
    let error = ImageFolder::open(root.path(), config).unwrap_err();
    let text = error.to_string();
    text.replace(&root.path().display().to_string(), "ROOT")
}

#[test]
fn classes_are_the_folders_at_any_depth_in_order() -> Outcome {
    let root = folder(&[
        "owl/b.PNG",
        "ducks/teal/x.png",
        "ducks/mallard/2.jpeg",
        "ducks/mallard/1.jpg",
        "owl/a.png",
        "ducks/one.png",
    ]);
    let opened = open(&root)?;
    assert_eq!(
        opened.class_names(),
        ["ducks", "ducks/mallard", "ducks/teal", "owl"]
    );
    assert_eq!(Dataset::labels(&opened).as_slice(), [0, 1, 1, 2, 3, 3]);
    let names: Vec<String> = opened
        .paths()
        .iter()
        .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
        .collect();
    assert_eq!(
        names,
        ["one.png", "1.jpg", "2.jpeg", "x.png", "a.png", "b.PNG"]
    );
    let examples = opened.fetch(&[5, 0], 0)?;
    assert_eq!(examples.views()[0].dims(), [2, 1, 2, 3]);
    assert_eq!(examples.labels().as_slice(), [3, 0]);
    let values = examples.views()[0].flatten_all()?.to_vec1::<f32>()?;
    assert_eq!(values, [[0.0; 6], [50.0 / 255.0; 6]].concat());
    assert_eq!(opened.shape(), [1, 2, 3]);
    Ok(())
}

#[test]
fn other_files_and_hidden_ones_are_passed_over() -> Outcome {
    let root = folder(&["a/1.png", "a/.2.png", ".b/3.png", "c/.d/4.png"]);
    fs::write(root.path().join("a/notes.txt"), "x")?;
    fs::write(root.path().join("a/png"), "x")?;
    fs::write(root.path().join("list.csv"), "x")?;
    let opened = open(&root)?;
    assert_eq!(opened.class_names(), ["a"]);
    assert_eq!(opened.paths().len(), 1);
    Ok(())
}

#[test]
fn folders_without_images_or_classes_are_errors_that_name_them() {
    let empty = folder(&[]);
    let expected = "ROOT: expected at least one image, .png, .jpg or .jpeg in a folder of its class, found none";
    assert_eq!(message(&empty, config()), expected);
    let unclassed = folder(&["a/1.png", "2.png"]);
    assert_eq!(
        message(&unclassed, config()),
        "ROOT/2.png: expected images in folders of their class, found one beside these folders"
    );
    let one = folder(&["a/1.png"]);
    let two_classes = ImageFilesConfig {
        min_classes: 2,
        ..config()
    };
    assert_eq!(
        message(&one, two_classes),
        "ROOT: expected images of at least 2 classes, found 1"
    );
    let nowhere = ImageFolder::open(empty.path().join("no"), config()).unwrap_err();
    assert!(matches!(nowhere, DataError::Io { action: "read", .. }));
    let file = ImageFolder::open(one.path().join("a/1.png"), config()).unwrap_err();
    assert!(
        matches!(file, DataError::Io { action: "read", .. }),
        "{file}"
    );
}

#[test]
fn files_that_are_no_images_are_refused_or_skipped() -> Outcome {
    let root = folder(&["a/1.png", "b/1.png", "b/2.png"]);
    fs::write(root.path().join("a/0.png"), "not an image")?;
    let whole = fs::read(root.path().join("b/2.png"))?;
    fs::write(root.path().join("b/2.png"), &whole[..whole.len() / 2])?;
    let opened = open(&root)?;
    assert_eq!(opened.paths().len(), 4);
    let error = opened.fetch(&[1, 0], 0).unwrap_err().to_string();
    assert!(
        error.contains("0.png: expected an image, found a file that can't be decoded: "),
        "{error}"
    );

    let skip = ImageFilesConfig {
        unreadable: Unreadable::Skip,
        ..config()
    };
    let opened = ImageFolder::open(root.path(), skip.clone())?;
    assert_eq!(Dataset::labels(&opened).as_slice(), [0, 1]);
    let skipped: Vec<&Path> = opened.skipped().iter().map(|file| &*file.path).collect();
    assert_eq!(
        skipped,
        [root.path().join("a/0.png"), root.path().join("b/2.png")]
    );
    assert!(opened.skipped().iter().all(|file| !file.reason.is_empty()));
    assert_eq!(opened.fetch(&[0, 1], 0)?.len(), 2);

    fs::write(root.path().join("a/1.png"), "")?;
    let two_classes = ImageFilesConfig {
        min_classes: 2,
        ..skip.clone()
    };
    assert_eq!(
        message(&root, two_classes),
        "ROOT: expected images of at least 2 classes, found 1"
    );
    fs::write(root.path().join("b/1.png"), "")?;
    let text = message(&root, skip);
    assert!(
        text.ends_with("PNG or JPEG, that can be decoded, found none"),
        "{text}"
    );
    Ok(())
}

#[test]
fn a_file_that_goes_away_is_an_error_that_names_it() -> Outcome {
    let root = folder(&["a/1.png"]);
    let opened = open(&root)?;
    fs::remove_file(root.path().join("a/1.png"))?;
    let message = opened.fetch(&[0], 0).unwrap_err().to_string();
    assert!(
        message.contains("can't read") && message.contains("1.png"),
        "{message}"
    );
    let message = opened.fetch(&[0, 1], 0).unwrap_err().to_string();
    assert_eq!(message, "rows[1]: expected an index below 1, got 1");
    Ok(())
}

#[cfg(unix)]
mod links {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn circles_end_and_folders_are_read_where_they_stand() -> Outcome {
        // The link sorts before what it leads to, and two folders lead to each other.
        let root = folder(&["b/1.png", "c/2.png"]);
        symlink(root.path(), root.path().join("b/up"))?;
        symlink(root.path().join("b"), root.path().join("a"))?;
        symlink(root.path().join("b"), root.path().join("c/b"))?;
        symlink(root.path().join("c"), root.path().join("b/c"))?;
        symlink("self", root.path().join("self"))?;
        let opened = open(&root)?;
        assert_eq!(opened.class_names(), ["b", "c"]);
        assert_eq!(opened.paths().len(), 2);
        Ok(())
    }

    #[test]
    fn a_folder_elsewhere_is_read_through_its_link() -> Outcome {
        let elsewhere = folder(&["x/1.png", "2.png"]);
        let root = folder(&["b/1.png"]);
        symlink(elsewhere.path(), root.path().join("linked"))?;
        symlink(elsewhere.path().join("2.png"), root.path().join("b/2.png"))?;
        let opened = open(&root)?;
        assert_eq!(opened.class_names(), ["b", "linked", "linked/x"]);
        assert_eq!(Dataset::labels(&opened).as_slice(), [0, 0, 1, 2]);
        Ok(())
    }

    #[test]
    fn a_link_to_nowhere_is_an_image_that_can_not_be_read() -> Outcome {
        let root = folder(&["b/1.png"]);
        symlink("nowhere", root.path().join("b/2.png"))?;
        assert!(open(&root)?.fetch(&[1], 0).is_err());
        let skip = ImageFilesConfig {
            unreadable: Unreadable::Skip,
            ..config()
        };
        let opened = ImageFolder::open(root.path(), skip)?;
        assert_eq!((opened.paths().len(), opened.skipped().len()), (1, 1));
        Ok(())
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_class_must_have_a_name_in_unicode() {
        use std::os::unix::ffi::OsStrExt;
        let root = folder(&["b/1.png"]);
        let bad = root.path().join(std::ffi::OsStr::from_bytes(b"x\xff"));
        fs::rename(root.path().join("b"), bad).unwrap();
        let error = open(&root).unwrap_err();
        assert!(matches!(error, DataError::ClassName { .. }), "{error}");
    }
}
