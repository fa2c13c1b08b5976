//! The portal: the apps that a person may open from this device now.

use bytes::Bytes;
use config::App;
use http::{Response, StatusCode};
use policy::{Device, Who};

use crate::site::said;
use crate::view::{AppTile, PortalView, show};
use crate::{Language, PageRequest, Site, language};

impl Site {
    /// The apps to show: those meant for the portal that the policy would open.
    pub(crate) fn portal_apps(&self, mut may_open: impl FnMut(&App) -> bool) -> Vec<App> {
        self.config().apps.iter().filter(|app| app.in_portal && may_open(app)).cloned().collect()
    }

    /// Who is signed in and what they may open. Without a session, which the policy does not let through, nothing.
    pub(crate) fn portal(&self, request: &PageRequest, apps: &[App]) -> Response<Bytes> {
        let language = language(&request.headers);
        let voice = self.voice(language);
        let who = request.usable_session().map(|session| session.who.clone());
        let (none, none_do) = match &who {
            Some(who) if who.roles.is_empty() => ("reason-no-role-what", "portal-no-role-do"),
            Some(_) | None => ("portal-none", "portal-none-do"),
        };
        let apps = if who.is_some() { apps } else { &[] };
        let view = PortalView {
            frame: self.frame_of(request),
            name: who.as_ref().map_or(String::new(), |who| who.name.to_string()),
            login: who.as_ref().map_or(String::new(), |who| who.login.to_string()),
            roles: who.as_ref().map_or(String::new(), |who| self.role_names(who, language)),
            device: self.device_name(request.device.as_deref(), language),
            until: who.as_ref().map_or(String::new(), |who| self.clock(who.ends_at, request.at)),
            apps: apps.iter().map(|app| self.tile(app, language)).collect(),
            none: voice.say(none),
            none_do: voice.say(none_do),
            is_shared: self.is_shared(request),
            is_vendors: who.as_ref().is_some_and(|who| self.is_vendors(who)),
        };
        show(StatusCode::OK, &view)
    }

    fn tile(&self, app: &App, language: Language) -> AppTile {
        let name = said(&app.name, language);
        AppTile {
            name: name.to_owned(),
            sign: name.chars().next().map_or(String::new(), |first| first.to_uppercase().to_string()),
            host: app.host.to_string(),
            href: format!("{}{}", self.config().origin(&app.host), app.portal_path),
        }
    }

    fn role_names(&self, who: &Who, language: Language) -> String {
        let name = |role| self.config().roles.get(role).map(|names| said(names, language));
        let names: Vec<&str> = who.roles.iter().map(|role| name(role).unwrap_or(role.as_str())).collect();
        if names.is_empty() { "-".to_owned() } else { names.join(", ") }
    }

    fn device_name(&self, device: Option<&Device>, language: Language) -> String {
        let voice = self.voice(language);
        match device {
            None => voice.say("portal-device-none"),
            Some(device) => format!("{} ({})", device.id, voice.say(&format!("device-{}", device.class.as_str()))),
        }
    }
}
