//! The command `jetstream`. Everything is in the library's module `cli`.

/// Keeps pieces of one size side by side: what a change looks at of each member then lies on few pages.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    jetstream::cli::main()
}
