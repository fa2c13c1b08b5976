//! The Helm chart, rendered by Helm's own engine and held against the schemas of Kubernetes' API; no cluster runs here.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::{Value, json};
use tests::{Folder, run};

use crate::judges::root;

/// The oldest and the newest Kubernetes that it is tried on.
const VERSIONS: [&str; 2] = ["1.25", "1.37"];
/// What the least of values needs; with what a template engine could trip over.
const CONFIG: &str = "# \"みなと病院\" {{ not a template }} \\ 100%\n[[listener]]\naddress = \"0.0.0.0:8443\"\n";

/// What Helm makes of the chart.
struct Rendered {
    lint: Vec<String>,
    problems: Vec<String>,
    objects: Vec<Value>,
}

fn render(values: &Value, version: &str) -> Rendered {
    let folder = Folder::new();
    let values = folder.write("values.json", values.to_string());
    let tool = root().join("tests/chart");
    let output = Command::new(tool.join("venv/bin/python"))
        .arg(tool.join("render.py"))
        .arg(root().join("deploy/helm/sekimori"))
        .arg(values)
        .arg(version)
        .output()
        .expect("what tests/chart needs is installed: see tests/run");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    let texts = |key: &str| told[key].as_array().unwrap().iter().map(|one| one.as_str().unwrap().to_owned()).collect();
    Rendered { lint: texts("lint"), problems: texts("problems"), objects: told["objects"].as_array().unwrap().clone() }
}

/// The chart with these values beside the configuration, where nothing may be wrong.
fn rendered(more: &Value, version: &str) -> Vec<Value> {
    let mut values = json!({ "config": CONFIG });
    values.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let Rendered { lint, problems, objects } = render(&values, version);
    assert!(problems.is_empty(), "Kubernetes {version}, {more}: {problems:?}");
    assert_eq!(lint, ["icon is recommended"], "{more}");
    objects
}

fn only<'o>(objects: &'o [Value], kind: &str, name: &str) -> &'o Value {
    let mut found = objects.iter().filter(|one| one["kind"] == kind && one["metadata"]["name"] == name);
    let (Some(one), None) = (found.next(), found.next()) else { panic!("one {kind} {name}: {objects:?}") };
    one
}

fn names(list: &Value) -> BTreeSet<&str> {
    list.as_array().into_iter().flatten().map(|one| one["name"].as_str().unwrap()).collect()
}

#[test]
fn the_chart_is_what_kubernetes_knows_whatever_its_values() {
    for version in VERSIONS {
        for more in [
            json!({}),
            json!({ "replicas": 1, "service": { "type": "ClusterIP" } }),
            json!({ "service": { "type": "NodePort", "port": 8443, "annotations": { "a.example.jp/b": "true" } } }),
            json!({ "image": { "digest": format!("sha256:{}", "0a".repeat(32)) }, "resources": {} }),
            json!({ "storage": { "size": "1Ti", "className": "fast" }, "files": { "vendors.cedar": "// \"業者\"\n" } }),
        ] {
            assert_eq!(rendered(&more, version).len(), 6, "{more}");
        }
    }
}

#[test]
fn a_pod_has_what_it_names_and_no_right_that_it_does_not_need() {
    let objects = rendered(&json!({ "files": { "vendors.cedar": "// \"業者\"\n" } }), VERSIONS[1]);
    let nodes = &only(&objects, "StatefulSet", "sekimori")["spec"];
    let pod = &nodes["template"]["spec"];
    let mut volumes = names(&pod["volumes"]);
    volumes.extend(nodes["volumeClaimTemplates"].as_array().unwrap().iter().map(|one| {
        let name = one["metadata"]["name"].as_str().unwrap();
        assert_eq!(one["spec"]["accessModes"], json!(["ReadWriteOnce"]), "a log is one node's");
        name
    }));
    assert_eq!(
        (&pod["securityContext"]["runAsNonRoot"], &pod["automountServiceAccountToken"]),
        (&true.into(), &false.into())
    );
    let containers = ["initContainers", "containers"].map(|kind| pod[kind].as_array().unwrap());
    for container in containers.into_iter().flatten() {
        let held = &container["securityContext"];
        assert_eq!((&held["readOnlyRootFilesystem"], &held["allowPrivilegeEscalation"]), (&true.into(), &false.into()));
        assert_eq!(held["capabilities"]["drop"], json!(["ALL"]));
        assert!(names(&container["volumeMounts"]).is_subset(&volumes), "{container}");
        // The program knows the words it is started with.
        let words: Vec<&str> =
            container["args"].as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
        let (options, commands): (Vec<&str>, Vec<&str>) =
            words.iter().filter(|word| !word.starts_with('/')).partition(|word| word.starts_with("--"));
        let help = run(&root(), &[commands, vec!["--help"]].concat());
        assert!(
            help.code == Some(0) && options.iter().all(|option| help.out.contains(option)),
            "{words:?}: {}",
            help.out
        );
    }
    let gateway = &pod["containers"][0];
    let ports = names(&gateway["ports"]);
    for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
        assert!(ports.contains(gateway[probe]["httpGet"]["port"].as_str().unwrap()), "{probe}");
    }
    let labels = nodes["template"]["metadata"]["labels"].as_object().unwrap();
    let chooses =
        |selector: &Value| selector.as_object().unwrap().iter().all(|(key, value)| labels.get(key) == Some(value));
    for service in ["sekimori", "sekimori-nodes"] {
        let service = &only(&objects, "Service", service)["spec"];
        assert!(chooses(&service["selector"]), "{service}");
        for port in service["ports"].as_array().unwrap() {
            assert!(ports.contains(port["targetPort"].as_str().unwrap()), "{port}");
        }
    }
    assert_eq!(nodes["serviceName"], "sekimori-nodes");
    for (kind, at) in [("PodDisruptionBudget", "selector"), ("NetworkPolicy", "podSelector")] {
        assert!(chooses(&only(&objects, kind, "sekimori")["spec"][at]["matchLabels"]), "{kind}");
    }
    let ways = only(&objects, "NetworkPolicy", "sekimori")["spec"]["ingress"].as_array().unwrap();
    for way in ways {
        let port = way["ports"][0]["port"].as_str().unwrap();
        assert!(ports.contains(port));
        assert_eq!(way.get("from").is_none(), port == "https", "everybody reaches the listener alone: {way}");
    }
    for (selector, labels) in [
        (json!({}), json!({ "app.kubernetes.io/name": "prometheus" })),
        (json!({ "app": "agent" }), json!({ "app": "agent" })),
    ] {
        let objects = rendered(&json!({ "monitoring": { "podSelector": selector } }), VERSIONS[1]);
        let ways = &only(&objects, "NetworkPolicy", "sekimori")["spec"]["ingress"];
        assert_eq!(ways[1]["from"][0]["podSelector"]["matchLabels"], labels);
    }
    let files = &only(&objects, "ConfigMap", "sekimori-config")["data"];
    assert_eq!(files["sekimori.toml"], CONFIG, "as it was written, byte for byte");
    assert_eq!(files["vendors.cedar"], "// \"業者\"\n");
}

#[test]
fn nodes_ask_each_other_by_a_port_and_certificates_that_no_other_pod_has() {
    for version in VERSIONS {
        let silent = rendered(&json!({}), version);
        assert!(!json!(silent).to_string().contains("channel"), "no port is open that nobody uses");
        // As an upgrade that keeps the values of a chart from before them.
        assert_eq!(rendered(&json!({ "channel": null }), version), silent);
        let config = format!("{CONFIG}[nodes.channel]\nlisten = \"0.0.0.0:8555\"\n");
        let channel = json!({ "secretName": "of-nodes", "port": 8555 });
        let objects = rendered(&json!({ "config": config, "channel": channel, "replicas": 3 }), version);
        let pod = &only(&objects, "StatefulSet", "sekimori")["spec"]["template"]["spec"];
        let gateway = &pod["containers"][0];
        let ports = gateway["ports"].as_array().unwrap();
        assert!(ports.contains(&json!({ "name": "channel", "containerPort": 8555 })), "{ports:?}");
        // The names of pods lead there, also before a pod is ready.
        let named = &only(&objects, "Service", "sekimori-nodes")["spec"];
        assert_eq!((&named["clusterIP"], &named["publishNotReadyAddresses"]), (&"None".into(), &true.into()));
        let port = json!({ "name": "channel", "port": 8555, "targetPort": "channel" });
        assert!(named["ports"].as_array().unwrap().contains(&port), "{named}");
        assert!(!only(&objects, "Service", "sekimori").to_string().contains("channel"), "people do not reach it");
        let ways = only(&objects, "NetworkPolicy", "sekimori")["spec"]["ingress"].as_array().unwrap();
        let way = ways.iter().find(|way| way["ports"] == json!([{ "port": "channel" }])).unwrap();
        // No namespaceSelector: pods of this namespace, and of this release alone.
        let nodes = json!({ "app.kubernetes.io/name": "sekimori", "app.kubernetes.io/instance": "sekimori" });
        assert_eq!(way["from"], json!([{ "podSelector": { "matchLabels": nodes } }]));
        let kept = pod["volumes"].as_array().unwrap().iter().find(|one| one["name"] == "channel").unwrap();
        let keys: BTreeSet<_> =
            kept["secret"]["items"].as_array().unwrap().iter().map(|item| item["key"].as_str().unwrap()).collect();
        let of_all = ["0.key", "0.pem", "1.key", "1.pem", "2.key", "2.pem"].map(|end| format!("sekimori-{end}"));
        assert!(
            keys.iter().copied().eq(["nodes-ca.pem"].into_iter().chain(of_all.iter().map(String::as_str))),
            "{keys:?}"
        );
        let mounts = gateway["volumeMounts"].as_array().unwrap().iter().filter(|one| one["name"] == "channel");
        let mounted: BTreeSet<_> = mounts
            .map(|one| (one["mountPath"].as_str().unwrap(), one["subPathExpr"].as_str().unwrap(), &one["readOnly"]))
            .map(|(at, of, held)| (at.strip_prefix("/run/credentials/sekimori-node/").unwrap(), of, held == true))
            .collect();
        let own = [("node.key", "$(NODE).key"), ("node.pem", "$(NODE).pem"), ("nodes-ca.pem", "nodes-ca.pem")];
        assert!(mounted.into_iter().eq(own.map(|(at, of)| (at, of, true))), "each node sees its own");
        let name = json!([{ "name": "NODE", "valueFrom": { "fieldRef": { "fieldPath": "metadata.name" } } }]);
        assert_eq!(gateway["env"], name);
    }
}

#[test]
fn values_that_cannot_be_meant_are_refused_before_anything_is_installed() {
    for (values, word) in [
        (json!({}), "[[listener]]"),
        (json!({ "config": CONFIG, "replica": 3 }), "replica"),
        (json!({ "config": CONFIG, "replicas": 0 }), "replicas"),
        (json!({ "config": CONFIG, "replicas": "2" }), "replicas"),
        (json!({ "config": CONFIG, "storage": { "size": "200 GB" } }), "size"),
        (json!({ "config": CONFIG, "image": { "digest": "sha256:0a" } }), "digest"),
        (json!({ "config": CONFIG, "service": { "type": "Loadbalancer" } }), "type"),
        (json!({ "config": CONFIG, "files": { "policy/vendors.cedar": "" } }), "vendors.cedar"),
        (json!({ "config": CONFIG, "channel": { "secretName": "of-nodes" } }), "[nodes.channel]"),
        (json!({ "config": format!("{CONFIG}\n [nodes.channel]") }), "secretName"),
        (json!({ "config": CONFIG, "channel": { "port": 8443 } }), "port"),
        (json!({ "config": CONFIG, "channel": { "secret": "of-nodes" } }), "secret"),
        (json!({ "config": CONFIG, "monitoring": { "podSelector": { "app": 1 } } }), "podSelector"),
    ] {
        let Rendered { problems, .. } = render(&values, VERSIONS[1]);
        assert!(problems.iter().any(|problem| problem.contains(word)), "{values}: {problems:?}");
    }
}
