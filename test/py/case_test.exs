defmodule Py.CaseTest do
  # It changes sys.path.
  use Py.Case, async: false, context: [preload: "rate = 2"]

  alias Py.Case, as: Stand

  doctest Py.Case

  # Functions with names of this file, which no other test has.
  setup_all do
    folder = Path.join(System.tmp_dir!(), "py_case_#{System.unique_integer([:positive])}")
    File.mkdir_p!(folder)

    File.write!(Path.join(folder, "py_case_shop.py"), """
    import threading

    def price(item, *, currency="EUR"):
        "The price of an item."
        return [item, currency]

    def twice(item):
        return price(item) * 2

    def in_thread(item):
        found = []
        thread = threading.Thread(target=lambda: found.append(price(item)))
        thread.start()
        thread.join()
        return found[0]

    class Till:
        count = 3

        def add(self, n):
            return self.count + n

        @staticmethod
        def name():
            return "till"

        @classmethod
        def kind(cls):
            return cls.__name__

    class Other(Till):
        pass

    def till(function, *args):
        return getattr(Other(), function)(*args)
    """)

    Py.Test.Leftovers.restore_sys_path()
    Py.exec!("__import__('sys').path.insert(0, folder)", locals: %{folder: folder})
    on_exit(fn -> File.rm_rf!(folder) end)
    [folder: folder]
  end

  defp shop(function, args, options \\ []), do: Py.call!(:py_case_shop, function, args, options)

  test "each test has the context that it asked for", %{python: python} do
    assert Py.eval!("21 * rate", context: python) == 42
  end

  test "a stand-in is seen by this process and its tasks, by others the original" do
    assert Stand.stub("py_case_shop.price", fn item -> "stand-in for #{item}" end) == :ok
    assert shop(:price, ["tea"]) == "stand-in for tea"
    # Code of the module itself as well.
    assert shop(:twice, ["tea"]) == "stand-in for teastand-in for tea"
    assert Task.await(Task.async(fn -> shop(:price, ["tea"]) end)) == "stand-in for tea"
    assert Py.await(Py.async(:py_case_shop, :price, ["tea"])) == {:ok, "stand-in for tea"}

    stranger = spawn_other(fn -> shop(:price, ["tea"], kwargs: %{currency: "USD"}) end)
    assert stranger == ["tea", "USD"]
    assert shop(:in_thread, ["tea"]) == ["tea", "EUR"]

    Stand.reset()
    assert shop(:price, ["tea"]) == ["tea", "EUR"]
  end

  test "two processes have stand-ins for one function" do
    Stand.stub({:py_case_shop, :price}, fn _item -> 1 end)

    other =
      spawn_other(fn ->
        Stand.stub("py_case_shop.price", {:python, "lambda item: [threading.__name__, item]"})
        {shop(:price, ["tea"]), shop(:twice, ["tea"])}
      end)

    assert other == {["threading", "tea"], ["threading", "tea", "threading", "tea"]}
    assert shop(:price, ["tea"]) == 1
  end

  test "the end of a process removes its stand-ins, and the function is what it was" do
    id = fn -> Py.eval!("id(__import__('py_case_shop').Till.kind.__func__)") end
    before = id.()
    stub = fn -> Stand.stub("py_case_shop.Till.kind", fn _class -> "stand-in" end) end

    spawn_other(fn ->
      stub.()
      assert id.() != before
    end)

    Py.Test.Wait.eventually(fn -> id.() == before end)
    stub.()
    assert id.() != before
    Stand.reset()
    assert id.() == before
  end

  test "keyword arguments follow the others" do
    Stand.stub("py_case_shop.price", fn item, keywords -> [keywords, item] end)
    assert shop(:price, ["tea"], kwargs: %{currency: "USD"}) == [%{"currency" => "USD"}, "tea"]
  end

  test "an exception of a stand-in is raised in Python" do
    Stand.stub("py_case_shop.price", fn _item -> raise "no price" end)
    assert {:error, %Py.Error{type: "CallbackError"}} = Py.call(:py_case_shop, :price, [1])
    Stand.stub("py_case_shop.price", {:python, "lambda item: {}[item]"})
    assert {:error, %Py.Error{type: "KeyError"}} = Py.call(:py_case_shop, :price, [1])
  end

  test "methods have stand-ins, of classes that inherit them too" do
    Stand.stub("py_case_shop.Till.add", {:python, "lambda self, n: self.count * n"})
    Stand.stub("py_case_shop.Till.name", fn -> "stand-in" end)
    Stand.stub("py_case_shop.Other.kind", {:python, "lambda cls: cls"})
    assert shop(:till, ["add", 5]) == 15
    assert shop(:till, ["name"]) == "stand-in"
    assert spawn_other(fn -> {shop(:till, ["add", 5]), shop(:till, ["name"])} end) == {8, "till"}
    assert spawn_other(fn -> shop(:till, ["kind"]) end) == "Other"
  end

  test "a process that is allowed to sees them" do
    Stand.stub("py_case_shop.price", fn _item -> 1 end)
    {:ok, agent} = Agent.start_link(fn -> nil end)
    ask = fn -> Agent.get(agent, fn _state -> shop(:price, ["tea"]) end) end
    assert ask.() == ["tea", "EUR"]
    assert Stand.allow(agent) == :ok
    assert ask.() == 1
  end

  test "a shared one is seen by all, until its maker resets it" do
    Stand.stub("py_case_shop.Till.name", fn -> "shared" end, shared: true)
    assert spawn_other(fn -> shop(:till, ["name"]) end) == "shared"
    Stand.stub("py_case_shop.Till.name", fn -> "mine" end)
    assert shop(:till, ["name"]) == "mine"
    Stand.reset()
    assert spawn_other(fn -> shop(:till, ["name"]) end) == "till"
  end

  test "a module that cannot be found is made up, for those who stub it" do
    assert Stand.stub("py_case_absent.part.predict", fn n -> n + 1 end) == :ok
    assert Py.call!("py_case_absent.part", :predict, [1]) == 2

    assert {:error, %Py.Error{type: "ModuleNotFoundError"}} =
             spawn_other(fn -> Py.call("py_case_absent.part", :predict, [1]) end)

    Stand.reset()

    assert {:error, %Py.Error{type: "ModuleNotFoundError"}} =
             Py.call("py_case_absent.part", :predict, [1])
  end

  if Py.info().own_gil do
    test "contexts with a GIL of their own have stand-ins", %{folder: folder} do
      {:ok, context} = Py.Context.start_link(mode: :owngil, paths: [folder])
      Stand.stub("py_case_shop.price", fn item -> [item, "stand-in"] end)
      assert shop(:price, ["tea"], context: context) == ["tea", "stand-in"]
      assert spawn_other(fn -> shop(:price, ["tea"], context: context) end) == ["tea", "EUR"]
      Stand.reset()
      assert shop(:price, ["tea"], context: context) == ["tea", "EUR"]
      Py.Context.stop(context)
    end
  end

  test "what cannot have a stand-in is an error" do
    assert {:error, %Py.Error{type: "AttributeError"}} =
             Stand.stub("py_case_shop.no.such", fn -> 1 end)

    assert {:error, %Py.Error{type: "TypeError"}} =
             Stand.stub("builtins.list.append", fn _list, _item -> 1 end)

    for wrong <- ["price", "a b.c", "", nil, {:shop, "x y"}] do
      assert_raise ArgumentError, ~r/expected a function of Python/, fn ->
        Stand.stub(wrong, fn -> 1 end)
      end
    end

    assert_raise ArgumentError, ~r/expected a function or \{:python, source\}/, fn ->
      Stand.stub("py_case_shop.price", 1)
    end

    assert_raise ArgumentError, ~r/unknown option :share/, fn ->
      Stand.stub("py_case_shop.price", fn -> 1 end, share: true)
    end
  end

  # In a process that the test did not start as a task.
  defp spawn_other(fun) do
    test = self()
    {pid, monitor} = spawn_monitor(fn -> send(test, {self(), fun.()}) end)

    receive do
      {^pid, result} ->
        assert_receive {:DOWN, ^monitor, :process, ^pid, :normal}, 5_000
        result

      {:DOWN, ^monitor, :process, ^pid, reason} ->
        exit(reason)
    end
  end
end
