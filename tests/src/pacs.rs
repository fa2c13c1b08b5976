//! A real picture archive: Debian's Orthanc with its DICOMweb plugin, and a study made with DCMTK.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::Folder;

const PROGRAM: &str = "/usr/sbin/Orthanc";
const DICOM_WEB: &str = "/usr/share/orthanc/plugins/libOrthancDicomWeb.so";
const PATIENCE: Duration = Duration::from_secs(60);

/// Study instance UID of [`Pacs::picture`].
pub const STUDY: &str = "1.2.826.0.1.3680043.8.498.1";
/// Series instance UID.
pub const SERIES: &str = "1.2.826.0.1.3680043.8.498.1.1";
/// SOP instance UID.
pub const INSTANCE: &str = "1.2.826.0.1.3680043.8.498.1.1.1";
/// The invented patient's number.
pub const PATIENT: &str = "00012345";

/// A running archive; ends with this value.
#[derive(Debug)]
pub struct Pacs {
    process: Child,
    address: SocketAddr,
    dicom: SocketAddr,
    folder: Folder,
}

impl Pacs {
    /// Starts an empty one.
    #[must_use]
    pub fn start() -> Self {
        let folder = Folder::new();
        let (address, dicom) = (free_address(), free_address());
        let storage = folder.join("storage");
        let settings = json!({
            "Name": "test",
            "StorageDirectory": storage,
            "IndexDirectory": storage,
            "HttpServerEnabled": true,
            "HttpPort": address.port(),
            "DicomServerEnabled": true,
            "DicomPort": dicom.port(),
            "DicomAet": "PACS",
            "DicomCheckCalledAet": false,
            "DicomAlwaysAllowStore": true,
            "RemoteAccessAllowed": false,
            "AuthenticationEnabled": false,
            "Plugins": [DICOM_WEB],
            "DicomWeb": { "Enable": true, "Root": "/dicom-web/", "EnableWado": true, "WadoRoot": "/wado" },
        });
        let settings = folder.write("orthanc.json", settings.to_string());
        let log = std::fs::File::create(folder.join("orthanc.log")).expect("the archive's log can be made");
        let mut process = Command::new(PROGRAM)
            .arg(settings)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("Orthanc is installed: see tests/run");
        let begin = Instant::now();
        while TcpStream::connect(address).is_err() || TcpStream::connect(dicom).is_err() {
            let ended = process.try_wait().expect("a child can be asked");
            assert!(ended.is_none(), "Orthanc ended with {ended:?}");
            assert!(begin.elapsed() < PATIENCE, "Orthanc does not accept");
            std::thread::sleep(Duration::from_millis(20));
        }
        Self { process, address, dicom, folder }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it speaks DICOM.
    #[must_use]
    pub fn dicom(&self) -> SocketAddr {
        self.dicom
    }

    /// A picture of an invented patient, as a DICOM file.
    #[must_use]
    pub fn picture(&self) -> Vec<u8> {
        self.picture_of(PATIENT, STUDY)
    }

    /// A picture of another patient, in a study of its own; series and picture are its first.
    #[must_use]
    pub fn picture_of(&self, patient: &str, study: &str) -> Vec<u8> {
        let dump = self.folder.write("picture.dump", dump(patient, study));
        let file: PathBuf = self.folder.join("picture.dcm");
        let status = Command::new("dump2dcm")
            .args(["--write-xfer-little", "--quiet"])
            .arg(dump)
            .arg(&file)
            .status()
            .expect("DCMTK is installed: see tests/run");
        assert!(status.success(), "dump2dcm: {status}");
        std::fs::read(file).expect("the picture was written")
    }
}

impl Drop for Pacs {
    fn drop(&mut self) {
        // It may have ended by itself.
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

fn free_address() -> SocketAddr {
    let socket = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    socket.local_addr().expect("a bound socket has an address")
}

/// An 8 by 8 secondary capture, all grey.
fn dump(patient: &str, study: &str) -> String {
    let pixels = vec!["8080"; 32].join("\\");
    format!(
        "(0002,0010) UI =LittleEndianExplicit
(0008,0016) UI =SecondaryCaptureImageStorage
(0008,0018) UI [{study}.1.1]
(0008,0020) DA [20250401]
(0008,0030) TM [101500]
(0008,0050) SH [A-1]
(0008,0060) CS [OT]
(0008,0064) CS [WSD]
(0008,0090) PN []
(0010,0010) PN [SHIKEN^KANJA]
(0010,0020) LO [{patient}]
(0010,0030) DA [19500101]
(0010,0040) CS [O]
(0020,000d) UI [{study}]
(0020,000e) UI [{study}.1]
(0020,0010) SH [1]
(0020,0011) IS [1]
(0020,0013) IS [1]
(0028,0002) US 1
(0028,0004) CS [MONOCHROME2]
(0028,0010) US 8
(0028,0011) US 8
(0028,0100) US 8
(0028,0101) US 8
(0028,0102) US 7
(0028,0103) US 0
(7fe0,0010) OW {pixels}
"
    )
}
