-module(wordy_tests).

-include_lib("eunit/include/eunit.hrl").

wordy_test_() ->
    {setup,
        fun() ->
            {ok, Started} = application:ensure_all_started(wordy),
            Started
        end,
        fun(_Started) -> ok = application:stop(wordy) end, [
            fun counts_words/0,
            fun counts_many_texts/0,
            fun fails_as_erlang_does/0,
            fun follows_sys_config/0,
            fun leaves_the_log_as_it_is/0
        ]}.

counts_words() ->
    ?assertEqual({ok, [{<<"cat">>, 2}, {<<"hat">>, 1}]}, wordy:top(<<"The cat and a hat: the cat">>, 2)).

counts_many_texts() ->
    Before = wordy:texts_seen(),
    Texts = [list_to_binary([integer_to_list(N), " of ", integer_to_list(N)]) || N <- lists:seq(1, 50)],
    Results = wordy:top_of_all(Texts, 1),
    ?assertEqual([{ok, [{integer_to_binary(N), 2}]} || N <- lists:seq(1, 50)], Results),
    ?assertEqual(Before + 50, wordy:texts_seen()).

fails_as_erlang_does() ->
    ?assertMatch({error, {'AttributeError', _}}, wordy:top(42, 1)),
    ?assertError(badarg, py:call(wordy_count, top, not_a_list)).

follows_sys_config() ->
    ?assertEqual(20, py_semaphore:max_concurrent()),
    ?assertEqual(2, py_context_router:num_contexts()),
    ?assertEqual(words, py_context_router:lookup_pool(wordy_count, top)).

leaves_the_log_as_it_is() ->
    {ok, #{formatter := {Formatter, _}}} = logger:get_handler_config(default),
    ?assertEqual(logger_formatter, Formatter),
    ?assertNot(lists:keymember(logger, 1, application:which_applications())).
