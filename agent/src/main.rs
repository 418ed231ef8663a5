//! The `goroscope` command.

fn main() -> std::process::ExitCode {
    goroscope::cli::main()
}
