//! Keeps memory that Python frees and is about to want again: on many systems the page faults of a fresh mapping take ten
//! times as long as filling it.

use std::os::raw::c_void;
use std::ptr;
use std::sync::Mutex;

use super::symbols::{ArenaAllocator, symbols};

/// Blocks up to this size come from the C library's heaps and go back there, in bytes.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const MMAP_THRESHOLD: i32 = 16 << 20;
/// Each heap of the C library keeps so much unused memory at its end, in bytes.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const TRIM_THRESHOLD: i32 = 32 << 20;

/// All interpreters together keep so many arenas that none of them uses. CPython's are 1 MiB.
const MAX_SPARE: usize = 16;
/// What is smaller is no arena: the stacks of Python's frames come from here too. In bytes.
const MIN_ARENA: usize = 256 << 10;

/// Call once Python is initialized.
pub fn tune() {
    // The VM has fixed both at a small value, which turns off that they adapt.
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: sets parameters of the allocator, under its lock.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, MMAP_THRESHOLD);
        libc::mallopt(libc::M_TRIM_THRESHOLD, TRIM_THRESHOLD);
        // Or a heap that holds one block only is mapped and unmapped with it, over and over.
        libc::mallopt(libc::M_TOP_PAD, MMAP_THRESHOLD);
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
