//! Looks at pages in a real browser as axe-core does, and whether they fit the screen.

use std::path::Path;

use tests::{Answer, Browser, Hospital, Person};
use url::Url;

/// A phone's width; the tablet's is the browser's own.
const PHONE: u32 = 360;
const TABLET: u32 = 768;

const JUDGE: &str = "const done = arguments[arguments.length - 1]; (0, eval)(arguments[0]);\
    for (const one of document.querySelectorAll('details')) one.open = true;\
    axe.run(document, { resultTypes: ['violations'] }).then((all) => done(all.violations.map((one) =>\
    [one.id, one.nodes.slice(0, 3).map((node) => node.html.slice(0, 200))])), (error) => done([String(error)]));";

/// Puts a page into the window as it was answered, without the script that would go on from it.
const SHOW: &str = "const done = arguments[arguments.length - 1];\
    const page = arguments[0].replace(/<script[^>]*><\\/script>/g, '');\
    document.open(); window.addEventListener('load', () => done(true)); document.write(page); document.close();";

/// Text that stands in a column of a letter or two, because it is in the wrong place.
const SQUEEZED: &str = "return Array.from(document.querySelectorAll('main *')).filter((one) => {\
    const own = Array.from(one.childNodes, (node) => node.nodeType === 3 ? node.data.trim() : '').join('');\
    const width = one.getBoundingClientRect().width;\
    return own.length > 7 && width > 1 && width < 2.5 * parseFloat(getComputedStyle(one).fontSize);\
    }).map((one) => one.outerHTML.slice(0, 200))";

/// What two pages of ours that share an address are told apart by.
type Css<'a> = &'a str;

/// One browser, and what is wrong with the pages that it showed.
pub struct Gallery {
    pub browser: Browser,
    axe: String,
    problems: Vec<String>,
}

impl Gallery {
    pub fn of(browser: Browser) -> Self {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("axe/node_modules/axe-core/axe.min.js");
        let axe = std::fs::read_to_string(file).expect("run `npm ci` in tests/axe first");
        Self { browser, axe, problems: Vec::new() }
    }

    /// Goes to a page, which must be there and not lead on, and judges it.
    pub async fn visit(&mut self, url: &str) {
        self.browser.go(url).await;
        let here = self.browser.url().await;
        assert_eq!(here, url, "the page is there for who asks");
        self.judge(&here).await;
    }

    /// Judges the page that shows this.
    pub async fn look(&mut self, css: Css<'_>) {
        self.browser.find(css).await;
        let here = self.browser.url().await;
        self.judge(&format!("{here} ({css})")).await;
    }

    /// Judges a page that a browser would not stay on. It is shown at the address of another page of ours.
    pub async fn show(&mut self, name: &str, page: &Answer) {
        assert!(page.header("content-type").starts_with("text/html"), "{name}: {} {:?}", page.status, page.headers);
        self.browser.later(SHOW, &page.text()).await;
        self.judge(name).await;
    }

    /// Where the links lead that fit.
    pub async fn links(&self, css: Css<'_>) -> Vec<String> {
        let script = format!("return Array.from(document.querySelectorAll(\"{css}\"), (a) => a.href)");
        let found = self.browser.script(&script).await;
        found.as_array().into_iter().flatten().filter_map(|one| one.as_str().map(str::to_owned)).collect()
    }

    /// Goes to the first of the links that fit and judges the page there.
    pub async fn follow(&mut self, css: Css<'_>) {
        let first = self.links(css).await.into_iter().next();
        self.visit(&first.unwrap_or_else(|| panic!("no {css} on the page"))).await;
    }

    async fn judge(&mut self, name: &str) {
        for width in [TABLET, PHONE] {
            self.browser.narrow_to(width).await;
            let found = self.browser.later(JUDGE, &self.axe).await;
            if found.as_array().is_none_or(|found| !found.is_empty()) {
                self.problems.push(format!("{name} at {width}: {found}"));
            }
            let squeezed = self.browser.script(SQUEEZED).await;
            if squeezed.as_array().is_none_or(|squeezed| !squeezed.is_empty()) {
                self.problems.push(format!("{name} at {width}: squeezed {squeezed}"));
            }
            let wide = self.browser.script("return document.documentElement.scrollWidth").await;
            if wide.as_u64().is_none_or(|wide| wide > u64::from(width)) {
                self.problems.push(format!("{name} at {width}: {wide} wide"));
            }
        }
        self.browser.as_tablet().await;
    }

    /// Nothing was wrong.
    pub fn close(self) {
        assert!(self.problems.is_empty(), "{}", self.problems.join("\n"));
    }
}

/// Has the pages of these hosts speak a language to somebody without a browser.
pub async fn speak(hospital: &Hospital, person: &mut Person, hosts: &[&str], language: &str) {
    for host in hosts {
        let url = Url::parse(&hospital.url(host, "/.sekimori/language")).unwrap();
        person.post(&url, &hospital.url(host, ""), &[("language", language)]).await.expect(303);
    }
}
