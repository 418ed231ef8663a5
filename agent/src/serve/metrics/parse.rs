//! Reads the text formats back, for the tests.

use std::collections::BTreeMap;

/// Labels of a series.
pub(super) type LabelMap = BTreeMap<String, String>;

/// Reads samples back: (name, labels) and value. Fails on what a scraper refuses: a line that is
/// none, a series twice.
pub(super) fn parse(text: &str) -> BTreeMap<(String, LabelMap), f64> {
    let mut samples = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let name_end = line.find(['{', ' ']).expect(line);
        let (name, mut rest) = line.split_at(name_end);
        let mut labels = LabelMap::new();
        if let Some(inside) = rest.strip_prefix('{') {
            rest = inside;
            loop {
                let (key, after) = rest.split_once("=\"").expect(line);
                let mut value = String::new();
                let mut chars = after.char_indices();
                let end = loop {
                    match chars.next().expect(line) {
                        (at, '"') => break at + 1,
                        (_, '\\') => value.push(match chars.next().expect(line).1 {
                            'n' => '\n',
                            c @ ('"' | '\\') => c,
                            c => panic!("escape {c:?} in {line}"),
                        }),
                        (_, c) => value.push(c),
                    }
                };
                assert_eq!(labels.insert(key.to_owned(), value), None, "label twice in {line}");
                rest = &after[end..];
                match rest.strip_prefix(',') {
                    Some(next) => rest = next,
                    None => break rest = rest.strip_prefix('}').expect(line),
                }
            }
        }
        let value = rest.strip_prefix(' ').expect(line).replace("+Inf", "inf").parse().expect(line);
        let known = samples.insert((name.to_owned(), labels), value);
        assert_eq!(known, None, "series twice: {line}");
    }
    samples
}
