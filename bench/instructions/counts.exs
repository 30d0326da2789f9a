%{
  "call" => %{instructions: 3325.5, vm_calls: 29.0, python_calls: 13.0},
  "call_awake" => %{instructions: 4086.9, vm_calls: 28.0, python_calls: 13.2},
  "callback" => %{instructions: 4343.5, vm_calls: 26.7, python_calls: 16.5},
  "eval" => %{instructions: 3142.2, vm_calls: 25.0, python_calls: 9.0},
  "floats_in" => %{instructions: 87.5, vm_calls: 2.0, python_calls: 2.0},
  "floats_out" => %{instructions: 102.5, vm_calls: 1.0, python_calls: 3.0},
  "integers_in" => %{instructions: 68.7, vm_calls: 0.0, python_calls: 2.0},
  "integers_out" => %{instructions: 37.4, vm_calls: 0.0, python_calls: 3.0},
  "maps_in" => %{instructions: 1879.4, vm_calls: 32.0, python_calls: 30.0},
  "maps_out" => %{instructions: 2322.1, vm_calls: 11.0, python_calls: 53.0},
  "queued_call" => %{instructions: 2956.9, vm_calls: 29.1, python_calls: 11.0},
  "state_incr" => %{instructions: 836.5, vm_calls: 3.0, python_calls: 0.0},
  "state_incr_python" => %{instructions: 874.8, vm_calls: 0.0, python_calls: 5.0},
  "strings_in" => %{instructions: 153.9, vm_calls: 2.0, python_calls: 2.0},
  "strings_out" => %{instructions: 128.4, vm_calls: 1.0, python_calls: 3.0}
}
