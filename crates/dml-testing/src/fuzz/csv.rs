//! Tables of images in CSV files.

use dml::data::{Manifest, Role};

/// The memory that a table may take.
pub(super) const MEMORY: u64 = 64 << 20;

pub(super) fn run(bytes: &[u8]) {
    used(Manifest::parse("table.csv", bytes, MEMORY));
}

/// Asks a table for everything that it has.
pub(super) fn used(manifest: dml::data::Result<Manifest>) {
    let manifest = match manifest {
        Ok(manifest) => manifest,
        Err(error) => {
            let message = error.to_string();
            assert!(message.len() < 1 << 14, "a message of {}", message.len());
            return;
        }
    };
    assert!(!manifest.entries().is_empty());
    let has_class =
        |entry: &dml::data::Entry| entry.is_junk() || manifest.class_names().contains(&entry.label);
    assert!(manifest.entries().iter().all(has_class));
    for name in manifest.splits() {
        let split = manifest.split(name).expect("a split that is listed");
        split.role(Role::Query).ok();
        split.role(Role::Gallery).ok();
    }
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let tables = [
        "path,label,split,role\n1.png,owl,train,\n2.png,teal,test,query\n3.png,teal,test,gallery\n",
        "label,path\r\n\"a, b\",\"x \"\"y\"\".png\"\r\n7,z.png\r\n",
        "\u{feff}path,label,camera,role\na/b.jpg,\u{e9},3,both\nc.jpg,-1,4,junk\n",
    ];
    tables.map(|table| table.as_bytes().to_vec()).to_vec()
}
