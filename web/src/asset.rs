//! Style sheet, picture and script, compiled in. Their paths carry a digest of what they hold, so that browsers may keep
//! them for ever and still never show an old one.

use bytes::Bytes;

const STYLE: &str = concat!(
    include_str!("../assets/tokens.css"),
    include_str!("../assets/base.css"),
    include_str!("../assets/console.css"),
    include_str!("../assets/chart.css"),
    include_str!("../assets/terminal.css"),
    include_str!("../assets/recording.css")
);
const LOGO: &str = include_str!("../assets/logo.svg");
const SCRIPT: &str = include_str!("../assets/passkey.js");
const RECORDING: &str = include_str!("../assets/recording.js");
const TERMINAL: &str = include_str!("../assets/terminal.js");
/// The terminal, after what lets it style itself under our content security policy.
const XTERM: &str = concat!(include_str!("../assets/terminal-styles.js"), include_str!("../assets/xterm/xterm.js"));
const XTERM_STYLE: &str = include_str!("../assets/xterm/xterm.css");
/// What tells one version of it from another: all of it is too long to be digested while compiling.
const XTERM_VERSION: &str = concat!("xterm.js 6.0.0 ", include_str!("../assets/terminal-styles.js"));

const STYLE_PATH: [u8; 37] = path(*b"/.sekimori/style-****************.css", STYLE);
const LOGO_PATH: [u8; 37] = path(*b"/.sekimori/logo--****************.svg", LOGO);
const SCRIPT_PATH: [u8; 37] = path(*b"/.sekimori/script-****************.js", SCRIPT);
const RECORDING_PATH: [u8; 37] = path(*b"/.sekimori/player-****************.js", RECORDING);
const TERMINAL_PATH: [u8; 37] = path(*b"/.sekimori/termnl-****************.js", TERMINAL);
const XTERM_PATH: [u8; 37] = path(*b"/.sekimori/xterm--****************.js", XTERM_VERSION);
const XTERM_STYLE_PATH: [u8; 37] = path(*b"/.sekimori/xterm-****************.css", XTERM_STYLE);

/// A file that pages refer to.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Asset {
    /// The style sheet: tokens, then everything else.
    Style,
    /// The checkpoint gate.
    Logo,
    /// What asks the browser for passkeys; only on pages that need one.
    Script,
    /// The terminal (xterm.js), on the pages that show one.
    Xterm,
    /// Its style sheet.
    XtermStyle,
    /// What carries a terminal's session, and files to its server.
    Terminal,
    /// What plays the recording of a terminal.
    Recording,
}

impl Asset {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Style, Self::Logo, Self::Script, Self::Xterm, Self::XtermStyle, Self::Terminal, Self::Recording];

    /// Where it is served, on every host.
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Self::Style => text(&STYLE_PATH),
            Self::Logo => text(&LOGO_PATH),
            Self::Script => text(&SCRIPT_PATH),
            Self::Xterm => text(&XTERM_PATH),
            Self::XtermStyle => text(&XTERM_STYLE_PATH),
            Self::Terminal => text(&TERMINAL_PATH),
            Self::Recording => text(&RECORDING_PATH),
        }
    }

    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::Style | Self::XtermStyle => "text/css; charset=utf-8",
            Self::Logo => "image/svg+xml",
            Self::Script | Self::Xterm | Self::Terminal | Self::Recording => "text/javascript; charset=utf-8",
        }
    }

    pub(crate) fn bytes(self) -> Bytes {
        match self {
            Self::Style => Bytes::from_static(STYLE.as_bytes()),
            Self::Logo => Bytes::from_static(LOGO.as_bytes()),
            Self::Script => Bytes::from_static(SCRIPT.as_bytes()),
            Self::Xterm => Bytes::from_static(XTERM.as_bytes()),
            Self::XtermStyle => Bytes::from_static(XTERM_STYLE.as_bytes()),
            Self::Terminal => Bytes::from_static(TERMINAL.as_bytes()),
            Self::Recording => Bytes::from_static(RECORDING.as_bytes()),
        }
    }
}

/// Puts a digest of the content (FNV-1a) in place of the stars. It tells versions apart; it protects nothing.
#[expect(clippy::indexing_slicing, reason = "evaluated while compiling, where an index out of bounds is an error")]
const fn path(mut pattern: [u8; 37], content: &str) -> [u8; 37] {
    let content = content.as_bytes();
    let mut digest: u64 = 0xcbf2_9ce4_8422_2325;
    let mut at = 0;
    while at < content.len() {
        digest = (digest ^ content[at] as u64).wrapping_mul(0x0100_0000_01b3);
        at += 1;
    }
    let mut star = 0;
    while star < pattern.len() {
        if pattern[star] == b'*' {
            pattern[star] = b"0123456789abcdef"[(digest >> 60) as usize];
            digest <<= 4;
        }
        star += 1;
    }
    pattern
}

const fn text(bytes: &'static [u8]) -> &'static str {
    match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(_) => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_the_content() {
        for asset in Asset::ALL {
            let path = policy::Path::parse(asset.path()).unwrap();
            assert!(crate::is_reserved(&path) && !asset.path().contains('*'), "{path}");
        }
        assert_ne!(path(STYLE_PATH, "a"), path(*b"/.sekimori/style-****************.css", "b"));
    }

    #[test]
    fn the_style_sheet_refers_to_nothing_outside() {
        for word in ["url(", "@import", "http:", "https:", "//"] {
            assert!(!STYLE.contains(word), "{word}");
        }
        assert!(!LOGO.contains("<script") && !LOGO.contains("href") && !LOGO.contains("style="));
    }

    #[test]
    fn our_scripts_write_no_html_and_load_nothing() {
        for word in
            ["innerHTML", "outerHTML", "insertAdjacent", "document.write", "eval(", "import(", "http:", "https:"]
        {
            for script in [SCRIPT, TERMINAL, RECORDING, XTERM_VERSION] {
                assert!(!script.contains(word), "{word}");
            }
        }
    }

    #[test]
    fn the_terminal_is_of_the_version_that_its_path_is_made_from() {
        let lock = include_str!("../../tests/xterm/package-lock.json");
        let version = lock.split("node_modules/@xterm/xterm").nth(1).unwrap().split('"').nth(4).unwrap();
        assert!(XTERM_VERSION.starts_with(&format!("xterm.js {version} ")), "{version}");
        assert!(XTERM.contains("e.Terminal=") && !XTERM.contains("eval("));
    }

    /// Relative luminance (WCAG 2.2).
    fn luminance(colour: &str) -> f64 {
        let part = |at: usize| {
            let value = f64::from(u8::from_str_radix(&colour[at..at + 2], 16).unwrap()) / 255.0;
            if value <= 0.040_45 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * part(1) + 0.7152 * part(3) + 0.0722 * part(5)
    }

    #[test]
    fn text_stands_out_from_its_ground_by_day_and_by_night() {
        let (day, night) = STYLE.split_once("@media (prefers-color-scheme: dark)").unwrap();
        for scheme in [day, night] {
            let colour = |name: &str| scheme.split(&format!("--{name}: ")).nth(1).unwrap().split(';').next().unwrap();
            let check = |text: &str, ground: &str, least: f64| {
                let (a, b) = (luminance(colour(text)), luminance(colour(ground)));
                let contrast = (a.max(b) + 0.05) / (a.min(b) + 0.05);
                assert!(contrast >= least, "{text} on {ground}: {contrast:.2}");
            };
            for ground in ["ground", "surface", "raised"] {
                check("ink", ground, 7.0);
                check("ink-soft", ground, 4.5);
                check("accent", ground, 4.5);
                check("edge", ground, 3.0);
                check("focus", ground, 3.0);
            }
            for tone in ["stop", "wait", "done"] {
                check(tone, "surface", 4.5);
                check(tone, &format!("{tone}-soft"), 4.5);
                check("ink", &format!("{tone}-soft"), 7.0);
            }
            check("on-accent", "accent", 4.5);
            check("on-accent", "accent-strong", 4.5);
            check("accent-strong", "accent-soft", 4.5);
            check("accent", "accent-soft", 4.5);
            check("ink", "accent-soft", 7.0);
        }
    }
}
