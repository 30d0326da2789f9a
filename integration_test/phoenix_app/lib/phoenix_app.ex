defmodule PhoenixApp do
  @moduledoc "A Phoenix application with the dashboard page of erlang_python."

  use Application

  @impl true
  def start(_type, _arguments) do
    Application.put_env(:phoenix_app, PhoenixApp.Endpoint,
      adapter: Phoenix.Endpoint.Cowboy2Adapter,
      http: [ip: {127, 0, 0, 1}, port: 0],
      server: true,
      secret_key_base: String.duplicate("consumer", 8),
      live_view: [signing_salt: "consumer"]
    )

    Supervisor.start_link([PhoenixApp.Endpoint], strategy: :one_for_one)
  end

  @doc "Asks for the page as a browser does. Raises unless it shows this VM's Python."
  def check do
    version = Py.eval!("__import__('sys').version.split()[0]")
    {:ok, _} = Application.ensure_all_started(:inets)
    {:ok, {_address, port}} = PhoenixApp.Endpoint.server_info(:http)
    url = ~c"http://127.0.0.1:#{port}/dashboard/python"
    {:ok, {{_http, 200, _ok}, _headers, body}} = :httpc.request(url)
    if not (List.to_string(body) =~ version), do: raise("no #{version} on the page: #{body}")
    IO.puts("phoenix_app: the dashboard shows Python #{version}")
  end
end

defmodule PhoenixApp.Router do
  use Phoenix.Router

  import Phoenix.LiveDashboard.Router

  pipeline :browser do
    plug :fetch_session
    plug :protect_from_forgery
  end

  scope "/" do
    pipe_through :browser
    live_dashboard("/dashboard", additional_pages: [python: Py.LiveDashboard])
  end
end

defmodule PhoenixApp.Endpoint do
  use Phoenix.Endpoint, otp_app: :phoenix_app

  @session [store: :cookie, key: "_phoenix_app", signing_salt: "consumer"]

  socket "/live", Phoenix.LiveView.Socket, websocket: [connect_info: [session: @session]]

  plug Plug.Session, @session
  plug PhoenixApp.Router
end
