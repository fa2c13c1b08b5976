//! The patient whom a question is about, spelled as the log spells them, however the number was typed.

use config::Config;

use crate::cli::out;
use crate::failure::Failure;

/// Takes a number as it was typed; says so where it is searched in another spelling. Without a configuration nobody knows
/// to how many digits numbers are filled up.
pub(super) fn as_in_the_log(
    typed: Option<&str>,
    app: Option<&str>,
    config: Option<&Config>,
) -> Result<Option<String>, Failure> {
    let Some(typed) = typed else { return Ok(None) };
    let id = patient::normalised(typed, config.map_or(0, |config| pad(config, app)))
        .ok_or_else(|| Failure::input("a patient's number is empty, too long, or has control characters in it"))?;
    if *id != *typed {
        out::complain(&format!("the patient is searched as `{id}`"));
    }
    Ok(Some(id.into()))
}

/// To how many digits the apps, or the one that is asked for, fill up numbers.
fn pad(config: &Config, app: Option<&str>) -> usize {
    patient::common_pad(config.policy.apps.iter().filter(|one| app.is_none_or(|app| one.id.as_str() == app)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_was_typed_in_full_width_is_found_and_none_is_refused() {
        assert_eq!(as_in_the_log(Some(" ０００１２３４５ "), None, None).unwrap().as_deref(), Some("00012345"));
        assert_eq!(as_in_the_log(None, None, None).unwrap(), None);
        assert!(as_in_the_log(Some("  "), None, None).is_err());
    }
}
