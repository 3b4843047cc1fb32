"""Measure ways to train, interleaved in one run, and write the table that the README shows: make bench

Every contender has processes of its own, which sleep while another one runs. Rounds go through all contenders of a
network in turn, so that a slow spell of the machine meets them all; what counts is the median over rounds, and the
ratio to the naive loop of the same network. Where Keras cannot be installed, it is left out, with a word.
"""

from __future__ import annotations

import datetime
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import torch

from companion.scaleout import ALLOCATOR
from companion.training import compiled

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
RESULTS = HERE / "results.json"
KERAS = ("keras==3.15.1", "tensorflow-cpu==2.21.0")
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
CORES = os.cpu_count() or 1
NETWORKS = {
    "cnn": "the CIFAR-10 network of `generalizations` (122,570 parameters)",
    "lenet": "LeNet-5 (61,706)",
    "mlp": "MLP 100-25-10 (2,785)",
}


@dataclass
class Contender:
    """One way to train: how the table calls it, and the processes that it takes."""

    network: str
    name: str
    label: str
    processes: int = 1
    threads: int = CORES
    python: str = sys.executable
    running: list[subprocess.Popen[str]] = field(default_factory=list)
    speeds: list[float] = field(default_factory=list)

    def start(self) -> bool:
        """Start its processes; tell whether they all got ready."""
        settings = os.environ | {"PYTHONPATH": str(ROOT), "BENCH_THREADS": str(self.threads)}
        if self.processes > 1:  # what the workers of a sweep have
            settings |= ALLOCATOR
        if "keras" in self.name:
            settings.pop("BENCH_THREADS")
        command = [self.python, str(HERE / "contenders.py"), self.name]
        pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.running = [subprocess.Popen(command, env=settings, **pipes) for _ in range(self.processes)]
        return all(one.stdout.readline() == "ready\n" for one in self.running)

    def run(self) -> None:
        """Train one segment in every process at once; note the images per second of all together."""
        started = time.perf_counter()
        for one in self.running:
            one.stdin.write("go\n")
            one.stdin.flush()
        images = sum(int(one.stdout.readline().split()[0]) for one in self.running)
        self.speeds.append(images / (time.perf_counter() - started))

    def stop(self) -> None:
        """End its processes."""
        for one in self.running:
            one.kill()
            one.communicate()

    @property
    def speed(self) -> float:
        """Images per second, the median over rounds."""
        return statistics.median(self.speeds)


def contenders(keras: str) -> list[Contender]:
    """Return all that can run here."""
    found = []
    for network in NETWORKS:
        arithmetics = ["fp32"] if network == "mlp" else ["fp32", "bf16"]
        if network == "cnn" and not compiled.available():
            arithmetics += ["bf16-compiled"]
        found += [Contender(network, f"{network} naive 0", "naive loop: DataLoader, PIL, ToTensor, Normalize")]
        found += [Contender(network, f"{network} naive 2", "naive loop, DataLoader with 2 workers")]
        if keras:
            found += [Contender(network, f"{network} keras", "Keras `model.fit`", python=keras)]
        found += [Contender(network, f"{network} fit {how}", f"`fit`, {how}") for how in arithmetics]
        if network != "mlp":
            found += [Contender(network, f"{network} vmap", "8 models under vmap, fp32")]
        found += [
            Contender(network, f"{network} many {how}", f"`fit_many`, {how}, {CORES} processes", CORES, threads=1)
            for how in arithmetics
        ]
        if torch.cuda.is_available():
            for how in arithmetics:
                found += [Contender(network, f"{network} many {how} cuda", f"`fit_many`, {how}, 64 models on the GPU")]
    return found


def keras_python() -> str:
    """Return the interpreter of a throw-away environment with Keras, or nothing where it cannot be had."""
    folder = ROOT / "build" / "bench" / "keras"
    python = folder / "bin" / "python"
    if not (folder / "complete").exists():
        try:
            subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True, capture_output=True)
            pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            subprocess.run([*pip, *KERAS, "numpy"], check=True, capture_output=True, text=True, timeout=900)
        except (subprocess.SubprocessError, OSError) as error:
            reason = (getattr(error, "stderr", "") or str(error)).strip().splitlines()[-1]
            sys.stdout.write(f"no Keras here ({reason}); its rows are left out\n")
            return ""
        (folder / "complete").touch()
    return str(python)


def machine() -> str:
    """Say in a few words what this machine is."""
    info = Path("/proc/cpuinfo")
    text = info.read_text() if info.exists() else ""
    model = re.search(r"model name\s*: (.*)", text)
    flags = [name for name in ("avx512_bf16", "amx_bf16") if name in text]
    told = f"{CORES} cores of {model[1].strip() if model else platform.processor() or platform.machine()}"
    told += f" ({', '.join(flags)})" if flags else ""
    return told + (f" and one {torch.cuda.get_device_name()}" if torch.cuda.is_available() else "")


def measure(entered: list[Contender]) -> list[Contender]:
    """Let all run in turn, round by round; return those that could."""
    ready = []
    for one in entered:
        if one.start():
            ready.append(one)
        else:
            last = (one.running[0].stderr.read().strip().splitlines() or ["no message"])[-1]
            sys.stdout.write(f"{one.name}: left out ({last})\n")
    try:
        for place in range(ROUNDS):
            for one in ready:
                one.run()
            sys.stdout.write(f"{ready[0].network}: round {place + 1} of {ROUNDS}\n")
            sys.stdout.flush()
    finally:
        for one in entered:
            one.stop()
    return ready


def table(results: dict) -> str:
    """Return the README's table."""
    lines = []
    for network, title in NETWORKS.items():
        rows = [row for row in results["rows"] if row["network"] == network]
        naive = max(row["speed"] for row in rows if "naive" in row["label"])  # the better of the two
        lines += ["", f"| {title} | images/s | x naive |", "|---|---:|---:|"]
        lines += [f"| {row['label']} | {row['speed']:,.0f} | {row['speed'] / naive:.1f} |" for row in rows]
    told = f"Batches of {results['batch']}, Adam. Medians of {results['rounds']} interleaved rounds on "
    return "\n".join([told + f"{results['machine']}, {results['date']}, PyTorch {results['torch']}.", *lines])


def main() -> None:
    """Measure, keep the numbers and show them in the README."""
    from contenders import BATCH

    entered = contenders(keras_python())
    ran = [one for network in NETWORKS for one in measure([other for other in entered if other.network == network])]
    results = {
        "date": datetime.date.today().isoformat(),
        "machine": machine(),
        "torch": torch.__version__.split("+")[0],
        "batch": BATCH,
        "rounds": ROUNDS,
        "rows": [{"network": one.network, "label": one.label, "speed": one.speed, "rounds": one.speeds} for one in ran],
    }
    RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    text = table(results)
    readme = ROOT / "README.md"
    before = readme.read_text(encoding="utf-8")
    marked = re.compile(r"(<!-- bench:begin -->\n).*?(<!-- bench:end -->)", re.DOTALL)
    readme.write_text(marked.sub(lambda found: f"{found[1]}{text}\n{found[2]}", before), encoding="utf-8")
    sys.stdout.write(f"{text}\n")


if __name__ == "__main__":
    main()
