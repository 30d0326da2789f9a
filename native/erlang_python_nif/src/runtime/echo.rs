//! The floor of the benchmarks: a term's way through a queue to a thread and back, without Python, permits or contexts.
//! Every design with threads of its own pays this.

use std::sync::Arc;
use std::time::Duration;

use erlang_python_core::sync::queue::Queue;
use erlang_python_core::sync::spin::Spin;
use rustler::sys::ErlNifTerm;
use rustler::{Encoder, LocalPid, Resource, ResourceArc, Term};

use crate::beam::atoms;
use crate::beam::env::OwnedTermEnv;

type Echoes = Arc<Queue<Sent>>;

struct Sent {
    caller: LocalPid,
    env: OwnedTermEnv,
    /// `{reference, term}` in that environment.
    pair: ErlNifTerm,
}

// SAFETY: nothing is done with it through a shared reference; the echo thread takes it apart.
unsafe impl Sync for Sent {}

/// An echo thread, which ends when Elixir forgets this.
pub struct Echo(Echoes);

#[rustler::resource_impl]
impl Resource for Echo {}

impl Drop for Echo {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Starts a thread that spins for `spin` before it parks, as those of contexts do.
pub fn start(spin: Duration) -> Result<ResourceArc<Echo>, String> {
    let queue = Echoes::default();
    let echoes = queue.clone();
    let main = move || {
        let mut spin = Spin::new(spin);
        while !echoes.is_closed() {
            echoes.wait(&mut spin);
            while let Some(sent) = echoes.pop().and_then(Arc::into_inner) {
                reply(sent);
            }
        }
    };
    match std::thread::Builder::new().name("py_echo".into()).spawn(main) {
        Ok(_) => Ok(ResourceArc::new(Echo(queue))),
        Err(error) => Err(format!("cannot start a thread: {error}")),
    }
}

/// `{reference, {ok, term}}`.
fn reply(sent: Sent) {
    let Sent { caller, mut env, pair } = sent;
    env.send(&caller, |env| {
        // SAFETY: the term was made in this environment.
        let pair = unsafe { Term::new(env, pair) };
        let (reference, term): (Term, Term) = pair.decode().expect("`submit` makes a pair");
        (reference, (atoms::ok(), term)).encode(env)
    });
}

pub fn submit(echo: &Echo, caller: LocalPid, pair: Term<'_>) {
    let env = OwnedTermEnv::new();
    let pair = env.copy(pair).as_c_arg();
    // Refused only once the thread ends, which waits for `echo` to be forgotten.
    let _ = echo.0.push(Arc::new(Sent { caller, env, pair }));
}
