defmodule Py.Callback.StressTest do
  use Py.Test.Case

  import Bitwise
  import Py.Test.Callback, only: [register: 2]
  import Py.Test.Wait

  for mode <- modes() do
    describe "#{mode}: nothing leaks in" do
      @describetag mode: mode

      test "10,000 callbacks of each kind", %{ctx: ctx} do
        register("echo", & &1)
        register("fails", fn -> raise "no" end)
        register("nested", fn n -> Py.eval!(ctx, "n", locals: %{n: n}) end)

        Py.exec!(ctx, """
        import erlang, gc, sys
        def blocks():
            gc.collect()
            return sys.getallocatedblocks()
        def run(times, f, value):
            for n in range(times):
                assert erlang.echo(value) == value
                assert f(n) == n
                if n % 5 == 0:
                    try:
                        erlang.fails()
                    except erlang.CallbackError:
                        pass
        def tell(times):
            for n in range(times): erlang.send(erlang.self(), n)
        def nested(times):
            for n in range(times): assert erlang.nested(n) == n
        """)

        value = %{"list" => [1, 2.5, "text", nil], "tuple" => {true, <<255>>}}

        work = fn ->
          Py.call!(ctx, "__main__", :run, [10_000, & &1, value], timeout: 120_000)
          Py.call!(ctx, "__main__", :tell, [10_000])
          for n <- 0..9_999, do: assert_received(^n)
          Py.call!(ctx, "__main__", :nested, [10_000], timeout: 120_000)

          for n <- 1..1_000,
              do: {:ok, ^n} = Py.await(Py.async(:erlang, :call, ["echo", n], context: ctx))
        end

        blocks = fn -> Py.call!(ctx, "__main__", :blocks) end
        work.()
        {before, processes} = {blocks.(), length(Process.list())}
        work.()
        assert mailbox() == []
        assert eventually(fn -> permits() == %{in_use: 0, waiting: 0} end)
        assert eventually(fn -> blocks.() < before + 500 end)
        assert eventually(fn -> length(Process.list()) <= processes + 5 end)
        assert eventually(fn -> :sys.get_state(Py.Callback.Dispatcher) == %{} end)
      end

      test "answers of one call, of any size and kind, do not mix", %{ctx: ctx} do
        answers = [
          1,
          "text",
          String.duplicate("long", 100),
          :binary.copy(<<255>>, 1_000_000),
          nil,
          2.5,
          Enum.to_list(1..1_000),
          1 <<< 200,
          %{"a" => [1, {2}]},
          {:fail, "no"},
          "",
          %{}
        ]

        register("pick", fn index ->
          case Enum.at(answers, index) do
            {:fail, text} -> raise ArgumentError, text
            value -> value
          end
        end)

        Py.exec!(ctx, """
        import erlang
        def pick(index):
            try: return erlang.pick(index)
            except erlang.CallbackError as error: return error.reason
        def pick_all(order): return [pick(index) for index in order]
        """)

        for _ <- 1..50 do
          order = for _ <- 1..20, do: :rand.uniform(length(answers)) - 1

          expected =
            for index <- order do
              case Enum.at(answers, index) do
                {:fail, text} -> "ArgumentError: #{text}"
                value -> value
              end
            end

          assert Py.call!(ctx, "__main__", :pick_all, [order]) == expected
        end
      end

      test "a destructor may call while an answer is being converted", %{ctx: ctx} do
        # Its conversion runs Python code, where the garbage collector comes in.
        times = for n <- 0..199, do: DateTime.from_unix!(n)
        register("times", fn -> times end)
        register("word", fn -> "word" end)

        assert {^times, words} =
                 Py.exec!(
                   ctx,
                   """
                   import erlang, gc, sys
                   words = []
                   class Cycle:
                       def __init__(self): self.me = self
                       def __del__(self): words.append((erlang.word(), sys._getframe(1).f_code.co_name))
                   times = erlang.times
                   gc.collect()
                   gc.disable()
                   for n in range(50): Cycle()
                   before = gc.get_threshold()
                   gc.set_threshold(1)
                   gc.enable()
                   times = times()
                   gc.set_threshold(*before)
                   gc.collect()
                   (times, words)
                   """,
                   return: :last
                 )

        assert length(words) == 50

        # The function of the package that makes datetimes. Before 3.12 the collector runs at the first allocation.
        if Version.match?(python_version(), ">= 3.12.0"), do: assert({"word", "make"} in words)
        assert Enum.all?(words, &match?({"word", _}, &1))
      end
    end
  end
end
