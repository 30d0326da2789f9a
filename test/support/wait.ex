defmodule Py.Test.Wait do
  @moduledoc false
  # Waiting in tests: until something is true, with a deadline; never for a fixed time.

  import ExUnit.Assertions

  @doc "Polls until `condition` returns a truthy value, and returns it."
  def eventually(condition, timeout \\ 10_000) do
    poll(condition, System.monotonic_time(:millisecond) + timeout)
  end

  defp poll(condition, deadline) do
    cond do
      value = condition.() ->
        value

      System.monotonic_time(:millisecond) > deadline ->
        flunk("still not true at the deadline")

      true ->
        receive do
        after
          5 -> poll(condition, deadline)
        end
    end
  end

  @doc "Waits until a context runs a request."
  def until_running(context) do
    eventually(fn -> match?({:ok, %{running: 1}}, Py.Context.info(context)) end)
  end

  @doc "Has one permit until the test ends, and takes it."
  def take_only_permit do
    limit = Py.Semaphore.max_concurrent()
    ExUnit.Callbacks.on_exit(fn -> Py.Semaphore.set_max_concurrent(limit) end)
    Py.Semaphore.set_max_concurrent(1)
    :ok = Py.Semaphore.acquire()
  end

  @doc "A Python file of its own that code can wait for: returns its path."
  def tmp_path(name) do
    path =
      Path.join(System.tmp_dir!(), "erlang_python_#{System.unique_integer([:positive])}_#{name}")

    ExUnit.Callbacks.on_exit(fn -> File.rm_rf(path) end)
    path
  end

  @doc "A pipe for Python code to wait for, which no interrupt ends: `open(path)` returns after `release/1`."
  def pipe do
    path = tmp_path("pipe")
    {_, 0} = System.cmd("mkfifo", [path])
    path
  end

  @doc "Ends the wait for a pipe."
  def release(pipe), do: pipe |> File.open!([:write, :raw]) |> File.close()

  @doc "Permits in use and waiting."
  def permits, do: Map.take(Py.info(), [:in_use, :waiting])

  @doc "Messages in the mailbox of the calling process."
  def mailbox, do: Process.info(self(), :messages) |> elem(1)
end
