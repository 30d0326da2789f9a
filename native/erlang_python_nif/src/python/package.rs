//! Loads the Python package `erlang`.

use pyo3::ffi;

use super::host::HostConfig;
use super::object::{Obj, PyResult, import, raised};

/// Imports the package from its directory, without a change of `sys.path`.
const LOADER: &str = r"
def load(directory):
    import sys
    if 'erlang' not in sys.modules:
        import importlib.util
        spec = importlib.util.spec_from_file_location(
            'erlang', directory + '/__init__.py', submodule_search_locations=[directory])
        module = importlib.util.module_from_spec(spec)
        sys.modules['erlang'] = module
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules['erlang']
            raise
";

/// Makes `import erlang` work in the interpreter that this thread is attached to.
pub fn load(config: &HostConfig) -> PyResult<()> {
    (config.natives)()?;
    let scope = Obj::dict()?;
    scope.dict_set(&Obj::str("__builtins__")?, &import(&Obj::str("builtins")?)?)?;
    let source = std::ffi::CString::new(LOADER).expect("no NUL in a constant");
    // SAFETY: attached; NUL-terminated strings; 257 is `Py_file_input`; the scope is a dict.
    unsafe {
        let code = Obj::checked(ffi::Py_CompileString(source.as_ptr(), c"<erlang_python>".as_ptr(), 257))?;
        Obj::checked(ffi::PyEval_EvalCode(code.as_ptr(), scope.as_ptr(), scope.as_ptr()))?;
    }
    let load = scope.dict_get(&Obj::str("load")?)?.ok_or_else(raised)?;
    load.call(&[&Obj::str(&config.package)?]).map(drop)
}
