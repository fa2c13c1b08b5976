//! Where traces of requests and the diagnostic log go.

use super::golden::said_about;
use super::{Folder, short_and};
use crate::{Scheme, Severity};

#[test]
fn nothing_is_traced_unless_the_hospital_says_where_to() {
    let folder = Folder::new();
    assert!(folder.parse(&short_and("")).unwrap().telemetry.is_none());
    let text = "[telemetry]\notlp = \"http://127.0.0.1:4318\"\none_in = 10\ncontinue_traces = true";
    let told = folder.parse(&short_and(text)).unwrap().telemetry.unwrap();
    assert_eq!(
        (told.collector.scheme, told.collector.host.as_str(), told.collector.port),
        (Scheme::Http, "127.0.0.1", 4318)
    );
    assert_eq!((told.one_in.get(), told.goes_on), (10, true));
    let text = "[telemetry]\notlp = \"https://otel.sakura.example\"";
    let told = folder.parse(&short_and(text)).unwrap().telemetry.unwrap();
    assert_eq!((told.collector.port, told.one_in.get(), told.goes_on), (443, 100, false));
    assert_eq!(told.logs, None, "the diagnostic log stays here unless the hospital says otherwise");
}

#[test]
fn the_diagnostic_log_is_told_from_the_severity_that_the_hospital_names() {
    for (word, severity) in [("error", Severity::Error), ("warn", Severity::Warning), ("info", Severity::Info)] {
        let text = format!("[telemetry]\notlp = \"https://otel.sakura.example\"\nlogs = \"{word}\"");
        assert_eq!(Folder::new().parse(&short_and(&text)).unwrap().telemetry.unwrap().logs, Some(severity));
    }
}

#[test]
fn each_mistake_in_telemetry_is_told_in_words_one_can_act_on() {
    for (text, word) in [
        ("[telemetry]\none_in = 10", "otlp"),
        ("[telemetry]\notlp = \"http://10.0.0.9:4318\"", "in the clear"),
        ("[telemetry]\notlp = \"https://otel.sakura.example/v1/traces\"", "more than scheme, host and port"),
        ("[telemetry]\notlp = \"https://otel.sakura.example\"\none_in = 0", "one_in"),
        ("[telemetry]\notlp = \"https://otel.sakura.example\"\nlogs = true", "logs"),
        ("[telemetry]\notlp = \"https://otel.sakura.example\"\nlogs = \"debug\"", "`debug` is not one of"),
        ("[telemetry]\notlp = \"https://otel.sakura.example\"\nlogs = \"warning\"", "`warning` is not one of"),
        ("[telemetry]\notlp = \"https://otel.sakura.example\"\nca_file = \"tls/none.pem\"", "ca_file"),
    ] {
        let said = said_about(&short_and(text));
        assert!(said.contains(word), "{word}: {said}");
    }
}
