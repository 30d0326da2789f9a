//! Memory and processor time of the operating system's process.

use std::sync::{LazyLock, Mutex};

use erlang_python_core::stats::now;
use erlang_python_core::stats::window::Window;
use erlang_python_core::sync::lock;
use serde::Serialize;
use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};

#[derive(Clone, Copy, Default, Serialize)]
pub struct Os {
    memory_bytes: u64,
    cpu_time_ms: u64,
    cpu_share: f64,
    cpus: usize,
}

struct Meter {
    system: System,
    cpu: Window,
}

static METER: LazyLock<Mutex<Meter>> = LazyLock::new(|| {
    let mut system = System::new();
    let (_memory, cpu) = usage(&mut system);
    Mutex::new(Meter { system, cpu: Window::new(now(), cpu) })
});

/// Begins to measure: the first `read` tells of the time since.
pub fn start() {
    LazyLock::force(&METER);
}

pub fn read() -> Os {
    let mut meter = lock(&METER);
    let (memory_bytes, cpu) = usage(&mut meter.system);
    let now = now();
    let cpu_share = meter.cpu.rate(now, cpu);
    meter.cpu.mark(now, cpu);
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    Os { memory_bytes, cpu_time_ms: cpu / 1_000_000, cpu_share, cpus }
}

/// The memory that this process may use, in bytes: that of the machine or of its control group. `None` where the system does not
/// tell.
pub fn available() -> Option<u64> {
    let mut system = System::new();
    system.refresh_memory();
    let group = system.cgroup_limits().map_or(u64::MAX, |limits| limits.total_memory);
    Some(system.total_memory().min(group)).filter(|bytes| *bytes > 0)
}

/// Resident bytes, and nanoseconds of processor time. Zeros where the system does not say.
fn usage(system: &mut System) -> (u64, u64) {
    let pid = Pid::from_u32(std::process::id());
    let kind = ProcessRefreshKind::nothing().with_memory().with_cpu().without_tasks();
    system.refresh_processes_specifics(ProcessesToUpdate::Some(&[pid]), false, kind);
    system.process(pid).map_or((0, 0), |process| (process.memory(), process.accumulated_cpu_time() * 1_000_000))
}
