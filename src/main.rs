//! The `housekey` program: see `housekey --help`.

fn main() -> std::process::ExitCode {
    housekey::cli::main()
}
