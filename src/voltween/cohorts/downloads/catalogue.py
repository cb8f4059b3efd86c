"""All recipes by name."""

from voltween.cohorts.downloads.adni import ADNI
from voltween.cohorts.downloads.download import Download
from voltween.cohorts.downloads.folder import FOLDER
from voltween.cohorts.downloads.indi import ABIDE1, ABIDE2, ADHD200
from voltween.cohorts.downloads.learn2reg import LEARN2REG
from voltween.cohorts.downloads.liver import LITS, SLIVER07
from voltween.cohorts.downloads.lpba40 import LPBA40
from voltween.cohorts.downloads.oasis import OASIS
from voltween.cohorts.downloads.rcn import RCN
from voltween.errors import InputError

DOWNLOADS = (
    *(LITS, SLIVER07, LPBA40, ABIDE1, ABIDE2, ADHD200, ADNI, OASIS),
    *(LEARN2REG, RCN, FOLDER),
)


def download_named(name: str) -> Download:
    """The recipe with this name.

    Raises:
        InputError: If there is none.
    """
    for download in DOWNLOADS:
        if download.name == name:
            return download
    names = ", ".join(download.name for download in DOWNLOADS)
    raise InputError(about="recipe", expected=f"one of {names}", got=repr(name))
