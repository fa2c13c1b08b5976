//! One request, read by two versions of an app's routes: what it may be by each. Where routes changed, the same request
//! does something else, or to something else, and the two policies must be asked about what each takes it for.
//!
//! Every pair of readings that some request has is here; a pair that none has may be, too, and costs a question.

use std::collections::BTreeSet;

use policy::{Action, AppFacts, ClassRoute, InfoClass, Method};

/// What routes make of a request.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Reading {
    pub(crate) action: Action,
    /// `None` where no route fits.
    pub(crate) class: Option<InfoClass>,
}

/// What a request may be by the routes of now, and by those of the last version.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Cell {
    pub(crate) now: Reading,
    pub(crate) last: Reading,
}

/// Methods that are told apart, one of each kind; those that routes name come on top.
const METHODS: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "X-ANOTHER"];

/// Whether two versions of an app read every request alike.
pub(crate) fn read_alike(now: &AppFacts, last: &AppFacts) -> bool {
    let same = |(one, other): (&ClassRoute, &ClassRoute)| {
        (&one.methods, one.pattern.as_str(), one.action, &one.class)
            == (&other.methods, other.pattern.as_str(), other.action, &other.class)
    };
    now.routes.len() == last.routes.len()
        && now.routes.iter().zip(&last.routes).all(same)
        && now.reads_by_post == last.reads_by_post
}

/// Every pair of readings that a request may have.
pub(crate) fn cells(now: &AppFacts, last: &AppFacts) -> BTreeSet<Cell> {
    let named = now.routes.iter().chain(&last.routes).flat_map(|route| &route.methods).map(Method::as_str);
    let names: BTreeSet<&str> = METHODS.into_iter().chain(named).collect();
    names.into_iter().filter_map(Method::parse).flat_map(|method| cells_of(&method, now, last)).collect()
}

fn cells_of(method: &Method, now: &AppFacts, last: &AppFacts) -> Vec<Cell> {
    let of = |app: &AppFacts| -> Vec<Route> {
        app.routes.iter().filter(|route| takes(route, method)).map(Route::of).collect()
    };
    let (routes_now, routes_last) = (of(now), of(last));
    let mut cells = Vec::new();
    for at_now in 0..=routes_now.len() {
        for at_last in 0..=routes_last.len() {
            if !may_be_both((&routes_now, at_now), (&routes_last, at_last)) {
                continue;
            }
            let (one, other) = (routes_now.get(at_now), routes_last.get(at_last));
            let by_method = one.is_none_or(|one| one.action.is_none()) && other.is_none_or(|one| one.action.is_none());
            for action_now in actions(one, method, now) {
                for action_last in actions(other, method, last) {
                    // By method, the same request does the same by both, unless what POST reads changed.
                    if by_method && now.reads_by_post == last.reads_by_post && action_now != action_last {
                        continue;
                    }
                    let class = |route: Option<&Route>| route.map(|route| route.class.clone());
                    cells.push(Cell {
                        now: Reading { action: action_now, class: class(one) },
                        last: Reading { action: action_last, class: class(other) },
                    });
                }
            }
        }
    }
    cells
}

/// Whether a request can be taken by the route at one place of a list, and by that at one place of another; the place
/// after the last means that none takes it.
fn may_be_both((one, at): (&[Route], usize), (other, at_other): (&[Route], usize)) -> bool {
    let (first, second) = (one.get(at), other.get(at_other));
    if let (Some(first), Some(second)) = (first, second)
        && !meet(&first.segments, &second.segments)
    {
        return false;
    }
    let taken = || first.into_iter().chain(second);
    let hides = |earlier: &Route| taken().any(|route| covers(&earlier.segments, &route.segments));
    !one.iter().take(at).any(hides) && !other.iter().take(at_other).any(hides)
}

/// What a request does, by its route or by its method.
fn actions(route: Option<&Route>, method: &Method, app: &AppFacts) -> Vec<Action> {
    match route.and_then(|route| route.action) {
        Some(action) => vec![action],
        None if method.as_str() == "POST" && !app.reads_by_post.is_empty() => vec![Action::Read, method.action()],
        None => vec![method.action()],
    }
}

fn takes(route: &ClassRoute, method: &Method) -> bool {
    let named = |name: &str| route.methods.iter().any(|one| one.as_str() == name);
    route.methods.is_empty() || named(method.as_str()) || (method.as_str() == "HEAD" && named("GET"))
}

/// A route as far as it tells requests apart.
#[derive(Debug)]
struct Route {
    segments: Vec<Segment>,
    action: Option<Action>,
    class: InfoClass,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Segment {
    Literal(Vec<u8>),
    Any,
    Rest,
}

impl Route {
    fn of(route: &ClassRoute) -> Self {
        let text = route.pattern.as_str().trim_start_matches('/');
        let segment = |part: &str| match part {
            "**" => Segment::Rest,
            "*" => Segment::Any,
            part if part.starts_with('{') => Segment::Any,
            part => Segment::Literal(decoded(part)),
        };
        let segments = if text.is_empty() { Vec::new() } else { text.split('/').map(segment).collect() };
        Self { segments, action: route.action, class: route.class.clone() }
    }
}

/// A segment without percent escapes, which name the same thing.
fn decoded(part: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(part.len());
    let mut left = part.as_bytes();
    while let Some((first, rest)) = left.split_first() {
        let escape = rest.first_chunk::<2>().filter(|_| *first == b'%');
        let hex = escape.and_then(|digits| std::str::from_utf8(digits).ok());
        let byte = hex.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        left = if byte.is_some() { rest.get(2..).unwrap_or_default() } else { rest };
    }
    bytes
}

/// Whether some path fits both.
fn meet(one: &[Segment], other: &[Segment]) -> bool {
    match (one.split_first(), other.split_first()) {
        (Some((Segment::Rest, _)), _) | (_, Some((Segment::Rest, _))) | (None, None) => true,
        (None, Some(_)) | (Some(_), None) => false,
        (Some((Segment::Literal(first), _)), Some((Segment::Literal(second), _))) if first != second => false,
        (Some((_, one)), Some((_, other))) => meet(one, other),
    }
}

/// Whether every path that fits the second fits the first.
fn covers(wide: &[Segment], narrow: &[Segment]) -> bool {
    match (wide.split_first(), narrow.split_first()) {
        (Some((Segment::Rest, _)), _) | (None, None) => true,
        (None, Some(_)) | (Some(_), None | Some((Segment::Rest, _))) => false,
        (Some((Segment::Any, wide)), Some((_, narrow))) => covers(wide, narrow),
        (Some((first, wide)), Some((second, narrow))) => first == second && covers(wide, narrow),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use policy::{Classifier, Durability, Path, PathPattern, RoutePattern};

    fn app(routes: &[(&str, &str, Option<Action>, &str)], reads_by_post: &[&str]) -> AppFacts {
        let route = |(methods, pattern, action, class): &(&str, &str, Option<Action>, &str)| ClassRoute {
            methods: methods.split_whitespace().filter_map(Method::parse).collect(),
            pattern: RoutePattern::parse(pattern).unwrap(),
            action: *action,
            class: class.parse().unwrap(),
            patients: None,
            folds: false,
            ward_field: None,
        };
        AppFacts {
            id: "emr".parse().unwrap(),
            routes: routes.iter().map(route).collect(),
            reads_by_post: reads_by_post.iter().map(|path| PathPattern::parse(path).unwrap()).collect(),
            reads: Durability::Written,
            writes: Durability::Synced,
            built_in: false,
        }
    }

    fn reading(app: &AppFacts, method: &Method, path: &Path) -> Reading {
        let classifier = Classifier::of(&app.routes).reading_by_post(&app.reads_by_post);
        let classified = classifier.classify(method, path);
        Reading { action: classified.action, class: classified.class }
    }

    #[test]
    fn whatever_a_request_is_by_both_is_among_the_pairs() {
        let apps = [
            app(&[], &[]),
            app(&[("", "/a/**", None, "chart")], &[]),
            app(&[("GET", "/a/*/b", Some(Action::Export), "images"), ("", "/a/**", None, "chart")], &["/a/*"]),
            app(&[("", "/a/**", None, "chart"), ("GET", "/a/x", Some(Action::Search), "images")], &[]),
            app(&[("POST", "/a/{patient}", Some(Action::Search), "chart"), ("", "/**", None, "notices")], &["/b"]),
            app(&[("", "/a/*", None, "images"), ("", "/", None, "pages")], &["/*"]),
        ];
        let paths = ["/", "/a", "/a/x", "/%61/x", "/a/x/b", "/a/y/b/c", "/b", "/c/d"];
        for now in &apps {
            for last in &apps {
                let cells = cells(now, last);
                for method in METHODS.iter().filter_map(|name| Method::parse(name)) {
                    for path in paths.iter().map(|path| Path::parse(path).unwrap()) {
                        let cell = Cell { now: reading(now, &method, &path), last: reading(last, &method, &path) };
                        assert!(cells.contains(&cell), "{method} {}: {cell:?}", path.as_str());
                    }
                }
                assert_eq!(read_alike(now, last), std::ptr::eq(now, last));
            }
            assert!(cells(now, now).iter().all(|cell| cell.now == cell.last), "nothing changed");
        }
    }

    #[test]
    fn a_route_that_is_added_changes_only_what_it_takes() {
        let before = app(&[("", "/a/**", None, "chart"), ("", "/b/**", None, "images")], &[]);
        let after = app(
            &[("", "/a/labs/**", None, "lab-results"), ("", "/a/**", None, "chart"), ("", "/b/**", None, "images")],
            &[],
        );
        let changed: BTreeSet<_> = cells(&after, &before)
            .into_iter()
            .filter(|cell| cell.now != cell.last)
            .map(|cell| (cell.now.class.map(|class| class.to_string()), cell.last.class.map(|class| class.to_string())))
            .collect();
        let only = (Some("lab-results".to_owned()), Some("chart".to_owned()));
        assert_eq!(changed, BTreeSet::from([only]));
    }
}
