//! How two configurations differ beside the rules. Whoever approves a version must see that it does more than it says:
//! takes the demand for two people away, or a shield from an app.

use std::collections::BTreeMap;

use config::{Activation, App, Config};
use store::Difference;

/// Every difference outside the policy: whether two people are needed and the shields by name, all else by its section.
pub fn difference(before: &Config, after: &Config) -> Vec<Difference> {
    let mut changes = Vec::new();
    if before.activation != after.activation {
        let (ja, en) = match after.activation {
            Activation::OnePerson => ("次の版から一人で有効にできる", "from then on one person is enough"),
            Activation::TwoPeople => ("次の版から二人が必要になる", "from then on it takes two people"),
        };
        changes.push(Difference {
            ja: format!("`activation` が変わった: {ja}"),
            en: format!("`activation` changed: {en}"),
        });
    }
    changes.extend(shields(&before.apps, &after.apps));
    let (before, after) = (sections(before), sections(after));
    let differ = before.iter().zip(&after).filter(|((_, was), (_, now))| was != now).map(|((name, _), _)| *name);
    let mut named: Vec<&str> = differ.collect();
    named.dedup();
    if !named.is_empty() {
        let named = named.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        changes.push(Difference {
            ja: format!("ほかの設定も変わった: {named}"),
            en: format!("other settings changed: {named}"),
        });
    }
    changes
}

fn shields(before: &[App], after: &[App]) -> Vec<Difference> {
    let named = |apps: &[App]| -> BTreeMap<String, config::Shield> {
        apps.iter().filter_map(|app| Some((app.id.to_string(), app.shield.clone()?))).collect()
    };
    let (before, after) = (named(before), named(after));
    let mut names: Vec<&String> = before.keys().chain(after.keys()).collect();
    names.sort();
    names.dedup();
    let told = |name: &String| {
        let (ja, en) = match (before.get(name), after.get(name)) {
            (was, now) if was == now => return None,
            (Some(_), None) => ("がなくなった", "was removed"),
            (None, Some(_)) => ("が加わった", "was added"),
            (Some(_) | None, Some(_) | None) => ("が変わった", "changed"),
        };
        Some(Difference {
            ja: format!("アプリ「{name}」の `[app.shield]` {ja}"),
            en: format!("`[app.shield]` of the app `{name}` {en}"),
        })
    };
    names.into_iter().filter_map(told).collect()
}

/// Everything that is set beside the policy, as it could be written, under its section. Always the same sections.
fn sections(config: &Config) -> Vec<(&'static str, String)> {
    // Named one by one: a setting that is added must be said here too.
    let Config {
        revision: _,
        facility,
        state_dir,
        offset: _,
        public_port,
        store,
        nodes,
        listeners,
        certificates,
        acme,
        login_host,
        portal_host,
        console_host,
        providers,
        directory,
        passkeys,
        outage,
        devices,
        posture_sources,
        console: _,
        forbidden_upstreams,
        apps,
        roles,
        classes,
        rule_sets,
        sessions,
        policy: _,
        loaded: _,
        policy_tests,
        statements,
        shadow,
        audit,
        backup,
        feeds,
        mail,
        notices,
        maintenance,
        break_glass,
        limits,
        operations,
        telemetry,
        activation: _,
        return_when_denials_rise,
        files: _,
        texts: _,
    } = config;
    // Where a statement or a test stands is no setting.
    let tests: Vec<_> = policy_tests.iter().map(|test| (&test.name, &test.expectation)).collect();
    let statements: Vec<_> = statements.iter().map(|one| (&one.id, &one.says, &one.claim)).collect();
    vec![
        ("[facility]", format!("{facility:?}")),
        (
            "[gateway]",
            format!("{:?}", (state_dir, public_port, login_host, portal_host, console_host, forbidden_upstreams)),
        ),
        ("[store]", format!("{store:?}")),
        ("[nodes]", format!("{:?}", nodes.as_ref().map(|nodes| (&nodes.names, nodes.silent_after)))),
        ("[[listener]]", format!("{listeners:?}")),
        ("[[certificate]]", format!("{certificates:?}")),
        ("[acme]", format!("{acme:?}")),
        ("[[provider]]", format!("{providers:?}")),
        ("[directory]", format!("{directory:?}")),
        ("[passkeys]", format!("{passkeys:?}")),
        ("[outage]", format!("{outage:?}")),
        ("[devices]", format!("{devices:?}")),
        ("[[posture_source]]", format!("{posture_sources:?}")),
        ("[[app]]", format!("{:?}", apps.iter().map(bare).collect::<Vec<_>>())),
        ("[roles]", format!("{roles:?}")),
        ("[classes]", format!("{classes:?}")),
        ("[[rule_set]]", format!("{rule_sets:?}")),
        ("[sessions]", format!("{sessions:?}")),
        ("[[test]]", format!("{tests:?}")),
        ("[[statement]]", format!("{statements:?}")),
        ("[policy] shadow", format!("{shadow:?}")),
        ("[audit]", format!("{audit:?}")),
        ("[backup]", format!("{backup:?}")),
        ("[[audit.feed]]", format!("{feeds:?}")),
        ("[maintenance]", format!("{maintenance:?}")),
        ("[break_glass]", format!("{break_glass:?}")),
        ("[mail]", format!("{mail:?}")),
        ("[[notice]]", format!("{notices:?}")),
        ("[limits]", format!("{limits:?}")),
        ("[operations]", format!("{operations:?}")),
        ("[telemetry]", format!("{telemetry:?}")),
        ("[policy] return_when_denials_rise", format!("{return_when_denials_rise:?}")),
    ]
}

/// An app without what is told elsewhere: its shield, and what the policy knows of it.
fn bare(app: &App) -> App {
    App { shield: None, routes: Vec::new(), reads_by_post: Vec::new(), ..app.clone() }
}
