//! Every page there is, in both languages: written correctly, guarded by its headers, deaf to hostile input.

use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{Response, StatusCode};
use policy::{
    AppId, Assurance, Challenge, DeviceClass, DeviceId, Host, Path, ProviderId, Reason, SessionId, Timestamp, Turn,
    UserId, Who,
};
use serde_json::json;
use store::DeviceRecord;

use crate::key_tests::{SECOND_FACTOR, with_key};
use crate::testing::{
    Browser, EMR, Hospital, LOGIN, PORTAL, SHELL, challenged, reasons, request_id, text, ward_terminal,
};
use crate::{AnswerForm, Asset, Fault, Language, Page, Refusal, TABLE, Why, help_code};

/// The same as far as a name may hold it.
const HOSTILE_NAME: &str = "森 <script>alert(1)</script>'\"<";
const HOSTILE: &str = "\"'><script>alert(1)</script><img src=x onerror=alert(2)>";

fn who(name: &str, roles: &[&str]) -> Arc<Who> {
    Arc::new(Who {
        user: UserId::parse("u-1").unwrap(),
        login: name.into(),
        name: name.into(),
        unit: "".into(),
        provider: ProviderId::parse("city").unwrap(),
        issuer: "https://city.example".into(),
        subject: name.into(),
        roles: roles.iter().map(|role| policy::RoleId::parse(role).unwrap()).collect(),
        session: SessionId::new(1),
        assurance: Assurance::Aal1,
        methods: policy::Methods::NONE,
        key_model: None,
        in_outage: false,
        roles_confirmed_at: Timestamp::from_unix_micros(0),
        authenticated_at: Timestamp::from_unix_micros(0),
        bound_to: None,
        ends_at: Timestamp::MAX,
    })
}

fn refusal(why: Why, who: Option<Arc<Who>>) -> Refusal {
    Refusal {
        why,
        request: request_id(),
        at: Timestamp::from_unix_micros(1_795_309_500_000_000),
        host: Some(Host::parse(EMR).unwrap()),
        target: Some((Path::parse("/chart").unwrap(), "q='\"<script>".to_owned())),
        who,
        app: Some(AppId::parse("emr").unwrap()),
        ways: Vec::new(),
    }
}

fn every_refusal() -> Vec<(String, Refusal)> {
    let nurse = || Some(who("佐藤 花子", &["nurse"]));
    let denied = Reason::ALL
        .iter()
        .map(|reason| (format!("denied-{}", reason.code()), refusal(Why::Policy(reasons(*reason)), nurse())));
    let faults = Fault::ALL.iter().map(|fault| (format!("fault-{}", fault.code()), refusal(Why::Fault(*fault), None)));
    let sign_in = refusal(Why::Challenge(reasons(Reason::SignInRequired), Challenge::SignIn), None);
    let step_up = Challenge::StepUp(Assurance::Aal2);
    let step_up = refusal(Why::Challenge(reasons(Reason::StepUpRequired), step_up), nurse());
    let no_role = refusal(Why::Policy(reasons(Reason::RoleNotAllowed)), Some(who("新人 太郎", &[])));
    let either = vec![policy::Alteration::Device(DeviceClass::Tablet), policy::Alteration::Device(DeviceClass::Fixed)];
    let ways = vec![Turn { changes: vec![either] }, Turn { changes: vec![vec![policy::Alteration::ProveAgain]] }];
    let with_ways = Refusal { ways, ..refusal(Why::Policy(reasons(Reason::DeviceClassNotAllowed)), nurse()) };
    let others = [
        ("challenge-sign-in", sign_in),
        ("challenge-step-up", step_up),
        ("denied-no-role", no_role),
        ("denied-with-ways", with_ways),
    ]
    .map(|(n, r)| (n.to_owned(), r));
    denied.chain(faults).chain(others).collect()
}

/// Every page, in one language, by name.
async fn every_page(language: Language) -> Vec<(String, Response<Bytes>)> {
    let hospital = Hospital::with_providers(2).await;
    let mut pages: Vec<(String, Response<Bytes>)> = every_refusal()
        .into_iter()
        .map(|(name, refusal)| (name, hospital.site.refusal(&refusal, AnswerForm::Page(language))))
        .collect();
    let mut nobody = Browser { language: language.tag(), ..Browser::at(None) };
    let mut nurse = Browser { language: language.tag(), ..Browser::at(Some(ward_terminal())) };
    let begin = format!("https://{LOGIN}/begin?provider=city");
    nurse.open(&hospital, &begin).await;
    nurse.open(&hospital, &format!("https://{EMR}/")).await;
    let mut stranger = Browser { language: language.tag(), ..Browser::at(None) };
    hospital.provider.seat(HOSTILE, &["chess"]);
    stranger.open(&hospital, &begin).await;
    for (name, browser, url) in [
        ("sign-in", &mut nobody.clone(), format!("https://{LOGIN}/sign-in?h={HOSTILE}&login_hint={HOSTILE}")),
        ("step-up", &mut nurse.clone(), format!("https://{LOGIN}/sign-in?again=aal2&h=x")),
        ("step-up-key", &mut stranger.clone(), format!("https://{LOGIN}/sign-in?again=aal3")),
        ("portal", &mut nurse.clone(), format!("https://{PORTAL}/?q={HOSTILE}")),
        ("portal-no-role", &mut stranger.clone(), format!("https://{PORTAL}/")),
        ("ask-sign-out", &mut nurse.clone(), format!("https://{EMR}/.sekimori/sign-out?{HOSTILE}")),
        ("ask-sign-out-nobody", &mut nobody.clone(), format!("https://{EMR}/.sekimori/sign-out")),
        ("signed-out", &mut nobody.clone(), format!("https://{LOGIN}/signed-out?state={HOSTILE}")),
        ("signed-in", &mut nurse.clone(), format!("https://{EMR}/.sekimori/signed-in")),
        ("arrive-expired", &mut nobody.clone(), format!("https://{EMR}/.sekimori/arrive?h={HOSTILE}&code=1")),
        ("callback-expired", &mut nobody.clone(), format!("https://{LOGIN}/callback/city?state={HOSTILE}&code=1")),
        ("connect", &mut nurse.clone(), format!("https://{SHELL}/")),
        ("connect-ask", &mut nurse.clone(), format!("https://{SHELL}/?code=BCDF-GHJK")),
        ("connect-odd", &mut nurse.clone(), format!("https://{SHELL}/?code={HOSTILE}")),
    ] {
        pages.push((name.to_owned(), browser.open(&hospital, &url).await.1));
    }
    let site = Hospital::with_providers(0).await;
    pages.push(("sign-in-none".into(), nobody.get(&site, &format!("https://{LOGIN}/sign-in")).await));
    let leaving = nurse.post(&hospital, &format!("https://{EMR}/.sekimori/sign-out"), "").await;
    pages.push(("signed-out-onward".into(), leaving));
    let mut headers = nobody.headers(EMR);
    headers.insert("content-type", "application/x-www-form-urlencoded".parse().unwrap());
    headers.insert("origin", "https://emr.hosp.example".parse().unwrap());
    let form = Bytes::from(url::form_urlencoded::Serializer::new(String::new()).append_pair(HOSTILE, HOSTILE).finish());
    for (name, challenge, origin, body) in [
        ("kept", Challenge::SignIn, "https://emr.hosp.example", Some(&form)),
        ("kept-step-up", Challenge::StepUp(Assurance::Aal2), "https://emr.hosp.example", Some(&form)),
        ("kept-not", Challenge::SignIn, "https://emr.hosp.example", None),
        ("kept-foreign", Challenge::SignIn, "https://evil.example", Some(&form)),
    ] {
        headers.insert("origin", origin.parse().unwrap());
        let path = Path::parse("/notes").unwrap();
        let challenged = challenged(challenge, EMR, path, HOSTILE.to_owned(), headers.clone(), hospital.now());
        pages.push((name.into(), hospital.site.session_over_form(&challenged, body)));
    }
    pages.extend(every_page_of_keys(language).await);
    pages
}

/// The pages of passkeys, shared terminals, devices and one's own, in one language, by name.
async fn every_page_of_keys(language: Language) -> Vec<(String, Response<Bytes>)> {
    let provider = format!("{SECOND_FACTOR}enrol_at_first_sign_in = true\n");
    let hospital = Hospital::with_keys("", &provider).await;
    let (_, mut key) = with_key(&hospital, "h.mori", HOSTILE_NAME).await;
    let switch = json!({ "for": "switch" });
    let nobody = Browser { language: language.tag(), ..Browser::at(None) };
    let mut nurse = Browser { language: language.tag(), ..Browser::at(Some(ward_terminal())) };
    let mut pages = Vec::new();
    let of = |path: &str| format!("https://{LOGIN}{path}");
    let (_, second_enrol) = nobody.clone().open(&hospital, &of("/begin?provider=city")).await;
    pages.push(("second-enrol".to_owned(), second_enrol));
    for (name, path) in [
        ("sign-in-by-key", "/sign-in?h=x"),
        ("who-is-here", "/switch"),
        ("enrol", "/enrol"),
        ("enrolled", "/enrol?done=1"),
        ("temporary", "/temporary?h=x"),
        ("device", "/device"),
    ] {
        pages.push((name.to_owned(), nobody.clone().get(&hospital, &of(path)).await));
    }
    nurse.touch(&hospital, &mut key, &switch).await;
    pages.push(("portal-shared".to_owned(), nurse.open(&hospital, &format!("https://{PORTAL}/")).await.1));
    pages.push(("me".to_owned(), nurse.open(&hospital, &format!("https://{PORTAL}/me?done=1")).await.1));
    for (name, path) in [
        ("enrol-own", "/enrol?own=1"),
        ("step-up-by-key", "/sign-in?again=aal3"),
        ("device-known", "/device"),
        ("switch-while-open", "/switch"),
    ] {
        pages.push((name.to_owned(), nurse.clone().get(&hospital, &of(path)).await));
    }
    let mut left = nurse.clone();
    let switching = left.post(&hospital, &format!("https://{PORTAL}/.sekimori/switch"), "").await;
    pages.push(("switching".to_owned(), switching));
    pages.push(("waiting".to_owned(), left.get(&hospital, &of("/sign-in?h=x")).await));
    left.touch(&hospital, &mut key, &switch).await;
    hospital.pass_seconds(200);
    pages.push(("locked".to_owned(), left.get(&hospital, &of("/sign-in?h=x")).await));

    let id = DeviceId::parse("tablet-1").unwrap();
    let record = DeviceRecord::new(id.clone(), DeviceClass::Tablet, hospital.now());
    hospital.store.add_device(record, "test".to_owned()).await.unwrap();
    let people = &hospital.site.parts.people;
    let made = people.invite_device(&id, Duration::from_secs(600), "", "cli:test", hospital.now()).await.unwrap();
    let form = format!("code={}&form=pkcs12", made.code.expose());
    pages.push(("device-ready".to_owned(), nobody.clone().post(&hospital, &of("/device"), &form).await));

    let open = Hospital::with_keys("", "").await;
    let city = ProviderId::parse("city").unwrap();
    open.site.parts.outage.switch(&city, identity::OutageSwitch::On, "cli:test", open.now()).await.unwrap();
    let mut next = Browser { language: language.tag(), ..Browser::at(None) };
    pages.push(("sign-in-outage".to_owned(), next.get(&open, &of("/sign-in")).await));
    let (_, mut another) = with_key(&open, "h.mori", "森 花").await;
    next.touch(&open, &mut another, &json!({ "for": "sign-in" })).await;
    next.post(&open, &of("/.sekimori/sign-out"), "").await;
    pages.push(("land".to_owned(), next.open(&open, &of("/begin?provider=city")).await.1));
    pages
}

#[tokio::test]
async fn every_page_is_whole_html_and_carries_its_guards() {
    for language in Language::ALL {
        for (name, response) in every_page(language).await {
            let name = format!("{name} ({})", language.tag());
            check_headers(&name, &response);
            check_html(&name, &text(&response), language);
        }
    }
}

#[tokio::test]
async fn nothing_hostile_gets_out_of_its_place() {
    for (name, response) in every_page(Language::English).await {
        let page = text(&response);
        for bad in ["<script>", "<img src=x", "alert(1)</", "'\"<"] {
            assert!(!page.contains(bad), "{bad} in {name}");
        }
    }
}

#[tokio::test]
async fn every_row_of_the_table_answers() {
    let hospital = Hospital::with_providers(2).await;
    for row in TABLE {
        for kind in row.hosts {
            let host = match kind {
                crate::HostKind::Login => LOGIN,
                crate::HostKind::Portal => PORTAL,
                crate::HostKind::Console => crate::testing::CONSOLE,
                crate::HostKind::App => EMR,
                crate::HostKind::Tunnel => SHELL,
            };
            let mut browser = Browser::at(None);
            browser.open(&hospital, &format!("https://{LOGIN}/begin?provider=city")).await;
            let url = format!("https://{host}{}", row.path.replace("{provider}", "city"));
            let response = match row.method {
                "POST" => browser.post(&hospital, &url, "language=en").await,
                _ => browser.get(&hospital, &url).await,
            };
            let expected: &[u16] = match row.page {
                Page::LoginHome | Page::SignIn | Page::Callback | Page::StartSignIn => &[302],
                Page::Begin => &[404],
                Page::Arrive if matches!(kind, crate::HostKind::App | crate::HostKind::Tunnel) => &[400],
                Page::Arrive => &[302, 400],
                Page::ChooseLanguage => &[303],
                Page::Portal | Page::Me => &[200],
                // A body that is a form where JSON is wanted, a code that opens nothing, a key that nobody has.
                Page::PasskeyBegin | Page::PasskeyFinish | Page::EnrolBegin | Page::EnrolFinish => &[415],
                Page::LogOutByProvider => &[400],
                Page::TemporarySignIn | Page::EnrolDevice | Page::RenewDevice => &[400, 404],
                Page::Land | Page::SecondFactor | Page::DeviceFile => &[400],
                Page::WhoIsHere | Page::Enrol | Page::Temporary | Page::Device | Page::EstCaCertificates => &[200],
                Page::Switch => &[200, 303],
                Page::RenameKey | Page::RemoveKey | Page::EndSession => &[400],
                // For nobody but a vendor's people.
                Page::Maintenance(_) => &[404],
                Page::BreakGlass | Page::EndGlass => &[303, 400, 403, 404],
                Page::EstEnrol | Page::Posture => &[401],
                Page::EstRenew => &[403],
                Page::Connect | Page::Terminal(_) => &[302, 401],
                Page::ConnectAllow => &[401],
                Page::ConnectBegin | Page::ConnectToken => &[415],
                Page::Console(_) => &[404],
                Page::Jwks | Page::SignedIn | Page::AskSignOut | Page::SignOut | Page::SignedOut | Page::Asset(_) => {
                    &[200]
                }
            };
            assert!(expected.contains(&response.status().as_u16()), "{url}: {}", response.status());
        }
    }
}

#[tokio::test]
async fn a_refused_person_learns_why_what_to_do_and_which_code_to_read_out() {
    let hospital = Hospital::open().await;
    for language in Language::ALL {
        for (name, refusal) in every_refusal() {
            let page = text(&hospital.site.refusal(&refusal, AnswerForm::Page(language)));
            let voice = hospital.site.voice(language);
            for part in ["title", "what", "do"] {
                let said = voice.say(&format!("{}-{part}", refusal.key())).replace('\'', "&#39;");
                assert!(page.contains(&said), "{name} {part}");
            }
            assert!(page.contains(&help_code(refusal.request)) && page.contains(&refusal.request.to_string()));
            assert!(page.contains(refusal.code()), "{name}");
            if refusal.reasons().is_some() {
                assert!(page.contains("nurses-read-charts"), "{name} names its rule");
            }
        }
    }
    assert_eq!(help_code(request_id()).len(), 9);
    assert!(request_id().to_string().ends_with(&help_code(request_id()).replace(' ', "")));
}

#[tokio::test]
async fn a_program_gets_a_problem_document() {
    let hospital = Hospital::open().await;
    for (name, refusal) in every_refusal() {
        let response = hospital.site.refusal(&refusal, AnswerForm::Problem);
        check_headers(&name, &response);
        assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json", "{name}");
        let document: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
        assert_eq!(document["code"], refusal.code());
        assert_eq!(document["status"], response.status().as_u16());
        assert_eq!(document["type"], format!("urn:sekimori:problem:{}", refusal.code()));
        assert_eq!(document["request"], refusal.request.to_string());
        assert_eq!(document.get("rule").is_some(), refusal.reasons().is_some());
    }
}

#[tokio::test]
async fn statuses_say_what_http_says() {
    let hospital = Hospital::open().await;
    let answer = |why| hospital.site.refusal(&refusal(why, None), AnswerForm::Problem);
    assert_eq!(answer(Why::Policy(reasons(Reason::RoleNotAllowed))).status(), StatusCode::FORBIDDEN);
    let step_up = Challenge::StepUp(Assurance::Aal2);
    let challenged = answer(Why::Challenge(reasons(Reason::StepUpRequired), step_up));
    assert_eq!(challenged.status(), StatusCode::UNAUTHORIZED);
    let place = "Sekimori sign-in=\"https://emr.hosp.example/.sekimori/sign-in?again=aal2\"";
    assert_eq!(challenged.headers()[WWW_AUTHENTICATE], place);
    let busy = answer(Why::Fault(Fault::TooManyRequests(Duration::from_millis(2_500))));
    assert_eq!((busy.status(), busy.headers()[RETRY_AFTER].to_str().unwrap()), (StatusCode::TOO_MANY_REQUESTS, "3"));
    assert_eq!(answer(Why::Fault(Fault::Stopping)).headers()[RETRY_AFTER], "5");
    let statuses: BTreeSet<u16> = Fault::ALL.iter().map(|fault| fault.status().as_u16()).collect();
    assert_eq!(statuses, BTreeSet::from([400, 403, 404, 405, 408, 413, 415, 421, 429, 431, 500, 502, 503, 504]));
}

#[tokio::test]
async fn assets_may_be_kept_for_ever_and_pages_never() {
    let hospital = Hospital::open().await;
    for asset in Asset::ALL {
        let response = Browser::at(None).get(&hospital, &format!("https://{EMR}{}", asset.path())).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["cache-control"], "public, max-age=31536000, immutable");
        assert_eq!(response.headers()["x-content-type-options"], "nosniff");
    }
}

/// Writes every page where a person can look at it: `SEKIMORI_PAGES=/somewhere cargo nextest run -p web --run-ignored
/// only written`.
#[tokio::test]
#[ignore = "for looking at, not for checking"]
async fn every_page_is_written_down() {
    let folder = std::path::PathBuf::from(std::env::var("SEKIMORI_PAGES").unwrap());
    fs::create_dir_all(folder.join(".sekimori")).unwrap();
    for asset in Asset::ALL {
        fs::write(folder.join(asset.path().trim_start_matches('/')), asset.bytes()).unwrap();
    }
    for language in Language::ALL {
        for (name, response) in every_page(language).await {
            fs::write(folder.join(format!("{name}.{}.html", language.tag())), response.body()).unwrap();
        }
    }
}

pub(crate) fn check_headers(name: &str, response: &Response<Bytes>) {
    let header = |field: &str| response.headers().get(field).map(|value| value.to_str().unwrap().to_owned());
    let policy = header("content-security-policy").unwrap();
    for part in
        ["default-src 'none'", "style-src 'self'", "form-action 'self'", "frame-ancestors 'none'", "base-uri 'none'"]
    {
        assert!(policy.contains(part), "{part} in {name}");
    }
    assert!(!policy.contains("unsafe"), "{name}");
    let has_script = String::from_utf8_lossy(response.body()).contains("<script");
    assert_eq!(policy.contains("script-src 'self'; connect-src 'self'"), has_script, "{name}");
    assert_eq!(header("cache-control").as_deref(), Some("no-store"), "{name}");
    assert_eq!(header("x-content-type-options").as_deref(), Some("nosniff"), "{name}");
    assert_eq!(header("x-frame-options").as_deref(), Some("DENY"), "{name}");
    assert_eq!(header("referrer-policy").as_deref(), Some("same-origin"), "{name}");
    assert_eq!(header("cross-origin-opener-policy").as_deref(), Some("same-origin"), "{name}");
    assert!(header("strict-transport-security").is_some(), "{name}");
    assert!(header("server").is_none(), "{name}");
}

/// One element's start.
pub(crate) struct Tag<'a> {
    pub(crate) name: &'a str,
    pub(crate) attributes: Vec<(&'a str, &'a str)>,
}

impl Tag<'_> {
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(found, _)| *found == name).map(|(_, value)| *value)
    }
}

/// Reads strictly: every element is closed in order, every attribute quoted and named once. Browsers forgive; we do not.
pub(crate) fn read_strictly<'a>(page: &str, html: &'a str) -> Vec<Tag<'a>> {
    const VOID: [&str; 4] = ["meta", "link", "img", "input"];
    let (mut tags, mut open) = (Vec::new(), Vec::new());
    let mut rest = html.strip_prefix("<!DOCTYPE html>").expect("begins with its type");
    while let Some(start) = rest.find('<') {
        let between = &rest[..start];
        assert!(!between.contains('>') && !between.contains('⟨'), "{page}: stray text {between:?}");
        let end = start + rest[start..].find('>').expect("closed");
        let inside = &rest[start + 1..end];
        rest = &rest[end + 1..];
        if let Some(name) = inside.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name), "{page}: closed out of order");
            continue;
        }
        let (inside, closes_itself) = inside.strip_suffix('/').map_or((inside, false), |inside| (inside, true));
        let (name, mut left) = inside.split_once(char::is_whitespace).unwrap_or((inside, ""));
        let mut attributes: Vec<(&str, &str)> = Vec::new();
        while !left.trim().is_empty() {
            let (key, after) = left.trim_start().split_once("=\"").unwrap_or_else(|| panic!("{page}: {inside}"));
            let (value, after) = after.split_once('"').expect("quoted");
            assert!(attributes.iter().all(|(other, _)| *other != key), "{page}: {key} twice in {inside}");
            attributes.push((key, value));
            left = after;
        }
        if !VOID.contains(&name) && !closes_itself {
            open.push(name);
        }
        tags.push(Tag { name, attributes });
    }
    assert!(open.is_empty(), "{page}: never closed: {open:?}");
    tags
}

fn check_html(page: &str, html: &str, language: Language) {
    let tags = read_strictly(page, html);
    let count = |name: &str| tags.iter().filter(|tag| tag.name == name).count();
    for once in ["html", "head", "title", "body", "header", "main", "h1", "footer"] {
        assert_eq!(count(once), 1, "{page}: <{once}>");
    }
    assert_eq!(tags[0].value("lang"), Some(language.tag()), "{page}");
    let title = html.split("<title>").nth(1).unwrap().split("</title>").next().unwrap();
    assert!(title.contains(" | さくら総合病院") && !title.starts_with(' '), "{page}: {title}");
    let ids: Vec<&str> = tags.iter().filter_map(|tag| tag.value("id")).collect();
    assert_eq!(ids.len(), ids.iter().collect::<BTreeSet<_>>().len(), "{page}: ids are unique");
    for tag in &tags {
        let link = tag.value("href").into_iter().chain(tag.value("src"));
        let inline = tag.attributes.iter().find(|(key, _)| key.starts_with("on") || *key == "style");
        assert!(inline.is_none(), "{page}: {inline:?} on <{}>", tag.name);
        assert!(!["style", "iframe", "object", "base"].contains(&tag.name), "{page}: <{}>", tag.name);
        if tag.name == "script" {
            let is_ours = Asset::ALL.iter().any(|asset| tag.value("src") == Some(asset.path()));
            assert!(is_ours, "{page}: a script that is not ours");
        }
        if tag.name != "a" {
            link.for_each(|place| assert!(place.starts_with("/.sekimori/"), "{page}: {place} from outside"));
        }
        if tag.name == "img" {
            assert!(tag.value("alt").is_some() && tag.value("width").is_some(), "{page}: picture without words");
        }
        if tag.name == "input" {
            let id = tag.value("id");
            let has_label = tags.iter().any(|tag| tag.name == "label" && tag.value("for") == id && id.is_some());
            assert!(tag.value("type") == Some("hidden") || has_label, "{page}: a field a person sees needs a label");
        }
        if tag.name == "form" {
            assert_eq!(tag.value("method"), Some("post"), "{page}");
        }
        for reference in ["aria-labelledby", "aria-describedby", "for"]
            .into_iter()
            .filter_map(|name| tag.value(name))
            .chain(tag.value("href").and_then(|h| h.strip_prefix('#')))
        {
            assert!(ids.contains(&reference), "{page}: #{reference}");
        }
        if tag.value("target") == Some("_blank") {
            assert_eq!(tag.value("rel"), Some("noopener"), "{page}");
        }
    }
}

#[tokio::test]
async fn who_is_refused_reads_what_they_can_do_about_it() {
    let hospital = Hospital::with_providers(1).await;
    for (language, expected) in [
        (Language::Japanese, ["タブレット・", "を使う", "本人確認をし直す"]),
        (Language::English, ["use a device of the kind: tablet or", "personal desktop", "confirm who you are again"]),
    ] {
        let (_, refusal) = every_refusal().into_iter().find(|(name, _)| name == "denied-with-ways").unwrap();
        let page = text(&hospital.site.refusal(&refusal, AnswerForm::Page(language)));
        for words in expected {
            assert!(page.contains(words), "{words} in {page}");
        }
        let (_, plain) = every_refusal().into_iter().find(|(name, _)| name == "denied-forbidden").unwrap();
        assert!(!text(&hospital.site.refusal(&plain, AnswerForm::Page(language))).contains("id=\"ways\""));
    }
}
