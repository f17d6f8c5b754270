"""What users import, and that they may hand over what they have: text for paths, arrays of any kind."""

import doctest
import importlib
import inspect
import pkgutil
import pydoc
import re
import sys
from dataclasses import replace

import numpy as np
import pytest

import ctresample

NAMES = sorted({*ctresample._EXPORTS, *ctresample._MODULES})


@pytest.fixture(autouse=True)
def one_thread(in_one_thread):
    with in_one_thread():
        yield


def every_module():
    """All modules of the package, imported."""
    for found in pkgutil.walk_packages(ctresample.__path__, "ctresample."):
        yield importlib.import_module(found.name)


def test_no_attribute_hides_a_module():
    hiding = []
    for module in every_module():
        parent, _, name = module.__name__.rpartition(".")
        if getattr(sys.modules[parent], name) is not module:
            hiding.append(module.__name__)
    assert not hiding


def test_every_solver_is_found_by_its_name():
    import ctresample.solvers.resample.hard_consistency as h
    from ctresample.pipelines.reconstruction.methods import METHODS

    assert h.Problem
    for method in METHODS.values():
        solver = getattr(ctresample.solvers, method.name.replace("-", "_"))
        assert inspect.signature(solver) == inspect.signature(method.load_solver())


def test_a_solver_is_called_by_its_module():
    import torch

    grid = ctresample.ImageGrid((8, 8), 1.0)
    scan = ctresample.ParallelBeam.for_grid(grid, 4)
    y = torch.rand(1, 1, *scan.shape, generator=torch.Generator().manual_seed(0))
    assert torch.equal(ctresample.solvers.fbp(y, scan, grid), ctresample.fbp(y, scan, grid))


def test_help_is_a_table_of_contents():
    """Every public name with a line, and no class or function in full."""
    text = pydoc.plain(pydoc.render_doc(ctresample))
    contents = text.partition("PACKAGE CONTENTS")[0]
    assert [name for name in NAMES if name not in contents] == []
    assert len(text.splitlines()) < 160
    assert "CLASSES" not in text


@pytest.mark.parametrize(
    "place",
    [
        "ctresample.pipelines.scan.simulate",
        "ctresample.pipelines.reconstruction.reconstruct",
        "ctresample.pipelines.resample_pipeline",
        "ctresample.testing.posterior",
        "ctresample.result",
        "ctresample.volume",
        "ctresample.sinogram",
        "ctresample.operators.base",
        "ctresample.metrics.image",
        "ctresample.units",
        "ctresample.data_tools.dicom.read",
        "ctresample.data_tools.sinogram.writing",
        "ctresample.solvers.fbp",
        "ctresample.solvers.tv",
        "ctresample.learned.latent_prior",
    ],
)
def test_examples_run(place, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    module = importlib.import_module(place)
    result = doctest.testmod(module, optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    assert result.attempted and not result.failed


# ---------------------------------------------------------------- paths


def functions_of(value):
    """The function itself, or the public methods of a class that are written in Python."""
    named = inspect.getmembers(value) if inspect.isclass(value) else [("", value)]
    plain = (getattr(member, "__func__", member) for name, member in named if not name.startswith("_"))
    return filter(inspect.isfunction, plain)


def constructors_of(value):
    return [value.__init__] if inspect.isclass(value) and inspect.isfunction(value.__init__) else []


def test_paths_are_declared_to_be_text_too():
    """Of every public function and class: its annotation is what type checkers go by."""
    parameters = [
        f"{name} {function.__name__}({parameter})"
        for name in ctresample._EXPORTS
        for function in functions_of(getattr(ctresample, name))
        for parameter in inspect.signature(function).parameters.values()
    ]
    assert [one for one in parameters if "Path" in one and "StrPath" not in one and "PathLike" not in one] == []
    assert sum("StrPath" in one for one in parameters) > 10


def test_no_argument_may_be_anything():
    """`Any` switches the type checker off; NumPy's own may be left open in what an array holds."""
    open_to_all = [
        f"{name} {function.__name__}({parameter})"
        for name in ctresample._EXPORTS
        for function in {*functions_of(getattr(ctresample, name)), *constructors_of(getattr(ctresample, name))}
        if function.__module__.startswith("ctresample.")  # diffusers' own do
        for parameter in inspect.signature(function).parameters.values()
        if re.search(r"\bAny\b", re.sub(r"(NDArray|floating)\[Any\]", "", str(parameter.annotation)))
    ]
    assert open_to_all == []


def test_paths_as_text(tmp_path, monkeypatch):
    """The whole way, from a folder named in words to another."""
    monkeypatch.chdir(tmp_path)
    hu = np.full((2, 16, 16), -1000.0)
    hu[:, 4:12, 4:12] = 40
    volume = ctresample.Volume(hu, np.diag([10.0, 10, 2, 1]))
    made = ctresample.reconstruct(ctresample.simulate(volume, n_views=8, size=16), method="fbp")
    made.to_dicom("series")
    read = ctresample.read_ct_series("series")
    scan = ctresample.simulate("series", n_views=8, size=16)
    assert read.hu.shape == (2, 16, 16)
    ctresample.write_sinogram(scan, "scan.h5")
    same = ctresample.read_sinogram("scan.h5")
    np.testing.assert_array_equal(same.values, scan.values)
    result = ctresample.reconstruct("scan.h5", method="fbp")
    result.to_nifti("image.nii.gz")
    result.save("all", formats=("dicom", "nrrd"))
    assert sorted(path.name for path in (tmp_path / "all").iterdir()) == [
        "dicom",
        "reconstruction.nrrd",
        "report.html",
        "run.json",
    ]
    np.save("scan.npy", scan.values)
    with pytest.raises(ctresample.CTResampleError, match=r"scan\.npy"):  # it says neither units nor geometry
        ctresample.import_sinogram("scan.npy")


@pytest.mark.parametrize("place", ["", None, 3, b"scan.h5"])
@pytest.mark.parametrize("read", ["read_ct_series", "read_sinogram", "import_sinogram"])
def test_what_is_no_path(read, place):
    with pytest.raises(ctresample.CTResampleError, match=r"expected (a|the) path"):
        getattr(ctresample, read)(place)


# ---------------------------------------------------------------- arrays

GOOD = np.random.default_rng(0).uniform(0, 2, (2, 4, 11)).astype(np.float32)


def arrays():
    import torch

    masked = np.ma.masked_array(GOOD, np.zeros(GOOD.shape, bool))
    read_only = GOOD.copy()
    read_only.flags.writeable = False
    return {
        "float64": GOOD.astype(np.float64),
        "flipped": GOOD[:, ::-1][:, ::-1],
        "Fortran order": np.asfortranarray(GOOD),
        "big endian": GOOD.astype(">f4"),
        "longdouble": GOOD.astype(np.longdouble),
        "read only": read_only,
        "nothing masked": masked,
        "lists": GOOD.tolist(),
        "torch": torch.from_numpy(GOOD),
        "torch double": torch.from_numpy(GOOD).double(),
        "torch with gradient": torch.from_numpy(GOOD).requires_grad_(),
        "torch transposed": torch.from_numpy(GOOD.transpose(2, 0, 1).copy()).permute(1, 2, 0),
        "torch negative bit": torch.complex(torch.zeros(GOOD.shape), torch.from_numpy(-GOOD)).conj().imag,
    }


def coarse_arrays():
    import torch

    whole = np.round(GOOD * 100)
    return {
        "int32": whole.astype(np.int32),
        "uint16": whole.astype(">u2"),
        "float16": whole.astype(np.float16),
        "bfloat16": torch.from_numpy(whole).bfloat16(),
        "torch int": torch.from_numpy(whole).long(),
    }


def sinogram_of(values, **changes):
    scan = ctresample.ParallelBeam([0, 1, 2, 3], 11, 1.0)
    options = {"geometry": scan, "grid": ctresample.ImageGrid((8, 8), 1.0), "affine": np.eye(4)} | changes
    return ctresample.Sinogram(values, **options)


@pytest.mark.parametrize("kind", sorted(arrays()))
def test_arrays_of_every_kind(kind):
    for record, values in (
        (sinogram_of(arrays()[kind]), "values"),
        (ctresample.Volume(arrays()[kind], np.eye(4).tolist()), "hu"),
    ):
        made = getattr(record, values)
        np.testing.assert_array_equal(made, GOOD)
        assert type(made) is np.ndarray and made.dtype == np.float32 and made.dtype.isnative
        assert made.flags.c_contiguous and made.flags.writeable


@pytest.mark.parametrize("kind", sorted(coarse_arrays()))
def test_whole_numbers(kind):
    expected = np.round(GOOD * 100)
    found = sinogram_of(coarse_arrays()[kind]).values
    np.testing.assert_allclose(found, expected, rtol=0.004 if kind == "bfloat16" else 0)


def test_a_right_array_is_not_copied():
    assert sinogram_of(GOOD).values is GOOD


@pytest.mark.parametrize(
    ("values", "why"),
    [
        (GOOD.astype(complex), "sinogram values is of type complex128; expected real numbers"),
        (GOOD > 1, "sinogram values is of type bool"),
        (np.full((2, 4, 11), "a"), "sinogram values is of type <U1"),
        (np.ma.masked_less(GOOD, 1), "sinogram values is a masked array"),
        (GOOD.astype(np.float64) * 1e39, "sinogram values has 75 values beyond"),
        ([[1, 2], [3]], "sinogram values cannot be made an array"),
        (None, "sinogram values is of type object"),
    ],
)
def test_what_is_no_array_of_numbers(values, why):
    with pytest.raises(ctresample.CTResampleError, match=why):
        sinogram_of(values)


def test_numbers_of_every_kind_make_equal_geometries():
    import torch

    plain = ctresample.FanBeam(
        (0.0, 0.5, 1.0), 11, 1.5, source_to_axis_mm=100.0, source_to_detector_mm=200.0, detector_offset_mm=0.25
    )
    for angles in ([0, 0.5, 1], np.array([0, 0.5, 1], ">f4"), torch.tensor([0, 0.5, 1]), (v for v in (0, 0.5, 1.0))):
        other = ctresample.FanBeam(
            angles,
            np.int16(11),
            np.float32(1.5),
            source_to_axis_mm=torch.tensor(100),
            source_to_detector_mm=np.array(200),
            detector_offset_mm=np.float64(0.25),
        )
        assert other == plain and hash(other) == hash(plain)
    grid = ctresample.ImageGrid([8, np.int64(9)], np.float32(0.5), centre_mm=torch.tensor([1, 2]))
    assert hash(grid) == hash(ctresample.ImageGrid((8, 9), 0.5, centre_mm=(1.0, 2.0)))


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda: ctresample.ParallelBeam(180, 11, 1.0), "angles_rad is 180; expected a list or array"),
        (lambda: ctresample.ParallelBeam(np.eye(2), 11, 1.0), r"angles_rad has shape \(2, 2\)"),
        (lambda: ctresample.ParallelBeam("0 1", 11, 1.0), "angles_rad is '0 1'"),
        (lambda: ctresample.ParallelBeam([0], 11.5, 1.0), "n_detectors is 11.5; expected a whole number"),
        (lambda: ctresample.ParallelBeam([0], 11, "wide"), "detector_pitch_mm is 'wide'; expected a number"),
        (lambda: ctresample.ImageGrid(8, 1.0), "shape is 8; expected a list"),
        (lambda: ctresample.ImageGrid((8, 8, 8), 1.0), "shape holds 3 numbers; expected 2"),
    ],
)
def test_what_is_no_number(make, why):
    with pytest.raises(ctresample.CTResampleError, match=why):
        make()


def test_operators_say_which_argument_is_wrong():
    import torch

    grid = ctresample.ImageGrid((8, 8), 1.0)
    A = ctresample.make_projector(ctresample.ParallelBeam.for_grid(grid, 4), grid)
    with pytest.raises(ctresample.CTResampleError, match="image is of type ndarray; expected a torch tensor"):
        A(np.zeros((1, 1, 8, 8), np.float32))
    with pytest.raises(ctresample.CTResampleError, match=r"measurement is torch\.float64 on cpu"):
        A.T(torch.zeros(1, 1, *A.range_shape, dtype=torch.float64))


@pytest.mark.parametrize("name", ["cgls", "sirt", "wls", "tv", "pnp", "dds", "resample"])
def test_solvers_take_arrays(name):
    """Of NumPy's own type, as of torch's."""
    import torch

    from ctresample.pipelines.reconstruction.methods import METHODS
    from ctresample.testing import priors

    grid, solver, method = ctresample.ImageGrid((8, 8), 4.0), getattr(ctresample.solvers, name), METHODS[name]
    A = ctresample.make_projector(ctresample.ParallelBeam.for_grid(grid, 4), grid)
    y = A(torch.full((1, 1, 8, 8), 0.02))
    options = {"max_iterations": 5}
    if method.needs:
        prior = priors.random_prior() if method.needs == "latent prior" else priors.random_pixel_prior()
        few = {"n_steps": 2} | ({"n_steps": 2, "warm_start": None, "start_level": 1.0} if name == "resample" else {})
        settings = ctresample.PRESETS["fast"] if name == "resample" else method.load_settings()
        options = {"prior": prior, "settings": replace(settings, **few)}

    def run(values):
        draws = {"generators": [torch.Generator().manual_seed(0)]} if method.needs else {}
        return solver(values, A, sigma=np.full(y.shape, 0.01), **options, **draws)

    expected = run(y)
    for values in (y.numpy(), y.double(), y.numpy().astype(">f8")[..., ::-1][..., ::-1]):
        torch.testing.assert_close(run(values), expected)
    with pytest.raises(ctresample.CTResampleError, match=r"y has shape \(1, 4, 13\)"):
        run(y[0])


def test_direct_solvers_take_arrays():
    import torch

    grid = ctresample.ImageGrid((8, 8), 4.0)
    scan = ctresample.ParallelBeam.for_grid(grid, 4)
    y = np.ones((1, 1, *scan.shape))
    expected = ctresample.fbp(torch.from_numpy(y), scan, grid)
    assert torch.equal(ctresample.fbp(y, scan, grid), expected)
    torch.testing.assert_close(ctresample.fbp(y.astype(int), scan, grid).double(), expected)


# ---------------------------------------------------------------- what shows itself

PATIENT = {
    "00100010": {"vr": "PN", "Value": [{"Alphabetic": "Doe^Jane"}]},
    "00100020": {"vr": "LO", "Value": ["P-4711"]},
}


def test_representations_are_short_and_name_no_patient():
    hu = np.zeros((1, 64, 64), np.float32)
    volume = ctresample.Volume(hu, np.eye(4), headers=[PATIENT])
    scan = ctresample.simulate(volume, n_views=300, size=32)
    result = ctresample.reconstruct(scan, method="fbp")
    for shown in (volume, scan, result, scan.geometry, scan.grid):
        html = shown._repr_html_() if hasattr(shown, "_repr_html_") else ""
        assert len(repr(shown)) < 200 and len(html) < 40_000
        assert not any(word in repr(shown) + html for word in ("Doe^", "Jane", "P-4711"))
    for shown in (volume, scan, result):
        assert "For research, not for diagnosis." in shown._repr_html_()
        assert "data:image/png;base64," in shown._repr_html_()
