//! Making room: which pages leave, in batches.
//!
//! Order for a batch, and why: the entries are made busy (nobody else changes the pages), then pinned pages
//! are handed back (a thread that pins first publishes the pin, then looks at the entry), dirty runs are
//! write-protected (a writer faults and waits; where there are other threads), copied, written to swap, and
//! only then all are dropped with one call and the entries settled. A page can be read until it is dropped,
//! and never loses a write.

use arrayvec::ArrayVec;
use pager_core::addr::PageNum;
use pager_core::entry::Entry;
use pager_core::pool::Occasion;
use pager_core::replacement::batch_of;
use pager_core::table::EntryCell;
use pager_core::trace::Departure;

use crate::batch::{BATCH, Victim};
use crate::busy::{settle, take};
use crate::host::{Event, Host};
use crate::runs::runs;
use crate::write_out::write_out;

/// Attempts to get below the cap before it is exceeded by what is pinned or busy.
const ATTEMPTS: u32 = 64;

type Victims = ArrayVec<Victim, BATCH>;

/// Counts `pages` as resident and evicts until all fit under the cap.
///
/// Where everything else is pinned or busy the cap is exceeded by at most what is: progress comes before the
/// cap. No lock may be held.
pub fn make_room<H: Host>(host: &H, pages: u64) {
    make_room_on(host, Occasion::Fault, pages);
}

/// Evicts down to the cap, which was lowered, or to what others leave of it. No lock may be held.
pub fn keep_to_cap<H: Host>(host: &H) {
    make_room_on(host, Occasion::Poke, 0);
}

fn make_room_on<H: Host>(host: &H, occasion: Occasion, pages: u64) {
    let now = host.charge(pages);
    let owed = host.claim(now, occasion);
    let now = shrink(host, now);
    host.settle(owed, now);
}

/// Evicts until what is resident, now `now`, fits; what is left. No lock may be held.
pub fn shrink<H: Host>(host: &H, mut now: u64) -> u64 {
    let mut attempts = 0;
    let mut among = Among::All;
    while now > host.room() && attempts < ATTEMPTS {
        among = if host.has_swap_room() { Among::All } else { Among::Clean };
        if evict(host, batch_of(now, host.room()) as usize, among) == 0 {
            attempts += 1;
            host.give_way();
        }
        now = host.resident();
    }
    if among == Among::Clean && attempts == ATTEMPTS && now > host.room() {
        host.out_of_swap();
    }
    now
}

/// Which pages may leave.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Among {
    All,
    /// Those that something else holds: there is no room for others, as for the kernel without free swap.
    Clean,
}

/// Evicts up to `wanted` pages; how many went.
fn evict<H: Host>(host: &H, wanted: usize, among: Among) -> usize {
    let _open = host.open();
    let mut victims = choose(host, wanted, among);
    hand_back_pinned(host, &mut victims, among);
    victims.sort_unstable_by_key(|victim| victim.page);
    let is_mapped = |victim: &&Victim| matches!(victim.was, Entry::Mapped(_));
    let mapped: Victims = victims.iter().filter(is_mapped).copied().collect();
    victims.retain(|victim| !is_mapped(&&*victim));
    unmap(host, &mapped);
    let gone = mapped.len() + write_out(host, &victims);
    host.event(Event::Evicted { pages: gone as u64 });
    host.uncharge(gone as u64);
    gone
}

fn choose<H: Host>(host: &H, wanted: usize, among: Among) -> Victims {
    let mut victims = Victims::new();
    let wanted = wanted.min(BATCH);
    host.with_queue(|queue| {
        queue.fit(host.cap(), host.policy(), host.table());
        match among {
            Among::All => {
                let candidates = queue.victims(wanted, host.table());
                for &page in &candidates {
                    if !take_victim(host, page, &mut victims) {
                        queue.put_back(page);
                    }
                }
                queue.return_list(candidates);
            }
            Among::Clean => {
                queue.sweep_clean(host.table(), |page| {
                    take_victim(host, page, &mut victims);
                    victims.len() < wanted
                });
            }
        }
    });
    victims
}

fn take_victim<H: Host>(host: &H, page: PageNum, victims: &mut Victims) -> bool {
    let was = host.table().existing(page).map_or(Entry::Empty, EntryCell::load);
    let taken = !victims.is_full() && was.is_resident() && take(host, page, was);
    if taken {
        victims.push(Victim { page, was });
    }
    taken
}

fn hand_back_pinned<H: Host>(host: &H, victims: &mut Victims, among: Among) {
    let pages: ArrayVec<PageNum, BATCH> = victims.iter().map(|victim| victim.page).collect();
    let mut pinned = [false; BATCH];
    host.mark_pinned(&pages, &mut pinned[..pages.len()]);
    if !pinned.contains(&true) {
        return;
    }
    host.with_queue(|queue| {
        let mut flags = pinned.iter();
        victims.retain(|victim| {
            let keep = !flags.next().copied().unwrap_or(false);
            if !keep {
                // What the sweep finds is still tracked.
                if among == Among::All {
                    queue.put_back(victim.page);
                }
                settle(host, victim.page, victim.was);
            }
            keep
        });
    });
}

fn unmap<H: Host>(host: &H, mapped: &[Victim]) {
    for range in runs(mapped.iter().map(|victim| victim.page)) {
        host.hold_back(range);
        host.event(Event::Leaves { range, how: Departure::Mapped });
    }
    for victim in mapped {
        if let Entry::Mapped(row) = victim.was {
            host.event(Event::Unmapped { row });
        }
        settle(host, victim.page, Entry::Empty);
    }
}
