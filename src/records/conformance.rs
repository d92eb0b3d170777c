//! What every record store must do. One suite, run against each of them.

mod outcomes;
mod random;
mod reading;
mod resuming;
mod staging;
mod support;

use support::{Embedded, Model};

/// Runs each named function of the suite as a test against each store.
macro_rules! conformance {
    ($($group:ident: $($name:ident),+;)+) => {
        mod on_the_model {
            $($(#[test] fn $name() { super::$group::$name(&super::Model::default()); })+)+
        }
        mod on_the_embedded_store {
            $($(#[test] fn $name() { super::$group::$name(&super::Embedded::default()); })+)+
        }
    };
}

conformance! {
    outcomes:
        a_create_inserts_what_is_not_live,
        an_update_replaces_what_is_live,
        a_delete_removes_what_is_live,
        a_deleted_record_can_be_created_again,
        the_first_of_equal_ids_in_a_create_wins,
        the_last_of_equal_ids_in_an_update_wins,
        the_second_delete_of_an_id_finds_nothing,
        equal_ids_across_batches_follow_their_order,
        ids_are_compared_without_ascii_case_and_untrimmed,
        storages_may_diverge,
        a_job_touches_its_storages_only,
        tenants_do_not_see_each_other,
        many_tenants_apply_at_once;
    resuming:
        a_new_job_stands_at_zero,
        an_empty_batch_changes_nothing,
        a_batch_in_the_wrong_place_is_fenced_and_changes_nothing,
        cursors_count_by_storage_and_over_batches,
        misses_name_the_lines_by_storage,
        forgetting_a_job_keeps_what_it_did,
        everything_is_there_after_a_reopen,
        a_reopened_store_goes_on_where_it_was;
    staging:
        a_staged_create_inserts_what_is_not_live,
        a_staged_update_replaces_what_is_live,
        nothing_shows_of_staged_rows_before_a_batch_names_them,
        a_stage_that_broke_off_is_begun_anew,
        rows_of_an_abandoned_stage_never_show,
        a_stage_that_is_done_is_not_begun_again,
        rows_that_were_not_staged_are_not_applied,
        batches_of_several_jobs_count_in_their_order,
        one_fenced_batch_holds_all_of_them_back;
    reading:
        a_tenant_that_never_had_a_record_is_not_counted,
        counts_are_by_tenant_and_storage,
        a_record_is_shown_as_received,
        the_redacted_storage_hides_six_cells,
        an_export_shows_each_live_record_once,
        an_export_stops_when_told,
        an_export_of_nothing_visits_nothing;
}
