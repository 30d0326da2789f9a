//! The rooms `request` and `runtime`, as far as they need no context.

use rustler::Encoder;

use crate::beam::dialect::Dialect;
use crate::beam::{atoms, serial};
use crate::in_vm;
use crate::request::flags::Flags;
use crate::request::permits::PERMITS;
use crate::request::process_permit;
use crate::runtime::snapshot;

#[test]
fn flags_are_bits() {
    let flags = Flags(Flags::ERLANG | Flags::CHORE);
    assert!(flags.has(Flags::ERLANG) && flags.has(Flags::CHORE) && !flags.has(Flags::CAST));
    assert_eq!([flags.dialect(), Flags(Flags::CAST).dialect()], [Dialect::Erlang, Dialect::Elixir]);
}

unsafe extern "C" {
    /// Makes the calling thread the scheduler of the stand-in.
    safe fn start_vm();
}

/// One test, because there is one limit.
#[test]
fn permits_are_held_by_processes_and_shown_in_snapshots() {
    start_vm();
    in_vm(|env| {
        let permits = || {
            let snapshot = serial::to_term(env, &snapshot::take(&[])).expect("a map");
            let permits = snapshot.map_get(atoms::permits()).expect("a field");
            ["in_use", "max_concurrent", "waiting"].map(|name| {
                permits.map_get(atoms::existing(env, name).expect("an atom")).expect("a field").decode::<usize>().ok()
            })
        };
        let reference = env.make_ref().encode(env);
        PERMITS.set_max(1);
        let (first, granted) = process_permit::acquire(env, reference, false).expect("a permit is free");
        assert!(granted);
        assert!(process_permit::acquire(env, reference, false).is_none());
        let (second, granted) = process_permit::acquire(env, reference, true).expect("it waits");
        assert!(!granted);
        assert_eq!(permits(), [Some(1), Some(1), Some(1)]);
        // Whoever gave up is not counted.
        let (third, _) = process_permit::acquire(env, reference, true).expect("it waits");
        assert!(third.give_up() && !third.give_up());
        assert_eq!(permits(), [Some(1), Some(1), Some(1)]);
        assert!(first.release() && !first.release());
        assert!(!second.gone() || !second.give_up());
        assert_eq!(permits(), [Some(1), Some(1), Some(0)]);
        assert!(second.release());
        assert_eq!(permits(), [Some(0), Some(1), Some(0)]);
        PERMITS.set_max(usize::MAX);
    });
}
