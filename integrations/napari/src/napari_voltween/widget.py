"""The widget: choose two scans, register, and slide through the tweening."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from threading import Event
from typing import Any

import napari
from magicgui.widgets import (
    ComboBox,
    Container,
    FloatSlider,
    Label,
    ProgressBar,
    PushButton,
    create_widget,
)
from napari.qt.threading import thread_worker
from napari.utils.notifications import show_warning

import voltween as vt
from napari_voltween.layers import is_placed, layer_of, volume_of
from napari_voltween.tweening import Tweening
from voltween.errors import VoltweenError
from voltween.models import shipped_models
from voltween.refinement import Step
from voltween.registration import Registration, recording_warnings

OnStep = Callable[[Step], object]
_NO_MODEL = "none"
_TO_RAS = (
    "{}: opened by another reader; its axes are taken as R, A, S in mm. Open the file "
    "with Voltween if they are not"
)


class RegistrationWidget(Container):
    """Registers the moving layer to the fixed one, and shows the way there.

    The result is a layer of the moved scan on the fixed one, a layer of the tweening
    with a slider, and, with labels of the moving scan, their layer. The registration
    runs in a thread, so that the viewer stays free; Stop ends it at its next step.
    """

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        self._viewer = napari_viewer
        self._tweening: Tweening | None = None
        self._shown: Any = None
        self._worker: Any = None
        self.fixed = create_widget(annotation=napari.layers.Image, label="fixed")
        self.moving = create_widget(annotation=napari.layers.Image, label="moving")
        self.moving_labels = create_widget(
            annotation=napari.layers.Labels | None, label="moving labels"
        )
        names = [name for name, _ in shipped_models()]
        self.model = ComboBox(label="model", choices=["auto", *names, _NO_MODEL])
        self.refine = ComboBox(
            label="refine", choices=["auto", "none", "fast", "accurate"]
        )
        self.button = PushButton(text="Register")
        self.bar = ProgressBar(label="", min=0, max=100, value=0, visible=False)
        self.text, self.stage = Label(label="", value=""), Label(label="", value="")
        for words in (self.text, self.stage):
            words.native.setWordWrap(True)
        self.slider = FloatSlider(label="tweening", min=0, max=1, enabled=False)
        super().__init__(
            widgets=[
                *(self.fixed, self.moving, self.moving_labels, self.model, self.refine),
                *(self.button, self.bar, self.text, self.slider, self.stage),
            ]
        )
        self.button.changed.connect(self._on_button)
        self.slider.changed.connect(self._show_frame)

    def _on_button(self) -> None:
        if self._worker is None:
            self.register()
        else:
            self.text.value = "Stopping ..."
            self._worker.quit()

    def register(self) -> Any:
        """Starts the registration in a thread; returns its worker, or None."""
        try:
            fixed, moving = volume_of(self.fixed.value), volume_of(self.moving.value)
            labels = self._chosen_labels()
        except VoltweenError as error:
            self._fail(error)
            return None
        for layer in (self.fixed.value, self.moving.value):
            if not is_placed(layer):
                show_warning(_TO_RAS.format(layer.name))
        self._set_running(True)
        self._worker = _registered(fixed, moving, self.model.value, self.refine.value)
        name = self.moving.value.name
        self._worker.yielded.connect(self._show_step)
        self._worker.returned.connect(lambda r: self._finish(r, name, labels))
        self._worker.errored.connect(self._fail)
        self._worker.aborted.connect(lambda: self._fail("Stopped."))
        self._worker.start()
        return self._worker

    def _chosen_labels(self) -> vt.LabelMap | None:
        layer = self.moving_labels.value
        return None if layer is None else volume_of(layer, vt.LabelMap)

    def _finish(
        self,
        registered: tuple[Registration | None, list[str]],
        name: str,
        labels: vt.LabelMap | None,
    ) -> None:
        """Adds the layers of the result and says the verdict, or the error."""
        result, notes = registered
        if result is None:
            self._fail(*notes)
            return
        self._set_running(False)
        self._add(layer_of(result.moved, f"{name} moved"))
        if labels is not None:
            moved = result.fixed_to_moving.resample(labels, onto=result.fixed.grid)
            self._add(layer_of(moved, f"{name} labels moved"))
        self._tweening = Tweening(result)
        frame = self._tweening.frame(self._tweening.last)
        self._shown = self._add(layer_of(frame, f"{name} tweening", visible=False))
        self.slider.max = self._tweening.last
        self.slider.value = self._tweening.last
        self.slider.enabled = True
        verdict = result.verdict
        said = [f"Verdict: {verdict.grade}", *verdict.reasons, *notes]
        self.text.value = "\n".join([*said, f"Model: {result.model_name}"])

    def _add(self, layer: tuple[Any, dict[str, Any], str]) -> Any:
        return self._viewer.add_layer(napari.layers.Layer.create(*layer))

    def _show_frame(self, position: float) -> None:
        """Shows the moving scan at a position of the tweening."""
        if self._tweening is None or self._shown not in self._viewer.layers:
            return
        self._shown.data = self._tweening.frame(position).data
        self._shown.visible = True
        self.stage.value = self._tweening.name_at(position)

    def _show_step(self, step: Step) -> None:
        share = (step.level - 1 + step.step / step.steps) / step.levels
        self.bar.value = round(100 * share)
        self.text.value = f"Refining: {step.part}, level {step.level} of {step.levels}"

    def _set_running(self, is_running: bool) -> None:
        self.button.text = "Stop" if is_running else "Register"
        if not is_running:
            self._worker = None
        self.bar.visible = is_running
        self.bar.value = 0
        self.text.value = "Registering ..." if is_running else ""

    def _fail(self, error: object) -> None:
        self._set_running(False)
        self.text.value = str(error)


@thread_worker
def _registered(fixed: vt.Image, moving: vt.Image, model: str, refine: str) -> Any:
    """Registers in a thread; yields steps, returns the result and its warnings.

    Of an error that the user can solve, its text is returned, without a result: napari
    shows errors that are raised with their code.
    """
    steps: SimpleQueue[Step | None] = SimpleQueue()
    stopped = Event()

    def on_step(step: Step) -> None:
        if stopped.is_set():
            raise InterruptedError
        steps.put(step)

    with ThreadPoolExecutor(1) as pool:
        work = pool.submit(_register, fixed, moving, model, refine, on_step)
        work.add_done_callback(lambda _: steps.put(None))
        try:
            while (step := steps.get()) is not None:
                yield step
        finally:
            stopped.set()  # also where the thread is told to quit
    error = work.exception()
    return (None, [str(error)]) if isinstance(error, VoltweenError) else work.result()


def _register(
    fixed: vt.Image, moving: vt.Image, model: str, refine: str, on_step: OnStep
) -> tuple[Registration, list[str]]:
    """The result, with what is shown of it computed, and its warnings."""
    with recording_warnings() as notes:
        result = vt.register(
            fixed,
            moving,
            model=None if model == _NO_MODEL else model,
            refinement=None if refine == "none" else refine,
            on_step=on_step,
        )
        _ = result.verdict, result.moved
    return result, notes
