//! Executables that run on this machine and lie about themselves.
//!
//! The kernel looks at the machine, the type and the program headers only
//! (<https://github.com/torvalds/linux/blob/v6.18/fs/binfmt_elf.c#L832>), so that a file whose
//! identification or sections are nonsense runs all the same.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use anyhow::{Context as _, Result, bail};

/// What is wrong with the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lie {
    /// Its identification says that it is a 32-bit file.
    Class32,
    /// Its identification says that it is big-endian.
    BigEndian,
    /// It ends where its code ends: its section headers lie beyond the end.
    Truncated,
    /// It has Go's build information, and a function table of nonsense.
    CorruptPclntab,
}

const HEADER: usize = 64;
const PROGRAM_HEADER: usize = 56;
const SECTION_HEADER: usize = 64;
const BASE: u64 = 0x40_0000;

/// `pause()` again and again.
fn code() -> Result<(u16, Vec<u8>)> {
    match std::env::consts::ARCH {
        // mov eax, 34; syscall; jmp to the start
        "x86_64" => Ok((62, vec![0xb8, 34, 0, 0, 0, 0x0f, 0x05, 0xeb, 0xf7])),
        // mov x0..x4, 0; mov x8, 73 (ppoll); svc 0; b to the start
        "aarch64" => {
            let words: [u32; 8] = [
                0xd280_0000,
                0xd280_0001,
                0xd280_0002,
                0xd280_0003,
                0xd280_0004,
                0xd280_0928,
                0xd400_0001,
                0x17ff_fff9,
            ];
            Ok((183, words.iter().flat_map(|word| word.to_le_bytes()).collect()))
        }
        other => bail!("no such program for {other}"),
    }
}

/// Writes an executable that does nothing until it is killed.
///
/// # Errors
/// Where the file cannot be written.
pub fn write(path: &Path, lie: Lie) -> Result<()> {
    let (machine, code) = code()?;
    let names = b"\0.shstrtab\0.text\0.go.buildinfo\0.gopclntab\0";
    let build_info = go_build_info();
    let pclntab = garbage();
    let text = HEADER + PROGRAM_HEADER;
    let info = (text + code.len()).next_multiple_of(16);
    let table = (info + build_info.len()).next_multiple_of(32);
    let strings = table + pclntab.len();
    let sections = (strings + names.len()).next_multiple_of(8);
    let end = sections + 5 * SECTION_HEADER;
    let at = |offset: usize| -> Result<u64> { Ok(BASE + u64::try_from(offset)?) };

    let mut file = Vec::new();
    let class = if lie == Lie::Class32 { 1 } else { 2 };
    let order = if lie == Lie::BigEndian { 2 } else { 1 };
    file.extend([0x7f, b'E', b'L', b'F', class, order, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    // ET_EXEC, machine, version, entry, program and section headers, flags.
    push16(&mut file, &[2, machine]);
    push32(&mut file, &[1]);
    let section_offset = match lie {
        Lie::Truncated => u64::try_from(end)? + (1 << 20),
        _ => u64::try_from(sections)?,
    };
    push64(&mut file, &[at(text)?, u64::try_from(HEADER)?, section_offset]);
    push32(&mut file, &[0]);
    push16(&mut file, &[64, 56, 1, 64, 5, 1]);
    // PT_LOAD, readable and executable, the whole file.
    push32(&mut file, &[1, 5]);
    push64(&mut file, &[0, BASE, BASE, u64::try_from(end)?, u64::try_from(end)?, 0x1000]);
    file.extend(&code);
    file.resize(info, 0);
    file.extend(&build_info);
    file.resize(table, 0);
    file.extend(&pclntab);
    file.extend(names);
    file.resize(sections, 0);
    // Name, type, flags, address, offset, size, link, info, alignment, entry size.
    let mut section =
        |name: u32, kind: u32, flags: u64, offset: usize, size: usize| -> Result<()> {
            let address = if flags == 0 { 0 } else { at(offset)? };
            push32(&mut file, &[name, kind]);
            push64(&mut file, &[flags, address, u64::try_from(offset)?, u64::try_from(size)?]);
            push32(&mut file, &[0, 0]);
            push64(&mut file, &[16, 0]);
            Ok(())
        };
    section(0, 0, 0, 0, 0)?;
    section(1, 3, 0, strings, names.len())?;
    section(11, 1, 6, text, code.len())?;
    section(17, 1, 2, info, build_info.len())?;
    section(31, 1, 2, table, pclntab.len())?;
    if lie == Lie::Truncated {
        file.truncate(info);
    }
    fs::write(path, file).with_context(|| format!("writing {}", path.display()))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
    Ok(())
}

/// Build information of Go 1.26.6, in the form of Go 1.18 and later
/// (<https://github.com/golang/go/blob/go1.26.0/src/debug/buildinfo/buildinfo.go#L243>).
fn go_build_info() -> Vec<u8> {
    let mut bytes = b"\xff Go buildinf:\x08\x02".to_vec();
    bytes.resize(32, 0);
    let version = b"go1.26.6";
    bytes.push(8);
    bytes.extend(version);
    bytes.push(0);
    bytes
}

/// A function table with a good magic number and nonsense behind it
/// (<https://github.com/golang/go/blob/go1.26.0/src/internal/abi/symtab.go#L9>).
fn garbage() -> Vec<u8> {
    let mut bytes = vec![0xf1, 0xff, 0xff, 0xff, 0, 0, 1, 8];
    let mut state = 1_u64;
    while bytes.len() < 4096 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        bytes.extend(state.to_le_bytes());
    }
    bytes
}

fn push16(file: &mut Vec<u8>, values: &[u16]) {
    values.iter().for_each(|value| file.extend(value.to_le_bytes()));
}

fn push32(file: &mut Vec<u8>, values: &[u32]) {
    values.iter().for_each(|value| file.extend(value.to_le_bytes()));
}

fn push64(file: &mut Vec<u8>, values: &[u64]) {
    values.iter().for_each(|value| file.extend(value.to_le_bytes()));
}
