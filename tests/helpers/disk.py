"""A disk of a few megabytes that a test may fill: a tmpfs, mounted by whoever may mount."""

from __future__ import annotations

import subprocess
from pathlib import Path
from shutil import disk_usage
from typing import Final

CHUNK: Final = 65_536
BALLAST: Final = "ballast"


class SmallDisk:
    """Mounted at `folder`, which is made; gone with `unmount`, or with the namespace that it was made in.

    Raises `subprocess.CalledProcessError` for who may not mount.
    """

    def __init__(self, folder: Path, *, megabytes: int = 32) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        size = f"size={megabytes}m,mode=0700"
        mount = ["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(folder)]
        subprocess.run(mount, check=True, capture_output=True)
        self.folder = folder

    def fill(self, *, leave: float = 0.0) -> None:
        """Until this share of it is free; 0: until not one byte more fits."""
        with (self.folder / BALLAST).open("ab", buffering=0) as file:
            for size in (CHUNK, 1):
                while self.free > leave:
                    try:
                        file.write(bytes(size))
                    except OSError:
                        break  # full

    @property
    def free(self) -> float:
        """The share that is free."""
        used = disk_usage(self.folder)
        return used.free / used.total

    def empty(self) -> None:
        """What `fill` has written is gone."""
        (self.folder / BALLAST).unlink(missing_ok=True)

    def unmount(self) -> None:
        """Also while a process has files open on it."""
        subprocess.run(["umount", "--lazy", str(self.folder)], check=True, capture_output=True)
