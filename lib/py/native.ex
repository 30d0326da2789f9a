defmodule Py.Native do
  @moduledoc false
  # The stubs of the NIF. Those of requests have one caller, `Py.Request`.

  # Not at run time: a release has no cargo.
  for source <- Py.Native.Install.install!(), do: @external_resource(source)

  # Mix asks this: a folder of libraries that was deleted is filled again.
  @doc false
  def __mix_recompile__?, do: not Py.Native.Install.installed?()

  @type context :: reference()
  @type request :: reference()
  @type callback :: {:callback, non_neg_integer(), term(), tuple()}

  @typedoc """
  The outcome of a request so far:

    * `{:ok, value}`, `{:error, reason}` - its reply; of a request with the flag `timed` it is `{:done, request, reply}`
    * `{:ask, request, callback}` - run this function, then `callback_resume/3`
    * `:poll` - not there yet: give other processes a turn, then `poll/2`, with the request in `{:poll, request}`, else with
      the one given before, or `nil`
    * a request - a message `{reference, reply | callback}` will come, unless the caller cancels first
    * `{:refused, reason}` - it was not taken; for `:stuck`, another context should take it

  Replies and `:poll` have no tuple of their own around them because that would make each short call slower.
  """
  @type outcome ::
          reply()
          | {:done, request(), reply()}
          | {:ask, request(), callback()}
          | :poll
          | {:poll, request()}
          | request()
          | {:refused,
             :stopped
             | :stuck
             | {:rejected, :permits | :queue | :context, non_neg_integer(), non_neg_integer()}}
  @type reply :: {:ok, term()} | {:error, term()}

  # The contexts of a running Python belong to the version of this module that loaded the library. Another version gets no
  # functions from it; where the old one can stay, it does.
  @on_load :check_version
  @again "the module Py.Native was loaded again while Python runs, and a VM can load its library once: restart the VM"

  defp check_version do
    if loaded_before?() and :erlang.module_loaded(__MODULE__), do: {:error, @again}, else: :ok
  end

  defp loaded_before?, do: :persistent_term.get({__MODULE__, :loaded}, false)

  @doc "Loads the library. libpython must be open: see `Py.Native.Loader`."
  @spec load() :: :ok | {:error, String.t()}
  def load do
    cond do
      loaded?() -> :ok
      loaded_before?() -> {:error, @again}
      true -> load_library()
    end
  end

  defp load_library do
    path = :filename.join(:code.priv_dir(:erlang_python), ~c"native/erlang_python_nif")

    case :erlang.load_nif(path, 0) do
      :ok -> :persistent_term.put({__MODULE__, :loaded}, true)
      {:error, {_reason, text}} -> {:error, List.to_string(text)}
    end
  end

  @doc "Returns `true` if this version of the module has the functions of the library."
  @spec loaded?() :: boolean()
  def loaded?, do: :erlang.phash2(0, 1) == 1

  @spec start_runtime(%{
          executable: String.t(),
          package: String.t(),
          environment: [{String.t(), String.t()}],
          memory_tuning: boolean()
        }) ::
          {:ok, %{version: String.t(), own_gil: boolean()}} | {:error, String.t()}
  def start_runtime(_options), do: stub()

  @doc "Runs Python's exit functions and flushes its files: whether that ended within two seconds."
  @spec run_exit_functions() :: boolean()
  def run_exit_functions, do: stub()

  @doc "Starts a thread that sends back what it gets: the floor that benchmarks compare calls with."
  @spec echo_start(non_neg_integer()) :: {:ok, reference()} | {:error, String.t()}
  def echo_start(_spin_us), do: stub()

  @spec echo(reference(), {reference(), term()}) :: :ok
  def echo(_thread, _pair), do: stub()

  @doc "Permits in use, and the limit."
  @spec permits_used() :: {non_neg_integer(), pos_integer()}
  def permits_used, do: stub()

  @doc "The numbers of the limit. Slower than `permits_used/0` while many requests wait."
  @spec permits() :: Py.Stats.permits()
  def permits, do: stub()

  @doc "Bounds the size of one value that comes from Python, in bytes; `0` for the default. Returns the bound."
  @spec set_max_value_size(non_neg_integer()) :: pos_integer()
  def set_max_value_size(_max), do: stub()

  @spec set_max_permits(non_neg_integer()) :: :ok
  def set_max_permits(_max), do: stub()

  @spec context_start(map()) :: {:ok, context(), pos_integer()} | {:error, String.t()}
  def context_start(_options), do: stub()

  @doc "Ends a context. Returns the milliseconds since this was first asked."
  @spec context_stop(context()) :: non_neg_integer()
  def context_stop(_context), do: stub()

  @doc "Returns the entry of a snapshot for the context."
  @spec context_info(context()) :: map()
  def context_info(_context), do: stub()

  @spec context_stack(context()) ::
          [{String.t(), pos_integer() | nil, String.t()}] | :stopped | :unsupported
  def context_stack(_context), do: stub()

  @spec context_interrupt(context()) :: boolean()
  def context_interrupt(_context), do: stub()

  @spec context_state(context()) :: {pos_integer(), boolean()}
  def context_state(_context), do: stub()

  @spec context_owner(context()) :: pid()
  def context_owner(_context), do: stub()

  @spec submit(
          context(),
          pid(),
          reference() | {reference(), context(), Py.Operation.brief()},
          term(),
          term(),
          non_neg_integer(),
          integer(),
          [pid()]
        ) ::
          outcome()
  def submit(_context, _caller, _ref, _operation, _namespace, _flags, _deadline, _callers),
    do: stub()

  @spec poll(request() | nil, boolean()) :: outcome()
  def poll(_request, _last), do: stub()

  @spec cancel(request(), :timeout | :user) :: :waiting | :queued | :running | :lost | :done
  def cancel(_request, _why), do: stub()

  @spec cancel_waiting(request()) ::
          false | {:overloaded, :permits | :context, non_neg_integer(), non_neg_integer()}
  def cancel_waiting(_request), do: stub()

  @spec permit_acquire(reference(), boolean()) :: {:granted | :waiting, reference()} | :full
  def permit_acquire(_reference, _wait), do: stub()

  @spec permit_give_up(reference()) :: boolean()
  def permit_give_up(_holder), do: stub()

  @spec permit_release(reference()) :: boolean()
  def permit_release(_holder), do: stub()

  @spec context_load(context()) :: non_neg_integer()
  def context_load(_context), do: stub()

  @doc "Returns `true` if calls of this process, which works for `callers`, are nested in a request of Python code."
  @spec is_nested([pid()]) :: boolean()
  def is_nested(_callers), do: stub()

  @doc "Returns how unfit a context is for new calls: 0 fit, 1 a request has run for more than 5 ms, 2 it is stuck."
  @spec context_pressure(context()) :: 0..2
  def context_pressure(_context), do: stub()

  @doc "Returns `true` if some thread holds the GIL of a stuck context, so that nothing else of its interpreter runs."
  @spec context_gil_held(context()) :: boolean()
  def context_gil_held(_context), do: stub()

  @spec set_registered(String.t(), boolean()) :: :ok
  def set_registered(_name, _erlang), do: stub()

  @spec clear_registered_name(String.t()) :: :ok
  def clear_registered_name(_name), do: stub()

  @spec clear_registered() :: :ok
  def clear_registered, do: stub()

  @spec callback_enter(request(), non_neg_integer()) :: :ok
  def callback_enter(_request, _id), do: stub()

  @spec callback_answer(request(), non_neg_integer(), term()) :: boolean()
  def callback_answer(_request, _id, _answer), do: stub()

  @spec callback_resume(request(), non_neg_integer(), term()) :: :poll | request()
  def callback_resume(_request, _id, _answer), do: stub()

  @spec poll_soon(request()) :: outcome()
  def poll_soon(_request), do: stub()

  @spec callback_answer_thread(non_neg_integer(), term()) :: boolean()
  def callback_answer_thread(_id, _answer), do: stub()

  @spec callback_fail_orphaned() :: :ok
  def callback_fail_orphaned, do: stub()

  @spec state_fetch(binary()) :: {:ok, term()} | :error
  def state_fetch(_key), do: stub()

  @spec state_put(binary(), term()) :: :ok | :full
  def state_put(_key, _value), do: stub()

  @spec state_incr(binary(), integer()) :: integer() | :full | :not_an_integer | :error
  def state_incr(_key, _by), do: stub()

  @spec state_delete(binary()) :: boolean()
  def state_delete(_key), do: stub()

  @spec state_keys() :: [binary()]
  def state_keys, do: stub()

  @spec state_sizes() :: [{binary(), non_neg_integer()}]
  def state_sizes, do: stub()

  @spec state_clear() :: :ok
  def state_clear, do: stub()

  @spec state_info() :: {non_neg_integer(), pos_integer() | nil}
  def state_info, do: stub()

  @spec state_set_max(pos_integer() | nil) :: :ok
  def state_set_max(_max), do: stub()

  @spec stats_snapshot([context()]) :: map()
  def stats_snapshot(_contexts), do: stub()

  @spec stats_subscribe() :: :ok
  def stats_subscribe, do: stub()

  @spec stats_take_events() :: [map()]
  def stats_take_events, do: stub()

  @doc "The calling process gets `{:py_task, ref, :ok | {:error, reason}, times}` of tracked requests, instead of another."
  @spec follow_tasks() :: :ok
  def follow_tasks, do: stub()

  @spec request_times(request()) :: {pos_integer(), non_neg_integer(), non_neg_integer()}
  def request_times(_request), do: stub()

  defp stub do
    if loaded_before?(), do: raise(%Py.InterpreterError{message: @again})
    # The library is loaded when the application starts.
    :erlang.nif_error(%Py.ContextError{reason: :not_running})
  end
end
