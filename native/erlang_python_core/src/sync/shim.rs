//! The primitives under everything that threads share: those of the standard library or, under `--cfg loom`, those of
//! loom, which tries all orders in which threads may run (`tests/loom.rs`).

#[cfg(loom)]
pub use model::*;
#[cfg(not(loom))]
pub use standard::*;

#[cfg(not(loom))]
mod standard {
    pub use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicU64, AtomicUsize};
    pub use std::sync::mpsc::{Receiver, Sender, channel};
    pub use std::sync::{Mutex, OnceLock};
    pub use std::thread::{park, yield_now};

    pub use super::super::lock;

    /// `std::cell::UnsafeCell` with the interface of loom's, which tracks each access.
    pub struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

    impl<T> UnsafeCell<T> {
        /// A cell with this value.
        pub const fn new(value: T) -> Self {
            UnsafeCell(std::cell::UnsafeCell::new(value))
        }

        /// Calls `work` with a pointer to read through.
        #[inline(always)]
        pub fn with<R>(&self, work: impl FnOnce(*const T) -> R) -> R {
            work(self.0.get())
        }

        /// Calls `work` with a pointer to write through.
        #[inline(always)]
        pub fn with_mut<R>(&self, work: impl FnOnce(*mut T) -> R) -> R {
            work(self.0.get())
        }
    }

    /// Unparks the one thread that has registered.
    #[derive(Default)]
    pub struct Parker(OnceLock<std::thread::Thread>);

    impl Parker {
        /// Registers the calling thread.
        pub fn register(&self) {
            self.0.get_or_init(std::thread::current);
        }

        /// Unparks the registered thread, if there is one.
        pub fn unpark(&self) {
            if let Some(thread) = self.0.get() {
                thread.unpark();
            }
        }
    }
}

#[cfg(loom)]
#[allow(missing_docs)]
mod model {
    use std::sync::atomic::Ordering::{self, SeqCst};

    pub use loom::cell::UnsafeCell;
    pub use loom::sync::Mutex;
    use loom::sync::MutexGuard;
    use loom::sync::atomic::{self, fence};
    pub use loom::sync::mpsc::{Receiver, Sender, channel};
    pub use loom::thread::{park, yield_now};
    pub use std::sync::OnceLock;

    /// Locks a mutex.
    pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
        mutex.lock().unwrap()
    }

    /// Runs an atomic operation between fences if it is sequentially consistent: loom orders only fences as such.
    fn fenced<R>(order: Ordering, operation: impl FnOnce() -> R) -> R {
        if order == SeqCst {
            fence(SeqCst);
        }
        let result = operation();
        if order == SeqCst {
            fence(SeqCst);
        }
        result
    }

    macro_rules! atomics {
        ($($name:ident $(<$generic:ident>)?: $value:ty),+ $(,)?) => {
            $(
                pub struct $name$(<$generic>)?(atomic::$name$(<$generic>)?);

                impl$(<$generic>)? $name$(<$generic>)? {
                    pub fn new(value: $value) -> Self {
                        Self(atomic::$name::new(value))
                    }

                    pub fn load(&self, order: Ordering) -> $value {
                        fenced(order, || self.0.load(order))
                    }

                    pub fn store(&self, value: $value, order: Ordering) {
                        fenced(order, || self.0.store(value, order));
                    }

                    pub fn swap(&self, value: $value, order: Ordering) -> $value {
                        fenced(order, || self.0.swap(value, order))
                    }

                    pub fn compare_exchange(
                        &self,
                        from: $value,
                        to: $value,
                        order: Ordering,
                        failure: Ordering,
                    ) -> Result<$value, $value> {
                        fenced(order, || self.0.compare_exchange(from, to, order, failure))
                    }
                }
            )+
        };
    }

    atomics!(AtomicBool: bool, AtomicPtr<T>: *mut T, AtomicU8: u8, AtomicU64: u64, AtomicUsize: usize);

    impl AtomicUsize {
        pub fn fetch_add(&self, value: usize, order: Ordering) -> usize {
            fenced(order, || self.0.fetch_add(value, order))
        }

        pub fn fetch_sub(&self, value: usize, order: Ordering) -> usize {
            fenced(order, || self.0.fetch_sub(value, order))
        }

        pub fn fetch_update(
            &self,
            order: Ordering,
            failure: Ordering,
            change: impl FnMut(usize) -> Option<usize>,
        ) -> Result<usize, usize> {
            fenced(order, || self.0.fetch_update(order, failure, change))
        }
    }

    /// Unparks the one thread that has registered.
    #[derive(Default)]
    pub struct Parker(Mutex<Option<loom::thread::Thread>>);

    impl Parker {
        /// Registers the calling thread.
        pub fn register(&self) {
            self.0.lock().unwrap().get_or_insert_with(loom::thread::current);
        }

        /// Unparks the registered thread, if there is one.
        pub fn unpark(&self) {
            if let Some(thread) = &*self.0.lock().unwrap() {
                thread.unpark();
            }
        }
    }
}
