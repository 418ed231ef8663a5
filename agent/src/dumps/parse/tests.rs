//! Round trips, what Go prints, and what is no dump.

use std::{io::Write as _, sync::Arc};

use flate2::{Compression, write::GzEncoder};
use proptest::{collection::vec, option, prelude::*, sample::select};

use super::*;
use crate::{
    dumps::{Format, samples, write},
    model::dump::{Dump, Frame, Goroutine, Place},
};

fn written(format: Format, dump: &Dump) -> Vec<u8> {
    let mut out = Vec::new();
    write(format, dump, &mut out).unwrap();
    out
}

/// What a form keeps of a goroutine.
fn carried(format: Format, goroutine: &Goroutine) -> Goroutine {
    let mut kept = goroutine.clone();
    let frames = kept.stack.iter().cloned();
    match format {
        Format::Text => {
            kept.system = false;
            kept.torn = false;
            kept.thread = None;
            kept.sampled = false;
            kept.no_stack = None;
            kept.start = None;
            kept.wait_seconds = kept
                .wait_seconds
                .map(|seconds| (seconds / 60.0).floor() * 60.0)
                .filter(|seconds| *seconds > 0.0);
            kept.parent_goid = kept.parent_goid.filter(|_| kept.created_by.is_some());
            kept.truncated &= !kept.stack.is_empty();
            kept.stack = frames
                .map(|frame| {
                    let foreign = frame.place.function.is_empty();
                    let inlined = frame.inlined && !foreign;
                    let pc = if foreign { frame.pc } else { 0 };
                    let place = if foreign { Place::default() } else { frame.place };
                    Frame { place, pc, entry: 0, inlined }
                })
                .collect();
        }
        Format::Pprof => {
            let Goroutine { stack, state, wait_reason, created_by, .. } = kept;
            let Goroutine { truncated, system, count, .. } = *goroutine;
            // The last call of a stack is in a function of its own.
            let mut frames: Vec<Frame> = stack.iter().cloned().collect();
            if let Some(last) = frames.last_mut() {
                last.inlined = false;
            }
            // A location has the address of its last line.
            for at in (0..frames.len().saturating_sub(1)).rev() {
                if frames[at].inlined {
                    frames[at].pc = frames[at + 1].pc;
                }
            }
            let stack = frames.into_iter().map(|frame| Frame { entry: 0, ..frame }).collect();
            kept = Goroutine {
                stack,
                state,
                wait_reason,
                created_by,
                truncated,
                system,
                count,
                ..Goroutine::default()
            };
        }
        Format::Folded => {
            let function =
                |frame: Frame| Place { function: frame.place.function, ..Place::default() };
            let stack: Arc<[Frame]> =
                frames.map(|frame| Frame { place: function(frame), ..Frame::default() }).collect();
            let word = goroutine.wait_reason.clone().unwrap_or_else(|| goroutine.state.clone());
            let state = if stack.is_empty() { word } else { "".into() };
            let truncated = goroutine.truncated && !stack.is_empty();
            kept = Goroutine {
                stack,
                state,
                truncated,
                count: goroutine.count,
                ..Goroutine::default()
            };
        }
        Format::Json | Format::Svg => {}
    }
    kept
}

/// Goroutines alike as one, in an order of their own: forms that count have no other.
fn counted(goroutines: impl IntoIterator<Item = Goroutine>) -> Vec<(String, u64)> {
    let mut counts = std::collections::BTreeMap::new();
    for goroutine in goroutines {
        let count = goroutine.count;
        let key = format!("{:?}", Goroutine { count: 0, ..goroutine });
        *counts.entry(key).or_insert(0) += count;
    }
    counts.into_iter().collect()
}

fn check_round_trip(dump: &Dump) {
    for format in [Format::Text, Format::Json, Format::Pprof, Format::Folded] {
        let bytes = written(format, dump);
        if dump.goroutines.is_empty() && matches!(format, Format::Text | Format::Folded) {
            assert!(matches!(parse(&bytes), Err(ParseError::Empty)));
            continue;
        }
        let read = parse(&bytes).unwrap_or_else(|error| {
            panic!("{format}: {error}:\n{}", String::from_utf8_lossy(&bytes))
        });
        let expected = dump.goroutines.iter().map(|goroutine| carried(format, goroutine));
        match format {
            Format::Json => assert_eq!(read, *dump),
            Format::Text => {
                let expected: Vec<Goroutine> = expected.collect();
                let read: Vec<Goroutine> = read
                    .goroutines
                    .into_iter()
                    .map(|goroutine| Goroutine { system: false, ..goroutine })
                    .collect();
                assert_eq!(read, expected, "{}", String::from_utf8_lossy(&bytes));
            }
            _ => assert_eq!(counted(read.goroutines), counted(expected), "{format}"),
        }
        if format == Format::Pprof {
            assert_eq!((read.pid, &read.go_version), (dump.pid, &dump.go_version));
            assert_eq!(read.taken_at, dump.taken_at);
        }
    }
}

fn place() -> impl Strategy<Value = Place> {
    let functions =
        select(vec!["main.main", "main.(*T[...]).run.func1", "a/b.c", "go.x{ y }", "ä.ö"]);
    let files = select(vec!["", "/src/main.go", "/a b/c:d.go", "_cgo_gotypes.go"]);
    (functions, files, 0..500_u32).prop_map(|(function, file, line)| Place {
        function: function.into(),
        file: file.into(),
        line,
    })
}

fn frame() -> impl Strategy<Value = Frame> {
    let usual = (place(), 1..1000_u64, 1..100_u64, any::<bool>()).prop_map(
        |(place, entry, offset, inlined)| Frame { place, pc: entry + offset, entry, inlined },
    );
    let foreign = (1..u64::MAX).prop_map(|pc| Frame { pc, ..Frame::default() });
    prop_oneof![9 => usual, 1 => foreign]
}

fn goroutine() -> impl Strategy<Value = Goroutine> {
    let state = prop_oneof![
        select(vec!["runnable", "running", "syscall", "preempted", "waiting"])
            .prop_map(|state| (state, None)),
        select(vec!["chan receive", "select (no cases)", "sync.Mutex.Lock", "sleep"])
            .prop_map(|reason| ("waiting", Some(Arc::from(reason)))),
    ];
    let place_with_file = place().prop_map(|place| Place { file: "/a b/c.go".into(), ..place });
    let flags = any::<[bool; 6]>();
    let no_stack = select(vec![None, Some("its thread is not known")]);
    let numbers = (option::of(1..9_u64), option::of(0..999_u32), option::of(1..9_u32));
    let places = (option::of(place_with_file), option::of(place()));
    (state, vec(frame(), 0..6), flags, numbers, no_stack, places).prop_map(
        |((state, wait_reason), frames, flags, numbers, no_stack, (created_by, start))| {
            let [torn, locked_to_thread, truncated, system, sampled, durable] = flags;
            let (parent_goid, wait_seconds, thread) = numbers;
            Goroutine {
                goid: 0,
                parent_goid,
                state: state.into(),
                durable: durable && wait_reason.as_deref() == Some("sleep"),
                wait_reason,
                wait_seconds: wait_seconds.map(f64::from),
                system,
                torn,
                locked_to_thread,
                truncated,
                thread,
                sampled,
                no_stack: no_stack.map(Arc::from),
                created_by,
                start,
                stack: frames.into(),
                count: 1,
            }
        },
    )
}

fn dump() -> impl Strategy<Value = Dump> {
    let goroutines = vec(goroutine(), 0..8).prop_map(|mut goroutines| {
        for (number, goroutine) in goroutines.iter_mut().enumerate() {
            goroutine.goid = number as u64 + 1;
        }
        goroutines
    });
    (goroutines, option::of(1..2_000_000_000_000_i64), any::<u32>()).prop_map(
        |(goroutines, milliseconds, pid)| Dump {
            pid,
            go_version: "go1.26.6".to_owned(),
            taken_at: milliseconds.map(|milliseconds| milliseconds as f64 / 1e3),
            unsampled: None,
            goroutines,
        },
    )
}

/// A valid file with some bytes changed and some cut off.
fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let formats = select(Format::ALL.to_vec());
    let changes = vec((any::<prop::sample::Index>(), any::<u8>()), 0..6);
    (dump(), formats, changes, any::<prop::sample::Index>(), any::<bool>(), any::<bool>()).prop_map(
        |(dump, format, changes, cut, cuts, unpacks)| {
            let mut bytes = written(format, &dump);
            if format == Format::Pprof && unpacks {
                let mut unpacked = Vec::new();
                MultiGzDecoder::new(&*bytes).read_to_end(&mut unpacked).unwrap();
                bytes = unpacked;
            }
            if bytes.is_empty() {
                return bytes;
            }
            for (at, byte) in changes {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            if cuts {
                bytes.truncate(cut.index(bytes.len()));
            }
            bytes
        },
    )
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(dump in dump()) {
        check_round_trip(&dump);
    }

    #[test]
    fn anything_is_read_or_refused(bytes in vec(any::<u8>(), 0..300)) {
        let _ = parse(&bytes);
    }

    #[test]
    fn damaged_files_are_read_or_refused(bytes in damaged()) {
        if let Ok(dump) = parse(&bytes) {
            // What was read can be written again.
            for format in Format::ALL {
                let _ = written(format, &dump);
            }
        }
    }

    #[test]
    fn any_name_is_harmless_in_every_form(name in any::<String>(), more in any::<String>()) {
        let mut dump = samples::hostile();
        let place = Place { function: name.as_str().into(), file: more.as_str().into(), line: 1 };
        dump.goroutines[0].stack = [Frame { place: place.clone(), ..Frame::default() }].into();
        dump.goroutines[0].created_by = Some(place);
        for format in Format::ALL {
            let bytes = written(format, &dump);
            if format != Format::Pprof {
                let text = String::from_utf8(bytes.clone()).unwrap();
                let fine = |c: char| matches!(c, '\n' | '\t' | '\r') || !c.is_control();
                assert!(text.chars().all(fine), "{format}: {text:?}");
            }
            match (format, parse(&bytes)) {
                (Format::Svg, read) => assert!(matches!(read, Err(ParseError::Picture))),
                (Format::Json, read) => assert_eq!(read.unwrap(), dump),
                (_, read) => assert_eq!(read.unwrap().goroutines.len(), 1, "{format}"),
            }
        }
    }
}

#[test]
fn samples_come_back() {
    check_round_trip(&samples::small());
    check_round_trip(&Dump::default());
    for format in Format::ALL {
        match parse(&written(format, &samples::hostile())) {
            Ok(dump) => {
                assert_eq!(dump.goroutines.len(), 1, "{format}");
                assert_eq!(dump.goroutines[0].stack.len(), 12, "{format}");
            }
            Err(error) => assert!(matches!(error, ParseError::Picture), "{format}: {error}"),
        }
    }
}

const GO_TEXT: &str = "\
panic: assignment to entry in nil map [recovered, repanicked]

goroutine 1 gp=0xc000002380 m=0 mp=0x5afc40 [running, locked to thread]:
panic({0x46d8e0?, 0x49a2b8?})
\t/go/src/runtime/panic.go:783 +0x132
main.set(...)
\t/src/a b/main.go:12
main.(*Map[...]).put(0xc000012345, {0x1, 0x2}, 0x3?)
\t/src/a b/main.go:20 +0x1d fp=0xc00009cf50 sp=0xc00009cf10 pc=0x47e95d
...23 frames elided...
main.main()
\t/src/a b/main.go:7 +0x25

goroutine 7 [sync.Mutex.Lock (leaked), 12 minutes, synctest bubble 3] {\"who are you\": me}:
sync.(*Mutex).Lock(...)
\t/go/src/sync/mutex.go:46
created by main.(*Server).serve.func1 in goroutine 1
\t/src/main.go:44 +0x8a

goroutine 2 [force gc (idle)]:
runtime.gopark(0x0?, 0x0?, 0x0?, 0x0?, 0x0?)
\t/go/src/runtime/proc.go:460 +0xce
runtime.goexit({})
\t/go/src/runtime/asm_amd64.s:1693 +0x1
created by runtime.init.7 in goroutine 1
\t/go/src/runtime/proc.go:361 +0x1a

goroutine 9 [running]:
\tgoroutine running on other thread; stack unavailable
created by main.main
\t/src/main.go:9 +0x1
exit status 2
FAIL\texample.org/shop\t0.010s
";

#[test]
fn what_go_prints() {
    let dump = parse(GO_TEXT.as_bytes()).unwrap();
    let [first, second, third, fourth] = &dump.goroutines[..] else { panic!("{dump:#?}") };
    assert_eq!((first.goid, &*first.state, first.locked_to_thread), (1, "running", true));
    let functions: Vec<&str> = first.stack.iter().map(|frame| &*frame.place.function).collect();
    assert_eq!(
        functions,
        ["panic", "main.set", "main.(*Map[...]).put", "...23 frames elided...", "main.main"]
    );
    let put = &first.stack[2];
    assert_eq!((&*put.place.file, put.place.line), ("/src/a b/main.go", 20));
    assert_eq!((put.pc, put.entry, put.inlined), (0x47_e95d, 0x47_e95d - 0x1d, false));
    assert!(first.stack[1].inlined && first.created_by.is_none() && !first.system);
    assert_eq!(
        (&*second.state, second.wait_reason.as_deref()),
        ("leaked", Some("sync.Mutex.Lock"))
    );
    assert_eq!((second.wait_seconds, second.parent_goid), (Some(720.0), Some(1)));
    let creator = second.created_by.as_ref().unwrap();
    assert_eq!((&*creator.function, creator.line), ("main.(*Server).serve.func1", 44));
    assert!(third.system);
    assert!(fourth.stack.is_empty() && fourth.parent_goid.is_none() && !fourth.system);
    assert_eq!(&*fourth.created_by.as_ref().unwrap().function, "main.main");
    // Line ends of another system, and a log around it.
    let windows = format!("12:00 starting\r\n{}", GO_TEXT.replace('\n', "\r\n"));
    assert_eq!(parse(windows.as_bytes()).unwrap(), dump);
}

#[test]
fn a_text_that_is_cut_off_is_read_as_far_as_it_goes() {
    let whole = parse(GO_TEXT.as_bytes()).unwrap();
    let until = GO_TEXT.find("goroutine 2 [").unwrap();
    for end in 0..until {
        match parse(&GO_TEXT.as_bytes()[..end]) {
            Ok(dump) => {
                let complete = dump.goroutines.len() - 1;
                assert_eq!(dump.goroutines[..complete], whole.goroutines[..complete], "{end}");
            }
            Err(error) => {
                let begins = end < GO_TEXT.find("]:\n").unwrap() + 3;
                let in_place = matches!(error, ParseError::Line { .. });
                assert!(begins || in_place, "{end}: {error}");
            }
        }
    }
}

#[test]
fn what_is_wrong_is_said_with_its_line() {
    let line = |text: &str| match parse(text.as_bytes()) {
        Err(ParseError::Line { line, why }) => (line, why),
        other => panic!("{other:?}"),
    };
    let good = "goroutine 1 [running]:\nmain.main()\n\t/src/main.go:7 +0x25\n\n";
    assert_eq!(
        line(&format!("{good}{good}")),
        (5, "this goroutine was there before: is it one dump only?")
    );
    let (number, why) = line("goroutine 1 [running]:\nmain.f()\nmain.main()\n\t/m.go:7\n");
    assert_eq!((number, why), (2, "a function without its place behind it"));
    let (number, why) =
        line("goroutine 1 [running]:\nmain.f()\n\tnowhere\nmain.main()\n\t/m.go:7\n");
    assert!(number == 3 && why.contains("/src/main.go:12"), "{number}: {why}");
    assert_eq!(line("goroutine 1 [running]:\n\t/m.go:7\n").0, 2);
    assert_eq!(line("a;b 3\nnonsense\n").0, 2);
    assert_eq!(line("goroutine profile: total 1\nx @ 0x1\n").0, 2);
    assert_eq!(line("goroutine profile: total 1\n\n#\t0x1\n").0, 3);
    let error = parse(b"{\"pid\": 1,\n \"goroutines\": [{\"goid\": \"x\"}]}").unwrap_err();
    assert!(error.to_string().contains("line 2 column"), "{error}");
    let error = parse(b"{\"a\": 1}").unwrap_err();
    assert!(error.to_string().contains("goroutines"), "{error}");
}

#[test]
fn what_is_no_dump_is_refused() {
    assert!(matches!(parse(b""), Err(ParseError::Empty)));
    assert!(matches!(parse(b" \n"), Err(ParseError::Empty)));
    for other in [&b"hello"[..], b"#!/bin/sh\necho 1\n", b"[1]", "ä".as_bytes()] {
        assert!(matches!(parse(other), Err(ParseError::Unknown)), "{other:?}");
    }
    assert!(matches!(
        parse(b"\x7fELF\x02\x01\x01\0\0\0"),
        Err(ParseError::Byte { .. } | ParseError::Unknown)
    ));
    assert!(matches!(parse(b"\x1f\x8b junk"), Err(ParseError::Packed(_))));
    let packed = |bytes: &[u8]| {
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        packed.write_all(bytes).unwrap();
        packed.finish().unwrap()
    };
    // A text may be packed as well, but not twice.
    assert_eq!(parse(&packed(GO_TEXT.as_bytes())).unwrap().goroutines.len(), 4);
    assert!(parse(&packed(&packed(GO_TEXT.as_bytes()))).is_err());
    let bomb = packed(&vec![b' '; limits::UNPACKED + 1]);
    assert!(bomb.len() < 4 << 20);
    assert!(matches!(parse(&bomb), Err(ParseError::TooLarge { mib: 256 })));
}

#[test]
fn too_much_is_refused() {
    let profile = "goroutine profile: total 2\n9999999999999 @ 0x1\n\n";
    assert!(matches!(parse(profile.as_bytes()), Err(ParseError::TooMany { .. })));
    let mut deep = "goroutine 1 [running]:\n".to_owned();
    for _ in 0..=limits::FRAMES {
        deep.push_str("f()\n\t/m.go:7\n");
    }
    let error = parse(deep.as_bytes()).unwrap_err();
    assert!(error.to_string().contains("100000 frames in one stack"), "{error}");
    let json =
        format!("{{\"goroutines\":[{{\"goid\":1,\"stack\":[],\"count\":{}}}]}}", limits::COUNT + 1);
    assert!(matches!(parse(json.as_bytes()), Err(ParseError::TooMany { .. })));
}

const GO_SUMMARY: &str = "\
goroutine profile: total 13
12 @ 0x47e0ae 0x4101c5 0x49fca5 0x483961
# labels: {\"who\":\"me\"}
#\t0x49fca4\tmain.wait+0x24\t\t/src/main.go:12
#\t0x49fcb0\tmain.run+0x30\t\t/src/a b/main.go:20

1 @ 0x44a1a5
#\t0x44a1a4\truntime.main+0x1\t/go/proc.go:1
";

#[test]
fn gos_profile_as_text() {
    let dump = parse(GO_SUMMARY.as_bytes()).unwrap();
    let [first, second] = &dump.goroutines[..] else { panic!("{dump:#?}") };
    assert_eq!((first.count, second.count), (12, 1));
    let [wait, run] = &first.stack[..] else { panic!("{first:#?}") };
    assert_eq!(*wait.place.function, *"main.wait");
    assert_eq!((wait.pc, wait.entry, wait.inlined), (0x49_fca5, 0x49_fc80, true));
    assert_eq!((&*run.place.file, run.place.line, run.inlined), ("/src/a b/main.go", 20, false));
}
