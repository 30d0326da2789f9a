defmodule Py.Pool do
  @moduledoc """
  A pool of contexts under a supervisor of yours: it starts and ends with it.

      children = [
        {Py.Pool, name: :models, size: 2, preload: "import joblib; model = joblib.load('model.bin')"},
        MyApp.Predictor
      ]

      Supervisor.start_link(children, strategy: :rest_for_one)

  Calls go there by `context: :models`, as to a pool of `Py.Router.start_pool/3`, which the application supervises. All functions
  of `Py.Router` know it.

      iex> {:ok, pool} = Py.Pool.start_link(name: :documented, size: 2)
      iex> Py.eval("1 + 1", context: :documented)
      {:ok, 2}
      iex> Supervisor.stop(pool)
      iex> Py.Router.pool_started?(:documented)
      false
  """
  @moduledoc since: "0.1.0"

  use Supervisor

  alias Py.{Context, Router}
  alias Py.Pool.{Control, Registration}

  @typedoc "`:name` and `:size`, and the options of `Py.Router.start_pool/3`."
  @type option :: {:name, Router.pool()} | {:size, pos_integer()} | {atom(), term()}

  @doc """
  Starts a pool linked to the calling process.

    * `:name` - the pool's name, an atom. Required
    * `:size` - the number of contexts. Required
    * all options of `Py.Router.start_pool/3`

  A context that ends comes back at its place. Errors: `{:error, {:already_started, name}}`, `{:error, %Py.ContextError{}}` when a
  context cannot start.
  """
  @spec start_link([option()]) ::
          {:ok, pid()} | {:error, {:already_started, Router.pool()} | Py.ContextError.t()}
  def start_link(options) do
    {name, options} = required!(options, :name)
    {size, options} = required!(options, :size)
    {strategy, options} = Control.check!(name, size, options, :own_pool)

    case Supervisor.start_link(__MODULE__, {name, size, strategy, options}) do
      {:error, reason} -> {:error, Control.start_error(reason)}
      started -> started
    end
  end

  defp required!(options, key) do
    if not Keyword.keyword?(options) or not Keyword.has_key?(options, key) do
      raise ArgumentError,
            "Py.Pool needs the options :name and :size, got: #{inspect(options)}"
    end

    Keyword.pop(options, key)
  end

  @doc "For supervisors. Takes the options of `start_link/1`."
  @spec child_spec([option()]) :: Supervisor.child_spec()
  def child_spec(options) do
    %{
      id: {__MODULE__, options[:name]},
      start: {__MODULE__, :start_link, [options]},
      type: :supervisor
    }
  end

  @impl true
  def init({name, size, strategy, options}) do
    children = [
      {Registration, {name, strategy, self()}},
      {Context.Supervisor, {name, size, nil, options}}
    ]

    # The table forgets the pool when its process ends, and then all contexts have to register again.
    Supervisor.init(children, strategy: :rest_for_one)
  end
end
