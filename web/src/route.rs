//! The table of our own pages: which host, which method, which path. What is not a row does not exist.

use policy::{Action, Method, Path};

use crate::{Asset, ConsolePage, TERMINAL_STREAM, console};

/// Everything below this path belongs to the gateway, on every host; nothing of it reaches an app.
pub const RESERVED_PREFIX: &str = "/.sekimori";

/// What a host is for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum HostKind {
    /// The sign-in host.
    Login,
    /// The portal.
    Portal,
    /// The administration console.
    Console,
    /// A host of an app.
    App,
    /// The host of a TCP app, which `sekimori connect` reaches.
    Tunnel,
}

impl HostKind {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Login, Self::Portal, Self::Console, Self::App, Self::Tunnel];
}

/// The parts of the gateway that the policy knows as apps.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum BuiltIn {
    /// Sign-in, sign-out and what belongs to them: open to everyone.
    Login,
    /// The portal: for whoever is signed in.
    Portal,
    /// The console: for administrators, help desk and auditors.
    Console,
}

impl BuiltIn {
    /// The app's id in policy and log.
    #[must_use]
    pub fn app_id(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Portal => "portal",
            Self::Console => "console",
        }
    }
}

/// One of our own pages.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Page {
    /// The login host's `/`: on to the portal.
    LoginHome,
    /// Which provider to sign in with.
    SignIn,
    /// On to the chosen provider.
    Begin,
    /// Back from the provider.
    Callback,
    /// The keys that sign assertions to apps.
    Jwks,
    /// The apps one may open.
    Portal,
    /// Starts a sign-in that comes back to this host.
    StartSignIn,
    /// Back from the login host with a one-time code.
    Arrive,
    /// Signed in; the page that was kept waits in another tab.
    SignedIn,
    /// Asks whether to sign out.
    AskSignOut,
    /// Signs out.
    SignOut,
    /// Signed out.
    SignedOut,
    /// Chooses the language of our pages.
    ChooseLanguage,
    /// Breaks the glass.
    BreakGlass,
    /// Ends one's own broken glass.
    EndGlass,
    /// A style sheet or picture.
    Asset(Asset),
    /// A page of the console.
    Console(ConsolePage),
    /// Who is here: the page between two people at a shared terminal.
    WhoIsHere,
    /// Hands a shared terminal over.
    Switch,
    /// The browser is emptied of the person before: here comes the session.
    Land,
    /// Asks for a passkey.
    PasskeyBegin,
    /// Judges a passkey.
    PasskeyFinish,
    /// The passkey that must follow a provider's answer.
    SecondFactor,
    /// Where a passkey is enrolled.
    Enrol,
    /// Asks for a new passkey.
    EnrolBegin,
    /// Keeps a new passkey.
    EnrolFinish,
    /// Where a temporary code is typed.
    Temporary,
    /// Signs in by a temporary code.
    TemporarySignIn,
    /// Where a device gets its certificate.
    Device,
    /// Makes the certificate that a code is for.
    EnrolDevice,
    /// Makes another certificate for a device that has one.
    RenewDevice,
    /// The file of a device's certificate.
    DeviceFile,
    /// A person's own page.
    Me,
    /// Gives one's own key another name.
    RenameKey,
    /// Removes one's own key.
    RemoveKey,
    /// Ends one's own session elsewhere.
    EndSession,
    /// A page for a vendor's people.
    Maintenance(MaintenancePage),
    /// A provider says that somebody signed out there.
    LogOutByProvider,
    /// The device CA, by EST.
    EstCaCertificates,
    /// A device enrols by EST.
    EstEnrol,
    /// A device renews by EST.
    EstRenew,
    /// A system reports the condition of devices.
    Posture,
    /// How to connect to a TCP app, and whether to let a program in.
    Connect,
    /// Lets a program in.
    ConnectAllow,
    /// A program asks to be let in.
    ConnectBegin,
    /// A program takes its token.
    ConnectToken,
    /// A page of an SSH app's terminal.
    Terminal(TerminalPage),
}

impl Page {
    /// The part of the gateway that the policy judges this page as; none where that is the app whose host it is on.
    #[must_use]
    pub fn built_in(self) -> Option<BuiltIn> {
        Some(match self {
            Self::Connect | Self::ConnectAllow | Self::Terminal(_) => return None,
            Self::Portal | Self::Me | Self::RenameKey | Self::RemoveKey | Self::EndSession | Self::Maintenance(_) => {
                BuiltIn::Portal
            }
            Self::Console(_) => BuiltIn::Console,
            Self::LoginHome
            | Self::SignIn
            | Self::Begin
            | Self::Callback
            | Self::Jwks
            | Self::StartSignIn
            | Self::Arrive
            | Self::SignedIn
            | Self::AskSignOut
            | Self::SignOut
            | Self::SignedOut
            | Self::ChooseLanguage
            | Self::BreakGlass
            | Self::EndGlass
            | Self::Asset(_)
            | Self::WhoIsHere
            | Self::Switch
            | Self::Land
            | Self::PasskeyBegin
            | Self::PasskeyFinish
            | Self::SecondFactor
            | Self::Enrol
            | Self::EnrolBegin
            | Self::EnrolFinish
            | Self::Temporary
            | Self::TemporarySignIn
            | Self::Device
            | Self::EnrolDevice
            | Self::RenewDevice
            | Self::DeviceFile
            | Self::LogOutByProvider
            | Self::EstCaCertificates
            | Self::EstEnrol
            | Self::EstRenew
            | Self::Posture
            | Self::ConnectBegin
            | Self::ConnectToken => BuiltIn::Login,
        })
    }
}

/// One page of the portal for a vendor's people.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum MaintenancePage {
    /// Their requests.
    Requests,
    /// The form that asks for a window.
    AskNew,
    /// Asks for a window.
    Ask,
    /// One request.
    Request,
    /// The file that came with it.
    File,
    /// Takes it back.
    Withdraw,
    /// Ends it before its time.
    End,
    /// Reports what was done.
    Report,
    /// The people of their vendor.
    People,
    /// Asks whether to disable one of them.
    AskDisable,
    /// Disables one of them.
    Disable,
}

/// One page of an SSH app's terminal, judged as the app.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum TerminalPage {
    /// The terminal.
    Show,
    /// Its WebSocket.
    Stream,
    /// The folders that may be looked into.
    Folders,
    /// What is in one.
    Folder,
    /// Takes a file.
    Get,
    /// Puts a file.
    Put,
}

impl TerminalPage {
    /// What it does to the app.
    #[must_use]
    pub fn action(self) -> Action {
        match self {
            Self::Show | Self::Stream => Action::Connect,
            Self::Folders | Self::Folder | Self::Get => Action::Read,
            Self::Put => Action::Write,
        }
    }
}

/// One row of the table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Row {
    /// The hosts it exists on.
    pub hosts: &'static [HostKind],
    /// Its method; a `GET` row answers `HEAD` too.
    pub method: &'static str,
    /// Its path, exactly; a segment in braces stands for any one segment, and with `..` in them for all that follow.
    pub path: &'static str,
    /// What it shows.
    pub page: Page,
}

const LOGIN: &[HostKind] = &[HostKind::Login];
const PORTAL: &[HostKind] = &[HostKind::Portal];
const TUNNEL: &[HostKind] = &[HostKind::Tunnel];
const APP: &[HostKind] = &[HostKind::App];
const EVERY: &[HostKind] = &HostKind::ALL;

pub(crate) const fn row(hosts: &'static [HostKind], method: &'static str, path: &'static str, page: Page) -> Row {
    Row { hosts, method, path, page }
}

/// Every page but the console's, which [`CONSOLE_TABLE`](crate::CONSOLE_TABLE) holds.
pub const TABLE: &[Row] = &[
    row(LOGIN, "GET", "/", Page::LoginHome),
    row(LOGIN, "GET", "/sign-in", Page::SignIn),
    row(LOGIN, "GET", "/begin", Page::Begin),
    row(LOGIN, "GET", "/callback/{provider}", Page::Callback),
    row(LOGIN, "GET", "/signed-out", Page::SignedOut),
    row(LOGIN, "GET", "/.well-known/jwks.json", Page::Jwks),
    row(LOGIN, "GET", "/switch", Page::WhoIsHere),
    row(LOGIN, "POST", "/land", Page::Land),
    row(LOGIN, "POST", "/passkey/begin", Page::PasskeyBegin),
    row(LOGIN, "POST", "/passkey/finish", Page::PasskeyFinish),
    row(LOGIN, "GET", "/second", Page::SecondFactor),
    row(LOGIN, "GET", "/enrol", Page::Enrol),
    row(LOGIN, "POST", "/enrol/begin", Page::EnrolBegin),
    row(LOGIN, "POST", "/enrol/finish", Page::EnrolFinish),
    row(LOGIN, "GET", "/temporary", Page::Temporary),
    row(LOGIN, "POST", "/temporary", Page::TemporarySignIn),
    row(LOGIN, "GET", "/device", Page::Device),
    row(LOGIN, "POST", "/device", Page::EnrolDevice),
    row(LOGIN, "POST", "/device/renew", Page::RenewDevice),
    row(LOGIN, "GET", "/device/file", Page::DeviceFile),
    row(LOGIN, "POST", "/backchannel-logout/{provider}", Page::LogOutByProvider),
    row(LOGIN, "GET", "/.well-known/est/cacerts", Page::EstCaCertificates),
    row(LOGIN, "POST", "/.well-known/est/simpleenroll", Page::EstEnrol),
    row(LOGIN, "POST", "/.well-known/est/simplereenroll", Page::EstRenew),
    row(LOGIN, "POST", "/api/posture", Page::Posture),
    row(PORTAL, "GET", "/", Page::Portal),
    row(PORTAL, "GET", "/me", Page::Me),
    row(PORTAL, "POST", "/me/key/rename", Page::RenameKey),
    row(PORTAL, "POST", "/me/key/remove", Page::RemoveKey),
    row(PORTAL, "POST", "/me/session/end", Page::EndSession),
    row(PORTAL, "GET", "/maintenance", Page::Maintenance(MaintenancePage::Requests)),
    row(PORTAL, "GET", "/new-maintenance", Page::Maintenance(MaintenancePage::AskNew)),
    row(PORTAL, "POST", "/new-maintenance", Page::Maintenance(MaintenancePage::Ask)),
    row(PORTAL, "GET", "/maintenance/requests/{grant}", Page::Maintenance(MaintenancePage::Request)),
    row(PORTAL, "GET", "/maintenance/requests/{grant}/file", Page::Maintenance(MaintenancePage::File)),
    row(PORTAL, "POST", "/maintenance/requests/{grant}/withdraw", Page::Maintenance(MaintenancePage::Withdraw)),
    row(PORTAL, "POST", "/maintenance/requests/{grant}/end", Page::Maintenance(MaintenancePage::End)),
    row(PORTAL, "POST", "/maintenance/requests/{grant}/report", Page::Maintenance(MaintenancePage::Report)),
    row(PORTAL, "GET", "/vendor-people", Page::Maintenance(MaintenancePage::People)),
    row(PORTAL, "GET", "/vendor-people/{person}/disable", Page::Maintenance(MaintenancePage::AskDisable)),
    row(PORTAL, "POST", "/vendor-people/{person}/disable", Page::Maintenance(MaintenancePage::Disable)),
    row(TUNNEL, "GET", "/", Page::Connect),
    row(TUNNEL, "POST", "/", Page::ConnectAllow),
    row(TUNNEL, "GET", "/terminal", Page::Terminal(TerminalPage::Show)),
    row(TUNNEL, "GET", TERMINAL_STREAM, Page::Terminal(TerminalPage::Stream)),
    row(TUNNEL, "GET", "/files", Page::Terminal(TerminalPage::Folders)),
    row(TUNNEL, "GET", "/files/at/{path..}", Page::Terminal(TerminalPage::Folder)),
    row(TUNNEL, "GET", "/files/get/{path..}", Page::Terminal(TerminalPage::Get)),
    row(TUNNEL, "POST", "/files/put/{path..}", Page::Terminal(TerminalPage::Put)),
    row(TUNNEL, "POST", "/.sekimori/connect/begin", Page::ConnectBegin),
    row(TUNNEL, "POST", "/.sekimori/connect/token", Page::ConnectToken),
    row(EVERY, "GET", "/.sekimori/sign-in", Page::StartSignIn),
    row(EVERY, "GET", "/.sekimori/arrive", Page::Arrive),
    row(EVERY, "GET", "/.sekimori/signed-in", Page::SignedIn),
    row(EVERY, "GET", "/.sekimori/sign-out", Page::AskSignOut),
    row(EVERY, "POST", "/.sekimori/sign-out", Page::SignOut),
    row(EVERY, "POST", "/.sekimori/switch", Page::Switch),
    row(EVERY, "POST", "/.sekimori/language", Page::ChooseLanguage),
    row(APP, "POST", "/.sekimori/glass", Page::BreakGlass),
    row(EVERY, "POST", "/.sekimori/glass/end", Page::EndGlass),
    row(EVERY, "GET", Asset::Style.path(), Page::Asset(Asset::Style)),
    row(EVERY, "GET", Asset::Logo.path(), Page::Asset(Asset::Logo)),
    row(EVERY, "GET", Asset::Script.path(), Page::Asset(Asset::Script)),
    row(EVERY, "GET", Asset::Xterm.path(), Page::Asset(Asset::Xterm)),
    row(EVERY, "GET", Asset::XtermStyle.path(), Page::Asset(Asset::XtermStyle)),
    row(EVERY, "GET", Asset::Terminal.path(), Page::Asset(Asset::Terminal)),
    row(EVERY, "GET", Asset::Recording.path(), Page::Asset(Asset::Recording)),
];

/// Finds the page of a request, if it is one of ours. On the login, portal and console hosts, and below
/// [`RESERVED_PREFIX`] on any host, what is not found does not exist: answer 404, never forward.
#[must_use]
pub fn route(kind: HostKind, method: &Method, path: &Path) -> Option<Page> {
    let method = if method.as_str() == "HEAD" { "GET" } else { method.as_str() };
    let fits = |row: &&Row| row.hosts.contains(&kind) && row.method == method && row.covers(path);
    TABLE.iter().chain(console::TABLE).find(fits).map(|row| row.page)
}

/// Whether a path belongs to the gateway on every host: nothing of it may reach an app.
#[must_use]
pub fn is_reserved(path: &Path) -> bool {
    let Some(start) = path.as_str().get(..RESERVED_PREFIX.len()) else { return false };
    let rest = path.as_str().get(RESERVED_PREFIX.len()..).unwrap_or_default();
    start.eq_ignore_ascii_case(RESERVED_PREFIX) && (rest.is_empty() || rest.starts_with('/'))
}

impl Row {
    fn covers(&self, path: &Path) -> bool {
        let (mut wanted, mut given) = (self.path.split('/'), path.as_str().split('/'));
        loop {
            match (wanted.next(), given.next()) {
                (None, None) => return true,
                (Some(wanted), Some(given)) if wanted == given => {}
                (Some(wanted), Some(given)) if wanted.ends_with("..}") && !given.is_empty() => return true,
                (Some(wanted), Some(given)) if wanted.starts_with('{') && !given.is_empty() => {}
                (Some(_) | None, Some(_)) | (Some(_), None) => return false,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn find(kind: HostKind, method: &str, path: &str) -> Option<Page> {
        route(kind, &Method::parse(method).unwrap(), &Path::parse(path).unwrap())
    }

    #[test]
    fn every_row_is_reachable_on_its_hosts_and_nowhere_else() {
        for row in TABLE.iter().chain(console::TABLE) {
            let path: Vec<&str> =
                row.path.split('/').map(|part| if part.starts_with('{') { "x1" } else { part }).collect();
            let path = path.join("/");
            for kind in HostKind::ALL {
                let expected = row.hosts.contains(&kind).then_some(row.page);
                let shared = TABLE
                    .iter()
                    .chain(console::TABLE)
                    .find(|other| other.path == row.path && other.method == row.method && other.hosts.contains(&kind));
                assert_eq!(find(kind, row.method, &path), expected.or(shared.map(|row| row.page)), "{kind:?} {path}");
            }
        }
    }

    #[test]
    fn no_two_rows_answer_the_same_request() {
        let mut seen = BTreeSet::new();
        for row in TABLE.iter().chain(console::TABLE) {
            for host in row.hosts {
                assert!(seen.insert((format!("{host:?}"), row.method, row.path)), "{}", row.path);
            }
        }
    }

    #[test]
    fn what_is_not_a_row_does_not_exist() {
        for (kind, method, path) in [
            (HostKind::App, "GET", "/"),
            (HostKind::App, "GET", "/sign-in"),
            (HostKind::App, "POST", "/.sekimori/connect/begin"),
            (HostKind::Tunnel, "GET", "/index.html"),
            (HostKind::Tunnel, "GET", "/files/get"),
            (HostKind::Tunnel, "GET", "/files/get/"),
            (HostKind::Tunnel, "GET", "/files/put/var/log"),
            (HostKind::App, "GET", "/files"),
            (HostKind::App, "GET", "/terminal/stream"),
            (HostKind::App, "GET", "/callback/city-idp"),
            (HostKind::Portal, "GET", "/.well-known/jwks.json"),
            (HostKind::Portal, "POST", "/"),
            (HostKind::Login, "GET", "/callback"),
            (HostKind::Login, "GET", "/callback/"),
            (HostKind::Login, "GET", "/callback/a/b"),
            (HostKind::Login, "POST", "/callback/a"),
            (HostKind::Login, "GET", "/sign-in/"),
            (HostKind::App, "GET", "/.sekimori"),
            (HostKind::App, "GET", "/.sekimori/"),
            (HostKind::App, "GET", "/.sekimori/nothing"),
            (HostKind::App, "DELETE", "/.sekimori/sign-out"),
            (HostKind::App, "GET", "/.sekimori/language"),
        ] {
            assert_eq!(find(kind, method, path), None, "{kind:?} {method} {path}");
        }
        assert_eq!(find(HostKind::Portal, "HEAD", "/"), Some(Page::Portal));
    }

    #[test]
    fn a_file_is_named_by_all_of_its_path() {
        for path in ["/files/get/a", "/files/get/var/log/pacs.log", "/files/get/%E5%BC%95%E7%B6%99%E3%81%8E"] {
            assert_eq!(find(HostKind::Tunnel, "GET", path), Some(Page::Terminal(TerminalPage::Get)), "{path}");
        }
    }

    #[test]
    fn only_the_portal_the_console_and_tcp_apps_ask_for_a_session() {
        for row in TABLE {
            let is_apps = row.hosts == TUNNEL && !row.path.starts_with(RESERVED_PREFIX);
            let expected = if row.hosts == PORTAL { "portal" } else { "login" };
            let judged_as = row.page.built_in().map(BuiltIn::app_id);
            assert_eq!(judged_as, (!is_apps).then_some(expected), "{}", row.path);
        }
        assert!(console::TABLE.iter().all(|row| row.page.built_in() == Some(BuiltIn::Console)));
    }

    #[test]
    fn the_reserved_prefix_ends_at_a_segment_in_any_case() {
        for (path, expected) in [
            ("/.sekimori", true),
            ("/.sekimori/x", true),
            ("/.SEKIMORI/x", true),
            ("/.sekimorix", false),
            ("/a/.sekimori", false),
            ("/", false),
        ] {
            assert_eq!(is_reserved(&Path::parse(path).unwrap()), expected, "{path}");
        }
    }
}
