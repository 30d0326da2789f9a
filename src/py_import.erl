-module(py_import).

-include("py_doc.hrl").

?MODULEDOC("""
Modules and directories that all contexts know.

What is added reaches the contexts that run and those that start later, until the application stops. `imports` and `paths` of
the configuration are there from the start.
""").

-export([ensure_imported/1, ensure_imported/2, is_imported/1, is_imported/2]).
-export([all_imports/0, clear_imports/0, import_list/0]).
-export([add_path/1, add_paths/1, all_paths/0, clear_paths/0, is_path_added/1]).

-define(SETUP, 'Elixir.Py.Erlang.Setup').

?DOC("""
Imports a module everywhere. The error is that of the first context where this fails; nothing is kept then.
`{error, main_not_cacheable}` for `__main__`.
""").
-spec ensure_imported(py:name()) -> ok | {error, main_not_cacheable | py:reason()}.
ensure_imported(Module) -> ?SETUP:ensure_imported(Module, all).

?DOC("Imports a module everywhere, and notes that this function of it will be used.").
-spec ensure_imported(py:name(), py:name()) -> ok | {error, main_not_cacheable | py:reason()}.
ensure_imported(Module, Function) -> ?SETUP:ensure_imported(Module, Function).

?DOC("Whether a module, or a function of it, was added.").
-spec is_imported(py:name()) -> boolean().
is_imported(Module) -> ?SETUP:is_imported(Module).

?DOC("Whether a function was added, or its whole module.").
-spec is_imported(py:name(), py:name()) -> boolean().
is_imported(Module, Function) -> ?SETUP:is_imported(Module, Function).

?DOC("What was added, in order.").
-spec all_imports() -> [{binary(), binary() | all}].
all_imports() -> 'Elixir.Py.Setup':imports().

?DOC("Forgets the imports. Contexts that run keep them.").
-spec clear_imports() -> ok.
clear_imports() -> 'Elixir.Py.Setup':clear_imports().

?DOC("The modules that were added, each with its functions.").
-spec import_list() -> {ok, #{binary() => [binary()]}}.
import_list() -> ?SETUP:import_list().

?DOC("Puts a directory in front of `sys.path` everywhere.").
-spec add_path(py:name()) -> ok | {error, py:reason()}.
add_path(Path) -> add_paths([Path]).

?DOC("Puts directories in front of `sys.path` everywhere, in their order.").
-spec add_paths([py:name()]) -> ok | {error, py:reason()}.
add_paths(Paths) -> ?SETUP:add_paths(Paths).

?DOC("The directories that were added, as absolute paths.").
-spec all_paths() -> [binary()].
all_paths() -> 'Elixir.Py.Setup':paths().

?DOC("Forgets the directories. Contexts that run keep them.").
-spec clear_paths() -> ok.
clear_paths() -> 'Elixir.Py.Setup':clear_paths().

?DOC("Whether a directory was added.").
-spec is_path_added(py:name()) -> boolean().
is_path_added(Path) -> ?SETUP:is_path_added(Path).
