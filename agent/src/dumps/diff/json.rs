//! What differs, for programs.

use serde_json::{Value, json};

use super::{Change, Diff, Key, Moved};
use crate::model::dump::Place;

/// At most `limit` changes of each kind.
#[must_use]
pub fn json(diff: &Diff, limit: usize) -> Value {
    let changes = |changes: &[Change]| changes.iter().take(limit).map(change).collect::<Vec<_>>();
    json!({
        "identical": diff.is_empty(),
        "before": diff.before,
        "after": diff.after,
        "moved": diff.moved.map(moved),
        "sites": changes(&diff.sites),
        "sites_changed": diff.sites.len(),
        "stacks": changes(&diff.stacks),
        "stacks_changed": diff.stacks.len(),
    })
}

fn change(change: &Change) -> Value {
    let mut value = json!({
        "before": change.before,
        "after": change.after,
        "delta": change.delta(),
        "moved": change.moved.map(moved),
    });
    let (name, key) = match &change.key {
        Key::Site(site) => ("created_by", place(site)),
        Key::Stack(stack) => ("stack", stack.iter().map(place).collect()),
    };
    if let Some(fields) = value.as_object_mut() {
        fields.insert(name.to_owned(), key);
    }
    value
}

fn moved(Moved { born, gone, stayed, in_place }: Moved) -> Value {
    json!({ "born": born, "gone": gone, "stayed": stayed, "in_place": in_place })
}

fn place(Place { function, file, line }: &Place) -> Value {
    json!({ "function": **function, "file": **file, "line": line })
}
