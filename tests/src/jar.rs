//! Cookies of a person who uses a plain HTTP client as a browser.

use std::collections::BTreeMap;

use crate::Answer;

/// What a browser remembers of each host.
#[derive(Clone, Debug, Default)]
pub struct Jar(BTreeMap<(String, String), String>);

impl Jar {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the cookies that a host sets, and forgets those it clears.
    pub fn take(&mut self, host: &str, answer: &Answer) {
        // All hosts of a hospital are one site, which is what a browser empties (Clear Site Data section 3.1).
        if answer.header("clear-site-data").contains("\"cookies\"") {
            self.0.retain(|(at, _), _| site(at) != site(host));
        }
        for line in answer.all("set-cookie") {
            let (pair, attributes) = line.split_once(';').unwrap_or((line, ""));
            let (name, value) = pair.split_once('=').expect("a cookie has a name and a value");
            let key = (host.to_owned(), name.trim().to_owned());
            if value.is_empty() || attributes.to_ascii_lowercase().contains("max-age=0") {
                self.0.remove(&key);
            } else {
                self.0.insert(key, value.to_owned());
            }
        }
    }

    /// The `Cookie` field for a host; empty when there is nothing to say.
    #[must_use]
    pub fn field(&self, host: &str) -> String {
        let own = self.0.iter().filter(|((at, _), _)| at == host);
        own.map(|((_, name), value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }

    /// The value of a cookie of a host.
    #[must_use]
    pub fn value(&self, host: &str, name: &str) -> Option<&str> {
        self.0.get(&(host.to_owned(), name.to_owned())).map(String::as_str)
    }
}

fn site(host: &str) -> &str {
    let dot = host.rmatch_indices('.').nth(1).map_or(0, |(at, _)| at + 1);
    host.get(dot..).unwrap_or(host)
}
