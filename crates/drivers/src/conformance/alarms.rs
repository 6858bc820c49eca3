//! Behaviours of an [`AlarmStore`](crate::AlarmStore).

mod changes;
mod filters;
mod fixtures;
mod history;
mod news;
mod outbox;
mod paging;
mod quotas;
mod silences;
mod transitions;

pub use changes::*;
pub use filters::*;
pub(super) use fixtures::{alarm, make};
pub use history::*;
pub use news::*;
pub use outbox::*;
pub use paging::*;
pub use quotas::*;
pub use silences::*;
pub use transitions::*;

/// Calls the macro `$callback` with the names of all behaviours of [`conformance::alarms`](crate::conformance::alarms),
/// each an async function over `&dyn AlarmStore`.
#[macro_export]
macro_rules! for_each_alarm_behaviour {
    ($callback:ident) => {
        $callback! {
            alarms_are_kept_as_given
            alarms_keep_rules_nobody_knows
            alarms_are_made_once
            alarms_refuse_what_could_not_be_found
            alarms_are_replaced_as_they_were_seen
            alarms_go_with_all_they_have
            alarm_filters_on_texts
            alarm_filters_on_truths_and_times
            alarm_filters_keep_unknown_unknown
            alarm_filters_combine
            alarm_filters_match_expressions
            alarm_filters_refuse_what_has_no_meaning
            alarm_pages_begin_with_the_newest
            alarm_pages_walk_through_everything
            alarm_pages_sort_by_meaning
            alarm_pages_put_nulls_where_they_belong
            alarm_pages_are_full_where_expressions_match
            alarm_pages_refuse_bad_keys_and_markers
            history_is_kept_as_given
            history_is_searched_and_paged
            history_expires_from_its_old_end
            quotas_are_kept_by_project
            quotas_bound_projects_and_users
            counters_add_up
            states_are_counted
            transitions_of_one_alarm_follow_each_other
            transitions_are_news_without_a_fence_only
            news_tell_what_changed_and_what_is_gone
            news_are_by_share
            silences_are_kept_until_they_end
        }
    };
}
