"""Registers two volumes of the scene with Voltween, in a process of its own.

The volumes are saved to a folder, registered there, and the transform and the moved
volume are loaded. Nodes are in RAS, files in LPS: Slicer converts between them when it
saves and loads. What runs and watches the registration is `voltween.hosting`.
"""

import os
import shutil
import sys
import tempfile
from pathlib import Path

import ctk
import qt
import slicer
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)

_OLDEST_PYTHON = (3, 11)
_POLL_MILLISECONDS = 200


class Voltween(ScriptedLoadableModule):
    """The entry of the module in Slicer's menus."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = "Voltween registration"
        self.parent.categories = ["Registration"]
        self.parent.dependencies = []
        self.parent.contributors = ["The Voltween authors"]
        self.parent.helpText = (
            "Registers the moving volume to the fixed one with Volume "
            "Tweening Networks. The result is a transform and the moved volume. "
            "Read the verdict and look at the volumes before you rely on them: this "
            "is no medical device."
        )
        self.parent.acknowledgementText = "Lau, Luo, Zhao, Chang, Xu 2019."


class VoltweenLogic(ScriptedLoadableModuleLogic):
    """Saves the nodes, runs the registration, and loads its result into the scene."""

    def __init__(self):
        ScriptedLoadableModuleLogic.__init__(self)
        self.running = None
        self._folder = None
        self._nodes = None

    def start(self, fixed, moving, masks=(None, None), **choices):
        """Starts the registration of two volume nodes; `choices` as of `Request`.

        Raises:
            ValueError: If a node cannot be used; its text is for the user.
        """
        from voltween import hosting

        if self.running is not None:
            raise ValueError("A registration runs already.")
        _check(fixed, moving, masks)
        self._folder = tempfile.mkdtemp(prefix="voltween-", dir=_temporary_folder())
        self._nodes = (fixed, moving)
        try:
            names = ("fixed", "moving", "fixed_mask", "moving_mask")
            nodes = (fixed, moving, *masks)
            paths = {
                name: _save(node, self._folder, name)
                for name, node in zip(names, nodes, strict=True)
            }
            request = hosting.Request(
                **paths, out=Path(self._folder) / "result", **choices
            )
            self.running = hosting.start(
                request, python=_python(), environment=os.environ
            )
        except BaseException:
            self.clean()
            raise

    def poll(self):
        """The outcome with the nodes of the result, or None while it goes on.

        Returns:
            (outcome, transform node, volume node); without a result, no nodes.

        Raises:
            Exception: What Slicer raises if it cannot load the result. The registration
                has ended then, too.
        """
        try:
            outcome = self.running.poll()
            if outcome is None:
                return None
            loaded = self._load() if outcome.record else (None, None)
        except BaseException:
            self.clean()
            raise
        self.clean()
        return (outcome, *loaded)

    def stop(self):
        """Ends the registration; `poll` then gives its outcome."""
        if self.running is not None:
            self.running.stop()

    def clean(self):
        """Ends what runs, deletes the files and forgets them."""
        if self.running is not None:
            self.running.stop()
            self.running.wait()
            self.running = None
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def _load(self):
        """Loads transform and moved volume, named after the nodes."""
        fixed, moving = self._nodes
        result = Path(self._folder) / "result"
        transform = slicer.util.loadTransform(str(result / "fixed_to_moving.h5"))
        transform.SetName(f"{moving.GetName()} to {fixed.GetName()}")
        volume = slicer.util.loadVolume(str(result / "moved.nii.gz"))
        volume.SetName(f"{moving.GetName()} moved")
        return transform, volume


class VoltweenWidget(ScriptedLoadableModuleWidget):
    """The form: volumes, choices, progress, and the verdict."""

    def setup(self):
        """Builds the form."""
        ScriptedLoadableModuleWidget.setup(self)
        self.logic = VoltweenLogic()
        if not _is_installed():
            self._offer_installation()
            return
        self._build()

    def cleanup(self):
        """Ends what runs, as the module is closed."""
        if getattr(self, "timer", None) is not None:
            self.timer.stop()
        self.logic.clean()

    def _build(self):
        from voltween import hosting

        form = self._section("Inputs")
        volumes = ["vtkMRMLScalarVolumeNode"]
        self.fixed = _node_choice(volumes, "Volume to register to.")
        self.moving = _node_choice(volumes, "Volume to be registered.")
        form.addRow("Fixed volume:", self.fixed)
        form.addRow("Moving volume:", self.moving)
        form = self._section("Method")
        self.model = _choice(
            hosting.MODELS, "auto takes the model that learned from such scans."
        )
        self.refine = _choice(
            hosting.EFFORTS, "Optimization on this pair, after the network."
        )
        self.transform = _choice(hosting.TRANSFORMS, "Kind of transform.")
        self.similarity = _choice(
            hosting.SIMILARITIES,
            "For two modalities: normalized mutual information, or MIND-SSC.",
        )
        form.addRow("Model:", self.model)
        form.addRow("Refine:", self.refine)
        form.addRow("Transform:", self.transform)
        form.addRow("Similarity:", self.similarity)
        self._add_masks()
        self._add_run()

    def _add_masks(self):
        form = self._section("Masks (optional)")
        kinds = ["vtkMRMLLabelMapVolumeNode"]
        tip = "Only voxels > 0 are compared."
        self.masks = (_node_choice(kinds, tip, True), _node_choice(kinds, tip, True))
        form.addRow("Fixed mask:", self.masks[0])
        form.addRow("Moving mask:", self.masks[1])
        self.no_folding = qt.QCheckBox()
        self.no_folding.toolTip = "Change the transform around folds."
        form.addRow("Remove folds:", self.no_folding)

    def _add_run(self):
        form = self._section("Run")
        self.button = qt.QPushButton("Register")
        self.button.connect("clicked(bool)", self._on_button)
        self.bar = qt.QProgressBar()
        self.bar.setRange(0, 100)
        self.text = qt.QLabel("")
        self.text.setWordWrap(True)
        for widget in (self.button, self.bar, self.text):
            form.addRow(widget)
        self.layout.addStretch(1)
        self.timer = qt.QTimer()
        self.timer.setInterval(_POLL_MILLISECONDS)
        self.timer.connect("timeout()", self._on_timer)

    def _on_button(self, *_):
        if self.logic.running is not None:
            self.text.setText("Stopping ...")
            self.logic.stop()
            return
        self.background = self.fixed.currentNode()  # the user may choose another soon
        try:
            self.logic.start(
                self.background,
                self.moving.currentNode(),
                masks=tuple(choice.currentNode() for choice in self.masks),
                **self._choices(),
            )
        except (ValueError, OSError) as error:
            self.text.setText(str(error))
            return
        self.button.setText("Stop")
        self.timer.start()

    def _choices(self):
        return {
            "model": self.model.currentText,
            "refine": self.refine.currentText,
            "transform": self.transform.currentText,
            "similarity": self.similarity.currentText
            if self.similarity.currentIndex > 0
            else "",
            "no_folding": bool(self.no_folding.checked),
        }

    def _on_timer(self):
        progress = self.logic.running.progress
        self.bar.setValue(round(100 * progress.share))
        self.text.setText(progress.text)
        try:
            ended = self.logic.poll()
        except Exception as error:  # Slicer's loaders raise several kinds
            self._end()
            self.text.setText(f"The result could not be loaded: {error}")
            self.bar.setValue(0)
            return
        if ended is None:
            return
        self._end()
        outcome, _, moved = ended
        self.text.setText("\n".join([outcome.summary, *outcome.warnings]))
        self.bar.setValue(100 if outcome.record else 0)
        if moved is not None:
            slicer.util.setSliceViewerLayers(
                background=self.background,
                foreground=moved,
                foregroundOpacity=0.5,
            )

    def _end(self):
        self.timer.stop()
        self.button.setText("Register")

    def _offer_installation(self):
        form = self._section("Installation")
        self.text = qt.QLabel(_missing_words())
        self.text.setWordWrap(True)
        form.addRow(self.text)
        if sys.version_info < _OLDEST_PYTHON:
            return
        self.button = qt.QPushButton("Install Voltween into Slicer's Python")
        self.button.connect("clicked(bool)", self._on_install)
        form.addRow(self.button)

    def _on_install(self, *_):
        slicer.util.pip_install("voltween")
        self.text.setText("Installed. Reload this module.")

    def _section(self, title):
        box = ctk.ctkCollapsibleButton()
        box.text = title
        self.layout.addWidget(box)
        return qt.QFormLayout(box)


class VoltweenTest(ScriptedLoadableModuleTest):
    """A quick check within Slicer: a volume is registered to itself, shifted."""

    def runTest(self):  # noqa: N802
        """Registers a sample volume to a shifted copy of itself."""
        import SampleData

        slicer.mrmlScene.Clear()
        fixed = SampleData.SampleDataLogic().downloadMRHead()
        moving = slicer.modules.volumes.logic().CloneVolume(
            slicer.mrmlScene, fixed, "shifted"
        )
        origin = moving.GetOrigin()
        moving.SetOrigin(origin[0] + 5, origin[1], origin[2])
        logic = VoltweenLogic()
        logic.start(fixed, moving, model="none", refine="fast", transform="rigid")
        logic.running.wait()
        _, transform, _ = logic.poll()
        point = [0.0, 0.0, 0.0]
        transform.GetTransformFromParent().TransformPoint((0, 0, 0), point)
        assert abs(point[0] - 5) < 0.5, point
        self.delayDisplay("Test passed")


def _check(fixed, moving, masks):
    """Checks the nodes.

    Raises:
        ValueError: If one is missing, both are the same, or one is under a transform.
    """
    if fixed is None or moving is None:
        raise ValueError("Choose a fixed and a moving volume.")
    if fixed is moving:
        raise ValueError("Choose two different volumes.")
    for node in (fixed, moving, *masks):
        if node is not None and node.GetParentTransformNode() is not None:
            raise ValueError(
                f"{node.GetName()} is under a transform, which would be left out: "
                "harden it (Transforms module), or take the volume out of it."
            )


def _save(node, folder, name):
    """Saves a node to a file and returns its path; None for no node.

    Raises:
        ValueError: If it cannot be saved.
    """
    if node is None:
        return None
    path = Path(folder) / f"{name}.nrrd"
    if not slicer.util.saveNode(node, str(path), {"useCompression": 0}):
        raise ValueError(f"{node.GetName()} could not be saved to {path}.")
    return path


def _node_choice(kinds, tip, may_be_none=False):
    choice = slicer.qMRMLNodeComboBox()
    choice.nodeTypes = kinds
    choice.addEnabled = False
    choice.removeEnabled = False
    choice.noneEnabled = may_be_none
    choice.setMRMLScene(slicer.mrmlScene)
    choice.toolTip = tip
    return choice


def _choice(words, tip):
    choice = qt.QComboBox()
    choice.addItems(list(words))
    choice.toolTip = tip
    return choice


def _is_installed():
    import importlib.util

    return importlib.util.find_spec("voltween") is not None


def _missing_words():
    if sys.version_info < _OLDEST_PYTHON:
        have = ".".join(map(str, sys.version_info[:2]))
        return f"Voltween needs Python 3.11, as Slicer 5.10 has; this one has {have}."
    return "Voltween is not yet installed in Slicer's Python."


def _python():
    """The Python of Slicer, as a program of its own."""
    return shutil.which("PythonSlicer") or sys.executable


def _temporary_folder():
    return slicer.app.temporaryPath
