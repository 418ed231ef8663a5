//! The compiled kernel objects keep the rules that keep hosts alive.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_sign_loss,
    clippy::cast_possible_wrap,
    reason = "a test of an object that we built: what is not as expected must fail"
)]

use std::collections::BTreeMap;

use object::{
    Object as _, ObjectSection as _, ObjectSymbol as _, RelocationTarget, SectionKind, SymbolKind,
};

const OBJECT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/goroscope-probes"));
const TRACER: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/goroscope-tracer"));

/// Linux 6.13 and later give kprobe-type programs whose call chain has this much stack a private
/// stack per CPU, although uprobe programs can be preempted there: `BPF_PRIV_STACK_MIN_SIZE`,
/// <https://github.com/torvalds/linux/blob/v6.13/kernel/bpf/verifier.c>.
const PRIVATE_STACK_FROM: u64 = 64;

/// One function: its own stack, and which functions it calls.
#[derive(Debug, Default)]
struct Function {
    section: String,
    stack: u64,
    calls: Vec<String>,
}

/// The functions of a section, by their start.
fn starts(file: &object::File<'_>, section: Option<object::SectionIndex>) -> Vec<(u64, String)> {
    let mut starts: Vec<_> = file
        .symbols()
        .filter(|symbol| symbol.section_index() == section && symbol.kind() == SymbolKind::Text)
        .map(|symbol| (symbol.address(), symbol.name().unwrap().to_owned()))
        .collect();
    starts.sort();
    starts
}

/// The function that holds an address.
fn holder(starts: &[(u64, String)], at: u64) -> String {
    starts.iter().rfind(|(start, _)| *start <= at).unwrap().1.clone()
}

/// Bytes of the frame that one instruction reaches; `frame` is the register that was set to the
/// frame's address by the instruction before.
fn reach(instruction: &[u8], frame: &mut Option<u8>) -> u64 {
    let (opcode, dst, src) = (instruction[0], instruction[1] & 15, instruction[1] >> 4);
    let offset = i16::from_le_bytes([instruction[2], instruction[3]]);
    let immediate = i32::from_le_bytes(instruction[4..8].try_into().unwrap());
    let below = |bytes: i64| u64::try_from(-bytes).unwrap_or(0);
    // Loads (class LDX) from and stores (classes ST, STX) to the frame.
    let class = opcode & 7;
    if (class == 1 && src == 10) || (matches!(class, 2 | 3) && dst == 10) {
        return below(offset.into());
    }
    // `rX = r10`, then `rX += N`: an address in the frame.
    if opcode == 0xbf && src == 10 {
        *frame = Some(dst);
    } else if opcode == 0x07 && *frame == Some(dst) {
        return below(immediate.into());
    }
    0
}

/// All functions of an object, by name.
fn functions(object: &[u8]) -> BTreeMap<String, Function> {
    let file = object::File::parse(object).unwrap();
    let text = starts(&file, file.section_by_name(".text").map(|text| text.index()));
    let mut found: BTreeMap<String, Function> = BTreeMap::new();
    for section in file.sections().filter(|section| section.kind() == SectionKind::Text) {
        let here = starts(&file, Some(section.index()));
        let relocations: BTreeMap<u64, _> = section.relocations().collect();
        let mut frame = None;
        for (index, instruction) in section.data().unwrap().chunks_exact(8).enumerate() {
            let at = index as u64 * 8;
            let function = found.entry(holder(&here, at)).or_default();
            function.section = section.name().unwrap().to_owned();
            function.stack = function.stack.max(reach(instruction, &mut frame));
            // A call within the object: opcode CALL, source register 1.
            if instruction[0] != 0x85 || instruction[1] >> 4 != 1 {
                continue;
            }
            let immediate = i64::from(i32::from_le_bytes(instruction[4..8].try_into().unwrap()));
            let callee = match relocations.get(&at).map(object::Relocation::target) {
                Some(RelocationTarget::Symbol(symbol)) => {
                    let symbol = file.symbol_by_index(symbol).unwrap();
                    if symbol.kind() == SymbolKind::Section {
                        holder(&text, ((immediate + 1) * 8) as u64)
                    } else {
                        symbol.name().unwrap().to_owned()
                    }
                }
                _ => holder(&here, (at as i64 + 8 + immediate * 8) as u64),
            };
            function.calls.push(callee);
        }
    }
    found
}

/// Stack of the deepest chain of calls, as the verifier counts it with a JIT: each frame rounded
/// up to 16 bytes.
fn deepest(functions: &BTreeMap<String, Function>, name: &str) -> u64 {
    let function = &functions[name];
    let own = function.stack.max(1).next_multiple_of(16);
    own + function.calls.iter().map(|callee| deepest(functions, callee)).max().unwrap_or(0)
}

#[test]
fn uprobe_programs_stay_below_the_private_stack() {
    let counting = ["gdestroy", "gdestroy_sleepable", "newproc1", "newproc1_sleepable"];
    for (object, expected) in [(OBJECT, &counting[..]), (TRACER, &["casgstatus"])] {
        let functions = functions(object);
        let mut programs: Vec<&String> = functions
            .iter()
            .filter(|(_, function)| function.section.starts_with("uprobe"))
            .map(|(name, _)| name)
            .collect();
        programs.sort();
        assert_eq!(programs, expected);
        for name in programs {
            let stack = deepest(&functions, name);
            assert!(stack >= 16, "{name}: {stack} bytes: the count is not right");
            assert!(stack < PRIVATE_STACK_FROM, "{name} takes {stack} bytes: {functions:#?}");
        }
    }
}

#[test]
fn all_counters_are_added_to_atomically() {
    // `lock *(u64 *)(dst + off) += src` is opcode 0xdb.
    let sections = [
        (OBJECT, "uprobe", 6),
        (OBJECT, "uprobe.s", 6),
        (OBJECT, "tp_btf/sched_switch", 3),
        (TRACER, "uprobe", 1),
        (TRACER, "tp_btf/sched_switch", 1),
        (TRACER, "tp_btf/sched_wakeup", 1),
    ];
    for (object, section, least) in sections {
        let file = object::File::parse(object).unwrap();
        let code = file.section_by_name(section).unwrap().data().unwrap();
        let adds = code.chunks_exact(8).filter(|instruction| instruction[0] == 0xdb).count();
        assert!(adds >= least, "{section} has {adds} atomic adds");
    }
}
