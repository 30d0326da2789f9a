[
  inputs: ["*.{ex,exs}", "{config,lib,test,bench,examples}/**/*.{ex,exs}"],
  line_length: 98
]
