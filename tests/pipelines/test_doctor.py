"""The doctor: what it says of a whole installation, and of every part that may be missing or broken."""

import os
import shutil
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from ctresample.pipelines import doctor
from ctresample.pipelines.doctor import Finding, examine, free_memory_bytes


@pytest.fixture
def priors(tmp_path, monkeypatch):
    """A folder of bundled priors with one that is whole."""
    monkeypatch.setattr(doctor, "BUNDLED_PRIORS", tmp_path)
    monkeypatch.setattr("ctresample.data_tools.describing.models.BUNDLED_PRIORS", tmp_path)
    for part in ("vae", "unet"):
        (tmp_path / "ct8" / part).mkdir(parents=True)
        (tmp_path / "ct8" / part / "diffusion_pytorch_model.safetensors").touch()
    (tmp_path / "ct8" / "prior.json").write_text("{}")
    return tmp_path


def found(name):
    """The one finding of that name."""
    (finding,) = [finding for finding in examine() if finding.name == name]
    return finding


def hide(monkeypatch, package):
    """Let a package seem not to be installed."""
    real = doctor.find_spec
    monkeypatch.setattr(doctor, "find_spec", lambda name: None if name == package else real(name))


def test_this_installation(priors):
    findings = examine()
    names = [finding.name for finding in findings]
    assert names[:3] == ["Python", "ctresample", "torch"]
    assert len(set(names)) == len(names)
    assert not [finding for finding in findings if finding.state == "fail"]
    for finding in findings:
        assert finding.state in ("ok", "warn", "fail")
        assert finding.detail
        assert finding.detail.isprintable()


def test_import_is_light():
    code = (
        "import sys, ctresample.pipelines.doctor; "
        "loaded = {'torch', 'astra', 'h5py', 'pydicom', 'SimpleITK'} & set(sys.modules); assert not loaded, loaded"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("package", "state", "fix"),
    [
        ("torch", "fail", "pip install torch"),
        ("ASTRA", "warn", "pip install 'ctresample[astra]'"),
        ("SimpleITK", "warn", ""),
    ],
)
def test_missing_package(monkeypatch, package, state, fix):
    hide(monkeypatch, package.lower() if package == "ASTRA" else package)
    finding = found(package)
    assert finding.state == state
    assert finding.detail.startswith("not installed")
    assert fix in finding.detail


def test_a_package_that_breaks_stops_no_other_check(monkeypatch):
    """A broken shared library shows as one of many exceptions, whose text may have many lines."""

    class Broken:
        def __getattr__(self, name):
            raise OSError("libcudart.so.12: cannot open\nshared object file")

    monkeypatch.setitem(sys.modules, "torch", Broken())
    findings = {finding.name: finding for finding in examine()}
    assert findings["torch"].state == "fail"
    assert "OSError: libcudart.so.12: cannot open shared object file" in findings["torch"].detail
    assert findings["CPU cores"].state == "ok"


# ---------------------------------------------------------------- devices


def test_cpu_build_with_a_driver(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", None)
    monkeypatch.setattr(shutil, "which", lambda name: "/usr/bin/nvidia-smi" if name == "nvidia-smi" else None)
    assert found("GPU").state == "warn"
    assert "install a CUDA build" in found("GPU").detail
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert found("GPU") == Finding("GPU", "ok", "none; torch runs on the CPU")


def test_cuda_build_without_a_device(monkeypatch):
    def is_available():
        import warnings

        warnings.warn("The NVIDIA driver on your system\nis too old", stacklevel=1)
        return False

    monkeypatch.setattr(torch.cuda, "is_available", is_available)
    monkeypatch.setattr(torch.version, "cuda", "12.8")
    finding = found("GPU")
    assert finding.state == "warn"
    assert "(The NVIDIA driver on your system is too old)" in finding.detail


@pytest.fixture
def two_gpus(monkeypatch):
    """Of which the second runs no code of this build."""
    ones = torch.ones

    def on_device(*shape, device="cpu"):
        if device == "cuda:1":
            raise RuntimeError("CUDA error: no kernel image is available\nfor execution on the device")
        return ones(*shape)

    monkeypatch.setattr(torch, "ones", on_device)
    monkeypatch.setattr(torch.version, "cuda", "12.8")
    fake = {
        "is_available": lambda: True,
        "device_count": lambda: 2,
        "mem_get_info": lambda index: (60e9, 80e9),
        "get_device_name": lambda index: "Tesla",
    }
    for name, function in fake.items():
        monkeypatch.setattr(torch.cuda, name, function)


def test_cuda_devices(two_gpus):
    assert found("GPU 0") == Finding("GPU 0", "ok", "Tesla, 60.0 of 80.0 GB free, CUDA 12.8")
    assert found("GPU 1").state == "fail"
    assert "no kernel image is available for execution" in found("GPU 1").detail


@pytest.mark.cuda
def test_the_real_device():
    assert found("GPU 0").state == "ok"


@pytest.fixture
def astra(monkeypatch):
    """A stand-in whose projections and devices can be chosen."""
    fake = SimpleNamespace(
        create_proj_geom=lambda *args: None,
        create_vol_geom=lambda *args: None,
        create_projector=lambda kind, *args: kind,
        create_sino=lambda volume, projector: (1, np.full((1, 8), 8.0)),
        data2d=SimpleNamespace(delete=lambda number: None),
        projector=SimpleNamespace(delete=lambda number: None),
        use_cuda=lambda: False,
    )
    monkeypatch.setitem(sys.modules, "astra", fake)
    monkeypatch.setattr(doctor, "find_spec", lambda name: object())
    monkeypatch.setattr(doctor, "version", lambda name: "2.5.0")
    return fake


@pytest.mark.parametrize(("cuda", "said"), [(True, "CUDA works"), (False, "without CUDA")])
def test_astra_and_cuda(astra, cuda, said):
    astra.use_cuda = lambda: cuda
    astra.create_projector = lambda kind, *args: {"linear": 1}[kind]  # nothing that runs on a GPU
    finding = found("ASTRA")
    assert finding.state == "ok"
    assert said in finding.detail


def test_astra_that_projects_wrongly(astra):
    astra.create_sino = lambda volume, projector: (1, np.zeros((1, 8)))
    assert found("ASTRA").state == "fail"


# ---------------------------------------------------------------- DICOM, priors, machine


def test_codecs(monkeypatch):
    from pydicom.pixels.decoders import base

    assert "pillow" in found("DICOM JPEG").detail
    assert found("DICOM RLE").state == "ok"
    monkeypatch.setattr(base, "get_decoder", lambda syntax: SimpleNamespace(available_plugins=()))
    assert found("DICOM JPEG") == Finding("DICOM JPEG", "warn", "no decoder; pip install pillow")
    assert "pylibjpeg-openjpeg" in found("DICOM JPEG 2000").detail


def test_priors(priors):
    assert found("priors") == Finding("priors", "ok", "bundled: ct8")
    next((priors / "ct8" / "unet").iterdir()).unlink()
    assert found("priors").state == "fail"
    assert "ct8 lacks its weights" in found("priors").detail
    shutil.rmtree(priors / "ct8")
    assert "none bundled" in found("priors").detail


def test_old_python(monkeypatch):
    monkeypatch.setattr(doctor, "OLDEST_PYTHON", (4, 0))
    assert found("Python").state == "fail"
    assert "expected 4.0 or newer" in found("Python").detail


def test_copied_files(monkeypatch):
    def missing(name):
        raise doctor.PackageNotFoundError(name)

    monkeypatch.setattr(doctor, "version", missing)
    assert found("ctresample").state == "fail"


def test_cores(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {3, 5, 7}, raising=False)
    assert found("CPU cores").detail == "3"


@pytest.mark.parametrize(("free", "state"), [(None, "ok"), (10**9, "warn"), (10**10, "ok")])
def test_memory(monkeypatch, free, state):
    monkeypatch.setattr(doctor, "free_memory_bytes", lambda: free)
    assert found("memory").state == state


@pytest.mark.parametrize(
    ("limit", "used", "expected"),
    [
        pytest.param(None, None, 8_000_000 * 1024, id="no container"),
        pytest.param("max", "5", 8_000_000 * 1024, id="no limit"),
        pytest.param("3000000", "1000000", 2_000_000, id="limit"),
        pytest.param("1", "5", 0, id="over the limit"),
        pytest.param(str(2**62), "0", 8_000_000 * 1024, id="limit above the machine"),
    ],
)
def test_free_memory(tmp_path, limit, used, expected):
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/meminfo").write_text("MemTotal: 9000000 kB\nMemAvailable:    8000000 kB\n")
    if limit:
        group = tmp_path / "sys/fs/cgroup"
        group.mkdir(parents=True)
        (group / "memory.max").write_text(limit + "\n")
        (group / "memory.current").write_text(used + "\n")
    assert free_memory_bytes(tmp_path) == expected


def test_free_memory_unknown(tmp_path):
    assert free_memory_bytes(tmp_path) is None


@pytest.mark.parametrize("path", ["/usr/bin/dciodvfy", None])
def test_dciodvfy_is_optional(monkeypatch, path):
    monkeypatch.setattr(shutil, "which", lambda name: path)
    finding = found("dciodvfy")
    assert finding.state == "ok"
    assert (path or "optional") in finding.detail
