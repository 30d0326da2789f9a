defmodule Py.Test.VM do
  @moduledoc false
  # A program in a VM of its own, an operating-system process: for what ends or endangers a VM.

  @doc """
  Runs Elixir code after the application has started, and returns `{output, status}`, errors in the output.

    * `:config` - of the application, a keyword list. Default: one worker context
    * `:start` - whether to start the application first. Default: `true`
    * `:env` - environment variables, as for `System.cmd/3`
    * `:args` - arguments of `elixir` before the code
    * `:limit` - seconds after which it is killed: status 137. Default: 60
  """
  def run(code, options \\ []) do
    config = Keyword.merge([num_contexts: 1], Keyword.get(options, :config, []))

    prelude =
      "Logger.configure(level: :warning)\n" <>
        "Application.load(:erlang_python)\n" <>
        "for {key, value} <- #{inspect(config, limit: :infinity, printable_limit: :infinity)}, " <>
        "do: Application.put_env(:erlang_python, key, value)\n" <>
        if(Keyword.get(options, :start, true),
          do: "{:ok, _} = Application.ensure_all_started(:erlang_python)\n",
          else: ""
        )

    paths = Enum.flat_map(:code.get_path(), &["-pa", List.to_string(&1)])
    args = paths ++ Keyword.get(options, :args, []) ++ ["-e", prelude <> code]
    limit = Integer.to_string(Keyword.get(options, :limit, 60))
    {command, args} = limited(System.find_executable("elixir"), args, limit)

    System.cmd(command, args,
      stderr_to_stdout: true,
      env: [{"PYTHONUNBUFFERED", nil} | Keyword.get(options, :env, [])]
    )
  end

  defp limited(command, args, limit) do
    case System.find_executable("timeout") do
      nil -> {command, args}
      timeout -> {timeout, ["-s", "KILL", limit, command | args]}
    end
  end
end
