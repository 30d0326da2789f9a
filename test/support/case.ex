defmodule Py.Test.Case do
  @moduledoc """
  Tests that run in both modes of contexts:

      use Py.Test.Case

      for mode <- modes() do
        describe "\#{mode}" do
          @describetag mode: mode

          test "adds", %{ctx: ctx}, do: assert(eval(ctx, "1 + x", %{x: 1}) == 2)
        end
      end

  The contexts are started once for each module.
  """

  use ExUnit.CaseTemplate

  using do
    quote do
      import Py.Test.Case
    end
  end

  setup_all do
    contexts =
      for mode <- modes(), into: %{} do
        {mode, start_supervised!({Py.Context, mode: mode}, id: {:context, mode})}
      end

    %{contexts: contexts}
  end

  setup %{contexts: contexts} = tags, do: %{ctx: contexts[tags[:mode]]}

  @doc "The modes of contexts that this Python has."
  def modes, do: if(Py.info().own_gil, do: [:worker, :owngil], else: [:worker])

  @doc "The version of Python, as `Version` reads it: a release candidate counts as the release."
  def python_version, do: Py.info().version |> String.split(~r/[^\d.]/) |> hd()

  @doc "The value of a Python expression."
  def eval(ctx, code, locals \\ %{}, options \\ []) do
    case Py.Test.Dialect.eval(ctx, code, [{:locals, locals} | options]) do
      {:ok, value} -> value
      {:error, error} when is_exception(error) -> raise error
    end
  end

  @doc "The error that a Python expression ends with."
  def error(ctx, code, locals \\ %{}, options \\ []) do
    assert {:error, error} = Py.Test.Dialect.eval(ctx, code, [{:locals, locals} | options])
    # The context must have survived it.
    assert Py.eval(ctx, "6 * 7") == {:ok, 42}
    error
  end

  @doc "What comes back when Python returns what it was given."
  def round_trip(ctx, term), do: eval(ctx, "x", %{x: term})

  @doc "The name of the type that Python sees, and its `repr()`."
  def seen(ctx, term), do: eval(ctx, "(type(x).__name__, repr(x))", %{x: term})
end
