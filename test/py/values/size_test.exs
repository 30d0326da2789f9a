defmodule Py.Values.SizeTest do
  # Lowers a limit of the whole VM.
  use Py.Test.Case, async: false

  alias Py.Test.Dialect

  @mb 1_000_000

  setup do
    Py.Native.set_max_value_size(@mb)
    on_exit(fn -> Py.Native.set_max_value_size(Py.Config.get(:max_value_size)) end)
  end

  test "the default is at most a quarter of the memory, and the configuration sets another" do
    assert Py.Native.set_max_value_size(0) in @mb..(4 * 2 ** 30)
    assert Py.Config.check!(:max_value_size, nil) == 0

    assert Py.Native.set_max_value_size(Py.Config.check!(:max_value_size, :infinity)) ==
             2 ** 64 - 1

    assert Py.Config.check!(:max_value_size, 5) == 5

    for wrong <- [0, -1, 1.5, "1"] do
      assert_raise ArgumentError, ~r/max_value_size.*a positive number of bytes/, fn ->
        Py.Config.check!(:max_value_size, wrong)
      end
    end
  end

  for mode <- modes(), dialect <- [:elixir, :erlang] do
    test "#{mode}, #{dialect} dialect: larger values are refused, and say what to do", %{
      contexts: contexts
    } do
      context = contexts[unquote(mode)]
      options = [dialect: unquote(dialect)]

      # Forty levels of twice the same: 2^40 terms.
      Py.exec!(context, """
      def doubled(make, levels):
          x = make(0)
          for _ in range(levels):
              x = make(x)
          return x

      class Endless(set):
          def __iter__(self): return iter(int, 1)

      class Growing(dict):
          def __iter__(self): return iter(())
          def keys(self):
              growing.append(self)
              return []
      growing = [Growing()]

      class Raises(dict):
          def __iter__(self): return iter(())
          def keys(self): raise RuntimeError('y' * 200_000)
      """)

      large = [
        "doubled(lambda x: [x, x], 40)",
        "doubled(lambda x: (x, x), 40)",
        "doubled(lambda x: {1: x, 2: x}, 40)",
        "['x' * 10_000] * 101",
        "[b'x' * 10_000] * 101",
        "bytearray(#{@mb + 8})",
        "['x' * 1_900] * 600",
        "[10 ** 4_000] * 700",
        "[object()] * 20_000",
        "[__import__('datetime').datetime(2026, 1, n % 28 + 1) for n in range(30_000)]",
        "tuple(range(130_000))",
        "{n: n for n in range(70_000)}",
        "Endless([1])",
        "growing",
        "set(range(70_000))",
        "list(range(70_000))"
      ]

      for code <- large do
        assert reason(Dialect.eval(context, code, options)) =~
                 ~r/more than 1000000 bytes.*return a handle.*max_value_size/
      end

      for code <- ["'x' * 990_000", "list(range(60_000))", "[1, 'x' * 500_000, 'x' * 400_000]"] do
        assert {:ok, value} = Dialect.eval(context, code, options)
        refute value in [nil, :none, []]
      end

      assert {:ok, _handle} = Py.eval(context, hd(large), return: :object)

      # What a conversion has taken before it failed does not count for the description.
      code = "['x' * 900_000, Raises()]"
      assert {:error, %Py.Error{message: message}} = Py.eval(context, code)
      assert byte_size(message) == 200_000
    end
  end

  test "also for arguments of callbacks and the shared state", %{contexts: contexts} do
    test = self()

    Py.register_function(:value_size, fn value ->
      send(test, {:called, value})
      nil
    end)

    for {_mode, context} <- contexts do
      for code <- [
            "erlang.call('value_size', 'x' * 1_000_100)",
            "erlang.state_set('value_size', 'x' * 1_000_100)"
          ] do
        assert {:error, %Py.Error{type: "TypeError", message: message}} = Py.eval(context, code)
        assert message =~ "more than 1000000 bytes"
      end

      assert Py.eval(context, "erlang.call('value_size', 'small')") == {:ok, nil}
      assert_received {:called, "small"}
      refute_received {:called, _value}
    end

    Py.unregister_function(:value_size)
  end

  defp reason({:error, %Py.ConversionError{reason: reason}}), do: reason
  defp reason({:error, {:conversion_error, text}}), do: List.to_string(text)
end
