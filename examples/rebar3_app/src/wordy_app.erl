-module(wordy_app).
-behaviour(application).

-export([start/2, stop/1]).

start(_Type, _Args) ->
    {ok, Contexts} = application:get_env(wordy, contexts),
    %% Before the pool starts, so that its contexts find the module.
    ok = py_import:add_path(filename:join(code:priv_dir(wordy), "python")),
    {ok, _Pids} = py_context_router:start_pool(words, Contexts),
    ok = py:register_pool(words, wordy_count),
    ok = py:register_function(is_stop_word, {wordy, is_stop_word}),
    wordy_sup:start_link().

stop(_State) ->
    py:unregister_function(is_stop_word),
    py:unregister_pool(wordy_count),
    py_context_router:stop_pool(words).
