//! A Go program made by hand: function table, module data, build information, symbols and debug
//! information of a program of five functions.

use crate::{
    debug_info,
    elf::{BASE, Image, Machine},
    function_table::{self, FunctionTable},
};

/// Bytes of each function.
pub const FUNCTION: u64 = 64;
/// The functions, the first those that the probes are for.
pub const FUNCTIONS: [&str; 5] = [
    "runtime.newproc1",
    "runtime.gdestroy",
    "runtime.goexit0",
    "main.main",
    "main.f[go.shape.int].func1",
];
/// The variables that have symbols.
const VARIABLES: [&str; 4] =
    ["runtime.allglen", "runtime.allgptr", "runtime.allp", "runtime.sched"];

/// How a program is built.
#[derive(Clone, Copy, Debug)]
pub struct Build {
    /// Minor number of the release.
    pub minor: u8,
    pub machine: Machine,
    pub pie: bool,
    /// It has a table of sections; always so where it has debug information.
    pub sections: bool,
    /// The version of its debug information, and whether that is compressed.
    pub dwarf: Option<(u16, bool)>,
}

const fn build(minor: u8, machine: Machine, pie: bool, sections: bool) -> Build {
    Build { minor, machine, pie, sections, dwarf: None }
}

/// Builds without debug information.
pub const PLAIN: [Build; 7] = [
    build(19, Machine::Amd64, false, true),
    build(21, Machine::Amd64, true, true),
    build(22, Machine::Arm64, false, false),
    build(25, Machine::Amd64, false, false),
    build(26, Machine::Amd64, true, false),
    build(27, Machine::Amd64, false, true),
    build(27, Machine::Arm64, true, true),
];

/// Builds with debug information.
pub const WITH_DWARF: [Build; 4] = [
    Build { dwarf: Some((4, false)), ..build(24, Machine::Amd64, false, true) },
    Build { dwarf: Some((5, false)), ..build(25, Machine::Amd64, false, true) },
    Build { dwarf: Some((5, true)), ..build(26, Machine::Amd64, false, true) },
    Build { dwarf: Some((4, true)), ..build(21, Machine::Arm64, true, true) },
];

/// Addresses of the functions, and behind the last.
pub fn text() -> [u64; 2] {
    let begin = Image::default().next();
    [begin, begin + FUNCTION * FUNCTIONS.len() as u64]
}

/// The executable file.
pub fn program(build: Build) -> Vec<u8> {
    let mut image = Image::default();
    image.add(".text", &code(build.machine));
    image.add(".go.buildinfo", &build_info(build.minor));
    let table = FunctionTable::new(build, text());
    let address = image.add(".gopclntab", &table.bytes);
    let data = image.add(".go.func", &function_table::inline_tree(build));
    let words = table.module_data(address, data, text());
    let module = image.next();
    if build.pie {
        // The loader fills the pointers in.
        image.add(".go.module", &vec![0; words.len() * 8]);
        let relative = if build.machine == Machine::Amd64 { 8 } else { 1027 };
        let relocations: Vec<u64> = (module..)
            .step_by(8)
            .zip(&words)
            .filter(|(_, word)| **word != 0)
            .flat_map(|(place, word)| [place, relative, *word])
            .collect();
        let size = relocations.len() as u64 * 8;
        let relocations = image.add(".rela", &bytes(&relocations));
        image.add(".dynamic", &bytes(&[7, relocations, 8, size, 0, 0]));
    } else {
        image.add(".go.module", &bytes(&words));
    }
    let mut note = [4_u32, 8, 4].map(u32::to_le_bytes).concat();
    note.extend(b"Go\0\0build-id");
    image.add(".note.go.buildid", &note);
    symbols(&mut image, module);
    if let Some((version, compressed)) = build.dwarf {
        for (name, contents) in debug_info::lines(version, text()) {
            if compressed {
                image.add_compressed(name, &contents);
            } else {
                image.add(name, &contents);
            }
        }
    }
    image.finish(build.machine, build.pie, build.sections)
}

/// Little-endian words.
pub fn bytes(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// What the linker writes about version and modules.
pub fn build_info(minor: u8) -> Vec<u8> {
    let mut info = b"\xff Go buildinf:\x08\x02".to_vec();
    info.resize(32, 0);
    let version = format!("go1.{minor}.3 X:arenas");
    info.push(version.len() as u8);
    info.extend(version.bytes());
    let modules = "path\texample.com/a/cmd\nmod\texample.com/a\tv1.2.3\t\nbuild\tCGO_ENABLED=0\n\
                   build\t-ldflags=\"-s -w\"\nbuild\tGOEXPERIMENT=arenas\n";
    let modules = format!("{:<16}{modules}{:>16}", "<", ">");
    info.extend([0x80 | (modules.len() & 0x7f) as u8, (modules.len() >> 7) as u8]);
    info.extend(modules.bytes());
    info
}

/// Functions that begin as Go's compiler makes them begin.
fn code(machine: Machine) -> Vec<u8> {
    let start = match machine {
        // cmp 0x10(%r14),%rsp; jbe; push %rbp; mov %rsp,%rbp; lea 0x10(%rip),%rax
        Machine::Amd64 => {
            b"\x49\x3b\x66\x10\x76\x18\x55\x48\x89\xe5\x48\x8d\x05\x10\x00\x00\x00".to_vec()
        }
        // ldr x16,[x28,#16]; cmp sp,x16; b.ls; str x30,[sp,#-96]!; adrp x27; add x27,x27,#0x123
        Machine::Arm64 => {
            [0xf940_0b90_u32, 0xeb30_63ff, 0x5400_0089, 0xf81a_0ffe, 0xb000_001b, 0x9104_8f7b]
                .map(u32::to_le_bytes)
                .concat()
        }
    };
    let mut function = start;
    function.resize(FUNCTION as usize, 0xcc);
    function.repeat(FUNCTIONS.len())
}

fn symbols(image: &mut Image, address: u64) {
    let mut strings = vec![0];
    let mut symbols = vec![0; 24];
    for (index, name) in VARIABLES.iter().enumerate() {
        symbols.extend((strings.len() as u32).to_le_bytes());
        symbols.extend([0x11, 0, 1, 0]);
        symbols.extend(bytes(&[address + index as u64 * 8, 8]));
        strings.extend(name.bytes());
        strings.push(0);
    }
    image.add(".symtab", &symbols);
    image.add(".strtab", &strings);
}

/// Address of the first byte of the file.
pub const fn base() -> u64 {
    BASE
}
