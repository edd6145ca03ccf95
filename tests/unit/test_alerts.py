"""The rules and the dashboard of deploy/: what they ask for exists, and each rule fires."""

import json
import re
import shutil
import subprocess

import pytest
import yaml

from scripts.reference.metrics import VALUES, metric_names
from tests.support.markdown import anchors
from tests.support.processes import HOME

PROMETHEUS = HOME / "deploy/prometheus"
DASHBOARD = json.loads((HOME / "deploy/grafana/dashboards/movie-bag.json").read_text())
RULES = yaml.safe_load((PROMETHEUS / "rules.yml").read_text())["groups"][0]["rules"]
TEST_FILES = sorted(PROMETHEUS.glob("*.test.yml"))
TESTS = [test for file in TEST_FILES for test in yaml.safe_load(file.read_text())["tests"]]
QUERIES = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
EXPRESSIONS = [*(rule["expr"] for rule in RULES), *QUERIES]

each_rule = pytest.mark.parametrize("rule", RULES, ids=[rule["alert"] for rule in RULES])


def promtool(*arguments):
    if shutil.which("promtool") is None:
        pytest.skip("there is no promtool on PATH")
    command = ["promtool", *arguments]
    ended = subprocess.run(command, cwd=PROMETHEUS, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_metric_exists(expression):
    named = set(re.findall(r"\b(?:movie_bag_\w+|up)\b", expression))
    assert named
    assert named <= {"up", *metric_names()}


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_label_value_exists(expression):
    for label, value in re.findall(
        r'(event|cause|kind|outcome)(?:=|!=|=~|!~)"([^"]+)"', expression
    ):
        assert set(value.split("|")) <= {str(it) for it in VALUES[label]}


@each_rule
class TestRule:
    def test_summary_is_a_sentence(self, rule):
        assert rule["annotations"]["summary"].endswith(".")
        assert rule["labels"]["severity"] in ("page", "ticket")

    def test_runbook_has_its_heading(self, rule):
        page, _, anchor = rule["annotations"]["runbook"].partition("#")
        assert anchor == rule["alert"].lower()
        assert anchor in anchors(HOME / page)

    def test_a_test_lets_it_fire_alone(self, rule):
        (test,) = (it for it in TESTS if it["name"] == rule["alert"])
        quiet, fires = test["promql_expr_test"]
        assert "exp_samples" not in quiet
        labels = f'{{alertname="{rule["alert"]}"}}'
        assert fires["exp_samples"] == [{"labels": labels, "value": 1}]


def test_rules_fire_as_their_tests_say():
    promtool("test", "rules", *TEST_FILES)


def test_configuration_is_valid():
    promtool("check", "config", "prometheus.yml")
