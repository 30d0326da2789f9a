defmodule Py.TracingTest do
  # One collector for all.
  use Py.Test.Case, async: false

  doctest Py.Tracing

  alias Py.Tracing

  setup do
    Tracing.clear()
    Tracing.enable()

    on_exit(fn ->
      Tracing.disable()
      Tracing.clear()
    end)
  end

  for mode <- modes() do
    describe "#{mode}:" do
      setup %{contexts: contexts}, do: %{context: contexts[unquote(mode)]}

      test "spans inside of spans, also in tasks of asyncio", %{context: context} do
        Py.exec!(context, """
        import asyncio

        @erlang.trace()
        async def leaf(n):
            await asyncio.sleep(0)

        async def branch(n):
            with erlang.Span(f"branch {n}"):
                await leaf(n)
                await asyncio.sleep(0)
                await leaf(n)

        async def main():
            with erlang.Span("root"):
                await asyncio.gather(branch(1), branch(2))

        asyncio.run(main())
        """)

        traces = Tracing.traces()
        names = Enum.frequencies_by(traces, & &1.name)
        assert names == %{"root" => 1, "branch 1" => 1, "branch 2" => 1, "__main__.leaf" => 4}
        assert %{name: "root", parent_id: nil} = root = List.last(traces)

        for branch <- traces, branch.name =~ "branch" do
          assert branch.parent_id == root.span_id
          assert Enum.count(traces, &(&1.parent_id == branch.span_id)) == 2
        end

        assert Enum.all?(traces, &(&1.duration_us >= 0 and &1.status == :ok))
      end

      test "a decorated function stays what it was", %{context: context} do
        Py.exec!(context, """
        import inspect

        @erlang.trace
        def plain(a, *, b=2):
            "The docs."
            return a + b

        @erlang.trace("asked")
        async def asked(): return 3
        """)

        assert Py.eval!(context, "(plain.__name__, plain.__doc__, plain(1, b=4))") ==
                 {"plain", "The docs.", 5}

        assert Py.eval!(context, "inspect.iscoroutinefunction(asked)")
        assert Py.eval!(context, "__import__('asyncio').run(asked())") == 3
        assert [%{name: "__main__.plain"}, %{name: "asked"}] = Tracing.traces()
      end

      test "attributes of any kind fail nothing", %{context: context} do
        Py.exec!(context, """
        class Odd:
            def __str__(self): raise ValueError("no text")
        with erlang.Span("odd", odd=Odd(), text="\\ud800", items=[1], flag=True, ratio=0.5): pass
        """)

        assert [%{attributes: attributes}] = Tracing.traces()

        assert attributes == %{
                 "odd" => "<Odd.__str__ raised ValueError>",
                 "text" => "\\ud800",
                 "items" => "[1]",
                 "flag" => true,
                 "ratio" => 0.5
               }
      end

      test "the program's random numbers stay its own", %{context: context} do
        code = """
        import random
        def draw(): random.seed(1); return random.random()
        def traced():
            random.seed(1)
            with erlang.Span("random"): pass
            return random.random()
        """

        Py.exec!(context, code)
        assert Py.eval!(context, "draw() == traced()")
        assert [%{name: "random"}] = Tracing.traces()
      end

      test "a span may end elsewhere than it began", %{context: context} do
        code = """
        import contextvars
        def steps():
            with erlang.Span("generator"): yield 1
        running = steps()
        contextvars.Context().run(next, running)
        rest = list(running)
        span = erlang.Span("twice")
        with span:
            with span: pass
        """

        Py.exec!(context, code)
        assert [%{name: "generator", status: :ok}, %{name: "twice"}] = Tracing.traces()
      end

      test "what is open when tracing ends is dropped", %{context: context} do
        Py.exec!(context, "span = erlang.Span('open'); span.__enter__()")
        Tracing.disable()
        Tracing.enable()
        Py.exec!(context, "span.event('late'); span.__exit__(None, None, None)")
        assert Tracing.traces() == []
      end
    end
  end

  test "the last 10,000 are kept", %{contexts: %{worker: context}} do
    Py.exec!(context, "for n in range(10_002):\n    with erlang.Span(str(n)): pass")
    traces = Tracing.traces()
    assert length(traces) == 10_000
    assert {hd(traces).name, List.last(traces).name} == {"2", "10001"}
  end

  test "the newest 10,000 that have not ended are kept, and the first 1,000 events", %{
    contexts: %{worker: context}
  } do
    Py.exec!(context, """
    spans = [erlang.Span(str(n)) for n in range(10_002)]
    for span in spans: span.__enter__()
    for n in range(1_001): spans[-1].event(str(n))
    for span in reversed(spans): span.__exit__(None, None, None)
    """)

    traces = Tracing.traces()
    # Room is made for a thousand at once.
    assert length(traces) == 9_002
    assert {hd(traces).name, List.last(traces).name} == {"10001", "1000"}
    assert Enum.map(hd(traces).events, & &1.name) == Enum.map(0..999, &to_string/1)
  end

  test "what is no message of Python changes nothing" do
    send(Process.whereis(Tracing), {:span_end, 1, :ok, %{}, 2})
    send(Process.whereis(Tracing), {:span_event, 1, "x", %{}, 2})
    send(Process.whereis(Tracing), :anything)
    assert Tracing.traces() == []
  end
end
