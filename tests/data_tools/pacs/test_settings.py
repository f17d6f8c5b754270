"""The config file of archives: what it takes, what it says of mistakes, and that it keeps secrets."""

import pytest

from ctresample.data_tools.pacs import Search, open_archive, read_node
from ctresample.errors import ArchiveError, UsageError

DIMSE = 'type = "dimse"\nhost = "pacs.example"\nport = 104\nae_title = "PACS"\n'
WEB = 'type = "dicomweb"\nurl = "https://pacs.example/dicom-web/"\n'
SECRET = "hunter2"  # noqa: S105 - of nobody


@pytest.fixture
def read(tmp_path):
    """The node "a-1" of a config file, and the warnings."""

    def run(text, mode=0o600):
        path = tmp_path / "pacs.toml"
        path.write_text(text if text.startswith("[") else f"[nodes.a-1]\n{text}")
        path.chmod(mode)
        warnings = []
        return read_node("a-1", path, on_warning=warnings.append), warnings

    return run


def test_nodes(read, monkeypatch):
    node, warnings = read(DIMSE)
    assert (node.place, node.own_ae_title, node.retrieve, node.tls) == (
        "a-1 (pacs.example:104)",
        "CTRESAMPLE",
        "get",
        None,
    )
    node, warnings = read(f'{WEB}user = "reader"\npassword = "{SECRET}"')
    assert node.url == "https://pacs.example/dicom-web"
    assert node.password.get_secret_value() == SECRET
    assert SECRET not in repr(node)
    assert warnings == []
    monkeypatch.setenv("CTRESAMPLE_A_1_TOKEN", "t0ken")
    node, _ = read(WEB)
    assert node.token.get_secret_value() == "t0ken"
    monkeypatch.setenv("CTRESAMPLE_A_1_TOKEN", "")
    monkeypatch.setenv("CTRESAMPLE_A_1_PASSWORD", "other")
    node, _ = read(f'{WEB}user = "reader"\npassword = "{SECRET}"')
    assert node.password.get_secret_value() == "other"


def test_files_begin_at_the_folder_of_the_config_file(read, tmp_path):
    (tmp_path / "ca.pem").touch()
    node, _ = read(f'{DIMSE}[nodes.a-1.tls]\nca_file = "ca.pem"')
    assert node.tls.ca_file == tmp_path / "ca.pem"
    with pytest.raises(ArchiveError, match=r"ca\.pem holds no usable certificates"):
        node.tls.client_context()


@pytest.mark.parametrize(("mode", "warned"), [(0o600, 0), (0o400, 0), (0o640, 1), (0o604, 1)])
def test_secrets_that_others_may_read(read, mode, warned):
    _, warnings = read(f'{WEB}token = "{SECRET}"', mode)
    assert len(warnings) == warned
    assert all("chmod 600" in line and SECRET not in line for line in warnings)
    assert read(WEB, mode)[1] == []  # there is none in it


def test_secrets_on_an_open_line(read):
    _, warnings = read(f'type = "dicomweb"\nurl = "http://pacs.example"\ntoken = "{SECRET}"')
    assert len(warnings) == 1
    assert "unencrypted" in warnings[0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[nodes.b]\n", "has no node 'a-1'; expected one of: b"),
        ("[nodes]\na-1 = 3\n", "expected archives as [nodes.NAME] tables"),
        ("[other]\n", "expected archives as [nodes.NAME] tables"),
        ("[nodes.a-1\n", "is no valid TOML"),
        ("", 'nodes.a-1.type: expected "dimse" or "dicomweb"'),
        ('type = ["dimse"]', 'nodes.a-1.type: expected "dimse" or "dicomweb"'),
        (DIMSE.replace("104", "70000"), "nodes.a-1.port: "),
        (DIMSE.replace("104", '"104"'), "nodes.a-1.port: "),
        (DIMSE.replace('"PACS"', '"SEVENTEEN-LETTERS"'), "nodes.a-1.ae_title: "),
        (DIMSE.replace('"PACS"', '" PACS"'), "nodes.a-1.ae_title: "),
        (DIMSE.replace("host", "hots"), "nodes.a-1.host: "),
        (f'{DIMSE}pasword = "{SECRET}"', "nodes.a-1.pasword: "),
        (f'{DIMSE}password = "{SECRET}"', "nodes.a-1.password: "),
        (f'{DIMSE}retrieve = "move"', "own_port"),
        (f"{DIMSE}own_port = 11112", "own_port"),
        (f'{DIMSE}retrieve = "move"\nown_port = 11112\n[nodes.a-1.tls]', "needs tls.certificate_file"),
        (f'{DIMSE}[nodes.a-1.tls]\nca_file = "none.pem"', "nodes.a-1.tls.ca_file: "),
        (f'{DIMSE}[nodes.a-1.tls]\ncertificate_file = "pacs.toml"', "certificate_file and key_file go together"),
        (f'{WEB}user = "reader"', "expected user and password (also as CTRESAMPLE_A_1_PASSWORD)"),
        (f'{WEB}user = "reader"\npassword = "{SECRET}"\ntoken = "{SECRET}"', "a token, or none"),
        (f'{WEB}password = ["{SECRET}"]', "nodes.a-1.password: "),
        (f'{WEB}timeout_s = -1\npassword = "{SECRET}"', "nodes.a-1.timeout_s: "),
        ('type = "dicomweb"\nurl = "ftp://pacs.example"', "nodes.a-1.url: "),
        (f'type = "dicomweb"\nurl = "https://me:{SECRET}@pacs.example"', "no user and password in the address"),
        ('type = "dicomweb"\nurl = "http://pacs.example"\n[nodes.a-1.tls]', "does not begin with https"),
    ],
)
def test_mistakes(read, tmp_path, text, message):
    with pytest.raises(ArchiveError) as caught:
        read(text)
    assert message in str(caught.value)
    assert str(caught.value).startswith(str(tmp_path / "pacs.toml"))
    assert "\n" not in str(caught.value)
    assert SECRET not in str(caught.value)


def test_no_config_file(tmp_path, cli, monkeypatch):
    with pytest.raises(ArchiveError, match="cannot be read"):
        read_node("a", tmp_path / "none.toml")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    done = cli("fetch", "a", "--study", "1.2")
    assert done.exit_code == 1
    assert "pacs.toml cannot be read" in done.stderr


def test_extra_that_is_missing(read, monkeypatch):
    import sys

    for name in ("dimse", "dicomweb"):
        monkeypatch.delitem(sys.modules, f"ctresample.data_tools.pacs.{name}", raising=False)
    for text, package in ((DIMSE, "pynetdicom"), (WEB, "requests")):
        monkeypatch.setitem(sys.modules, package, None)
        monkeypatch.delitem(sys.modules, "ctresample.data_tools.pacs.association", raising=False)
        with pytest.raises(ArchiveError, match=r'pip install "ctresample\[pacs\]"'):
            open_archive(read(text)[0])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({}, "nothing to look for"),
        ({"modality": "CT"}, "nothing to look for"),
        ({"study_uid": "1.2.x"}, "--study"),
        ({"series_uid": "../../x"}, "--series"),
        ({"date": "2024-03-01"}, "--date"),
        ({"date": "20240231"}, "--date"),
        ({"date": "-"}, "--date"),
        ({"date": "20240302-20240301"}, "--date"),
        ({"patient_id": "a\\b"}, "--patient-id"),
        ({"accession": "a\n"}, "--accession"),
        ({"patient_id": "a", "modality": "ct"}, "--modality"),
    ],
)
def test_searches_that_cannot_be(words, message):
    with pytest.raises(UsageError, match=message):
        Search(**words)


@pytest.mark.parametrize("date", ["20240229", "20240301-20240301", "20240301-", "-20240301"])
def test_dates(date):
    assert Search(date=date).study_keys == {"StudyDate": date}
