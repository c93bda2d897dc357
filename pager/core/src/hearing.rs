//! Whether a process hears what the supervisor or `pager limit` has to say: a poke is a signal, which ends a
//! process that has no handler for it.

use core::sync::atomic::Ordering;

use crate::shared::Process;

/// Whether a process can be poked: sent [`crate::shared::POKE`], which ends one that has no handler for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum Hearing {
    /// No: it starts, or executes another program.
    Deaf = 0,
    /// Yes.
    Listens = 1,
    /// Somebody is about to send the signal.
    Spoken = 2,
}

impl Process {
    /// From now on the process can be poked.
    pub fn listen(&self) {
        self.hearing.store(Hearing::Listens as u32, Ordering::SeqCst);
    }

    /// From now on it cannot. Who is about to poke it is given `patience` chances to have done so: whoever
    /// got stuck in the middle would be waited for in vain. A signal that was sent is pending afterwards.
    pub fn stop_listening(&self, patience: u32, give_way: impl Fn()) {
        for _ in 0..patience {
            let (listens, deaf) = (Hearing::Listens as u32, Hearing::Deaf as u32);
            match self.hearing.compare_exchange(listens, deaf, Ordering::SeqCst, Ordering::SeqCst) {
                Err(seen) if seen != deaf => give_way(),
                _ => return,
            }
        }
        self.hearing.store(Hearing::Deaf as u32, Ordering::SeqCst);
    }

    /// Pokes the process by `send`, unless it is deaf.
    pub fn poke(&self, send: impl FnOnce(u32)) {
        let spoken = Hearing::Spoken as u32;
        let hears = |hearing| (hearing != Hearing::Deaf as u32).then_some(spoken);
        if self.hearing.fetch_update(Ordering::SeqCst, Ordering::SeqCst, hears).is_ok() {
            self.unanswered.store(1, Ordering::SeqCst);
            send(self.pid.load(Ordering::SeqCst));
            let (listens, order) = (Hearing::Listens as u32, Ordering::SeqCst);
            let _ = self.hearing.compare_exchange(spoken, listens, order, order);
        }
    }
}

impl Process {
    /// Takes note that the signal of a poke has come; whether one was under way. The kernel drops what a
    /// queued signal says where its receiver's user has as many pending as RLIMIT_SIGPENDING allows, and
    /// delivers it bare.
    pub fn take_poke(&self) -> bool {
        self.unanswered.swap(0, Ordering::SeqCst) == 1
    }
}

#[cfg(test)]
mod tests {
    use alloc::boxed::Box;
    use core::cell::Cell;

    use core::sync::atomic::{AtomicU8, AtomicU32, AtomicU64};

    use super::*;
    use crate::pool::Account;
    use crate::text::{PATH_BYTES, Text};

    /// As the supervisor has it: zeros.
    fn process(pid: u32) -> Box<Process> {
        Box::new(Process {
            pid: AtomicU32::new(pid),
            row: AtomicU32::new(0),
            generation: AtomicU32::new(0),
            resident: AtomicU64::new(0),
            settled: AtomicU64::new(0),
            peak: AtomicU64::new(0),
            account: Account::default(),
            hearing: AtomicU32::new(Hearing::Deaf as u32),
            unanswered: AtomicU32::new(0),
            answered: AtomicU64::new(0),
            program: Text { len: AtomicU32::new(0), bytes: [const { AtomicU8::new(0) }; PATH_BYTES] },
        })
    }

    fn is_poked(process: &Process) -> bool {
        let sent = Cell::new(false);
        process.poke(|pid| sent.set(pid == 7));
        sent.get()
    }

    #[test]
    fn only_a_process_that_listens_is_poked() {
        let process = process(7);
        assert!(!is_poked(&process));
        process.listen();
        assert!(is_poked(&process) && is_poked(&process));
        process.stop_listening(10, || panic!("nobody is about to poke it"));
        assert!(!is_poked(&process));
    }

    #[test]
    fn a_poke_is_taken_once() {
        let process = process(7);
        assert!(!process.take_poke());
        process.listen();
        assert!(is_poked(&process) && is_poked(&process));
        assert!(process.take_poke() && !process.take_poke());
    }

    #[test]
    fn who_is_about_to_poke_a_process_is_waited_for_but_not_for_ever() {
        let (process, waits) = (process(7), Cell::new(0));
        process.hearing.store(Hearing::Spoken as u32, Ordering::SeqCst);
        process.stop_listening(10, || {
            waits.set(waits.get() + 1);
            if waits.get() == 3 {
                process.listen();
            }
        });
        assert_eq!((waits.get(), is_poked(&process)), (3, false));
        process.hearing.store(Hearing::Spoken as u32, Ordering::SeqCst);
        process.stop_listening(10, || waits.set(waits.get() + 1));
        assert_eq!((waits.get(), is_poked(&process)), (13, false));
    }

    /// A poke that outlasts the patience of who executes must not make it listen.
    #[test]
    fn a_process_stays_deaf_after_a_poke_that_came_late() {
        let process = process(7);
        process.listen();
        process.poke(|_| process.stop_listening(1, || {}));
        assert!(!is_poked(&process));
    }
}
