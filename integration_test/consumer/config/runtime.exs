import Config

# A virtual environment that is chosen when the release starts.
if python = System.get_env("CONSUMER_PYTHON"), do: config(:erlang_python, python: python)
