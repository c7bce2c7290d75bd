//! The list of published data sets.

use super::{
    Archive, Layout, cars196, cifar, cub200, in_shop, inaturalist2018, lfw, market1501, omniglot,
    stanford_online_products,
};
use crate::{DataError, Digest, Result};

const MIB: u64 = 1 << 20;

/// All layouts, in the order of their names.
pub static LAYOUTS: [Layout; 10] = [
    Layout {
        name: "cars196",
        title: "Cars-196",
        reference: "Krause, Stark, Deng, Fei-Fei, \"3D Object Representations for Fine-Grained Categorization\", 2013",
        files: &[
            "cars_annos.mat and car_ims",
            "or cars_train, cars_test and devkit",
            "or anno_train.csv, anno_test.csv, names.csv and car_data",
        ],
        split: "classes 1 to 98 to learn from, 99 to 196 to test with",
        published_split: Some("8,144 images to learn from, 8,041 to test with, of all classes"),
        images: 16_185,
        classes: 196,
        licence: "research, not commercial",
        page: "https://www.kaggle.com/datasets/jutrera/stanford-car-dataset-by-classes-folder",
        archives: &[],
        roots: &["cars196", "stanford_cars", "cars"],
        reader: cars196::read,
    },
    Layout {
        name: "cifar10",
        title: "CIFAR-10",
        reference: "Krizhevsky, \"Learning Multiple Layers of Features from Tiny Images\", 2009",
        files: &[
            "batches.meta.txt, data_batch_1.bin to data_batch_5.bin, test_batch.bin",
            "or batches.meta, data_batch_1 to data_batch_5, test_batch",
        ],
        split: "classes 0 to 4 to learn from, 5 to 9 to test with",
        published_split: Some("50,000 images to learn from, 10,000 to test with, of all classes"),
        images: 60_000,
        classes: 10,
        licence: "not stated",
        page: "https://www.cs.toronto.edu/~kriz/cifar.html",
        archives: &[Archive {
            file: "cifar-10-binary.tar.gz",
            url: "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
            digest: Digest::Md5OfFile("c32a1d4ab5d03f1284b67883e8d87530"),
            most_bytes: 200 * MIB,
        }],
        roots: &["cifar-10-batches-bin", "cifar-10-batches-py"],
        reader: cifar::read_10,
    },
    Layout {
        name: "cifar100",
        title: "CIFAR-100",
        reference: "Krizhevsky, \"Learning Multiple Layers of Features from Tiny Images\", 2009",
        files: &[
            "fine_label_names.txt, coarse_label_names.txt, train.bin, test.bin",
            "or meta, train, test",
        ],
        split: "classes 0 to 49 to learn from, 50 to 99 to test with",
        published_split: Some("50,000 images to learn from, 10,000 to test with, of all classes"),
        images: 60_000,
        classes: 100,
        licence: "not stated",
        page: "https://www.cs.toronto.edu/~kriz/cifar.html",
        archives: &[Archive {
            file: "cifar-100-binary.tar.gz",
            url: "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",
            digest: Digest::Md5OfFile("03b5dce01913d631647c71ecec9e9cb8"),
            most_bytes: 200 * MIB,
        }],
        roots: &["cifar-100-binary", "cifar-100-python"],
        reader: cifar::read_100,
    },
    Layout {
        name: "cub200",
        title: "CUB-200-2011",
        reference: "Wah, Branson, Welinder, Perona, Belongie, \"The Caltech-UCSD Birds-200-2011 Dataset\", 2011",
        files: &[
            "images.txt",
            "image_class_labels.txt",
            "classes.txt",
            "images",
        ],
        split: "classes 1 to 100 to learn from, 101 to 200 to test with",
        published_split: Some(
            "train_test_split.txt: 5,994 images to learn from, 5,794 to test with, of all classes",
        ),
        images: 11_788,
        classes: 200,
        licence: "research and education, not commercial",
        page: "https://data.caltech.edu/records/65de6-vp158",
        archives: &[Archive {
            file: "CUB_200_2011.tgz",
            url: "https://data.caltech.edu/records/65de6-vp158/files/CUB_200_2011.tgz",
            digest: Digest::Md5OfFile("97eceeb196236b17998738112f37df78"),
            most_bytes: 1_200 * MIB,
        }],
        roots: &["CUB_200_2011"],
        reader: cub200::read,
    },
    Layout {
        name: "in_shop",
        title: "In-shop Clothes Retrieval",
        reference: "Liu, Luo, Qiu, Wang, Tang, \"DeepFashion: Powering Robust Clothes Recognition and Retrieval with Rich Annotations\", 2016",
        files: &[
            "list_eval_partition.txt or Eval/list_eval_partition.txt",
            "img or Img/img",
        ],
        split: "3,997 articles to learn from; queries and a gallery of 3,985 others",
        published_split: None,
        images: 52_712,
        classes: 7_982,
        licence: "research, not commercial, by agreement",
        page: "https://mmlab.ie.cuhk.edu.hk/projects/DeepFashion/InShopRetrieval.html",
        archives: &[],
        roots: &[
            "In-shop Clothes Retrieval Benchmark",
            "DeepFashion/In-shop Clothes Retrieval Benchmark",
        ],
        reader: in_shop::read,
    },
    Layout {
        name: "inaturalist2018",
        title: "iNaturalist 2018",
        reference: "Van Horn et al., \"The iNaturalist Species Classification and Detection Dataset\", 2018, arXiv:1707.06642",
        files: &[
            "train2018.json",
            "val2018.json",
            "train_val2018",
            "Inat_dataset_splits/Inaturalist_train_set1.txt and Inaturalist_test_set1.txt",
        ],
        split: "5,690 species to learn from, 2,452 to test with (the lists of Smooth-AP, arXiv:2007.12163)",
        published_split: Some("437,513 images to learn from, 24,426 to test with, of all species"),
        images: 461_939,
        classes: 8_142,
        licence: "research, not commercial; each photo has its own",
        page: "https://github.com/visipedia/inat_comp/tree/master/2018 (the lists: https://github.com/Andrew-Brown1/Smooth_AP)",
        archives: &[
            Archive {
                file: "train_val2018.tar.gz",
                url: "https://ml-inat-competition-datasets.s3.amazonaws.com/2018/train_val2018.tar.gz",
                digest: Digest::Md5OfFile("b1c6952ce38f31868cc50ea72d066cc3"),
                most_bytes: 200_000 * MIB,
            },
            Archive {
                file: "train2018.json.tar.gz",
                url: "https://ml-inat-competition-datasets.s3.amazonaws.com/2018/train2018.json.tar.gz",
                digest: Digest::Md5OfFile("bfa29d89d629cbf04d826a720c0a68b0"),
                most_bytes: 100 * MIB,
            },
            Archive {
                file: "val2018.json.tar.gz",
                url: "https://ml-inat-competition-datasets.s3.amazonaws.com/2018/val2018.json.tar.gz",
                digest: Digest::Md5OfFile("f2ed8bfe3e9901cdefceb4e53cd3775d"),
                most_bytes: 100 * MIB,
            },
        ],
        roots: &["inaturalist2018", "2018"],
        reader: inaturalist2018::read,
    },
    Layout {
        name: "lfw",
        title: "Labeled Faces in the Wild",
        reference: "Huang, Ramesh, Berg, Learned-Miller, \"Labeled Faces in the Wild\", 2007",
        files: &["lfw", "pairs.txt"],
        split: "pairs.txt: 6,000 pairs in ten folds; peopleDevTrain.txt and peopleDevTest.txt: persons to learn from and to test with",
        published_split: None,
        images: 13_233,
        classes: 5_749,
        licence: "research; photos from news sites, rights with their owners",
        page: "https://figshare.com/articles/dataset/lfw/3210862",
        archives: &[
            Archive {
                file: "lfw.tgz",
                url: "https://ndownloader.figshare.com/files/5976018",
                digest: Digest::Sha256OfFile(
                    "055f7d9c632d7370e6fb4afc7468d40f970c34a80d4c6f50ffec63f5a8d536c0",
                ),
                most_bytes: 200 * MIB,
            },
            Archive {
                file: "pairs.txt",
                url: "https://ndownloader.figshare.com/files/5976006",
                digest: Digest::Sha256OfFile(
                    "ea42330c62c92989f9d7c03237ed5d591365e89b3e649747777b70e692dc1592",
                ),
                most_bytes: MIB,
            },
            Archive {
                file: "pairsDevTrain.txt",
                url: "https://ndownloader.figshare.com/files/5976012",
                digest: Digest::Sha256OfFile(
                    "1d454dada7dfeca0e7eab6f65dc4e97a6312d44cf142207be28d688be92aabfa",
                ),
                most_bytes: MIB,
            },
            Archive {
                file: "pairsDevTest.txt",
                url: "https://ndownloader.figshare.com/files/5976009",
                digest: Digest::Sha256OfFile(
                    "7cb06600ea8b2814ac26e946201cdb304296262aad67d046a16a7ec85d0ff87c",
                ),
                most_bytes: MIB,
            },
        ],
        roots: &["lfw_home", "lfw-py"],
        reader: lfw::read,
    },
    Layout {
        name: "market1501",
        title: "Market-1501",
        reference: "Zheng, Shen, Tian, Wang, Wang, Tian, \"Scalable Person Re-identification: A Benchmark\", 2015",
        files: &["bounding_box_train", "query", "bounding_box_test"],
        split: "751 persons to learn from; queries and a gallery of 750 others, distractors and junk",
        published_split: None,
        images: 36_036,
        classes: 1_502,
        licence: "research, not commercial",
        page: "https://zheng-lab-anu.github.io/Project/project_reid.html",
        archives: &[],
        roots: &["Market-1501-v15.09.15", "market1501"],
        reader: market1501::read,
    },
    Layout {
        name: "omniglot",
        title: "Omniglot",
        reference: "Lake, Salakhutdinov, Tenenbaum, \"Human-level concept learning through probabilistic program induction\", 2015",
        files: &["images_background", "images_evaluation"],
        split: "964 characters of 30 alphabets to learn from, 659 of 20 alphabets to test with",
        published_split: None,
        images: 32_460,
        classes: 1_623,
        licence: "MIT",
        page: "https://github.com/brendenlake/omniglot",
        archives: &[
            Archive {
                file: "images_background.zip",
                url: "https://raw.githubusercontent.com/brendenlake/omniglot/master/python/images_background.zip",
                digest: Digest::Md5OfFile("68d2efa1b9178cc56df9314c21c6e718"),
                most_bytes: 20 * MIB,
            },
            Archive {
                file: "images_evaluation.zip",
                url: "https://raw.githubusercontent.com/brendenlake/omniglot/master/python/images_evaluation.zip",
                digest: Digest::Md5OfFile("6b91aef0f799c5bb55b94e3f2daec811"),
                most_bytes: 20 * MIB,
            },
        ],
        roots: &["omniglot", "omniglot-py", "omniglot/python", "python"],
        reader: omniglot::read,
    },
    Layout {
        name: "stanford_online_products",
        title: "Stanford Online Products",
        reference: "Song, Xiang, Jegelka, Savarese, \"Deep Metric Learning via Lifted Structured Feature Embedding\", 2016, arXiv:1511.06452",
        files: &[
            "Ebay_train.txt",
            "Ebay_test.txt",
            "the folders of the categories",
        ],
        split: "11,318 products to learn from, 11,316 to test with",
        published_split: None,
        images: 120_053,
        classes: 22_634,
        licence: "research, not commercial",
        page: "https://github.com/rksltnl/Deep-Metric-Learning-CVPR16",
        archives: &[],
        roots: &["Stanford_Online_Products"],
        reader: stanford_online_products::read,
    },
];

/// The layout of that name.
///
/// ```
/// use dml_data::layouts::layout;
///
/// assert_eq!(layout("cub200")?.title, "CUB-200-2011");
/// let message = layout("cub").unwrap_err().to_string();
/// assert!(message.starts_with("data set: expected one of cars196, "));
/// # Ok::<(), dml_data::DataError>(())
/// ```
///
/// # Errors
/// [`DataError::UnknownLayout`] with all names if there is none.
pub fn layout(name: &str) -> Result<&'static Layout> {
    let found = LAYOUTS.iter().find(|layout| layout.name == name);
    found.ok_or_else(|| DataError::UnknownLayout {
        known: LAYOUTS.map(|layout| layout.name).join(", "),
        found: crate::error::shortened(name),
    })
}
