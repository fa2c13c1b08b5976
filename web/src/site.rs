//! The site: which function answers which page.

use std::future::Future;
use std::sync::{Arc, OnceLock};

use audit::Recorder;
use bytes::Bytes;
use config::{App, Config, Names, Provider};
use http::header::HeaderValue;
use http::{Response, StatusCode};
use identity::{
    Assertions, Devices, Grants, HandOffs, Oidc, Outage, Passkeys, PendingSignIns, People, PostureDesk, Programs,
    Sessions, Shelf,
};
use policy::{AppId, Matrix, Policy};
use store::{Store, StoreProblem};
use tokio::sync::Semaphore;

use crate::console::recording::Players;
use crate::texts::{Texts, Voice};
use crate::view::{Frame, Notice, NoticeView, show};
use crate::{
    Alarms, AnswerForm, Asset, DeviceCertificates, Fault, HostKind, Language, LogView, NodeBoard, OpenNow, Page,
    PageRequest, Refusal, TerminalPage, Why, cookie, headers, json, language, origin, problem, query, wants_page,
};

/// What the site is made from; one site belongs to one loaded configuration.
#[derive(Debug)]
pub struct SiteParts {
    /// The configuration that is in force.
    pub config: Arc<Config>,
    /// Its policy, to be shown and explained; the gateway judges.
    pub policy: Arc<Policy>,
    /// Open sessions.
    pub sessions: Arc<Sessions>,
    /// Sign-in at the providers.
    pub oidc: Arc<Oidc>,
    /// Hand-offs between hosts.
    pub hand_offs: Arc<HandOffs>,
    /// The keys that sign assertions to apps.
    pub assertions: Arc<Assertions>,
    /// People, their invitations and temporary codes.
    pub people: Arc<People>,
    /// Passkeys of people.
    pub passkeys: Arc<Passkeys>,
    /// The ledger of devices.
    pub devices: Arc<Devices>,
    /// Makes certificates for devices.
    pub certificates: Arc<dyn DeviceCertificates>,
    /// Takes in what is reported of the condition of devices.
    pub posture: Arc<PostureDesk>,
    /// Which providers are out.
    pub outage: Arc<Outage>,
    /// Exceptions: vendors' windows and broken glass.
    pub grants: Arc<Grants>,
    /// Where sessions are kept, for signing out of all that belong together.
    pub store: Arc<dyn Store>,
    /// Where sign-ins and sign-outs are recorded.
    pub recorder: Recorder,
    /// What auditors look at.
    pub log_view: Arc<LogView>,
    /// What is open under grants at this moment.
    pub open_now: Arc<OpenNow>,
    /// How the nodes stand that serve together.
    pub nodes: Arc<NodeBoard>,
    /// What is wrong with the gateway itself.
    pub alarms: Arc<Alarms>,
}

/// Our own pages. Clones are cheap.
#[derive(Clone, Debug)]
pub struct Site {
    pub(crate) parts: Arc<SiteParts>,
    texts: Arc<Texts>,
    /// Who may do what, once somebody asked.
    matrix: Arc<OnceLock<Matrix>>,
    /// Who may search the log at this moment, for a page.
    pub(crate) searches: Arc<Semaphore>,
    /// Which vendor's person may count at this moment what was done in their window.
    pub(crate) vendors_searches: Arc<Semaphore>,
    /// Who may read or play a recording at this moment, for a page.
    pub(crate) plays: Arc<Semaphore>,
    /// Sign-ins between the provider's answer and the passkey.
    pub(crate) pending: Arc<PendingSignIns>,
    /// What waits for its browser.
    pub(crate) shelf: Arc<Shelf>,
    /// Programs that ask to be let in.
    pub(crate) programs: Arc<Programs>,
    /// Recordings that are being played.
    pub(crate) players: Arc<Players>,
}

/// How many pages may search the log at once; more wait.
const SEARCHES_MAX: usize = 2;

/// How many pages may read or play recordings at once; more wait.
const PLAYS_MAX: usize = 2;

/// What a page answers, or what went wrong.
pub(crate) type Answer = Result<Response<Bytes>, Fault>;

impl Site {
    /// Makes the site and reads its texts.
    #[must_use]
    pub fn new(parts: SiteParts) -> Self {
        let searches = Arc::new(Semaphore::new(SEARCHES_MAX));
        let vendors_searches = Arc::new(Semaphore::new(1));
        let plays = Arc::new(Semaphore::new(PLAYS_MAX));
        let pending = Arc::new(PendingSignIns::new(parts.store.clone()));
        let shelf = Arc::new(Shelf::new(parts.store.clone()));
        let programs = Arc::new(Programs::new(parts.store.clone(), parts.sessions.clone()));
        let players = Arc::new(Players::default());
        let (texts, matrix) = (Arc::new(Texts::new()), Arc::new(OnceLock::new()));
        Self {
            parts: Arc::new(parts),
            texts,
            matrix,
            searches,
            vendors_searches,
            plays,
            pending,
            shelf,
            programs,
            players,
        }
    }

    /// Answers a request for one of our own pages. `may_open` is asked at once, and only for [`Page::Portal`]:
    /// whether the policy would let this person read the app's portal path from this device now.
    pub fn answer(
        &self,
        page: Page,
        request: PageRequest,
        may_open: impl FnMut(&App) -> bool,
    ) -> impl Future<Output = Response<Bytes>> {
        let apps = if page == Page::Portal { self.portal_apps(may_open) } else { Vec::new() };
        async move {
            let answer = match page {
                Page::Portal => Ok(self.portal(&request, &apps)),
                Page::LoginHome => Ok(headers::redirect(StatusCode::FOUND, &self.portal_address())),
                Page::SignIn => self.sign_in(&request).await,
                Page::Begin => self.begin(&request).await,
                Page::Callback => self.callback(&request).await,
                Page::Jwks => Ok(self.jwks()),
                Page::StartSignIn => self.start_sign_in(&request).await,
                Page::Arrive => self.arrive(&request).await,
                Page::SignedIn => Ok(self.signed_in(&request)),
                Page::AskSignOut => Ok(self.ask_sign_out(&request)),
                Page::SignOut => self.sign_out(&request).await,
                Page::SignedOut => Ok(self.signed_out(&request)),
                Page::ChooseLanguage => self.choose_language(&request),
                Page::Asset(asset) => Ok(file(asset)),
                Page::WhoIsHere => self.who_is_here(&request).await,
                Page::Switch => self.switch(&request).await,
                Page::Land => self.land(&request).await,
                Page::PasskeyBegin => self.passkey_begin(&request).await,
                Page::PasskeyFinish => self.passkey_finish(&request).await,
                Page::SecondFactor => self.second_factor(&request).await,
                Page::Enrol => self.enrol(&request).await,
                Page::EnrolBegin => self.enrol_begin(&request).await,
                Page::EnrolFinish => self.enrol_finish(&request).await,
                Page::Temporary => Ok(self.temporary(&request)),
                Page::TemporarySignIn => self.temporary_sign_in(&request).await,
                Page::Device => self.device(&request),
                Page::EnrolDevice => self.enrol_device(&request).await,
                Page::RenewDevice => self.renew_device(&request).await,
                Page::DeviceFile => self.device_file(&request).await,
                Page::Me => self.me(&request).await,
                Page::RenameKey => self.rename_key(&request).await,
                Page::RemoveKey => self.remove_key(&request).await,
                Page::EndSession => self.end_session(&request).await,
                Page::Maintenance(page) => self.maintenance(page, &request).await,
                Page::LogOutByProvider => self.log_out_by_provider(&request).await,
                Page::EstCaCertificates => Ok(self.est_ca_certificates()),
                Page::EstEnrol => self.est_enrol(&request).await,
                Page::EstRenew => self.est_renew(&request).await,
                Page::Posture => self.posture(&request).await,
                Page::Connect => self.connect(&request),
                Page::ConnectAllow => self.connect_allow(&request).await,
                Page::ConnectBegin => self.connect_begin(&request).await,
                Page::ConnectToken => self.connect_token(&request).await,
                Page::Terminal(TerminalPage::Show) => self.terminal(&request),
                // The gateway answers these itself: they need the server.
                Page::Terminal(
                    TerminalPage::Stream
                    | TerminalPage::Folders
                    | TerminalPage::Folder
                    | TerminalPage::Get
                    | TerminalPage::Put,
                ) => Err(Fault::NotFound),
                Page::BreakGlass => self.break_glass(&request).await,
                Page::EndGlass => self.end_glass(&request).await,
                Page::Console(page) => self.console(page, &request).await,
            };
            answer.unwrap_or_else(|fault| self.fault(page, &request, fault))
        }
    }

    pub(crate) fn config(&self) -> &Config {
        &self.parts.config
    }

    pub(crate) fn voice(&self, language: Language) -> Voice<'_> {
        self.texts.voice(language)
    }

    /// Who may do what.
    pub(crate) fn matrix(&self) -> &Matrix {
        let roles = || self.config().roles.keys().cloned();
        self.matrix.get_or_init(|| Matrix::of(&self.parts.policy, roles()))
    }

    /// What a page has around it. `back` is where the language switch comes back to.
    pub(crate) fn frame(&self, language: Language, back: Option<String>) -> Frame<'_> {
        let voice = self.voice(language);
        Frame { voice, facility: &self.config().facility.name, back, banner: self.banner(voice), glass: Vec::new() }
    }

    /// What everybody must know while a provider is gone.
    fn banner(&self, voice: Voice<'_>) -> Option<String> {
        let out = self.parts.outage.current();
        let is_out = |provider: &&Provider| out.iter().any(|(id, _)| *id == provider.id);
        let names = self.config().providers.iter().filter(is_out).map(|one| said(&one.name, voice.language()));
        let names = names.collect::<Vec<_>>().join(", ");
        (!names.is_empty()).then(|| voice.say_with("outage-banner", "name", &names))
    }

    /// What a page has around it, coming back to itself.
    pub(crate) fn frame_of(&self, request: &PageRequest) -> Frame<'_> {
        let back = (request.method.as_str() != "POST").then(|| query::target(&request.path, &request.query));
        let frame = self.frame(language(&request.headers), back);
        let glass = request.usable_session().map(|session| self.glass_strips(&session.who, request.at, frame.voice));
        Frame { glass: glass.unwrap_or_default(), ..frame }
    }

    pub(crate) fn notice(&self, request: &PageRequest, notice: Notice) -> Response<Bytes> {
        show(StatusCode::OK, &NoticeView { frame: self.frame_of(request), notice, glass: None })
    }

    pub(crate) fn portal_address(&self) -> String {
        format!("{}/", self.config().origin(&self.config().portal_host))
    }

    pub(crate) fn login_origin(&self) -> String {
        self.config().origin(&self.config().login_host)
    }

    /// What a host of ours is for.
    pub(crate) fn kind_of(&self, request: &PageRequest) -> HostKind {
        match &request.host {
            host if *host == self.config().login_host => HostKind::Login,
            host if *host == self.config().portal_host => HostKind::Portal,
            host if self.config().console_host.as_ref() == Some(host) => HostKind::Console,
            host if self.config().apps.iter().any(|app| app.host == *host && app.tcp().is_some()) => HostKind::Tunnel,
            _ => HostKind::App,
        }
    }

    /// The name of an app as people read it.
    pub(crate) fn app_name(&self, id: &AppId, language: Language) -> String {
        let app = self.config().apps.iter().find(|app| app.id == *id);
        app.map_or_else(|| id.to_string(), |app| said(&app.name, language).to_owned())
    }

    /// Refuses a form that another site posted.
    pub(crate) fn check_origin(&self, request: &PageRequest) -> Result<(), Fault> {
        let origin = self.config().origin(&request.host);
        if origin::is_same_origin(&request.headers, &origin) { Ok(()) } else { Err(Fault::ForeignForm) }
    }

    pub(crate) fn fault(&self, page: Page, request: &PageRequest, fault: Fault) -> Response<Bytes> {
        let once_only = matches!(page, Page::Callback | Page::Arrive) || request.method.as_str() == "POST";
        let refusal = Refusal {
            why: Why::Fault(fault),
            request: request.request,
            at: request.at,
            host: Some(request.host.clone()),
            target: (!once_only).then(|| (request.path.clone(), request.query.clone())),
            who: request.session.as_ref().map(|session| session.who.clone()),
            app: None,
            ways: Vec::new(),
        };
        if json::is_json(&request.headers) {
            // Our own script shows it to the person who reads this page.
            return problem::write(self, &refusal, None, self.voice(language(&request.headers)));
        }
        let is_page = wants_page(&request.headers, &request.method);
        self.refusal(&refusal, if is_page { AnswerForm::Page(language(&request.headers)) } else { AnswerForm::Problem })
    }

    fn choose_language(&self, request: &PageRequest) -> Answer {
        self.check_origin(request)?;
        let chosen = query::field(&request.body, "language").and_then(|tag| Language::parse(&tag));
        let chosen = chosen.ok_or(Fault::BadRequest)?;
        let back = query::field(&request.body, "back").and_then(|back| query::place_here(&back));
        let mut response = headers::redirect(StatusCode::SEE_OTHER, back.as_deref().unwrap_or("/"));
        headers::add_cookies(&mut response, cookie::language(chosen.tag()));
        Ok(response)
    }

    fn jwks(&self) -> Response<Bytes> {
        let keys = Bytes::copy_from_slice(self.parts.assertions.jwks().as_bytes());
        headers::document(StatusCode::OK, "application/json", "public, max-age=300", keys)
    }
}

/// A name in one language.
pub(crate) fn said(names: &Names, language: Language) -> &str {
    match language {
        Language::Japanese => &names.ja,
        Language::English => &names.en,
    }
}

/// Why the store's answer ends a page.
pub(crate) fn store_fault(problem: &StoreProblem) -> Fault {
    match problem {
        StoreProblem::Full => Fault::Overloaded,
        StoreProblem::Unavailable(_)
        | StoreProblem::Corrupt(_)
        | StoreProblem::Exists(_)
        | StoreProblem::NotInForce(_) => Fault::StoreUnavailable,
    }
}

fn file(asset: Asset) -> Response<Bytes> {
    let keep = "public, max-age=31536000, immutable";
    let mut response = headers::document(StatusCode::OK, asset.content_type(), keep, asset.bytes());
    headers::set(&mut response, http::header::VARY, HeaderValue::from_static("Accept-Encoding"));
    response
}
