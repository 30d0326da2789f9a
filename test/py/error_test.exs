defmodule Py.ErrorTest do
  use Py.Test.Case, async: true

  alias Py.Test.Dialect

  for mode <- modes() do
    describe "#{mode}:" do
      @describetag mode: mode

      # Their text would be larger than the memory, and made in C code that holds the GIL.
      test "large arguments are shown in short, also of causes and members", %{ctx: ctx} do
        Py.exec!(ctx, """
        large = 0
        for _ in range(60): large = [large, large]
        raised = []
        def fail(*args):
            raised.append(ValueError(*args))
            raise raised[-1]
        """)

        half = "[[[...], [...]], [[...], [...]]]"
        short = "[#{half}, #{half}]"

        for {args, message} <- [
              {"large", short},
              {"1, large", "(1, #{short})"},
              {"{1: large}", "{1: #{half}}"},
              {"{1}, [2, 'x']", "({1}, [2, 'x'])"}
            ] do
          error = error(ctx, "fail(#{args})")
          assert {args, error.message} == {args, message}
          assert String.ends_with?(error.traceback, "ValueError: #{message}\n")

          assert {:error, {:ValueError, text}} =
                   Dialect.eval(ctx, "fail(#{args})", dialect: :erlang)

          assert List.to_string(text) == message
        end

        Py.exec!(ctx, "class Odd(Exception):\n    args = 5")
        assert {:error, %Py.Error{message: ^short} = odd} = Py.exec(ctx, "raise Odd(large)")
        assert odd.traceback =~ "Odd: #{short}"
        assert eval(ctx, "BaseException.args.__get__(x)[0] is large", %{x: odd.exception})

        # The exception itself stays as it was.
        assert eval(ctx, "raised[0].args[0] is large") == true

        code = """
        try:
            fail(large)
        except ValueError as cause:
            raise ExceptionGroup("both", [TypeError(large), KeyError(1)]) from cause
        """

        assert {:error, %Py.Error{type: "ExceptionGroup"} = error} = Py.exec(ctx, code)
        assert error.cause.message == short
        assert [%{message: ^short}, %{message: "1"}] = error.exceptions
        assert error.traceback =~ "TypeError: #{short}"
      end

      test "class, module, message, frames and traceback", %{ctx: ctx} do
        Py.exec!(ctx, """
        def inner(n):
            raise ValueError(f"no {n}")

        def outer(n):
            return inner(n)
        """)

        error = error(ctx, "outer(x)", %{x: 7})
        assert %Py.Error{type: "ValueError", module: "builtins", message: "no 7"} = error
        assert %{notes: [], cause: nil, exceptions: []} = error

        assert [
                 %{file: "<eval " <> _, line: 1, function: "<module>", code: "outer(x)"},
                 %{file: "<exec " <> _, line: 5, function: "outer", code: "return inner(n)"},
                 %{line: 2, function: "inner", code: ~S[raise ValueError(f"no {n}")]}
               ] = error.frames

        assert "Traceback (most recent call last):\n" <> rest = error.traceback
        assert rest =~ ~r/line 5, in outer\n    return inner\(n\)/
        assert String.ends_with?(rest, "ValueError: no 7\n")
        assert Exception.message(error) =~ ~r/\AValueError: no 7\n\nTraceback.*no 7\z/s
        assert_raise Py.Error, Exception.message(error), fn -> raise error end

        assert %Py.Object{type: "ValueError"} = error.exception

        assert eval(ctx, "(type(x) is ValueError, x.args)", %{x: error.exception}) ==
                 {true, {"no 7"}}

        assert eval(ctx, "x.__traceback__", %{x: error.exception}) == nil
      end

      test "no frames but the program's", %{ctx: ctx} do
        error = error(ctx, "1 +")
        assert %Py.Error{type: "SyntaxError", frames: []} = error
        assert error.traceback =~ ~s(File "<eval)
        refute error.traceback =~ "_code.py"
        Py.register_function("failing", fn -> raise "no" end)
        error = error(ctx, "__import__('erlang').call('failing')")
        assert [%{file: "<eval" <> _, function: "<module>"}] = error.frames
        assert error.traceback =~ "CallbackError: RuntimeError: no"
        refute error.traceback =~ "__init__.py"
        Py.unregister_function("failing")
      end

      test "only the innermost frames of a deep stack", %{ctx: ctx} do
        Py.exec!(ctx, """
        def down(n):
            return 1 // n if n == 0 else down(n - 1)
        """)

        error = error(ctx, "down(200)")
        assert %{type: "ZeroDivisionError"} = error
        assert length(error.frames) == 50
        assert Enum.all?(error.frames, &(&1.function == "down"))
      end

      test "classes of code, nested and in modules", %{ctx: ctx} do
        Py.exec!(ctx, """
        class Outer:
            class Failure(KeyError, OSError): pass
        """)

        error = error(ctx, "(_ for _ in ()).throw(Outer.Failure('k'))")
        assert {error.type, error.module, error.message} == {"Outer.Failure", "__main__", "'k'"}

        assert error.bases ==
                 ["__main__.Outer.Failure"] ++
                   for(
                     name <- ~w(KeyError LookupError OSError Exception BaseException object),
                     do: "builtins.#{name}"
                   )

        for class <- [
              "__main__.Outer.Failure",
              "KeyError",
              :OSError,
              "builtins.LookupError",
              "Exception"
            ],
            do: assert(Py.Error.is_a?(error, class))

        for class <- ["Outer.Failure", "ValueError", "Failure", ""],
            do: refute(Py.Error.is_a?(error, class))

        refute Py.Error.is_a?(%Py.TimeoutError{}, "Exception")

        json = error(ctx, "__import__('json').loads('{')")
        assert {json.type, json.module} == {"JSONDecodeError", "json.decoder"}
        assert Py.Error.is_a?(json, "ValueError")
      end

      test "notes, causes and contexts", %{ctx: ctx} do
        Py.exec!(ctx, """
        def fail(kind):
            try:
                try:
                    raise KeyError("first")
                except KeyError as first:
                    if kind == "from":
                        raise TypeError("second") from first
                    if kind == "none":
                        raise TypeError("second") from None
                    raise TypeError("second")
            except TypeError as second:
                second.add_note("one note")
                second.add_note("")
                raise
        """)

        for kind <- ["from", "context"] do
          error = error(ctx, "fail(x)", %{x: kind})
          assert %{type: "TypeError", notes: ["one note", ""]} = error

          assert %Py.Error{
                   type: "KeyError",
                   message: "'first'",
                   cause: nil,
                   notes: [],
                   exception: nil
                 } =
                   error.cause

          assert [%{function: "fail", line: 4}] = error.cause.frames
          assert Py.Error.is_a?(error.cause, "LookupError")
          assert error.traceback =~ "KeyError: 'first'"
          assert error.traceback =~ "one note"

          assert error.traceback =~
                   if(kind == "from",
                     do: "direct cause of the following exception",
                     else: "During handling of the above exception"
                   )
        end

        assert %{type: "TypeError", cause: nil} = error(ctx, "fail('none')")
      end

      test "chains that are long or cyclic end", %{ctx: ctx} do
        Py.exec!(ctx, """
        def chain(n):
            error = ValueError(0)
            for i in range(1, n):
                outer = ValueError(i)
                outer.__cause__ = error
                error = outer
            raise error

        def cycle():
            a, b = ValueError("a"), ValueError("b")
            a.__cause__, b.__cause__ = b, a
            raise a
        """)

        length = fn error -> error |> Stream.iterate(& &1.cause) |> Enum.find_index(&is_nil/1) end
        assert length.(error(ctx, "chain(5)")) == 5
        error = error(ctx, "chain(100)")
        assert error.message == "99"
        assert length.(error) == 17
        assert %{message: "a", cause: %{message: "b"}} = error(ctx, "cycle()")
      end

      test "exception groups", %{ctx: ctx} do
        Py.exec!(ctx, """
        def group():
            raise ExceptionGroup("both", [
                ValueError("v"),
                ExceptionGroup("inner", [KeyError("k"), OSError(2, "gone")]),
            ])
        """)

        error = error(ctx, "group()")
        assert %{type: "ExceptionGroup", message: "both (2 sub-exceptions)"} = error
        assert [%Py.Error{type: "ValueError", message: "v"}, inner] = error.exceptions
        assert %{type: "ExceptionGroup", exceptions: [%{type: "KeyError"}, missing]} = inner
        assert {missing.type, missing.message} == {"FileNotFoundError", "[Errno 2] gone"}
        assert error.traceback =~ "+-+---------------- 1 ----------------"
        assert Py.Error.is_a?(error, "Exception")
      end

      test "exceptions that misbehave", %{ctx: ctx} do
        Py.exec!(ctx, """
        class BadStr(Exception):
            def __str__(self): raise RuntimeError("never")

        class NotStr(Exception):
            def __str__(self): return 5

        class BadAttribute(Exception):
            def __getattribute__(self, name):
                if name == "__notes__": raise RuntimeError("never")
                return super().__getattribute__(name)

        class BadNotes(Exception):
            __notes__ = [BadStr(), "fine", 3]

        class Surrogates(Exception): pass
        Surrogates.__qualname__, Surrogates.__module__ = "S\\udc80", "m\\udc80"

        def throw(error): raise error
        """)

        assert %{type: "BadStr", message: "<BadStr.__str__ raised RuntimeError>"} =
                 error(ctx, "throw(BadStr())")

        assert %{message: "<NotStr.__str__ raised TypeError>"} = error(ctx, "throw(NotStr())")

        assert %{type: "BadAttribute", message: "x", notes: []} =
                 error(ctx, "throw(BadAttribute('x'))")

        assert %{notes: ["<BadStr.__str__ raised RuntimeError>", "fine", "3"]} =
                 error(ctx, "throw(BadNotes())")

        error = error(ctx, "throw(ValueError('a\\ud800b'))")
        assert error.message == "a\\ud800b"
        assert error.traceback =~ "ValueError: a\\ud800b"
        error = error(ctx, "throw(Surrogates('x'))")
        assert {error.type, error.module, error.message} == {"S\\udc80", "m\\udc80", "x"}
        assert "m\\udc80.S\\udc80" in error.bases

        assert %{cause: %{message: "\\udc80"}} =
                 error(
                   ctx,
                   "throw((e := ValueError(), setattr(e, '__cause__', ValueError('\\udc80')), e)[-1])"
                 )
      end

      test "exceptions that would end a program are errors", %{ctx: ctx} do
        assert %{type: "SystemExit", message: "3"} = error = error(ctx, "exit(3)" |> sys())
        refute Py.Error.is_a?(error, "Exception")
        assert Py.Error.is_a?(error, "BaseException")
        assert %{type: "SystemExit"} = error(ctx, sys("exit()"))
        Py.exec!(ctx, "def throw(error): raise error")

        assert %Py.Error{type: "KeyboardInterrupt", message: "mine"} =
                 error(ctx, "throw(KeyboardInterrupt('mine'))")

        assert %Py.Error{type: "GeneratorExit"} = error(ctx, "throw(GeneratorExit())")

        assert %Py.Error{type: "StopIteration", message: "5"} =
                 error(ctx, "throw(StopIteration(5))")

        assert %Py.Error{type: "StopAsyncIteration"} = error(ctx, "throw(StopAsyncIteration())")
      end

      test "running out of stack and of memory", %{ctx: ctx} do
        Py.exec!(ctx, """
        def forever(n): return forever(n + 1)

        class Deep:
            def __repr__(self): return repr(self)
            __str__ = __repr__

        def throw(error): raise error
        """)

        error = error(ctx, "forever(0)")
        assert %{type: "RecursionError", message: "maximum recursion depth exceeded" <> _} = error
        assert length(error.frames) == 50
        assert %{type: "RecursionError"} = error(ctx, "repr(Deep())")

        assert %{type: "ValueError", message: "<ValueError.__str__ raised RecursionError>"} =
                 error(ctx, "throw(ValueError(Deep()))")

        for code <- ["bytearray(1 << 62)", "[0] * (1 << 59)", "throw(MemoryError('mine'))"] do
          assert %{type: "MemoryError"} = error(ctx, code)
        end

        assert %{type: "OverflowError"} = error(ctx, "bytearray(1 << 70)")
      end

      test "syntax errors name the line", %{ctx: ctx} do
        assert {:error, error} = Py.exec(ctx, "x = 1\ny = (\nz = 2\n")
        assert %{type: "SyntaxError"} = error
        assert Py.Error.is_a?(error, "SyntaxError")
        assert error.message =~ "line 2"
        assert error.traceback =~ ~r/File "<exec \d+>", line 2\n +y = \(/
        assert %{type: "SyntaxError", message: message} = error(ctx, "a +* b")
        assert message =~ "line 1"
        assert {:error, %{type: "IndentationError"} = error} = Py.exec(ctx, "if 1:\nx = 1")
        assert Py.Error.is_a?(error, "SyntaxError")
        assert %{type: "SyntaxError"} = error(ctx, "x = 1")
        assert %{type: "SyntaxError"} = error(ctx, "")
        assert {:error, %{type: type}} = Py.exec(ctx, "x = 'a\0b'")
        assert type in ["SyntaxError", "ValueError"]
        assert Py.exec(ctx, "") == :ok
      end

      test "names that do not exist", %{ctx: ctx} do
        assert %{type: "NameError", message: "name 'nobody' is not defined"} =
                 error(ctx, "nobody")

        assert {:error, %{type: "ModuleNotFoundError", message: message}} =
                 Py.call(ctx, :no_such_module, :f)

        assert message == "No module named 'no_such_module'"
        assert {:error, %{type: "AttributeError", message: message}} = Py.call(ctx, :math, :nope)
        assert message == "module 'math' has no attribute 'nope'"
        assert {:error, %{type: "NameError"}} = Py.call(ctx, "__main__", :nope)
        assert {:error, %{type: "TypeError"}} = Py.call(ctx, :math, :pi)
        assert eval(ctx, "1") == 1
      end

      test "an error while the result is converted", %{ctx: ctx} do
        Py.exec!(ctx, """
        class Interrupts(dict):
            def keys(self): raise KeyboardInterrupt
            def __iter__(self): raise KeyboardInterrupt

        class Items:
            ndim = 1
            def tolist(self): raise MemoryError("in tolist")
        """)

        assert %Py.Error{type: "KeyboardInterrupt"} = error(ctx, "Interrupts(a=1)")
        assert %Py.Error{type: "MemoryError", message: "in tolist"} = error(ctx, "[Items()]")
      end

      test "the exception itself can be raised and matched again", %{ctx: ctx} do
        error = error(ctx, "{}['key']")

        Py.exec!(ctx, """
        def again(error):
            try:
                raise error
            except LookupError as caught:
                return caught.args, caught is error
        """)

        assert Py.call(ctx, "__main__", :again, [error.exception]) == {:ok, {{"key"}, true}}
      end
    end
  end

  describe "exception structs" do
    test "say what to do" do
      for {error, text} <- [
            {%Py.TimeoutError{timeout: 50}, "timed out after 50 ms"},
            {%Py.OverloadedError{current: 9, max: 9, limit: :permits}, "9 of 9 permits in use"},
            {%Py.OverloadedError{current: 3, max: 2, limit: :context}, "busy and has 3 requests"},
            {%Py.OverloadedError{current: 9, max: 9, limit: :queue}, "its max_queue is 9"},
            {%Py.InterruptedError{}, "interrupted"},
            {%Py.ContextError{reason: :not_found, context: :x}, "no Python context :x"},
            {%Py.ContextError{reason: :stopped}, "try again"},
            {%Py.ContextError{reason: {:crashed, "boom"}}, "crashed: boom"},
            {%Py.ContextError{reason: {:failed, "boom"}}, "could not start: boom"},
            {%Py.ContextError{reason: :wrong_interpreter}, "another interpreter"},
            {%Py.ConversionError{reason: "r"}, "cannot convert the value: r"},
            {%Py.ConversionError{reason: "r", path: "a.b"}, "cannot convert a.b: r"},
            {%Py.Error{type: "E", message: "m"}, "E: m"}
          ] do
        assert Exception.message(error) =~ text
      end
    end
  end

  defp sys(code), do: "__import__('sys').#{code}"

  @tag :own_gil
  test "advice on what own-GIL contexts cannot do, wrapped or not", %{contexts: contexts} do
    for code <- [
          "import threading\nthreading.Thread(target=print, daemon=True)",
          "import faulthandler",
          """
          try:
              import faulthandler
          except ImportError as error:
              raise RuntimeError("needs faulthandler") from error
          """
        ] do
      assert {:error, %Py.Error{notes: [note]}} = Py.exec(contexts.owngil, code)
      assert note =~ "worker context (mode: :worker)"
    end
  end
end
