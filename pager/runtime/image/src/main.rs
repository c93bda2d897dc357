//! The runtime image that `pager` starts in place of a program; see the crate `pager-runtime` for what it
//! does.
#![no_std]
#![no_main]

mod bytes;

#[global_allocator]
static HEAP: pager_runtime::arena::RuntimeHeap = pager_runtime::arena::RuntimeHeap;

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    pager_runtime::die::on_panic(info)
}

/// Named by the precompiled `core`, which may unwind elsewhere; here panics abort.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}

/// Likewise.
#[unsafe(no_mangle)]
extern "C" fn _Unwind_Resume() -> ! {
    pager_runtime::die::internal(format_args!("unwinding in the runtime"))
}
