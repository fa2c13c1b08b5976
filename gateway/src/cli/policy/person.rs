//! Who changes the policy: a name that anybody can set, and beside it the login that the system keeps through `sudo` and
//! `su`, so that one login is one person under whatever name.

use crate::cli::{actor, own_name};
use crate::failure::Failure;

/// What the kernel says of who logged in, if anybody did.
const LOGIN_FILE: &str = "/proc/self/loginuid";
/// What it says where nobody did.
const NO_LOGIN: u32 = u32::MAX;

/// Who proposes: `cli:NAME`, or `cli:NAME#LOGIN` where the system knows the login.
pub(super) fn proposer() -> String {
    with_login(actor(), std::fs::read_to_string(LOGIN_FILE).ok().as_deref())
}

/// Who approves, in the same form; only under a name of their own.
pub(super) fn approver() -> Result<String, Failure> {
    let name = own_name();
    if !is_of_one_person(&name) {
        return Err(Failure::no(format!(
            "`{name}` is nobody's own name; log in under your own account, and approve from there (`sudo` tells who came)"
        )));
    }
    Ok(proposer())
}

/// Whether a name can be that of one person: not empty, not that of the machine's keeper, and no bare number.
fn is_of_one_person(name: &str) -> bool {
    let name = name.trim();
    !name.is_empty() && !name.eq_ignore_ascii_case("root") && !name.bytes().all(|byte| byte.is_ascii_digit())
}

fn with_login(actor: String, said: Option<&str>) -> String {
    match said.and_then(|said| said.trim().parse().ok()) {
        None | Some(NO_LOGIN) => actor,
        Some(login) => format!("{actor}#{login}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_approves_as_root_or_without_a_name() {
        for nobody in ["", "  ", "root", "ROOT", "0", "1001"] {
            assert!(!is_of_one_person(nobody), "{nobody:?}");
        }
        for person in ["sato", "佐藤", "s1001"] {
            assert!(is_of_one_person(person), "{person}");
        }
    }

    #[test]
    fn the_login_that_the_system_keeps_stands_beside_the_name() {
        let check = |said| with_login("cli:sato".to_owned(), said);
        assert_eq!(check(Some("1001\n")), "cli:sato#1001");
        for unknown in [None, Some("4294967295"), Some(""), Some("x")] {
            assert_eq!(check(unknown), "cli:sato", "{unknown:?}");
        }
        let (one, other) = (check(Some("1001")), with_login("cli:ito".to_owned(), Some("1001")));
        assert!(store::is_one_person(&one, &other));
    }
}
