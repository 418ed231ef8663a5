//! Makes `cfg(bpf_target_arch)` known, for builds that do not set it (checks and lints).

fn main() -> aya_build::Result<()> {
    aya_build::emit_bpf_target_arch_cfg()
}
