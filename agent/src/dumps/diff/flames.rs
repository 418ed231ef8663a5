//! Two dumps in one flame graph: as wide as the later, red what grew, blue what shrank.

use std::{
    collections::BTreeMap,
    io::{self, Write},
};

use super::comparable::{Comparable, Detail};
use crate::{
    dumps::{limits, write},
    model::dump::Dump,
};

/// Writes `stack before after`, as `inferno-diff-folded` does and flame graph tools read it.
///
/// # Errors
/// The writer's.
pub fn folded(before: &Dump, after: &Dump, out: &mut impl Write) -> io::Result<()> {
    for (stack, [before, after]) in lines(before, after) {
        writeln!(out, "{stack} {before} {after}")?;
    }
    Ok(())
}

/// Writes a flame graph.
///
/// # Errors
/// The writer's.
pub fn svg(before: &Dump, after: &Dump, out: &mut impl Write) -> io::Result<()> {
    let lines = lines(before, after);
    let mut options = write::svg::options();
    options.title = "Goroutines: what grew is red, what shrank is blue".to_owned();
    // Where nothing is left there is nothing to be as wide as.
    let all_gone = lines.values().all(|[_, after]| *after == 0);
    options.negate_differentials = all_gone;
    let total = |which: fn(&[u64; 2]) -> u64| lines.values().map(which).sum::<u64>();
    let totals =
        format!("{} before, {} after", total(|[before, _]| *before), total(|[_, after]| *after));
    options.subtitle = Some(if all_gone {
        format!("{totals}; widths are those before")
    } else {
        format!("{totals}; widths are those after: what is gone is not to be seen")
    });
    let lines: Vec<String> = lines
        .iter()
        .map(|(stack, [before, after])| {
            let [first, second] = if all_gone { [after, before] } else { [before, after] };
            let stack = write::svg::shortened(stack);
            format!("{stack} {} {}", first.min(&limits::COUNT), second.min(&limits::COUNT))
        })
        .collect();
    write::svg::flames(&mut options, &lines, out)
}

fn lines(before: &Dump, after: &Dump) -> BTreeMap<String, [u64; 2]> {
    let detail = Detail::of(before, after);
    let mut lines: BTreeMap<String, [u64; 2]> = BTreeMap::new();
    let mut add = |dump: &Dump, pick: fn(&mut [u64; 2]) -> &mut u64| {
        for one in Comparable::all(dump, detail) {
            let functions = one.stack.iter().rev().map(|place| &*place.function);
            let line = write::folded::joined(functions, one.goroutine.truncated);
            let count = pick(lines.entry(line).or_default());
            *count = count.saturating_add(one.goroutine.count);
        }
    };
    add(before, |[before, _]| before);
    add(after, |[_, after]| after);
    lines
}
