defmodule Py.Error.AdviceTest do
  # Messages that say what to do instead.
  use ExUnit.Case, async: true

  describe "a statement given to eval" do
    for code <- [
          "x = 1",
          "import os",
          "total += 2",
          "for x in []: pass",
          "a = 1\na",
          "d['k'] = 1"
        ] do
      test "leads to exec: #{inspect(code)}" do
        assert {:error, %Py.Error{type: "SyntaxError"} = error} = Py.eval(unquote(code))
        assert Exception.message(error) =~ "Use Py.exec/2 for statements"
        assert [_note] = error.notes
      end
    end

    test "other errors of syntax do not" do
      for code <- ["1 +", "x == ", "f(a=1", "compile('x = ', '<string>', 'exec')"] do
        assert {:error, %Py.Error{type: "SyntaxError", notes: []}} = Py.eval(code)
      end
    end
  end

  test "an option that may be a keyword argument leads to :kwargs" do
    assert_raise ArgumentError, ~r/unknown option :ndigits, .*pass kwargs: \[ndigits: …\]/, fn ->
      Py.call(:builtins, :round, [2.5], ndigits: 1)
    end

    # It takes none.
    error = catch_error(Py.eval("1", ndigits: 1))
    refute Exception.message(error) =~ "kwargs"
  end

  test "an unknown pool is named, with the pools there are" do
    assert {:error, error} = Py.call(:math, :sqrt, [4], context: :modles)
    message = Exception.message(error)
    assert message =~ ":modles"
    assert message =~ "Py.Router.start_pool/3"
    assert message =~ ":default"
  end

  test "start_pool names all the options it takes" do
    error = catch_error(Py.Router.start_pool(:papercuts, 1, strategie: :affinity))

    for option <- ~w(mode strategy pg paths preload max_queue start_timeout replace_stuck)a,
        do: assert(Exception.message(error) =~ inspect(option))

    assert_raise ArgumentError, ~r/names its contexts by number/, fn ->
      Py.Router.start_pool(:papercuts, 2, name: :twice)
    end
  end
end
