defmodule Py.Native.Artifact.Download do
  @moduledoc false
  # Downloads by `rustler_precompiled`, which knows proxies, certificates and retries.

  @compile {:no_warn_undefined, RustlerPrecompiled}

  @cache "RUSTLER_PRECOMPILED_GLOBAL_CACHE_PATH"

  @doc "The folder that `rustler_precompiled` keeps artifacts in, on this machine."
  @spec cache() :: Path.t()
  def cache do
    options = if System.get_env("MIX_XDG"), do: %{os: :linux}, else: %{}

    System.get_env(@cache) ||
      :filename.basedir(:user_cache, "rustler_precompiled/precompiled_nifs", options)
  end

  @doc "Downloads the file `name` below an address."
  @spec get({String.t(), [{String.t(), String.t()}]}, String.t()) ::
          {:ok, binary()} | {:error, String.t()}
  def get({address, headers}, name) do
    if Code.ensure_loaded?(RustlerPrecompiled),
      do: download({Path.join(address, name), headers}, name),
      else: {:error, "the library rustler_precompiled, which downloads them, is not there"}
  end

  # The library writes what it gets to its cache before anybody has checked it: it is given a cache for this one file.
  defp download(url, name) do
    folder = System.tmp_dir!() |> Path.join("erlang_python") |> Py.Native.Files.beside()
    before = System.get_env(@cache)
    System.put_env(@cache, folder)

    try do
      [%{path: path}] =
        RustlerPrecompiled.download_nif_artifacts_with_checksums!([{name, url}], max_retries: 2)

      File.read(path)
    rescue
      error in [RuntimeError, File.Error] -> {:error, Exception.message(error)}
    after
      if before, do: System.put_env(@cache, before), else: System.delete_env(@cache)
      File.rm_rf(folder)
    end
  end
end
