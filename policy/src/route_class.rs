//! What a request does in the hospital's words, and to which information (情報区分): told by the app's routes, each a
//! pattern of method and path. First come, first served; what no route fits does what its method says, to information
//! that is not classified.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use crate::route_pattern::Segment;
use crate::{Action, InfoClass, Method, Path, PathPattern, PatientSources, RoutePattern};

/// One route of an app: what fits it does this, to information of this class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassRoute {
    /// By which methods; empty for all. `GET` stands for `HEAD` too.
    pub methods: Vec<Method>,
    /// At which paths.
    pub pattern: RoutePattern,
    /// What it does; by method where absent.
    pub action: Option<Action>,
    /// The class of what it does it to.
    pub class: InfoClass,
    /// Where its patients are named, beside the path.
    pub patients: Option<Arc<PatientSources>>,
    /// Whether requests for parts of one study are folded into one record.
    pub folds: bool,
    /// In which field of the query the ward is named, where not in the path.
    pub ward_field: Option<Box<str>>,
}

/// What a request does, and to what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Classified<'p> {
    /// What it does.
    pub action: Action,
    /// The class of the information; `None` where no route fits.
    pub class: Option<InfoClass>,
    /// The patient whose information it is, where the path tells; without percent escapes.
    pub patient: Option<Cow<'p, str>>,
    /// The route that fits.
    pub route: Option<RouteNumber>,
}

/// Which of an app's routes it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RouteNumber(usize);

/// What a route says about patients.
#[derive(Clone, Debug)]
pub struct AboutPatients<'c> {
    /// Where they are named, beside the path.
    pub sources: &'c Arc<PatientSources>,
    /// Whether requests for parts of one study are folded into one record.
    pub folds: bool,
    /// The route's pattern, as written.
    pub pattern: &'c Arc<str>,
}

/// The routes of one app, prepared to be asked on every request: a tree of segments.
#[derive(Clone, Debug, Default)]
pub struct Classifier {
    routes: Vec<Route>,
    /// The first is the root.
    nodes: Vec<Node>,
    reads_by_post: Vec<PathPattern>,
}

#[derive(Clone, Debug)]
struct Route {
    methods: Vec<Method>,
    action: Option<Action>,
    class: InfoClass,
    /// Which segment of the path names the patient.
    patient: Option<usize>,
    /// Which segment of the path names a study.
    study: Option<usize>,
    /// Which segment of the path names a ward.
    ward: Option<usize>,
    /// In which field of the query a ward is named.
    ward_field: Option<Box<str>>,
    /// Where its patients are named; `None` where nothing of it names any.
    patients: Option<Arc<PatientSources>>,
    folds: bool,
    pattern: Arc<str>,
}

/// Where some patterns have come to after so many segments.
#[derive(Clone, Debug, Default)]
struct Node {
    literals: HashMap<Box<str>, usize, foldhash::fast::RandomState>,
    any: Option<usize>,
    /// Routes whose pattern ends here, the first first.
    ends: Vec<usize>,
    /// Routes that fit whatever follows, the first first.
    rests: Vec<usize>,
}

impl Classifier {
    /// Prepares the routes of an app, in their order.
    #[must_use]
    pub fn of(routes: &[ClassRoute]) -> Self {
        let mut classifier = Self { nodes: vec![Node::default()], ..Self::default() };
        for route in routes {
            classifier.add(route);
        }
        classifier
    }

    /// The same for an app where POST only reads at these paths, unless a route says what it does.
    #[must_use]
    pub fn reading_by_post(self, paths: &[PathPattern]) -> Self {
        Self { reads_by_post: paths.to_vec(), ..self }
    }

    fn add(&mut self, route: &ClassRoute) {
        let number = self.routes.len();
        let segments = route.pattern.segments();
        let place = |one: Segment| segments.iter().position(|segment| *segment == one);
        let (patient, study) = (place(Segment::Patient), place(Segment::Study));
        let by_path = || (patient.is_some() || study.is_some()).then(Arc::default);
        self.routes.push(Route {
            methods: route.methods.clone(),
            action: route.action,
            class: route.class.clone(),
            patient,
            study,
            ward: place(Segment::Ward),
            ward_field: route.ward_field.clone(),
            patients: route.patients.clone().or_else(by_path),
            folds: route.folds,
            pattern: Arc::from(route.pattern.as_str()),
        });
        let mut at = 0;
        for segment in segments {
            let next = self.nodes.len();
            let Some(node) = self.nodes.get_mut(at) else { return };
            at = match segment {
                Segment::Literal(text) => *node.literals.entry(decoded(text).into()).or_insert(next),
                Segment::Any | Segment::Patient | Segment::Study | Segment::Ward => *node.any.get_or_insert(next),
                Segment::Rest => return node.rests.push(number),
            };
            if at == next {
                self.nodes.push(Node::default());
            }
        }
        if let Some(node) = self.nodes.get_mut(at) {
            node.ends.push(number);
        }
    }

    /// What a request does, and to what. Whether it opens a stream that stays open
    /// ([`Action::Connect`](crate::Action::Connect)) is for the caller to say.
    #[must_use]
    pub fn classify<'p>(&self, method: &Method, path: &'p Path) -> Classified<'p> {
        // A slash at the end names the same thing to most servers, so it must not lead around a class.
        let text = path.as_str().trim_start_matches('/').trim_end_matches('/');
        let number = self.first(0, (!text.is_empty()).then_some(text), method);
        let found = number.and_then(|number| self.routes.get(number));
        let action = found.and_then(|route| route.action).unwrap_or_else(|| self.action(method, path));
        let patient = found.and_then(|route| segment(path, route.patient?));
        Classified { action, class: found.map(|route| route.class.clone()), patient, route: number.map(RouteNumber) }
    }

    /// What a route says about patients; `None` where nothing of it names any.
    #[must_use]
    pub fn about_patients(&self, route: RouteNumber) -> Option<AboutPatients<'_>> {
        let route = self.routes.get(route.0)?;
        let sources = route.patients.as_ref()?;
        Some(AboutPatients { sources, folds: route.folds, pattern: &route.pattern })
    }

    /// The patient that a path names, by a route that fits it; without percent escapes.
    #[must_use]
    pub fn patient<'p>(&self, route: RouteNumber, path: &'p Path) -> Option<Cow<'p, str>> {
        segment(path, self.routes.get(route.0)?.patient?)
    }

    /// The study that a path names, by a route that fits it; without percent escapes.
    #[must_use]
    pub fn study<'p>(&self, route: RouteNumber, path: &'p Path) -> Option<Cow<'p, str>> {
        segment(path, self.routes.get(route.0)?.study?)
    }

    /// The ward that a path names, by a route that fits it; without percent escapes.
    #[must_use]
    pub fn ward<'p>(&self, route: RouteNumber, path: &'p Path) -> Option<Cow<'p, str>> {
        segment(path, self.routes.get(route.0)?.ward?)
    }

    /// In which field of the query a route names the ward.
    #[must_use]
    pub fn ward_field(&self, route: RouteNumber) -> Option<&str> {
        self.routes.get(route.0)?.ward_field.as_deref()
    }

    /// The pattern of a route, as written.
    #[must_use]
    pub fn pattern(&self, route: RouteNumber) -> Option<&str> {
        self.routes.get(route.0).map(|route| &*route.pattern)
    }

    /// The first route that fits what is left of a path, from a node on.
    fn first(&self, node: usize, left: Option<&str>, method: &Method) -> Option<usize> {
        let node = self.nodes.get(node)?;
        let fits = |number: &&usize| self.routes.get(**number).is_some_and(|route| route.takes(method));
        let rest = node.rests.iter().find(fits).copied();
        let Some(left) = left else { return earliest(node.ends.iter().find(fits).copied(), rest) };
        let (segment, left) = left.split_once('/').map_or((left, None), |(segment, left)| (segment, Some(left)));
        // `%24export` names the same thing as `$export` to every server, so it is the same thing here.
        let literal = node.literals.get(decoded(segment).as_ref()).and_then(|next| self.first(*next, left, method));
        let any = node.any.and_then(|next| self.first(next, left, method));
        earliest(earliest(literal, any), rest)
    }

    fn action(&self, method: &Method, path: &Path) -> Action {
        let reads = || method.as_str() == "POST" && self.reads_by_post.iter().any(|pattern| pattern.matches(path));
        if reads() { Action::Read } else { method.action() }
    }
}

impl Route {
    fn takes(&self, method: &Method) -> bool {
        let named = |name: &str| self.methods.iter().any(|one| one.as_str() == name);
        self.methods.is_empty() || named(method.as_str()) || (method.as_str() == "HEAD" && named("GET"))
    }
}

/// One segment of a path, without its escapes.
fn segment(path: &Path, number: usize) -> Option<Cow<'_, str>> {
    path.as_str().trim_start_matches('/').trim_end_matches('/').split('/').nth(number).map(decoded)
}

fn earliest(one: Option<usize>, other: Option<usize>) -> Option<usize> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

/// A segment without its escapes. Paths are canonical, so their escapes spell UTF-8.
fn decoded(segment: &str) -> Cow<'_, str> {
    if !segment.contains('%') {
        return Cow::Borrowed(segment);
    }
    let mut bytes = Vec::with_capacity(segment.len());
    let mut left = segment.as_bytes();
    while let Some((byte, rest)) = left.split_first() {
        let escaped = rest.get(..2).filter(|_| *byte == b'%').and_then(|hex| std::str::from_utf8(hex).ok());
        match escaped.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(value) => {
                bytes.push(value);
                left = rest.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(*byte);
                left = rest;
            }
        }
    }
    String::from_utf8(bytes).map_or(Cow::Borrowed(segment), Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(methods: &[&str], pattern: &str, action: Option<Action>, class: &str) -> ClassRoute {
        ClassRoute {
            methods: methods.iter().map(|method| Method::parse(method).unwrap()).collect(),
            pattern: RoutePattern::parse(pattern).unwrap(),
            action,
            class: class.parse().unwrap(),
            patients: None,
            folds: false,
            ward_field: None,
        }
    }

    /// Action, class and patient of `GET /path`.
    fn told(classifier: &Classifier, request: &str) -> String {
        let (method, path) = request.split_once(' ').unwrap();
        let path = Path::parse(path).unwrap();
        let found = classifier.classify(&Method::parse(method).unwrap(), &path);
        let class = found.class.map_or_else(|| "-".to_owned(), |class| class.to_string());
        format!("{} {class} {}", found.action.as_str(), found.patient.as_deref().unwrap_or("-"))
    }

    #[test]
    fn the_first_route_that_fits_tells_and_a_literal_is_no_better_than_a_name() {
        let classifier = Classifier::of(&[
            route(&["GET"], "/x/{patient}", None, "chart"),
            route(&[], "/x/new", Some(Action::Export), "billing"),
            route(&[], "/x/**", None, "administrative"),
            route(&[], "/**", None, "scheduling"),
        ]);
        for (request, expected) in [
            ("GET /x/7", "read chart 7"),
            ("HEAD /x/7", "read chart 7"),
            ("GET /x/new", "read chart new"),
            ("POST /x/new", "export billing -"),
            ("DELETE /x/7", "delete administrative -"),
            ("GET /x", "read administrative -"),
            ("GET /x/7/8/9", "read administrative -"),
            ("GET /", "read scheduling -"),
            ("PUT /xx", "write scheduling -"),
        ] {
            assert_eq!(told(&classifier, request), expected, "{request}");
        }
    }

    #[test]
    fn a_slash_at_the_end_leads_around_nothing() {
        let classifier = Classifier::of(&[route(&[], "/p/{patient}/all", Some(Action::Export), "chart")]);
        assert_eq!(told(&classifier, "GET /p/1/all/"), "export chart 1");
        assert_eq!(told(&classifier, "GET /p/1/all"), "export chart 1");
        assert_eq!(told(&classifier, "GET /p/1/all/x"), "read - -");
    }

    #[test]
    fn without_a_route_the_method_tells_and_post_may_only_read() {
        let patterns = [PathPattern::parse("/api/*").unwrap()];
        let classifier = Classifier::of(&[route(&[], "/api/w", None, "billing")]).reading_by_post(&patterns);
        assert_eq!(told(&classifier, "POST /api/list"), "read - -");
        assert_eq!(told(&classifier, "POST /api/w"), "read billing -");
        assert_eq!(told(&classifier, "PUT /api/list"), "write - -");
        assert_eq!(told(&classifier, "POST /other"), "write - -");
        assert_eq!(told(&Classifier::of(&[]), "GET /"), "read - -");
        assert_eq!(told(&Classifier::default(), "DELETE /x"), "delete - -");
    }

    #[test]
    fn patients_are_told_without_escapes() {
        let classifier = Classifier::of(&[route(&[], "/k/{kind}/{patient}", None, "chart")]);
        assert_eq!(told(&classifier, "GET /k/a/%E6%82%A3%201"), "read chart 患 1");
        let exports = Classifier::of(&[
            route(&[], "/p/{patient}/$everything", Some(Action::Export), "chart"),
            route(&[], "/%E6%82%A3%E8%80%85/*", None, "images"),
            route(&[], "/p/**", None, "billing"),
        ]);
        assert_eq!(told(&exports, "GET /p/7/%24everything"), "export chart 7", "an escape leads around nothing");
        assert_eq!(told(&exports, "GET /p/7/%24%65verything/"), "export chart 7");
        assert_eq!(told(&exports, "GET /%E6%82%A3%E8%80%85/1"), "read images -");
        assert_eq!(told(&classifier, "GET /k/a/12.3-4"), "read chart 12.3-4");
    }

    #[test]
    fn a_route_says_where_its_patients_are_and_one_that_names_none_says_nothing() {
        let sources = Arc::new(PatientSources { sources: vec![crate::PatientSource::Study], ..Default::default() });
        let images = ClassRoute {
            patients: Some(Arc::clone(&sources)),
            folds: true,
            ..route(&[], "/studies/{study}/frames/*", None, "images")
        };
        let classifier = Classifier::of(&[
            route(&[], "/p/{patient}", None, "chart"),
            images,
            route(&[], "/studies/{study}", None, "images"),
            route(&[], "/menu", None, "chart"),
        ]);
        let of = |path: &str| {
            let path = Path::parse(path).unwrap();
            let route = classifier.classify(&Method::parse("GET").unwrap(), &path).route?;
            let about = classifier.about_patients(route)?;
            let study = classifier.study(route, &path).map(Cow::into_owned);
            Some((about.pattern.to_string(), about.folds, about.sources.sources.len(), study))
        };
        assert_eq!(of("/p/7"), Some(("/p/{patient}".to_owned(), false, 0, None)));
        let frames = "/studies/{study}/frames/*".to_owned();
        assert_eq!(of("/studies/1.2/frames/3/"), Some((frames, true, 1, Some("1.2".to_owned()))));
        assert_eq!(of("/studies/1.2"), Some(("/studies/{study}".to_owned(), false, 0, Some("1.2".to_owned()))));
        assert_eq!((of("/menu"), of("/elsewhere")), (None, None));
    }

    #[test]
    fn a_name_that_leads_nowhere_does_not_hide_another() {
        let classifier = Classifier::of(&[
            route(&[], "/a/b/c", None, "images"),
            route(&[], "/a/{x}/d", None, "chart"),
            route(&["POST"], "/{y}/b/e", None, "billing"),
        ]);
        assert_eq!(told(&classifier, "GET /a/b/c"), "read images -");
        assert_eq!(told(&classifier, "GET /a/b/d"), "read chart -");
        assert_eq!(told(&classifier, "POST /a/b/e"), "write billing -");
        assert_eq!(told(&classifier, "GET /a/b/e"), "read - -");
    }

    #[test]
    fn the_longest_path_is_no_trouble() {
        let classifier = Classifier::of(&[route(&[], "/**", None, "chart"), route(&[], "/a/{b}/**", None, "images")]);
        let path = Path::parse(&"/a".repeat(crate::PATH_BYTES_MAX / 2)).unwrap();
        assert_eq!(classifier.classify(&Method::parse("GET").unwrap(), &path).class.unwrap().as_str(), "chart");
    }
}
