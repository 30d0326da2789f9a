defmodule Py.Semaphore do
  @moduledoc """
  The limit on concurrent Python work: `config :erlang_python, max_concurrent: n`.

  Every call, evaluation, task and cast holds a permit from the moment it is handed to a context until its Python code is
  done. Beyond the limit work waits in the order it came, without polling, up to its `:wait` (default: its timeout), and then
  fails with `Py.OverloadedError`; `wait: 0` sheds it at once. What a callback calls rides on the permit of the call it serves,
  so a limit of 1 cannot deadlock. Permits come back whatever happens: errors, timeouts, killed callers, crashed contexts.

  A process may hold permits itself, to count other work against the same limit:

      iex> Py.Semaphore.acquire(1_000)
      :ok
      iex> Py.Semaphore.current()
      1
      iex> Py.Semaphore.release()
      :ok

  Its own Python calls need further permits. What it holds comes back when it dies.
  """

  alias Py.Native

  @held :"$py_permits"

  @doc "Permits in use."
  @spec current() :: non_neg_integer()
  def current, do: elem(Native.permits(), 0)

  @doc "The limit."
  @spec max_concurrent() :: non_neg_integer()
  def max_concurrent, do: elem(Native.permits(), 1)

  @doc "Those that wait for a permit."
  @spec waiting() :: non_neg_integer()
  def waiting, do: elem(Native.permits(), 2)

  @doc """
  Changes the limit. Raising it serves those that wait; lowering it takes nothing from work that runs.
  """
  @spec set_max_concurrent(pos_integer()) :: :ok
  def set_max_concurrent(max) when is_integer(max) and max > 0, do: Native.set_max_permits(max)

  def set_max_concurrent(max),
    do: raise(ArgumentError, "expected a positive limit, got: #{inspect(max)}")

  @doc """
  Takes a permit for the calling process, waiting in line up to `timeout` milliseconds.

  `{:error, %Py.OverloadedError{}}` when there is none by then. Give it back with `release/0`, in the same process.
  """
  @spec acquire(timeout()) :: :ok | {:error, Py.OverloadedError.t()}
  def acquire(timeout \\ :infinity) do
    timeout = Py.Options.timeout!(:timeout, timeout)
    ref = make_ref()

    case Native.permit_acquire(ref, timeout != 0) do
      {:granted, holder} -> hold(holder)
      {:waiting, holder} -> await(holder, ref, timeout)
      :full -> overloaded()
    end
  end

  defp await(holder, ref, timeout) do
    receive do
      {^ref, :granted} -> hold(holder)
    after
      timeout ->
        if Native.permit_give_up(holder) do
          overloaded()
        else
          receive do
            {^ref, :granted} -> hold(holder)
          end
        end
    end
  end

  @doc "Gives back a permit that the calling process has acquired. Raises `ArgumentError` when it holds none."
  @spec release() :: :ok
  def release do
    case Process.get(@held, []) do
      [holder | held] ->
        Process.put(@held, held)
        Native.permit_release(holder)
        :ok

      [] ->
        raise ArgumentError,
              "this process holds no permit; it must be released by the process that acquired it"
    end
  end

  defp hold(holder) do
    Process.put(@held, [holder | Process.get(@held, [])])
    :ok
  end

  defp overloaded do
    {current, max, _waiting} = Native.permits()
    {:error, %Py.OverloadedError{current: current, max: max, limit: :permits}}
  end
end
