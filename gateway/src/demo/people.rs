//! Who works at the demo hospital, and with which devices. All invented.

use policy::DeviceClass;

/// Someone to sign in as.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Person {
    /// What `login_hint` names them by; also their role in the gateway.
    pub role: &'static str,
    /// The name they sign in with.
    pub login: &'static str,
    /// `sub` at the demo provider.
    pub subject: &'static str,
    /// The group that the provider puts them in, and that the configuration maps to the role.
    pub group: &'static str,
    /// Their name in Japanese.
    pub ja: &'static str,
    /// Their name in English.
    pub en: &'static str,
    /// What they do, in Japanese.
    pub work_ja: &'static str,
    /// What they do, in English.
    pub work_en: &'static str,
}

/// Everyone one can sign in as.
pub const PEOPLE: [Person; 5] = [
    Person {
        role: "nurse",
        login: "h.kango",
        subject: "demo-1001",
        group: "ward-nurses",
        ja: "看護 花子",
        en: "Hanako Kango",
        work_ja: "看護師",
        work_en: "Nurse",
    },
    Person {
        role: "doctor",
        login: "t.shinsatsu",
        subject: "demo-1002",
        group: "physicians",
        ja: "診察 太郎",
        en: "Taro Shinsatsu",
        work_ja: "医師",
        work_en: "Doctor",
    },
    Person {
        role: "vendor",
        login: "j.hoshu",
        subject: "demo-2001",
        group: "maintenance-vendors",
        ja: "保守 次郎",
        en: "Jiro Hoshu",
        work_ja: "保守業者",
        work_en: "Maintenance vendor",
    },
    Person {
        role: "auditor",
        login: "m.kansa",
        subject: "demo-1003",
        group: "auditors",
        ja: "監査 美咲",
        en: "Misaki Kansa",
        work_ja: "監査担当",
        work_en: "Auditor",
    },
    Person {
        role: "administrator",
        login: "i.kanri",
        subject: "demo-1004",
        group: "system-administrators",
        ja: "管理 一郎",
        en: "Ichiro Kanri",
        work_ja: "システム管理者",
        work_en: "Administrator",
    },
];

/// Somebody whom only the gateway's own directory knows, and who waits for an invitation to enrol a passkey.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LocalPerson {
    /// The name they are known by.
    pub login: &'static str,
    /// Their role in the gateway.
    pub role: &'static str,
    /// Their name in Japanese.
    pub ja: &'static str,
    /// Their name in English.
    pub en: &'static str,
    /// Where they work.
    pub unit: &'static str,
}

/// The one person of the local directory.
pub const LOCAL_PERSON: LocalPerson =
    LocalPerson { login: "h.yakin", role: "nurse", ja: "夜勤 光", en: "Hikari Yakin", unit: "3階病棟" };

/// The person a `login_hint` names, by role or by sign-in name.
#[must_use]
pub fn person(hint: &str) -> Option<&'static Person> {
    PEOPLE.iter().find(|person| person.role == hint || person.login == hint)
}

/// Whether a demo device is in the gateway's ledger.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// In the ledger.
    Enrolled,
    /// Holds a certificate of the device CA, but is not in the ledger.
    NotEnrolled,
}

/// A device of the demo hospital.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DemoDevice {
    /// Its name in the ledger and of its files.
    pub id: &'static str,
    /// What kind of device it is.
    pub class: DeviceClass,
    /// Whether the ledger knows it.
    pub standing: Standing,
    /// What it is, in Japanese.
    pub ja: &'static str,
    /// What it is, in English.
    pub en: &'static str,
}

/// The tablet that the terminal's first lines use.
pub const WARD_TABLET: DemoDevice = DemoDevice {
    id: "ward-tablet-1",
    class: DeviceClass::Tablet,
    standing: Standing::Enrolled,
    ja: "3階病棟のタブレット",
    en: "tablet of ward 3",
};

/// A device that somebody made a certificate for and nobody enrolled.
pub const STRAY_TABLET: DemoDevice = DemoDevice {
    id: "stray-tablet",
    class: DeviceClass::Tablet,
    standing: Standing::NotEnrolled,
    ja: "台帳にないタブレット",
    en: "tablet that is not in the ledger",
};

/// Every demo device.
pub const DEVICES: [DemoDevice; 5] = [
    WARD_TABLET,
    DemoDevice {
        id: "nurse-station-1",
        class: DeviceClass::WardShared,
        standing: Standing::Enrolled,
        ja: "ナースステーションの共用端末",
        en: "shared terminal of the nurses' station",
    },
    DemoDevice {
        id: "consulting-room-1",
        class: DeviceClass::Fixed,
        standing: Standing::Enrolled,
        ja: "診察室の端末",
        en: "PC of consulting room 1",
    },
    DemoDevice {
        id: "vendor-laptop-1",
        class: DeviceClass::Vendor,
        standing: Standing::Enrolled,
        ja: "保守業者のノートPC",
        en: "the vendor's laptop",
    },
    STRAY_TABLET,
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn everyone_is_found_by_role_and_by_name_and_nobody_else_is() {
        for one in &PEOPLE {
            assert_eq!((person(one.role), person(one.login)), (Some(one), Some(one)));
        }
        assert_eq!((person(""), person("surgeon")), (None, None));
    }

    #[test]
    fn the_person_of_the_local_directory_is_nobody_else_and_has_a_role_there_is() {
        assert_eq!(person(LOCAL_PERSON.login), None);
        assert!(person(LOCAL_PERSON.role).is_some());
    }

    #[test]
    fn nobody_and_nothing_shares_a_name() {
        let subjects: BTreeSet<_> = PEOPLE.iter().flat_map(|one| [one.subject, one.login, one.group]).collect();
        assert_eq!(subjects.len(), 3 * PEOPLE.len());
        let devices: BTreeSet<_> = DEVICES.iter().map(|device| policy::DeviceId::parse(device.id).unwrap()).collect();
        assert_eq!(devices.len(), DEVICES.len());
    }
}
