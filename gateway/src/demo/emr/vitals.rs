//! Invented vital signs: a function of the patient's number and of a counter, the same every time.

use serde_json::{Value, json};

/// One set of vital signs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Vitals {
    /// Beats a minute.
    pub(super) pulse: u32,
    /// Oxygen saturation in percent.
    pub(super) spo2: u32,
    /// Body temperature in tenths of a degree Celsius.
    pub(super) temperature_tenths: u32,
    /// Blood pressure in mmHg.
    pub(super) systolic: u32,
    /// Blood pressure in mmHg.
    pub(super) diastolic: u32,
}

/// The vital signs of a patient at a count of seconds.
pub(super) fn vitals(number: u32, second: u32) -> Vitals {
    let rest = |modulus: u32| number.wrapping_mul(31) % modulus;
    let wave = |period: u32, height: u32| {
        let phase = second.wrapping_add(number) % (2 * period);
        if phase < period { phase * height / period } else { (2 * period - phase) * height / period }
    };
    Vitals {
        pulse: 58 + rest(24) + wave(7, 6),
        spo2: 95 + rest(3) + wave(11, 2),
        temperature_tenths: 361 + rest(9) + wave(60, 3),
        systolic: 108 + rest(30) + wave(13, 8),
        diastolic: 62 + rest(18) + wave(13, 5),
    }
}

impl Vitals {
    /// The temperature in degrees, as text.
    pub(super) fn temperature(&self) -> String {
        format!("{}.{}", self.temperature_tenths / 10, self.temperature_tenths % 10)
    }

    /// As the feeds send it.
    pub(super) fn json(&self, id: &str, second: u32) -> Value {
        json!({
            "patient": id, "second": second, "pulse": self.pulse, "spo2": self.spo2,
            "temperature": self.temperature(), "systolic": self.systolic, "diastolic": self.diastolic,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_in_danger_and_everything_repeats() {
        for number in 12_345..12_395 {
            for second in (0..500).chain([u32::MAX]) {
                let now = vitals(number, second);
                assert!((58..=90).contains(&now.pulse) && (95..=100).contains(&now.spo2), "{now:?}");
                assert!((361..=375).contains(&now.temperature_tenths), "{now:?}");
                assert!((108..=150).contains(&now.systolic) && (62..=90).contains(&now.diastolic), "{now:?}");
                assert_eq!(now, vitals(number, second));
            }
        }
    }
}
