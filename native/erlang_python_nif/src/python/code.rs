//! Source text and what it is compiled to.

use pyo3::ffi;

use super::cache::Cache;
use super::object::{Obj, PyResult};

/// Source text longer than this is compiled anew each time, in bytes.
const MAX_CACHED_SOURCE: usize = 64 * 1024;

/// What source text is compiled for.
#[derive(Clone, Copy)]
pub enum CompileMode {
    Eval,
    Exec,
    /// Statements, of which the last may be an expression whose value is wanted.
    Last,
}

impl CompileMode {
    const COUNT: usize = 3;

    /// As `compile_source` knows it.
    fn name(self) -> &'static str {
        match self {
            CompileMode::Eval => "eval",
            CompileMode::Exec => "exec",
            CompileMode::Last => "last",
        }
    }
}

/// What `compile_source` made of a text: statements, and an expression whose value is the result.
#[derive(Clone)]
pub struct Code {
    pub body: Option<Obj>,
    pub value: Option<Obj>,
}

/// Compiled code, by its text.
pub struct Codes {
    compile_source: Obj,
    codes: [Cache<Box<str>, Code>; CompileMode::COUNT],
}

impl Codes {
    /// `compile_source` is that of `erlang._code`.
    pub fn new(compile_source: Obj) -> Codes {
        Codes { compile_source, codes: Default::default() }
    }

    /// The code object of `source`.
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

/// Runs statements, then the expression, in `namespace`. `None` where there is no expression.
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
