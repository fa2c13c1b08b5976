//! The keys that all nodes of a group share: made once, and laid into each node's state before it starts the first time.
//!
//! An orchestrator keeps them as one secret of three files. A node that made keys of its own would refuse the devices of
//! the others, so one that has other keys is told so instead of started.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use certs::DeviceCa;
use identity::Assertions;
use policy::Timestamp;
use zeroize::Zeroizing;

use super::make_folder;
use crate::assembly::device_ca_dir;
use crate::failure::Failure;

const ASSERTION_KEY: &str = "assertion-key.pem";
const DEVICE_CA: &str = "device-ca.pem";
const DEVICE_CA_OPENER: &str = "device-ca.kek";
/// Where the public part of the device CA's file begins; its key before that may be sealed otherwise on each node.
const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----";

/// Makes the keys in a folder, as a state directory has them; those that are there stay.
pub fn make(folder: &Path, facility: &str, at: Timestamp) -> Result<Vec<PathBuf>, Failure> {
    make_folder(folder)?;
    DeviceCa::open_or_create(&device_ca_dir(folder), facility, at)
        .map_err(|problem| Failure::unavailable(problem.to_string()))?;
    Assertions::open_or_create(folder, "").map_err(|problem| Failure::unavailable(problem.to_string()))?;
    Ok(places(folder).map(|(_, file)| file).into())
}

/// Lays the keys of a folder, three files side by side, into a node's state.
pub fn take(from: &Path, state_dir: &Path) -> Result<(), Failure> {
    make_folder(state_dir)?;
    // What opens the CA before the CA itself: a node that was cut short in between goes on from there.
    for (name, file) in places(state_dir) {
        let given = from.join(name);
        let bytes = read(&given)?.ok_or_else(|| {
            Failure::input(format!(
                "{}: is not there; `sekimori init node-keys` makes the keys that nodes share, once for all of them",
                given.display()
            ))
        })?;
        match read(&file)? {
            None => {
                write(&file, &bytes).map_err(|error| Failure::unavailable(format!("{}: {error}", file.display())))?
            }
            Some(own) if name == DEVICE_CA && certificate(&own) == certificate(&bytes) => {}
            Some(own) if own == bytes => {}
            Some(_) => {
                return Err(Failure::input(format!(
                    "{}: is not the one in {}; nodes with keys of their own refuse each other's devices: give this node \
                     the keys of the others, or an empty state",
                    file.display(),
                    from.display()
                )));
            }
        }
    }
    Ok(())
}

/// Each file's name beside the others, and where a state directory has it.
fn places(state_dir: &Path) -> [(&'static str, PathBuf); 3] {
    [
        (ASSERTION_KEY, state_dir.join(ASSERTION_KEY)),
        (DEVICE_CA_OPENER, state_dir.join("secrets").join(DEVICE_CA_OPENER)),
        (DEVICE_CA, device_ca_dir(state_dir).join(DEVICE_CA)),
    ]
}

/// What a file holds, or nothing where it is not there.
fn read(file: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, Failure> {
    match fs::read(file) {
        Ok(bytes) => Ok(Some(Zeroizing::new(bytes))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::unavailable(format!("{}: {error}", file.display()))),
    }
}

/// The public part of the device CA's file; all of it where there is none.
fn certificate(bytes: &[u8]) -> &[u8] {
    let begin = bytes.windows(CERTIFICATE.len()).position(|window| window == CERTIFICATE.as_bytes());
    begin.and_then(|begin| bytes.get(begin..)).unwrap_or(bytes).trim_ascii()
}

/// Writes a file that only its owner may read, whole or not at all.
fn write(file: &Path, bytes: &[u8]) -> io::Result<()> {
    let Some(folder) = file.parent() else { return Err(ErrorKind::InvalidInput.into()) };
    make_folder(folder).map_err(io::Error::other)?;
    let draft = file.with_extension("new");
    let mut written = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    written.write_all(bytes)?;
    written.sync_all()?;
    fs::rename(&draft, file)?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    struct Folder(PathBuf);

    impl Drop for Folder {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).ok();
        }
    }

    fn folder() -> Folder {
        let name = format!("sekimori-shared-{}-{}", std::process::id(), crate::clock::random_u64().unwrap());
        let folder = Folder(std::env::temp_dir().join(name));
        fs::create_dir(&folder.0).unwrap();
        folder
    }

    /// Keys of a group, as an orchestrator hands them out: three files side by side.
    fn secret(of: &Folder, name: &str) -> PathBuf {
        let flat = of.0.join(name);
        fs::create_dir(&flat).unwrap();
        for file in make(&of.0.join(format!("{name}-made")), "みなと病院", crate::clock::now()).unwrap() {
            fs::copy(&file, flat.join(file.file_name().unwrap())).unwrap();
        }
        flat
    }

    #[test]
    fn nodes_that_take_the_same_keys_sign_and_know_devices_alike() {
        let all = folder();
        let from = secret(&all, "keys");
        let [one, other] = ["gw-0", "gw-1"].map(|name| all.0.join(name));
        for state in [&one, &other, &one] {
            take(&from, state).unwrap();
        }
        for (name, file) in places(&one) {
            assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600, "{name}");
        }
        let jwks = |state: &Path| Assertions::open_or_create(state, "").unwrap().jwks().to_owned();
        assert_eq!(jwks(&one), jwks(&other));
        let ca = |state: &Path| {
            let ca = DeviceCa::open_or_create(&device_ca_dir(state), "みなと病院", crate::clock::now()).unwrap();
            ca.certificate_pem().to_owned()
        };
        assert_eq!(ca(&one), ca(&other));
    }

    #[test]
    fn a_node_with_keys_of_its_own_and_a_secret_that_lacks_one_are_refused() {
        let all = folder();
        let (ours, theirs) = (secret(&all, "ours"), secret(&all, "theirs"));
        let state = all.0.join("gw-0");
        take(&ours, &state).unwrap();
        let said = take(&theirs, &state).unwrap_err().to_string();
        assert!(said.contains("assertion-key.pem: is not the one in"), "{said}");
        fs::copy(ours.join(ASSERTION_KEY), theirs.join(ASSERTION_KEY)).unwrap();
        fs::copy(ours.join(DEVICE_CA_OPENER), theirs.join(DEVICE_CA_OPENER)).unwrap();
        let said = take(&theirs, &state).unwrap_err().to_string();
        assert!(said.contains("device-ca.pem: is not the one in"), "{said}");
        fs::remove_file(ours.join(DEVICE_CA)).unwrap();
        let said = take(&ours, &all.0.join("gw-1")).unwrap_err().to_string();
        assert!(said.contains("node-keys"), "{said}");
    }
}
