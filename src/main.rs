/// mimalloc measured best of the allocators tried: the proxy makes many short-lived allocations
/// per request (`make bench-proxy` repeats the measurement).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    gatepost::cli::main()
}
