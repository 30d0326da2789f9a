defmodule Py.SetupTest do
  # Changes what every context starts with.
  use ExUnit.Case, async: false

  doctest Py.Setup

  alias Py.Setup

  setup do
    Py.Test.Interpreter.keep_path()

    on_exit(fn ->
      Setup.clear_imports()
      Setup.clear_paths()
      Setup.delete_preload()
    end)
  end

  test "an import that fails is not kept, so contexts go on to start" do
    assert {:error, %Py.Error{type: "ModuleNotFoundError"}} = Setup.add_import(:no_such_module)
    assert Setup.imports() == []
    assert {:ok, context} = Py.Context.start_link()
    Py.Context.stop(context)
  end

  describe "memory_tuning" do
    setup do
      names = ~w(MALLOC_TRIM_THRESHOLD_ GLIBC_TUNABLES)
      kept = Map.new(names, &{&1, System.get_env(&1)})
      on_exit(fn -> System.put_env(kept) end)
      Enum.each(names, &System.delete_env/1)
    end

    test "is on, and off by the configuration" do
      assert Setup.memory_tuning?()
      Py.Config.update(:memory_tuning, fn true -> false end)
      on_exit(fn -> Py.Config.update(:memory_tuning, fn _off -> true end) end)
      refute Setup.memory_tuning?()
    end

    test "leaves alone what the operator has set" do
      System.put_env("MALLOC_TRIM_THRESHOLD_", "1000000")
      refute Setup.memory_tuning?()
      System.delete_env("MALLOC_TRIM_THRESHOLD_")
      System.put_env("GLIBC_TUNABLES", "glibc.malloc.arena_max=2")
      assert Setup.memory_tuning?()
      System.put_env("GLIBC_TUNABLES", "glibc.malloc.arena_max=2:glibc.malloc.top_pad=0")
      refute Setup.memory_tuning?()
    end
  end

  test "imports are seen by contexts of both kinds, old and new" do
    modes = Py.Test.Case.modes()
    old = for mode <- modes, do: elem(Py.Context.start_link(mode: mode), 1)
    assert Setup.add_import("os.path") == :ok
    new = for mode <- modes, do: elem(Py.Context.start_link(mode: mode), 1)

    for context <- old ++ new,
        do: assert(Py.eval(context, "os.path.basename('a/b')") == {:ok, "b"})

    for context <- old ++ new, do: Py.Context.stop(context)
  end

  test "module names are names" do
    for name <- ["json; import os", "a b", "1a", "", "a.", ".a", "import\nos"] do
      assert_raise ArgumentError, ~r/expected the name of a Python module/, fn ->
        Setup.add_import(name)
      end
    end

    assert_raise ArgumentError, ~r/unknown option/, fn ->
      Setup.add_import("json", :all, kwargs: [])
    end
  end

  test "directories go in front, in their order, and are kept once" do
    modes = Py.Test.Case.modes()
    old = for mode <- modes, do: elem(Py.Context.start_link(mode: mode), 1)
    assert Setup.add_paths(["/setup/one", "/setup/two", "/setup/one"]) == :ok
    assert Setup.paths() == ["/setup/one", "/setup/two"]
    new = for mode <- modes, do: elem(Py.Context.start_link(mode: mode), 1)

    for context <- old ++ new,
        do:
          assert(
            Py.eval(context, "__import__('sys').path[:2]") == {:ok, ["/setup/one", "/setup/two"]}
          )

    for context <- old ++ new, do: Py.Context.stop(context)
  end

  test "preloaded code runs before other code of contexts that start later" do
    assert Setup.put_preload("base = 2") == :ok
    assert Setup.preload() == "base = 2"
    {:ok, context} = Py.Context.start_link()
    assert Py.eval(context, "base") == {:ok, 2}
    # A context's own code goes in place of it.
    {:ok, own} = Py.Context.start_link(preload: "base = 3")
    assert Py.eval(own, "base") == {:ok, 3}
    assert Setup.delete_preload() == :ok
    assert Setup.preload() == nil
    for context <- [context, own], do: Py.Context.stop(context)
  end

  test "reload: of what is loaded only, and its errors" do
    folder = Py.Test.Wait.tmp_path("reload")
    File.mkdir_p!(folder)
    file = Path.join(folder, "setup_reloaded.py")
    File.write!(file, "value = 1\n")
    :ok = Setup.add_paths([folder])
    assert Setup.reload(:setup_reloaded) == :ok
    assert Py.eval("'setup_reloaded' in __import__('sys').modules") == {:ok, false}
    assert Py.eval("__import__('setup_reloaded').value") == {:ok, 1}
    File.write!(file, "value = 222\n")
    assert Setup.reload("setup_reloaded") == :ok
    assert Py.eval("__import__('setup_reloaded').value") == {:ok, 222}
    File.write!(file, "value = 1 // 0\n")
    assert {:error, %Py.Error{type: "ZeroDivisionError"}} = Setup.reload("setup_reloaded")
  end

  test "paths that are no list of strings are refused" do
    for wrong <- ["x", [5], nil, [:a]] do
      assert_raise ArgumentError,
                   ~r/invalid :paths: .*; expected a list of strings or \{application/,
                   fn ->
                     Py.Setup.add_paths(wrong)
                   end
    end
  end

  test "a busy context holds nothing up while another one of its interpreter is free" do
    contexts = for _ <- 1..2, do: start_supervised!({Py.Context, []}, id: make_ref())
    pipe = Py.Test.Wait.pipe()
    busy = [hd(Py.Context.list()) | contexts] |> Enum.take(2)

    tasks =
      for context <- busy,
          do: Py.async(:builtins, :open, [pipe], context: context, return: :object)

    for context <- busy, do: Py.Test.Wait.until_running(context)
    assert Py.Setup.reload("statistics", timeout: 5_000) == :ok
    for task <- tasks, do: Py.Test.Wait.release(pipe) && Py.await(task)
  end

  test "a folder of an application's priv is named by the application" do
    Py.Test.Leftovers.restore_sys_path()
    on_exit(&Py.Setup.clear_paths/0)
    folder = Application.app_dir(:erlang_python, "priv/python/erlang")
    assert Py.Setup.add_paths([{:erlang_python, "python/erlang"}]) == :ok
    assert Py.Setup.paths() == [folder]
    assert folder in Py.eval!("__import__('sys').path")
    context = start_supervised!({Py.Context, paths: [erlang_python: ~c"python"]})
    assert Path.dirname(folder) in Py.eval!(context, "__import__('sys').path")
  end
end
