// The memory calls, scene by scene: each prints what Linux answered, to be compared with what the pager
// answers.
//
// Usage: memory_calls SCENE; without one, the names of all.
#include "memory_calls/files.h"
#include "memory_calls/limits.h"
#include "memory_calls/mapping.h"
#include "memory_calls/sealing.h"
#include "memory_calls/tables.h"

#define SCENE(name) {#name, name}
static const struct {
    const char *name;
    void (*run)(void);
} scenes[] = {
    SCENE(each_advice_on_each_area), SCENE(each_advice_with_odd_ranges), SCENE(each_call_with_odd_ranges), SCENE(each_flag_of_mmap),
    SCENE(each_place_of_mmap), SCENE(each_flag_of_mremap), SCENE(each_protection_on_each_area),
    SCENE(mremap_of_several_mappings), SCENE(mremap_shrinks_across_holes), SCENE(a_datagram_is_not_taken_twice_after_efault), SCENE(a_fetch_past_the_end_of_a_file_is_sigbus),
    SCENE(a_fetch_where_nothing_is_permitted_is_denied),
    SCENE(dontfork_and_wipeonfork_are_set_apart), SCENE(a_mapping_of_a_file_grows_in_place), SCENE(dontunmap_takes_a_wish_for_its_place),
    SCENE(mprotect_changes_what_lies_before_a_refusal), SCENE(moving_beside_a_mapping_keeps_its_pages),
    SCENE(neighbours_stay_registered_when_they_merge), SCENE(memory_without_access), SCENE(memory_without_access_keeps_its_contents), SCENE(guard_pages),
    SCENE(guards_are_installed_and_removed), SCENE(mremap_races_with_faults), SCENE(protections_grow_down),
    SCENE(noreplace_replaces_nothing), SCENE(residence),
    SCENE(files_cut_under_their_mappings), SCENE(files_cut_by_name), SCENE(files_cut_by_another_descriptor_and_in_the_middle),
    SCENE(what_grows_behind_a_file_is_seen), SCENE(memory_files), SCENE(shared_memory_segments), SCENE(shared_mappings_that_become_writable),
    SCENE(shared_mappings_are_no_data), SCENE(shared_mappings_are_resized_and_doubled), SCENE(a_store_into_a_hole_without_room_is_sigbus),
    SCENE(stores_past_the_end_of_a_shared_file), SCENE(a_write_whose_buffer_it_makes_readable), SCENE(synchronising),
    SCENE(locking_within_a_limit), SCENE(locking_everything), SCENE(locking_shared_memory_brings_it_in), SCENE(private_mappings_show_what_others_brought_in),
    SCENE(locked_memory_refuses_advice), SCENE(address_space_within_a_limit),
    SCENE(data_within_a_limit), SCENE(the_heap_moves), SCENE(stacks_within_a_limit), SCENE(below_the_stack), SCENE(mappings_that_grow_down),
    SCENE(arguments_of_mseal), SCENE(sealed_memory_stays_as_it_is), SCENE(advice_on_sealed_memory), SCENE(a_sealed_heap_does_not_shrink), SCENE(advice_on_many_ranges),
};

int main(int count, char **arguments) {
    // Output and heap are set up now, so that a scene may move the heap's end.
    static char buffer[BUFSIZ];
    setvbuf(stdout, buffer, _IOFBF, sizeof buffer);
    void *volatile first = malloc(100);
    free(first);
    catch_faults();
    for (size_t i = 0; i < sizeof scenes / sizeof *scenes; i++) {
        if (count < 2) puts(scenes[i].name);
        else if (strcmp(arguments[1], scenes[i].name) == 0) {
            scenes[i].run();
            return fflush(stdout) == 0 ? 0 : 98;
        }
    }
    return count < 2 ? 0 : 97;
}
