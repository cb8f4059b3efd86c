"""A stand-in of 3D Slicer's interfaces: nodes in RAS, files in LPS, and a form.

Its geometry is Slicer's and not this package's: SimpleITK reads and writes, and the
signs of the first two axes are changed here.
"""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import SimpleITK as sitk

MODULE = (
    Path(__file__).parents[2] / "integrations" / "slicer" / "Voltween" / "Voltween.py"
)
FLIP = np.diag([-1.0, -1.0, 1.0, 1.0])


class VolumeNode:
    """A volume of the scene: voxels (I, J, K) and their matrix to RAS mm."""

    def __init__(self, name, voxels, ijk_to_ras, parent=None):
        self.name, self.voxels, self.ijk_to_ras = name, voxels, ijk_to_ras
        self.parent = parent

    def GetName(self):
        return self.name

    def SetName(self, name):
        self.name = name

    def GetParentTransformNode(self):
        return self.parent


class TransformNode:
    """A transform of the scene, made of a file: `from parent` is ITK's direction."""

    def __init__(self, path):
        self.name, self.transform = Path(path).stem, sitk.ReadTransform(str(path))

    def SetName(self, name):
        self.name = name

    def GetName(self):
        return self.name

    def from_parent_ras(self, positions):
        """Maps positions in RAS mm as `GetTransformFromParent` does."""
        lps = positions @ FLIP[:3, :3]
        mapped = [self.transform.TransformPoint(each.tolist()) for each in lps]
        return np.array(mapped) @ FLIP[:3, :3]


def save_node(node, path, properties=None):
    """Writes a volume in LPS, as Slicer does for NRRD files."""
    image = sitk.GetImageFromArray(np.ascontiguousarray(node.voxels.T))
    lps = FLIP @ node.ijk_to_ras
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetDirection((lps[:3, :3] / spacing).ravel().tolist())
    image.SetOrigin(lps[:3, 3].tolist())
    sitk.WriteImage(image, path)
    return True


def load_volume(path):
    """Reads a volume and turns its matrix to RAS."""
    image = sitk.ReadImage(path)
    lps = np.eye(4)
    lps[:3, :3] = np.array(image.GetDirection()).reshape(3, 3) * image.GetSpacing()
    lps[:3, 3] = image.GetOrigin()
    return VolumeNode(Path(path).stem, sitk.GetArrayFromImage(image).T, FLIP @ lps)


class Widget:
    """Anything of Qt: keeps what is set, and calls what is connected."""

    def __init__(self, *_):
        self.values, self.calls, self.items = {}, {}, []
        self.currentIndex, self.node, self.checked = 0, None, False

    def connect(self, signal, call):
        self.calls[signal] = call

    def addItems(self, items):
        self.items = items

    @property
    def currentText(self):
        return self.items[self.currentIndex]

    def currentNode(self):
        return self.node

    def setText(self, text):
        self.values["text"] = text

    def setValue(self, value):
        self.values["value"] = value

    def start(self):
        self.values["runs"] = True

    def stop(self):
        self.values["runs"] = False

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *_, **__: None


class ModuleBase:
    """The base class of a module, its form, its logic and its test."""

    def __init__(self, parent=None):
        self.parent = parent or SimpleNamespace()
        self.layout = Widget()

    def setup(self):
        """Slicer's own part of a form."""


def modules(temporary, layers):
    """The modules that Slicer has; `layers` collects what the viewers show."""
    slicer = ModuleType("slicer")
    slicer.util = SimpleNamespace(
        saveNode=save_node,
        loadVolume=load_volume,
        loadTransform=TransformNode,
        setSliceViewerLayers=lambda **shown: layers.append(shown),
        pip_install=lambda name: layers.append(name),
    )
    slicer.app = SimpleNamespace(temporaryPath=str(temporary))
    slicer.mrmlScene = SimpleNamespace()
    slicer.qMRMLNodeComboBox = Widget
    scripted = ModuleType("slicer.ScriptedLoadableModule")
    for part in ("", "Logic", "Test", "Widget"):
        setattr(scripted, f"ScriptedLoadableModule{part}", ModuleBase)
    qt, ctk = ModuleType("qt"), ModuleType("ctk")
    for name in ("QCheckBox", "QPushButton", "QProgressBar", "QLabel", "QTimer"):
        setattr(qt, name, Widget)
    qt.QComboBox = qt.QFormLayout = ctk.ctkCollapsibleButton = Widget
    return {
        "slicer": slicer,
        "slicer.ScriptedLoadableModule": scripted,
        "qt": qt,
        "ctk": ctk,
    }


def load_module(monkeypatch, temporary):
    """The module as Slicer loads it, and a list of what its viewers show."""
    layers = []
    for name, module in modules(temporary, layers).items():
        monkeypatch.setitem(sys.modules, name, module)
    spec = importlib.util.spec_from_file_location("Voltween", MODULE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module, layers
