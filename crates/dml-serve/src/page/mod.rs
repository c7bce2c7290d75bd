//! The web page: one file that needs nothing else, and whose programs are only those that were compiled in.
//!
//! The parts lie beside this file and are put together when the page is first requested. The page's content security policy
//! names the hashes of its script and its style, so that nothing else runs, whatever the collection holds.

use std::sync::OnceLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

/// The description of all routes, in the format OpenAPI.
pub(crate) const OPENAPI: &str = include_str!("openapi.json");

const HTML: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
/// The script, in the order in which its parts build on each other.
const SCRIPT: [&str; 6] = [
    include_str!("elements.js"),
    include_str!("service.js"),
    include_str!("cards.js"),
    include_str!("filters.js"),
    include_str!("pairs.js"),
    include_str!("main.js"),
];

/// The page with a title.
pub(crate) fn html(title: &str) -> String {
    static PAGE: OnceLock<String> = OnceLock::new();
    let page = PAGE.get_or_init(|| {
        // Style and script come last: a mark within them is not replaced.
        let page = HTML.replacen("{{style}}", STYLE, 1);
        page.replacen("{{script}}", script(), 1)
    });
    page.replacen("{{title}}", &escaped(title), 1)
}

/// The header `Content-Security-Policy` of the page.
pub(crate) fn policy() -> &'static str {
    static POLICY: OnceLock<String> = OnceLock::new();
    POLICY.get_or_init(|| {
        format!(
            "default-src 'none'; script-src 'sha256-{}'; style-src 'sha256-{}'; img-src 'self' blob: data:; connect-src 'self'; \
             base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
            hash(script()),
            hash(STYLE)
        )
    })
}

fn script() -> &'static str {
    static WHOLE: OnceLock<String> = OnceLock::new();
    WHOLE.get_or_init(|| format!("\n(() => {{\n\"use strict\";\n{}}})();\n", SCRIPT.concat()))
}

/// The SHA-256 of a text, in Base64.
fn hash(text: &str) -> String {
    STANDARD.encode(Sha256::digest(text.as_bytes()))
}

/// Text as HTML, also within quotes.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routes;

    #[test]
    fn hashes_are_those_that_browsers_compute() {
        // printf 'alert(1)' | openssl dgst -sha256 -binary | base64
        assert_eq!(
            hash("alert(1)"),
            "bhHHL3z2vDgxUt0W3dWQOrprscmda2Y5pLsLg4GF+pI="
        );
        assert_eq!(hash(""), "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
    }

    #[test]
    fn the_title_is_escaped_and_nothing_is_left_to_fill_in() {
        let page = html("<script>'\"&{{script}}");
        assert!(page.contains("<title>&lt;script&gt;&#39;&quot;&amp;{{script}}</title>"));
        assert!(!html("Shop").contains("{{"));
        assert_eq!(page.matches("<script>").count(), 1);
    }

    #[test]
    fn the_page_needs_nothing_else_and_its_policy_allows_what_it_has() {
        let page = html("Shop");
        let between = |from: &str, to: &str| {
            let start = page.find(from).unwrap() + from.len();
            &page[start..start + page[start..].find(to).unwrap()]
        };
        for (part, directive) in [
            (between("<script>", "</script>"), "script-src"),
            (between("<style>", "</style>"), "style-src"),
        ] {
            let allowed = format!("{directive} 'sha256-{}'", hash(part));
            assert!(policy().contains(&allowed), "{allowed}");
        }
        // What the policy would refuse.
        for odd in [
            "style=\"",
            "onclick=",
            "onload=",
            "onchange=",
            "href=\"http",
            "src=\"",
            "javascript:",
            "@import",
            "url(",
        ] {
            assert!(!page.contains(odd), "{odd}");
        }
        for odd in [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "new Function",
        ] {
            assert!(!script().contains(odd), "{odd}");
        }
    }

    #[test]
    fn the_description_lists_the_routes_and_no_others() {
        let description: serde_json::Value = serde_json::from_str(OPENAPI).unwrap();
        assert_eq!(description["info"]["version"], env!("CARGO_PKG_VERSION"));
        let mut described = Vec::new();
        for (path, methods) in description["paths"].as_object().unwrap() {
            let methods = methods.as_object().unwrap();
            for (method, operation) in methods.iter().filter(|(key, _)| *key != "parameters") {
                described.push((path.clone(), method.to_uppercase()));
                assert!(operation["summary"].is_string(), "{path} {method}");
                assert!(operation["responses"]["200"].is_object(), "{path} {method}");
            }
        }
        let routes = routes::ALL.iter();
        let mut all: Vec<(String, String)> = routes
            .map(|(path, method)| ((*path).to_owned(), method.to_string()))
            .collect();
        all.sort();
        described.sort();
        assert_eq!(described, all);
        // Every reference leads somewhere.
        let text = OPENAPI;
        for (at, _) in text.match_indices("\"#/") {
            let path = &text[at + 2..];
            let path = &path[..path.find('"').unwrap()];
            assert!(description.pointer(path).is_some(), "{path}");
        }
    }
}
