"""The control groups that may limit how much CPU time this process gets: its own and each one above it."""

from __future__ import annotations

from dataclasses import dataclass

from perfsuite.doctor.files import Files, of
from perfsuite.doctor.model import Group, Unread
from perfsuite.doctor.parse import Mount, counters, group_mounts, own_groups, quota_v1, quota_v2


@dataclass(frozen=True)
class Places:
    """The folders of the groups, this process's own first."""

    version: int
    folders: tuple[str, ...]


def find_groups(files: Files) -> Places | Unread:
    """Where the groups of this process are, by what is mounted and what the kernel says it is in.

    A container that sees the names of the host's groups, but only its own one mounted, is that one.
    """
    own = files.read("/proc/self/cgroup", own_groups)
    mounts = files.read("/proc/self/mountinfo", group_mounts)
    if isinstance(own, Unread):
        return own
    if isinstance(mounts, Unread):
        return mounts
    first = next((path for controllers, path in own if "cpu" in controllers), None)
    if first is not None:
        version, path = 1, first
        mount = next((one for one in mounts if one.kind == "cgroup" and "cpu" in one.options), None)
    else:
        version, path = 2, next((path for controllers, path in own if not controllers), "/")
        mount = next((one for one in mounts if one.kind == "cgroup2"), None)
    if mount is None:
        return Unread("/proc/self/mountinfo: no hierarchy of control groups with CPU time is mounted")
    return Places(version, _folders(files, mount, path))


def _folders(files: Files, mount: Mount, path: str) -> tuple[str, ...]:
    below = path.removeprefix(mount.root.rstrip("/")) if path.startswith(mount.root) else ""
    parts = [part for part in below.split("/") if part]
    if ".." in parts or not files.there("/".join([mount.folder, *parts])):
        parts = []
    return tuple("/".join([mount.folder, *parts[:depth]]) for depth in range(len(parts), -1, -1))


def throttled(files: Files, places: Places | Unread) -> dict[str, int]:
    """How many periods of each group were throttled up to now, by its folder; without those that do not count it."""
    if isinstance(places, Unread):
        return {}
    found = {folder: of(files.read(f"{folder}/cpu.stat", counters)) or {} for folder in places.folders}
    return {folder: counts["nr_throttled"] for folder, counts in found.items() if "nr_throttled" in counts}


def read_groups(files: Files, places: Places | Unread, before: dict[str, int]) -> tuple[Group, ...] | Unread:
    """The groups as they are now; ``before`` is what :func:`throttled` said when the sample began."""
    if isinstance(places, Unread):
        return places
    found = []
    for folder in places.folders:
        quota = _quota(files, places.version, folder)
        if isinstance(quota, Unread):
            return quota
        counts = of(files.read(f"{folder}/cpu.stat", counters)) or {}
        now, was = counts.get("nr_throttled"), before.get(folder)
        sampled = None if now is None or was is None else max(0, now - was)
        found.append(Group(folder, quota, counts.get("nr_periods"), now, sampled))
    return tuple(found)


def _quota(files: Files, version: int, folder: str) -> float | Unread | None:
    # The topmost group has no such file, and one whose controller is off has none either: neither is a limit.
    if version == 2:
        path = f"{folder}/cpu.max"
        return files.read(path, quota_v2) if files.there(path) else None
    quota, period = f"{folder}/cpu.cfs_quota_us", f"{folder}/cpu.cfs_period_us"
    if not files.there(quota):
        return None
    length = files.text(period)
    return length if isinstance(length, Unread) else files.read(quota, lambda text: quota_v1(text, length))
