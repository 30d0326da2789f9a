Code.require_file("bench.exs", __DIR__)

defmodule BenchTest do
  # script/test runs it once, apart from the other tests. That everything is measured, not how fast it is.
  use ExUnit.Case, async: false

  import ExUnit.CaptureIO

  @moduletag :tmp_dir
  @moduletag timeout: 120_000

  test "a quick run measures everything", %{tmp_dir: folder} do
    Py.Test.Leftovers.restore_sys_path()
    capture_io(:stderr, fn -> Bench.main(["--quick", "--out", folder]) end)

    %{"header" => header, "results" => results} =
      Py.call!(:json, :loads, [File.read!(Path.join(folder, "bench.json"))])

    assert header["schedulers"] == System.schedulers_online()

    for %{"id" => id, "median" => median} = result <- results do
      assert median > 0, "#{id} was measured as #{inspect(median)}"
      assert result["floor"] == nil or (result["floor_median"] > 0 and result["ratio"] > 0), id
    end

    ids = Enum.map(results, & &1["id"])
    assert ids == Enum.uniq(ids)

    for id <-
          ~w(floors.echo calls.worker calls.callback data.ints_10000.both data.bytes_1000000.in
                 scale.throughput.worker_1.64 scale.parallel.worker.long idle.memory.worker idle.cpu) do
      assert id in ids
    end

    table = File.read!(Path.join(folder, "bench.md"))
    for %{"title" => title} <- results, do: assert(table =~ "| #{title} |")

    for name <- ~w(calls data throughput) do
      svg = File.read!(Path.join(folder, "#{name}.svg"))

      assert Py.eval!(
               "__import__('xml.etree.ElementTree').etree.ElementTree.fromstring(svg).tag",
               locals: %{svg: svg}
             ) == "{http://www.w3.org/2000/svg}svg"
    end
  end

  test "a suite that does not exist is named" do
    assert_raise Mix.Error, ~r/unknown suites nothing; there are floors, calls/, fn ->
      Bench.main(["--only", "nothing"])
    end
  end
end
