//! Stanford Online Products and In-shop.

use super::*;

#[test]
fn products_have_categories_and_no_class_in_both_lists() -> Result<()> {
    let products = read(
        "stanford_online_products",
        "stanford_online_products",
        &published(),
    )?;
    let products = products.manifest;
    assert_eq!(products.class_names(), ["1", "2", "11319", "11320"]);
    assert_eq!(products.category_names(), ["bicycle", "cabinet", "chair"]);
    assert_eq!(products.categories().unwrap(), [0, 0, 1, 1, 0, 0, 2, 2]);
    assert_eq!(classes(&products, "train")?, ["1", "2"]);
    assert_eq!(classes(&products, "test")?, ["11319", "11320"]);
    check_images(&products)?;
    let of = |old, new| {
        let file = "Stanford_Online_Products/Ebay_train.txt";
        let name = "stanford_online_products";
        message(name, name, file, old, new)
    };
    let text = of("image_id class_id", "image class_id");
    assert!(
        text.contains("line 1, column 1: expected the names image_id class_id"),
        "{text}"
    );
    let text = of("1 1 1 bicycle_final", "1 1 1 /bicycle_final");
    assert!(
        text.contains("line 2, column path: expected a path within"),
        "{text}"
    );
    let text = of("2 1 1 bicycle", "2 one 1 bicycle");
    assert!(
        text.contains("line 3, column class_id: expected a whole number"),
        "{text}"
    );
    Ok(())
}

#[test]
fn clothes_have_queries_and_a_gallery() -> Result<()> {
    let config = LayoutConfig {
        boxes: true,
        ..LayoutConfig::default()
    };
    let clothes = read("in_shop", "in_shop", &config)?.manifest;
    assert_eq!(clothes.category_names(), ["MEN/Denim", "WOMEN/Dresses"]);
    assert_eq!(clothes.split("train")?.entries().len(), 2);
    assert_eq!(clothes.role(Role::Query)?.labels(), [1]);
    assert_eq!(clothes.role(Role::Gallery)?.labels(), [1, 2]);
    let expected = PixelBox {
        left: 2,
        top: 1,
        width: 6,
        height: 6,
    };
    assert_eq!(clothes.entries()[0].bounding_box, Some(expected));
    check_images(&clothes)?;
    let root = "In-shop Clothes Retrieval Benchmark";
    let cases = [
        (
            "Eval/list_eval_partition.txt",
            "5\n",
            "6\n",
            "line 1, column 1: expected as many lines as the first one says, found 5 lines for a number of 6",
        ),
        (
            "Eval/list_eval_partition.txt",
            "query",
            "probe",
            "column evaluation_status: expected train, query or gallery, found \"probe\"",
        ),
        (
            "Eval/list_eval_partition.txt",
            "item_id",
            "id",
            "line 2, column 1: expected the names of the columns of this list",
        ),
        (
            "Eval/list_eval_partition.txt",
            "img/MEN",
            "../MEN",
            "column image_name: expected a path within the data set's folder",
        ),
        (
            "Anno/list_bbox_inshop.txt",
            "img/MEN",
            "img/BOY",
            "column image_name: expected an image with a line in list_bbox_inshop.txt",
        ),
    ];
    for (file, old, new, expected) in cases {
        let text = message("in_shop", "in_shop", &format!("{root}/{file}"), old, new);
        assert!(text.contains(expected), "{text}");
    }
    Ok(())
}
