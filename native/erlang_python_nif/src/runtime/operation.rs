//! The operations of requests: calls, evaluation, statements, namespaces.

use std::rc::Rc;

use pyo3::ffi;
use rustler::sys::ErlNifTerm;
use rustler::types::map::MapIterator;
use rustler::{Binary, LocalPid, Term};

use super::caches::Caches;
use super::context::ContextRef;
use super::failure::Failure;
use super::names::Name;
use super::namespaces::Namespaces;
use crate::beam::{atoms, immediate};
use crate::convert::{ConvertError, Converter, to_python};
use crate::python::code::{CompileMode, run_code};
use crate::python::object::{Obj, PyResult, Raised, import};

/// The context that an operation runs on, with its caches.
pub struct Scene<'r> {
    pub context: &'r ContextRef,
    pub caches: &'r Caches,
    pub namespaces: &'r Namespaces,
}

/// Runs `operation` and returns the resulting object.
pub fn run(
    scene: &Scene<'_>,
    converter: &mut Converter<'_>,
    operation: Term<'_>,
    namespace: Term<'_>,
) -> Result<Obj, Failure> {
    let mut scope = |converter: &mut Converter<'_>| resolve_namespace(scene, converter, namespace);
    if atoms::new_env() == operation {
        return Ok(scene.caches.namespace.dict_copy()?);
    }
    let parts = immediate::tuple(operation).ok_or(Failure::BadRequest)?;
    // SAFETY: the parts of a live term are live terms of the same environment.
    let term = |part: &ErlNifTerm| unsafe { Term::new(operation.get_env(), *part) };
    let (tag, rest) = parts.split_first().ok_or(Failure::BadRequest)?;
    let tag = term(tag);
    match rest {
        [target, function, args, kwargs] if atoms::call() == tag => {
            let callable = resolve_callable(scene, converter, &mut scope, term(target), term(function))?;
            call(converter, &callable, term(args), term(kwargs))
        }
        [source, locals] if atoms::eval() == tag => {
            let scope = scope(converter)?;
            eval(scene, converter, term(source), term(locals), scope)
        }
        [source, locals] if atoms::exec() == tag => {
            let scope = scope(converter)?;
            exec(scene, converter, CompileMode::Exec, term(source), term(locals), scope)
        }
        [source, locals] if atoms::exec_last() == tag => {
            let scope = scope(converter)?;
            exec(scene, converter, CompileMode::Last, term(source), term(locals), scope)
        }
        _ => Err(Failure::BadRequest),
    }
}

pub fn resolve_namespace(
    scene: &Scene<'_>,
    converter: &mut Converter<'_>,
    namespace: Term<'_>,
) -> Result<Obj, Failure> {
    if atoms::context() == namespace {
        return Ok(scene.caches.namespace.clone());
    }
    match namespace.decode::<LocalPid>() {
        Ok(pid) => {
            let template = &scene.caches.namespace;
            Ok(scene.namespaces.of(&pid, scene.context, template)?)
        }
        Err(_) => Ok(converter.object(namespace)?),
    }
}

/// Finds `module.function` or `object.method`; the object itself when `function` is `nil`.
fn resolve_callable(
    scene: &Scene<'_>,
    converter: &mut Converter<'_>,
    scope: &mut dyn FnMut(&mut Converter<'_>) -> Result<Obj, Failure>,
    target: Term<'_>,
    function: Term<'_>,
) -> Result<Obj, Failure> {
    let function = match atoms::nil() == function {
        true => None,
        false => Some(name(scene, function)?),
    };
    let parts = function.as_ref().map_or(&[][..], |name| &name.parts[..]);
    if target.is_map() || target.is_ref() {
        return attributes(converter.to_python(target, 0)?, parts);
    }
    let module = name(scene, target)?;
    if module.is_main {
        let scope = scope(converter)?;
        let (first, rest) = parts.split_first().ok_or(Failure::BadRequest)?;
        return match scope.dict_get(first)? {
            Some(object) => attributes(object, rest),
            None => Err(undefined(first).into()),
        };
    }
    attributes(find_module(scene, &module)?, parts)
}

fn undefined(name: &Obj) -> Raised {
    let name = name.as_utf8().unwrap_or("?");
    // SAFETY: a static class.
    unsafe { Raised::new(ffi::PyExc_NameError, &format!("name '{name}' is not defined in this namespace")) }
}

fn attributes(object: Obj, parts: &[Obj]) -> Result<Obj, Failure> {
    parts.iter().try_fold(object, |object, part| object.getattr(part)).map_err(Failure::from)
}

/// Imports the module of that name. Returns the class for `package.Class`.
fn find_module(scene: &Scene<'_>, name: &Rc<Name>) -> Result<Obj, Failure> {
    if let Some(module) = scene.caches.modules.dict_get(&name.whole)?
        && name.is_imported(&module)
    {
        return Ok(module);
    }
    let error = match import(&name.whole) {
        Ok(module) => {
            name.set_imported(&module);
            return Ok(module);
        }
        Err(error) => error,
    };
    // SAFETY: a static class.
    if name.parts.len() > 1 && unsafe { error.is(ffi::PyExc_ModuleNotFoundError) } {
        let whole = name.whole.as_utf8()?;
        let (parent, last) = whole.rsplit_once('.').expect("more than one part");
        let parent = scene.caches.names.of_text(parent)?;
        if let Ok(parent) = find_module(scene, &parent)
            && let Ok(found) = parent.attr(last)
        {
            return Ok(found);
        }
    }
    Err(error.into())
}

fn name(scene: &Scene<'_>, term: Term<'_>) -> Result<Rc<Name>, Failure> {
    if term.is_atom() {
        return Ok(scene.caches.names.of_atom(term.as_c_arg(), || atoms::text_of(term))?);
    }
    let text = text(term).map_err(|_| ConvertError::value("module and function names must be UTF-8 text"))?;
    Ok(scene.caches.names.of_text(text)?)
}

fn text(term: Term<'_>) -> Result<&str, Failure> {
    let not_text = || Failure::Conversion { message: "source code must be UTF-8 text".into(), path: String::new() };
    let binary = Binary::from_term(term).map_err(|_| not_text())?;
    std::str::from_utf8(binary.as_slice()).map_err(|_| not_text())
}

fn call(converter: &mut Converter<'_>, callable: &Obj, args: Term<'_>, kwargs: Term<'_>) -> Result<Obj, Failure> {
    let mut values = Vec::new();
    to_python::arguments(converter, args, &mut values)?;
    let positional = values.len();
    let names = match atoms::nil() == kwargs {
        true => None,
        false => to_python::keywords(converter, kwargs, &mut values)?,
    };
    let pointers: Vec<_> = values.iter().map(Obj::as_ptr).collect();
    Ok(callable.vectorcall(&pointers, positional, names.as_ref())?)
}

/// Evaluates an expression in the namespace. With `locals` it is a copy that they are added to, so that functions which the
/// expression makes keep seeing them.
fn eval(
    scene: &Scene<'_>,
    converter: &mut Converter<'_>,
    source: Term<'_>,
    locals: Term<'_>,
    scope: Obj,
) -> Result<Obj, Failure> {
    let code = scene.caches.codes.get(CompileMode::Eval, text(source)?)?;
    let scope = match locals_dict(converter, locals)? {
        None => scope,
        Some(locals) => {
            let copy = scope.dict_copy()?;
            copy.dict_update(&locals)?;
            copy
        }
    };
    Ok(run_code(&code, &scope)?.unwrap_or_else(Obj::none))
}

/// Runs statements in the namespace itself. `locals` shadow names of it while the code runs.
fn exec(
    scene: &Scene<'_>,
    converter: &mut Converter<'_>,
    mode: CompileMode,
    source: Term<'_>,
    locals: Term<'_>,
    scope: Obj,
) -> Result<Obj, Failure> {
    let code = scene.caches.codes.get(mode, text(source)?)?;
    let Some(locals) = locals_dict(converter, locals)? else {
        return Ok(run_code(&code, &scope)?.unwrap_or_else(Obj::none));
    };
    let names = keys(&locals)?;
    let shadowed = names.iter().map(|name| scope.dict_get(name)).collect::<PyResult<Vec<_>>>()?;
    scope.dict_update(&locals)?;
    let result = run_code(&code, &scope);
    for (name, old) in names.iter().zip(shadowed) {
        match old {
            Some(old) => scope.dict_set(name, &old)?,
            // The code itself may have deleted it.
            None => drop(scope.dict_del(name)),
        }
    }
    Ok(result?.unwrap_or_else(Obj::none))
}

fn keys(dict: &Obj) -> PyResult<Vec<Obj>> {
    // SAFETY: attached; a dict; the list is turned into a tuple to read it.
    let keys = unsafe {
        let list = Obj::checked(ffi::PyDict_Keys(dict.as_ptr()))?;
        Obj::checked(ffi::PyList_AsTuple(list.as_ptr()))?
    };
    Ok(keys.tuple_items())
}

/// Converts locals to a dict. `None` if there are none.
fn locals_dict(converter: &mut Converter<'_>, locals: Term<'_>) -> Result<Option<Obj>, Failure> {
    match MapIterator::new(locals) {
        None => Ok(None),
        Some(_) if locals.map_size().is_ok_and(|size| size == 0) => Ok(None),
        Some(_) => {
            let dict = converter.to_python(locals, 0).map_err(|error| error.at(|| "locals".into()))?;
            Ok(Some(dict))
        }
    }
}
