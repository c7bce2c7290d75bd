//! The commands that read a trained model.

use std::fs;

use crate::program::Folder;

#[test]
fn a_trained_model_is_evaluated_embedded_mined_calibrated_and_exported() {
    let folder = Folder::trained();
    let out = folder.done(&["evaluate", "run", "--json"]);
    let evaluated: serde_json::Value = serde_json::from_str(&out).unwrap();
    let trained = &folder.json("run/metrics.json")["metrics"];
    for (name, value) in trained.as_object().unwrap() {
        assert_eq!(&evaluated["metrics"][name], value, "{name}");
    }
    let out = folder.done(&[
        "evaluate",
        "run/model",
        "photos",
        "--metrics",
        "precision_at_1,NMI",
    ]);
    assert!(
        out.contains("20 images of 4 classes") && out.contains("NMI"),
        "{out}"
    );

    folder.done(&["embed", "run", "photos", "-o", "e.csv"]);
    let table = folder.text("e.csv");
    assert_eq!(
        table.lines().next().unwrap(),
        "id,class,e0,e1,e2,e3,e4,e5,e6,e7"
    );
    assert_eq!(table.lines().count(), 21);
    let first: Vec<&str> = table.lines().nth(1).unwrap().split(',').collect();
    assert_eq!(first[..2], ["dress/1.jpg", "dress"]);
    let length: f32 = first[2..]
        .iter()
        .map(|x| x.parse::<f32>().unwrap().powi(2))
        .sum();
    assert!((length - 1.0).abs() < 1e-4, "{length}");
    folder.done(&["embed", "run", "photos/hat", "-o", "hat.safetensors"]);
    let bytes = fs::read(folder.path("hat.safetensors")).unwrap();
    let (_, metadata) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
    let ids = &metadata.metadata().as_ref().unwrap()["ids"];
    assert_eq!(ids, r#"["1.jpg","2.jpg","3.jpg","4.jpg","5.jpg"]"#);

    let out = folder.done(&[
        "mine",
        "run",
        "photos",
        "-o",
        "triplets.csv",
        "--negatives",
        "2",
    ]);
    assert!(out.contains("40 triplets of 20 anchors"), "{out}");
    let mined = folder.text("triplets.csv");
    for line in mined.lines().skip(1) {
        let cells: Vec<&str> = line.split(',').collect();
        let class = |id: &str| id.split('/').next().unwrap().to_owned();
        assert_eq!(class(cells[0]), class(cells[1]), "{line}");
        assert_ne!(class(cells[0]), class(cells[2]), "{line}");
        assert_ne!(cells[0], cells[1], "{line}");
    }

    let out = folder.done(&["calibrate", "run", "photos", "--far", "0.1", "--json"]);
    let calibrated: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert!(
        calibrated["false_accept_rate"].as_f64().unwrap() <= 0.1,
        "{out}"
    );
    let out = folder.done(&["calibrate", "run", "photos", "--f1"]);
    assert!(out.contains("the same from a cosine of"), "{out}");

    let targets = [
        "--onnx",
        "m.onnx",
        "--safetensors",
        "m.safetensors",
        "--folder",
        "m",
    ];
    folder.done(&[&["export", "run"], &targets[..]].concat());
    assert!(fs::metadata(folder.path("m.onnx")).unwrap().len() > 100_000);
    let model = fs::read(folder.path("run/model/model.safetensors")).unwrap();
    assert_eq!(fs::read(folder.path("m.safetensors")).unwrap(), model);
    assert_eq!(fs::read(folder.path("m/model.safetensors")).unwrap(), model);
}

#[test]
fn a_gallery_is_indexed_and_searched() {
    let folder = Folder::trained();
    let out = folder.done(&["index", "run", "photos"]);
    assert!(out.contains("FlatIndex of 20 images"), "{out}");
    let out = folder.done(&["search", "run", "photos/hat/1.jpg", "-k", "3"]);
    assert!(
        out.starts_with("photos/hat/1.jpg\n    1    1.0000  "),
        "{out}"
    );
    assert_eq!(out.lines().count(), 4, "{out}");
    let json = |args: &[&str]| -> serde_json::Value {
        let out = folder.done(args);
        serde_json::from_str(&out).unwrap()
    };
    let filter = ["--filter", "class = \"shoes\"", "--json"];
    let found = json(&[&["search", "run", "photos/hat/1.jpg"], &filter[..]].concat());
    let hits = found["hits"].as_array().unwrap();
    assert_eq!(hits.len(), 5, "{found}");
    for hit in hits {
        assert_eq!(hit["attributes"]["class"], "shoes", "{found}");
        assert!(hit["id"].as_str().unwrap().starts_with("shoes/"), "{found}");
    }
    // An item does not find itself.
    let found = json(&[
        "search",
        "run/index.dml",
        "--id",
        "hat/1.jpg",
        "-k",
        "20",
        "--json",
    ]);
    let hits = found["hits"].as_array().unwrap();
    assert_eq!(hits.len(), 19, "{found}");
    assert!(hits.iter().all(|hit| hit["id"] != "hat/1.jpg"), "{found}");

    // Other photos are added, known ones replaced.
    let bytes = fs::read(folder.path("photos/hat/1.jpg")).unwrap();
    folder.write("more/hat/1.jpg", &bytes);
    folder.write("more/hat/new.jpg", &bytes);
    let out = folder.done(&["index", "run", "more", "--add"]);
    assert!(out.contains("1 added, 1 replaced, 21 in all"), "{out}");
    let shown = folder.done(&["inspect", "run"]);
    assert!(shown.contains("21 items"), "{shown}");
    let again = folder.run(&["index", "run", "photos"]);
    assert_eq!(again.code, 2, "{again:?}");
    assert!(again.error.contains("add to it by --add"), "{again:?}");
    folder.done(&["index", "run", "photos/hat", "--overwrite"]);
    let shown = folder.done(&["inspect", "run/index.dml"]);
    assert!(
        shown.contains("5 items") && shown.contains("FlatIndex"),
        "{shown}"
    );
    assert!(!folder.path("run/index.dml.new").exists());

    let kind = "{ name = \"QuantizedIndex\", metric = \"Cosine\" }";
    let out = folder.run(&["index", "run", "photos", "-o", "other.dml", "--index", kind]);
    assert_eq!(out.code, 0, "{out:?}");
    folder.done(&["search", "other.dml", "--model", "run", "photos/hat/1.jpg"]);
}

#[test]
fn what_can_not_be_searched_is_named() {
    let folder = Folder::trained();
    folder.done(&["index", "run", "photos"]);
    folder.write("short.npy", npy(&[1.0, 0.0]));
    folder.write("bad.npy", "no numbers");
    folder.done(&["embed", "run", "photos", "-o", "e.csv"]);
    let cases: &[(&[&str], u8, &str)] = &[
        (&["search", "run"], 2, "expected one kind of queries"),
        (
            &["search", "run", "photos/hat/1.jpg", "--id", "a"],
            2,
            "expected one kind of queries",
        ),
        (
            &["search", "nowhere", "a.jpg"],
            2,
            "nowhere: expected an index",
        ),
        (
            &["search", "photos", "a.jpg"],
            2,
            "photos: expected an index",
        ),
        (&["search", "run", "none.jpg"], 1, "can't read none.jpg"),
        (&["search", "run", "dml.toml"], 1, "dml.toml"),
        (&["search", "run", "photos"], 1, "photos"),
        (
            &["search", "run", "--text", "a hat"],
            1,
            "the model reads images, got texts",
        ),
        (&["search", "run", "--id", "no/such.jpg"], 1, "no/such.jpg"),
        (&["search", "run", "--vectors", "bad.npy"], 1, "bad.npy"),
        (&["search", "run", "--vectors", "short.npy"], 1, "expected"),
        (
            &["search", "run", "photos/hat/1.jpg", "-k", "0"],
            2,
            "expected a number from 1",
        ),
        (
            &["search", "run", "photos/hat/1.jpg", "--filter", "class ="],
            2,
            "--filter: ",
        ),
        (
            &[
                "search",
                "run",
                "photos/hat/1.jpg",
                "--filter",
                "color = \"red\"",
            ],
            1,
            "color",
        ),
        (
            &["index", "run", "photos", "--add", "-o", "none.dml"],
            2,
            "none.dml: expected an index to add to",
        ),
        (
            &["index", "run", "photos", "-o", "photos"],
            2,
            "photos: is there already, and is no index",
        ),
        (
            &[
                "index", "run", "photos", "-o", "x.dml", "--index", "FlatIndx",
            ],
            2,
            "--index FlatIndx",
        ),
        (&["index", "run/model", "photos"], 2, "expected --out DIR"),
        (
            &["index", "run", "photos/hat/1.jpg", "-o", "x.dml"],
            2,
            "expected a folder or a table",
        ),
        (&["index", "run", "nowhere", "-o", "x.dml"], 1, "nowhere"),
    ];
    for (args, code, expected) in cases {
        let ended = folder.run(args);
        assert_eq!(ended.code, i32::from(*code), "{args:?}: {ended:?}");
        assert!(
            ended.error.contains(expected),
            "{args:?}: {expected}: {ended:?}"
        );
        let errors = ended
            .error
            .lines()
            .filter(|line| line.starts_with("error: "));
        assert_eq!(errors.count(), 1, "{args:?}: {ended:?}");
    }
    assert!(!folder.path("x.dml").exists());
}

/// A vector as numpy writes it.
fn npy(values: &[f32]) -> Vec<u8> {
    let header = format!(
        "{{'descr': '<f4', 'fortran_order': False, 'shape': (1, {}), }}",
        values.len()
    );
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    let length = (header.len() + 11).next_multiple_of(64) - 10;
    bytes.extend((length as u16).to_le_bytes());
    bytes.extend(format!("{header:<width$}\n", width = length - 1).bytes());
    bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    bytes
}

#[test]
fn runs_are_inspected_compared_and_their_page_made_again() {
    let folder = Folder::trained();
    folder.done(&[
        "train",
        "--out",
        "other",
        "--loss",
        "ContrastiveLoss",
        "--lr",
        "0.01",
    ]);
    let page = folder.text("run/report.html");
    fs::remove_file(folder.path("run/report.html")).unwrap();
    folder.done(&["report", "run"]);
    assert_eq!(folder.text("run/report.html"), page);

    let out = folder.done(&["compare", "run", "other", "--html", "both.html"]);
    for told in [
        "precision_at_1",
        "loss.name",
        "ContrastiveLoss",
        "optimizer.lr",
        "0.01",
    ] {
        assert!(out.contains(told), "{told} is not in {out}");
    }
    assert!(!out.contains("train.epochs"), "{out}");
    let both = folder.text("both.html");
    assert!(
        both.contains("Differences of the configurations") && both.contains("<svg"),
        "{both}"
    );
    let same = folder.done(&["compare", "run", "run"]);
    assert!(same.contains("the configurations are equal"), "{same}");

    let out = folder.done(&["inspect", "run"]);
    for told in [
        "ended",
        "image encoder: mobilenet_v3_small",
        "checkpoints after iteration",
        "32 x 32",
    ] {
        assert!(out.contains(told), "{told} is not in {out}");
    }
    let out = folder.done(&["inspect", "run/model/model.safetensors"]);
    assert!(out.contains("features.0.0.weight"), "{out}");
    let out = folder.done(&["inspect", "photos", "--decode"]);
    assert!(
        out.contains("20 images of 4 classes, 5 to 5 of each"),
        "{out}"
    );
    folder.done(&["inspect", "dml.toml"]);
}

#[test]
fn what_is_wrong_with_a_data_set_is_listed() {
    let folder = Folder::new();
    fs::copy(
        folder.path("photos/hat/1.jpg"),
        folder.path("photos/dress/copy.jpg"),
    )
    .unwrap();
    folder.write("photos/hat/broken.jpg", "no image");
    let ended = folder.run(&["inspect", "photos", "--decode"]);
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(
        ended.out.contains("the same image in two classes"),
        "{ended:?}"
    );
    assert!(ended.out.contains("broken.jpg"), "{ended:?}");
    assert!(ended.error.contains("2 problems"), "{ended:?}");
}

#[test]
fn components_are_listed_with_their_arguments() {
    let folder = Folder::new();
    let kinds = folder.done(&["list"]);
    for kind in ["losses", "miners", "backbones", "metrics", "schedules"] {
        assert!(kinds.contains(kind), "{kinds}");
    }
    let losses = folder.done(&["list", "losses"]);
    assert!(
        losses.contains("TripletMarginLoss") && losses.contains("margin = 0.05"),
        "{losses}"
    );
    let one = folder.done(&["list", "ArcFaceLoss"]);
    assert!(
        one.contains("num_classes") && one.contains("required"),
        "{one}"
    );
    let backbone = folder.done(&["list", "mobilenet_v3_small"]);
    assert!(
        backbone.contains("576") && backbone.contains("224 x 224"),
        "{backbone}"
    );
    let names: Vec<String> =
        serde_json::from_str(&folder.done(&["list", "backbones", "--json"])).unwrap();
    assert!(names.contains(&"resnet50".to_owned()));
    let wrong = folder.run(&["list", "TripletLoss"]);
    assert_eq!(wrong.code, 2);
    assert!(
        wrong.error.contains("did you mean TripletMarginLoss?"),
        "{wrong:?}"
    );
}

#[test]
fn completions_and_manual_pages_are_written() {
    let folder = Folder::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        assert!(
            folder.done(&["completions", shell]).contains("dml"),
            "{shell}"
        );
    }
    assert!(folder.done(&["man"]).contains(".TH dml"));
    folder.done(&["man", "pages"]);
    for page in ["dml.1", "dml-train.1", "dml-calibrate.1"] {
        assert!(
            folder.text(&format!("pages/{page}")).contains(".TH"),
            "{page}"
        );
    }
    let help = folder.done(&["--help"]);
    assert!(help.contains("Exit codes: 0 done"), "{help}");
}

#[test]
#[cfg(target_os = "linux")]
fn a_closed_output_is_no_failure_and_a_full_one_is() {
    use std::process::Stdio;

    use crate::program::Ended;

    let folder = Folder::new();
    let full = fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let mut command = folder.command(&["list", "losses"]);
    let child = command.stdout(full).stderr(Stdio::piped()).spawn().unwrap();
    let ended = Ended::of(&child.wait_with_output().unwrap());
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(ended.error.contains("No space left"), "{ended:?}");

    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = folder.command(&["list", "losses"]);
    let child = command
        .stdout(writer)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let ended = Ended::of(&child.wait_with_output().unwrap());
    assert_eq!((ended.code, ended.error.as_str()), (0, ""), "{ended:?}");
}
