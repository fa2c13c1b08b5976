//! `sekimori policy lint`: what a careful reader would ask of a policy that loads. Warnings: nothing here changes an
//! answer.

use std::collections::BTreeSet;

use config::{ClientCertificates, Config};
use policy::{About, Around, Finding, Flaw, Policy, RoleId, ZoneId};
use serde_json::json;
use store::PeopleFilter;
use web::Language;

use super::Lang;
use crate::cli::user::all_people;
use crate::cli::{ConfigArg, Format, block_on, open_store, out};
use crate::failure::Failure;

/// What to look over.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Ends with 1 where anything is found.
    #[arg(long)]
    strict: bool,
    /// How to write.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    #[command(flatten)]
    language: Lang,
    #[command(flatten)]
    config: ConfigArg,
}

/// Looks over the configuration, and the people and devices that the store knows, where there is one.
pub fn run(args: &Args) -> Result<(), Failure> {
    let config = args.config.read()?;
    let mut around = around(&config);
    if crate::assembly::store_file(&config.state_dir).exists() {
        look_into_store(&config, &mut around)?;
    }
    let (findings, language) = (policy::lint(&config.policy, &config.loaded, &around), args.language.language());
    for finding in &findings {
        out::say(&match args.format {
            Format::Json => as_json(finding),
            Format::Text => sentence(finding, language),
        });
    }
    match (findings.len(), args.format) {
        (0, Format::Text) => out::say(match language {
            Language::Japanese => "方針に気になる点は見つかりませんでした",
            Language::English => "nothing was found in the policy",
        }),
        (0, Format::Json) => {}
        (found, _) if args.strict => {
            return Err(Failure::no(match language {
                Language::Japanese => format!("気になる点が{found}件あります"),
                Language::English => format!("{found} things to look at"),
            }));
        }
        (_, Format::Text | Format::Json) => {}
    }
    Ok(())
}

/// What the configuration alone tells, each finding a line; for `check`.
pub fn warnings(config: &Config, policy: &Policy, language: Language) -> Vec<String> {
    let findings = policy::lint(&config.policy, policy, &around(config));
    findings.iter().map(|finding| sentence(finding, language)).collect()
}

/// What the configuration tells of what is around the policy.
fn around(config: &Config) -> Around {
    let zones: BTreeSet<ZoneId> = config.listeners.iter().map(|listener| listener.zone.clone()).collect();
    let asks = |zone: &ZoneId| {
        let mut listeners = config.listeners.iter().filter(|listener| listener.zone == *zone);
        listeners.any(|listener| listener.client_certificates != ClientCertificates::Off)
    };
    // People of the local directory have roles of their own, which only the store knows.
    let roles_given = (!config.directory.local).then(|| roles_of_providers(config));
    Around {
        roles: config.roles.keys().cloned().collect(),
        roles_given,
        device_classes: None,
        zones_without_devices: zones.into_iter().filter(|zone| !asks(zone)).collect(),
        prefixes: config.apps.iter().map(|app| (app.id.clone(), app.prefix.clone())).collect(),
        rule_sets_unused: config
            .rule_sets
            .iter()
            .filter(|set| set.apps.is_empty())
            .map(|set| set.id.to_string())
            .collect(),
        has_forbidden_upstreams: !config.forbidden_upstreams.is_empty() || config.apps.is_empty(),
    }
}

fn roles_of_providers(config: &Config) -> BTreeSet<RoleId> {
    config.providers.iter().flat_map(|provider| &provider.roles).map(|(_, role)| role.clone()).collect()
}

/// Adds which roles people of the directory have, and which devices are in force.
fn look_into_store(config: &Config, around: &mut Around) -> Result<(), Failure> {
    let store = open_store(config)?;
    let (people, devices) = block_on(async {
        let in_force = PeopleFilter { disabled: Some(false), ..PeopleFilter::default() };
        let people = all_people(&*store, &in_force).await?;
        let devices = store.devices().await.map_err(|problem| Failure::unavailable(problem.to_string()))?;
        Ok((people, devices))
    })?;
    let mut given = roles_of_providers(config);
    given.extend(people.into_iter().flat_map(|person| person.roles));
    around.roles_given = Some(given);
    let in_force = devices.into_iter().filter(|device| device.revoked_at.is_none());
    around.device_classes = Some(in_force.map(|device| device.class).collect());
    Ok(())
}

fn as_json(finding: &Finding) -> String {
    let (kind, name) = match &finding.about {
        About::Rule(rule) => ("rule", Some(rule.to_string())),
        About::Role(role) => ("role", Some(role.to_string())),
        About::DeviceClass(class) => ("device-class", Some(class.as_str().to_owned())),
        About::App(app) => ("app", Some(app.to_string())),
        About::RuleSet(set) => ("rule-set", Some(set.clone())),
        About::Configuration => ("configuration", None),
    };
    let (ja, en) = words(finding);
    json!({ "code": finding.flaw.code(), "about": kind, "name": name, "ja": ja, "en": en }).to_string()
}

/// One line: what it is about, what is the matter, what to do.
fn sentence(finding: &Finding, language: Language) -> String {
    let (ja, en) = words(finding);
    let (about, words) = match (language, &finding.about) {
        (Language::Japanese, About::Rule(rule)) => (format!("規則 {rule}"), ja),
        (Language::Japanese, About::Role(role)) => (format!("役割 {role}"), ja),
        (Language::Japanese, About::DeviceClass(class)) => (format!("端末の種類 {}", class.as_str()), ja),
        (Language::Japanese, About::App(app)) => (format!("アプリ {app}"), ja),
        (Language::Japanese, About::RuleSet(set)) => (format!("規則の組 {set}"), ja),
        (Language::Japanese, About::Configuration) => ("設定".to_owned(), ja),
        (Language::English, About::Rule(rule)) => (format!("rule {rule}"), en),
        (Language::English, About::Role(role)) => (format!("role {role}"), en),
        (Language::English, About::DeviceClass(class)) => (format!("device class {}", class.as_str()), en),
        (Language::English, About::App(app)) => (format!("app {app}"), en),
        (Language::English, About::RuleSet(set)) => (format!("rule set {set}"), en),
        (Language::English, About::Configuration) => ("configuration".to_owned(), en),
    };
    format!("{about}: {words}")
}

/// What is the matter and what to do, in Japanese and English.
fn words(finding: &Finding) -> (String, String) {
    let plain = |ja: &str, en: &str| (ja.to_owned(), en.to_owned());
    match &finding.flaw {
        Flaw::AddsNothing { to } => (
            format!("先にある規則 {to} にすべて含まれ、何も足していません。どちらかを消すか、条件を見直してください"),
            format!("says nothing that the earlier rule {to} does not say; remove one of them, or correct a condition"),
        ),
        Flaw::NeverAllows { under } => (
            format!("許可するものはすべて規則 {under} が禁じています。どちらかを直してください"),
            format!("permits only what the rule {under} forbids; correct one of them"),
        ),
        Flaw::NoHolidays => plain(
            "休日だけの規則ですが、休日が1日も決められていません。`[policy]` に holidays を書いてください",
            "is for holidays alone, and there are none; write `holidays` in `[policy]`",
        ),
        Flaw::NoSuchRoute => plain(
            "この情報区分や操作になる場所が、対象のアプリにありません。アプリの route か template を見直してください",
            "asks for a class or action that no route of its apps gives; correct the routes or the template of the app",
        ),
        Flaw::NoDevicesThere => plain(
            "端末を求めていますが、この区域では端末の証明書を確かめていません。`client_certificates` を見直してください",
            "asks for a device in zones where none can show its certificate; see `client_certificates` of the listeners",
        ),
        Flaw::PathsOutside => plain(
            "書かれた場所は、対象のアプリの外にあります。アプリの prefix から書いてください",
            "names paths outside its apps; begin them with the prefix of the app",
        ),
        Flaw::RoleNotNamed => plain(
            "どの規則にも出てきません。規則に加えるか、役割を消してください",
            "is in no rule; add it to one, or remove the role",
        ),
        Flaw::RoleNotGiven => plain(
            "規則にありますが、この役割をもつ職員がいません。認証先の roles か職員の役割を見直してください",
            "is in rules, and nobody can have it; see the `roles` of the providers and of people",
        ),
        Flaw::NoSuchDevices => plain(
            "規則にありますが、台帳にこの種類の端末がありません",
            "is in rules, and the ledger has no such device",
        ),
        Flaw::DevicesNotNamed => plain(
            "台帳に端末がありますが、どの規則も許可していません",
            "is in the ledger, and no rule lets such devices do anything",
        ),
        Flaw::AppNotReached => plain(
            "どの規則も許可していないので、誰も使えません。規則を加えてください",
            "is reached by no rule, so nobody can use it; add a rule",
        ),
        Flaw::RouteNotReached { class, action } => match action {
            Some(action) => (
                format!("情報区分 {class} の操作 {} は、どの規則も許可していません", action.as_str()),
                format!("lets nobody {} {class}: no rule permits it", action.as_str()),
            ),
            None => (
                format!("情報区分 {class} は、どの規則も許可していません"),
                format!("lets nobody reach {class}: no rule permits it"),
            ),
        },
        Flaw::RuleSetNotNamed => plain(
            "どのアプリも使っていません。アプリの rules に加えるか、消してください",
            "is named by no app; add it to the `rules` of an app, or remove it",
        ),
        Flaw::NoForbiddenUpstreams => plain(
            "オンライン資格確認などの網にアプリを置けないようにする forbidden_upstreams が空です。その網の範囲を書いてください",
            "`forbidden_upstreams` is empty, so nothing keeps an upstream out of the network of オンライン資格確認; name \
             that network",
        ),
    }
}
