//! Reads bytecode of CPython 3.14+, to find out where an interrupt may be raised next.
//!
//! There a `with` calls `__enter__` by a `CALL` of its own. After that call and before the block, CPython checks for
//! interrupts. An interrupt raised there would leave a lock acquired forever. The numbers of instructions come from the
//! running Python.

/// The kind of an instruction, as far as interrupts are concerned.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Goes on with the next instruction, without a check.
    #[default]
    Plain,
    /// Data of the instruction before it, which does not run.
    Cache,
    /// The upper bits of the argument of the next instruction.
    ExtendedArg,
    /// Loads `__enter__`, among others.
    LoadSpecial,
    /// CPython checks for interrupts here.
    Check,
    /// A check that may follow a call of `__enter__`.
    Call,
    /// Goes on with the next instruction or further down.
    Branch,
    /// Goes on further down.
    Jump,
    /// Goes on further up, without a check.
    JumpBack,
    /// Goes on further up, after a check.
    Loop,
    /// Leaves the frame.
    Leave,
}

/// The kind of each instruction, by its number.
pub struct Instructions([Kind; 256]);

/// The arguments of `LOAD_SPECIAL` that stand for `__enter__` and `__aenter__`.
const ENTERS: [u8; 2] = [0, 2];

/// The maximum number of instructions inspected. A longer path without a check counts as dangerous.
const LIMIT: usize = 512;

impl Instructions {
    /// Classifies the instructions by their names. Each comes with its number and whether it jumps. `None` if this
    /// Python has no `LOAD_SPECIAL`, so that `with` needs no care.
    pub fn new<'n>(names: impl Iterator<Item = (&'n str, u8, bool)>) -> Option<Instructions> {
        let mut kinds = [Kind::Plain; 256];
        for (name, number, jumps) in names {
            kinds[usize::from(number)] = match name {
                "CACHE" => Kind::Cache,
                "EXTENDED_ARG" => Kind::ExtendedArg,
                "LOAD_SPECIAL" => Kind::LoadSpecial,
                "CALL" => Kind::Call,
                "CALL_KW" | "CALL_FUNCTION_EX" | "RESUME" => Kind::Check,
                "JUMP_BACKWARD" => Kind::Loop,
                "JUMP_FORWARD" => Kind::Jump,
                "JUMP_BACKWARD_NO_INTERRUPT" => Kind::JumpBack,
                "RETURN_VALUE" | "RETURN_GENERATOR" | "YIELD_VALUE" | "INTERPRETER_EXIT" | "RERAISE"
                | "RAISE_VARARGS" => Kind::Leave,
                _ if jumps => Kind::Branch,
                _ => Kind::Plain,
            };
        }
        kinds.contains(&Kind::LoadSpecial).then_some(Instructions(kinds))
    }

    /// Returns `true` if an interrupt that is set while the instruction at `last` runs may be raised between
    /// `__enter__` and its block. `None` if the frame may be left before any check: then the caller's frame decides.
    pub fn enters(&self, code: &[u8], last: usize) -> Option<bool> {
        if self.is_enter(code, last) {
            return Some(true);
        }
        let mut pending = self.after(code, last);
        let mut seen = vec![false; code.len()];
        let mut left = false;
        for _ in 0..LIMIT {
            let Some(at) = pending.pop() else { return if left { None } else { Some(false) } };
            if at >= code.len() || std::mem::replace(&mut seen[at], true) {
                continue;
            }
            match self.kind(code, at) {
                Kind::Call if self.is_enter(code, at) => return Some(true),
                Kind::Call | Kind::Check | Kind::Loop => {}
                Kind::Leave => left = true,
                _ => pending.extend(self.after(code, at)),
            }
        }
        Some(true)
    }

    fn kind(&self, code: &[u8], at: usize) -> Kind {
        code.get(at).map_or(Kind::Plain, |number| self.0[usize::from(*number)])
    }

    fn is_enter(&self, code: &[u8], at: usize) -> bool {
        let Some(before) = at.checked_sub(2) else { return false };
        self.kind(code, at) == Kind::Call
            && self.kind(code, before) == Kind::LoadSpecial
            && code.get(before + 1).is_some_and(|argument| ENTERS.contains(argument))
    }

    /// The offsets at which the code may go on after the instruction at `at`.
    fn after(&self, code: &[u8], at: usize) -> Vec<usize> {
        let mut next = at + 2;
        while next < code.len() && self.kind(code, next) == Kind::Cache {
            next += 2;
        }
        let distance = 2 * self.argument(code, at);
        match code.get(at).map(|number| self.0[usize::from(*number)]) {
            Some(Kind::Branch) => vec![next, next + distance],
            Some(Kind::Jump) => vec![next + distance],
            Some(Kind::JumpBack | Kind::Loop) => next.checked_sub(distance).into_iter().collect(),
            _ => vec![next],
        }
    }

    fn argument(&self, code: &[u8], at: usize) -> usize {
        let mut argument = usize::from(code.get(at + 1).copied().unwrap_or(0));
        let mut shift = 8;
        let mut before = at;
        while let Some(prefix) = before.checked_sub(2)
            && self.kind(code, prefix) == Kind::ExtendedArg
            && shift < 32
        {
            argument |= usize::from(code[prefix + 1]) << shift;
            shift += 8;
            before = prefix;
        }
        argument
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [(&str, u8, bool); 12] = [
        ("CACHE", 0, false),
        ("EXTENDED_ARG", 1, false),
        ("LOAD_SPECIAL", 2, false),
        ("CALL", 3, false),
        ("RESUME", 4, false),
        ("JUMP_BACKWARD", 5, true),
        ("POP_JUMP_IF_FALSE", 6, true),
        ("JUMP_FORWARD", 7, true),
        ("RETURN_VALUE", 8, false),
        ("POP_TOP", 9, false),
        ("JUMP_BACKWARD_NO_INTERRUPT", 10, true),
        ("LOAD_NAME", 11, false),
    ];

    /// `with x: pass`, up to the block.
    const WITH: [u8; 10] = [11, 0, 2, 0, 3, 0, 0, 0, 9, 0];

    fn enters(code: &[u8], last: usize) -> Option<bool> {
        Instructions::new(NAMES.into_iter()).expect("there is a LOAD_SPECIAL").enters(code, last)
    }

    #[test]
    fn older_versions_need_no_care() {
        assert!(Instructions::new(NAMES.into_iter().filter(|(name, ..)| *name != "LOAD_SPECIAL")).is_none());
    }

    #[test]
    fn at_the_call_of_enter_and_before_it() {
        assert_eq!(enters(&WITH, 4), Some(true));
        assert_eq!(enters(&WITH, 0), Some(true));
        // `__exit__` is loaded in the same way, but called later.
        assert_eq!(enters(&[2, 1, 3, 0, 0, 0, 9, 0, 4, 0], 2), Some(false));
    }

    #[test]
    fn another_check_comes_first() {
        let code = [&[9, 0, 3, 1, 0, 0][..], &WITH].concat();
        assert_eq!(enters(&code, 0), Some(false));
        assert_eq!(enters(&code, 2), Some(true));
        let code = [&[9, 0, 4, 0][..], &WITH].concat();
        assert_eq!(enters(&code, 0), Some(false));
    }

    #[test]
    fn branches_and_loops_are_followed() {
        // The jump over RESUME leads to the `with`.
        let code = [&[9, 0, 6, 1, 4, 0][..], &WITH].concat();
        assert_eq!(enters(&code, 0), Some(true));
        let code = [&[9, 0, 7, 1, 4, 0][..], &WITH].concat();
        assert_eq!(enters(&code, 0), Some(true));
        // A loop whose body begins with a `with`: the check of its end has passed, that at the end of the body has not.
        let code = [&WITH[..], &[9, 0, 5, 7, 8, 0]].concat();
        assert_eq!(enters(&code, 12), Some(true));
        assert_eq!(enters(&code, 8), Some(false));
        let code = [&WITH[..], &[9, 0, 10, 7, 8, 0]].concat();
        assert_eq!(enters(&code, 10), Some(true));
    }

    #[test]
    fn long_jumps() {
        let far = [7, 0].repeat(300);
        let code = [&[9, 0, 1, 1, 7, 44][..], &far, &WITH].concat();
        assert_eq!(enters(&code, 4), Some(true));
    }

    #[test]
    fn the_caller_decides_for_a_frame_that_is_left() {
        assert_eq!(enters(&[9, 0, 8, 0], 0), None);
        assert_eq!(enters(&[9, 0, 4, 0, 8, 0], 0), Some(false));
    }

    #[test]
    fn damaged_code_ends() {
        assert_eq!(enters(&[], 0), Some(false));
        assert_eq!(enters(&[7, 255], 0), Some(false));
        assert_eq!(enters(&[5, 255], 0), Some(false));
        assert_eq!(enters(&[1], 7), Some(false));
    }
}
