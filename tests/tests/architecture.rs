//! The rules of the house that can be read off the sources.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};
use goroscope_tests::workspace;

/// The stages in the order that data passes through them; those of one rank do not know each
/// other. `run` and `cli` wire them; `doctor` stands beside them and knows none.
const STAGES: [(&str, u32); 16] = [
    ("doctor", 0),
    ("discover", 0),
    ("inspect", 1),
    ("probe", 2),
    ("read", 2),
    ("model", 3),
    ("judge", 4),
    ("dumps", 4),
    ("push", 4),
    ("serve", 5),
    ("names", 5),
    ("notify", 5),
    ("otlp", 5),
    ("show", 5),
    ("run", 6),
    ("cli", 7),
];

/// Stages that are pure, and what they must not know.
const PURE: [&str; 3] = ["model", "judge", "dumps"];
const FOREIGN_TO_PURE: [&str; 11] = [
    "aya",
    "gimli",
    "object",
    "tokio",
    "prometheus_client",
    "prometheus",
    "axum",
    "hyper",
    "rustls",
    "procfs",
    "rustix",
];

/// Crates, and the files of the agent that touch them, so that they can be exchanged there.
const TOUCHED_BY: [(&str, &[&str]); 2] = [
    ("object", &["agent/src/inspect/elf.rs"]),
    // Lines, and types.
    ("gimli", &["agent/src/inspect/dwarf.rs", "agent/src/read/layout/dwarf.rs"]),
];

/// Files with `unsafe`, each with the reason; the kernel programs are nothing else.
const UNSAFE: [(&str, &str); 13] = [
    ("agent/build.rs", "sets its own environment before it starts a thread"),
    ("agent/src/discover/shared_memory.rs", "fcntl and ioctl without a safe wrapper"),
    ("agent/src/doctor/trial.rs", "bpf(2) and perf_event_open(2) without safe wrappers"),
    ("agent/src/probe/calibrate.rs", "calls the code that it measures a probe on"),
    ("agent/src/probe/events.rs", "takes records from the kernel's ring buffer"),
    ("agent/src/probe/followed.rs", "reads records that the kernel wrote"),
    ("agent/src/probe/lease.rs", "fcntl without a safe wrapper"),
    ("agent/src/read/process_memory.rs", "process_vm_readv(2) without a safe wrapper"),
    ("agent/src/run/handed_over.rs", "takes sockets and variables that the starter left for it"),
    ("tests/harness/bpf.rs", "bpf(2) without a safe wrapper"),
    ("tests/harness/halted.rs", "ptrace(2) and waitpid(2) without safe wrappers"),
    ("tests/harness/seccomp.rs", "prctl(2) between fork and exec without a safe wrapper"),
    ("xtask/src/interrupt.rs", "signal(2) without a safe wrapper"),
];

/// Longest file, in lines: one concept to a file.
const LONGEST: usize = 500;

/// A source file: its path within the workspace, its text, and its tokens without comments and
/// literals.
struct Source {
    path: String,
    text: String,
    tokens: Vec<String>,
}

fn sources(folder: &str) -> Result<Vec<Source>> {
    let mut files = Vec::new();
    collect(&workspace::root().join(folder), &mut files)?;
    files.sort();
    ensure!(!files.is_empty(), "no sources in {folder}");
    files.into_iter().map(|path| read(&path)).collect()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("listing {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<Source> {
    let text = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    let path = path.strip_prefix(workspace::root())?.to_string_lossy().into_owned();
    let tokens = tokens(&text);
    Ok(Source { path, text, tokens })
}

/// Identifiers, `::` and single characters; comments and literals left out.
fn tokens(text: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let skip = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if let Some(length) = literal(rest) {
            length
        } else if rest.starts_with("::") {
            tokens.push("::".to_owned());
            2
        } else if first.is_alphanumeric() || first == '_' {
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            let (word, _) = rest.split_at(end);
            tokens.push(word.to_owned());
            end
        } else {
            if !first.is_whitespace() {
                tokens.push(first.to_string());
            }
            first.len_utf8()
        };
        rest = rest.split_at(skip).1;
    }
    tokens
}

/// Length of the string or character literal at the start, if there is one.
fn literal(text: &str) -> Option<usize> {
    let prefix = ["b", "c", ""].into_iter().find(|prefix| {
        text.strip_prefix(prefix).is_some_and(|rest| rest.starts_with(['"', '\'', 'r']))
    })?;
    let rest = text.strip_prefix(prefix)?;
    if let Some(raw) = rest.strip_prefix('r') {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        let body = raw.split_at(hashes).1.strip_prefix('"')?;
        let end = format!("\"{}", "#".repeat(hashes));
        return Some(text.len() - body.len() + body.find(&end)? + end.len());
    }
    let quote = rest.chars().next()?;
    let mut characters = rest.char_indices().skip(1);
    let mut inside = 0;
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' => drop(characters.next()),
            c if c == quote => return Some(prefix.len() + at + 1),
            _ => {}
        }
        inside += 1;
        // A lifetime is no literal. (An escape like `\u{7f}` is at most this long.)
        if quote == '\'' && inside > 1 && !rest.starts_with("'\\") {
            return None;
        }
    }
    None
}

/// Stages of the agent that the tokens name through `crate::…`, or through `super::…` where the
/// stage itself has no such module.
fn stages_named(source: &Source, own: &str) -> BTreeSet<String> {
    let mut named = BTreeSet::new();
    let tokens = &source.tokens;
    let token = |index: usize| tokens.get(index).map_or("", String::as_str);
    let inner = |name: &str| {
        let folder = workspace::root().join("agent/src").join(own);
        folder.join(name).exists() || folder.join(format!("{name}.rs")).exists()
    };
    for index in 0..tokens.len() {
        let from_root = token(index) == "crate" && token(index + 1) == "::";
        let from_above = token(index) == "super" && token(index + 1) == "::";
        if !from_root && !from_above {
            continue;
        }
        let mut found = Vec::new();
        if token(index + 2) == "{" {
            // The first name of each branch of the group.
            let mut depth = 0;
            let mut at = index + 2;
            loop {
                match token(at) {
                    "{" => depth += 1,
                    "}" => depth -= 1,
                    "" => break,
                    _ => {}
                }
                if depth == 0 {
                    break;
                }
                if depth == 1 && (token(at) == "{" || token(at) == ",") {
                    found.push(token(at + 1).to_owned());
                }
                at += 1;
            }
        } else {
            found.push(token(index + 2).to_owned());
        }
        named.extend(found.into_iter().filter(|name| {
            STAGES.iter().any(|(stage, _)| stage == name) && (from_root || !inner(name))
        }));
    }
    named
}

/// Whether the tokens name this crate at the start of a path.
fn names_crate(tokens: &[String], name: &str) -> bool {
    tokens.iter().enumerate().any(|(index, token)| {
        let before = index.checked_sub(1).and_then(|index| tokens.get(index));
        let path = tokens.get(index + 1).is_some_and(|next| next == "::");
        let used = before.is_some_and(|before| before == "use" || before == "crate");
        token == name && (path || used) && before.is_none_or(|before| before != "::")
    })
}

fn stage_of(path: &str) -> Option<(&str, u32)> {
    let first = path.strip_prefix("agent/src/")?.split('/').next()?;
    STAGES.into_iter().find(|(stage, _)| *stage == first)
}

#[test]
fn a_stage_knows_earlier_stages_only() -> Result<()> {
    for source in sources("agent/src")? {
        let Some((own, rank)) = stage_of(&source.path) else { continue };
        for other in stages_named(&source, own) {
            let earlier = STAGES
                .iter()
                .any(|(stage, other_rank)| *stage == other && (*other_rank < rank || other == own));
            ensure!(earlier, "{} is of the stage {own} and names {other}", source.path);
        }
    }
    Ok(())
}

#[test]
fn every_folder_is_a_stage() -> Result<()> {
    for source in sources("agent/src")? {
        let top = ["agent/src/lib.rs", "agent/src/main.rs"].contains(&source.path.as_str());
        ensure!(top || stage_of(&source.path).is_some(), "{} is in no stage", source.path);
    }
    Ok(())
}

#[test]
fn the_model_the_judge_and_dumps_are_pure() -> Result<()> {
    for source in sources("agent/src")? {
        if !stage_of(&source.path).is_some_and(|(stage, _)| PURE.contains(&stage)) {
            continue;
        }
        for foreign in FOREIGN_TO_PURE {
            ensure!(!names_crate(&source.tokens, foreign), "{} names {foreign}", source.path);
        }
        let joined = source.tokens.join(" ");
        for io in ["std :: fs", "std :: net", "std :: process", "SystemTime", "Instant"] {
            ensure!(!joined.contains(io), "{} does I/O or asks the clock: {io}", source.path);
        }
    }
    Ok(())
}

#[test]
fn object_and_gimli_are_touched_where_it_is_known() -> Result<()> {
    let sources = sources("agent/src")?;
    for (name, files) in TOUCHED_BY {
        let touching: Vec<&str> = sources
            .iter()
            .filter(|source| names_crate(&source.tokens, name))
            .map(|source| source.path.as_str())
            .collect();
        ensure!(touching == files, "{name} is touched by {touching:?}");
    }
    Ok(())
}

#[test]
fn a_probe_has_the_same_name_on_both_sides() -> Result<()> {
    let kinds =
        ["uprobe", "btf_tracepoint", "raw_tracepoint", "tracepoint", "kprobe", "fentry", "iter"];
    let mut programs = 0;
    for source in sources("ebpf-probes/src")? {
        let program = source.tokens.windows(3).any(|three| {
            matches!(three, [hash, open, kind] if hash == "#" && open == "[" && kinds.contains(&kind.as_str()))
        });
        if !program {
            continue;
        }
        programs += 1;
        let name = source.path.rsplit('/').next().unwrap_or_default();
        let other = workspace::root().join("agent/src/probe").join(name);
        ensure!(other.is_file(), "{} has no {}", source.path, other.display());
    }
    ensure!(programs >= 3, "only {programs} files with kernel programs were recognised");
    Ok(())
}

#[test]
fn every_module_says_what_it_is_for() -> Result<()> {
    for folder in ["agent", "ebpf-probes", "xtask", "tests"] {
        for source in sources(folder)? {
            ensure!(source.text.starts_with("//!"), "{} begins without `//!`", source.path);
        }
    }
    Ok(())
}

#[test]
fn no_file_has_many_jobs() -> Result<()> {
    for folder in ["agent", "ebpf-probes", "xtask", "tests"] {
        for source in sources(folder)? {
            let lines = source.text.lines().count();
            ensure!(lines <= LONGEST, "{} has {lines} lines, more than {LONGEST}", source.path);
        }
    }
    Ok(())
}

#[test]
fn unsafe_is_where_it_is_known_to_be() -> Result<()> {
    let mut found = BTreeSet::new();
    for folder in ["agent", "xtask", "tests"] {
        let with = sources(folder)?
            .into_iter()
            .filter(|source| source.tokens.iter().any(|token| token == "unsafe"));
        found.extend(with.map(|source| source.path));
    }
    let known: BTreeSet<String> = UNSAFE.iter().map(|(path, _)| (*path).to_owned()).collect();
    ensure!(found == known, "unsafe is in {found:#?}, known are {known:#?}");
    Ok(())
}

#[test]
fn the_scanner_sees_what_it_must() {
    let scanned = tokens("use a::b; // c\nlet d = \"e\"; let f = 'g'; fn h<'i>() {} r#\"j\"k\"#;");
    for seen in ["a", "b", "d", "f", "h", "i"] {
        assert!(scanned.iter().any(|token| token == seen), "{seen} in {scanned:?}");
    }
    for hidden in ["c", "e", "g", "j", "k"] {
        assert!(!scanned.iter().any(|token| token == hidden), "{hidden} in {scanned:?}");
    }
    let source =
        |text: &str| Source { path: String::new(), text: String::new(), tokens: tokens(text) };
    let named = |text: &str| stages_named(&source(text), "model").into_iter().collect::<Vec<_>>();
    assert_eq!(named("use crate::serve::x;"), ["serve"]);
    assert_eq!(named("use crate::{discover::{a, probe}, run};"), ["discover", "run"]);
    assert_eq!(named("super::super::cli::main()"), ["cli"]);
    assert!(named("use super::process::Process;").is_empty());
    assert!(names_crate(&tokens("use aya::Ebpf;"), "aya"));
    assert!(!names_crate(&tokens("use crate::object::X;"), "object"));
}
