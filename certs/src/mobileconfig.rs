//! Configuration profiles (`.mobileconfig`) for iPad, iPhone and Mac: the device's identity as one file that the system
//! itself installs. The profile does not hold the PKCS#12 password; the system asks for it.

use policy::{DeviceId, Host};
use rustls::pki_types::CertificateDer;

use crate::der::sha256;
use crate::{CertProblem, IssuedDevice, pem, pkcs12_for_older_systems};

/// The content type of a profile.
pub const MOBILECONFIG_TYPE: &str = "application/x-apple-aspen-config";

/// What a profile is made from.
#[derive(Clone, Copy, Debug)]
pub struct Profile<'a> {
    /// The device.
    pub device: &'a DeviceId,
    /// Its certificate and key.
    pub issued: &'a IssuedDevice,
    /// The device CA's certificate, as PEM.
    pub ca_pem: &'a str,
    /// The institution, as the system shows it before installing.
    pub organization: &'a str,
    /// The gateway's login host; profiles of the same host and device replace each other.
    pub host: &'a Host,
    /// Opens the key; the system asks the person for it.
    pub password: &'a str,
    /// CAs of the gateway's own server certificates that the device should trust; none where a public CA signed them.
    pub server_cas: &'a [CertificateDer<'a>],
}

/// Writes a profile: a property list in XML, with the identity as PKCS#12 in the form that every release reads.
///
/// # Errors
/// As for [`pkcs12_for_older_systems`].
pub fn mobileconfig(profile: &Profile<'_>) -> Result<Vec<u8>, CertProblem> {
    let p12 = pkcs12_for_older_systems(profile.issued, profile.ca_pem, profile.device.as_str(), profile.password)?;
    // The host's labels turned around, as such identifiers are written, keep institutions apart.
    let labels: Vec<&str> = profile.host.as_str().rsplit('.').collect();
    let identifier = format!("{}.sekimori.device.{}", labels.join("."), profile.device);
    let identity = Payload {
        kind: "com.apple.security.pkcs12",
        identifier: format!("{identifier}.identity"),
        name: format!("Sekimori {}", profile.device),
        file: format!("{}.p12", profile.device),
        content: &p12,
        // Only the Mac reads this; there a key could be taken out again otherwise.
        more: "\t\t\t<key>KeyIsExtractable</key>\n\t\t\t<false/>\n",
    };
    let mut payloads = identity.written();
    for (place, ca) in profile.server_cas.iter().enumerate() {
        let root = Payload {
            kind: "com.apple.security.root",
            identifier: format!("{identifier}.ca.{place}"),
            name: "Sekimori server CA".to_owned(),
            file: format!("server-ca-{place}.cer"),
            content: ca,
            more: "",
        };
        payloads.push_str(&root.written());
    }
    let head = head(
        "Configuration",
        &identifier,
        &format!("Sekimori {}", profile.device),
        *profile.issued.fingerprint.as_bytes(),
    );
    let text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n\
         <plist version=\"1.0\">\n<dict>\n\t<key>PayloadContent</key>\n\t<array>\n{payloads}\t</array>\n\
         {head}\t<key>PayloadOrganization</key>\n\t<string>{organization}</string>\n</dict>\n</plist>\n",
        organization = escaped(profile.organization),
    );
    Ok(text.into_bytes())
}

struct Payload<'a> {
    kind: &'static str,
    identifier: String,
    name: String,
    file: String,
    content: &'a [u8],
    more: &'static str,
}

impl Payload<'_> {
    fn written(&self) -> String {
        let head = head(self.kind, &self.identifier, &self.name, sha256(self.content)).replace('\t', "\t\t\t");
        format!(
            "\t\t<dict>\n{head}\t\t\t<key>PayloadCertificateFileName</key>\n\t\t\t<string>{file}</string>\n\
             \t\t\t<key>PayloadContent</key>\n\t\t\t<data>\n{content}\t\t\t</data>\n{more}\t\t</dict>\n",
            file = escaped(&self.file),
            content = pem::lines(self.content, "\n"),
            more = self.more,
        )
    }
}

/// What every payload begins with.
fn head(kind: &str, identifier: &str, name: &str, digest: [u8; 32]) -> String {
    let text = |key: &str, value: &str| format!("\t<key>{key}</key>\n\t<string>{}</string>\n", escaped(value));
    [
        text("PayloadDisplayName", name),
        text("PayloadIdentifier", identifier),
        text("PayloadType", kind),
        text("PayloadUUID", &uuid(digest)),
        "\t<key>PayloadVersion</key>\n\t<integer>1</integer>\n".to_owned(),
    ]
    .concat()
}

/// A UUID made from a digest (RFC 9562 section 5.8), so that the same content has the same one.
fn uuid(digest: [u8; 32]) -> String {
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, ..] = digest;
    let number = u128::from_be_bytes([a, b, c, d, e, f, g & 0x0f | 0x80, h, i & 0x3f | 0x80, j, k, l, m, n, o, p]);
    let digits = format!("{number:032X}");
    let mut text = String::with_capacity(36);
    for (place, digit) in digits.chars().enumerate() {
        if matches!(place, 8 | 12 | 16 | 20) {
            text.push('-');
        }
        text.push(digit);
    }
    text
}

/// Text as XML holds it; what XML 1.0 cannot hold is left out.
fn escaped(text: &str) -> String {
    let mut written = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => written.push_str("&amp;"),
            '<' => written.push_str("&lt;"),
            '>' => written.push_str("&gt;"),
            '\u{fffe}' | '\u{ffff}' => {}
            control if control.is_control() => written.push(' '),
            other => written.push(other),
        }
    }
    written
}

#[cfg(test)]
mod tests;
