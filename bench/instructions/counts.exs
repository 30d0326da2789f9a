%{
  "call" => %{instructions: 3316.7, vm_calls: 29.0, python_calls: 13.0},
  "call_awake" => %{instructions: 4074.4, vm_calls: 28.0, python_calls: 13.2},
  "callback" => %{instructions: 4605.5, vm_calls: 26.7, python_calls: 16.5},
  "eval" => %{instructions: 3140.5, vm_calls: 25.0, python_calls: 9.0},
  "floats_in" => %{instructions: 87.6, vm_calls: 2.0, python_calls: 2.0},
  "floats_out" => %{instructions: 99.4, vm_calls: 1.0, python_calls: 3.0},
  "integers_in" => %{instructions: 68.6, vm_calls: 0.0, python_calls: 2.0},
  "integers_out" => %{instructions: 122.4, vm_calls: 0.0, python_calls: 3.0},
  "maps_in" => %{instructions: 1878.5, vm_calls: 32.0, python_calls: 30.0},
  "maps_out" => %{instructions: 2311.8, vm_calls: 11.0, python_calls: 53.0},
  "queued_call" => %{instructions: 2957.3, vm_calls: 29.0, python_calls: 11.1},
  "state_incr" => %{instructions: 836.0, vm_calls: 3.0, python_calls: 0.0},
  "state_incr_python" => %{instructions: 873.8, vm_calls: 0.0, python_calls: 5.0},
  "strings_in" => %{instructions: 153.4, vm_calls: 2.0, python_calls: 2.0},
  "strings_out" => %{instructions: 125.4, vm_calls: 1.0, python_calls: 3.0}
}
