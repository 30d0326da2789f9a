//! Compiles source text and runs the code.

use pyo3::ffi;

use super::cache::{Cache, Words};
use super::object::{Obj, PyResult};

/// The maximum length of cached source text, in bytes. Longer text is compiled again each time.
const MAX_CACHED_SOURCE: usize = 64 * 1024;

/// The purpose that source text is compiled for.
#[derive(Clone, Copy)]
pub enum CompileMode {
    /// One expression, for its value.
    Eval,
    /// Statements.
    Exec,
    /// Statements whose last one, if it is an expression, gives the value.
    Last,
}

impl CompileMode {
    const COUNT: usize = 3;

    /// The name of this mode in `compile_source`.
    fn name(self) -> &'static str {
        match self {
            CompileMode::Eval => "eval",
            CompileMode::Exec => "exec",
            CompileMode::Last => "last",
        }
    }
}

/// The code objects that `compile_source` returned.
#[derive(Clone)]
pub struct Code {
    /// The statements.
    pub body: Option<Obj>,
    /// The expression whose value is the result.
    pub value: Option<Obj>,
}

/// A cache of compiled code, by its source text.
pub struct Codes {
    compile_source: Obj,
    codes: [Cache<Box<str>, Code, Words>; CompileMode::COUNT],
}

impl Codes {
    /// `compile_source` is the function of `erlang._code`.
    pub fn new(compile_source: Obj) -> Codes {
        Codes { compile_source, codes: Default::default() }
    }

    /// The code of `source`.
    pub fn get(&self, mode: CompileMode, source: &str) -> PyResult<Code> {
        if source.len() > MAX_CACHED_SOURCE {
            return self.compile(mode, source);
        }
        self.codes[mode as usize].get_or(source, || Ok((source.into(), self.compile(mode, source)?)))
    }

    fn compile(&self, mode: CompileMode, source: &str) -> PyResult<Code> {
        let pair = self.compile_source.call(&[&Obj::str(source)?, &Obj::str(mode.name())?])?.tuple_items();
        let mut parts = pair.into_iter().map(|part| (!part.is_none()).then_some(part));
        Ok(Code { body: parts.next().flatten(), value: parts.next().flatten() })
    }
}

/// Runs the statements, then the expression, in `namespace`. Returns the value of the expression, if there is one.
pub fn run_code(code: &Code, namespace: &Obj) -> PyResult<Option<Obj>> {
    let run = |code: &Obj| {
        // SAFETY: attached; `code` is a code object without free variables, `namespace` a dict.
        unsafe { Obj::checked(ffi::PyEval_EvalCode(code.as_ptr(), namespace.as_ptr(), namespace.as_ptr())) }
    };
    if let Some(body) = &code.body {
        run(body)?;
    }
    code.value.as_ref().map(run).transpose()
}
