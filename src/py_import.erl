-module(py_import).

-include("py_doc.hrl").

?MODULEDOC("""
Modules and directories that all contexts know.

```erlang
1> py_import:ensure_imported(json).
ok
2> py_import:is_imported(json).
true
3> py_import:clear_imports().
ok
```

An addition reaches the contexts that run and those that start later. It stays until the
application stops. `imports` and `paths` of the application's environment are there from the
start.

Importing ahead moves the cost of an import, which may be seconds, from the first call to the
start.
""").
?MODULESINCE("0.1.0").

-export([ensure_imported/1, ensure_imported/2, is_imported/1, is_imported/2]).
-export([all_imports/0, clear_imports/0, import_list/0]).
-export([add_path/1, add_paths/1, all_paths/0, clear_paths/0, is_path_added/1]).

-define(SETUP, 'Elixir.Py.Erlang.Setup').

?DOC("""
Imports a module into every context.

The errors are:

  * `{error, main_not_cacheable}` for `'__main__'`
  * `{error, Reason}` of the first context where the import raises. Nothing is kept then

A module that does not exist is `ok` here, and an error of the calls that use it.
""").
?SINCE("0.1.0").
-spec ensure_imported(py:name()) -> ok | {error, main_not_cacheable | py:reason()}.
ensure_imported(Module) -> ?SETUP:ensure_imported(Module, all).

?DOC("""
Imports a module into every context, and notes that a function of it will be used.

The note is for `is_imported/2` and `import_list/0`. The errors are those of `ensure_imported/1`.
""").
?SINCE("0.1.0").
-spec ensure_imported(py:name(), py:name()) -> ok | {error, main_not_cacheable | py:reason()}.
ensure_imported(Module, Function) -> ?SETUP:ensure_imported(Module, Function).

?DOC("Returns `true` if a module, or a function of it, was added.").
?SINCE("0.1.0").
-spec is_imported(py:name()) -> boolean().
is_imported(Module) -> ?SETUP:is_imported(Module).

?DOC("Returns `true` if a function, or its whole module, was added.").
?SINCE("0.1.0").
-spec is_imported(py:name(), py:name()) -> boolean().
is_imported(Module, Function) -> ?SETUP:is_imported(Module, Function).

?DOC("""
Returns the additions in their order: pairs of a module and a function, or `all` for the module.
""").
?SINCE("0.1.0").
-spec all_imports() -> [{binary(), binary() | all}].
all_imports() -> 'Elixir.Py.Setup':imports().

?DOC("Forgets the imports. Contexts that run keep the modules.").
?SINCE("0.1.0").
-spec clear_imports() -> ok.
clear_imports() -> 'Elixir.Py.Setup':clear_imports().

?DOC("Returns the modules that were added, each with the functions that were named.").
?SINCE("0.1.0").
-spec import_list() -> {ok, #{binary() => [binary()]}}.
import_list() -> ?SETUP:import_list().

?DOC("Puts a directory in front of `sys.path` of every context. See `add_paths/1`.").
?SINCE("0.1.0").
-spec add_path(py:name()) -> ok | {error, py:reason()}.
add_path(Path) -> add_paths([Path]).

?DOC("""
Puts directories in front of `sys.path` of every context, in their order.

A relative path is taken from the working directory of the VM. A directory need not exist yet.
`{error, Reason}` is the error of the first context where this fails.
""").
?SINCE("0.1.0").
-spec add_paths([py:name()]) -> ok | {error, py:reason()}.
add_paths(Paths) -> ?SETUP:add_paths(Paths).

?DOC("Returns the directories that were added, as absolute paths.").
?SINCE("0.1.0").
-spec all_paths() -> [binary()].
all_paths() -> 'Elixir.Py.Setup':paths().

?DOC("Forgets the directories. Contexts that run keep them.").
?SINCE("0.1.0").
-spec clear_paths() -> ok.
clear_paths() -> 'Elixir.Py.Setup':clear_paths().

?DOC("Returns `true` if a directory was added.").
?SINCE("0.1.0").
-spec is_path_added(py:name()) -> boolean().
is_path_added(Path) -> ?SETUP:is_path_added(Path).
