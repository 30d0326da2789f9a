defmodule Py.Interpreter.OutsideTest do
  # Python code that imports `erlang`, outside the BEAM: in the Python that is embedded here, run as a program.
  use Py.Test.Case, async: true

  @package Path.expand("priv/python")

  defp python(code) do
    System.cmd(Py.info().executable, ["-c", code],
      env: [{"PYTHONPATH", @package}, {"PYTHONDONTWRITEBYTECODE", "1"}],
      stderr_to_stdout: true
    )
  end

  test "the package can be imported, and functions by name" do
    code = """
    import erlang, logging
    from erlang import Atom, CallbackError, price, state_get
    assert all(hasattr(erlang, name) for name in erlang.__all__)
    assert erlang.atom("ok") == Atom("ok") == "ok" and issubclass(CallbackError, RuntimeError)
    assert not hasattr(erlang, "_private") and not hasattr(erlang, "__path")
    print("imported")
    """

    assert python(code) == {"imported\n", 0}
  end

  test "what needs the BEAM raises when it is called, and says what to do" do
    code = """
    import erlang
    from erlang import price
    calls = {
        "price": lambda: price(1),
        "total": lambda: erlang.call("total", 1, 2),
        "self": erlang.self,
        "send": lambda: erlang.send(None, 1),
        "whereis": lambda: erlang.whereis("x"),
        "state_get": lambda: erlang.state_get("key", 1),
        "state_set": lambda: erlang.state_set("key", 1),
        "state_delete": lambda: erlang.state_delete("key"),
        "state_keys": erlang.state_keys,
        "state_clear": erlang.state_clear,
        "state_incr": lambda: erlang.state_incr("key"),
        "state_decr": lambda: erlang.state_decr("key", 2),
        "whereis ": erlang.setup_logging,
        "Function": lambda: erlang.Function(b"x")(1),
    }
    for name, call in calls.items():
        try:
            call()
        except RuntimeError as error:
            assert f"erlang.{name.strip()} works only in Python code" in str(error), error
            assert "monkeypatch" in str(error)
        else:
            raise AssertionError(name)
    # As a test would.
    erlang.price = lambda item: 3
    assert erlang.price("tea") == 3
    print("raised")
    """

    assert python(code) == {"raised\n", 0}
  end

  test "the stub for editors and type checkers has the names and parameters of the package" do
    assert File.exists?(Path.join(@package, "erlang/py.typed"))

    code = """
    import ast, erlang, inspect
    stub = ast.parse(open(erlang.__file__ + "i").read())
    defined = {node.name: node for node in stub.body if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    public = {name for name in defined if not name.startswith("_")}
    assert public == set(erlang.__all__), public ^ set(erlang.__all__)
    listed = next(node.value for node in stub.body if isinstance(node, ast.Assign) and node.targets[0].id == "__all__")
    assert ast.literal_eval(listed) == erlang.__all__
    for name, node in defined.items():
        thing = getattr(erlang, name, None)
        if isinstance(node, ast.ClassDef) and thing:
            assert inspect.isclass(thing), name
            bases = [ast.unparse(base) for base in node.bases] or ["object"]
            assert bases == [thing.__base__.__name__], name
    for name in ("atom", "call", "setup_logging"):
        own = [p for p in inspect.signature(getattr(erlang, name)).parameters if p != "kwargs"]
        args = defined[name].args
        told = [a.arg for a in args.args] + ([args.vararg.arg] if args.vararg else [])
        assert own == told, (name, own, told)
    print("alike")
    """

    assert python(code) == {"alike\n", 0}
  end

  for mode <- modes() do
    describe "#{mode}" do
      @describetag mode: mode

      test "inside the BEAM the package is the real one", %{ctx: ctx} do
        code = "__import__('erlang')._native.__name__"
        assert eval(ctx, code) == "erlang._native"
        assert eval(ctx, "'erlang._outside' in __import__('sys').modules") == false
        assert %Py.Error{type: "ImportError"} = error(ctx, "exec('from erlang import price')")
      end
    end
  end
end
