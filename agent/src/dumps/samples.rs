//! Dumps for tests.

use std::sync::Arc;

use crate::model::dump::{Dump, Frame, Goroutine, Place};

pub(super) fn place(function: &str, file: &str, line: u32) -> Place {
    Place { function: function.into(), file: file.into(), line }
}

pub(super) fn frame(function: &str, line: u32, offset: u64) -> Frame {
    let entry = 0x40_1000;
    let place = place(function, "/src/main.go", line);
    Frame { place, pc: entry + offset, entry, inlined: false }
}

/// Three goroutines: one that runs, one that waits, one in a system call.
pub(super) fn small() -> Dump {
    let wait = Frame { inlined: true, ..frame("main.wait", 12, 0x2c) };
    let run = frame("main.(*T[...]).run", 20, 0x2c);
    let foreign = Frame { pc: 0x7f00_0000_1000, ..Frame::default() };
    let read = Frame { place: place("syscall.read", "", 0), ..Frame::default() };
    let goroutine = |goid, state: &str| Goroutine {
        goid,
        state: state.into(),
        count: 1,
        ..Goroutine::default()
    };
    Dump {
        pid: 42,
        go_version: "go1.26.6".into(),
        unsampled: None,
        taken_at: Some(1_767_225_600.25),
        goroutines: vec![
            Goroutine { torn: true, ..goroutine(1, "running") },
            Goroutine {
                parent_goid: Some(1),
                wait_reason: Some("chan receive".into()),
                wait_seconds: Some(180.0),
                locked_to_thread: true,
                created_by: Some(place("main.main", "/src/main.go", 7)),
                start: Some(place("main.(*T[...]).run", "/src/main.go", 19)),
                stack: Arc::from([wait, run]),
                ..goroutine(7, "waiting")
            },
            Goroutine {
                truncated: true,
                thread: Some(4711),
                created_by: Some(place("main.start", "/src/main.go", 9)),
                stack: Arc::from([foreign, read]),
                ..goroutine(8, "syscall")
            },
        ],
    }
}

/// Names that a program has to annoy whoever looks at it.
pub(super) fn hostile() -> Dump {
    let names = [
        "a\nb",
        "\x1b[2J\x1b[31m",
        "</text></svg><script>alert(1)</script>",
        "&quot;\"'<!--",
        "semi;colon;names 12 34",
        "goroutine 1 [running]:",
        "created by nobody",
        "\ttab",
        "\u{202e}gnp.exe\u{2028}\u{feff}",
        "nul\0",
        "#comment",
    ];
    let long = "long".repeat(1000);
    let names = names.into_iter().chain([long.as_str()]);
    let stack = names
        .map(|name| Frame { place: place(name, name, 3), pc: 17, entry: 16, inlined: false })
        .collect();
    Dump {
        pid: 7,
        go_version: "go1\x1b[2J<b>".into(),
        taken_at: None,
        unsampled: None,
        goroutines: vec![Goroutine {
            goid: 1,
            state: "wai\nting".into(),
            wait_reason: Some("chan]:\n\x1b[2J<b>receive".into()),
            created_by: Some(place("main\n<script>", "\x1b/src;", 1)),
            stack,
            count: 1,
            ..Goroutine::default()
        }],
    }
}
