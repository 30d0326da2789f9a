defmodule Py.Semaphore do
  @moduledoc """
  The limit on concurrent Python requests: `config :erlang_python, max_concurrent: n`.

  Each call, evaluation, task and cast holds a permit from the moment it is next at its context until its Python code is done.
  Beyond the limit, requests wait in the order in which they came, without polling. A request waits up to its `:wait` (default:
  its `:timeout`) and then fails with `Py.OverloadedError`; with `wait: 0` it fails at once. A call that a callback makes uses
  the permit of the call it serves, so a limit of 1 cannot deadlock. A permit always comes back: after errors, timeouts, killed
  callers and crashed contexts.

  A process may hold permits itself, to count other work against the same limit:

      iex> Py.Semaphore.acquire(1_000)
      :ok
      iex> Py.Semaphore.in_use()
      1
      iex> Py.Semaphore.release()
      :ok

  The Python calls of that process need permits of their own. The permits that a process holds come back when it dies.

  The numbers of the limit have the same names everywhere: see
  [The numbers and where to find them](telemetry.md#the-numbers-and-where-to-find-them).
  """

  alias Py.Native

  # The key in the process dictionary for the permits that the process holds.
  @held :"$py_permits"

  @doc """
  Returns the three numbers of the limit.

      iex> Py.Semaphore.info()
      %{in_use: 0, max_concurrent: Py.Semaphore.max_concurrent(), waiting: 0}

  Keys:

    * `:in_use` - the number of permits in use. It exceeds `:max_concurrent` for a while after the limit was lowered
    * `:max_concurrent` - the limit
    * `:waiting` - the number of requests and processes that wait for a permit. Those that gave up are not counted

  `Py.info/0` and `Py.Stats` have the same numbers.
  """
  @doc since: "0.1.0"
  @spec info() :: Py.Stats.permits()
  def info, do: Native.permits()

  @doc """
  Returns the number of permits in use: one for each request that is next or running at its context, and those that processes
  hold.

      iex> Py.Semaphore.in_use()
      0
  """
  @doc since: "0.1.0"
  @spec in_use() :: non_neg_integer()
  def in_use, do: elem(Native.permits_used(), 0)

  @doc """
  Returns the limit. The default is twice the number of schedulers online, plus one.

      iex> Py.Semaphore.max_concurrent() > 0
      true
  """
  @doc since: "0.1.0"
  @spec max_concurrent() :: pos_integer()
  def max_concurrent, do: elem(Native.permits_used(), 1)

  @doc """
  Returns the number of requests and processes that wait for a permit.

      iex> Py.Semaphore.waiting()
      0

  Requests that wait for a busy context are not counted here but in its `queued`, see `t:Py.Stats.context/0`.
  """
  @doc since: "0.1.0"
  @spec waiting() :: non_neg_integer()
  def waiting, do: info().waiting

  @doc """
  Changes the limit, until the VM stops or the application starts again.

      iex> limit = Py.Semaphore.max_concurrent()
      iex> Py.Semaphore.set_max_concurrent(limit + 1)
      :ok
      iex> Py.Semaphore.max_concurrent() - limit
      1
      iex> Py.Semaphore.set_max_concurrent(limit)
      :ok

  After the limit was raised, waiting requests get the new permits at once. After it was lowered, requests that have a permit
  keep it.

  ## Errors

  Raises `ArgumentError` if `max` is not a positive integer.
  """
  @doc since: "0.1.0"
  @spec set_max_concurrent(pos_integer()) :: :ok
  def set_max_concurrent(max) when is_integer(max) and max > 0, do: Native.set_max_permits(max)

  def set_max_concurrent(max),
    do: raise(ArgumentError, "invalid limit: #{inspect(max)}; expected a positive integer")

  @doc """
  Takes a permit for the calling process, and waits for one up to `timeout` milliseconds (default: `:infinity`).

      iex> Py.Semaphore.acquire()
      :ok
      iex> Py.Semaphore.release()
      :ok

  Give it back with `release/0`, in the same process. A process may hold several.

  ## Errors

    * `{:error, %Py.OverloadedError{limit: :permits}}` - no permit became free in that time
    * raises `ArgumentError` if `timeout` is neither a number of milliseconds nor `:infinity`
  """
  @doc since: "0.1.0"
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

  @doc """
  Gives back a permit that the calling process has acquired.

      iex> Py.Semaphore.acquire()
      iex> Py.Semaphore.release()
      :ok

  ## Errors

  Raises `ArgumentError` if the calling process holds no permit.
  """
  @doc since: "0.1.0"
  @spec release() :: :ok
  def release do
    case Process.get(@held, []) do
      [holder | held] ->
        Process.put(@held, held)
        Native.permit_release(holder)
        :ok

      [] ->
        raise ArgumentError,
              "this process holds no permit; a permit must be released by the process that acquired it"
    end
  end

  defp hold(holder) do
    Process.put(@held, [holder | Process.get(@held, [])])
    :ok
  end

  defp overloaded do
    {current, max} = Native.permits_used()
    {:error, %Py.OverloadedError{current: current, max: max, limit: :permits}}
  end
end
