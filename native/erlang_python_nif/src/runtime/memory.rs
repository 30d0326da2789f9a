//! Keeps memory that Python frees and is about to want again: on many systems the page faults of a fresh mapping take ten
//! times as long as filling it.

use std::os::raw::c_void;
use std::ptr;
use std::sync::Mutex;

use super::context::lock;
use super::symbols::{ArenaAllocator, symbols};

/// Blocks up to this size come from the C library's heaps and go back there, in bytes.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const MMAP_THRESHOLD: i32 = 16 << 20;
/// Each heap of the C library keeps so much unused memory at its end, in bytes.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const TRIM_THRESHOLD: i32 = 32 << 20;

/// All interpreters together keep so many arenas that none of them uses. CPython's are 1 MiB (before 3.10: 256 KiB).
const MAX_SPARE: usize = 16;

/// Call once Python is initialized.
pub fn tune() {
    // The VM has fixed both at a small value, which turns off that they adapt.
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: sets parameters of the allocator, under its lock.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, MMAP_THRESHOLD);
        libc::mallopt(libc::M_TRIM_THRESHOLD, TRIM_THRESHOLD);
    }
    if let Some(set) = symbols().set_arena_allocator {
        let mut allocator = ArenaAllocator { context: ptr::null_mut(), alloc, free };
        // SAFETY: attached. What `free` gets from before was mapped by CPython in the way `alloc` does.
        unsafe { set(&mut allocator) };
    }
}

struct Arena {
    address: *mut c_void,
    size: usize,
}

// SAFETY: memory that nobody uses; the mutex hands it to one thread at a time.
unsafe impl Send for Arena {}

static SPARE: Mutex<Vec<Arena>> = Mutex::new(Vec::new());

unsafe extern "C" fn alloc(_context: *mut c_void, size: usize) -> *mut c_void {
    let mut spare = lock(&SPARE);
    if let Some(index) = spare.iter().rposition(|arena| arena.size == size) {
        return spare.swap_remove(index).address;
    }
    drop(spare);
    // SAFETY: a private mapping that touches nothing else.
    let address = unsafe {
        let access = libc::PROT_READ | libc::PROT_WRITE;
        libc::mmap(ptr::null_mut(), size, access, libc::MAP_PRIVATE | libc::MAP_ANON, -1, 0)
    };
    if address == libc::MAP_FAILED { ptr::null_mut() } else { address }
}

unsafe extern "C" fn free(_context: *mut c_void, address: *mut c_void, size: usize) {
    let mut spare = lock(&SPARE);
    if spare.len() < MAX_SPARE {
        spare.push(Arena { address, size });
        return;
    }
    drop(spare);
    // SAFETY: CPython gives back a whole arena that it got from `alloc`, and uses it no more.
    unsafe { libc::munmap(address, size) };
}
