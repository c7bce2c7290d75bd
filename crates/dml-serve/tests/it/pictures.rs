//! Pictures of items over HTTP.

use dml_serve::{HardPair, HardPairs, PairKind, PairSide};
use serde_json::json;

use crate::service::{Service, color_pictures, color_server, png};

#[test]
fn pictures_and_thumbnails_are_served_and_kept() {
    let (folder, pictures) = color_pictures();
    let service = Service::start(color_server().pictures(pictures));
    let whole = service.get("/items/red%2F1/picture");
    assert_eq!(
        (whole.status, whole.header("content-type")),
        (200, "image/png")
    );
    assert_eq!(whole.body, png([255, 0, 0]));
    assert!(whole.header("content-security-policy").contains("sandbox"));
    assert_eq!(whole.header("x-content-type-options"), "nosniff");

    let small = service.get("/items/green/thumbnail?size=20");
    assert_eq!(
        (small.status, small.header("content-type")),
        (200, "image/jpeg")
    );
    let image = image::load_from_memory(&small.body).unwrap().into_rgb8();
    assert_eq!(image.dimensions(), (20, 10));
    assert!(image.get_pixel(5, 5).0[1] > 240);
    let tag = small.header("etag").to_owned();
    assert_eq!(
        service.get("/items/green/thumbnail?size=20").body,
        small.body
    );
    let known = service.send(
        "GET",
        "/items/green/thumbnail?size=20",
        &[("if-none-match", &tag)],
        &[],
    );
    assert_eq!((known.status, known.body.len()), (304, 0));

    // Another content has another tag and another thumbnail.
    std::fs::write(
        folder.path().join("2.png"),
        [png([0, 0, 255]), vec![0; 10]].concat(),
    )
    .unwrap();
    let changed = service.send(
        "GET",
        "/items/green/thumbnail?size=20",
        &[("if-none-match", &tag)],
        &[],
    );
    assert_eq!(changed.status, 200);
    assert!(
        image::load_from_memory(&changed.body)
            .unwrap()
            .into_rgb8()
            .get_pixel(5, 5)
            .0[2]
            > 240
    );

    for (path, sentence) in [
        ("/items/orange/picture", "picture: no file \"4.png\""),
        ("/items/orange/thumbnail", "picture: no file \"4.png\""),
        ("/items/mauve/picture", "id: no item \"mauve\""),
    ] {
        let (status, _, message) = service.get(path).problem();
        assert_eq!((status, message.as_str()), (404, sentence));
    }
    assert_eq!(service.get("/collection").json()["has_pictures"], true);
}

#[test]
fn a_path_that_an_item_states_does_not_lead_out_of_the_folder() {
    let (folder, pictures) = color_pictures();
    let secret = folder
        .path()
        .parent()
        .unwrap()
        .join(format!("secret-{}.png", std::process::id()));
    std::fs::write(&secret, png([1, 1, 1])).unwrap();
    let service = Service::start(color_server().pictures(pictures).token("t")).with_token("t");
    let name = secret.file_name().unwrap().to_str().unwrap();
    for path in [
        format!("../{name}"),
        secret.to_str().unwrap().to_owned(),
        "/etc/passwd".to_owned(),
    ] {
        let item = json!({"id": "evil", "text": "red", "attributes": {"path": path}});
        service.post("/items", &json!({"items": [item]})).json();
        for kind in ["picture", "thumbnail"] {
            let (status, _, message) = service.get(&format!("/items/evil/{kind}")).problem();
            assert_eq!(status, 404, "{message}");
        }
    }
    std::fs::remove_file(secret).unwrap();
}

#[test]
fn sides_of_pairs_have_pictures_by_path_or_by_item() {
    let (_folder, pictures) = color_pictures();
    let pair = |a, b| HardPair {
        kind: PairKind::Negative,
        distance: 0.5,
        a,
        b,
    };
    let pairs = HardPairs {
        distance: None,
        pairs: vec![
            pair(PairSide::of_id("red/1"), PairSide::of_picture("3.png")),
            pair(PairSide::of_text("x"), PairSide::of_picture("../3.png")),
        ],
    };
    let service = Service::start(color_server().pictures(pictures).hard_pairs(pairs));
    let color = |path: &str| {
        let answer = service.get(path);
        assert_eq!(answer.status, 200, "{path}");
        image::load_from_memory(&answer.body)
            .unwrap()
            .into_rgb8()
            .get_pixel(3, 3)
            .0
    };
    assert!(color("/pairs/0/a/thumbnail")[0] > 240);
    assert!(color("/pairs/0/b/thumbnail?size=64")[2] > 240);
    for path in [
        "/pairs/1/a/thumbnail",
        "/pairs/1/b/thumbnail",
        "/pairs/2/a/thumbnail",
        "/pairs/0/c/thumbnail",
        "/pairs/x/a/thumbnail",
    ] {
        assert_eq!(service.get(path).status, 404, "{path}");
    }
    let listed = service.get("/pairs").json();
    assert_eq!(listed["pairs"][0]["b"]["has_picture"], true);
    assert_eq!(listed["pairs"][1]["a"]["has_picture"], false);
}
