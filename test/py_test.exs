defmodule PyTest do
  use ExUnit.Case, async: true

  doctest Py
  doctest Py.Callback
  doctest Py.Context
  doctest Py.ConversionError
  doctest Py.Env
  doctest Py.Error
  doctest Py.Object
  doctest Py.Router
  doctest Py.Task
end
