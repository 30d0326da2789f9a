defmodule Py.Error do
  @moduledoc """
  A Python exception.

      iex> {:error, error} = Py.call(:math, :sqrt, [-1])
      iex> {error.type, error.module}
      {"ValueError", "builtins"}
      iex> Py.Error.is_a?(error, "ArithmeticError")
      false

  `Exception.message/1` gives class, message and traceback as Python prints them. The guide [Errors](errors.md) says what to do
  with each kind of error.

  Fields:

    * `:type` - the qualified name of the class, `"ValueError"`
    * `:module` - the module of the class, `"builtins"`
    * `:message` - `str()` of the exception
    * `:traceback` - the text that Python prints, causes and notes included
    * `:frames` - at most the 50 innermost frames, outermost first: see `t:frame/0`
    * `:notes` - the texts that `add_note` added
    * `:cause` - the `Py.Error` that caused this one (`raise … from …`, or raised while handling), or `nil`
    * `:exceptions` - the members of an exception group
    * `:bases` - the qualified names of the class and its base classes, see `is_a?/2`
    * `:exception` - a `Py.Object` for the exception itself, without its traceback, or `nil` for causes and members
  """

  @typedoc """
  A frame of the traceback: the file and line, the qualified name of the function, and the source text of the line. `:line` is
  `nil` for code that has no lines.
  """
  @type frame :: %{
          file: String.t(),
          line: pos_integer() | nil,
          function: String.t(),
          code: String.t()
        }

  @typedoc "A Python exception. The fields are described above."
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

    # The traceback of an error without frames, as from a function written in C, repeats the short form.
    case String.trim_trailing(error.traceback) do
      traceback when traceback in ["", short] -> short
      traceback -> short <> "\n\n" <> traceback
    end
  end

  @doc """
  Returns `true` if `except class:` would catch this exception.

  `class` is a name with its module (`"json.decoder.JSONDecodeError"`), or without one for built-in classes. The result is
  `false` for an exception that is no `Py.Error`.

      iex> {:error, error} = Py.call(:json, :loads, ["{"])
      iex> {Py.Error.is_a?(error, "json.decoder.JSONDecodeError"), Py.Error.is_a?(error, "ValueError")}
      {true, true}
      iex> Py.Error.is_a?(error, "KeyError")
      false
  """
  @doc since: "0.1.0"
  @spec is_a?(Exception.t(), String.t() | atom()) :: boolean()
  def is_a?(%__MODULE__{bases: bases}, class) do
    class = to_string(class)
    class in bases or "builtins.#{class}" in bases
  end

  def is_a?(_other, _class), do: false

  @statements "Py.eval takes one expression. Use Py.exec/2 for statements, with return: :last for the value of the last one"

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

  # An error of code that the expression has run.
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
  A request took longer than its `:timeout`, which includes the time in the queue.

    * `:timeout` - the timeout that was given, in milliseconds
    * `:phase` - how far the request had come. `:running`: the Python code is interrupted. `:queued` at its context: it
      never ran. `nil` if that is not known
    * `:context` - the id of the context, as in `Py.stats/0`, or `nil`

  A request that got no permit in time fails with `Py.OverloadedError` instead.

      iex> {:error, error} = Py.exec("while True: pass", timeout: 50)
      iex> {error.__struct__, error.timeout, error.phase}
      {Py.TimeoutError, 50, :running}
  """
  @typedoc "A timeout. The fields are described above."
  @type t :: %__MODULE__{
          timeout: timeout(),
          phase: :queued | :running | nil,
          context: pos_integer() | nil
        }
  defexception [:timeout, :phase, :context]

  @impl true
  def message(%{timeout: timeout, phase: :queued, context: context}) do
    "timed out after #{timeout} ms: the request was queued behind other requests#{on(context)} and never ran. " <>
      "Use another context, a pool with more contexts, or a larger :timeout. Py.stats/0 shows what each context runs"
  end

  def message(%{timeout: timeout, context: context}) do
    "timed out after #{timeout} ms: the Python code#{on(context)} is interrupted. Code in C goes on until it returns. " <>
      "Use a larger :timeout if it needs longer"
  end

  defp on(nil), do: ""

  defp on(context) do
    case Py.Context.Table.label(context) do
      nil -> " on Python context #{context}"
      label -> " on Python context #{context} (#{label})"
    end
  end
end

defmodule Py.InterruptedError do
  @moduledoc """
  The Python code was interrupted by `Py.interrupt/1` or `Py.Context.interrupt/1`: Python raised `KeyboardInterrupt`.
  """
  @typedoc "An interrupt; `:message` is its text."
  @type t :: %__MODULE__{message: String.t()}
  defexception message: "the Python code was interrupted (Py.interrupt/1, Py.Context.interrupt/1)"
end

defmodule Py.OverloadedError do
  @moduledoc """
  A request was refused because there are too many at once. It never ran, so it can be sent again.

    * `:limit` - the limit that was reached for longer than the `:wait` of the request:
      * `:permits` - all permits of the VM are in use, `config :erlang_python, max_concurrent: …`
      * `:context` - its context is busy: one request runs, and another one is next. Other contexts may be idle
      * `:queue` - its context has as many requests as `max_queue` allows. Such a request is refused at once
    * `:current`, `:max` - the number in use and the limit. They are the `in_use` and `max_concurrent` of `Py.Semaphore` for
      `:permits`, the `load` of the context (see `t:Py.Stats.context/0`) and its `max_queue` for `:queue`, its `load` and 2 for
      `:context`. `:current` may exceed `:max`, because further requests wait in line at the context

  See the guide [Limits and back-pressure](limits-and-back-pressure.md).
  """
  @typedoc "A refused request. The fields are described above."
  @type t :: %__MODULE__{
          current: non_neg_integer(),
          max: non_neg_integer(),
          limit: :permits | :context | :queue | nil
        }
  defexception [:current, :max, :limit]

  @impl true
  def message(%{current: current, limit: :context}) do
    "refused: the Python context is busy and has #{current} requests. Use another context, a pool with more contexts, or " <>
      "a longer :wait"
  end

  def message(%{current: current, max: max, limit: :queue}) do
    "refused: the Python context has #{current} requests, and its max_queue is #{max}. Try again later, use another " <>
      "context, a pool with more contexts, or a larger :max_queue"
  end

  def message(%{current: current, max: max}) do
    "refused: too many Python requests at once, #{current} of #{max} permits in use. Try again later, use a longer " <>
      ":wait, or raise :max_concurrent"
  end
end

defmodule Py.ContextError do
  @moduledoc """
  The context cannot serve the request. `:reason` is one of

    * `:not_found` - there is no such context: a wrong pid, name or index
    * `:stopped` - the context was stopped, or its owner died, before the request was done
    * `{:crashed, text}` - the thread of the context crashed. A context of a pool is replaced
    * `{:failed, text}` - the context could not start
    * `{:unreachable, text}` - the context is on another node, which does not answer or cannot do this
    * `:not_running` - the application `:erlang_python` is not running
    * `:wrong_interpreter` - a handle belongs to another interpreter, or to one that has ended

  `:context` is the pid, name, index or id of the context where it is known.
  """
  @typedoc "A context that cannot serve the request. The fields are described above."
  @type t :: %__MODULE__{reason: atom() | {atom(), String.t()}, context: term()}
  defexception [:reason, :context]

  @impl true
  def message(%{reason: :not_running}) do
    "the application erlang_python is not running. Start it with Application.ensure_all_started(:erlang_python), in Erlang " <>
      "with application:ensure_all_started(erlang_python)"
  end

  def message(%{reason: :not_found, context: :default}) do
    if Py.Config.get(:num_contexts) == 0 do
      "there is no default pool, because config :erlang_python, num_contexts is 0. Raise it, or name a context or pool of " <>
        "your own"
    else
      "the default pool is not started. Start it with Py.Router.start/1"
    end
  end

  def message(%{reason: :not_found, context: name}) when is_atom(name) do
    "there is no Python context #{inspect(name)}, and no pool of that name. Start a pool with Py.Router.start_pool/3. " <>
      "The started pools are #{inspect(Py.Pool.Table.pools())}. Py.Context.list/0 lists the running contexts"
  end

  def message(%{reason: :not_found, context: context}) do
    "there is no Python context #{inspect(context)}. Py.Context.list/0 lists the running contexts"
  end

  def message(%{reason: :stopped}) do
    "the Python context was stopped before the request was done. A context of a pool is replaced at once: try again, if the " <>
      "code may run twice"
  end

  def message(%{reason: {:crashed, text}}) do
    "the thread of the Python context crashed: #{text}. A context of a pool is replaced at once. Please report this as a bug"
  end

  def message(%{reason: {:unreachable, text}}),
    do: "the Python context of another node cannot be used: #{text}"

  def message(%{reason: {:failed, text}}), do: "the Python context could not start: #{text}"

  def message(%{reason: :wrong_interpreter}) do
    "a Py.Object or Py.Env belongs to another interpreter, or to one that has ended. Use it on the context it was made in"
  end
end

defmodule Py.ConversionError do
  @moduledoc """
  A term has no Python counterpart, or a Python object no Elixir or Erlang counterpart.

    * `:reason` - a text that says why
    * `:path` - the place of the value: `"args[0].users[3].pid"`; `""` if it is the value itself

  The guide [Values](values.md) lists what is converted.

      iex> {:error, error} = Py.call(:builtins, :len, [%{users: [<<1::3>>]}])
      iex> error.path
      "args[0].users[0]"
  """
  @typedoc "A value that cannot be converted. The fields are described above."
  @type t :: %__MODULE__{reason: String.t(), path: String.t()}
  defexception [:reason, path: ""]

  @impl true
  def message(%{reason: reason, path: ""}), do: "cannot convert the value: #{reason}"
  def message(%{reason: reason, path: path}), do: "cannot convert #{path}: #{reason}"
end

defmodule Py.InterpreterError do
  @moduledoc """
  There is no usable Python, so the application does not start. `:message` says what was tried and how to fix it. See
  `Py.Interpreter` for where Python is searched.
  """
  @typedoc "An unusable Python; `:message` is its text."
  @type t :: %__MODULE__{message: String.t()}
  defexception [:message]
end
