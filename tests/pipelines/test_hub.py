"""Priors for the hub: the layout, the card's metadata, and pushing to a hub that is played by a server here."""

import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import yaml
from typer.testing import CliRunner

from ctresample import ReSamplePipeline
from ctresample.cli import app
from ctresample.errors import OutputError, PriorError, UsageError
from ctresample.learned.folders import find_prior
from ctresample.pipelines import hub
from ctresample.testing import priors

TOKEN = "of a test"  # noqa: S105
CARD = "# Model card: toy\n\nWords.\n"


@pytest.fixture
def prior(tmp_path):
    folder = tmp_path / "toy"
    priors.random_prior().save_pretrained(folder)
    config = json.loads((folder / "prior.json").read_text())
    (folder / "prior.json").write_text(json.dumps(config | {"provenance": {"licence": "CC BY 4.0"}}))
    (folder / "README.md").write_text(CARD)
    (folder / "picture.png").write_bytes(b"png")
    (folder / "checkpoint.pt").write_bytes(b"not for others")
    return folder


class FakeHub(BaseHTTPRequestHandler):
    """As much of the hub as creating a repository and one commit of small files take."""

    def log_message(self, *_words):
        pass

    def do_GET(self):
        self._answer({"error": "You are not allowed"}, 403)

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.asked.append((self.path, self.headers.get("Authorization")))
        if self.server.refuses:
            self._answer({"error": "You are not allowed"}, 403)
        elif self.path.endswith("/repos/create"):
            self.server.created = json.loads(body)
            self._answer({"url": f"http://{self.headers['Host']}/my-lab/chest-ct", "name": "my-lab/chest-ct"})
        elif "/preupload/" in self.path:
            files = json.loads(body)["files"]
            self._answer(
                {"files": [{"path": one["path"], "uploadMode": "regular", "shouldIgnore": False} for one in files]}
            )
        elif "/commit/" in self.path:
            lines = [json.loads(line) for line in body.splitlines()]
            files = [line["value"] for line in lines if line["key"] == "file"]
            self.server.files = {one["path"]: base64.b64decode(one["content"]) for one in files}
            self._answer(
                {
                    "success": True,
                    "commitOid": "0" * 40,
                    "commitUrl": f"http://{self.headers['Host']}/my-lab/chest-ct/commit/{'0' * 40}",
                    "hookOutput": "",
                }
            )
        else:
            self._answer({})

    def _answer(self, content, status=200):
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def fake():
    server = ThreadingHTTPServer(("127.0.0.1", 0), FakeHub)
    server.asked, server.files, server.refuses = [], {}, False
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def api(fake, monkeypatch):
    from huggingface_hub import HfApi, constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)  # as tests are run; this server is no network
    return HfApi(endpoint=f"http://127.0.0.1:{fake.server_address[1]}", token=TOKEN)


def test_push(prior, fake, api):
    files, url = hub.push(prior, "my-lab/chest-ct", private=True, api=api)
    assert "my-lab/chest-ct" in url
    assert fake.created["name"] == "chest-ct"
    assert fake.created.get("private") or fake.created.get("visibility") == "private"
    assert {authorization for _, authorization in fake.asked} == {f"Bearer {TOKEN}"}
    assert sorted(fake.files) == files
    assert "checkpoint.pt" not in files
    for name in ("prior.json", "unet/diffusion_pytorch_model.safetensors", "picture.png"):
        assert fake.files[name] == (prior / name).read_bytes()
    _, about, card = fake.files["README.md"].decode().split("---\n", 2)
    about = yaml.safe_load(about)
    assert about["library_name"] == "ctresample"
    assert (about["license"], about["license_name"]) == ("other", "CC BY 4.0")
    assert "computed-tomography" in about["tags"]
    assert card.strip() == CARD.strip()
    index = json.loads(fake.files["model_index.json"])
    assert index["_class_name"] == ReSamplePipeline.__name__
    assert index["unet"] == ["diffusers", "UNet2DModel"]
    assert (prior / "README.md").read_text() == CARD  # what is at home stays as it is


def test_a_hub_that_refuses_is_one_line(prior, fake, api):
    fake.refuses = True
    with pytest.raises(OutputError, match=r"my-lab/chest-ct was not pushed: .*hf auth login"):
        hub.push(prior, "my-lab/chest-ct", api=api)


def test_a_dry_run_needs_no_hub(prior):
    done = CliRunner().invoke(app, ["prior", "push", str(prior), "my-lab/chest-ct", "--dry-run"])
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[-1].endswith("nothing was pushed")
    assert "unet/diffusion_pytorch_model.safetensors" in done.stdout.splitlines()


def test_what_cannot_be_pushed(prior):
    with pytest.raises(UsageError, match="expected OWNER/NAME"):
        hub.push(prior, "chest-ct", dry_run=True)
    config = json.loads((prior / "prior.json").read_text())
    (prior / "prior.json").write_text(json.dumps(config | {"provenance": {}}))
    with pytest.raises(PriorError, match="states no licence"):
        hub.push(prior, "my-lab/chest-ct", dry_run=True)
    (prior / "README.md").unlink()
    with pytest.raises(PriorError, match="ctresample prior card"):
        hub.push(prior, "my-lab/chest-ct", dry_run=True)


def test_the_bundled_prior_has_the_card_that_the_hub_expects():
    folder = find_prior("ct256")
    _, about, _ = (folder / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    assert yaml.safe_load(about)["model_name"] == "ct256"


def test_a_name_of_the_hub_is_found_where_it_was_fetched_and_never_downloaded(prior, tmp_path, monkeypatch):
    import huggingface_hub.constants

    snapshot = tmp_path / "cache" / "models--my-lab--chest-ct" / "snapshots" / ("a" * 40)
    snapshot.parent.mkdir(parents=True)
    hub_files = tmp_path / "files"
    hub_files.mkdir()
    hub.hub_folder(prior, hub_files)
    hub_files.rename(snapshot)
    (snapshot.parents[1] / "refs").mkdir()
    (snapshot.parents[1] / "refs" / "main").write_text("a" * 40)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    assert find_prior("my-lab/chest-ct") == snapshot
    assert ReSamplePipeline.from_pretrained("my-lab/chest-ct").prior.config.name == "toy"
    with pytest.raises(PriorError, match="hf download my-lab/other"):
        find_prior("my-lab/other")
