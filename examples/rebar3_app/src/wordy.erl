%% The most frequent words of texts. Python counts, Erlang knows which words do not count.
-module(wordy).

-export([top/2, top_of_all/2, texts_seen/0, is_stop_word/1]).

-spec top(unicode:unicode_binary(), pos_integer()) ->
    {ok, [{binary(), pos_integer()}]} | {error, py:reason()}.
top(Text, N) -> py:call(wordy_count, top, [Text, N]).

%% Many texts at once.
-spec top_of_all([unicode:unicode_binary()], pos_integer()) -> [{ok, list()} | {error, py:reason()}].
top_of_all(Texts, N) ->
    Refs = [py:spawn_call(wordy_count, top, [Text, N]) || Text <- Texts],
    [py:await(Ref) || Ref <- Refs].

-spec texts_seen() -> non_neg_integer().
texts_seen() ->
    case py:state_fetch(<<"wordy_texts">>) of
        {ok, Seen} -> Seen;
        {error, not_found} -> 0
    end.

%% Called by Python, with one list of arguments.
-spec is_stop_word([binary()]) -> boolean().
is_stop_word([Word]) -> lists:member(Word, [<<"a">>, <<"and">>, <<"of">>, <<"the">>, <<"to">>]).
