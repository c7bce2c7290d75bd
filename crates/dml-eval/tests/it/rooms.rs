//! Lower rooms import nothing from higher ones.

use std::fs;
use std::path::{Path, PathBuf};

/// The folders of `src` from the bottom to the top; those of one line don't know each other.
const ROOMS: [&[&str]; 7] = [
    &["kernels"],
    &["rows"],
    &["index"],
    &[
        "clustering",
        "collapse",
        "inputs",
        "projection",
        "rerank",
        "verification",
    ],
    &["accuracy"],
    &["inference", "testers"],
    &["pictures"],
];

fn level(room: &str) -> Option<usize> {
    ROOMS.iter().position(|level| level.contains(&room))
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder of sources");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths
        .flat_map(|path| match path.is_dir() {
            true => sources(&path),
            false => vec![path],
        })
        .filter(|path| !path.ends_with("tests.rs"))
        .collect()
}

#[test]
fn every_import_leads_down() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut imports = 0;
    for path in sources(&src) {
        let inside = path.strip_prefix(&src).expect("a path in src");
        let room = inside.iter().next().and_then(|room| room.to_str());
        let room = room.expect("a name").to_owned();
        if room == "lib.rs" || inside.iter().any(|part| part == "tests") {
            continue;
        }
        let own = level(&room).unwrap_or_else(|| panic!("{}: of no room", inside.display()));
        let text = fs::read_to_string(&path).expect("a source");
        let code = text.split("#[cfg(test)]").next().expect("a piece");
        let code = code
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"));
        for line in code {
            for used in line.split("crate::").skip(1) {
                let used = used.split(':').next().expect("a piece");
                let down = level(used).is_some_and(|used| used < own);
                assert!(down || used == room, "{}: {line}", inside.display());
                imports += 1;
            }
        }
    }
    assert!(imports > 50, "{imports} imports");
}
