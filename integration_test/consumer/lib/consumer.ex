defmodule Consumer do
  @moduledoc "Uses Python in both modes, and says with which one."

  @doc "Raises unless everything is as it should be."
  def check do
    3 = Py.call!("math", "gcd", [12, 15])
    "BEAM and Python" = Py.eval!("' and '.join(words)", locals: %{words: ["BEAM", "Python"]})
    {:error, %Py.Error{type: "ZeroDivisionError"}} = Py.eval("1 / 0")

    Py.Callback.register("double", fn x -> 2 * x end)
    42 = Py.eval!("__import__('erlang').call('double', 21)")
    own_gil()
    IO.puts("consumer: OTP #{System.otp_release()}, Python #{Py.eval!("__import__('sys').version.split()[0]")}")
  end

  # CPython has them since 3.12.
  defp own_gil do
    if Py.Interpreter.capabilities().own_gil do
      {:ok, context} = Py.Context.start_link(mode: :owngil)
      720 = Py.call!("math", "factorial", [6], context: context)
      :ok = Py.Context.stop(context)
    end
  end
end
