"""The server behind the fixture `fresh`: forks a process for every script that it is told to run."""

from __future__ import annotations

import atexit
import contextlib
import importlib
import json
import os
import signal
import sys
import tempfile
import threading
import time
import traceback
import types
from pathlib import Path

LIBRARIES = """IPython.core.interactiveshell IPython.display cloudpickle filelock joblib jsonschema
matplotlib.pyplot pandas PIL.Image platformdirs pyarrow.parquet scipy.stats seaborn torch tqdm.auto"""


def main() -> None:
    sys.dont_write_bytecode = True  # sources are edited faster than the clock of a .pyc ticks
    sys.path = [one for one in sys.path if Path(one or ".").resolve() != Path(__file__).parent]
    for name in LIBRARIES.split():
        importlib.import_module(name)
    sys.modules["torch"].set_num_threads(1)
    assert not any(name.partition(".")[0] == "companion" for name in sys.modules)
    for line in sys.stdin:
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            status = run(json.loads(line), out.fileno(), err.fileno())
            told = {"status": status}
            for name, file in (("out", out), ("err", err)):
                file.seek(0)
                told[name] = file.read().decode()
        print(json.dumps(told), flush=True)
    os._exit(0)  # taking the libraries down would take seconds


def run(order: dict, out: int, err: int) -> int:
    child = os.fork()
    if child == 0:
        become(order, out, err)
    if order["kill_after"] is not None:
        while (
            not Path(order["marker"]).exists()
            and os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None
        ):
            time.sleep(0.005)
        time.sleep(order["kill_after"])
        os.killpg(child, signal.SIGKILL)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)  # workers that are left
    return status


def become(order: dict, out: int, err: int) -> None:
    """Be the process of one script; never returns."""
    status = 1
    try:
        os.setpgid(0, 0)
        for ours, theirs in ((os.open(os.devnull, os.O_RDONLY), 0), (out, 1), (err, 2)):
            os.dup2(ours, theirs)
        os.environ.update(order["environment"], PYTHONPATH=order["path"], PYTHONDONTWRITEBYTECODE="1")
        script = Path(order["script"])
        sys.path[:0] = [str(script.parent), order["path"]]
        sys.argv = [str(script), *order["arguments"]]
        sys.modules["__main__"] = module = types.ModuleType("__main__")
        module.__file__ = str(script)
        exec(compile(script.read_text(encoding="utf-8"), script, "exec"), vars(module))
        status = 0
    except SystemExit as ended:
        status = int(ended.code or 0)
    except BaseException:
        traceback.print_exc()
    finally:
        threading._shutdown()  # as the interpreter ends, without taking down the libraries: seconds
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    main()
