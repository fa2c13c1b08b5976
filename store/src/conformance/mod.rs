//! What every [`Store`] must do, as one suite that each back end's tests run. Every part takes an empty store's
//! successor: the parts use different names, so that they may share one store. Assertions say what was broken.

pub(crate) mod cast;
mod credentials;
mod devices;
mod events;
mod glass;
mod grants;
mod invitations;
mod once;
mod overdue;
mod people;
mod posture;
mod raced;
mod reviews;
mod revisions;
mod sessions;
mod terminal;
mod under_way;

use std::sync::Arc;

use crate::Store;

pub use raced::raced;

/// Runs the whole suite on an empty store.
///
/// # Panics
/// At the first promise that the store breaks.
pub async fn all(store: Arc<dyn Store>) {
    let store = store.as_ref();
    people::people_are_replaced_by_their_id(store).await;
    people::what_the_directory_says_survives_a_sign_in(store).await;
    people::people_are_added_once_under_every_name(store).await;
    people::people_are_changed_with_their_sessions(store).await;
    people::confirmed_roles_reach_open_sessions(store).await;
    people::roles_that_a_sign_in_brings_are_told(store).await;
    people::disabling_takes_everything_along_in_one_step(store).await;
    people::who_is_unused_is_disabled_and_nobody_else(store).await;
    people::people_are_searched_page_by_page(store).await;
    people::people_are_written_all_or_none(store).await;
    credentials::a_credential_is_one_persons_for_good(store).await;
    credentials::a_first_credential_is_the_only_one(store).await;
    credentials::a_first_credential_rests_on_a_sign_in_that_nobody_ended(store).await;
    credentials::a_key_out_of_a_session_needs_that_session(store).await;
    credentials::counters_only_go_forward(store).await;
    credentials::a_removed_credential_ends_what_it_opened(store).await;
    devices::devices_are_unique_for_ever(store).await;
    devices::a_revocation_ends_the_sessions_of_its_device_and_tells(store).await;
    devices::a_device_under_somebody_who_is_spared_stays_in_force(store).await;
    devices::a_device_may_have_several_certificates(store).await;
    devices::one_certificate_can_be_revoked(store).await;
    devices::nothing_rests_on_a_device_that_is_not_in_force(store).await;
    devices::the_ledger_is_changed_all_or_none(store).await;
    devices::devices_are_seen_going_forward(store).await;
    posture::the_last_word_on_a_device_counts(store).await;
    posture::attributes_of_a_device_are_bounded(store).await;
    sessions::sessions_are_found_by_their_tokens_only(store).await;
    sessions::an_ended_session_is_gone_once_and_tells(store).await;
    sessions::seen_only_goes_forward(store).await;
    sessions::sessions_end_by_whose_they_are(store).await;
    sessions::a_provider_is_asked_by_one_node(store).await;
    terminal::opening_parks_the_person_before(store).await;
    terminal::a_device_that_does_not_park_ends(store).await;
    terminal::a_session_that_does_not_open_displaces_nobody(store).await;
    terminal::only_its_person_on_its_device_resumes_a_session(store).await;
    terminal::nothing_parked_comes_back_without_its_key_person_or_device(store).await;
    terminal::two_people_switch_fifty_times_and_are_never_mixed(store).await;
    terminal::two_people_at_the_same_moment_leave_one_session(store).await;
    under_way::what_is_under_way_ends_with_the_sessions(store).await;
    under_way::a_step_up_takes_the_place_of_an_open_session(store).await;
    under_way::a_code_that_was_revoked_opens_nothing_and_ends_what_it_opened(store).await;
    invitations::an_invitation_is_used_once(store).await;
    invitations::an_invitation_replaces_the_one_before(store).await;
    invitations::a_key_comes_with_the_invitation_or_not_at_all(store).await;
    invitations::the_first_administrator_comes_with_a_key_or_not_at_all(store).await;
    invitations::a_device_is_enrolled_once(store).await;
    once::ceremonies_are_taken_once(store).await;
    once::what_was_seen_once_is_refused_twice(store).await;
    revisions::versions_are_numbered_and_kept_with_their_text(store).await;
    revisions::a_version_that_waits_comes_only_with_another_persons_approval(store).await;
    revisions::a_proposal_that_another_version_overtook_opens_nothing(store).await;
    revisions::the_report_of_its_replay_is_kept_with_a_version_and_goes_with_it(store).await;
    revisions::the_version_in_force_is_the_last_that_came_and_is_never_forgotten(store).await;
    reviews::a_review_is_judged_line_by_line_and_signed_once(store).await;
    reviews::a_review_is_bounded(store).await;
    reviews::a_question_is_its_persons_alone(store).await;
    grants::a_window_lives_from_the_request_to_the_confirmed_report(store).await;
    grants::a_window_that_cannot_be_is_refused(store).await;
    grants::windows_of_one_person_and_app_do_not_overlap(store).await;
    grants::only_others_who_have_the_role_decide(store).await;
    grants::two_different_people_approve_where_two_must(store).await;
    grants::whoever_is_on_duty_lets_in_and_it_is_approved_after(store).await;
    grants::a_window_is_ended_early_by_its_person_or_the_hospital(store).await;
    grants::an_overdue_report_stands_in_the_way_of_the_vendors_next_window(store).await;
    grants::requests_that_wait_are_bounded(store).await;
    grants::the_inventory_is_written_all_or_none(store).await;
    glass::glass_is_broken_for_oneself_and_reviewed_by_another(store).await;
    glass::glass_is_not_for_vendors_nor_broken_twice_nor_without_words(store).await;
    glass::unreviewed_glass_blocks_only_where_the_hospital_chose_so(store).await;
    glass::glass_for_a_ward_leaves_others_to_be_broken_anew(store).await;
    glass::a_patient_is_forgotten_once_the_glass_is_over_and_reviewed(store).await;
    overdue::what_becomes_overdue_is_told_once(store).await;
    events::events_come_in_order(store).await;
    events::the_log_handed_over_is_told(store).await;
    events::notes_are_kept(store).await;
    events::an_outage_begins_and_ends_once(store).await;
    events::a_switch_is_told_each_time_it_moves(store).await;
    events::what_is_out_of_time_is_pruned(store).await;
    events::invitations_are_kept_for_who_looks_back(store).await;
}
