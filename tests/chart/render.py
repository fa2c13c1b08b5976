"""Renders a Helm chart with Helm's own engine and holds what comes out against the schemas of Kubernetes' API, strictly: a
field that the API does not know is a problem too. Asks no cluster and no network.

  render.py CHART VALUES.json KUBERNETES_VERSION

Prints one JSON object: `lint` (what Helm's linter finds), `objects` (what is rendered) and `problems`.
"""

import json
import pathlib
import sys

import helm_python
import kubernetes_validate
import yaml


def main() -> None:
    chart, values, version = sys.argv[1:]
    values = json.loads(pathlib.Path(values).read_text())
    told = {"lint": [], "objects": [], "problems": []}
    try:
        report = helm_python.lint(chart, values, kube_version=f"v{version}.0")
        told["lint"] = [one["error"] for one in report["messages"]] + report["errors"]
        told["objects"] = [one for text in render(chart, values) for one in yaml.safe_load_all(text) if one]
    except helm_python.HelmError as problem:
        told["problems"].append(str(problem))
    for one in told["objects"]:
        try:
            kubernetes_validate.validate(one, version, strict=True)
        except kubernetes_validate.ValidationError as problem:
            where = ".".join(str(step) for step in problem.path)
            told["problems"].append(f"{one['kind']} {one['metadata']['name']}: {where}: {problem.message}")
        except kubernetes_validate.SchemaNotFoundError as problem:
            told["problems"].append(problem.message)
    print(json.dumps(told, ensure_ascii=False))


def render(chart: str, values: dict) -> list:
    with helm_python.Chart.load(chart) as loaded:
        loaded.validate_schema(values)
        return list(loaded.render(values, name="sekimori", namespace="hospital").values())


if __name__ == "__main__":
    main()
