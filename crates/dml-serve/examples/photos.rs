//! `cargo run --release -p dml-serve --example photos -- DIR`: a folder of photos, searched by their colours.
//!
//! The embedding of a photo is its 4 × 4 pixels after shrinking; a network would take its place. The name of the folder that a
//! photo lies in is its class.

use std::collections::HashMap;
use std::error::Error;
use std::path::{Path, PathBuf};

use dml_core::candle_core::{Device, Tensor};
use dml_data::image_files::decode;
use dml_data::{ImageFilesConfig, Resize};
use dml_eval::{Attributes, Collection, FlatIndex, Ids, Items, Search};
use dml_serve::{
    EmbedError, EmbedImages, HardPair, HardPairs, PairKind, PairSide, PictureFolder, Server,
};

/// Pairs of each kind.
const PAIRS: usize = 60;
/// Neighbours among which a pair is looked for.
const NEIGHBORS: usize = 50;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

struct Photo {
    path: String,
    class: String,
    bytes: i64,
    colors: Vec<f32>,
}

fn main() -> Result<()> {
    let folder = std::env::args_os().nth(1);
    let folder = PathBuf::from(folder.ok_or("expected the folder of photos as argument")?);
    let photos = photos(&folder)?;
    let paths: Vec<&str> = photos.iter().map(|photo| &*photo.path).collect();
    let rows: Vec<f32> = photos
        .iter()
        .flat_map(|photo| photo.colors.clone())
        .collect();
    let rows = Tensor::from_vec(rows, (photos.len(), 48), &Device::Cpu)?;
    let attributes = photos.iter().map(|photo| {
        Attributes::from([
            ("class", photo.class.as_str().into()),
            ("kilobytes", (photo.bytes / 1000).into()),
        ])
    });
    let mut collection = Collection::new(FlatIndex::default());
    collection.add(Items::new(paths, &rows)?.with_attributes(attributes)?)?;
    let pairs = hard_pairs(&collection, &photos)?;
    let server = Server::builder(collection)
        .title("Photos by colour")
        .distance("squared Euclidean distance")
        .images(Colors)
        .pictures(PictureFolder::by_id(&folder)?)
        .hard_pairs(pairs)
        .build()?;
    let address = std::env::args()
        .nth(2)
        .unwrap_or("127.0.0.1:8080".to_owned());
    let tell = |address| {
        use std::io::Write;
        writeln!(std::io::stdout(), "http://{address}").ok();
    };
    server.run(address.parse()?, tell)?;
    Ok(())
}

fn photos(folder: &Path) -> Result<Vec<Photo>> {
    let (mut folders, mut photos) = (vec![folder.to_path_buf()], Vec::new());
    while let Some(own) = folders.pop() {
        let mut entries = own.read_dir()?.collect::<std::io::Result<Vec<_>>>()?;
        entries.sort_by_key(std::fs::DirEntry::file_name);
        for path in entries.into_iter().map(|entry| entry.path()) {
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let bytes = std::fs::read(&path)?;
            if let Ok(colors) = colors(&bytes) {
                let class = path.parent().and_then(Path::file_name).unwrap_or_default();
                photos.push(Photo {
                    path: path.strip_prefix(folder)?.to_string_lossy().into_owned(),
                    class: class.to_string_lossy().into_owned(),
                    bytes: bytes.len() as i64,
                    colors,
                });
            }
        }
    }
    Ok(photos)
}

/// The colours of 4 × 4 pixels.
fn colors(bytes: &[u8]) -> Result<Vec<f32>> {
    let config = ImageFilesConfig {
        size: [4, 4],
        resize: Resize::Stretch,
        ..ImageFilesConfig::default()
    };
    Ok(decode("photo", bytes, &config)?.values().to_vec())
}

/// The model of this example.
#[derive(Debug)]
struct Colors;

impl EmbedImages for Colors {
    fn embed_images(&self, images: &[&[u8]]) -> Vec<std::result::Result<Vec<f32>, EmbedError>> {
        let of =
            |image: &&[u8]| colors(image).map_err(|error| EmbedError::Input(error.to_string()));
        images.iter().map(of).collect()
    }
}

/// For each photo its nearest one of another class, closest first; and its nearest one of its own class, farthest first.
fn hard_pairs(collection: &Collection, photos: &[Photo]) -> Result<HardPairs> {
    let ids: Vec<&str> = photos.iter().map(|photo| &*photo.path).collect();
    let classes: HashMap<&str, &str> = photos.iter().map(|own| (&*own.path, &*own.class)).collect();
    let class = |path: &str| classes.get(path).copied().unwrap_or_default();
    let side = |path: &str| PairSide::of_id(path).with_label(class(path));
    let found = collection.neighbors_of(&Ids::from(ids.clone()), &Search::nearest(NEIGHBORS))?;
    let nearest = |kind: PairKind| {
        let of_photo = photos.iter().zip(&found).filter_map(|(photo, hits)| {
            let is_asked_for =
                |path: &str| (class(path) == photo.class) == (kind == PairKind::Positive);
            hits.iter()
                .find(|hit| is_asked_for(&hit.id.to_string()))
                .map(|hit| HardPair {
                    kind,
                    distance: hit.distance,
                    a: side(&photo.path),
                    b: side(&hit.id.to_string()),
                })
        });
        of_photo.collect::<Vec<HardPair>>()
    };
    let mut negative = nearest(PairKind::Negative);
    negative.sort_by(|a, b| a.distance.total_cmp(&b.distance));
    let mut positive = nearest(PairKind::Positive);
    positive.sort_by(|a, b| b.distance.total_cmp(&a.distance));
    let both = negative
        .into_iter()
        .take(PAIRS)
        .chain(positive.into_iter().take(PAIRS));
    Ok(HardPairs {
        distance: Some("squared Euclidean distance".to_owned()),
        pairs: both.collect(),
    })
}
