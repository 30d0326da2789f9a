# Runs `tests/rooms`: Rust code of the NIF without the Erlang VM. `bench/instructions/fake_vm.c` stands in for it, and a
# real libpython is loaded, the one that the tests in Elixir use. Arguments are those of the test program: names of tests.
#
# The test program is linked to neither: the loader puts both in front of it.

crate = Path.expand("..", __DIR__)
native = Path.expand("..", crate)
checkout = Path.expand("..", native)

run = fn program, arguments, options ->
  options = [into: IO.stream(), stderr_to_stdout: true] ++ options

  case System.cmd(program, arguments, options) do
    {_output, 0} -> :ok
    {_output, status} -> Mix.raise("#{program} failed with status #{status}")
  end
end

# Other flags for the linker would have all crates built again in the usual folder.
target = Path.join(native, "target/rooms")
File.mkdir_p!(target)
vm = Path.join(target, "fake_vm.so")
include = Path.join([:code.root_dir(), "usr", "include"])
source = Path.join(checkout, "bench/instructions/fake_vm.c")
run.("cc", ["-O1", "-g", "-shared", "-fPIC", "-I#{include}", "-o", vm, source, "-lpthread"], [])

Py.Config.load()
{:ok, python} = Py.Interpreter.find()
[host] = Regex.run(~r/^host: (.*)$/m, elem(System.cmd("rustc", ["-vV"]), 0), capture: :all_but_first)
runner = "CARGO_TARGET_#{host |> String.replace("-", "_") |> String.upcase()}_RUNNER"

environment = [
  {"CARGO_TARGET_DIR", target},
  {"RUSTFLAGS", "-C link-arg=-Wl,--unresolved-symbols=ignore-all"},
  {runner, "env LD_PRELOAD=#{vm}:#{python.library}"},
  {"ERLANG_PYTHON_EXECUTABLE", python.executable}
]

arguments = ["test", "-p", "erlang_python_nif", "--test", "rooms", "--" | System.argv()]
run.("cargo", arguments, cd: native, env: environment)
