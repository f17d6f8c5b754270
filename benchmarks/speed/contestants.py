"""The projectors compared, each with its library's own best way of projecting many slices.

Every contestant is built for one scan and keeps whatever may be reused. `load` and `unload` change between numpy and
what the library works on; they are not timed. Libraries are imported when a contestant is built, so that one that is
missing or broken takes no other with it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ctresample.geometry import FanBeam, ImageGrid, ParallelBeam

Array = NDArray[np.floating]


class Contestant(ABC):
    """Forward and back projection of slices by one library.

    Attributes:
        name: in the table.
        device: "cpu" or "cuda".
        geometry: the scan as the library measures it: where its detector bins really are.
        grid: the image, and where the library puts its centre.
    """

    name: ClassVar[str]
    device: ClassVar[str] = "cpu"

    def __init__(self, geometry: ParallelBeam | FanBeam, grid: ImageGrid) -> None:
        self.geometry, self.grid = geometry, grid

    def load(self, slices: Array) -> Any:
        """What the library works on, from ``(slices, ...)`` float32."""
        return slices

    def unload(self, slices: Any) -> Array:
        """The way back: ``(slices, ...)``, in the units of the scan."""
        return slices

    @abstractmethod
    def forward(self, images: Any) -> Any:
        """Line integrals of ``(slices, rows, columns)``, done when this returns."""

    @abstractmethod
    def back(self, sinograms: Any) -> Any:
        """Back projection of ``(slices, views, detectors)``, done when this returns."""


class _Torch(Contestant):
    """An operator of ctresample."""

    operator: Any

    def load(self, slices: Array) -> Any:
        import torch

        return torch.from_numpy(slices)[:, None].to(self.device)

    def unload(self, slices: Any) -> Array:
        return slices[:, 0].cpu().numpy()

    def forward(self, images: Any) -> Any:
        return self._finished(self.operator(images))

    def back(self, sinograms: Any) -> Any:
        return self._finished(self.operator.T(sinograms))

    def _finished(self, result: Any) -> Any:
        if self.device == "cuda":
            import torch

            torch.cuda.synchronize()
        return result


class Sparse(_Torch):
    """Ours: the stored matrix."""

    name = "ctresample"

    def __init__(self, geometry: ParallelBeam | FanBeam, grid: ImageGrid) -> None:
        super().__init__(geometry, grid)
        from ctresample.operators import SparseProjector

        self.operator = SparseProjector(geometry, grid, device=self.device)


class Streamed(_Torch):
    """Ours where the matrix is too large: weights worked out at every call."""

    name = "ctresample, streamed"

    def __init__(self, geometry: ParallelBeam | FanBeam, grid: ImageGrid) -> None:
        super().__init__(geometry, grid)
        from ctresample.operators import StreamedProjector

        self.operator = StreamedProjector(geometry, grid, device=self.device)


class Astra(Contestant):
    """ASTRA's CPU projectors: Joseph's for parallel rays, the line kernel for fans, which have no Joseph's."""

    name = "ASTRA CPU"

    def __init__(self, geometry: ParallelBeam | FanBeam, grid: ImageGrid) -> None:
        super().__init__(geometry, grid)
        import astra

        self.astra, self.projector = astra, astra_projector(geometry, grid)

    def forward(self, images: Array) -> Array:
        sinograms = np.empty((len(images), *self.geometry.shape), np.float32)
        for image, sinogram in zip(images, sinograms, strict=True):
            self.astra.projector.direct_FP(self.projector, image, out=sinogram)
        return sinograms

    def back(self, sinograms: Array) -> Array:
        images = np.empty((len(sinograms), *self.grid.shape), np.float32)
        for sinogram, image in zip(sinograms, images, strict=True):
            self.astra.projector.direct_BP(self.projector, sinogram, out=image)
        return images

    def __del__(self) -> None:
        if hasattr(self, "projector"):
            self.astra.projector.delete(self.projector)


def astra_projector(geometry: ParallelBeam | FanBeam, grid: ImageGrid) -> int:
    """ASTRA's number of a new CPU projector."""
    import astra

    (rows, columns), half = grid.shape, grid.pixel_size_mm / 2
    volume = astra.create_vol_geom(rows, columns, -columns * half, columns * half, -rows * half, rows * half)
    pitch, n, angles = geometry.detector_pitch_mm, geometry.n_detectors, geometry.angles_rad
    if geometry.name == "fan":
        axis_to_detector = geometry.source_to_detector_mm - geometry.source_to_axis_mm
        scan = astra.create_proj_geom("fanflat", pitch, n, angles, geometry.source_to_axis_mm, axis_to_detector)
        return astra.create_projector("line_fanflat", scan, volume)
    return astra.create_projector("linear", astra.create_proj_geom("parallel", pitch, n, angles), volume)


class ScikitImage(Contestant):
    """``radon`` and ``iradon`` without a filter, a slice at a time, on the circle that fits the image: the fastest.

    Their axis is pixel n // 2 of the image and bin n // 2 of the detector, which has as many bins as the image
    columns; ``iradon`` divides by ``2 views / pi``.
    """

    name = "scikit-image"

    def __init__(self, geometry: ParallelBeam | FanBeam, grid: ImageGrid) -> None:
        if geometry.name == "fan":
            raise NotImplementedError("scikit-image has no fan beam")
        from skimage import transform

        n, pixel = grid.shape[1], grid.pixel_size_mm
        shift = ((n - 1) / 2 - n // 2) * pixel  # of the middle from the axis
        super().__init__(
            replace(geometry, n_detectors=n, detector_pitch_mm=pixel, detector_offset_mm=shift),
            replace(grid, centre_mm=(shift, -shift)),
        )
        self.transform, self.angles = transform, np.rad2deg(geometry.angles_rad)

    def forward(self, images: Array) -> Array:
        pixel = self.grid.pixel_size_mm
        return np.stack([self.transform.radon(image, self.angles, circle=True).T * pixel for image in images])

    def back(self, sinograms: Array) -> Array:
        factor = 2 * self.geometry.n_views / np.pi * self.grid.pixel_size_mm
        return np.stack([self.transform.iradon(s.T, self.angles, filter_name=None) * factor for s in sinograms])


class Rtk(Contestant):
    """RTK's Joseph projectors on all cores; parallel slices as one volume, of fan beams a slice at a time.

    RTK needs neighbours above and below a slice: one empty slice at each end of the volume.
    """

    name = "RTK CPU"

    def __init__(self, geometry: ParallelBeam | FanBeam, grid: ImageGrid) -> None:
        super().__init__(geometry, grid)
        import itk
        from itk import RTK

        self.itk, image = itk, itk.Image[itk.F, 3]
        self.forward_filter = RTK.JosephForwardProjectionImageFilter[image, image]
        self.back_filter = RTK.JosephBackProjectionImageFilter[image, image]
        self.circle = RTK.ThreeDCircularProjectionGeometry.New()
        fan = geometry.name == "fan"
        for angle in np.rad2deg(geometry.angles_rad):
            if fan:
                self.circle.AddProjection(geometry.source_to_axis_mm, geometry.source_to_detector_mm, float(angle))
            else:
                self.circle.AddProjection(1000.0, 0.0, float(angle))  # a source at 1 m sends parallel rays
        self.at_once = 1 if fan else None

    def forward(self, images: Array) -> Array:
        return self._by_parts(self._forward, images)

    def back(self, sinograms: Array) -> Array:
        return self._by_parts(self._back, sinograms)

    def _by_parts(self, work: Any, slices: Array) -> Array:
        step = self.at_once or len(slices)
        return np.concatenate([work(slices[k : k + step]) for k in range(0, len(slices), step)])

    def _forward(self, images: Array) -> Array:
        empty = np.zeros((self.geometry.n_views, len(images), self.geometry.n_detectors), np.float32)
        run = self.forward_filter.New()
        run.SetInput(0, self._detector(empty))
        run.SetInput(1, self._volume(images))
        run.SetGeometry(self.circle)
        run.Update()
        return self.itk.array_from_image(run.GetOutput()).swapaxes(0, 1)

    def _back(self, sinograms: Array) -> Array:
        run = self.back_filter.New()
        run.SetInput(0, self._volume(np.zeros((len(sinograms), *self.grid.shape), np.float32)))
        run.SetInput(1, self._detector(np.ascontiguousarray(sinograms.swapaxes(0, 1))))
        run.SetGeometry(self.circle)
        run.Update()
        return self.itk.array_from_image(run.GetOutput())[:, 1:-1].swapaxes(0, 1)

    def _volume(self, images: Array) -> Any:
        """RTK's axis is the second of the array: ``(rows, slices, columns)``."""
        padded = np.pad(images.swapaxes(0, 1), ((0, 0), (1, 1), (0, 0)))
        return self._centred(np.ascontiguousarray(padded), (self.grid.pixel_size_mm, 1.0, self.grid.pixel_size_mm))

    def _detector(self, projections: Array) -> Any:
        return self._centred(projections, (self.geometry.detector_pitch_mm, 1.0, 1.0))

    def _centred(self, array: Array, spacing: tuple[float, float, float]) -> Any:
        image = self.itk.image_from_array(array)
        image.SetSpacing(spacing)
        image.SetOrigin([-(n - 1) / 2 * step for n, step in zip(array.shape[::-1], spacing, strict=True)])
        return image


class SparseCuda(Sparse):
    """Ours on the GPU."""

    name, device = "ctresample on CUDA", "cuda"


class StreamedCuda(Streamed):
    """Ours on the GPU without a matrix."""

    name, device = "ctresample, streamed, on CUDA", "cuda"


class AstraCuda(_Torch):
    """ASTRA's CUDA projectors through ctresample's operator, which hands over GPU tensors without a copy."""

    name, device = "ASTRA CUDA", "cuda"

    def __init__(self, geometry: ParallelBeam | FanBeam, grid: ImageGrid) -> None:
        super().__init__(geometry, grid)
        from ctresample.operators import AstraProjector

        self.operator = AstraProjector(geometry, grid, device=self.device)


CPU: tuple[type[Contestant], ...] = (Sparse, Streamed, Astra, ScikitImage, Rtk)
CUDA: tuple[type[Contestant], ...] = (SparseCuda, StreamedCuda, AstraCuda)
