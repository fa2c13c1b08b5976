//! The table of the console's pages. What is not a row does not exist, and every row says whose it is.

use crate::route::row;
use crate::{HostKind, Page, Row};

/// One page of the console.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ConsolePage {
    /// What needs attention.
    Home,
    /// People: list and search.
    People,
    /// All people as CSV.
    ExportPeople,
    /// The form for a new person.
    AskNewPerson,
    /// Adds a person.
    AddPerson,
    /// The form for people as CSV.
    AskImportPeople,
    /// Shows what a CSV would do and every problem in it, or does it.
    ImportPeople,
    /// One person.
    Person,
    /// Changes a person's name, login, unit or roles.
    ChangePerson,
    /// Asks whether to disable a person.
    AskDisablePerson,
    /// Disables a person.
    DisablePerson,
    /// Lets a disabled person in again.
    EnablePerson,
    /// Invites a person to enrol a passkey.
    InvitePerson,
    /// Issues a temporary code to a person.
    IssueTemporary,
    /// Ends all sessions of a person.
    EndPersonSessions,
    /// Asks whether to remove a key.
    AskRemoveKey,
    /// Removes a key.
    RemoveKey,
    /// Open invitations.
    Invitations,
    /// Revokes an invitation.
    RevokeInvitation,
    /// Devices: ledger and search.
    Devices,
    /// The ledger as CSV.
    ExportDevices,
    /// The form for the ledger as CSV.
    AskImportDevices,
    /// Shows what a CSV would do to the ledger and every problem in it, or does it.
    ImportDevices,
    /// The form for a new device.
    AskNewDevice,
    /// Invites a device to enrol.
    InviteDevice,
    /// Devices that wait for their stock-take.
    AskStockTake,
    /// Notes that devices were seen in their place.
    TakeStock,
    /// One device.
    Device,
    /// Changes what the ledger says of a device.
    ChangeDevice,
    /// Invites a known device to enrol again.
    InviteDeviceAgain,
    /// Asks whether to revoke a device.
    AskRevokeDevice,
    /// Revokes a device.
    RevokeDevice,
    /// Asks whether a device is lost.
    AskLostDevice,
    /// A device is lost: revokes it, ends its sessions, shows what was opened from it.
    LoseDevice,
    /// What was opened from a device lately.
    DeviceTrail,
    /// Asks whether to revoke one certificate of a device.
    AskRevokeCertificate,
    /// Revokes one certificate of a device.
    RevokeCertificate,
    /// Open sessions.
    Sessions,
    /// Asks whether to end a session.
    AskEndSession,
    /// Ends a session.
    EndSession,
    /// What is known of the state of every device.
    Posture,
    /// The state of every provider.
    Outage,
    /// Asks whether to switch outage mode of a provider.
    AskSwitchOutage,
    /// Switches outage mode of a provider.
    SwitchOutage,
    /// What was done during outages.
    OutageReport,
    /// Broken glass, reviewed or not.
    Glasses,
    /// One of them, and the form for its review.
    AskReviewGlass,
    /// Keeps a review of broken glass.
    ReviewGlass,
    /// Ends glass that is still broken.
    EndGlass,
    /// What became of notices.
    Notices,
    /// The machines that serve together.
    Nodes,
    /// Who may do what.
    Policy,
    /// Who may do what, as CSV.
    ExportPolicy,
    /// The form that asks how an access is answered and why, or the answer to one of the log.
    AskExplain,
    /// How an access is answered that was described, and why.
    Explain,
    /// Versions of the configuration.
    Versions,
    /// One version.
    Version,
    /// Asks whether to approve a version.
    AskApproveVersion,
    /// Approves a version that another person proposed.
    ApproveVersion,
    /// What vendors ask for.
    Maintenance,
    /// One request.
    MaintenanceRequest,
    /// The file that came with it.
    MaintenanceFile,
    /// Its report, to print.
    MaintenancePaper,
    /// Asks whether to approve or refuse it.
    AskApproveMaintenance,
    /// Approves it.
    ApproveMaintenance,
    /// Refuses it.
    RefuseMaintenance,
    /// Asks whether to let in before approval.
    AskAdmitMaintenance,
    /// Lets in before approval.
    AdmitMaintenance,
    /// Ends it at once.
    EndMaintenance,
    /// Confirms its report.
    ConfirmMaintenance,
    /// The recording of a terminal.
    Recording,
    /// Its pictures.
    RecordingFrames,
    /// Its text.
    RecordingFile,
    /// What proves that text.
    RecordingProof,
    /// The inventory of remote maintenance.
    Inventory,
    /// The inventory as CSV.
    ExportInventory,
    /// The form for a new line of the inventory.
    AskNewLine,
    /// Adds a line to the inventory.
    AddLine,
    /// The form for the inventory as a table.
    AskImportInventory,
    /// Shows what such a table would do, or takes it in.
    ImportInventory,
    /// One line of the inventory.
    AskChangeLine,
    /// Changes a line of the inventory.
    ChangeLine,
    /// Removes a line of the inventory.
    RemoveLine,
    /// Notes from which vendor a person comes.
    SetVendor,
    /// Who did what: records, found by plain fields.
    SearchLog,
    /// Takes the form of that search, so that no patient stands in an address.
    FindInLog,
    /// One record in full.
    LogRecord,
    /// What a person, a device or a patient had to do with, day by day.
    LogTimeline,
    /// Figures over time and by kind.
    LogCharts,
    /// Keeps a question.
    KeepQuestion,
    /// Forgets a question.
    ForgetQuestion,
    /// Begins to make a file of what was found.
    ExportLog,
    /// How far that is, and what came of it.
    LogExport,
    /// Stops that.
    CancelLogExport,
    /// The file.
    LogExportFile,
    /// The page that checks such a file.
    LogExportVerifier,
    /// The page of a month.
    LogReport,
    /// The periodic reviews.
    Reviews,
    /// The form for a new review.
    AskNewReview,
    /// Begins to draw the sample of a new review.
    BeginReview,
    /// How far that draw is.
    DrawingReview,
    /// Stops that draw.
    CancelReview,
    /// One review.
    Review,
    /// One line of a review.
    AskJudgeLine,
    /// Keeps what was found of a line.
    JudgeLine,
    /// Signs a review.
    SignReview,
}

/// What a person must be to use a page of the console.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Duty {
    /// Whoever has a part in the console.
    Enter,
    /// Administrator, help desk, auditor.
    Look,
    /// Whoever looks at the log: administrators, auditors, and auditors of some departments.
    Read,
    /// Administrators and auditors: what the help desk needs not see.
    Inspect,
    /// Administrators, auditors, the help desk, and whoever decides on maintenance.
    Oversee,
    /// Whoever may end maintenance at once: administrators, the help desk, whoever decides on it.
    Stop,
    /// Whoever decides on maintenance, and nobody else.
    Approve,
    /// Whoever needs to know what a terminal showed: who that is, the recording tells.
    Replay,
    /// Administrators, auditors, and whoever reviews broken glass.
    Witness,
    /// Administrators, and whoever reviews broken glass.
    Mend,
    /// Whoever reviews broken glass, and nobody else.
    Judge,
    /// Administrators and the help desk.
    Help,
    /// Administrators.
    Administer,
}

impl ConsolePage {
    /// What a person must be to use it.
    #[must_use]
    pub fn duty(self) -> Duty {
        match self {
            Self::Home => Duty::Enter,
            Self::Recording | Self::RecordingFrames | Self::RecordingFile | Self::RecordingProof => Duty::Replay,
            Self::Glasses | Self::AskReviewGlass => Duty::Witness,
            Self::ReviewGlass => Duty::Judge,
            Self::EndGlass => Duty::Mend,
            Self::People | Self::Person | Self::Invitations | Self::Devices | Self::Device | Self::Sessions => {
                Duty::Look
            }
            Self::SearchLog
            | Self::FindInLog
            | Self::LogRecord
            | Self::LogTimeline
            | Self::LogCharts
            | Self::KeepQuestion
            | Self::ForgetQuestion
            | Self::ExportLog
            | Self::LogExport
            | Self::CancelLogExport
            | Self::LogExportFile
            | Self::LogExportVerifier
            | Self::LogReport
            | Self::Reviews
            | Self::AskNewReview
            | Self::BeginReview
            | Self::DrawingReview
            | Self::CancelReview
            | Self::Review
            | Self::AskJudgeLine
            | Self::JudgeLine
            | Self::SignReview => Duty::Read,
            Self::ExportPeople
            | Self::ExportDevices
            | Self::Posture
            | Self::Outage
            | Self::OutageReport
            | Self::Notices
            | Self::Nodes
            | Self::Policy
            | Self::ExportPolicy
            | Self::AskExplain
            | Self::Explain
            | Self::Versions
            | Self::Version => Duty::Inspect,
            Self::Maintenance
            | Self::MaintenanceRequest
            | Self::MaintenanceFile
            | Self::MaintenancePaper
            | Self::Inventory
            | Self::ExportInventory => Duty::Oversee,
            Self::EndMaintenance => Duty::Stop,
            Self::AskApproveMaintenance
            | Self::ApproveMaintenance
            | Self::RefuseMaintenance
            | Self::AskAdmitMaintenance
            | Self::AdmitMaintenance
            | Self::ConfirmMaintenance => Duty::Approve,
            Self::AskDisablePerson
            | Self::DisablePerson
            | Self::InvitePerson
            | Self::IssueTemporary
            | Self::EndPersonSessions
            | Self::AskRemoveKey
            | Self::RemoveKey
            | Self::RevokeInvitation
            | Self::AskLostDevice
            | Self::LoseDevice
            | Self::DeviceTrail
            | Self::AskEndSession
            | Self::EndSession => Duty::Help,
            Self::AskNewPerson
            | Self::AddPerson
            | Self::AskImportPeople
            | Self::ImportPeople
            | Self::ChangePerson
            | Self::EnablePerson
            | Self::AskImportDevices
            | Self::ImportDevices
            | Self::AskNewDevice
            | Self::InviteDevice
            | Self::AskStockTake
            | Self::TakeStock
            | Self::ChangeDevice
            | Self::InviteDeviceAgain
            | Self::AskRevokeDevice
            | Self::RevokeDevice
            | Self::AskRevokeCertificate
            | Self::RevokeCertificate
            | Self::AskNewLine
            | Self::AddLine
            | Self::AskImportInventory
            | Self::ImportInventory
            | Self::AskChangeLine
            | Self::ChangeLine
            | Self::RemoveLine
            | Self::SetVendor
            | Self::AskApproveVersion
            | Self::ApproveVersion
            | Self::AskSwitchOutage
            | Self::SwitchOutage => Duty::Administer,
        }
    }
}

const CONSOLE: &[HostKind] = &[HostKind::Console];

const fn get(path: &'static str, page: ConsolePage) -> Row {
    row(CONSOLE, "GET", path, Page::Console(page))
}

const fn post(path: &'static str, page: ConsolePage) -> Row {
    row(CONSOLE, "POST", path, Page::Console(page))
}

/// Every page of the console.
pub const TABLE: &[Row] = &[
    get("/", ConsolePage::Home),
    get("/people", ConsolePage::People),
    get("/people.csv", ConsolePage::ExportPeople),
    get("/new-person", ConsolePage::AskNewPerson),
    post("/new-person", ConsolePage::AddPerson),
    get("/import-people", ConsolePage::AskImportPeople),
    post("/import-people", ConsolePage::ImportPeople),
    get("/people/{person}", ConsolePage::Person),
    post("/people/{person}/change", ConsolePage::ChangePerson),
    get("/people/{person}/disable", ConsolePage::AskDisablePerson),
    post("/people/{person}/disable", ConsolePage::DisablePerson),
    post("/people/{person}/enable", ConsolePage::EnablePerson),
    post("/people/{person}/invite", ConsolePage::InvitePerson),
    post("/people/{person}/temporary", ConsolePage::IssueTemporary),
    post("/people/{person}/end-sessions", ConsolePage::EndPersonSessions),
    get("/people/{person}/keys/{key}/remove", ConsolePage::AskRemoveKey),
    post("/people/{person}/keys/{key}/remove", ConsolePage::RemoveKey),
    get("/invitations", ConsolePage::Invitations),
    post("/invitations/{invitation}/revoke", ConsolePage::RevokeInvitation),
    get("/devices", ConsolePage::Devices),
    get("/devices.csv", ConsolePage::ExportDevices),
    get("/import-devices", ConsolePage::AskImportDevices),
    post("/import-devices", ConsolePage::ImportDevices),
    get("/new-device", ConsolePage::AskNewDevice),
    post("/new-device", ConsolePage::InviteDevice),
    get("/stock-take", ConsolePage::AskStockTake),
    post("/stock-take", ConsolePage::TakeStock),
    get("/devices/{device}", ConsolePage::Device),
    post("/devices/{device}/change", ConsolePage::ChangeDevice),
    post("/devices/{device}/invite", ConsolePage::InviteDeviceAgain),
    get("/devices/{device}/revoke", ConsolePage::AskRevokeDevice),
    post("/devices/{device}/revoke", ConsolePage::RevokeDevice),
    get("/devices/{device}/lost", ConsolePage::AskLostDevice),
    post("/devices/{device}/lost", ConsolePage::LoseDevice),
    get("/devices/{device}/trail", ConsolePage::DeviceTrail),
    get("/devices/{device}/certificates/{certificate}/revoke", ConsolePage::AskRevokeCertificate),
    post("/devices/{device}/certificates/{certificate}/revoke", ConsolePage::RevokeCertificate),
    get("/sessions", ConsolePage::Sessions),
    get("/sessions/{session}/end", ConsolePage::AskEndSession),
    post("/sessions/{session}/end", ConsolePage::EndSession),
    get("/posture", ConsolePage::Posture),
    get("/outage", ConsolePage::Outage),
    get("/outage/report", ConsolePage::OutageReport),
    get("/outage/{provider}/switch", ConsolePage::AskSwitchOutage),
    post("/outage/{provider}/switch", ConsolePage::SwitchOutage),
    get("/glass", ConsolePage::Glasses),
    get("/glass/{glass}/review", ConsolePage::AskReviewGlass),
    post("/glass/{glass}/review", ConsolePage::ReviewGlass),
    post("/glass/{glass}/end", ConsolePage::EndGlass),
    get("/notices", ConsolePage::Notices),
    get("/nodes", ConsolePage::Nodes),
    get("/policy", ConsolePage::Policy),
    get("/policy.csv", ConsolePage::ExportPolicy),
    get("/explain", ConsolePage::AskExplain),
    post("/explain", ConsolePage::Explain),
    get("/versions", ConsolePage::Versions),
    get("/versions/{version}", ConsolePage::Version),
    get("/versions/{version}/approve", ConsolePage::AskApproveVersion),
    post("/versions/{version}/approve", ConsolePage::ApproveVersion),
    get("/maintenance", ConsolePage::Maintenance),
    get("/maintenance/{grant}", ConsolePage::MaintenanceRequest),
    get("/maintenance/{grant}/file", ConsolePage::MaintenanceFile),
    get("/maintenance/{grant}/report", ConsolePage::MaintenancePaper),
    get("/maintenance/{grant}/approve", ConsolePage::AskApproveMaintenance),
    post("/maintenance/{grant}/approve", ConsolePage::ApproveMaintenance),
    post("/maintenance/{grant}/refuse", ConsolePage::RefuseMaintenance),
    get("/maintenance/{grant}/admit", ConsolePage::AskAdmitMaintenance),
    post("/maintenance/{grant}/admit", ConsolePage::AdmitMaintenance),
    post("/maintenance/{grant}/end", ConsolePage::EndMaintenance),
    post("/maintenance/{grant}/confirm", ConsolePage::ConfirmMaintenance),
    get("/recordings/{recording}", ConsolePage::Recording),
    get("/recordings/{recording}/frames", ConsolePage::RecordingFrames),
    get("/recordings/{recording}/cast", ConsolePage::RecordingFile),
    get("/recordings/{recording}/proof", ConsolePage::RecordingProof),
    get("/inventory", ConsolePage::Inventory),
    get("/inventory.csv", ConsolePage::ExportInventory),
    get("/inventory/new", ConsolePage::AskNewLine),
    post("/inventory/new", ConsolePage::AddLine),
    get("/import-inventory", ConsolePage::AskImportInventory),
    post("/import-inventory", ConsolePage::ImportInventory),
    get("/inventory/{entry}", ConsolePage::AskChangeLine),
    post("/inventory/{entry}/change", ConsolePage::ChangeLine),
    post("/inventory/{entry}/remove", ConsolePage::RemoveLine),
    post("/people/{person}/vendor", ConsolePage::SetVendor),
    get("/log", ConsolePage::SearchLog),
    post("/log/find", ConsolePage::FindInLog),
    get("/log/records/{line}", ConsolePage::LogRecord),
    get("/log/timeline", ConsolePage::LogTimeline),
    get("/log/charts", ConsolePage::LogCharts),
    post("/log/questions", ConsolePage::KeepQuestion),
    post("/log/questions/{question}/forget", ConsolePage::ForgetQuestion),
    get("/log/export", ConsolePage::LogExport),
    post("/log/export", ConsolePage::ExportLog),
    post("/log/export/cancel", ConsolePage::CancelLogExport),
    get("/log/export/file", ConsolePage::LogExportFile),
    get("/log/export/verify-export.html", ConsolePage::LogExportVerifier),
    get("/log/report", ConsolePage::LogReport),
    get("/log/reviews", ConsolePage::Reviews),
    post("/log/reviews", ConsolePage::BeginReview),
    get("/log/reviews/new", ConsolePage::AskNewReview),
    get("/log/reviews/drawing", ConsolePage::DrawingReview),
    post("/log/reviews/drawing/cancel", ConsolePage::CancelReview),
    get("/log/reviews/{review}", ConsolePage::Review),
    get("/log/reviews/{review}/items/{line}", ConsolePage::AskJudgeLine),
    post("/log/reviews/{review}/items/{line}", ConsolePage::JudgeLine),
    post("/log/reviews/{review}/sign", ConsolePage::SignReview),
];
