defmodule Py.Test.AtomBound do
  @moduledoc """
  Uses up the bound of new atoms. The bound is one for the whole BEAM and nothing gives atoms back, so this runs in a node
  of its own.
  """

  @doc "Runs `exceptions/1` in a fresh BEAM."
  def run(count) do
    peer = Py.Test.Peer.start([])
    {:ok, _started} = Py.Test.Peer.start_python(peer)
    Py.Test.Peer.call(peer, __MODULE__, :exceptions, [count])
  end

  @doc """
  Raises exceptions of `count` classes. Returns the growth of the atom table, the classes as they came, and how
  some texts come back then.
  """
  def exceptions(count) do
    :ok = Py.exec("def throw(name): raise type(name, (Exception,), {})('text')")
    throw = &Py.Test.Dialect.call("__main__", :throw, [&1], dialect: :erlang)
    # What loading the code of the first failure makes.
    throw.("First")
    before = :erlang.system_info(:atom_count)

    classes =
      for n <- 1..count do
        {:error, {class, ~c"text"}} = throw.("Class#{n}")
        class
      end

    grown = :erlang.system_info(:atom_count) - before

    %{
      grown: grown,
      classes: classes,
      known: throw.("Class1"),
      # The atom exists because this module mentions it.
      existing: throw.("ValueError") == {:error, {:ValueError, ~c"text"}},
      atom: Py.call(:erlang, :atom, ["never seen before"]),
      existing_atom: Py.call(:erlang, :atom, ["ok"]),
      elixir: elem(Py.call("__main__", :throw, ["Another"]), 1).type
    }
  end
end
