defmodule Py.PapercutsTest do
  # Messages that lead on, and results that arrive as messages.
  use ExUnit.Case, async: true

  defmodule Prices do
    use GenServer

    def start_link, do: GenServer.start_link(__MODULE__, nil)

    @impl true
    def init(nil), do: {:ok, %{}}

    @impl true
    def handle_call({function, args, options}, from, tasks) do
      task = Py.async(:time, function, args, options)
      {:noreply, Map.put(tasks, task.ref, {task, from})}
    end

    @impl true
    def handle_info({ref, _reply} = message, tasks) when is_map_key(tasks, ref) do
      {{task, from}, tasks} = Map.pop!(tasks, ref)
      GenServer.reply(from, Py.Task.result(task, message))
      {:noreply, tasks}
    end
  end

  describe "tasks of a process that must not wait" do
    test "have public results" do
      {:ok, prices} = Prices.start_link()
      ask = &GenServer.call(prices, {&1, &2, &3}, 60_000)
      assert ask.(:sleep, [0], []) == {:ok, nil}
      assert {:error, %Py.Error{type: "TypeError"}} = ask.(:sleep, ["long"], [])
      assert {:error, %Py.TimeoutError{timeout: 50}} = ask.(:sleep, [0.3], timeout: 50)

      assert {:error, %Py.ContextError{reason: :not_found}} =
               ask.(:sleep, [0], context: :no_such_pool)

      assert {:error, %Py.ConversionError{}} = ask.(:sleep, [<<1::3>>], [])
    end

    test "know their own messages, and their process" do
      task = Py.async(:builtins, :abs, [-1])
      assert Py.Task.result(task, {make_ref(), {:ok, 2}}) == nil
      assert_receive {ref, _reply} = message when ref == task.ref, 60_000
      elsewhere = Task.async(fn -> catch_error(Py.Task.result(task, message)) end)
      assert Exception.message(Task.await(elsewhere)) =~ "only the process that called Py.async"
      assert Py.Task.result(task, message) == {:ok, 1}
    end
  end

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
        assert Exception.message(error) =~ "Py.exec/2 runs statements"
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

  if Code.ensure_loaded?(Telemetry.Metrics) do
    test "no two metrics have one name" do
      names = Enum.map(Py.Telemetry.metrics(), & &1.name)
      assert names == Enum.uniq(names)
    end
  end
end
