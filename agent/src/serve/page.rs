//! The page at `/`: files that are part of the binary. It gets its data from the API.

use std::{
    hash::{DefaultHasher, Hasher as _},
    sync::LazyLock,
};

use axum::{
    body::Body,
    extract::{Path, rejection::PathRejection},
    http::{HeaderMap, Response, StatusCode},
};

use super::{reply::Reply, routes::off_the_loop};

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";
const TEXT: &str = "text/plain; charset=utf-8";

/// A file of `agent/assets/page`, with its media type.
macro_rules! file {
    ($name:literal, $kind:expr) => {
        ($name, $kind, include_bytes!(concat!("../../assets/page/", $name)).as_slice())
    };
}

/// The page itself, at `/`; the others are below `/page/`.
const INDEX: &str = "index.html";

const FILES: [(&str, &str, &[u8]); 23] = [
    file!("index.html", HTML),
    file!("style.css", CSS),
    file!("flame.css", CSS),
    file!("icon.svg", SVG),
    file!("early.js", JS),
    file!("main.js", JS),
    file!("api.js", JS),
    file!("charts.js", JS),
    file!("delays.js", JS),
    file!("dom.js", JS),
    file!("flame.js", JS),
    file!("format.js", JS),
    file!("leaks.js", JS),
    file!("poll.js", JS),
    file!("process.js", JS),
    file!("processes.js", JS),
    file!("route.js", JS),
    file!("sites.js", JS),
    file!("stacks.js", JS),
    file!("table.js", JS),
    file!("vendor/uplot/uPlot.esm.js", JS),
    file!("vendor/uplot/uPlot.min.css", CSS),
    file!("vendor/uplot/LICENSE", TEXT),
];

struct File {
    name: &'static str,
    kind: &'static str,
    body: &'static [u8],
    /// Changes with the body; weak, because the body may be sent compressed.
    tag: String,
}

static ALL: LazyLock<Vec<File>> = LazyLock::new(|| {
    let file = |(name, kind, body): &(&'static str, &'static str, &'static [u8])| {
        let mut hasher = DefaultHasher::new();
        hasher.write(body);
        File { name, kind, body, tag: format!("W/\"{:016x}\"", hasher.finish()) }
    };
    FILES.iter().map(file).collect()
});

/// `/`
pub(super) async fn index(request: HeaderMap) -> Response<Body> {
    answer(INDEX, request).await
}

/// `/page/{file}`
pub(super) async fn file(
    name: Result<Path<String>, PathRejection>,
    request: HeaderMap,
) -> Response<Body> {
    let name = name.map(|Path(name)| name).unwrap_or_default();
    answer(&name, request).await
}

async fn answer(name: &str, request: HeaderMap) -> Response<Body> {
    let Some(file) = ALL.iter().find(|file| file.name == name) else {
        let error = "no such part of the page; / is the page";
        return Reply::error(StatusCode::NOT_FOUND, error).to(&request);
    };
    off_the_loop(request, |_| Reply::page(file.kind, file.body, &file.tag)).await
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    fn text(name: &str) -> &'static str {
        let file = ALL.iter().find(|file| file.name == name).unwrap();
        std::str::from_utf8(file.body).unwrap()
    }

    /// What stands between quotes and begins so.
    fn quoted<'a>(text: &'a str, prefix: &str) -> Vec<&'a str> {
        let parts = text.split('"').skip(1).step_by(2);
        parts.filter_map(|part| part.strip_prefix(prefix)).collect()
    }

    #[test]
    fn everything_that_is_named_is_there_and_the_other_way_round() {
        let mut named: Vec<&str> = quoted(text(INDEX), "page/");
        for file in ALL.iter().filter(|file| file.kind == JS && !file.name.contains('/')) {
            for line in text(file.name).lines().filter(|line| line.starts_with("import ")) {
                named.extend(quoted(line, "./"));
            }
        }
        for name in &named {
            assert!(ALL.iter().any(|file| file.name == *name), "{name}");
        }
        for file in ALL.iter().filter(|file| file.kind != TEXT && file.name != INDEX) {
            assert!(named.contains(&file.name), "{} is not used", file.name);
        }
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/page");
        let scripts = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
        for name in scripts.filter(|name| name != "vendor" && name != "README.md") {
            assert!(ALL.iter().any(|file| name == file.name), "{name:?} is not served");
        }
    }

    #[test]
    fn nothing_is_inline_and_no_text_becomes_markup() {
        let index = text(INDEX);
        for part in index.split("<script").skip(1) {
            assert!(part.contains("></script>"), "an inline script: {part}");
        }
        assert!(!index.contains("<style") && !index.contains(" style="));
        assert!(!index.contains("http:") && !index.contains("https:"));
        let words = index.split_ascii_whitespace();
        let is_handler = |word: &str| word.starts_with("on") && word.contains("=\"");
        assert!(!words.clone().any(is_handler), "an inline handler");
        for file in ALL.iter().filter(|file| file.kind == JS) {
            let body = text(file.name);
            for forbidden in
                ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("]
            {
                assert!(!body.contains(forbidden), "{} has {forbidden}", file.name);
            }
        }
    }

    #[test]
    fn own_scripts_are_small_and_say_what_they_are_for() {
        for file in ALL.iter().filter(|file| file.kind == JS && !file.name.contains('/')) {
            assert!(text(file.name).starts_with("// "), "{}", file.name);
            assert!(text(file.name).lines().count() <= 300, "{}", file.name);
        }
    }
}
