"""The platform's own images: their definitions, module checksums and the order they are made in."""

from __future__ import annotations

import dataclasses
import io
import subprocess
import sysconfig
import tarfile
from pathlib import Path

import pytest
import yaml

from odoo_image import baseline, build, specs
from odoo_image.baseline_session import write_filestore
from odoo_image.modules import module_checksums, module_versions, refuse_unknown
from toolchain.errors import BuildFailed, ToolchainError
from toolchain.images.containerfile import parse, render
from toolchain.images.oci import ImageConfig, OciStore
from toolchain.paths import Paths
from toolchain.tasks import order

HADOLINT = Path(sysconfig.get_path("scripts")) / "hadolint"
VALUES = {
    "odoo_version": specs.ODOO_VERSION,
    "odoo_package": "19.0.0",
    "postgresql_package": "17.12-0",
    "nginx_package": "1.26",
    "psycopg_package": "3.2.6-1",
    "version": "1.29.0",
    "major": specs.POSTGRESQL_MAJOR,
    "uid": 10019,
    "baseline": "demo",
    "odoo_image": "careops.local/odoo:19.0",
}
TEMPLATES = sorted(specs.TEMPLATES.glob("Containerfile.*.j2"))


@pytest.fixture
def paths(tmp_path):
    return Paths(root=tmp_path, state=tmp_path / "state", cache=tmp_path / "cache")


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_every_image_definition_is_of_the_supported_subset_and_names_a_user_unless_its_base_does(template):
    instructions = parse(render(template, VALUES))
    names = [instruction.name for instruction in instructions]
    assert "USER" in names or instructions[0].arguments != ("scratch",)


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_hadolint_has_nothing_against_any_image_definition(template):
    done = subprocess.run([HADOLINT, "-"], input=render(template, VALUES), capture_output=True, text=True, check=False)
    assert done.stdout + done.stderr == ""
    assert done.returncode == 0


def test_hadolint_would_find_something():
    done = subprocess.run(
        [HADOLINT, "-"], input="FROM debian\nUSER root\n", capture_output=True, text=True, check=False
    )
    assert done.returncode != 0


@pytest.mark.parametrize(
    "script", [specs.EDGE / "careops-edge", specs.GUARD / "careops-odoo"], ids=lambda path: path.name
)
def test_shellcheck_has_nothing_against_the_entry_points(script):
    shellcheck = Path(sysconfig.get_path("scripts")) / "shellcheck"
    done = subprocess.run([shellcheck, script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def rootfs(path, files):
    with tarfile.open(path, "w") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(f"./{specs.ADDONS.lstrip('/')}/{name}")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    return path


CRM = {"crm/__manifest__.py": "{}", "crm/models/a.py": "x = 1", "crm/i18n/fr.po": "un"}


def test_a_module_s_checksum_follows_its_files_and_not_its_byte_code(tmp_path):
    before = module_checksums(rootfs(tmp_path / "a.tar", CRM), specs.ADDONS)
    compiled = {
        **CRM,
        "crm/__pycache__/a.cpython-313.pyc": "any",
        "crm_notes.txt": "no module",
        "lib/x.py": "no manifest",
    }
    assert module_checksums(rootfs(tmp_path / "b.tar", compiled), specs.ADDONS) == before
    assert set(before) == {"crm"}
    for change in ({"crm/models/a.py": "x = 2"}, {"crm/i18n/fr.po": "deux"}, {"crm/models/b.py": ""}):
        assert module_checksums(rootfs(tmp_path / "c.tar", {**CRM, **change}), specs.ADDONS) != before
    moved = {**CRM, "crm/models/b.py": CRM["crm/models/a.py"]}
    del moved["crm/models/a.py"]
    assert module_checksums(rootfs(tmp_path / "d.tar", moved), specs.ADDONS) != before


def test_a_module_s_version_is_written_as_odoo_records_it(tmp_path):
    files = {
        "crm/__manifest__.py": "# comment\n{'name': 'CRM', 'version': '1.9'}",
        "base/__manifest__.py": "{'version': '19.0.1.3'}",
        "web/__manifest__.py": "{}",
        "web/static/lib/__manifest__.py": "{'version': '7.0'}",
        "notes/readme.py": "{'version': '1.0'}",
    }
    found = module_versions(rootfs(tmp_path / "a.tar", files), specs.ADDONS, "19.0")
    assert found == {"base": "19.0.1.3", "crm": "19.0.1.9", "web": "19.0.1.0"}


def test_the_languages_of_every_site_of_this_repository_are_in_the_baselines():
    sites = [yaml.safe_load(path.read_text()) for path in (specs.GUARD.parents[1] / "sites").glob("*.yaml")]
    named = {code for site in sites for code in site["languages"]}
    assert named
    assert named - {"en_US"} <= set(specs.BASELINE_LANGUAGES)
    assert {code.split("_")[0] for code in specs.BASELINE_LANGUAGES} <= set(specs.LANGUAGES)


def test_another_list_of_languages_gives_other_baselines(tmp_path, monkeypatch):
    (tmp_path / "packages.lock").write_text("odoo-19=1")
    before = baseline.key(tmp_path, tmp_path)
    monkeypatch.setattr(specs, "BASELINE_LANGUAGES", ("nl_NL",))
    assert baseline.key(tmp_path, tmp_path) != before


def test_a_site_s_module_that_does_not_exist_is_refused_by_name():
    refuse_unknown(["crm"], {"crm": "1"})
    with pytest.raises(ToolchainError, match="helpdesk, sgin"):
        refuse_unknown(["crm", "sgin", "helpdesk"], {"crm": "1", "sign": "1"})


def test_a_filestore_archive_is_the_same_whenever_it_is_made_and_leaves_the_checklist_out(tmp_path):
    store = tmp_path / "store"
    for name in ("ab/ab1", "aa/aa1", "checklist/ab/ab1"):
        (store / name).parent.mkdir(parents=True, exist_ok=True)
        (store / name).write_text(name)
    write_filestore(store, tmp_path / "one.tar")
    (store / "aa/aa1").touch()
    write_filestore(store, tmp_path / "two.tar")
    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()
    with tarfile.open(tmp_path / "one.tar") as archive:
        assert archive.getnames() == ["aa/aa1", "ab/ab1"]


def test_baselines_come_after_both_root_file_systems_and_after_the_check_of_the_sites_modules(paths):
    names = order(build.tasks(paths))
    for earlier in ("rootfs-odoo", "rootfs-postgresql", "odoo-modules"):
        assert names.index(earlier) < names.index("odoo-baselines") < names.index("image-odoo")


def test_images_that_were_not_made_are_named(paths):
    with pytest.raises(
        BuildFailed, match="odoo, baseline-standard, baseline-demo, postgresql, edge, refresh, cloudnative-pg"
    ):
        build.image_refs(paths)


def test_the_references_pin_tag_and_digest_and_a_damaged_image_counts_as_missing(paths):
    store = OciStore(paths.oci)
    for name in build.IMAGE_NAMES:
        ref = store.add_image(f"careops.local/{name}:1", ImageConfig(user=name), [])
        paths.images.mkdir(parents=True, exist_ok=True)
        (paths.images / name).write_text(f"{ref}\n")
    refs = build.image_refs(paths)
    assert refs["odoo"].startswith("careops.local/odoo:1@sha256:")
    store.blob_path(refs["edge"].rsplit("@", 1)[1]).unlink()
    with pytest.raises(BuildFailed, match="images edge are not there"):
        build.image_refs(paths)


def test_two_checkouts_on_one_cache_see_each_its_own_images_under_the_same_tag(paths, tmp_path):
    other = dataclasses.replace(paths, state=tmp_path / "other")
    store = OciStore(paths.oci)
    for checkout, user in ((paths, "1"), (other, "2")):
        checkout.images.mkdir(parents=True)
        for name in build.IMAGE_NAMES:
            ref = store.add_image(f"careops.local/{name}:1", ImageConfig(user=user), [])
            (checkout.images / name).write_text(f"{ref}\n")
    mine, theirs = build.images(paths)["edge"], build.images(other)["edge"]
    assert mine.tagged == theirs.tagged
    assert [store.config(ref)["config"]["User"] for ref in (mine, theirs)] == ["1", "2"]


def test_the_odoo_image_brings_the_whole_guard():
    packages = {path.name for path in (specs.GUARD / "careops_odoo").glob("*.py")}
    assert {"__main__.py", "migrate.py", "personalise.py", "mailsink.py"} <= packages
    compile((specs.GUARD / "careops_odoo/personalise.py").read_text(), "personalise.py", "exec")
