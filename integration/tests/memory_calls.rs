//! The memory calls, scene by scene, natively and under the pager: every result, errno, signal and byte must
//! be the same, with every engine.
//!
//! What the differential runner found stands here by name. `pager/docs/MEMORY_CALLS.md` says which scene
//! compares which call.

use integration::differential::Setting;
use integration::guests::{self, Link};
use integration::run::{End, Outcome, Run};

const SETTINGS: [Setting; 5] = [
    Setting::new("auto", None),
    Setting::new("auto", Some("2M")),
    Setting::new("sigsegv", Some("4M")),
    Setting::new("uffd", None),
    Setting::new("thread", Some("4M")),
];

fn scene(name: &str) {
    let program = guests::build("memory_calls", Link::Dynamic);
    let folder = integration::scratch::Scratch::new("memory_calls");
    let prepare = |run: Run| run.arg(name).folder(folder.path()).limit(std::time::Duration::from_secs(60));
    let native = prepare(Run::new(&program)).outcome();
    assert_eq!(native.end, End::Code(0), "{name} natively: {}", native.complaint());
    for setting in SETTINGS {
        let paged = setting.paging().run(&program, prepare).outcome;
        assert!(
            paged.end == native.end && paged.stdout == native.stdout,
            "{name} with {setting} ends with {:?}: {}{}",
            paged.end,
            paged.complaint(),
            differences(&native, &paged)
        );
    }
}

/// The first lines that are not the same.
fn differences(native: &Outcome, paged: &Outcome) -> String {
    let text = |outcome: &Outcome| String::from_utf8_lossy(&outcome.stdout).into_owned();
    let (native, paged) = (text(native), text(paged));
    let lines = native.lines().map(Some).chain(std::iter::repeat(None));
    let pairs = lines.zip(paged.lines().map(Some).chain(std::iter::repeat(None)));
    let pairs = pairs.take_while(|pair| *pair != (None, None)).filter(|(one, other)| one != other);
    pairs.take(10).map(|(one, other)| format!("\n  native {one:?}\n  paged  {other:?}")).collect()
}

/// One test for each scene of the guest.
macro_rules! scenes {
    ($($name:ident,)*) => {
        $(
            #[test]
            fn $name() {
                scene(stringify!($name));
            }
        )*

        #[test]
        fn every_scene_is_compared() {
            let told = Run::new(guests::build("memory_calls", Link::Dynamic)).outcome();
            let told = String::from_utf8(told.stdout).expect("names are text");
            assert_eq!(told.lines().collect::<Vec<_>>(), [$(stringify!($name)),*]);
        }
    };
}

scenes! {
    each_advice_on_each_area,
    each_advice_with_odd_ranges,
    each_call_with_odd_ranges,
    each_flag_of_mmap,
    each_place_of_mmap,
    each_flag_of_mremap,
    each_protection_on_each_area,
    mremap_of_several_mappings,
    mremap_shrinks_across_holes,
    a_datagram_is_not_taken_twice_after_efault,
    a_fetch_past_the_end_of_a_file_is_sigbus,
    a_fetch_where_nothing_is_permitted_is_denied,
    dontfork_and_wipeonfork_are_set_apart,
    a_mapping_of_a_file_grows_in_place,
    dontunmap_takes_a_wish_for_its_place,
    mprotect_changes_what_lies_before_a_refusal,
    moving_beside_a_mapping_keeps_its_pages,
    neighbours_stay_registered_when_they_merge,
    memory_without_access,
    memory_without_access_keeps_its_contents,
    guard_pages,
    guards_are_installed_and_removed,
    mremap_races_with_faults,
    protections_grow_down,
    noreplace_replaces_nothing,
    residence,
    files_cut_under_their_mappings,
    files_cut_by_name,
    files_cut_by_another_descriptor_and_in_the_middle,
    what_grows_behind_a_file_is_seen,
    memory_files,
    shared_memory_segments,
    shared_mappings_that_become_writable,
    shared_mappings_are_no_data,
    shared_mappings_are_resized_and_doubled,
    a_store_into_a_hole_without_room_is_sigbus,
    stores_past_the_end_of_a_shared_file,
    a_write_whose_buffer_it_makes_readable,
    synchronising,
    locking_within_a_limit,
    locking_everything,
    locking_shared_memory_brings_it_in,
    private_mappings_show_what_others_brought_in,
    locked_memory_refuses_advice,
    address_space_within_a_limit,
    data_within_a_limit,
    the_heap_moves,
    stacks_within_a_limit,
    below_the_stack,
    mappings_that_grow_down,
    arguments_of_mseal,
    sealed_memory_stays_as_it_is,
    advice_on_sealed_memory,
    a_sealed_heap_does_not_shrink,
    advice_on_many_ranges,
}
