defmodule Py.Test.Browser do
  @moduledoc false
  # A headless Chromium, driven by the DevTools protocol over a pair of pipes: no port, no driver program, no sleeping.
  # Messages are JSON, each ended by a zero byte; Chromium reads file descriptor 3 and writes 4, as a BEAM port with
  # :nouse_stdio has it. Closing the port ends the browser.

  use GenServer

  import Py.Test.Wait, only: [eventually: 2]

  @programs ["chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "chrome"] ++
              ["/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"]

  @flags ~w(--headless --remote-debugging-pipe --no-sandbox --no-first-run --disable-gpu --disable-dev-shm-usage
            --disable-extensions --disable-background-networking --hide-scrollbars --force-color-profile=srgb)

  @answer_timeout 30_000

  ## What tests do

  def start_link(options \\ []), do: GenServer.start_link(__MODULE__, options)

  @doc "Opens a page and waits until it is loaded."
  def visit(browser, url) do
    %{"frameId" => _frame} = answer = command(browser, "Page.navigate", %{url: url})
    if answer["errorText"], do: raise("#{url}: #{answer["errorText"]}")

    wait(
      browser,
      "document.readyState == 'complete' && location.href.startsWith(#{json(origin(url))})"
    )
  end

  @doc "The value of a JavaScript expression; promises are awaited."
  def eval(browser, script) do
    options = %{expression: script, returnByValue: true, awaitPromise: true}

    case command(browser, "Runtime.evaluate", options) do
      %{"exceptionDetails" => details} -> raise "#{script}: #{inspect(details["exception"])}"
      %{"result" => result} -> result["value"]
    end
  end

  @doc "Waits until a JavaScript expression is truthy, and returns its value."
  def wait(browser, script, timeout \\ 20_000) do
    eventually(fn -> eval(browser, script) end, timeout)
  rescue
    error in ExUnit.AssertionError ->
      reraise %{
                error
                | message: "#{error.message}: #{script}\nThe page says:\n#{text(browser, "body")}"
              },
              __STACKTRACE__
  end

  @doc "The text of the first element, as it is seen."
  def text(browser, selector),
    do: eval(browser, "document.querySelector(#{json(selector)})?.innerText?.trim()")

  @doc "The texts of all elements."
  def texts(browser, selector) do
    eval(
      browser,
      "[...document.querySelectorAll(#{json(selector)})].map(e => e.innerText.trim())"
    )
  end

  @doc "Clicks the first element, or the first with a text."
  def click(browser, selector, text \\ nil) do
    find =
      "[...document.querySelectorAll(#{json(selector)})].find(e => #{json(text)} == null || e.innerText.trim() == #{json(text)})"

    wait(browser, "#{find} != null")
    eval(browser, "#{find}.click()")
  end

  @doc "Types into a field, or chooses an option."
  def fill(browser, selector, value) do
    wait(browser, "document.querySelector(#{json(selector)}) != null")

    eval(browser, """
    (() => {
      const field = document.querySelector(#{json(selector)})
      field.focus()
      field.value = #{json(value)}
      for (const name of ['input', 'change']) field.dispatchEvent(new Event(name, {bubbles: true}))
    })()
    """)
  end

  @doc "Writes a picture of the whole page."
  def screenshot(browser, path) do
    %{"cssContentSize" => %{"width" => width, "height" => height}} =
      command(browser, "Page.getLayoutMetrics", %{})

    clip = %{x: 0, y: 0, width: width, height: height, scale: 1}
    options = %{format: "png", captureBeyondViewport: true, clip: clip}
    %{"data" => data} = command(browser, "Page.captureScreenshot", options)
    File.mkdir_p!(Path.dirname(path))
    File.write!(path, Base.decode64!(data))
  end

  @doc "Events of a kind that have come so far, oldest first."
  def events(browser, method), do: GenServer.call(browser, {:events, method})

  @doc "Errors of scripts, of the console and of requests; each as a text."
  def errors(browser) do
    for(
      %{"exceptionDetails" => details} <- events(browser, "Runtime.exceptionThrown"),
      do: inspect(details)
    ) ++
      for(
        %{"entry" => %{"level" => "error"} = entry} <- events(browser, "Log.entryAdded"),
        do: "#{entry["text"]} #{entry["url"]}"
      ) ++
      for(
        %{"type" => "error", "args" => args} <- events(browser, "Runtime.consoleAPICalled"),
        do: inspect(args)
      )
  end

  @doc "A command of the DevTools protocol to the page."
  def command(browser, method, params),
    do: GenServer.call(browser, {:command, method, params}, @answer_timeout)

  defp origin(url), do: url |> URI.parse() |> Map.merge(%{path: nil, query: nil}) |> to_string()
  defp json(term), do: Jason.encode!(term)

  ## The process that owns the browser

  @impl true
  def init(options) do
    Process.flag(:trap_exit, true)

    profile =
      Path.join(
        System.tmp_dir!(),
        "browser_#{System.unique_integer([:positive])}_#{System.pid()}"
      )

    [width, height] = Keyword.get(options, :size, [1280, 900])

    flags =
      @flags ++ ["--user-data-dir=#{profile}", "--window-size=#{width},#{height}", "about:blank"]

    # What it says on its standard outputs is about the machine, not about the page.
    port =
      Port.open({:spawn_executable, "/bin/sh"}, [
        :nouse_stdio,
        :binary,
        :exit_status,
        args: ["-c", ~S(exec "$0" "$@" >/dev/null 2>&1), program() | flags]
      ])

    state = %{
      port: port,
      profile: profile,
      buffer: "",
      id: 0,
      waiting: %{},
      events: [],
      session: nil
    }

    {:ok, attach(state)}
  end

  defp program do
    wanted = [System.get_env("ERLANG_PYTHON_BROWSER") | @programs]

    Enum.find_value(wanted, &(&1 && System.find_executable(&1))) ||
      raise "the dashboard is tested in a browser: install Chromium or Chrome, or name one in ERLANG_PYTHON_BROWSER"
  end

  defp attach(state) do
    {%{"targetId" => target}, state} = ask(state, "Target.createTarget", %{url: "about:blank"})

    {%{"sessionId" => session}, state} =
      ask(state, "Target.attachToTarget", %{targetId: target, flatten: true})

    Enum.reduce(~w(Page Runtime Log Network), %{state | session: session}, fn domain, state ->
      {_enabled, state} = ask(state, "#{domain}.enable", %{})
      state
    end)
  end

  # While starting: nobody else talks to the browser yet.
  defp ask(state, method, params) do
    {id, state} = send_command(state, method, params)
    receive_answer(state, id)
  end

  defp receive_answer(%{port: port} = state, id) do
    receive do
      {^port, {:data, data}} ->
        {messages, state} = parse(state, data)
        state = Enum.reduce(messages, state, &keep_event/2)

        case Enum.find(messages, &(&1["id"] == id)) do
          nil -> receive_answer(state, id)
          %{"result" => result} -> {result, state}
          %{"error" => error} -> raise "the browser refused: #{inspect(error)}"
        end

      {^port, {:exit_status, status}} ->
        raise "the browser ended with status #{status} when it was started"
    after
      @answer_timeout -> raise "the browser did not answer when it was started"
    end
  end

  @impl true
  def handle_call({:command, method, params}, from, state) do
    {id, state} = send_command(state, method, params)
    {:noreply, put_in(state.waiting[id], from)}
  end

  def handle_call({:events, method}, _from, state) do
    {:reply, for({^method, params} <- Enum.reverse(state.events), do: params), state}
  end

  @impl true
  def handle_info({port, {:data, data}}, %{port: port} = state) do
    {messages, state} = parse(state, data)
    {:noreply, Enum.reduce(messages, state, &handle_message/2)}
  end

  def handle_info({port, {:exit_status, status}}, %{port: port} = state),
    do: {:stop, {:browser_ended, status}, state}

  def handle_info(_other, state), do: {:noreply, state}

  @impl true
  def terminate(_reason, %{port: port, profile: profile}) do
    if Port.info(port), do: Port.close(port)
    File.rm_rf(profile)
  end

  defp handle_message(%{"id" => id} = message, state) do
    {from, state} = pop_in(state.waiting[id])

    case message do
      %{"result" => result} -> GenServer.reply(from, result)
      %{"error" => error} -> GenServer.reply(from, %{"errorText" => inspect(error)})
    end

    state
  end

  defp handle_message(event, state), do: keep_event(event, state)

  defp keep_event(%{"method" => method, "params" => params}, state),
    do: %{state | events: [{method, params} | state.events]}

  defp keep_event(_answer, state), do: state

  defp send_command(%{id: id, session: session} = state, method, params) do
    message = %{id: id, method: method, params: params}
    message = if session, do: Map.put(message, :sessionId, session), else: message
    Port.command(state.port, [Jason.encode!(message), 0])
    {id, %{state | id: id + 1}}
  end

  # Complete messages, and the beginning of the next one.
  defp parse(state, data) do
    {messages, [rest]} = (state.buffer <> data) |> String.split(<<0>>) |> Enum.split(-1)
    {Enum.map(messages, &Jason.decode!/1), %{state | buffer: rest}}
  end
end
