"""What every component promises, checked on all of them at once."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import inspect
import pkgutil
import re
import sys

import pulumi
import pytest

import infra.components
from infra import naming
from infra.naming import ENVIRONMENTS
from tests import declared

ROOT = declared.ROOT
SOURCES = sorted((ROOT / "infra").rglob("*.py"))
MODULES = [
    importlib.import_module(f"infra.components.{module.name}")
    for module in pkgutil.iter_modules(infra.components.__path__)
]
COMPONENTS = [
    member
    for module in MODULES
    for _, member in inspect.getmembers(module, inspect.isclass)
    if issubclass(member, pulumi.ComponentResource) and member.__module__ == module.__name__
]
OBJECT_LABELS = {naming.NAME_LABEL, naming.COMPONENT_LABEL, naming.PART_OF_LABEL, naming.MANAGED_BY_LABEL}
SCOPE_LABELS = {naming.SITE_LABEL, naming.ENVIRONMENT_LABEL, naming.CLASSIFICATION_LABEL}
RESOURCE_MODULES = ("kubernetes", "pulumi_kubernetes")


def args_of(component):
    return getattr(importlib.import_module(component.__module__), f"{component.__name__}Args")


@pytest.fixture(params=[*ENVIRONMENTS, naming.PLATFORM_STACK])
def stack(request, platform):
    return platform if request.param == naming.PLATFORM_STACK else declared.environment(request.param)


def test_there_are_as_many_components_as_the_platform_is_made_of():
    assert {component.__name__ for component in COMPONENTS} == {
        "EdgeProxy",
        "EnvironmentBoundary",
        "EnvironmentSecrets",
        "Filestore",
        "MailSink",
        "Odoo",
        "PostgresCluster",
        "PostgresOperator",
        "Priorities",
        "RefreshHours",
        "RefreshSource",
        "RefreshTarget",
        "SandboxAccess",
        "SandboxRequests",
    }


@pytest.mark.parametrize("component", COMPONENTS)
def test_arguments_are_frozen_keyword_only_and_few(component):
    args = args_of(component)
    assert args.__dataclass_params__.frozen
    assert all(field.kw_only for field in dataclasses.fields(args))
    assert 0 < len(dataclasses.fields(args)) <= 12


@pytest.mark.parametrize("component", COMPONENTS)
def test_every_argument_is_documented(component):
    documentation = inspect.getdoc(args_of(component)) or ""
    missing = [
        field.name
        for field in dataclasses.fields(args_of(component))
        if not re.search(rf"^\s+{field.name}: \S", documentation, re.MULTILINE)
    ]
    assert missing == []


@pytest.mark.parametrize("component", COMPONENTS)
def test_the_documentation_names_what_it_creates_and_the_control_it_implements(component):
    documentation = inspect.getdoc(component) or ""
    assert "Creates" in documentation
    assert re.search(r"Implements\s+45 CFR 164\.", documentation)


@pytest.mark.parametrize("component", COMPONENTS)
def test_a_component_takes_a_name_arguments_and_options(component):
    assert list(inspect.signature(component.__init__).parameters) == ["self", "name", "args", "opts"]


@pytest.mark.parametrize("component", COMPONENTS)
def test_its_last_statement_registers_its_outputs(component):
    constructor = next(
        node
        for node in ast.walk(ast.parse(inspect.getsource(component)))
        if isinstance(node, ast.FunctionDef) and node.name == "__init__"
    )
    last = constructor.body[-1]
    assert isinstance(last, ast.Expr)
    assert ast.unparse(last).startswith("self.register_outputs({")


def test_every_declared_component_registers_outputs_that_are_known(stack):
    components = [resource for resource in stack.resources if resource.component]
    assert components
    for component in components:
        outputs = stack.outputs[component.urn]
        assert outputs, component.name
        assert None not in outputs.values(), component.name


def test_every_resource_has_a_component_as_parent(stack):
    components = {resource.urn for resource in stack.resources if resource.component}
    for resource in stack.resources:
        if not resource.component and resource.kind != "kubernetes":
            assert resource.parent in components, resource.name


def test_every_resource_is_named_after_its_component(stack):
    names = {resource.urn: resource.name for resource in stack.resources if resource.component}
    for resource in stack.resources:
        if resource.parent in names:
            assert resource.name.startswith(f"{names[resource.parent]}-"), resource.name


def test_every_resource_goes_through_our_own_provider(stack):
    (provider,) = [resource for resource in stack.resources if resource.type == "pulumi:providers:kubernetes"]
    for resource in stack.resources:
        if resource.type.startswith("kubernetes:"):
            assert resource.provider.startswith(f"{provider.urn}::"), resource.name


def test_logical_names_are_stable_words_without_hashes(stack):
    assert [resource.name for resource in stack.resources if re.search(r"[0-9a-f]{8,}|Output|<", resource.name)] == []


def test_every_object_carries_the_platforms_labels(stack):
    objects = [resource for resource in stack.resources if resource.type.startswith("kubernetes:")]
    assert objects
    for resource in objects:
        assert set(resource.metadata["labels"]) >= OBJECT_LABELS, resource.name


@pytest.mark.parametrize("environment_name", ENVIRONMENTS)
def test_every_object_and_pod_of_an_environment_says_whose_and_which_data_it_is(environment_name):
    recording = declared.environment(environment_name)
    expected = declared.settings(environment_name).naming.scope_labels()
    assert set(expected) == SCOPE_LABELS
    labelled = [each.metadata["labels"] for each in recording.resources if each.type.startswith("kubernetes:")]
    labelled += [template["metadata"]["labels"] for template in recording.pods().values()]
    labelled.append(recording.of("Cluster")[0].spec["inheritedMetadata"]["labels"])
    assert all(expected.items() <= labels.items() for labels in labelled)


def test_no_value_of_a_resource_is_an_output_written_as_text(stack):
    assert "Calling __str__ on an Output" not in str([resource.inputs for resource in stack.resources])


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_options_are_never_merged_into_children(path):
    calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    assert not [call.lineno for call in calls if ast.unparse(call.func).endswith("ResourceOptions.merge")]


def resources_inside_apply(source):
    """Return the lines on which a resource is made inside a function given to `apply`."""
    tree = ast.parse(source)
    functions = {node.name: node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    found = []
    for call in ast.walk(tree):
        if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "apply"):
            continue
        given = [functions[node.id] for node in call.args if isinstance(node, ast.Name) and node.id in functions]
        given += [node for node in call.args if isinstance(node, ast.Lambda)]
        for node in (inner for function in given for inner in ast.walk(function) if isinstance(inner, ast.Call)):
            name = ast.unparse(node.func)
            if name.startswith(RESOURCE_MODULES) or name in {component.__name__ for component in COMPONENTS}:
                found.append(node.lineno)
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_resource_is_made_inside_an_apply(path):
    assert resources_inside_apply(path.read_text()) == []


def test_the_search_for_resources_inside_an_apply_finds_one():
    source = "value.apply(lambda name: kubernetes.core.v1.Namespace(name))"
    assert resources_inside_apply(source) == [1]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_modules_stay_small_enough_to_read(path):
    assert len(path.read_text().splitlines()) <= 400
    tree = ast.parse(path.read_text())
    long = [
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and (node.end_lineno or 0) - node.lineno > 75
    ]
    assert long == []


def test_the_program_is_short():
    assert len((ROOT / "infra" / "__main__.py").read_text().splitlines()) <= 30


def test_no_module_hides_one_of_pythons_own():
    """Pulumi puts infra/ first on the import path: a file called platform.py there would replace the standard one."""
    top = {path.stem for path in (ROOT / "infra").glob("*.py")} | {
        path.name for path in (ROOT / "infra").iterdir() if path.is_dir()
    }
    assert top & set(sys.stdlib_module_names) == set()
