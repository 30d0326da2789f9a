defmodule Py.Native.RecordsTest do
  # Terms of a type that the VM's NIF interface does not list: `enif_term_type` ends the VM when it is asked about one.
  use Py.Test.Case, async: true

  @otp :otp_release |> :erlang.system_info() |> List.to_integer()

  if @otp < 29, do: @moduletag(skip: "OTP #{@otp} has no native records")

  # Compiled at run time: older compilers cannot read it.
  @source """
  -module(erlang_python_native_record).
  -export([make/0]).
  -record #point{x = 1, y = a}.
  make() -> #point{x = 2}.
  """

  setup_all do
    path = Path.join(System.tmp_dir!(), "erlang_python_native_record.erl")
    File.write!(path, @source)
    {:ok, module, code} = :compile.file(to_charlist(path), [:binary])
    {:module, ^module} = :code.load_binary(module, to_charlist(path), code)
    File.rm!(path)
    {:ok, record: module.make()}
  end

  defp assert_refused(result, path) do
    assert {:error, %Py.ConversionError{reason: reason, path: ^path}} = result
    assert reason =~ "native record"
  end

  for mode <- modes() do
    describe "#{mode}" do
      @describetag mode: mode

      test "arguments and locals", %{ctx: ctx, record: record} do
        assert_refused(Py.call(ctx, :builtins, :len, [record]), "args[0]")
        assert_refused(Py.call(ctx, :builtins, :len, [[1, {2, record}]]), "args[0][1][1]")
        assert_refused(Py.call(ctx, :builtins, :dict, [], kwargs: [a: record]), "kwargs.a")
        assert_refused(Py.eval(ctx, "x", locals: %{x: %{y: record}}), "locals.x.y")
        assert_refused(Py.eval(ctx, "x", locals: %{x: MapSet.new([record])}), "locals.x{…}")
        assert %Py.ConversionError{path: path} = error(ctx, "x", %{x: %{record => 1}})
        assert path =~ ~r/^locals\.x\[.*point/
        assert Py.eval(ctx, "1 + 1") == {:ok, 2}
      end

      test "the result of a callback", %{ctx: ctx, record: record} do
        Py.Test.Callback.register("native_record_#{unquote(mode)}", fn -> [record] end)
        code = "__import__('erlang').call('native_record_#{unquote(mode)}')"
        assert {:error, %Py.Error{} = error} = Py.eval(ctx, code)
        assert error.message =~ "[0]: a term that has no Python counterpart"
        assert Py.eval(ctx, "1 + 1") == {:ok, 2}
      end

      test "the shared state", %{ctx: ctx, record: record} do
        key = "native_record_#{unquote(mode)}"
        :ok = Py.State.put(key, {record, record})
        assert Py.State.get(key) == {record, record}

        assert {:error, %Py.Error{} = error} =
                 Py.eval(ctx, "__import__('erlang').state_get('#{key}')")

        assert error.message =~ "[0]: a term that has no Python counterpart"
        Py.State.delete(key)
      end

      test "the Erlang dialect", %{ctx: ctx, record: record} do
        assert {:error, {:conversion_error, text}} =
                 :py.call(ctx, :builtins, :len, [[%{a: record}]])

        assert List.to_string(text) =~ "args[0][0].a: a term that has no Python counterpart"
      end
    end
  end
end
