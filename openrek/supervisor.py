"""Starts the processes of one machine, starts again those that die, and stops them in order.

Each part runs in a session of its own, so Ctrl-C in a terminal reaches only us and the order of stopping holds.
Should we be killed, the kernel sends each part its stop signal (Linux); what is left is stopped at the next start.
"""

import asyncio
import signal
import subprocess
import time
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from openrek import logs, processes
from openrek.errors import PartFailed

FIRST_RESTART_SECONDS = 0.2
LONGEST_RESTART_SECONDS = 10.0
ATTEMPTS_TO_START = 3
PROBE_SECONDS = 0.2
HOUSEKEEPING_SECONDS = 60.0
LEFTOVER_SECONDS = 10.0


@dataclass(frozen=True)
class Part:
    """One process to keep running. `ready` may raise OSError while nobody listens yet."""

    name: str
    command: tuple[str, ...]
    ready: Callable[[], Awaitable[bool]]
    stop_stage: int  # parts of a lower stage stop first
    stop_signal: signal.Signals = signal.SIGTERM
    ready_seconds: float = 120.0
    user: int | None = None
    pass_fds: tuple[int, ...] = ()


class Supervisor:
    """The running parts of one home. Used from one event loop, in the main thread."""

    def __init__(
        self, log_dir: Path, pid_dir: Path, environment: Mapping[str, str], say: Callable[[str], None]
    ) -> None:
        self._log_dir, self._pid_dir, self._environment, self._say = log_dir, pid_dir, environment, say
        self._running: dict[str, Process] = {}
        self._ready: dict[str, asyncio.Event] = {}
        self._keepers: dict[str, asyncio.Task[None]] = {}
        self._parts: dict[str, Part] = {}
        self._family = asyncio.Lock()  # a child is never seen before it is in _running
        self._strangers = processes.children()
        processes.adopt_orphans()

    def log_file(self, name: str) -> Path:
        return self._log_dir / f"{name}.log"

    def stop_leftovers(self) -> None:
        """Stop what a supervisor that was killed left running on this home."""
        for path in sorted(self._pid_dir.glob("*.pid")):
            number = signal.SIGINT if path.stem == "postgres" else signal.SIGTERM
            if processes.stop_leftover(path, number, LEFTOVER_SECONDS):
                self._say(f"stopped a {path.stem} left over from an earlier run")

    async def start(self, part: Part) -> None:
        """Start a part and wait until it is ready. From then on it is kept running. Raises PartFailed."""
        self._parts[part.name] = part
        ready = self._ready[part.name] = asyncio.Event()
        keeper = self._keepers[part.name] = asyncio.create_task(self._keep(part))
        waiting = asyncio.create_task(ready.wait())
        await asyncio.wait({keeper, waiting}, timeout=part.ready_seconds, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if keeper.done():
            keeper.result()
        if not ready.is_set():
            raise self._failed(part.name, f"is not ready after {part.ready_seconds:.0f} s")

    async def run(self, name: str, command: Sequence[str], to_terminal: bool = False) -> None:
        """Run a command to its end; its output goes to its log or to the terminal. Raises PartFailed."""
        process = await self._spawn(name, command, None if to_terminal else self.log_file(name))
        try:
            code = await process.wait()
        finally:
            await self._end(name, process, signal.SIGTERM, LEFTOVER_SECONDS)
        if code:
            raise PartFailed(f"{name} failed") if to_terminal else self._failed(name, "failed")

    async def watch(self) -> None:
        """Return only when a part is given up for good (PartFailed); keeps the logs small meanwhile."""
        while True:
            done, _ = await asyncio.wait(self._keepers.values(), timeout=HOUSEKEEPING_SECONDS)
            for keeper in done:
                keeper.result()
            for name in self._parts:
                logs.rotate(self.log_file(name))
            await self._end_orphans()

    async def stop(self, timeout_seconds: float) -> None:
        """Stop all parts, one stage after the other; each gets an equal share of the time, then is killed.

        Whatever else descends from us is killed too.
        """
        stages = sorted({part.stop_stage for part in self._parts.values()})
        for keeper in self._keepers.values():
            keeper.cancel()
        await asyncio.gather(*self._keepers.values(), return_exceptions=True)
        for stage in stages:
            ending = [
                self._end(name, self._running[name], part.stop_signal, timeout_seconds / len(stages))
                for name, part in self._parts.items()
                if part.stop_stage == stage and name in self._running
            ]
            await asyncio.gather(*ending)
        await self._end_orphans()

    async def _keep(self, part: Part) -> None:
        delay = FIRST_RESTART_SECONDS
        attempts = 0
        while True:
            started = time.monotonic()
            process = await self._spawn(
                part.name,
                part.command,
                self.log_file(part.name),
                user=part.user,
                pass_fds=part.pass_fds,
                stop_signal=part.stop_signal,
            )
            attempts += 1
            announcing = asyncio.create_task(self._announce(part, started))
            try:
                code = await process.wait()
            finally:
                was_ready = announcing.done()
                announcing.cancel()
            self._forget(part.name)
            await self._end_orphans()
            if not self._ready[part.name].is_set() and attempts == ATTEMPTS_TO_START:
                raise self._failed(part.name, f"ended {attempts} times before it was ready ({_how(code)})")
            self._say(f"{part.name} ended ({_how(code)}), starting it again")
            delay = FIRST_RESTART_SECONDS if was_ready else min(2 * delay, LONGEST_RESTART_SECONDS)
            await asyncio.sleep(delay)

    async def _announce(self, part: Part, started: float) -> None:
        while not await _is_ready(part):
            await asyncio.sleep(PROBE_SECONDS)
        again = "ready again" if self._ready[part.name].is_set() else "ready"
        self._say(f"{part.name} {again} ({time.monotonic() - started:.1f} s)")
        self._ready[part.name].set()

    async def _spawn(
        self,
        name: str,
        command: Sequence[str],
        log: Path | None,
        *,
        user: int | None = None,
        pass_fds: Sequence[int] = (),
        stop_signal: signal.Signals = signal.SIGTERM,
    ) -> Process:
        async with self._family:
            output = log.open("ab") if log else None
            try:
                process = await asyncio.create_subprocess_exec(
                    command[0],
                    *command[1:],
                    stdin=DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT if output else None,
                    env=self._environment,
                    start_new_session=True,
                    pass_fds=pass_fds,
                    preexec_fn=processes.signal_at_parents_death(stop_signal),
                    **processes.identity(user),
                )
            finally:
                if output:
                    output.close()
            self._running[name] = process
            processes.write_pid_file(self._pid_dir / f"{name}.pid", process.pid)
            return process

    async def _end(self, name: str, process: Process, number: signal.Signals, timeout_seconds: float) -> None:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.send_signal(number)
            try:
                await asyncio.wait_for(process.wait(), timeout_seconds)
            except TimeoutError:
                self._say(f"{name} did not stop in {timeout_seconds:.0f} s and is killed")
                with suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        self._forget(name)

    def _forget(self, name: str) -> None:
        self._running.pop(name, None)
        (self._pid_dir / f"{name}.pid").unlink(missing_ok=True)

    async def _end_orphans(self) -> None:
        async with self._family:
            ours = {process.pid for process in self._running.values()}
            processes.end_children_except(ours | self._strangers)

    def _failed(self, name: str, how: str) -> PartFailed:
        log = self.log_file(name)
        return PartFailed(f"{name} {how}. The end of {log}:\n{logs.tail(log, 15)}")


async def _is_ready(part: Part) -> bool:
    try:
        return await asyncio.wait_for(part.ready(), 2.0)
    except (OSError, TimeoutError, ValueError):
        return False


def _how(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"signal {-code}"
