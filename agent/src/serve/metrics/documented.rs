//! `docs/metrics.md` names every family, with its type and labels, and no other.

use std::collections::{BTreeMap, BTreeSet};

use super::{ALL, Exposition, Format, parse::parse};
use crate::model::sample::{bare, snapshot, whole};

const DOCUMENT: &str = include_str!("../../../../docs/metrics.md");

/// Those of every series of a process; the document names them once.
const OF_PROCESS: [&str; 6] = ["pid", "exe", "namespace", "pod", "container", "unit"];

/// Type and labels by name.
type Families = BTreeMap<String, (String, BTreeSet<String>)>;

/// From the rows `name | type | labels | …` of the tables.
fn documented() -> Families {
    let code = |cell: &str| -> Vec<String> {
        cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    };
    let rows = DOCUMENT.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        assert_eq!(cells.len(), 8, "{row}");
        (code(cells[1])[0].clone(), (cells[2].to_owned(), code(cells[3]).into_iter().collect()))
    })
    .collect()
}

/// From the exposition of a process that has everything, and one that has failed.
fn exposed() -> Families {
    let everything = Exposition::of(&snapshot(vec![whole(7), bare(8)]));
    let text = String::from_utf8(everything.write(Format::Text).unwrap()).unwrap();
    let kinds = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    let mut families: Families =
        kinds.map(|(name, kind)| (name.to_owned(), (kind.to_owned(), BTreeSet::new()))).collect();
    for (series, labels) in parse(&text).into_keys() {
        let mut names = ["", "_bucket", "_sum", "_count"]
            .into_iter()
            .filter_map(|end| series.strip_suffix(end))
            .filter(|name| families.contains_key(*name));
        let name = names.next().unwrap().to_owned();
        let own = labels.into_keys().filter(|label| label != "le");
        let own = own.filter(|label| !OF_PROCESS.contains(&label.as_str()));
        families.get_mut(&name).unwrap().1.extend(own);
    }
    families
}

#[test]
fn every_family_is_documented_as_it_is() {
    let exposed = exposed();
    assert_eq!(exposed.len(), ALL.into_iter().flatten().count(), "a family is without samples");
    let documented = documented();
    for (name, family) in &exposed {
        let row = documented.get(name);
        assert_eq!(row, Some(family), "{name} in docs/metrics.md, and as it is");
    }
    let gone: Vec<_> = documented.keys().filter(|name| !exposed.contains_key(*name)).collect();
    assert!(gone.is_empty(), "in docs/metrics.md, but not exposed: {gone:?}");
}
