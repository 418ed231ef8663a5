//! What the instructions of a function refer to, on amd64.

use iced_x86::{Decoder, DecoderOptions, Instruction};

use crate::inspect::{Code, address::FileAddress};

/// Addresses that a function's instructions name relative to themselves, in their order.
pub(super) fn targets(code: &Code) -> Vec<FileAddress> {
    let mut decoder = Decoder::with_ip(64, &code.bytes, code.entry.0, DecoderOptions::NONE);
    let mut instruction = Instruction::default();
    let mut found = Vec::new();
    while decoder.can_decode() {
        decoder.decode_out(&mut instruction);
        if instruction.is_ip_rel_memory_operand() {
            found.push(FileAddress(instruction.ip_rel_memory_address()));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loads_stores_and_addresses_are_seen() {
        // lea 0x10(%rip),%rax; mov %rcx,-0x8(%rip); ret
        let bytes =
            vec![0x48, 0x8d, 0x05, 0x10, 0, 0, 0, 0x48, 0x89, 0x0d, 0xf8, 0xff, 0xff, 0xff, 0xc3];
        let code = Code { entry: FileAddress(0x1000), bytes };
        assert_eq!(targets(&code), [FileAddress(0x1017), FileAddress(0x1006)]);
    }
}
