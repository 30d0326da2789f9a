%{
  "call" => %{instructions: 3138.6, vm_calls: 27.0, python_calls: 13.0},
  "call_awake" => %{instructions: 3824.6, vm_calls: 20.0, python_calls: 13.2},
  "callback" => %{instructions: 3483.2, vm_calls: 25.8, python_calls: 16.4},
  "eval" => %{instructions: 3072.4, vm_calls: 23.0, python_calls: 9.0},
  "floats_in" => %{instructions: 69.1, vm_calls: 0.0, python_calls: 2.0},
  "floats_out" => %{instructions: 107.6, vm_calls: 1.0, python_calls: 3.0},
  "integers_in" => %{instructions: 41.1, vm_calls: 0.0, python_calls: 2.0},
  "integers_out" => %{instructions: 38.6, vm_calls: 0.0, python_calls: 3.0},
  "maps_in" => %{instructions: 1733.4, vm_calls: 21.0, python_calls: 30.0},
  "maps_out" => %{instructions: 2370.8, vm_calls: 11.0, python_calls: 53.0},
  "queued_call" => %{instructions: 2809.9, vm_calls: 27.0, python_calls: 11.0},
  "state_incr" => %{instructions: 738.0, vm_calls: 3.0, python_calls: 0.0},
  "state_incr_python" => %{instructions: 872.8, vm_calls: 0.0, python_calls: 5.0},
  "strings_in" => %{instructions: 133.0, vm_calls: 1.0, python_calls: 2.0},
  "strings_out" => %{instructions: 142.7, vm_calls: 1.0, python_calls: 3.0}
}
