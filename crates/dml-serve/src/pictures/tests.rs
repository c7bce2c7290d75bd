use std::fs;

use super::*;

fn folder() -> (tempfile::TempDir, PictureFolder) {
    let outside = tempfile::tempdir().unwrap();
    let root = outside.path().join("pictures");
    fs::create_dir_all(root.join("boots")).unwrap();
    let image = image::RgbImage::from_pixel(4, 3, image::Rgb([200, 10, 10]));
    image.save(root.join("boots/1.png")).unwrap();
    fs::write(root.join("notes.txt"), "no image").unwrap();
    fs::write(outside.path().join("secret.png"), "x").unwrap();
    let pictures = PictureFolder::by_attribute(&root, "path").unwrap();
    (outside, pictures)
}

#[test]
fn paths_within_the_folder_are_found() {
    let (outside, pictures) = folder();
    let root = outside.path().join("pictures");
    let found = pictures.locate("boots/1.png").unwrap();
    assert_eq!(pictures.locate("./boots/./1.png").unwrap(), found);
    let absolute = root.join("boots/1.png");
    assert_eq!(pictures.locate(absolute.to_str().unwrap()).unwrap(), found);
    let picture = found.read(&Limits::default()).unwrap();
    assert_eq!(picture.media_type, "image/png");
    assert_eq!(picture.bytes, fs::read(absolute).unwrap());
}

#[test]
fn paths_out_of_the_folder_are_not() {
    let (outside, pictures) = folder();
    let root = outside.path().join("pictures");
    let secret = outside.path().join("secret.png");
    let around = root.join("../secret.png");
    for path in [
        "../secret.png",
        "boots/../../secret.png",
        "boots",
        "",
        ".",
        "/",
        "/etc/passwd",
        "boots/2.png",
        "a\0b",
        secret.to_str().unwrap(),
        around.to_str().unwrap(),
    ] {
        let problem = pictures.locate(path).unwrap_err();
        assert_eq!(problem.status, 404, "{path}");
    }
}

#[cfg(unix)]
#[test]
fn links_out_of_the_folder_and_devices_are_not_followed() {
    use std::os::unix::fs::symlink;
    let (outside, pictures) = folder();
    let root = outside.path().join("pictures");
    symlink(outside.path().join("secret.png"), root.join("link.png")).unwrap();
    symlink(outside.path(), root.join("up")).unwrap();
    symlink("/dev/zero", root.join("zero.png")).unwrap();
    symlink("boots/1.png", root.join("inside.png")).unwrap();
    for path in ["link.png", "up/secret.png", "zero.png"] {
        assert_eq!(pictures.locate(path).unwrap_err().status, 404, "{path}");
    }
    assert!(pictures.locate("inside.png").is_ok());
}

#[test]
fn only_images_of_the_allowed_size_are_read() {
    let (_outside, pictures) = folder();
    let text = pictures.locate("notes.txt").unwrap();
    assert_eq!(text.read(&Limits::default()).unwrap_err().status, 422);
    let image = pictures.locate("boots/1.png").unwrap();
    let limits = Limits {
        picture_bytes: 10,
        ..Limits::default()
    };
    let problem = image.read(&limits).unwrap_err();
    assert!(
        problem.message.ends_with("expected at most 10 bytes"),
        "{}",
        problem.message
    );
}

#[test]
fn the_path_of_an_item_is_its_attribute_or_its_id() {
    let (outside, by_attribute) = folder();
    let by_id = PictureFolder::by_id(outside.path()).unwrap();
    let attributes = Attributes::from([("path", "boots/1.png".into()), ("size", 42.into())]);
    let id = Id::from("a/b.png");
    assert_eq!(
        by_attribute.stated(&id, &attributes).as_deref(),
        Some("boots/1.png")
    );
    assert_eq!(by_attribute.stated(&id, &Attributes::new()), None);
    assert_eq!(by_id.stated(&id, &attributes).as_deref(), Some("a/b.png"));
    let size = PictureFolder::by_attribute(outside.path(), "size").unwrap();
    assert_eq!(size.stated(&id, &attributes), None);
    assert!(PictureFolder::by_id(outside.path().join("none")).is_err());
    assert!(PictureFolder::by_id(outside.path().join("secret.png")).is_err());
}
