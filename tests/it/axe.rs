//! Every page, on a tablet held upright and on a phone, in both languages, judged by axe-core; and pictures of the main
//! ones. A page that only somebody in a certain state sees is brought about: one module for each place people stand at.

mod connect;
mod desk;
mod gallery;
mod maintenance;
mod pictures;
mod provider;
mod shell;
mod terminal;

pub use gallery::Gallery;

#[tokio::test]
async fn no_page_of_the_desk_has_a_violation_in_japanese() {
    desk::walk("ja").await;
}

#[tokio::test]
async fn no_page_of_the_desk_has_a_violation_in_english() {
    desk::walk("en").await;
}

#[tokio::test]
async fn no_page_beside_a_provider_has_a_violation_in_japanese() {
    provider::walk("ja").await;
}

#[tokio::test]
async fn no_page_beside_a_provider_has_a_violation_in_english() {
    provider::walk("en").await;
}

#[tokio::test]
async fn no_page_of_terminals_and_devices_has_a_violation_in_japanese() {
    terminal::walk("ja").await;
}

#[tokio::test]
async fn no_page_of_terminals_and_devices_has_a_violation_in_english() {
    terminal::walk("en").await;
}

#[tokio::test]
async fn no_page_of_tcp_apps_has_a_violation_in_japanese() {
    connect::walk("ja", async |_, _| ()).await;
}

#[tokio::test]
async fn no_page_of_tcp_apps_has_a_violation_in_english() {
    connect::walk("en", async |_, _| ()).await;
}

#[tokio::test]
async fn no_page_of_an_ssh_app_has_a_violation_in_japanese() {
    shell::walk("ja").await;
}

#[tokio::test]
async fn no_page_of_an_ssh_app_has_a_violation_in_english() {
    shell::walk("en").await;
}

#[tokio::test]
async fn no_page_of_maintenance_has_a_violation_in_japanese() {
    maintenance::walk("ja").await;
}

#[tokio::test]
async fn no_page_of_maintenance_has_a_violation_in_english() {
    maintenance::walk("en").await;
}
