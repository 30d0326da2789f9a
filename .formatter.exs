[
  inputs: ["*.{ex,exs}", "{config,lib,test,bench,soak,fuzz,examples}/**/*.{ex,exs}"],
  # Phoenix's, whose own list is out of reach without Hex.
  locals_without_parens: [
    attr: 2,
    attr: 3,
    slot: 1,
    slot: 2,
    plug: 1,
    plug: 2,
    socket: 3,
    pipe_through: 1,
    get: 3,
    live_dashboard: 2
  ],
  line_length: 98
]
