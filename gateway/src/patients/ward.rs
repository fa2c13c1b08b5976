//! Which ward a request names, as its route says: by a segment of its path, or a field of its query.

use identity::NamedWard;
use policy::{Classifier, Path, RouteNumber, Unit};
use url::form_urlencoded;

/// The ward that a request names. Two that are not one department name none that anything could be limited to; neither does
/// an address that asks for a ward and is given none, as apps take that for all.
pub fn named_ward(classifier: &Classifier, route: Option<RouteNumber>, path: &Path, query: Option<&str>) -> NamedWard {
    let Some(route) = route else { return NamedWard::Nothing };
    if let Some(segment) = classifier.ward(route, path) {
        return one(Unit::parse(&segment));
    }
    let Some(field) = classifier.ward_field(route) else { return NamedWard::Nothing };
    let fields = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    let mut named = fields.filter(|(name, _)| name == field).map(|(_, value)| Unit::parse(&value));
    let Some(first) = named.next() else { return NamedWard::Unclear };
    if named.all(|other| other == first) { one(first) } else { NamedWard::Unclear }
}

fn one(named: Option<Unit>) -> NamedWard {
    named.map_or(NamedWard::Unclear, NamedWard::One)
}

#[cfg(test)]
mod tests {
    use policy::{ClassRoute, Method, RoutePattern};

    use super::*;

    fn named(request: &str) -> NamedWard {
        let route = |pattern: &str, field: Option<&str>| ClassRoute {
            methods: Vec::new(),
            pattern: RoutePattern::parse(pattern).unwrap(),
            action: None,
            class: "chart".parse().unwrap(),
            patients: None,
            folds: false,
            ward_field: field.map(Into::into),
        };
        let routes = [route("/wards/{ward}/patients", None), route("/list", Some("byoto")), route("/other/**", None)];
        let classifier = Classifier::of(&routes);
        let (path, query) = request.split_once('?').map_or((request, None), |(path, query)| (path, Some(query)));
        let path = Path::parse(path).unwrap();
        let number = classifier.classify(&Method::parse("GET").unwrap(), &path).route;
        named_ward(&classifier, number, &path, query)
    }

    #[test]
    fn a_ward_is_named_by_path_or_query_and_two_are_none() {
        let ward = |name: &str| NamedWard::One(Unit::parse(name).unwrap());
        for (request, expected) in [
            ("/wards/3F/patients", ward("3F")),
            ("/wards/%EF%BC%93%EF%BC%A6/patients", ward("3F")),
            (&*format!("/wards/{}/patients", "x".repeat(65)), NamedWard::Unclear),
            ("/list?byoto=3F&page=2", ward("3F")),
            ("/list?%62yoto=3F", ward("3F")),
            ("/list?byoto=3F&byoto=%EF%BC%93F", ward("3F")),
            ("/list?byoto=3F&byoto=4F", NamedWard::Unclear),
            ("/list?byoto=3F&byoto=", NamedWard::Unclear),
            ("/list?byoto=", NamedWard::Unclear),
            ("/list?ward=3F", NamedWard::Unclear),
            ("/list", NamedWard::Unclear),
            ("/other/3F?byoto=3F", NamedWard::Nothing),
            ("/nowhere", NamedWard::Nothing),
        ] {
            assert_eq!(named(request), expected, "{request}");
        }
    }
}
