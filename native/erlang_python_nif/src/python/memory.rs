//! Keeps memory that Python frees, to be used again: on many systems the page faults of a new mapping take ten times as
//! long as filling it.

use std::os::raw::c_void;
use std::ptr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use super::symbols::{ArenaAllocator, symbols};

/// The memory that the heaps of all contexts together may keep, in bytes. Each thread has a heap of its own.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const BUDGET: usize = 128 << 20;
/// The limits of the share of one context, in bytes. Below the lower one, the heap of a context is mapped and unmapped
/// for each block of a few hundred KiB. More than the upper one makes nothing faster.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const SHARE: std::ops::RangeInclusive<usize> = 3 << 20..=32 << 20;

/// The maximum number of free arenas kept for all interpreters together. CPython's arenas have 1 MiB.
const MAX_SPARE: usize = 16;
/// The minimum size of an arena that is kept, in bytes. CPython allocates its frame stacks here, too, and they are
/// smaller.
const MIN_ARENA: usize = 256 << 10;

/// Lets `share_out` change settings of the C library.
static TUNING: AtomicBool = AtomicBool::new(false);

/// Makes CPython allocate its arenas here. Call it once Python is initialized, before any context starts. `heaps`:
/// whether `share_out` may change settings of the C library.
pub fn tune(heaps: bool) {
    TUNING.store(heaps, Relaxed);
    if let Some(set) = symbols().set_arena_allocator {
        let mut allocator = ArenaAllocator { context: ptr::null_mut(), alloc, free };
        // SAFETY: attached. CPython has mapped older arenas as `alloc` does, so `free` may unmap them.
        unsafe { set(&mut allocator) };
    }
}

/// Makes each heap of the C library keep its share of freed memory. Call it when the number of contexts has changed.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub fn share_out(contexts: usize) {
    if !TUNING.load(Relaxed) {
        return;
    }
    let share = (BUDGET / contexts.max(1)).clamp(*SHARE.start(), *SHARE.end()) as i32;
    // The VM has set both thresholds to small values, which also stops glibc from adapting them.
    // SAFETY: `mallopt` sets parameters of the allocator, under the allocator's lock.
    unsafe {
        libc::mallopt(libc::M_TRIM_THRESHOLD, share);
        // Blocks up to this size come from the heaps and return to them.
        libc::mallopt(libc::M_MMAP_THRESHOLD, share / 2);
        // Otherwise a heap that holds one block is mapped and unmapped with it, over and over.
        libc::mallopt(libc::M_TOP_PAD, share / 2);
    }
}

/// Does nothing: this C library has no such settings.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub fn share_out(_contexts: usize) {}

struct Arena {
    address: *mut c_void,
    size: usize,
}

// SAFETY: the memory is unused, and the mutex around `SPARE` hands it to one thread at a time.
unsafe impl Send for Arena {}

static SPARE: Mutex<Vec<Arena>> = Mutex::new(Vec::new());

unsafe extern "C" fn alloc(_context: *mut c_void, size: usize) -> *mut c_void {
    if let Some(arena) = take_spare(size) {
        return arena.address;
    }
    // SAFETY: a new private mapping, which affects no other memory.
    let address = unsafe {
        let access = libc::PROT_READ | libc::PROT_WRITE;
        libc::mmap(ptr::null_mut(), size, access, libc::MAP_PRIVATE | libc::MAP_ANON, -1, 0)
    };
    if address == libc::MAP_FAILED { ptr::null_mut() } else { address }
}

/// Takes a free arena of this size. Never waits: in a forked child the lock may stay taken forever.
fn take_spare(size: usize) -> Option<Arena> {
    let mut spare = SPARE.try_lock().ok()?;
    let index = spare.iter().rposition(|arena| arena.size == size)?;
    Some(spare.swap_remove(index))
}

/// Keeps a free arena, or returns it. Never waits, as `take_spare`.
fn keep_spare(arena: Arena) -> Result<(), Arena> {
    match SPARE.try_lock() {
        Ok(mut spare) if arena.size >= MIN_ARENA && spare.len() < MAX_SPARE => {
            spare.push(arena);
            Ok(())
        }
        _ => Err(arena),
    }
}

unsafe extern "C" fn free(_context: *mut c_void, address: *mut c_void, size: usize) {
    // An ending interpreter also frees null.
    if address.is_null() || keep_spare(Arena { address, size }).is_ok() {
        return;
    }
    // SAFETY: CPython frees a whole arena that it got from `alloc` and does not use it again.
    unsafe { libc::munmap(address, size) };
}
