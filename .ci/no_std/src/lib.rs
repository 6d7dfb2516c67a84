//! Compiles and links only while nothing below the core brings the standard library: that would bring a second panic
//! handler, and a program may have one.

#![no_std]

extern crate alloc;
extern crate labman_proto_core;

use core::alloc::{GlobalAlloc, Layout};
use core::panic::PanicInfo;

/// Never called: this library is built and thrown away.
struct NoMemory;

// SAFETY: returning null is how an allocator says that it has no memory; nothing is ever freed.
unsafe impl GlobalAlloc for NoMemory {
    unsafe fn alloc(&self, _: Layout) -> *mut u8 {
        core::ptr::null_mut()
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}

#[global_allocator]
static ALLOCATOR: NoMemory = NoMemory;

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    loop {}
}
