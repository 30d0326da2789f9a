defmodule Py.Schema.Docs do
  @moduledoc false
  # The options of functions, the errors of requests and the keys of the configuration as Markdown.

  alias Py.Schema
  alias Py.Schema.Type

  @doc "The options of a function, as a list."
  @spec options(Schema.function_name()) :: String.t()
  def options(function), do: function |> Schema.options() |> Enum.map_join("\n", &item/1)

  @doc "Options as a list."
  @spec item(Schema.entry()) :: String.t()
  def item(entry) do
    about = Enum.reject([values(entry.type), default(entry), since(entry.since)], &is_nil/1)
    about = if about == [], do: "", else: " (#{Enum.join(about, "; ")})"
    "* `#{inspect(entry.key)}`#{about} - #{entry.doc}"
  end

  defp values(:any), do: nil

  # Atoms, modules and tuples are code. Integers have separators.
  defp values(type) do
    Regex.replace(
      ~r/\{[^}]*\}|(?<!\w):\w+|Py(\.\w+)+|\b(true|false|nil)\b/,
      Type.expected(type),
      "`\\0`"
    )
    |> String.replace(~r/\d{5,}/, &thousands(&1, ","))
  end

  defp default(%{default: nil}), do: nil
  defp default(%{default: :required}), do: "required"
  defp default(%{configured: true} = entry), do: "default: as configured, #{shown(entry)}"
  defp default(entry), do: "default: #{shown(entry)}"

  defp shown(%{default: {:text, text}}), do: text

  defp shown(%{default: {:value, value}}) when is_integer(value),
    do: "`#{value |> Integer.to_string() |> thousands("_")}`"

  defp shown(%{default: {:value, value}}), do: "`#{inspect(value)}`"

  # Groups of three digits, in numbers of five digits and more.
  defp thousands(digits, _separator) when byte_size(digits) < 5, do: digits

  defp thousands(digits, separator),
    do: Regex.replace(~r/\B(?=(\d{3})+$)/, digits, separator)

  # What has been there from the first version on does not say so.
  defp since("0.1.0"), do: nil
  defp since(version), do: "since #{version}"

  ## The page on the configuration

  @begins "<!-- made from Py.Schema: begin -->"
  @ends "<!-- made from Py.Schema: end -->"

  @doc "The tables of the page on the configuration."
  @spec configuration() :: String.t()
  def configuration do
    for {title, entries} <- Schema.sections() do
      """
      ### #{title}

      | key | default | values | meaning |
      |---|---|---|---|
      #{Enum.map_join(entries, "\n", &row/1)}

      """
    end
    |> Enum.join()
    |> Kernel.<>(elsewhere())
  end

  defp row(entry),
    do: "| `#{entry.key}` | #{shown(entry)} | #{values(entry.type)} | #{entry.doc} |"

  # What can be set for one call, context or pool, too.
  @settings [
    {"mode", [:mode]},
    {"directories, code at the start", [:paths, :preload]},
    {"limit for the start", [:start_timeout]},
    {"bound of the queue", [:max_queue]},
    {"strategy", [:strategy]},
    {"replacing stuck contexts", [:replace_stuck]},
    {"waiting for a permit", [:wait]},
    {"time for the result", [:timeout]}
  ]

  defp elsewhere do
    rows =
      for {what, keys} <- @settings do
        cells =
          for function <- [:call, :context, :pool] do
            taken = Enum.filter(keys, &(&1 in Schema.keys(function)))
            " " <> Enum.map_join(taken, ", ", &"`#{inspect(&1)}`")
          end

        "| #{what} |#{Enum.map_join(cells, "", &(String.trim_trailing(&1) <> " |"))}"
      end

    """
    ## What may be set elsewhere

    Some settings can also be given for one call, one context or one pool. That of a call overrides
    that of its context or pool, which overrides the configuration.

    | setting | call | context of your own | pool of your own |
    |---|---|---|---|
    #{Enum.join(rows, "\n")}
    """
  end

  @doc "Puts what `configuration/0` returns into a page, between its marks."
  @spec update(String.t()) :: String.t()
  def update(page) do
    [before, rest] = String.split(page, @begins)
    [_old, behind] = String.split(rest, @ends)
    "#{before}#{@begins}\n\n#{configuration()}\n#{@ends}#{behind}"
  end

  @doc "Rewrites the page on the configuration."
  @spec write!(Path.t()) :: :ok
  def write!(path \\ "guides/introduction/configuration.md"),
    do: File.write!(path, path |> File.read!() |> update())

  ## Errors

  @errors [
    python:
      {"Py.Error",
       "the Python code raised an exception. `:type`, `:message` and `:traceback` describe it"},
    timeout:
      {"Py.TimeoutError",
       "the result was not there within `:timeout`; code that ran was interrupted. `:phase` is `:running` for slow code, " <>
         "else the request was still waiting: use more contexts, or a longer timeout"},
    interrupted:
      {"Py.InterruptedError",
       "`Py.interrupt/1`, or code that raised `KeyboardInterrupt`, ended the request"},
    overloaded:
      {"Py.OverloadedError",
       "there was no permit, no turn or no place in a queue; nothing has run. `:limit` names the limit. Try again later, " <>
         "or raise it: see [Limits and back-pressure](limits-and-back-pressure.md)"},
    context:
      {"Py.ContextError",
       "the context or pool does not exist, has ended, or is not that of a handle; `:reason` says which. The message " <>
         "names the next step"},
    conversion:
      {"Py.ConversionError",
       "a value has no counterpart on the other side. `:path` leads to it; for a result, ask for a handle by " <>
         "`return: :object`"}
  ]

  @doc "The errors of requests, by their names in `names`, as a list."
  @spec errors([atom()]) :: String.t()
  def errors(names \\ Keyword.keys(@errors)) do
    Enum.map_join(names, "\n", fn name ->
      {module, text} = Keyword.fetch!(@errors, name)
      "* `#{module}` - #{text}"
    end)
  end
end
