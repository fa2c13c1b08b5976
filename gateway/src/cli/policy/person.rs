//! Who changes the policy: a name that anybody can set, and beside it the login that the system keeps through `sudo` and
//! `su`, with the name of its account, so that one login is one person under whatever name.

use crate::cli::{actor, own_name, spelled};
use crate::failure::Failure;

/// What the kernel says of who logged in, if anybody did.
const LOGIN_FILE: &str = "/proc/self/loginuid";
/// What it says where nobody did.
const NO_LOGIN: u32 = u32::MAX;
/// The accounts of this machine, a line each.
const ACCOUNTS_FILE: &str = "/etc/passwd";

/// Who proposes: `cli:NAME`; `cli:NAME#LOGIN` where the system knows the login, and `cli:NAME#LOGIN=ACCOUNT` where that is
/// an account of this machine.
pub fn proposer() -> String {
    let read = |file| std::fs::read(file).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).ok();
    with_login(actor(), read(LOGIN_FILE).as_deref(), &read(ACCOUNTS_FILE).unwrap_or_default())
}

/// Who approves, in the same form; only under a name of their own.
pub fn approver() -> Result<String, Failure> {
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

fn with_login(actor: String, said: Option<&str>, accounts: &str) -> String {
    match said.and_then(|said| said.trim().parse().ok()) {
        None | Some(NO_LOGIN) => actor,
        Some(login) => match account(login, accounts) {
            Some(account) => format!("{actor}#{login}={}", spelled(account)),
            None => format!("{actor}#{login}"),
        },
    }
}

/// The name of the account with this number; none where several bear it, which could be anybody's of them.
fn account(login: u32, accounts: &str) -> Option<&str> {
    let mut found = accounts.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let (name, number) = (fields.next()?, fields.nth(1)?);
        (number.parse() == Ok(login)).then_some(name)
    });
    match (found.next(), found.next()) {
        (Some(one), None) if !one.is_empty() => Some(one),
        (_, _) => None,
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
        let check = |said| with_login("cli:sato".to_owned(), said, "");
        assert_eq!(check(Some("1001\n")), "cli:sato#1001");
        for unknown in [None, Some("4294967295"), Some(""), Some("x")] {
            assert_eq!(check(unknown), "cli:sato", "{unknown:?}");
        }
        let (one, other) = (check(Some("1001")), with_login("cli:ito".to_owned(), Some("1001"), ""));
        assert!(store::is_one_person(&one, &other));
    }

    #[test]
    fn the_account_of_the_login_stands_beside_a_name_that_anybody_can_set() {
        let accounts = "root:x:0:0::/root:/bin/sh\nsato:x:1001:1001::/:/bin/sh\n\nk.mori@hosp:x:1002:7::/:/bin/sh\n\
                        one:x:1003:1::/:\ntwo:x:1003:1::/:\n:x:1004:1::/:\nhalf:x\n";
        let check = |said| with_login("cli:ito".to_owned(), Some(said), accounts);
        assert_eq!(check("1001\n"), "cli:ito#1001=sato");
        assert_eq!(store::account_logged_in(&check("1001")), None, "another name than the account's");
        assert_eq!(check("1002"), "cli:ito#1002=k.mori%40;hosp");
        for (login, why) in [("1003", "two accounts"), ("1004", "no name"), ("7", "no such account")] {
            assert_eq!(check(login), format!("cli:ito#{login}"), "{why}");
        }
        let own = with_login("cli:sato".to_owned(), Some("1001"), accounts);
        assert_eq!(store::account_logged_in(&own).as_deref(), Some("sato"));
    }
}
