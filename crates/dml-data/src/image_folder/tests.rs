use std::fs;

use image::{GrayImage, Luma};

use super::*;
use crate::{SkippedKind, Unreadable};

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

/// What was left out of `root`, by its path in it.
fn skipped(root: &tempfile::TempDir, opened: &ImageFolder) -> Vec<(String, SkippedKind)> {
    let named = opened.skipped().iter().map(|skipped| {
        let path = skipped.path.strip_prefix(root.path()).unwrap();
        assert!(!skipped.reason.is_empty());
        (path.to_str().unwrap().to_owned(), skipped.kind)
    });
    named.collect()
}

#[test]
fn whatever_is_left_out_is_listed_with_its_kind() -> Outcome {
    use SkippedKind::{Hidden, NotAnImage, Unsupported};
    let root = folder(&[
        "a/1.png",
        "a/.2.png",
        ".b/3.png",
        "c/.d/4.png",
        "a/@eaDir/1.png",
        "$Recycle.Bin/5.png",
        "__MACOSX/a/1.png",
        ".ipynb_checkpoints/1.png",
        ".thumbnails/1.png",
    ]);
    fs::write(root.path().join("a/notes.txt"), "x")?;
    fs::write(root.path().join("a/png"), "x")?;
    fs::write(root.path().join("a/BM.txt"), "BMW and other cars, a list")?;
    fs::write(root.path().join("a/Thumbs.db"), "x")?;
    fs::write(root.path().join("a/photo.HEIC"), "x")?;
    fs::write(root.path().join("list.csv"), "x")?;
    let opened = open(&root)?;
    assert_eq!(opened.class_names(), ["a"]);
    assert_eq!(opened.paths().len(), 1);
    let expected = [
        ("$Recycle.Bin", Hidden),
        (".b", Hidden),
        (".ipynb_checkpoints", Hidden),
        (".thumbnails", Hidden),
        ("__MACOSX", Hidden),
        ("a/.2.png", Hidden),
        ("a/@eaDir", Hidden),
        ("a/BM.txt", NotAnImage),
        ("a/Thumbs.db", Hidden),
        ("a/notes.txt", NotAnImage),
        ("a/photo.HEIC", Unsupported),
        ("a/png", NotAnImage),
        ("c/.d", Hidden),
        ("list.csv", NotAnImage),
    ];
    let expected = expected.map(|(path, kind)| (path.to_owned(), kind));
    assert_eq!(skipped(&root, &opened), expected);
    Ok(())
}

fn inputs(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/inputs")
        .join(name)
}

#[test]
fn every_format_makes_a_class() -> Outcome {
    let skip = ImageFilesConfig {
        unreadable: Unreadable::Skip,
        ..config()
    };
    let opened = ImageFolder::open(inputs("mixed"), skip)?;
    assert_eq!(opened.class_names(), ["duck", "owl", "teal"]);
    assert_eq!((opened.paths().len(), opened.skipped().len()), (11, 0));
    assert_eq!(opened.fetch(&(0..11).collect::<Vec<_>>(), 0)?.len(), 11);
    Ok(())
}

#[test]
fn contents_count_where_the_name_says_nothing() -> Outcome {
    let root = folder(&["a/1", "a/2.dat", "b/3.txt"]);
    let opened = open(&root)?;
    assert_eq!(Dataset::labels(&opened).as_slice(), [0, 0, 1]);
    assert_eq!(opened.fetch(&[0, 1, 2], 0)?.len(), 3);
    Ok(())
}

#[test]
fn images_that_were_cut_off_are_listed() -> Outcome {
    let skip = ImageFilesConfig {
        unreadable: Unreadable::Skip,
        ..config()
    };
    let opened = ImageFolder::open(inputs("truncated"), skip)?;
    assert_eq!(opened.class_names(), ["a", "b"]);
    let names = opened.paths().iter().map(|path| path.file_name().unwrap());
    assert!(names.clone().count() == 2 && names.into_iter().all(|name| name == "whole.png"));
    let kinds: Vec<SkippedKind> = opened.skipped().iter().map(|own| own.kind).collect();
    assert_eq!(kinds, [SkippedKind::Undecodable; 3]);
    Ok(())
}

#[test]
fn classes_are_numbered_by_value_on_request() -> Outcome {
    let root = folder(&["10/a.png", "2/a.png", "1/a.png", "owl/a.png", "2/b.png"]);
    let opened = open(&root)?;
    assert_eq!(opened.class_names(), ["1", "10", "2", "owl"]);
    let ordered = opened.clone().with_class_order(ClassOrder::Number)?;
    assert_eq!(ordered.class_names(), ["1", "2", "10", "owl"]);
    assert_eq!(Dataset::labels(&ordered).as_slice(), [0, 1, 1, 2, 3]);
    for (row, path) in ordered.paths().iter().enumerate() {
        let class =
            ordered.class_names()[Dataset::labels(&ordered).as_slice()[row] as usize].as_str();
        assert!(
            path.starts_with(root.path().join(class)),
            "{}",
            path.display()
        );
    }
    let back = ordered.with_class_order(ClassOrder::Name)?;
    assert_eq!(back.paths(), opened.paths());
    assert_eq!(Dataset::labels(&back), Dataset::labels(&opened));
    Ok(())
}

#[test]
fn folders_without_images_or_classes_are_errors_that_name_them() {
    let empty = folder(&[]);
    let expected = "ROOT: expected at least one image, PNG, JPEG, WebP, GIF, BMP or TIFF in a folder of its class, found none";
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
        text.ends_with("PNG, JPEG, WebP, GIF, BMP or TIFF, that can be decoded, found none"),
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
#[test]
fn pipes_and_sockets_are_left_out() -> Outcome {
    let root = folder(&["a/1.png"]);
    let made = std::process::Command::new("mkfifo")
        .arg(root.path().join("a/2.png"))
        .arg(root.path().join("a/3"))
        .status()?;
    assert!(made.success());
    let _socket = std::os::unix::net::UnixListener::bind(root.path().join("a/4.png"))?;
    std::os::unix::fs::symlink("/dev/null", root.path().join("a/5.png"))?;
    for unreadable in [Unreadable::Refuse, Unreadable::Skip] {
        let config = ImageFilesConfig {
            unreadable,
            ..config()
        };
        let opened = ImageFolder::open(root.path(), config)?;
        assert_eq!(opened.paths().len(), 1);
        let expected = ["a/2.png", "a/3", "a/4.png", "a/5.png"];
        let expected = expected.map(|path| (path.to_owned(), SkippedKind::NotAFile));
        assert_eq!(skipped(&root, &opened), expected);
    }
    // A list may name such a file, too: it must not be opened.
    let path = root.path().join("a/2.png");
    let files = ImageFiles::new("list", [path], [0u8], ["a"], config())?;
    let error = files.image(0).unwrap_err();
    assert!(
        matches!(
            error,
            DataError::FileKind {
                found: "a named pipe",
                ..
            }
        ),
        "{error}"
    );
    Ok(())
}

/// A path of more than 4,096 bytes can't be read by anybody, not even by an administrator.
#[cfg(target_os = "linux")]
#[test]
fn a_folder_that_can_not_be_read_is_refused_or_listed() -> Outcome {
    let root = folder(&["a/1.png", "c/1.png"]);
    let name = "x".repeat(250);
    let deep = |parent: &Path| {
        let path = (0..12).fold(parent.to_path_buf(), |path, _| path.join(&name));
        fs::create_dir_all(&path).map(|()| path)
    };
    let (above, below) = (deep(&root.path().join("b"))?, root.path().join("d"));
    deep(&below)?;
    fs::rename(below, above.join("d"))?;
    let error = open(&root).unwrap_err();
    assert!(
        matches!(error, DataError::Io { action: "read", .. }),
        "{error}"
    );
    let skip = ImageFilesConfig {
        unreadable: Unreadable::Skip,
        ..config()
    };
    let opened = ImageFolder::open(root.path(), skip)?;
    assert_eq!(opened.class_names(), ["a", "c"]);
    let kinds: Vec<SkippedKind> = opened.skipped().iter().map(|own| own.kind).collect();
    assert_eq!(kinds, [SkippedKind::Unreadable]);
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
