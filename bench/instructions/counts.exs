%{
  "call" => %{instructions: 3403.1, vm_calls: 27.0, python_calls: 13.0},
  "call_awake" => %{instructions: 3976.7, vm_calls: 20.0, python_calls: 13.2},
  "callback" => %{instructions: 4082.3, vm_calls: 26.6, python_calls: 16.5},
  "eval" => %{instructions: 3232.1, vm_calls: 23.0, python_calls: 9.0},
  "floats_in" => %{instructions: 88.2, vm_calls: 2.0, python_calls: 2.0},
  "floats_out" => %{instructions: 102.5, vm_calls: 1.0, python_calls: 3.0},
  "integers_in" => %{instructions: 69.2, vm_calls: 0.0, python_calls: 2.0},
  "integers_out" => %{instructions: 37.5, vm_calls: 0.0, python_calls: 3.0},
  "maps_in" => %{instructions: 1812.0, vm_calls: 32.0, python_calls: 30.0},
  "maps_out" => %{instructions: 2324.1, vm_calls: 11.0, python_calls: 53.0},
  "queued_call" => %{instructions: 2902.9, vm_calls: 27.1, python_calls: 11.1},
  "state_incr" => %{instructions: 841.0, vm_calls: 3.0, python_calls: 0.0},
  "state_incr_python" => %{instructions: 880.7, vm_calls: 0.0, python_calls: 5.0},
  "strings_in" => %{instructions: 143.6, vm_calls: 2.0, python_calls: 2.0},
  "strings_out" => %{instructions: 128.7, vm_calls: 1.0, python_calls: 3.0}
}
