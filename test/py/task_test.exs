defmodule Py.TaskTest do
  # Results of tasks that arrive as messages.
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
end
