%{
  "call" => %{instructions: 3472.9, vm_calls: 27.0, python_calls: 13.0},
  "call_awake" => %{instructions: 4032.8, vm_calls: 20.0, python_calls: 13.2},
  "callback" => %{instructions: 3984.1, vm_calls: 25.8, python_calls: 16.4},
  "eval" => %{instructions: 3288.9, vm_calls: 23.0, python_calls: 9.0},
  "floats_in" => %{instructions: 86.2, vm_calls: 0.0, python_calls: 2.0},
  "floats_out" => %{instructions: 102.5, vm_calls: 1.0, python_calls: 3.0},
  "integers_in" => %{instructions: 41.2, vm_calls: 0.0, python_calls: 2.0},
  "integers_out" => %{instructions: 38.4, vm_calls: 0.0, python_calls: 3.0},
  "maps_in" => %{instructions: 1882.4, vm_calls: 21.0, python_calls: 30.0},
  "maps_out" => %{instructions: 2348.1, vm_calls: 11.0, python_calls: 53.0},
  "queued_call" => %{instructions: 3210.0, vm_calls: 27.0, python_calls: 11.0},
  "state_incr" => %{instructions: 841.4, vm_calls: 3.0, python_calls: 0.0},
  "state_incr_python" => %{instructions: 880.7, vm_calls: 0.0, python_calls: 5.0},
  "strings_in" => %{instructions: 149.7, vm_calls: 1.0, python_calls: 2.0},
  "strings_out" => %{instructions: 131.5, vm_calls: 1.0, python_calls: 3.0}
}
