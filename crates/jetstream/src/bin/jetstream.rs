//! The command `jetstream`. Everything is in the library's module `cli`.

fn main() -> std::process::ExitCode {
    jetstream::cli::main()
}
