defmodule Soak.Operations do
  @moduledoc false
  # What the clients do. An operation is given a target, and returns the kind of its answer; any other answer than those
  # that it matches ends the client with the reason.

  # Contexts that are killed or stopped while the clients use them. The last has a queue of two.
  @killed [:soak_worker, :soak_own_gil, :soak_small]

  # Weights are of a hundred and more.
  @operations [
    call: 30,
    data: 20,
    eval: 10,
    error: 10,
    refused: 4,
    timeout: 3,
    callback: 10,
    nested: 3,
    state: 10,
    handle: 10,
    async: 8,
    cancel: 3,
    parallel: 3,
    cast: 2,
    env: 2,
    garbage: 2,
    orphan: 3,
    overload: 3,
    erlang: 5,
    fork: 1
  ]

  @fork "[pid := __import__('os').fork(), __import__('os').waitpid(pid, 0)[1] if pid else 0][1]"

  @doc "The contexts that end during a run."
  @spec killed() :: [atom()]
  def killed, do: @killed

  @doc "The names of the operations."
  @spec names() :: [atom()]
  def names, do: Keyword.keys(@operations)

  @doc "One of the operations, by weight."
  @spec choose() :: atom()
  def choose do
    at = :rand.uniform(Enum.sum(Keyword.values(@operations)))

    Enum.reduce_while(@operations, at, fn {name, weight}, left ->
      if left <= weight, do: {:halt, name}, else: {:cont, left - weight}
    end)
  end

  @doc "Functions that Python code of the run calls."
  @spec register() :: :ok
  def register do
    Py.register_function("soak_add", fn a, b -> a + b end)
    Py.register_function("soak_raise", fn -> raise "no" end)
    Py.register_function("soak_nested", fn n -> Py.eval!("n * 2", locals: %{n: n}) end)
  end

  @doc "Runs an operation on a target: a context that is killed, or the pool."
  @spec run(atom(), :pool | atom()) :: atom()
  def run(:call, target) do
    n = :rand.uniform(1_000_000)
    answer(Py.call(:math, :isqrt, [n * n], on(target)), {:ok, n}, target)
  end

  def run(:data, target) do
    value = %{
      "list" => Enum.to_list(1..:rand.uniform(200)),
      "text" => String.duplicate("é", :rand.uniform(5_000)),
      "bytes" => :rand.bytes(:rand.uniform(2_000)) <> <<255>>,
      "more" => {1.5, nil, true, [%{"a" => {}}], Integer.pow(7, :rand.uniform(200))}
    }

    answer(Py.eval("value", [{:locals, %{value: value}} | on(target)]), {:ok, value}, target)
  end

  def run(:eval, target) do
    n = :rand.uniform(300)
    code = "sum(i * i for i in range(n))"
    expected = div((n - 1) * n * (2 * n - 1), 6)
    answer(Py.eval(code, [{:locals, %{n: n}} | on(target)]), {:ok, expected}, target)
  end

  def run(:error, target) do
    text = Integer.to_string(:rand.uniform(1_000_000))

    case Py.exec("raise ValueError(text)", [{:locals, %{text: text}} | on(target)]) do
      {:error, %Py.Error{type: "ValueError", message: ^text}} -> :python_error
      other -> ended(other, target)
    end
  end

  def run(:refused, target) do
    case Py.eval("x", [{:locals, %{x: [1 | 2]}} | on(target)]) do
      {:error, %Py.ConversionError{}} -> :conversion_error
      other -> ended(other, target)
    end
  end

  def run(:timeout, target) do
    case Py.exec("while True: pass", [{:timeout, :rand.uniform(20)} | on(target)]) do
      {:error, %Py.TimeoutError{}} -> :timeout
      {:error, %Py.OverloadedError{}} -> :overloaded
      other -> ended(other, target)
    end
  end

  def run(:callback, target) do
    n = :rand.uniform(1_000)

    case Py.eval("__import__('erlang').call('soak_add', n, 1)", [
           {:locals, %{n: n}} | on(target)
         ]) do
      {:ok, sum} when sum == n + 1 -> raising_callback(target)
      other -> ended(other, target)
    end
  end

  # Callbacks that call Python: on the pool, which is not killed.
  def run(:nested, _target) do
    n = :rand.uniform(1_000)
    code = "__import__('erlang').call('soak_nested', n)"
    answer(Py.eval(code, locals: %{n: n}), {:ok, 2 * n}, :pool)
  end

  def run(:state, target) do
    key = "soak #{:rand.uniform(50)}"
    value = :rand.uniform(1_000)
    code = "__import__('erlang').state_set(key, value)"

    case Py.exec(code, [{:locals, %{key: key, value: value}} | on(target)]) do
      :ok ->
        found = Py.State.get(key, 0)
        true = is_integer(found)
        if rem(value, 4) == 0, do: Py.State.delete(key)
        Py.State.incr("soak count")
        :ok

      other ->
        ended(other, target)
    end
  end

  def run(:handle, target) do
    n = :rand.uniform(500)

    with {:ok, %Py.Object{} = object} <-
           Py.call(:builtins, :list, [Enum.to_list(1..n)], [{:return, :object} | on(target)]),
         {:ok, _none} <- Py.Object.call_method(object, :append, [0]) do
      answer(Py.Object.call_method(object, "__len__"), {:ok, n + 1}, target)
    else
      other -> ended(other, target)
    end
  end

  def run(:async, target) do
    numbers = for _ <- 1..:rand.uniform(5), do: :rand.uniform(1_000)
    tasks = for n <- numbers, do: Py.async(:operator, :neg, [n], on(target))

    for {answer, n} <- Enum.zip(Py.await_many(tasks), numbers) do
      answer(answer, {:ok, -n}, target)
    end
    |> Enum.max()
  end

  def run(:cancel, target) do
    task = Py.async(:time, :sleep, [0.01], on(target))
    :ok = Py.cancel(task)
    :cancelled
  end

  def run(:parallel, _target) do
    calls = for n <- 1..:rand.uniform(6), do: {:operator, :neg, [n]}
    expected = {:ok, for({_, _, [n]} <- calls, do: {:ok, -n})}
    answer(Py.parallel(calls), expected, :pool)
  end

  # Its answer goes to nobody: it must reach no mailbox.
  def run(:cast, target) do
    :ok = Py.cast(:operator, :neg, [1], on(target))
    :cast
  end

  def run(:env, _target) do
    {:ok, env} = Py.Context.new_env(Py.context(1))
    :ok = Py.exec("x = 41", env: env)
    answer(Py.eval("x + 1", env: env), {:ok, 42}, :pool)
  end

  def run(:garbage, target) do
    code = """
    class Node: pass
    for _ in range(300):
        a, b = Node(), Node()
        a.other, b.other, a.data = b, a, bytes(1000)
    """

    answer(Py.exec(code, on(target)), :ok, target)
  end

  def run(:orphan, target) do
    code = Enum.random(["while True: pass", "sum(range(100000))", "[0] * 100000"])

    {caller, monitor} =
      spawn_monitor(fn -> Py.exec(code, [{:timeout, :infinity} | on(target)]) end)

    pause(:rand.uniform(4) - 1)
    Process.exit(caller, :kill)
    receive do: ({:DOWN, ^monitor, :process, ^caller, _reason} -> :caller_killed)
  end

  def run(:overload, _target) do
    tasks =
      for _ <- 1..6, do: Py.async(:time, :sleep, [0.002], context: :soak_small, wait: 0)

    for answer <- Py.await_many(tasks) do
      case answer do
        {:ok, nil} -> :ok
        {:error, %Py.OverloadedError{}} -> :overloaded
        other -> ended(other, :soak_small)
      end
    end
    |> Enum.max()
  end

  def run(:erlang, _target) do
    n = :rand.uniform(1_000)
    {:ok, ^n} = :py.call(:operator, :pos, [n])
    {:error, _reason} = :py.eval("1 / 0")
    {:ok, {:none, [^n], "a"}} = :py.eval("(None, [n], 'a')", %{n: n})
    :ok
  end

  def run(:fork, _target) do
    case Py.eval(@fork, context: 1) do
      {:ok, 0} ->
        :forked

      {:error, %Py.Error{type: "RuntimeError", message: "os.fork() does not work" <> _}} ->
        :fork_refused

      other ->
        ended(other, :pool)
    end
  end

  defp raising_callback(target) do
    case Py.eval("__import__('erlang').call('soak_raise')", on(target)) do
      {:error, %Py.Error{message: message}} ->
        true = message =~ "no"
        :python_error

      other ->
        ended(other, target)
    end
  end

  defp on(:pool), do: []
  defp on(name), do: [context: name]

  defp answer(expected, expected, _target), do: :ok
  defp answer(other, _expected, target), do: ended(other, target)

  # Only what is killed may say that it has ended, only the small queue may be full.
  defp ended({:error, %Py.ContextError{}}, target) when target in @killed, do: :context_ended
  defp ended({:error, %Py.OverloadedError{}}, :soak_small), do: :overloaded
  defp ended(other, target), do: raise("a wrong answer from #{target}: #{inspect(other)}")

  defp pause(0), do: :ok
  defp pause(milliseconds), do: receive(do: ({:never, _} -> :ok), after: (milliseconds -> :ok))
end
