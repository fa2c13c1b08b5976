//! Finding commands: what stood on the screen between the end of a prompt and the end of its line when Enter was sent.
//!
//! What the person types is looked at only to know when a line begins and ends, and to find it on the screen where the
//! prompt is not known; it is never kept. So a password, which a target does not show, is never a command. In a program
//! that has the whole screen nothing is a command: its own stands where it was begun.

use std::collections::VecDeque;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::tape::screen::Screen;

/// The longest command that is kept, in characters.
const COMMAND_CHARS_MAX: usize = 1_000;
/// How many lines may have been sent off and not shown yet.
const PENDING_MAX: usize = 200;
/// How long a line may be on its way.
const PENDING_AGE_MAX: Duration = Duration::from_secs(10);
/// How much of a line is remembered while it is typed.
const TYPED_BYTES_MAX: usize = 4 * 1024;
/// The longest sequence that a key sends.
const SEQUENCE_BYTES_MAX: usize = 64;

/// Follows one terminal and finds its commands.
#[derive(Debug)]
pub(crate) struct Commands {
    screen: Screen,
    /// What stood before the cursor when a line was begun to be typed; nothing between lines.
    prompt: Option<String>,
    typed: Zeroizing<Vec<u8>>,
    /// What of an escape sequence came so far.
    sequence: Vec<u8>,
    /// Lines sent off whose end the target has not shown yet.
    pending: VecDeque<Pending>,
    /// The prompt of the last command.
    last_prompt: String,
}

/// A line that was sent off.
#[derive(Debug)]
struct Pending {
    prompt: String,
    typed: Zeroizing<Vec<u8>>,
    at: Duration,
}

impl Commands {
    pub(crate) fn new(columns: u16, rows: u16) -> Self {
        Self {
            screen: Screen::new(columns, rows),
            prompt: None,
            typed: Zeroizing::default(),
            sequence: Vec::new(),
            pending: VecDeque::new(),
            last_prompt: String::new(),
        }
    }

    pub(crate) fn resize(&mut self, columns: u16, rows: u16) {
        self.screen.resize(columns, rows);
    }

    /// Looks at what the person typed.
    pub(crate) fn input(&mut self, at: Duration, bytes: &[u8]) {
        self.screen.now(at);
        for byte in bytes {
            if self.sequence.is_empty() {
                self.key(at, *byte);
            } else {
                self.in_sequence(*byte);
            }
        }
    }

    fn key(&mut self, at: Duration, byte: u8) {
        match byte {
            0x1b => self.sequence.push(byte),
            b'\r' | b'\n' => self.enter(at),
            // Interrupt, end, quit, suspend: what was typed is not sent off.
            0x03 | 0x04 | 0x1a | 0x1c => self.forget_line(),
            // Kill line: the prompt stands.
            0x15 => {
                self.begin_line();
                self.typed.clear();
            }
            0x08 | 0x7f => {
                self.begin_line();
                while self.typed.pop().is_some_and(|last| last & 0xc0 == 0x80) {}
            }
            _ => {
                self.begin_line();
                if byte >= b' ' && self.typed.len() < TYPED_BYTES_MAX {
                    self.typed.push(byte);
                }
            }
        }
    }

    /// A sequence that moves on the line, or brings another there, is typing; what a terminal answers by itself is not.
    fn in_sequence(&mut self, byte: u8) {
        self.sequence.push(byte);
        let is_whole = match self.sequence.get(1) {
            Some(b'[') => self.sequence.len() > 2 && (0x40..=0x7e).contains(&byte),
            Some(b'O') => self.sequence.len() > 2,
            Some(b']' | b'P' | b'_' | b'^') => byte == 0x07 || self.sequence.ends_with(b"\x1b\\"),
            Some(_) | None => true,
        };
        if !is_whole && self.sequence.len() < SEQUENCE_BYTES_MAX {
            return;
        }
        let is_paste = self.sequence.starts_with(b"\x1b[20") && byte == b'~';
        if matches!(byte, b'A'..=b'D' | b'F' | b'H' | b'~') && !is_paste && !self.sequence.starts_with(b"\x1b]") {
            self.begin_line();
        }
        self.sequence.clear();
    }

    fn begin_line(&mut self) {
        if self.prompt.is_none() {
            self.prompt = Some(self.screen.line().0);
        }
    }

    fn forget_line(&mut self) {
        self.prompt = None;
        self.typed.clear();
    }

    fn enter(&mut self, at: Duration) {
        if self.pending.len() >= PENDING_MAX {
            return self.forget_line();
        }
        self.begin_line();
        let prompt = self.prompt.take().unwrap_or_default();
        let typed = std::mem::take(&mut self.typed);
        if !self.screen.is_alternate() {
            self.pending.push_back(Pending { prompt, typed, at });
        }
    }

    /// Follows what the target showed, and gives the commands that were sent off.
    pub(crate) fn output(&mut self, at: Duration, bytes: &[u8]) -> Vec<String> {
        let mut found = Vec::new();
        self.screen.now(at);
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            match piece.strip_suffix(b"\n").filter(|_| !self.pending.is_empty()) {
                Some(line) => {
                    self.screen.feed(line);
                    found.extend(self.line_ends(at));
                    self.screen.feed(b"\n");
                }
                None => self.screen.feed(piece),
            }
        }
        found
    }

    /// The cursor is about to leave its line: whether that is the end of one that was sent off.
    fn line_ends(&mut self, at: Duration) -> Option<String> {
        while self.pending.front().is_some_and(|first| at.saturating_sub(first.at) > PENDING_AGE_MAX) {
            self.pending.pop_front();
        }
        if self.screen.is_alternate() {
            return None;
        }
        let first = self.pending.front()?;
        let (_, line) = self.screen.line();
        let prompts = [first.prompt.as_str(), self.last_prompt.as_str()];
        let prompt =
            prompts.into_iter().find(|prompt| !prompt.trim().is_empty() && line.starts_with(prompt.trim_end()));
        let command = match prompt {
            Some(prompt) => line.get(prompt.trim_end().len()..).unwrap_or_default(),
            // A line that is shown before its prompt, or after one that nobody saw.
            None => {
                let typed = std::str::from_utf8(&first.typed).unwrap_or_default().trim_end();
                if typed.is_empty() || !line.ends_with(typed) {
                    return None;
                }
                line.get(line.len() - typed.len()..).unwrap_or_default()
            }
        };
        let command = bounded(command.trim());
        if let (Some(prompt), false) = (prompt, command.is_empty()) {
            self.last_prompt = prompt.to_owned();
        }
        self.pending.pop_front();
        (!command.is_empty()).then_some(command)
    }
}

fn bounded(text: &str) -> String {
    match text.char_indices().nth(COMMAND_CHARS_MAX) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A terminal and what happens there: `>` typed, `<` shown.
    fn commands(steps: &[(char, &str)]) -> Vec<String> {
        let mut commands = Commands::new(40, 6);
        let mut found = Vec::new();
        for (step, (side, text)) in (0..).zip(steps) {
            let at = Duration::from_secs(step);
            match side {
                '>' => commands.input(at, text.as_bytes()),
                '<' => found.extend(commands.output(at, text.as_bytes())),
                other => panic!("{other}"),
            }
        }
        found
    }

    #[test]
    fn a_command_is_what_stands_after_the_prompt_when_it_is_sent_off() {
        let found = commands(&[
            ('<', "Welcome\r\nuser@pacs:~$ "),
            ('>', "l"),
            ('<', "l"),
            ('>', "s"),
            ('<', "s"),
            ('>', "\r"),
            ('<', "\r\na  b\r\nuser@pacs:~$ "),
            // From the history, and changed in the middle.
            ('>', "\x1b[A"),
            ('<', "cat 患者4711.txt"),
            ('>', "\x1b[D"),
            ('<', "\x08"),
            ('>', "\r"),
            ('<', "\r\n"),
        ]);
        assert_eq!(found, ["ls", "cat 患者4711.txt"]);
    }

    #[test]
    fn a_password_is_no_command() {
        let found = commands(&[
            ('<', "$ "),
            ('>', "sudo id"),
            ('<', "sudo id"),
            ('>', "\r"),
            ('<', "\r\n[sudo] password for y: "),
            ('>', "hunter2"),
            ('>', "\r"),
            ('<', "\r\nuid=0\r\n# "),
        ]);
        assert_eq!(found, ["sudo id"]);
    }

    #[test]
    fn a_password_that_is_pasted_with_its_command_is_none_either() {
        let found = commands(&[
            ('<', "$ "),
            ('>', "sudo id\rhunter2\rls\r"),
            ('<', "sudo id\r\n[sudo] password for y: "),
            ('<', "\r\nuid=0\r\n$ ls\r\n"),
        ]);
        assert_eq!(found, ["sudo id", "ls"]);
    }

    #[test]
    fn lines_that_are_pasted_are_commands_each() {
        let found = commands(&[
            ('<', "db=> "),
            ('>', "\x1b[200~select 1;\rselect 2;\r\x1b[201~"),
            ('<', "select 1;\r\n 1\r\ndb=> select 2;\r\n 2\r\ndb=> "),
        ]);
        assert_eq!(found, ["select 1;", "select 2;"]);
    }

    #[test]
    fn what_is_typed_ahead_is_found_where_it_is_shown_first() {
        let found = commands(&[
            ('<', "$ "),
            ('>', "sleep 9\r"),
            ('<', "sleep 9\r\n"),
            ('>', "ls\r"),
            ('<', "ls\r\n$ ls\r\n$ "),
        ]);
        assert_eq!(found, ["sleep 9", "ls"]);
    }

    #[test]
    fn a_line_that_is_drawn_anew_or_wrapped_or_scrolled_is_found() {
        let long = "echo ".to_owned() + &"0123456789".repeat(6);
        let found = commands(&[
            ('<', "1\r\n2\r\n3\r\n4\r\n5\r\n$ "),
            ('>', &long),
            ('<', &long),
            ('>', "\r"),
            ('<', "\r\n$ "),
            // A list of names to choose from, and the line again.
            ('>', "vi /e\t\t"),
            ('<', "vi /e\r\netc/  export/\r\n$ vi /e"),
            ('>', "tc/hosts\r"),
            ('<', "tc/hosts\r\n"),
        ]);
        assert_eq!(found, [long.as_str(), "vi /etc/hosts"]);
    }

    #[test]
    fn in_a_program_that_has_the_whole_screen_nothing_is_a_command() {
        let found = commands(&[
            ('<', "$ "),
            ('>', "vi x\r"),
            ('<', "vi x\r\n\x1b[?1049h\x1b[H"),
            ('>', "isecret\rtext\r\x1b:wq\r"),
            ('<', "secret\r\ntext\r\n:wq\r\n"),
            ('<', "\x1b[?1049l$ "),
            ('>', "id\r"),
            ('<', "id\r\n"),
        ]);
        assert_eq!(found, ["vi x", "id"]);
    }

    #[test]
    fn what_is_broken_off_or_never_shown_is_no_command() {
        let found = commands(&[
            ('<', "$ "),
            ('>', "rm -rf /"),
            ('<', "rm -rf /"),
            ('>', "\x03"),
            ('<', "^C\r\n$ "),
            ('>', "\r"),
            ('<', "\r\n$ "),
            ('<', "a line of its own\r\n"),
        ]);
        assert_eq!(found, Vec::<String>::new());
    }

    #[test]
    fn a_command_is_bounded_and_so_is_what_waits() {
        let mut commands = Commands::new(1_000, 100);
        commands.output(Duration::ZERO, b"$ ");
        commands.input(Duration::ZERO, "x".repeat(1_000_000).as_bytes());
        commands.output(Duration::ZERO, "x".repeat(5_000).as_bytes());
        commands.input(Duration::ZERO, &b"\r".repeat(100_000));
        assert!(commands.typed.len() <= TYPED_BYTES_MAX && commands.pending.len() <= PENDING_MAX);
        let found = commands.output(Duration::ZERO, b"\r\n");
        assert_eq!(found.iter().map(|command| command.chars().count()).collect::<Vec<_>>(), [COMMAND_CHARS_MAX + 1]);
    }
}
