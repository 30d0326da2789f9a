%{
  "call" => %{instructions: 3330.6, vm_calls: 34.0, python_calls: 13.0},
  "call_awake" => %{instructions: 4075.2, vm_calls: 33.0, python_calls: 13.2},
  "callback" => %{instructions: 3746.3, vm_calls: 27.2, python_calls: 14.6},
  "eval" => %{instructions: 3087.9, vm_calls: 26.0, python_calls: 9.0},
  "floats_in" => %{instructions: 75.7, vm_calls: 3.0, python_calls: 2.0},
  "floats_out" => %{instructions: 79.5, vm_calls: 1.0, python_calls: 5.0},
  "integers_in" => %{instructions: 79.7, vm_calls: 3.0, python_calls: 2.0},
  "integers_out" => %{instructions: 99.5, vm_calls: 1.0, python_calls: 5.0},
  "maps_in" => %{instructions: 1975.4, vm_calls: 40.0, python_calls: 30.0},
  "maps_out" => %{instructions: 1894.2, vm_calls: 12.0, python_calls: 57.0},
  "queued_call" => %{instructions: 2973.3, vm_calls: 34.1, python_calls: 11.1},
  "state_incr" => %{instructions: 842.1, vm_calls: 3.0, python_calls: 0.0},
  "state_incr_python" => %{instructions: 872.8, vm_calls: 0.0, python_calls: 5.0},
  "strings_in" => %{instructions: 185.4, vm_calls: 3.0, python_calls: 2.0},
  "strings_out" => %{instructions: 111.5, vm_calls: 1.0, python_calls: 5.0}
}
