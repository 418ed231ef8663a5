//! Differences by hand, between forms, and in sums.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::{
    dumps::{Format, parse, samples, write},
    model::dump::Frame,
};

fn parked(goid: u64, function: &str, line: u32) -> Goroutine {
    let runtime = |name: &str| samples::frame(name, 5, 1);
    Goroutine {
        goid,
        state: "waiting".into(),
        wait_reason: Some("chan receive".into()),
        created_by: Some(samples::place("main.main", "/src/main.go", line)),
        stack: Arc::from([
            runtime("runtime.gopark"),
            runtime("runtime.chanrecv"),
            samples::frame(function, line + 1, 9),
            runtime("runtime.goexit"),
        ]),
        count: 1,
        ..Goroutine::default()
    }
}

fn dump(goroutines: Vec<Goroutine>) -> Dump {
    Dump { pid: 7, goroutines, ..Dump::default() }
}

#[test]
fn what_grew_comes_first() {
    let before = dump(vec![parked(1, "main.a", 1), parked(2, "main.b", 2), parked(3, "main.b", 2)]);
    let after = dump(vec![
        parked(1, "main.a", 1),
        parked(3, "main.b", 2),
        parked(4, "main.c", 3),
        parked(5, "main.c", 3),
        Goroutine { system: true, ..parked(6, "runtime.x", 4) },
    ]);
    let diff = Diff::new(&before, &after);
    assert_eq!((diff.before, diff.after, diff.is_empty()), (3, 4, false));
    assert_eq!(diff.moved, Some(Moved { born: 2, gone: 1, stayed: 2, in_place: 2 }));
    let [grew, shrank] = &diff.sites[..] else { panic!("{diff:#?}") };
    assert_eq!(grew.key, Key::Site(samples::place("main.main", "/src/main.go", 3)));
    assert_eq!((grew.before, grew.after, grew.delta()), (0, 2, 2));
    assert_eq!((shrank.before, shrank.after, shrank.delta()), (2, 1, -1));
    let moved = Moved { born: 0, gone: 1, stayed: 1, in_place: 1 };
    assert_eq!(shrank.moved, Some(moved));
    assert_eq!(diff.stacks.len(), 2);
    // The runtime's own calls are not shown.
    assert_eq!(diff.stacks[0].key, Key::Stack(vec![samples::place("main.c", "/src/main.go", 4)]));
}

#[test]
fn who_moves_but_stays_is_seen() {
    let before = dump(vec![parked(1, "main.a", 1)]);
    let mut after = before.clone();
    after.goroutines[0].stack = parked(1, "main.b", 8).stack;
    let diff = Diff::new(&before, &after);
    assert_eq!(diff.moved, Some(Moved { stayed: 1, ..Moved::default() }));
    assert!(diff.sites.is_empty() && diff.stacks.len() == 2);
}

#[test]
fn goroutines_of_other_processes_are_not_matched() {
    let before = dump(vec![parked(1, "main.a", 1)]);
    let other = Dump { pid: 8, ..before.clone() };
    assert_eq!(Diff::new(&before, &other).moved, None);
    // Another process under the same id.
    let reused = dump(vec![parked(1, "main.a", 2)]);
    assert_eq!(Diff::new(&before, &reused).moved, None);
    // Profiles have no numbers.
    let profile = dump(vec![Goroutine { goid: 0, ..parked(1, "main.a", 1) }]);
    assert_eq!(Diff::new(&before, &profile).moved, None);
    assert!(Diff::new(&before, &profile).is_empty());
}

/// The same dump by another form.
fn by(format: Format, dump: &Dump) -> Dump {
    let mut out = Vec::new();
    write(format, dump, &mut out).unwrap();
    parse(&out).unwrap()
}

const READ_BACK: [Format; 4] = [Format::Text, Format::Json, Format::Pprof, Format::Folded];

#[test]
fn the_same_by_any_two_forms() {
    let deep: Vec<Frame> =
        (0..500).map(|line| samples::frame("main.deep", line % 7 + 1, 3)).collect();
    let mut whole = samples::small();
    whole.goroutines.push(parked(20, "main.a", 3));
    whole.goroutines.push(Goroutine { stack: deep.into(), ..parked(21, "main.deep", 4) });
    for first in READ_BACK {
        for second in READ_BACK {
            let diff = Diff::new(&by(first, &whole), &by(second, &whole));
            assert!(diff.is_empty(), "{first}, {second}: {diff:#?}");
            let mut more = whole.clone();
            more.goroutines.push(parked(22, "main.a", 3));
            let diff = Diff::new(&by(first, &whole), &by(second, &more));
            assert_eq!((diff.stacks.len(), diff.sites.len()), (1, 1), "{first}, {second}");
            assert_eq!(diff.stacks[0].delta(), 1, "{first}, {second}");
        }
    }
}

#[test]
fn deep_stacks_are_compared_by_their_ends() {
    let frames = |count: u32| (0..count).map(|line| samples::frame("main.deep", line + 1, 3));
    let ours = dump(vec![Goroutine { stack: frames(123).collect(), ..parked(1, "main.x", 1) }]);
    let mut gos: Vec<Frame> = frames(123).collect();
    let gap = Frame { place: samples::place("...23 frames elided...", "", 0), ..Frame::default() };
    gos.splice(50..73, [gap]);
    let gos = dump(vec![Goroutine { stack: gos.into(), ..parked(1, "main.x", 1) }]);
    let diff = Diff::new(&ours, &gos);
    assert!(diff.is_empty(), "{diff:#?}");
}

#[test]
fn red_and_blue() {
    let before =
        dump(vec![parked(1, "main.less", 1), parked(2, "main.less", 1), parked(3, "main.more", 2)]);
    let after =
        dump(vec![parked(1, "main.less", 1), parked(3, "main.more", 2), parked(4, "main.more", 2)]);
    let mut out = Vec::new();
    folded(&before, &after, &mut out).unwrap();
    assert_eq!(String::from_utf8(out).unwrap(), "main.less 2 1\nmain.more 1 2\n");
    let picture = |before: &Dump, after: &Dump| {
        let mut out = Vec::new();
        svg(before, after, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    };
    let colours = |svg: &str, function: &str| -> [u8; 3] {
        let title = svg.find(&format!("<title>{function} (")).unwrap();
        let (_, rest) = svg[title..].split_once("fill=\"rgb(").unwrap();
        let (numbers, _) = rest.split_once(')').unwrap();
        let numbers: Vec<u8> =
            numbers.split(',').map(|number| number.trim().parse().unwrap()).collect();
        numbers.try_into().unwrap()
    };
    let svg = picture(&before, &after);
    let [red, _, blue] = colours(&svg, "main.more");
    assert!(red > blue, "{svg}");
    let [red, _, blue] = colours(&svg, "main.less");
    assert!(red < blue, "{svg}");
    assert!(svg.contains("3 before, 3 after"));
    // Nothing left, nothing there, nothing at all.
    let [red, _, blue] = colours(&picture(&before, &dump(vec![])), "main.less");
    assert!(red < blue);
    picture(&dump(vec![]), &after);
    picture(&dump(vec![]), &dump(vec![]));
    let hostile = picture(&samples::hostile(), &samples::hostile());
    assert!(!hostile.contains("<script>alert") && !hostile.contains('\x1b'));
}

#[test]
fn for_programs() {
    let before = dump(vec![]);
    let after = dump(vec![parked(1, "main.a", 1), parked(2, "main.b", 2)]);
    let value = json(&Diff::new(&before, &after), 1);
    assert_eq!(
        (&value["before"], &value["after"], &value["identical"]),
        (&0.into(), &2.into(), &false.into())
    );
    assert_eq!((value["sites"].as_array().unwrap().len(), &value["sites_changed"]), (1, &2.into()));
    assert_eq!(value["sites"][0]["created_by"]["line"], 1);
    assert_eq!(value["stacks"][0]["stack"][0]["function"], "main.a");
    assert_eq!(value["stacks"][0]["delta"], 1);
    assert_eq!(value["moved"]["born"], 2);
}

proptest! {
    /// Each dump is a list of (function, line) with a number.
    #[test]
    fn sums_agree(
        before in proptest::collection::btree_map(1..40_u64, 1..4_u32, 0..20),
        after in proptest::collection::btree_map(1..40_u64, 1..4_u32, 0..20),
    ) {
        let make = |map: std::collections::BTreeMap<u64, u32>| {
            dump(map.into_iter().map(|(goid, line)| parked(goid, "main.f", line)).collect())
        };
        let (before, after) = (make(before), make(after));
        let diff = Diff::new(&before, &after);
        let total = diff.after.cast_signed() - diff.before.cast_signed();
        prop_assert_eq!(diff.sites.iter().map(Change::delta).sum::<i64>(), total);
        prop_assert_eq!(diff.stacks.iter().map(Change::delta).sum::<i64>(), total);
        if let Some(moved) = diff.moved {
            prop_assert_eq!(moved.stayed + moved.gone, diff.before);
            prop_assert_eq!(moved.stayed + moved.born, diff.after);
            prop_assert!(moved.in_place <= moved.stayed);
        }
        let back = Diff::new(&after, &before);
        prop_assert_eq!(back.sites.len(), diff.sites.len());
        prop_assert!(Diff::new(&before, &before).is_empty());
    }
}
