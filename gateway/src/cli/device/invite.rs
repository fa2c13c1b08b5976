//! `device invite`: a one-time code; the device makes or fetches its key by itself.

use std::time::Duration;

use serde_json::json;

use super::add::About;
use super::{device_class, device_id, unavailable};
use crate::cli::user::{Directory, failure};
use crate::cli::{ConfigArg, Format, actor, block_on, out, span};
use crate::clock;
use crate::failure::Failure;

/// What `device invite` takes.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Its name in the ledger; it is added where the ledger does not know it.
    id: String,
    /// Its class; needed for a device that is new: fixed, ward-shared, tablet, dedicated-remote, byod, vendor or machine.
    #[arg(long)]
    class: Option<String>,
    #[command(flatten)]
    about: About,
    /// Why, such as `新規導入` or `証明書の期限切れ`.
    #[arg(long, default_value = "")]
    reason: String,
    /// How long the code is good.
    #[arg(long, value_parser = span::parse, default_value = "1h")]
    valid: Duration,
    #[command(flatten)]
    config: ConfigArg,
    /// How to write.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Adds the device where it is new, and makes the code.
pub fn run(args: &Args) -> Result<(), Failure> {
    let id = device_id(&args.id)?;
    let directory = Directory::open(&args.config)?;
    let at = clock::now();
    let made = block_on(async {
        let known = directory.store.device(&id).await.map_err(unavailable)?;
        match (&known, &args.class) {
            (None, None) => {
                return Err(Failure::input(format!("device `{id}` is new; say what it is with --class")));
            }
            (Some(device), Some(class)) if device.class != device_class(class)? => {
                return Err(Failure::input(format!(
                    "device `{id}` is in the ledger as {}; change it with `sekimori device change {id} --class {class}`",
                    device.class.as_str()
                )));
            }
            (Some(_), Some(_) | None) => {}
            (None, Some(class)) => {
                let record = args.about.record(id.clone(), device_class(class)?, at);
                directory.store.add_device(record, actor()).await.map_err(unavailable)?;
            }
        }
        let made = directory.people.invite_device(&id, args.valid, &args.reason, &actor(), at).await;
        made.map_err(failure)
    })?;
    let config = &directory.config;
    let page = format!("{}/device", config.origin(&config.login_host));
    let (code, until) = (made.code.expose(), made.expires_at);
    match args.format {
        Format::Json => out::say(
            &json!({
                "invitation": made.id.to_string(),
                "device": id.as_str(),
                "code": code,
                "link": format!("{page}#{code}"),
                "est": format!("{}/.well-known/est", config.origin(&config.login_host)),
                "expires_at": until.to_string(),
            })
            .to_string(),
        ),
        Format::Text => out::say(&format!(
            "invitation for device {id}, good until {until}; shown only now:\n  {page}#{code}\n  code {code}\n\
             by EST: user {id}, password the code, at {origin}/.well-known/est\n\
             端末 {id} への招待です（{until} まで、今だけ表示）。その端末で上のリンクを開くか、{page} でコードを入力します。",
            until = until.rfc3339(config.offset),
            origin = config.origin(&config.login_host),
        )),
    }
    Ok(())
}
