"""The subset of the Containerfile language that images are defined in."""

from __future__ import annotations

import tarfile

import pytest

from toolchain.errors import BuildFailed
from toolchain.images.containerfile import assemble, parse, render
from toolchain.images.context import BuildContext, Link
from toolchain.images.oci import OciStore


@pytest.fixture
def store(tmp_path):
    return OciStore(tmp_path / "oci")


def rootfs(tmp_path):
    with tarfile.open(tmp_path / "rootfs.tar", "w") as archive:
        archive.addfile(tarfile.TarInfo("etc"))
    return tmp_path / "rootfs.tar"


def built(store, text, members=None):
    return assemble(store, "careops.local/x:1", text, BuildContext(members or {}))


def names(store, ref, layer=-1):
    with tarfile.open(store.blob_path(store.layers(ref)[layer].digest)) as archive:
        return {member.name: member for member in archive.getmembers()}


def test_an_undefined_name_in_a_template_is_an_error(tmp_path):
    (tmp_path / "Containerfile.x.j2").write_text("FROM scratch\nUSER {{ uid }}\n")
    assert render(tmp_path / "Containerfile.x.j2", {"uid": 5}) == "FROM scratch\nUSER 5\n"
    with pytest.raises(BuildFailed, match="'uid' is undefined"):
        render(tmp_path / "Containerfile.x.j2", {"Uid": 5})


def test_every_supported_instruction_reaches_the_configuration(store, tmp_path):
    ref = built(
        store,
        """\
# a comment
FROM scratch
ADD rootfs.tar /
ENV A="two words" \\
    B=2
ENV B=3
LABEL io.x=y
EXPOSE 8069 53/udp
WORKDIR /srv
USER 10:20
STOPSIGNAL SIGQUIT
ENTRYPOINT ["/init", "--"]
CMD ["run"]
""",
        {"rootfs.tar": rootfs(tmp_path)},
    )
    assert store.config(ref)["config"] == {
        "Env": ["A=two words", "B=3"],
        "Labels": {"io.x": "y"},
        "ExposedPorts": {"8069/tcp": {}, "53/udp": {}},
        "WorkingDir": "/srv",
        "User": "10:20",
        "StopSignal": "SIGQUIT",
        "Entrypoint": ["/init", "--"],
        "Cmd": ["run"],
    }


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("RUN apt-get update", "RUN is not supported"),
        ("ARG X", "ARG is not supported"),
        ("COPY --from=other a /a", "--from is not supported"),
        ("COPY a", "a source and a destination"),
        ("COPY --chown=odoo a /a", "not numeric"),
        ("COPY --chmod=u+x a /a", "not numeric"),
        ("COPY absent /a", "absent is not in the context"),
        ("COPY a relative", "not absolute"),
        ("COPY a b /both", "several sources"),
        ("ADD a /", "not a tar"),
        ("ADD rootfs.tar /usr", "unpacks a root file system at /"),
        ("ENTRYPOINT /init", "not in exec form"),
        ("CMD [1]", "not a list of strings"),
        ("ENV A", "name=value"),
        ('ENV A="x', "cannot be split"),
        ("USER a b", "takes 1 word"),
        ("FROM scratch", "exactly one FROM"),
        ("ENV A=1 \\", "continuation"),
    ],
)
def test_what_the_assembler_would_do_differently_from_a_real_builder_is_refused_with_its_line(
    store, tmp_path, line, message
):
    members = {"a": b"", "b": b"", "rootfs.tar": rootfs(tmp_path)}
    with pytest.raises(BuildFailed, match=message) as caught:
        built(store, f"FROM scratch\n\n{line}\n", members)
    assert "line 3" in str(caught.value)


@pytest.mark.parametrize("text", ["", "ENV A=1\n", "ENV A=1\nFROM scratch\n"])
def test_a_definition_without_a_first_from_is_refused(text):
    with pytest.raises(BuildFailed, match="exactly one FROM"):
        parse(text)


def test_copy_of_a_file_a_folder_and_a_link(store, tmp_path):
    folder = tmp_path / "guard"
    (folder / "sub" / "__pycache__").mkdir(parents=True)
    (folder / "sub" / "__pycache__" / "x.pyc").write_bytes(b"")
    (folder / "run").write_bytes(b"#!")
    (folder / "run").chmod(0o755)
    (folder / "sub" / "data").write_bytes(b"d")
    ref = built(
        store,
        "FROM scratch\nCOPY one /etc/two\nCOPY one /srv/\nCOPY --chown=1:2 --chmod=0440 guard /opt/g\nCOPY root/ /\n",
        {"one": b"1", "guard": folder, "root/manager": Link(target="operator/manager_amd64")},
    )
    assert set(names(store, ref, 0)) == {"etc/two"}
    assert set(names(store, ref, 1)) == {"srv/one"}
    guard = names(store, ref, 2)
    assert set(guard) == {"opt/g/run", "opt/g/sub", "opt/g/sub/data"}, "no byte code"
    assert {(m.uid, m.gid) for m in guard.values()} == {(1, 2)}
    assert guard["opt/g/run"].mode == 0o440
    assert guard["opt/g/sub"].mode == 0o755
    assert names(store, ref, 3)["manager"].linkname == "operator/manager_amd64"


def test_copy_without_chmod_keeps_whether_it_is_a_program_and_nothing_of_the_builder_s_umask(store, tmp_path):
    program, data = tmp_path / "p", tmp_path / "d"
    program.write_bytes(b"")
    program.chmod(0o700)
    data.write_bytes(b"")
    data.chmod(0o660)
    ref = built(store, "FROM scratch\nCOPY p d /x/\n", {"p": program, "d": data})
    assert {name: m.mode for name, m in names(store, ref).items()} == {"x/p": 0o755, "x/d": 0o644}


def test_an_image_on_another_inherits_its_layers_and_settings_but_not_its_arguments_for_another_program(store):
    base = built(store, 'FROM scratch\nCOPY a /a\nENV A=1\nUSER 7\nENTRYPOINT ["/a"]\nCMD ["x"]\n', {"a": b""})
    child = assemble(store, "careops.local/y:1", f'FROM {base}\nENV B=2\nENTRYPOINT ["/b"]\n', BuildContext({}))
    assert store.layers(child) == store.layers(base)
    assert store.config(child)["config"] == {"Env": ["A=1", "B=2"], "User": "7", "Entrypoint": ["/b"]}


def test_an_unknown_base_image_is_refused(store):
    with pytest.raises(BuildFailed, match=r"base image careops.local/none:1@\S+ is not in the store"):
        built(store, f"FROM careops.local/none:1@sha256:{'0' * 64}\n")


def test_a_base_image_named_by_a_tag_alone_is_refused_because_it_may_be_another_checkout_s(store):
    base = built(store, "FROM scratch\nUSER 7\n")
    with pytest.raises(BuildFailed, match="by a tag alone"):
        built(store, f"FROM {base.tagged}\n")
