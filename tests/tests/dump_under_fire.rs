//! Dumps of a program in which nothing stands still: no stack that is shown is one that the program
//! cannot have. Its functions are named by the way that leads to them, and each call must stand on
//! a line of the source that makes it.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::PathBuf,
};

use anyhow::{Context as _, Result, ensure};
use goroscope_tests::{
    fixture::{self, Mode},
    requires, skip_unless,
    speaker::Speaker,
    stacked::{self, Goroutine, Place},
    toolchain::{Go, NEWEST, VERSIONS},
};

/// Calls whose line does not name who is called, by what stands there and who may be.
const THROUGH_VALUES: [(&str, &[&str]); 8] = [
    ("others[w.next()%uint64(len(others))](w)", &["main.(*ways).pull"]),
    ("fn(fd, p)", &["syscall.Read", "syscall.Write"]),
    ("next()", &["iter.Pull[...].func2"]),
    ("stop()", &["iter.Pull[...].func3"]),
    ("seq(yield)", &["main.(*ways).some"]),
    ("yield(", &["iter.Pull[...].func1.1"]),
    ("f(c)", &["iter.Pull[...].func1"]),
    // What a goroutine begins with is not called by it.
    ("// NOP", &["runtime.corostart", "runtime.gcBgMarkWorker"]),
];

/// Packages that the runtime calls into, each with the dot that its functions' names go on with. The
/// runtime's own functions are left out of dumps, by Go and by us, so these may stand at any line that
/// leads into it: where a goroutine was sampled while it ran.
fn below_the_runtime(go: &Go) -> Result<Vec<String>> {
    let output = go.command()?.args(["list", "-deps", "runtime"]).output()?;
    let packages = String::from_utf8(output.stdout)?;
    let below = packages.lines().filter(|package| *package != "runtime");
    let below: Vec<_> = below.map(|package| format!("{package}.")).collect();
    ensure!(below.iter().any(|package| package == "internal/bytealg."), "runtime needs {below:?}");
    Ok(below)
}

/// What the runtime itself calls where a goroutine that allocates has to help the collector, or starts
/// it (`gcAssistAlloc`, `gcStart`): at any line that leads into the runtime. What lies in between is
/// left out of dumps, by Go and by us; this is shown, because programs may call it too.
const YIELD: &str = "runtime.Gosched";

/// Files of the source, by path.
#[derive(Default)]
struct Sources(HashMap<String, Vec<String>>);

/// Where a file of the source is. A fixture is built once for all checkouts that have the same
/// sources, so it may name another one, which may be gone.
fn found(file: &str) -> PathBuf {
    match file.split_once("/tests/fixtures/") {
        Some((_, inner)) => fixture::sources().join(inner),
        None => PathBuf::from(file),
    }
}

impl Sources {
    fn line(&mut self, place: &Place) -> Result<&str> {
        if !self.0.contains_key(&place.file) {
            let path = found(&place.file);
            let text = fs::read_to_string(path).with_context(|| format!("{place:?}"))?;
            let lines = text.lines().map(str::to_owned).collect();
            self.0.insert(place.file.clone(), lines);
        }
        let number = usize::try_from(place.line)?.checked_sub(1).context("no line")?;
        let line = self.0.get(&place.file).and_then(|lines| lines.get(number));
        Ok(line.with_context(|| format!("{place:?} is behind the end"))?)
    }

    /// Whether a call may stand at a place, of a function.
    fn calls(&mut self, caller: &Place, callee: &Place) -> Result<bool> {
        let line = self.line(caller)?;
        let callee = callee.function.as_str();
        let plain = callee.replace("[...]", "");
        let short = plain.rsplit(['.', '/']).next().unwrap_or_default();
        let mut words = line.split(|c: char| !c.is_alphanumeric() && c != '_');
        let through =
            |(text, callees): &(&str, &[&str])| line.contains(text) && callees.contains(&callee);
        // What is deferred is called where the function ends, or returns: a closure of its own, or
        // the one method that is deferred.
        let own = callee.strip_prefix(&caller.function).is_some_and(|rest| rest.starts_with('.'));
        let deferred = own
            || (callee == "sync.(*WaitGroup).Done"
                && caller.function == "main.(*ways).spawn.func1");
        Ok(deferred || words.any(|word| word == short) || THROUGH_VALUES.iter().any(through))
    }
}

/// Whether a goroutine has not begun yet: it stands at the function that the compiler made of a `go`
/// statement with arguments. Go leaves such functions out, and shows all where that leaves nothing.
fn has_not_begun(goroutine: &Goroutine, sources: &mut Sources) -> Result<bool> {
    let (Some(by), [made, goexit]) = (&goroutine.created_by, goroutine.stack.as_slice()) else {
        return Ok(false);
    };
    // `main.main.func2` up to Go 1.21, `main.main.gowrap1` since.
    let rest = made.function.strip_prefix(&by.function).and_then(|rest| rest.strip_prefix('.'));
    Ok(goroutine.state == "runnable"
        && goexit.function == "runtime.goexit"
        && rest.is_some_and(|rest| rest.starts_with("func") || rest.starts_with("gowrap"))
        && (&made.file, made.line) == (&by.file, by.line)
        && sources.line(made)?.contains("go work("))
}

/// What is impossible about a goroutine's stack.
fn impossible(
    goroutine: &Goroutine,
    sources: &mut Sources,
    below: &[String],
) -> Result<Option<String>> {
    let stack = &goroutine.stack;
    if has_not_begun(goroutine, sources)? {
        return Ok(None);
    }
    for (depth, pair) in stack.windows(2).enumerate() {
        let [callee, caller] = pair else { continue };
        let is_below = below.iter().any(|package| callee.function.starts_with(package));
        let yields = depth == 0 && callee.function == YIELD;
        let by_the_runtime = yields || (is_below && goroutine.state == "running");
        if !by_the_runtime && !sources.calls(caller, callee)? {
            return Ok(Some(format!("{} is not called at {caller:?}", callee.function)));
        }
        // The tree: each is called by the one whose name is a letter shorter.
        if let Some(way) = callee.function.strip_prefix("main.n") {
            let above = caller.function.strip_prefix("main.n");
            let fits = match way.char_indices().next_back() {
                Some((last, _)) => above == way.get(..last),
                None => caller.function == "main.work",
            };
            if !fits {
                return Ok(Some(format!("{} under {}", callee.function, caller.function)));
            }
        }
    }
    let by_main = goroutine.created_by.as_ref().is_some_and(|by| by.function == "main.main");
    let outermost = stack.last().map(|last| last.function.as_str());
    if by_main && !matches!(outermost, None | Some("main.work" | "main.main.func1")) {
        return Ok(Some(format!("it ends with {outermost:?}")));
    }
    Ok(goroutine.truncated.then(|| "it is truncated".to_owned()))
}

/// All that a dump tells of a goroutine.
fn told(goroutine: &Goroutine) -> String {
    let Goroutine { goid, state, wait_reason, torn, truncated, thread, created_by, .. } = goroutine;
    let mut text = format!(
        "goroutine {goid}, {state}, waits for {wait_reason:?}, torn {torn}, truncated {truncated}, \
         on thread {thread:?}, created by {created_by:?}, {} calls:",
        goroutine.stack.len()
    );
    for Place { function, file, line } in &goroutine.stack {
        text += &format!("\n  {function} at {file}:{line}");
    }
    text
}

fn fire(version: &'static str, dumps: usize) -> Result<()> {
    let go = Go::find(version)?;
    let below = below_the_runtime(&go)?;
    let program = fixture::build("churning", &go, Mode::Normal)?;
    let program = Speaker::start(&program, &["40"])?;
    let mut sources = Sources::default();
    let mut seen: BTreeMap<String, u64> = BTreeMap::new();
    let mut torn = 0_u64;
    let mut stacks = 0_u64;
    let mut sampled = 0_u64;
    for number in 0..dumps {
        let dump = stacked::dump(program.pid())?;
        let user = dump.goroutines.iter().filter(|goroutine| !goroutine.system);
        let mut count = 0;
        for goroutine in user {
            count += 1;
            *seen.entry(goroutine.state.clone()).or_default() += 1;
            torn += u64::from(goroutine.torn);
            if goroutine.state == "running" {
                sampled += u64::from(!goroutine.stack.is_empty());
            } else {
                stacks += u64::from(!goroutine.stack.is_empty());
            }
            if let Some(why) = impossible(goroutine, &mut sources, &below)? {
                anyhow::bail!("go{version}, dump {number}: {why}\n{}", told(goroutine));
            }
        }
        ensure!(count > 40, "dump {number} has {count} goroutines");
    }
    println!(
        "go{version}: {dumps} dumps, {stacks} stacks, {sampled} sampled, {torn} torn, {seen:?}"
    );
    // A dump that leaves out what it cannot be sure of must not leave out everything.
    let standing: u64 = seen.iter().filter(|(state, _)| *state != "running").map(|(_, n)| n).sum();
    ensure!(stacks * 10 > standing * 9, "{stacks} stacks of {standing} goroutines, {torn} torn");
    ensure!(sampled > 0, "no goroutine that runs has a stack");
    Ok(())
}

#[test]
fn a_thousand_dumps_show_no_impossible_stack() -> Result<()> {
    let needs = requires::root().and_then(|()| requires::go(NEWEST));
    skip_unless!("a_thousand_dumps_show_no_impossible_stack", needs);
    fire(NEWEST, 1000)
}

#[test]
fn nor_do_those_of_other_releases() -> Result<()> {
    for version in VERSIONS.into_iter().filter(|version| *version != NEWEST) {
        let needs = requires::root().and_then(|()| requires::go(version));
        skip_unless!("nor_do_those_of_other_releases", needs);
        fire(version, 100)?;
    }
    Ok(())
}
