//! Keeps memory that Python frees and is about to want again: on many systems the page faults of a fresh mapping take ten
//! times as long as filling it.

use std::os::raw::c_void;
use std::ptr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use super::symbols::{ArenaAllocator, symbols};

/// What the heaps of all contexts together may keep, in bytes. Each thread has a heap of its own.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const BUDGET: usize = 128 << 20;
/// The share of one context, in bytes: with less than the least, the heap of a context is mapped and unmapped for each
/// block of a few hundred KiB; more than the most helps no block that is worth its memory.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const SHARE: std::ops::RangeInclusive<usize> = 3 << 20..=32 << 20;

/// All interpreters together keep so many arenas that none of them uses. CPython's are 1 MiB.
const MAX_SPARE: usize = 16;
/// What is smaller is no arena: the stacks of Python's frames come from here too. In bytes.
const MIN_ARENA: usize = 256 << 10;

/// Whether `share_out` may set what the C library keeps.
static TUNING: AtomicBool = AtomicBool::new(false);

/// Call once Python is initialized, before any context starts. `heaps`: whether the C library may be told what it keeps.
pub fn tune(heaps: bool) {
    TUNING.store(heaps, Relaxed);
    if let Some(set) = symbols().set_arena_allocator {
        let mut allocator = ArenaAllocator { context: ptr::null_mut(), alloc, free };
        // SAFETY: attached. What `free` gets from before was mapped by CPython in the way `alloc` does.
        unsafe { set(&mut allocator) };
    }
}

/// Has the heaps of the C library keep what they free, each its share. Call when the number of contexts has changed.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub fn share_out(contexts: usize) {
    if !TUNING.load(Relaxed) {
        return;
    }
    let share = (BUDGET / contexts.max(1)).clamp(*SHARE.start(), *SHARE.end()) as i32;
    // The VM has fixed both thresholds at a small value, which turns off that they adapt.
    // SAFETY: sets parameters of the allocator, under its lock.
    unsafe {
        libc::mallopt(libc::M_TRIM_THRESHOLD, share);
        // Blocks up to this size come from the heaps and go back there.
        libc::mallopt(libc::M_MMAP_THRESHOLD, share / 2);
        // Or a heap that holds one block only is mapped and unmapped with it, over and over.
        libc::mallopt(libc::M_TOP_PAD, share / 2);
    }
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub fn share_out(_contexts: usize) {}

struct Arena {
    address: *mut c_void,
    size: usize,
}

// SAFETY: memory that nobody uses; the mutex hands it to one thread at a time.
unsafe impl Send for Arena {}

static SPARE: Mutex<Vec<Arena>> = Mutex::new(Vec::new());

unsafe extern "C" fn alloc(_context: *mut c_void, size: usize) -> *mut c_void {
    if let Some(arena) = take_spare(size) {
        return arena.address;
    }
    // SAFETY: a private mapping that touches nothing else.
    let address = unsafe {
        let access = libc::PROT_READ | libc::PROT_WRITE;
        libc::mmap(ptr::null_mut(), size, access, libc::MAP_PRIVATE | libc::MAP_ANON, -1, 0)
    };
    if address == libc::MAP_FAILED { ptr::null_mut() } else { address }
}

/// Never waits: in a process that was forked, the lock may stay taken for ever.
fn take_spare(size: usize) -> Option<Arena> {
    let mut spare = SPARE.try_lock().ok()?;
    let index = spare.iter().rposition(|arena| arena.size == size)?;
    Some(spare.swap_remove(index))
}

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
    // An interpreter that ends gives back what it never had too.
    if address.is_null() || keep_spare(Arena { address, size }).is_ok() {
        return;
    }
    // SAFETY: CPython gives back a whole arena that it got from `alloc`, and uses it no more.
    unsafe { libc::munmap(address, size) };
}
