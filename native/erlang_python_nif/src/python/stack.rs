//! Reads the Python stack of a thread from outside, at any moment, even while C code holds the GIL and does not release
//! it.
//!
//! Nothing is attached, locked or called in Python. The structures are read as a debugger reads those of another
//! process, so they may change meanwhile. The operating system reads each address and refuses invalid ones, and the
//! walk ends at data that cannot be right.

use std::collections::HashMap;
use std::ffi::CStr;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::raw::c_ulong;
use std::sync::{Mutex, OnceLock};

use erlang_python_core::lines::line_at;
use erlang_python_core::sync::lock;

/// One frame of Python code.
pub struct Frame {
    /// The name of its file.
    pub file: String,
    /// The current line.
    pub line: Option<i64>,
    /// The qualified name of its function.
    pub function: String,
}

/// The maximum number of frames read, innermost first.
const MAX_FRAMES: usize = 100;
/// The maximum length of a text, in characters. Longer texts are cut.
const MAX_TEXT: usize = 512;
/// The maximum size of a table of lines, in bytes. Larger ones are not read.
const MAX_TABLE: usize = 1 << 20;
/// The maximum number of times that a changing stack is read.
const ATTEMPTS: usize = 50;
/// Frames with this owner or a higher one stand for C code.
const OWNED_BY_C: u8 = 3;

/// Offsets in CPython's structures, in bytes. From its headers: `Include/cpython/pystate.h`,
/// `Include/internal/pycore_frame.h` (3.14: `pycore_interpframe_structs.h`), `Include/cpython/code.h`,
/// `unicodeobject.h`.
struct Layout {
    /// The current frame, in the thread state.
    current_frame: usize,
    /// The frame in what `current_frame` points to, if that is not the frame itself.
    indirect: Option<usize>,
    /// The code object, and the next four fields, in a frame.
    executable: usize,
    previous: usize,
    instruction: usize,
    owner: usize,
    /// In a code object, as `bytecode`.
    first_line: usize,
    bytecode: usize,
    /// The data of an ASCII str.
    ascii: usize,
    /// The data of any other compact str.
    compact: usize,
}

/// Offsets that are the same in all versions from 3.11 to 3.15: in code objects, in objects, in objects of variable
/// size, in bytes and in str.
const FILE_NAME: usize = 112;
const QUALIFIED_NAME: usize = 128;
const LINE_TABLE: usize = 136;
const TYPE: usize = 8;
const LENGTH: usize = 16;
const BYTES: usize = 32;
const STATE: usize = 32;

/// The number of bytes read of a frame and of a code object.
const FRAME: usize = 80;
const CODE: usize = 216;

impl Layout {
    fn of(minor: c_ulong) -> Option<Layout> {
        let current = Layout {
            current_frame: 72,
            indirect: None,
            executable: 0,
            previous: 8,
            instruction: 56,
            owner: 74,
            first_line: 68,
            bytecode: 208,
            ascii: 40,
            compact: 56,
        };
        match minor {
            11 => Some(Layout {
                current_frame: 56,
                indirect: Some(8),
                executable: 32,
                previous: 48,
                owner: 69,
                first_line: 72,
                bytecode: 184,
                ascii: 48,
                compact: 72,
                ..current
            }),
            12 => Some(Layout { current_frame: 56, indirect: Some(0), owner: 70, bytecode: 192, ..current }),
            13 => Some(Layout { owner: 70, bytecode: 200, ..current }),
            14 | 15 => Some(current),
            _ => None,
        }
    }
}

/// The layout of this Python and the address of the type of code objects. `None` for an unknown version.
fn known() -> Option<&'static (Layout, usize)> {
    static KNOWN: OnceLock<Option<(Layout, usize)>> = OnceLock::new();
    let find = || {
        // SAFETY: a constant that CPython exports since 3.11.
        let version = unsafe { *(symbol(c"Py_Version")? as *const c_ulong) };
        let known = size_of::<usize>() == 8 && version >> 24 == 3;
        Some((Layout::of(version >> 16 & 0xff).filter(|_| known)?, symbol(c"PyCode_Type")?))
    };
    KNOWN.get_or_init(find).as_ref()
}

fn symbol(name: &CStr) -> Option<usize> {
    // SAFETY: `dlsym` has no preconditions but a NUL-terminated name.
    let address = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
    (!address.is_null()).then_some(address as usize)
}

/// The frames of a thread, outermost first, by the address of its thread state. `None` for an unknown version of
/// Python.
pub fn frames(thread: usize) -> Option<Vec<Frame>> {
    /// The lock also makes threads read one after the other.
    static MEMORY: Mutex<Option<Memory>> = Mutex::new(None);
    let (layout, code_type) = known()?;
    let mut memory = lock(&MEMORY);
    if memory.is_none() {
        *memory = Memory::new();
    }
    let reader = Reader { memory: memory.as_ref()?, layout, code_type: *code_type };
    let mut frames = Vec::new();
    for _ in 0..ATTEMPTS {
        let innermost = reader.innermost(thread);
        frames = reader.walk(innermost.unwrap_or(0));
        if reader.innermost(thread) == innermost {
            break;
        }
    }
    frames.reverse();
    Some(frames)
}

/// Reads the structures of one Python.
struct Reader<'m> {
    memory: &'m Memory,
    layout: &'m Layout,
    code_type: usize,
}

/// The parts of a code object.
struct Code {
    file: String,
    function: String,
    table: Vec<u8>,
    first_line: i64,
}

impl Reader<'_> {
    /// The address of the innermost frame.
    fn innermost(&self, thread: usize) -> Option<usize> {
        let frame = self.memory.word(thread + self.layout.current_frame)?;
        match self.layout.indirect {
            Some(offset) => self.memory.word(frame.checked_add(offset)?),
            None => Some(frame),
        }
    }

    /// The frames from `frame` outwards.
    fn walk(&self, mut frame: usize) -> Vec<Frame> {
        let mut frames = Vec::new();
        let mut codes = HashMap::new();
        // Frames of C code do not count towards the limit, but there are few.
        for _ in 0..2 * MAX_FRAMES {
            let Some(bytes) = self.memory.bytes(frame, FRAME) else { break };
            // A reference to an object may be marked in its lowest bits.
            let code = word(&bytes, self.layout.executable) & !3;
            if bytes[self.layout.owner] < OWNED_BY_C {
                let known = codes.entry(code).or_insert_with(|| self.code(code));
                let Some(known) = known else { break };
                let instruction = word(&bytes, self.layout.instruction);
                let offset = instruction.checked_sub(code + self.layout.bytecode);
                frames.push(Frame {
                    file: known.file.clone(),
                    // Before the first instruction it is the line of the definition.
                    line: offset
                        .map_or(Some(known.first_line), |offset| line_at(&known.table, known.first_line, offset)),
                    function: known.function.clone(),
                });
            }
            frame = word(&bytes, self.layout.previous);
            if frame == 0 || frames.len() == MAX_FRAMES {
                break;
            }
        }
        frames
    }

    fn code(&self, code: usize) -> Option<Code> {
        let bytes = self.memory.bytes(code, CODE)?;
        if word(&bytes, TYPE) != self.code_type {
            return None;
        }
        let first_line = bytes[self.layout.first_line..][..4].try_into().ok()?;
        Some(Code {
            file: self.text(word(&bytes, FILE_NAME))?,
            function: self.text(word(&bytes, QUALIFIED_NAME))?,
            table: self.table(word(&bytes, LINE_TABLE)).unwrap_or_default(),
            first_line: i32::from_ne_bytes(first_line).into(),
        })
    }

    fn table(&self, bytes: usize) -> Option<Vec<u8>> {
        let length = self.memory.word(bytes.checked_add(LENGTH)?)?;
        if length > MAX_TABLE { None } else { self.memory.bytes(bytes + BYTES, length) }
    }

    fn text(&self, text: usize) -> Option<String> {
        let head = self.memory.bytes(text, STATE + 4)?;
        let length = word(&head, LENGTH).min(MAX_TEXT);
        // The bits: two for `interned`, three for `kind`, one for `compact`, one for `ascii`.
        let state = head[STATE];
        let ascii = state & 0x40 != 0;
        let data = text + if ascii { self.layout.ascii } else { self.layout.compact };
        let units = |size| self.memory.bytes(data, length * size);
        let character = |code| char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
        match (state >> 2) & 7 {
            1 => Some(units(1)?.into_iter().map(char::from).collect()),
            2 => {
                Some(units(2)?.chunks(2).map(|unit| character(u16::from_ne_bytes([unit[0], unit[1]]).into())).collect())
            }
            4 => Some(
                units(4)?
                    .chunks(4)
                    .map(|unit| character(u32::from_ne_bytes(unit.try_into().unwrap_or_default())))
                    .collect(),
            ),
            _ => None,
        }
    }
}

fn word(bytes: &[u8], offset: usize) -> usize {
    let mut word = [0; size_of::<usize>()];
    word.copy_from_slice(&bytes[offset..][..size_of::<usize>()]);
    usize::from_ne_bytes(word)
}

/// Reads the memory of this process at any address, by writing it to a pipe. The operating system refuses to read from
/// invalid addresses.
struct Memory {
    read: OwnedFd,
    write: OwnedFd,
}

/// The number of bytes written at once. An empty pipe takes them without waiting.
const CHUNK: usize = 4096;

impl Memory {
    fn new() -> Option<Memory> {
        let mut ends = [0; 2];
        // SAFETY: `pipe` returns two new descriptors, which this call owns.
        unsafe {
            if libc::pipe(ends.as_mut_ptr()) != 0 {
                return None;
            }
            for end in ends {
                libc::fcntl(end, libc::F_SETFD, libc::FD_CLOEXEC);
                libc::fcntl(end, libc::F_SETFL, libc::O_NONBLOCK);
            }
            Some(Memory { read: OwnedFd::from_raw_fd(ends[0]), write: OwnedFd::from_raw_fd(ends[1]) })
        }
    }

    fn bytes(&self, address: usize, length: usize) -> Option<Vec<u8>> {
        let mut bytes = vec![0; length];
        for (index, chunk) in bytes.chunks_mut(CHUNK).enumerate() {
            let from = address.checked_add(index * CHUNK)? as *const libc::c_void;
            // SAFETY: the kernel reads the memory, and fails at an invalid address.
            let written = unsafe { libc::write(self.write.as_raw_fd(), from, chunk.len()) };
            let written = usize::try_from(written).ok()?;
            // SAFETY: `chunk` has room for the bytes that were written.
            let read = unsafe { libc::read(self.read.as_raw_fd(), chunk.as_mut_ptr().cast(), written) };
            if read != written.cast_signed() || written < chunk.len() {
                return None;
            }
        }
        Some(bytes)
    }

    fn word(&self, address: usize) -> Option<usize> {
        self.bytes(address, size_of::<usize>()).map(|bytes| word(&bytes, 0))
    }
}
