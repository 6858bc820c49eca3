//! Behaviours of an [`Indexer`](crate::Indexer).

mod filters;
mod fixtures;
mod history;
mod lives;
mod metric_lists;
mod metrics;
mod moves;
mod paging;
mod policies;
mod resources;
mod types;

pub use filters::*;
pub(super) use fixtures::delete_some_metrics;
pub use history::*;
pub use lives::*;
pub use metric_lists::*;
pub use metrics::*;
pub use moves::*;
pub use paging::*;
pub use policies::*;
pub use resources::*;
pub use types::*;

/// Calls the macro `$callback` with the names of all behaviours of [`conformance::indexer`](crate::conformance::indexer),
/// each an async function over `&dyn Indexer`.
#[macro_export]
macro_rules! for_each_indexer_behaviour {
    ($callback:ident) => {
        $callback! {
            policies_are_kept_as_given
            policies_change_for_their_metrics_too
            policies_in_use_stay
            policy_keys_are_never_used_again
            rules_come_in_matching_order
            rules_are_renamed_and_deleted
            types_are_kept_as_given
            types_in_use_stay
            types_gain_attributes
            types_lose_attributes
            types_fill_only_what_is_empty
            resources_show_what_was_given
            resources_are_seen_through_their_type
            resources_refuse_what_cannot_be
            resources_are_found_by_id
            resources_go_with_all_they_have
            resources_go_by_filter
            updates_make_revisions_of_differences_only
            updates_respect_what_the_caller_saw
            updates_that_fail_change_nothing
            metrics_move_between_resources
            metrics_are_replaced_or_appended
            metrics_of_others_are_not_moved
            filters_on_texts
            filters_on_numbers_and_booleans
            filters_on_times_and_spans
            filters_on_uuids_and_types
            filters_on_creators
            filters_keep_unknown_unknown
            filters_combine
            filters_refuse_what_has_no_meaning
            patterns_are_case_sensitive
            history_numbers_revisions_globally
            history_shows_each_revision
            history_is_searched_like_the_present
            history_is_paged
            lives_are_listed_by_state
            lives_are_paged
            pages_walk_through_everything
            pages_put_nulls_where_they_belong
            pages_sort_by_attributes
            pages_refuse_bad_keys_and_markers
            metrics_are_kept_as_given
            metrics_refuse_what_cannot_be
            metrics_are_made_once
            metrics_are_made_all_or_none
            metrics_are_found_in_bulk
            metric_keys_are_never_used_again
            metric_lists_filter
            metric_lists_are_paged
            metric_lists_show_what_the_caller_may_see
            everything_is_counted
        }
    };
}
