defmodule ReadmeTest do
  use ExUnit.Case, async: true

  doctest_file("README.md")
end
