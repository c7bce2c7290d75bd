//! Numbers on the command line: every flag reads its default, and refuses what is out of range.

use clap::Parser;
#[cfg(feature = "images")]
use dml_examples::serve;
use dml_examples::{digits, sentences};

#[derive(Debug, Parser)]
struct Digits {
    #[command(flatten)]
    args: digits::Args,
}

#[derive(Debug, Parser)]
struct Sentences {
    #[command(flatten)]
    args: sentences::Args,
}

#[cfg(feature = "images")]
#[derive(Debug, Parser)]
struct Serve {
    #[command(flatten)]
    args: serve::Args,
}

/// What a program says of its flags.
fn parsed<T: Parser + std::fmt::Debug>(needed: &[&str], more: &[&str]) -> Result<T, String> {
    let words = ["program"].iter().chain(needed).chain(more);
    T::try_parse_from(words).map_err(|error| error.to_string())
}

fn check<T: Parser + std::fmt::Debug>(needed: &[&str], counts: &[&str], rates: &[&str]) {
    parsed::<T>(needed, &[]).unwrap();
    let huge = [
        "18446744073709551615",
        "18446744073709551616",
        "-1",
        "1.5",
        "many",
    ];
    for flag in counts {
        for number in huge {
            let error = parsed::<T>(needed, &[&format!("{flag}={number}")]).unwrap_err();
            assert!(
                error.contains("expected a number from"),
                "{flag} {number}: {error}"
            );
        }
    }
    for flag in rates {
        for number in ["0", "-1", "nan", "inf"] {
            let error = parsed::<T>(needed, &[&format!("{flag}={number}")]).unwrap_err();
            assert!(
                error.contains("expected a number above 0"),
                "{flag} {number}: {error}"
            );
        }
    }
}

#[test]
fn numbers_out_of_range_are_refused_by_name() {
    #[cfg(feature = "images")]
    let counts = ["--epochs", "--size", "--batch", "--embedding", "--threads"];
    #[cfg(feature = "images")]
    let rates = ["--lr", "--backbone-lr"];
    #[cfg(feature = "images")]
    check::<dml_examples::image_folder::Args>(&["--train=a", "--test=b"], &counts, &rates);
    check::<Digits>(&[], &["--images", "--epochs", "--batch"], &["--lr"]);
    check::<Sentences>(
        &[],
        &["--test", "--epochs", "--batch", "--tokens"],
        &["--lr"],
    );
    let read = parsed::<Digits>(&[], &["--images=512"]).unwrap().args;
    assert_eq!((read.images, read.batch), (512, 128));
    let read = parsed::<Sentences>(&[], &["--tokens=9"]).unwrap().args;
    assert_eq!((read.tokens, read.batch), (9, 32));
}

#[cfg(feature = "images")]
#[test]
fn numbers_of_a_search_out_of_range_are_refused_by_name() {
    let needed = ["--model=a", "--index=b"];
    check::<Serve>(&needed, &["--limit", "-k"], &[]);
    assert!(parsed::<Serve>(&needed, &["--limit=0"]).is_err());
    assert_eq!(parsed::<Serve>(&needed, &["-k=7"]).unwrap().args.k, 7);
}
