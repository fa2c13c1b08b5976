//! The bodies of EST messages (RFC 7030, clarified by RFC 8951): PKCS#10 in, certificates alone in PKCS#7 out, both in
//! base64. Who may ask, and over which connection, is the business of whoever serves them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::CertificateDer;

use crate::{DeviceCertificate, DeviceRequest, RequestProblem, asn1, pem};

/// The content type of an enrolment request.
pub const REQUEST_TYPE: &str = "application/pkcs10";
/// The content type of `cacerts` and of the answer to an enrolment.
pub const ANSWER_TYPE: &str = "application/pkcs7-mime; smime-type=certs-only";
/// The value of `Content-Transfer-Encoding` in answers; RFC 8951 lets clients ignore it, older ones want it.
pub const TRANSFER_ENCODING: &str = "base64";
/// The longest body of a request that is read: the longest request in base64, with line breaks.
pub const BODY_BYTES_MAX: usize = 2 * crate::REQUEST_BYTES_MAX;

/// How lines of base64 end (RFC 2045); some clients read line by line.
const LINE_END: &str = "\r\n";
/// `1.2.840.113549.1.7.2`, a signed message; with nobody signing it is a bag of certificates (RFC 5272 section 4.1).
const SIGNED_DATA: [u8; 9] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02];
/// `1.2.840.113549.1.7.1`, content that is not there.
const DATA: [u8; 9] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01];

/// Reads the body of `simpleenroll` or `simplereenroll`.
///
/// # Errors
/// [`RequestProblem`], for an answer of 400.
pub fn read_request(body: &[u8]) -> Result<DeviceRequest, RequestProblem> {
    if body.len() > BODY_BYTES_MAX {
        return Err(RequestProblem::TooLong);
    }
    let characters: Vec<u8> = body.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let der = STANDARD.decode(characters).map_err(|_| RequestProblem::NotBase64)?;
    DeviceRequest::read(&der)
}

/// Writes the body of the answer to `cacerts`: the device CA and what stands above it.
#[must_use]
pub fn ca_certificates(chain: &[CertificateDer<'_>]) -> String {
    pem::lines(&certificates_only(chain), LINE_END)
}

/// Writes the body of the answer to an enrolment: the certificate that was made, and nothing else.
#[must_use]
pub fn enrolled(certificate: &DeviceCertificate) -> String {
    pem::lines(&certificates_only(std::slice::from_ref(&certificate.der)), LINE_END)
}

/// Certificates as PKCS#7 in DER, signed by nobody (RFC 2315; CMS, RFC 5652 section 5.1).
#[must_use]
pub fn certificates_only(certificates: &[CertificateDer<'_>]) -> Vec<u8> {
    let certificates: Vec<u8> = certificates.iter().flat_map(|der| der.iter().copied()).collect();
    let no_content = asn1::value(asn1::SEQUENCE, &asn1::value(asn1::OBJECT_IDENTIFIER, &DATA));
    let signed = [
        asn1::value(asn1::INTEGER, &[1]),
        asn1::value(asn1::SET, &[]),
        no_content,
        asn1::value(asn1::CONTEXT_0, &certificates),
        asn1::value(asn1::SET, &[]),
    ];
    let signed = asn1::value(asn1::SEQUENCE, &signed.concat());
    let message = [asn1::value(asn1::OBJECT_IDENTIFIER, &SIGNED_DATA), asn1::value(asn1::CONTEXT_0, &signed)].concat();
    asn1::value(asn1::SEQUENCE, &message)
}

#[cfg(test)]
mod tests;
