//! Which providers a sign-in is offered: by listener, by app, and by the domain of the name someone typed.

use config::Provider;
use policy::AppId;

/// Where someone wants to sign in, and for what.
#[derive(Clone, Copy, Debug, Default)]
pub struct Place<'a> {
    /// The name of the listener.
    pub listener: &'a str,
    /// The app that waits; none for the portal.
    pub app: Option<&'a AppId>,
    /// What they typed as their name, such as `n.sato@hospital.example.jp`.
    pub login: Option<&'a str>,
}

/// The providers that a sign-in at this place is offered, in the order of the configuration. One that is not among
/// them must not be used for it either.
///
/// A provider that names listeners or apps is offered there alone. A name with a domain narrows the choice to the
/// providers of that domain; if it is nobody's, to those that name no domain.
#[must_use]
pub fn offered<'a>(providers: &'a [Provider], place: &Place<'_>) -> Vec<&'a Provider> {
    let here: Vec<&Provider> = providers.iter().filter(|provider| is_of(provider, place)).collect();
    let Some(domain) = place.login.and_then(domain) else { return here };
    let own = |provider: &&Provider| provider.domains.iter().any(|own| own.eq_ignore_ascii_case(domain));
    if here.iter().any(own) {
        return here.into_iter().filter(own).collect();
    }
    here.into_iter().filter(|provider| provider.domains.is_empty()).collect()
}

fn is_of(provider: &Provider, place: &Place<'_>) -> bool {
    let listener = provider.listeners.is_empty() || provider.listeners.iter().any(|name| name == place.listener);
    let app = provider.apps.is_empty() || place.app.is_some_and(|app| provider.apps.contains(app));
    listener && app
}

fn domain(login: &str) -> Option<&str> {
    let (_, domain) = login.trim().rsplit_once('@')?;
    Some(domain.trim_end_matches('.')).filter(|domain| !domain.is_empty())
}

#[cfg(test)]
mod tests {
    use policy::ProviderId;

    use super::*;
    use crate::oidc::tests::provider;

    fn providers() -> Vec<Provider> {
        let named = |name: &str| Provider { id: ProviderId::parse(name).unwrap(), ..provider() };
        vec![
            named("hospital"),
            Provider { domains: vec!["partner.example.jp".to_owned()], ..named("partner") },
            Provider {
                listeners: vec!["vendors".to_owned()],
                apps: vec![AppId::parse("pacs").unwrap()],
                domains: vec!["vendor.example".to_owned()],
                ..named("vendor")
            },
        ]
    }

    fn check(listener: &str, app: Option<&str>, login: Option<&str>) -> Vec<String> {
        let app = app.map(|app| AppId::parse(app).unwrap());
        let providers = providers();
        let place = Place { listener, app: app.as_ref(), login };
        offered(&providers, &place).iter().map(|provider| provider.id.to_string()).collect()
    }

    #[test]
    fn a_provider_is_offered_where_it_says() {
        assert_eq!(check("inside", None, None), ["hospital", "partner"]);
        assert_eq!(check("inside", Some("pacs"), None), ["hospital", "partner"]);
        assert_eq!(check("vendors", Some("emr"), None), ["hospital", "partner"]);
        assert_eq!(check("vendors", None, None), ["hospital", "partner"]);
        assert_eq!(check("vendors", Some("pacs"), None), ["hospital", "partner", "vendor"]);
    }

    #[test]
    fn the_domain_of_a_name_chooses() {
        assert_eq!(check("inside", None, Some("a@partner.example.jp")), ["partner"]);
        assert_eq!(check("inside", None, Some(" a@b@Partner.Example.JP. ")), ["partner"]);
        assert_eq!(check("inside", None, Some("a@hospital.example.jp")), ["hospital"], "nobody claims it");
        assert_eq!(check("inside", None, Some("a@vendor.example")), ["hospital"], "not offered here");
        assert_eq!(check("vendors", Some("pacs"), Some("a@vendor.example")), ["vendor"]);
        for plain in ["n.sato", "n.sato@", "@"] {
            assert_eq!(check("inside", None, Some(plain)), ["hospital", "partner"], "{plain}");
        }
    }
}
