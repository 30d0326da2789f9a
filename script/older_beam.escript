%% Rewrites modules compiled by OTP 28 or later so that OTP 26 and 27 load them: escript older_beam.escript FROM TO.
%% What changed are the encodings of the atom table and of the literals. Types, which are optional, are left out.
main([From, To]) ->
    [rewrite(File, To) || File <- filelib:wildcard(filename:join(From, "*.beam"))],
    ok.

rewrite(File, To) ->
    {ok, Module, Chunks} = beam_lib:all_chunks(File),
    {ok, {Module, [{atoms, Atoms}]}} = beam_lib:chunks(File, [atoms]),
    {ok, Binary} = beam_lib:build_module([older(Chunk, Atoms) || Chunk = {Id, _} <- Chunks, Id =/= "Type"]),
    ok = file:write_file(filename:join(To, filename:basename(File)), Binary).

older({"AtU8", _}, Atoms) ->
    Texts = [atom_to_binary(Atom) || {_Index, Atom} <- lists:sort(Atoms)],
    {"AtU8", iolist_to_binary([<<(length(Texts)):32>> | [[byte_size(Text), Text] || Text <- Texts]])};
older({"LitT", <<0:32, Literals/binary>>}, _Atoms) ->
    {"LitT", <<(byte_size(Literals)):32, (zlib:compress(Literals))/binary>>};
older(Chunk, _Atoms) ->
    Chunk.
