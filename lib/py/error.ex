defmodule Py.Error do
  @moduledoc """
  A Python exception.

      iex> {:error, error} = Py.call(:math, :sqrt, [-1])
      iex> {error.type, error.module}
      {"ValueError", "builtins"}
      iex> Py.Error.is_a?(error, "ArithmeticError")
      false

  `Exception.message/1` shows class, message and traceback as Python prints them.

  Fields:

    * `:type` - qualified name of the class, `"ValueError"`
    * `:module` - module of the class, `"builtins"`
    * `:message` - `str()` of the exception
    * `:traceback` - as Python prints it, causes and notes included
    * `:frames` - outermost first, at most the 50 innermost: maps with `:file`, `:line`, `:function`, `:code`
    * `:notes` - what `add_note` added
    * `:cause` - the `Py.Error` that caused this one (`raise … from …`, or raised while handling), or `nil`
    * `:exceptions` - the members of an exception group
    * `:bases` - qualified names of the class and its base classes, see `is_a?/2`
    * `:exception` - a `Py.Object` for the exception itself, without its traceback, or `nil` for causes and members
  """

  @type frame :: %{
          file: String.t(),
          line: pos_integer() | nil,
          function: String.t(),
          code: String.t()
        }
  @type t :: %__MODULE__{
          type: String.t(),
          module: String.t(),
          message: String.t(),
          traceback: String.t(),
          frames: [frame()],
          notes: [String.t()],
          cause: t() | nil,
          exceptions: [t()],
          bases: [String.t()],
          exception: Py.Object.t() | nil
        }

  defexception type: "Exception",
               module: "builtins",
               message: "",
               traceback: "",
               frames: [],
               notes: [],
               cause: nil,
               exceptions: [],
               bases: [],
               exception: nil

  @impl true
  def message(error) do
    short = "#{error.type}: #{error.message}"

    # Without frames, as for errors of functions written in C, the traceback may have nothing to add.
    case String.trim_trailing(error.traceback) do
      traceback when traceback in ["", short] -> short
      traceback -> short <> "\n\n" <> traceback
    end
  end

  @doc """
  Whether `except class:` would catch this exception.

  `class` is a name with its module (`"json.decoder.JSONDecodeError"`), or without one for built-in classes.

      iex> {:error, error} = Py.call(:json, :loads, ["{"])
      iex> {Py.Error.is_a?(error, "json.decoder.JSONDecodeError"), Py.Error.is_a?(error, "ValueError")}
      {true, true}
      iex> Py.Error.is_a?(error, "KeyError")
      false
  """
  @spec is_a?(Exception.t(), String.t() | atom()) :: boolean()
  def is_a?(%__MODULE__{bases: bases}, class) do
    class = to_string(class)
    class in bases or "builtins.#{class}" in bases
  end

  def is_a?(_other, _class), do: false

  @statements "eval takes one expression; Py.exec/2 runs statements, with return: :last for the value of the last one"

  @doc false
  # Adds a note to the syntax error of an expression, where `code` looks like statements.
  def advise_statements(%__MODULE__{frames: []} = error, code) do
    if statements?(code) do
      notes = error.notes ++ [@statements]
      %{error | notes: notes, traceback: error.traceback <> @statements <> "\n"}
    else
      error
    end
  end

  # Of code that the expression has run.
  def advise_statements(error, _code), do: error

  # Several lines, a keyword that begins a statement, or an assignment.
  defp statements?(code) do
    code =~ ~r/\n\s*\S/ or
      code =~
        ~r/^\s*(assert|async|class|def|del|for|from|global|if|import|nonlocal|pass|raise|return|try|while|with)\b/ or
      code =~ ~r/^\s*[\w.\[\]'", ]+([-+*%&|^@]|\*\*|\/{1,2}|<<|>>)?=(?!=)/
  end

  @doc false
  # From the tuple of `describe` in priv/python/erlang/_errors.py.
  def from_description(
        {type, module, message, traceback, frames, notes, cause, bases, members, _location},
        object
      ) do
    %__MODULE__{
      type: type,
      module: module,
      message: message,
      traceback: traceback,
      frames: Enum.map(frames, &frame/1),
      notes: notes,
      cause: cause && from_description(cause, nil),
      exceptions: Enum.map(members, &from_description(&1, nil)),
      bases: bases,
      exception: object
    }
  end

  defp frame({file, line, function, code}),
    do: %{file: file, line: line, function: function, code: code}
end

defmodule Py.TimeoutError do
  @moduledoc """
  A call took longer than its `:timeout`, time in the queue included.

    * `:timeout` - milliseconds, as given
    * `:phase` - `:running`, and the Python code is interrupted; or `:queued`, or `:waiting` for a permit, when nothing of the
      request had run; `nil` where that is not known. A call that got no permit ends with `Py.OverloadedError` instead
    * `:context` - the number of the context, as in `Py.stats/0`, or `nil`
  """
  @type t :: %__MODULE__{
          timeout: timeout(),
          phase: :waiting | :queued | :running | nil,
          context: pos_integer() | nil
        }
  defexception [:timeout, :phase, :context]

  @impl true
  def message(%{timeout: timeout, phase: :queued, context: context}) do
    "no result within #{timeout} ms; the request was still queued behind other work#{on(context)}, nothing of it has run. " <>
      "Use another context, a pool with more of them, or a larger :timeout; Py.stats/0 shows what its contexts do"
  end

  def message(%{timeout: timeout, phase: :waiting}) do
    "no result within #{timeout} ms; the request was still waiting for a permit, nothing of it has run. Await it for longer, " <>
      "raise :max_concurrent, or run less at once"
  end

  def message(%{timeout: timeout, context: context}) do
    "no result within #{timeout} ms; the Python code#{on(context)} was interrupted. Pass a larger :timeout if it needs longer"
  end

  defp on(nil), do: ""
  defp on(context), do: " on Python context #{context}"
end

defmodule Py.InterruptedError do
  @moduledoc "The Python code was interrupted: by `Py.interrupt/1`."
  @type t :: %__MODULE__{}
  defexception message: "the Python code was interrupted"
end

defmodule Py.OverloadedError do
  @moduledoc """
  Too much Python work at once: nothing of the work has run.

    * `:limit` - what was in the way for longer than the call was ready to `:wait`:
      * `:permits` - the limit on concurrent work of the VM, `config :erlang_python, max_concurrent: …`
      * `:context` - its context was busy: one request runs, and another one is next. Other contexts may be idle
      * `:queue` - as many requests as its `max_queue` allows wait for that context; refused at once
    * `:current`, `:max` - what is in use and what may be: permits, or requests at that context. Those that are ready to wait
      stand in its line beyond `:max`, so `:current` may be more
  """
  @type t :: %__MODULE__{
          current: non_neg_integer(),
          max: non_neg_integer(),
          limit: :permits | :context | :queue | nil
        }
  defexception [:current, :max, :limit]

  @impl true
  def message(%{current: current, limit: :context}) do
    "the Python context is busy: #{current} requests are there. Use another context, a pool with more of them, or wait " <>
      "longer (:wait)"
  end

  def message(%{current: current, max: max, limit: :queue}) do
    "the Python context has #{current} requests, and its max_queue is #{max}. Try again later, use another context, a pool " <>
      "with more of them, or raise :max_queue"
  end

  def message(%{current: current, max: max}) do
    "too much Python work at once: #{current} of #{max} permits in use. Try again later, wait longer (:wait), or raise " <>
      ":max_concurrent"
  end
end

defmodule Py.ContextError do
  @moduledoc """
  The context cannot serve the call. `:reason` is one of

    * `:not_found` - no such context: a wrong pid, name or index
    * `:stopped` - it was stopped, or its owner died, before the call was done
    * `{:crashed, text}` - its thread failed; it is being replaced
    * `{:failed, text}` - it could not start
    * `{:unreachable, text}` - it is on another node, which does not answer or cannot do this
    * `:not_running` - the application `:erlang_python` is not started
    * `:wrong_interpreter` - a handle belongs to another interpreter, or to one that has ended
  """
  @type t :: %__MODULE__{reason: atom() | {atom(), String.t()}, context: term()}
  defexception [:reason, :context]

  @impl true
  def message(%{reason: :not_running}) do
    "the application erlang_python is not running; start it first: Application.ensure_all_started(:erlang_python), in Erlang " <>
      "application:ensure_all_started(erlang_python)"
  end

  def message(%{reason: :not_found, context: :default}) do
    cond do
      not Py.Lifecycle.running?() ->
        message(%{reason: :not_running})

      Py.Config.get(:num_contexts) == 0 ->
        "there is no default pool, for config :erlang_python, num_contexts is 0; raise it, or name a context or pool of your own"

      true ->
        "the default pool is not started; see Py.Router.start/1"
    end
  end

  def message(%{reason: :not_found, context: name}) when is_atom(name) do
    "there is no Python context #{inspect(name)}, and no pool of that name; start a pool with Py.Router.start_pool/3. " <>
      "Started are the pools #{inspect(Py.Pool.Table.pools())}; Py.Context.list/0 lists the running contexts"
  end

  def message(%{reason: :not_found, context: context}) do
    "there is no Python context #{inspect(context)}; Py.Context.list/0 lists the running ones"
  end

  def message(%{reason: :stopped}) do
    "the Python context was stopped before the call was done; contexts of a pool are replaced at once, try again"
  end

  def message(%{reason: {:crashed, text}}),
    do: "the thread of the Python context crashed: #{text}"

  def message(%{reason: {:unreachable, text}}),
    do: "the Python context of another node cannot be used: #{text}"

  def message(%{reason: {:failed, text}}), do: "the Python context could not start: #{text}"

  def message(%{reason: :wrong_interpreter}) do
    "a Py.Object or Py.Env of another interpreter, or of one that has ended; use it on the context it was made in"
  end
end

defmodule Py.ConversionError do
  @moduledoc """
  A term has no Python counterpart, or a Python object no term. `:path` leads to it: `"args[0].users[3].pid"`.

      iex> {:error, error} = Py.call(:builtins, :len, [%{users: [<<1::3>>]}])
      iex> error.path
      "args[0].users[0]"
  """
  @type t :: %__MODULE__{reason: String.t(), path: String.t()}
  defexception [:reason, path: ""]

  @impl true
  def message(%{reason: reason, path: ""}), do: "cannot convert the value: #{reason}"
  def message(%{reason: reason, path: path}), do: "cannot convert #{path}: #{reason}"
end

defmodule Py.InterpreterError do
  @moduledoc "No usable Python: what was tried, and how to fix it."
  @type t :: %__MODULE__{message: String.t()}
  defexception [:message]
end
