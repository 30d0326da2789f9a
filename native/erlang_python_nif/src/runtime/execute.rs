//! What a request asks for: calls, evaluation, statements, namespaces.

use std::cell::RefCell;
use std::rc::Rc;

use pyo3::ffi;
use rustler::sys::ErlNifTerm;
use rustler::types::map::MapIterator;
use rustler::{Binary, LocalPid, Term};

use super::caches::{Mode, Name, run_code};
use super::context::ContextRef;
use super::failure::Failure;
use crate::beam::env::pid_word;
use crate::beam::{atoms, immediate};
use crate::convert::{ConvertError, Converter, to_python};
use crate::python::object::{Obj, PyResult, Raised, import};
use erlang_python_core::words::WordMap;

/// What processes have of their own on a context, made on first need and dropped after the process has ended.
#[derive(Default)]
pub struct Namespaces(RefCell<WordMap<ErlNifTerm, Belongings>>);

#[derive(Default)]
struct Belongings {
    names: Option<Obj>,
    /// See `variables`.
    variables: Option<Obj>,
}

impl Belongings {
    fn into_objects(self) -> impl Iterator<Item = Obj> {
        self.names.into_iter().chain(self.variables)
    }
}

impl Namespaces {
    /// Takes out what `pid` has, to be dropped by the caller: that may run Python code.
    pub fn take(&self, pid: &LocalPid) -> impl Iterator<Item = Obj> {
        self.0.borrow_mut().remove(&pid_word(pid)).unwrap_or_default().into_objects()
    }

    /// Takes all out.
    pub fn take_all(&self) -> Vec<Obj> {
        self.0.take().into_values().flat_map(Belongings::into_objects).collect()
    }

    /// The namespace of `pid`: at first a copy of the context's. A process that has ended already gets one for this
    /// request only.
    fn of(&self, pid: &LocalPid, context: &ContextRef, template: &Obj) -> PyResult<Obj> {
        if let Some(names) = self.0.borrow().get(&pid_word(pid)).and_then(|known| known.names.clone()) {
            return Ok(names);
        }
        let fresh = template.dict_copy()?;
        self.keep(pid, context, |belongings| belongings.names.replace(fresh.clone()));
        Ok(fresh)
    }

    /// The context variables of `pid`, if it has any of its own.
    pub fn variables(&self, pid: &LocalPid) -> Option<Obj> {
        self.0.borrow().get(&pid_word(pid))?.variables.clone()
    }

    /// Gives `pid` context variables of its own: whether it lives.
    pub fn keep_variables(&self, pid: &LocalPid, set: Obj, context: &ContextRef) -> bool {
        self.keep(pid, context, |belongings| belongings.variables.replace(set))
    }

    /// `put` returns what was there before.
    fn keep(&self, pid: &LocalPid, context: &ContextRef, put: impl FnOnce(&mut Belongings) -> Option<Obj>) -> bool {
        let known = self.0.borrow().contains_key(&pid_word(pid));
        let lives = known || context.monitor(None, pid).is_some();
        if lives {
            let before = put(self.0.borrow_mut().entry(pid_word(pid)).or_default());
            // Here, where nothing is borrowed: destructors run, and requests in them.
            drop(before);
        }
        lives
    }
}

/// Runs `operation` and returns the resulting object.
pub fn run(
    converter: &mut Converter<'_>,
    namespaces: &Namespaces,
    operation: Term<'_>,
    namespace: Term<'_>,
) -> Result<Obj, Failure> {
    let mut scope = |converter: &mut Converter<'_>| resolve_namespace(converter, namespaces, namespace);
    if atoms::new_env() == operation {
        return Ok(converter.caches.namespace.dict_copy()?);
    }
    let parts = immediate::tuple(operation).ok_or(Failure::BadRequest)?;
    // SAFETY: the parts of a live term are live terms of the same environment.
    let term = |part: &ErlNifTerm| unsafe { Term::new(operation.get_env(), *part) };
    let (tag, rest) = parts.split_first().ok_or(Failure::BadRequest)?;
    let tag = term(tag);
    match rest {
        [target, function, args, kwargs] if atoms::call() == tag => {
            let callable = resolve_callable(converter, &mut scope, term(target), term(function))?;
            call(converter, &callable, term(args), term(kwargs))
        }
        [source, locals] if atoms::eval() == tag => {
            let scope = scope(converter)?;
            eval(converter, term(source), term(locals), scope)
        }
        [source, locals] if atoms::exec() == tag => {
            let scope = scope(converter)?;
            exec(converter, Mode::Exec, term(source), term(locals), scope)
        }
        [source, locals] if atoms::exec_last() == tag => {
            let scope = scope(converter)?;
            exec(converter, Mode::Last, term(source), term(locals), scope)
        }
        _ => Err(Failure::BadRequest),
    }
}

pub fn resolve_namespace(
    converter: &mut Converter<'_>,
    namespaces: &Namespaces,
    namespace: Term<'_>,
) -> Result<Obj, Failure> {
    if atoms::context() == namespace {
        return Ok(converter.caches.namespace.clone());
    }
    match namespace.decode::<LocalPid>() {
        Ok(pid) => {
            let template = &converter.caches.namespace;
            Ok(namespaces.of(&pid, converter.context, template)?)
        }
        Err(_) => Ok(converter.object(namespace)?),
    }
}

/// `module.function`, `object.method`, or the object itself when `function` is `nil`.
fn resolve_callable(
    converter: &mut Converter<'_>,
    scope: &mut dyn FnMut(&mut Converter<'_>) -> Result<Obj, Failure>,
    target: Term<'_>,
    function: Term<'_>,
) -> Result<Obj, Failure> {
    let function = match atoms::nil() == function {
        true => None,
        false => Some(name(converter, function)?),
    };
    let parts = function.as_ref().map_or(&[][..], |name| &name.parts[..]);
    if target.is_map() || target.is_ref() {
        return attributes(converter.to_python(target, 0)?, parts);
    }
    let module = name(converter, target)?;
    if module.whole.as_utf8().is_ok_and(|name| name == "__main__") {
        let scope = scope(converter)?;
        let (first, rest) = parts.split_first().ok_or(Failure::BadRequest)?;
        return match scope.dict_get(first)? {
            Some(object) => attributes(object, rest),
            None => Err(undefined(first).into()),
        };
    }
    attributes(find_module(converter, &module)?, parts)
}

fn undefined(name: &Obj) -> Raised {
    let name = name.as_utf8().unwrap_or("?");
    // SAFETY: a static class.
    unsafe { Raised::new(ffi::PyExc_NameError, &format!("name '{name}' is not defined in this namespace")) }
}

fn attributes(object: Obj, parts: &[Obj]) -> Result<Obj, Failure> {
    parts.iter().try_fold(object, |object, part| object.getattr(part)).map_err(Failure::from)
}

/// The module of that name; for `package.Class`, the class.
fn find_module(converter: &mut Converter<'_>, name: &Rc<Name>) -> Result<Obj, Failure> {
    if let Some(module) = converter.caches.modules.dict_get(&name.whole)?
        && !module.is_none()
    {
        return Ok(module);
    }
    let error = match import(&name.whole) {
        Ok(module) => return Ok(module),
        Err(error) => error,
    };
    // SAFETY: a static class.
    if name.parts.len() > 1 && unsafe { error.is(ffi::PyExc_ModuleNotFoundError) } {
        let whole = name.whole.as_utf8()?;
        let (parent, last) = whole.rsplit_once('.').expect("more than one part");
        let parent = converter.caches.name(parent)?;
        if let Ok(parent) = find_module(converter, &parent)
            && let Ok(found) = parent.attr(last)
        {
            return Ok(found);
        }
    }
    Err(error.into())
}

fn name(converter: &mut Converter<'_>, term: Term<'_>) -> Result<Rc<Name>, Failure> {
    if term.is_atom() {
        return Ok(converter.caches.atom_name(term.as_c_arg(), || atoms::text_of(term))?);
    }
    let text = text(term).map_err(|_| ConvertError::value("module and function names must be UTF-8 text"))?;
    Ok(converter.caches.name(text)?)
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

/// Evaluates in the namespace, or in a copy extended by `locals`: functions made there keep seeing them.
fn eval(converter: &mut Converter<'_>, source: Term<'_>, locals: Term<'_>, scope: Obj) -> Result<Obj, Failure> {
    let code = converter.caches.code(Mode::Eval, text(source)?)?;
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

/// Runs in the namespace itself; `locals` shadow names of it for as long as the code runs.
fn exec(
    converter: &mut Converter<'_>,
    mode: Mode,
    source: Term<'_>,
    locals: Term<'_>,
    scope: Obj,
) -> Result<Obj, Failure> {
    let code = converter.caches.code(mode, text(source)?)?;
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

/// `None` for no locals.
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
