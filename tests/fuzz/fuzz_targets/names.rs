//! Names from configuration, command line and console: what is taken is written as it was read.

#![no_main]

use libfuzzer_sys::fuzz_target;
use policy::{AppId, DeviceId, PostureDemand, ProviderId, RoleId, RuleId, ZoneId};

fuzz_target!(|text: &str| {
    macro_rules! stays {
        ($($name:ident)*) => {$(
            if let Ok(name) = $name::parse(text) {
                assert_eq!(name.as_str(), text);
            }
        )*};
    }
    stays!(AppId DeviceId ProviderId RoleId RuleId ZoneId);
    if let Ok(demand) = PostureDemand::parse(text) {
        assert_eq!(PostureDemand::parse(&demand.to_string()), Ok(demand));
    }
});
