"""What belongs to one run: its directory, its logs, and a DDS domain that no other run uses."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import IO

from giljabi.types import BadInputError

RUN_ENV = "GILJABI_RUN"  # in the environment of every process of a run
DOMAIN_ENV = "ROS_DOMAIN_ID"
DOMAINS = range(1, 102)  # 0 is everybody's; above 101 DDS ports meet Linux's ephemeral ones
DDS_PORT_BASE, DDS_DOMAIN_GAIN = 7400, 250  # DDS-RTPS 2.2, 9.6.1.1
KEEP_LOGS = 20


def base_dir() -> Path:
    """Folder of all runs of this user."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime and os.access(runtime, os.W_OK):
        return Path(runtime) / "giljabi"
    return Path(tempfile.gettempdir()) / f"giljabi-{os.getuid()}"


def state_dir() -> Path:
    """Folder of the logs of all runs."""
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "giljabi"


def _try_lock(path: Path) -> IO[bytes] | None:
    """The open and locked file, or None when another process holds it."""
    while True:
        file = path.open("ab")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(file.fileno()).st_ino == path.stat().st_ino:
                return file
        except FileNotFoundError:
            pass  # its holder has just removed it
        except OSError:
            file.close()
            return None
        file.close()


def _unlock(file: IO[bytes]) -> None:
    """Removes the file while it is still locked, so that nobody takes a lock that is about to vanish."""
    Path(file.name).unlink(missing_ok=True)
    file.close()


class RunDir:
    """Directory, logs and domain of one run; `close` removes everything but the logs."""

    def __init__(self, name: str, own_domain: bool = True) -> None:
        """name: what is run, for people; own_domain: take a DDS domain, else it is -1.

        Raises BadInputError when no directory or domain can be had.
        """
        base = base_dir()
        try:
            base.mkdir(mode=0o700, parents=True, exist_ok=True)
            if base.stat().st_uid != os.getuid():
                raise BadInputError(f"{base} belongs to another user; set XDG_RUNTIME_DIR to a folder of your own")
            self._sweep(base)
            base.mkdir(mode=0o700, exist_ok=True)  # a run that has just ended may have removed it
            self.path = Path(tempfile.mkdtemp(prefix=f"{time.strftime('%Y%m%d-%H%M%S')}-{name}-", dir=base))
            self.id = self.path.name
            self._locks = [lock for lock in [_try_lock(self.path / "lock")] if lock]
            self.log_dir = state_dir() / self.id
            self.log_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._prune(state_dir())
        except OSError as e:
            raise BadInputError(f"{e.filename}: {e.strerror}; a writable folder is expected") from None
        self.domain = self._take_domain(base) if own_domain else -1
        (self.path / "domain").write_text(str(self.domain), encoding="ascii")

    @staticmethod
    def _sweep(base: Path) -> None:
        """Removes directories of runs that were killed: nobody holds their lock."""
        for path in base.iterdir():
            if path.is_dir() and time.time() - path.stat().st_mtime > 5.0:
                lock = _try_lock(path / "lock")
                if lock is not None:
                    lock.close()
                    shutil.rmtree(path, ignore_errors=True)

    @staticmethod
    def _prune(logs: Path) -> None:
        old = sorted(p for p in logs.iterdir() if p.is_dir())
        for path in old[:-KEEP_LOGS]:
            shutil.rmtree(path, ignore_errors=True)

    def _take_domain(self, base: Path) -> int:
        """The user's ROS_DOMAIN_ID, or a free one; locked for as long as the run lasts."""
        asked = os.environ.get(DOMAIN_ENV)
        if asked:
            if not asked.isdigit() or int(asked) > 232:
                raise BadInputError(f"{DOMAIN_ENV}={asked}; a number from 0 to 232 is expected")
            if self._lock_domain(base, int(asked)):
                return int(asked)
            self.close()
            raise BadInputError(f"another run uses {DOMAIN_ENV}={asked}; unset it, or choose a free one")
        used = _udp_ports()
        first = os.getpid() % len(DOMAINS)
        for k in range(len(DOMAINS)):
            domain = DOMAINS[(first + k) % len(DOMAINS)]
            port = DDS_PORT_BASE + DDS_DOMAIN_GAIN * domain
            if used.isdisjoint(range(port, port + DDS_DOMAIN_GAIN)) and self._lock_domain(base, domain):
                return domain
        self.close()
        raise BadInputError(f"no {DOMAIN_ENV} from {DOMAINS[0]} to {DOMAINS[-1]} is free; end other runs")

    def _lock_domain(self, base: Path, domain: int) -> bool:
        lock = _try_lock(base / f"domain-{domain}.lock")
        if lock is not None:
            self._locks.append(lock)
        return lock is not None

    def close(self) -> None:
        """Removes the directory and frees the domain."""
        for lock in self._locks:
            _unlock(lock)
        self._locks = []
        shutil.rmtree(self.path, ignore_errors=True)
        with contextlib.suppress(OSError):
            self.path.parent.rmdir()  # when this was the last run


def running_domain() -> int | None:
    """The DDS domain of this user's stack: ROS_DOMAIN_ID, else that of the one run there is; None: there is none.

    Raises BadInputError when there are several.
    """
    asked = os.environ.get(DOMAIN_ENV)
    if asked:
        return int(asked) if asked.isdigit() else None
    found = {}
    for path in base_dir().glob("*/domain"):
        lock = _try_lock(path.parent / "lock") if (path.parent / "lock").is_file() else None
        if lock is not None:  # nobody holds it: a run that was killed
            lock.close()
            continue
        with contextlib.suppress(OSError, ValueError):
            found[path.parent.name] = int(path.read_text(encoding="ascii"))
    if len(found) > 1:
        runs = ", ".join(f"{name} ({domain})" for name, domain in sorted(found.items()))
        raise BadInputError(f"several runs: {runs}; set {DOMAIN_ENV} to the number of one")
    return next(iter(found.values()), None)


def _udp_ports() -> set[int]:
    """Local UDP ports in use on this machine."""
    ports = set()
    for table in ("/proc/net/udp", "/proc/net/udp6"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            for line in Path(table).read_text(encoding="ascii").splitlines()[1:]:
                ports.add(int(line.split()[1].rsplit(":", 1)[1], 16))
    return ports
