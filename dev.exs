# A Phoenix application in one file: the dashboard with the page of erlang_python, and load that moves every number on it.
#
#     script/dashboard                   http://127.0.0.1:4000/dashboard/python
#     PORT=4001 script/dashboard
#
# With Hex: mix run --no-start --no-halt -r dev.exs -e "Dev.main()"

defmodule Dev.Web.Router do
  use Phoenix.Router

  import Phoenix.LiveDashboard.Router
  import Plug.Conn

  pipeline :browser do
    plug :fetch_query_params
    plug :fetch_session
    plug :protect_from_forgery
    plug :put_policy
  end

  scope "/" do
    pipe_through :browser

    live_dashboard("/dashboard",
      metrics: Py.Telemetry,
      additional_pages: [python: Py.LiveDashboard],
      csp_nonce_assign_key: :nonce
    )

    get "/", Dev.Web.Home, :index
  end

  # As strict as an application may be: nothing of another origin, no inline style or script without the nonce.
  defp put_policy(conn, _options) do
    nonce = 18 |> :crypto.strong_rand_bytes() |> Base.encode64()

    policy =
      "default-src 'self'; img-src 'self' data:; font-src 'self' data:; " <>
        "style-src 'self' 'nonce-#{nonce}'; script-src 'self' 'nonce-#{nonce}'"

    conn |> assign(:nonce, nonce) |> put_resp_header("content-security-policy", policy)
  end
end

defmodule Dev.Web.Home do
  import Plug.Conn

  def init(action), do: action

  def call(conn, :index) do
    conn |> put_resp_header("location", "/dashboard/python") |> send_resp(302, "")
  end
end

defmodule Dev.Web.Endpoint do
  use Phoenix.Endpoint, otp_app: :erlang_python

  @session [store: :cookie, key: "_dev", signing_salt: "dashboard"]

  socket "/live", Phoenix.LiveView.Socket, websocket: [connect_info: [session: @session]]

  plug Plug.Session, @session
  plug Dev.Web.Router
end

defmodule Dev.Load do
  @moduledoc false
  # Many small workers, each with one kind of work at its own pace. The pace of calls rises and falls.

  use Supervisor

  @python """
  import erlang, gc, math, time

  class Node:
      def __init__(self, next=None):
          self.next, self.me = next, self

  def work(n):
      return sum(math.isqrt(i) for i in range(n))

  def wait(seconds):
      time.sleep(seconds)

  def garbage(n):
      node = None
      for _ in range(n):
          node = Node(node)
      return n

  def order(item, amount):
      erlang.state_incr('orders')
      return amount * erlang.call('price', item)

  def fail(kind):
      if kind == 0: return {}['missing key']
      if kind == 1: raise ValueError("the price of <b>tea</b> must be a number, got 'three'")
      if kind == 2: return 1 / 0
      return erlang.call('stock', 'tea')
  """

  def python, do: @python

  def start_link(_options), do: Supervisor.start_link(__MODULE__, nil, name: __MODULE__)

  @impl true
  def init(nil) do
    workers =
      [
        # {name, mean milliseconds between two, work}
        {:calls, 4, fn -> call(:work, [Enum.random(50..3_000)]) end},
        {:more_calls, 5, fn -> call(:work, [Enum.random(50..1_000)]) end},
        {:orders, 20,
         fn -> call(:order, [Enum.random(~w(tea coffee milk)), Enum.random(1..9)]) end},
        {:downloads, 15, fn -> call(:wait, [0.03]) end},
        {:more_downloads, 20, fn -> call(:wait, [0.05]) end},
        {:uploads, 25, fn -> call(:wait, [0.08]) end},
        {:parsers, 40, fn -> parse() end},
        {:garbage, 150, fn -> call(:garbage, [20_000]) end},
        {:errors, 300, fn -> call(:fail, [Enum.random(0..3)]) end},
        {:timeouts, 2_000, fn -> Py.exec("while True: pass", timeout: 40) end},
        {:bursts, 3_000, fn -> burst() end},
        {:stuck, 9_000,
         fn -> Py.exec("import time; time.sleep(4)", context: :reports, timeout: 300) end},
        {:state, 500, fn -> remember() end},
        {:handles, 1_000, fn -> hold() end},
        {:casts, 4_000, fn -> Py.cast(:json, :loads, ["{"]) end}
      ]

    children =
      for {name, pause, work} <- workers do
        Supervisor.child_spec({Task, fn -> loop(pause, work) end}, id: name, restart: :permanent)
      end

    Supervisor.init(children, strategy: :one_for_one, max_restarts: 1_000)
  end

  defp loop(pause, work) do
    # One wave a minute, between half and twice the pace.
    wave = :math.pow(2, :math.sin(System.os_time(:millisecond) / 60_000 * 2 * :math.pi()))
    Process.sleep(round(pause * wave * (0.5 + :rand.uniform())))
    work.()
    loop(pause, work)
  end

  defp call(function, args), do: Py.call("__main__", function, args)

  defp parse do
    source = "total = 0\n" <> String.duplicate("total += len('abc' * 3)\n", Enum.random(20..200))
    Py.call(:ast, :parse, [source], context: :parsers, return: :object)
  end

  # More at once than may wait: the limit is reached, and some are refused.
  defp burst do
    1..40
    |> Task.async_stream(
      fn n ->
        Py.exec("import time; time.sleep(0.03)", wait: if(rem(n, 4) == 0, do: 0, else: 50))
      end,
      max_concurrency: 40
    )
    |> Stream.run()
  end

  defp remember do
    user = Enum.random(1..40)
    visits = Py.State.incr("visits")

    Py.State.put("session:#{user}", %{
      user: user,
      visits: visits,
      cart: Enum.take_random(~w(tea coffee milk), 2)
    })

    Py.State.put("config", %{model: "small", timeout: 30_000, endpoints: ["a", "b"]})
    Py.State.put("embedding", for(_ <- 1..5_000, do: :rand.uniform()))
    Py.State.put("note", "<script>document.title = 'injected'</script>")
  end

  # Handles, each alive until its process ends.
  defp hold do
    Task.Supervisor.start_child(Dev.Holders, fn ->
      object = Py.call!(:collections, :Counter, ["abracadabra"], return: :object)
      Process.sleep(Enum.random(1_000..20_000))
      Py.Object.type(object)
    end)
  end
end

defmodule Dev do
  @moduledoc false

  # With Hex all applications are started by their names, too: the project's own is configured first.
  @doc "Serves until the VM ends."
  def main do
    # Failures are on the page: they are the load's purpose.
    Logger.configure(level: :critical)
    {:ok, _pid} = start(port: String.to_integer(System.get_env("PORT", "4000")))
    IO.puts("The page of Python: http://127.0.0.1:#{port()}/dashboard/python")
  end

  @doc "Starts everything: `:port` (0 for a free one), `:load` (default: true)."
  def start(options \\ []) do
    for application <- [
          :phoenix_live_view,
          :phoenix_live_dashboard,
          :plug_cowboy,
          :jason,
          :telemetry_poller
        ] do
      {:ok, _started} = Application.ensure_all_started(application)
    end

    configure_python()
    {:ok, _started} = Application.ensure_all_started(:erlang_python)
    configure_endpoint(Keyword.get(options, :port, 4000))

    Py.register_function("price", fn item ->
      Map.fetch!(%{"tea" => 3, "coffee" => 4, "milk" => 1}, item)
    end)

    Py.register_function("stock", fn item -> raise "no stock of #{item} is known" end)

    children =
      [
        {Phoenix.PubSub, name: Dev.PubSub},
        {Task.Supervisor, name: Dev.Holders},
        %{id: :parsers, start: {__MODULE__, :start_parsers, []}},
        {Py.Context, name: :reports},
        {:telemetry_poller, measurements: Py.Telemetry.measurements(), period: 1_000},
        Dev.Web.Endpoint
      ] ++ if(Keyword.get(options, :load, true), do: [Dev.Load], else: [])

    {:ok, pid} = Supervisor.start_link(children, strategy: :one_for_one, name: Dev.Supervisor)
    # It outlives whoever started it, a test for one.
    Process.unlink(pid)
    {:ok, pid}
  end

  def start_parsers do
    mode = if Py.info().own_gil, do: :owngil, else: :worker
    {:ok, _contexts} = Py.Router.start_pool(:parsers, 2, mode: mode)
    :ignore
  end

  def port, do: :ranch.get_port(Dev.Web.Endpoint.HTTP)

  defp configure_python do
    for {key, value} <- [
          num_contexts: 4,
          max_concurrent: 12,
          max_queue: 200,
          max_state_entries: 1_000,
          preload: Dev.Load.python()
        ],
        do: Application.put_env(:erlang_python, key, value)
  end

  defp configure_endpoint(port) do
    Application.put_env(:erlang_python, Dev.Web.Endpoint,
      adapter: Phoenix.Endpoint.Cowboy2Adapter,
      http: [ip: {127, 0, 0, 1}, port: port],
      server: true,
      url: [host: "127.0.0.1"],
      check_origin: false,
      secret_key_base: Base.encode64(:crypto.strong_rand_bytes(48)),
      live_view: [signing_salt: "live view"],
      pubsub_server: Dev.PubSub
    )
  end
end
