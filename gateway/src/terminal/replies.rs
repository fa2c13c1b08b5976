//! What a terminal answers by itself: a program asks where the cursor is, or which terminal this is, and the page answers as
//! if somebody typed. Nobody sits there for that.

const ESCAPE: u8 = 0x1b;
const BELL: u8 = 0x07;

/// Whether a person did any of this. Answers stand whole in what a page sends at once.
pub fn is_by_a_person(mut typed: &[u8]) -> bool {
    while !typed.is_empty() {
        let Some(rest) = after_reply(typed) else { return true };
        typed = rest;
    }
    false
}

/// What follows the reply that this begins with; nothing where it begins with something else.
fn after_reply(typed: &[u8]) -> Option<&[u8]> {
    let rest = typed.strip_prefix(&[ESCAPE])?;
    match rest.split_first()? {
        (b'[', rest) => {
            let end = rest.iter().position(|byte| !(0x20..=0x3f).contains(byte))?;
            // Where the cursor is, which terminal, how it is, which modes, how large, whether it has the focus.
            let is_reply = rest.get(end).is_some_and(|last| b"RcnytIO".contains(last));
            rest.get(end + 1..).filter(|_| is_reply)
        }
        // Colours, settings, names: up to the end of the string.
        (b']' | b'P' | b'_' | b'^', rest) => {
            let end = rest.iter().position(|byte| matches!(*byte, BELL | ESCAPE))?;
            match rest.get(end..)? {
                [BELL, rest @ ..] | [ESCAPE, b'\\', rest @ ..] => Some(rest),
                _ => None,
            }
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_answers_by_itself_is_nobodys_doing() {
        for reply in [
            "\x1b[24;80R",
            "\x1b[?1;2c",
            "\x1b[>0;276;0c",
            "\x1b[0n",
            "\x1b[?2026;2$y",
            "\x1b[8;24;80t",
            "\x1b[I",
            "\x1b[O",
            "\x1b]11;rgb:0b0b/1111/1414\x1b\\",
            "\x1b]4;1;rgb:ffff/0000/0000\x07",
            "\x1bP1$r0m\x1b\\",
            "\x1bP>|xterm.js(5.5.0)\x1b\\\x1b[1;1R",
        ] {
            assert!(!is_by_a_person(reply.as_bytes()), "{reply:?}");
        }
        for typed in [
            "l",
            "\r",
            "\x1b",
            "\x1b[A",
            "\x1bOP",
            "\x1b[15~",
            "\x1b[200~pasted\x1b[201~",
            "\x1b[<0;10;5M",
            "\x1b[1;1Rq",
            "q\x1b[1;1R",
            "\x1b[1;",
            "\x1b]11;rgb",
            "\x1b]11;\x1bx",
            "\x1bx",
            "患",
        ] {
            assert!(is_by_a_person(typed.as_bytes()), "{typed:?}");
        }
        assert!(!is_by_a_person(b""));
    }
}
