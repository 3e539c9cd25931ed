//! The `understage` command. Everything is in the library beside it.

/// Translation allocates a great many small pieces, which are read all over the place for as long as the guest runs. This
/// allocator is quicker than the system's, and asks for large pages.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let args: Vec<_> = std::env::args_os().collect();
    understage::main(&args)
}
