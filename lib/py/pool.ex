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

  @typedoc "Options of `start_link/1`: `:name`, `:size`, and those of `Py.Router.start_pool/3`."
  @type option :: unquote(Py.Schema.spec(:own_pool))

  @doc """
  Starts a pool linked to the calling process.

  A context that ends is replaced at its number.

  ## Options

  #{Py.Schema.Docs.options(:own_pool)}

  ## Errors

    * `{:error, {:already_started, name}}` - a pool has the name; choose another one, or stop that pool
    * `{:error, %Py.ContextError{}}` - a context cannot start; `:reason` has the traceback of its `:preload`

  Raises `ArgumentError` for a wrong option, and without `:name` or `:size`.
  """
  @doc since: "0.1.0"
  @spec start_link([option()]) ::
          {:ok, pid()} | {:error, {:already_started, Router.pool()} | Py.ContextError.t()}
  def start_link(options) do
    {strategy, options} = Control.check!(options)
    {name, options} = Keyword.pop!(options, :name)
    {size, options} = Keyword.pop!(options, :size)

    case Supervisor.start_link(__MODULE__, {name, size, strategy, options}) do
      {:error, reason} -> {:error, Control.start_error(reason)}
      started -> started
    end
  end

  @doc """
  The child specification of a pool, for supervisors. Options are those of `start_link/1`; they are checked when
  the supervisor starts the pool.
  """
  @doc since: "0.1.0"
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
