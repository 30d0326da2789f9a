defmodule Py.Case do
  @moduledoc """
  Tests of code that calls Python: a context for each test, and stand-ins for functions of Python.

      defmodule Shop.PricesTest do
        use Py.Case, async: true

        test "asks the service once" do
          Py.Case.stub("requests.get", fn _url -> %{"price" => 3} end)
          assert Shop.Prices.of("tea") == 3
        end
      end

  `use Py.Case` is `use ExUnit.Case`, and removes the stand-ins of a test at its end. The guide
  [Testing code that calls Python](testing-code-that-calls-python.md) has more.

  ## Options

    * `:context` - `true`, or the options of `Py.Context.start_link/1`: each test has a context of its own, `python` in the
      context of the test. Default: no such context

  All others are those of `ExUnit.Case`.

  ## Examples

      use Py.Case, async: true, context: [mode: :owngil, preload: "rate = 2"]

      test "uses the rate", %{python: python} do
        assert Py.eval!("21 * rate", context: python) == 42
      end
  """
  @moduledoc since: "0.1.0"

  alias Py.Case.Stubs

  defmacro __using__(options) do
    {context, options} = Keyword.pop(options, :context, false)

    quote do
      use ExUnit.Case, unquote(options)

      setup do
        test = self()
        on_exit(fn -> Py.Case.reset(test) end)

        Py.Case.context(unquote(context), &start_supervised!/1)
      end
    end
  end

  @doc false
  @spec context(boolean() | keyword(), (Supervisor.child_spec() -> pid())) :: keyword(pid())
  def context(false, _start), do: []
  def context(true, start), do: context([], start)
  def context(options, start), do: [python: start.({Py.Context, options})]

  @doc """
  Puts a stand-in in the place of a function of Python, for the calling process.

  `target` is `"module.function"`, `"module.Class.method"`, or `{module, function}`. The module is
  imported; one that cannot be found is made up, with the stand-ins as its only functions.
  `stand_in` is one of

    * a function of Elixir. It takes the positional arguments, and a map of the keyword arguments
      after them if there are some. Values are converted as by `Py.Callback`. It runs in the
      process that waits for the Python code
    * `{:python, source}`, an expression whose value is called, `{:python, "lambda url: 1 / 0"}`.
      Its names are those of the module

  Only the code that this process has run by Python sees it, that of its tasks (`$callers`), and
  that of processes which `allow/2` names. All others get the original, so tests that stub the
  same function may be `async: true`. Each call of the function asks the BEAM meanwhile, which
  takes microseconds. A second stand-in for the same target replaces the first.

  The contexts that run when this is called have the stand-in. Start one with a GIL of its own
  before. Code that has imported the function by `from module import function` keeps the original,
  and so does code that the module itself has compiled in C.

  ## Options

  #{Py.Schema.Docs.options(:stub)}

  ## Errors

  `{:error, exception}` where the module or the attribute before the last cannot be had, one of

  #{Py.Schema.Docs.errors([:python, :timeout, :overloaded])}

  Raises `ArgumentError` for a wrong target, stand-in or option.

  ## Examples

      iex> Py.Case.stub("statistics.mean", fn _numbers -> 42 end)
      :ok
      iex> Py.call!(:statistics, :mean, [[1, 2, 3]])
      42
      iex> Task.await(Task.async(fn -> Py.call!(:statistics, :mean, [[1, 2, 3]]) end))
      42
      iex> Py.Case.stub("slow_model.predict", {:python, "lambda images: [7] * len(images)"})
      :ok
      iex> Py.call!(:slow_model, :predict, [["a", "b"]])
      [7, 7]
      iex> Py.Case.reset()
      :ok
      iex> Py.call!(:statistics, :mean, [[1, 2, 3]])
      2
  """
  @doc since: "0.1.0"
  @spec stub(
          String.t() | {Py.name(), Py.name()},
          fun() | {:python, String.t()},
          [unquote(Py.Schema.spec(:stub))]
        ) :: :ok | {:error, Exception.t()}
  def stub(target, stand_in, options \\ []) do
    options = Py.Schema.check!(:stub, options)
    owner = if options[:shared], do: :shared, else: self()
    Stubs.put(owner, target!(target), stand_in!(stand_in), self())
  end

  defp target!({module, function}), do: target!("#{module}.#{function}")

  defp target!(target) when is_binary(target) do
    if target =~ ~r/\A[^\W\d]\w*(\.[^\W\d]\w*)+\z/u, do: target, else: target!(nil, target)
  end

  defp target!(other), do: target!(nil, other)

  defp target!(nil, target) do
    raise ArgumentError,
          ~s(expected a function of Python, such as "requests.get", got: #{inspect(target)})
  end

  defp stand_in!(function) when is_function(function), do: function
  defp stand_in!({:python, source}) when is_binary(source), do: source

  defp stand_in!(other) do
    raise ArgumentError,
          "expected a function or {:python, source} as the stand-in, got: #{inspect(other)}"
  end

  @doc """
  Has another process see the stand-ins of the calling one, or of `owner`.

  For processes of the application that call Python, which the test did not start as tasks: a
  `GenServer`, for example. Until the owner ends.

      iex> Py.Case.stub("math.cos", fn _angle -> "stand-in" end)
      :ok
      iex> {:ok, agent} = Agent.start(fn -> nil end)
      iex> Py.Case.allow(agent)
      :ok
      iex> Agent.get(agent, fn _state -> Py.call!(:math, :cos, [0]) end)
      "stand-in"
      iex> Py.Case.reset()
      :ok
      iex> Agent.get(agent, fn _state -> Py.call!(:math, :cos, [0]) end)
      1.0
      iex> Agent.stop(agent)
      :ok
  """
  @doc since: "0.1.0"
  @spec allow(pid(), pid()) :: :ok
  def allow(pid, owner \\ self()) when is_pid(pid) and is_pid(owner), do: Stubs.allow(pid, owner)

  @doc """
  Removes the stand-ins of a process, the shared ones that it made, and what it allowed. `use Py.Case` does so at the end of
  each test, and the end of the process does so later.
  """
  @doc since: "0.1.0"
  @spec reset(pid()) :: :ok
  def reset(owner \\ self()) when is_pid(owner), do: Stubs.reset(owner)
end
