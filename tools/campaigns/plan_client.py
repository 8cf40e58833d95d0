"""A client that has plans of its own, and asks all that can be asked of them, in one thread."""

import json
import threading
import time
from itertools import count
from random import Random
from typing import Any

import zmq

from campaigns.plan_notes import Asked, Notes, Told

LOOK_MS = 20
"""How often a client looks whether the server was killed: it starts more slowly than that."""

PATIENCE_S = 40.0
REST_S = 0.04
REPEATED = 0.2
"""The part of what was answered that is asked again, as if the reply had been lost."""

HELD_S = (0.2, 2.5)
"""How long a timer is kept paused: to before its moment or beyond it."""

RESTED_S = (0.0, 0.3)
"""The same of a plan."""

RULES = ("every", "cron", "steps")
DOINGS = {
    "look": 25,
    "run": 12,
    "skip": 10,
    "put again": 8,
    "relabel": 10,
    "recount": 5,
    "rest": 8,
    "hold": 12,
    "cancel": 6,
    "put anew": 4,
    "delete": 2,
}
"""What is done with a plan, by how often."""


class Lives:
    """How often the server was killed. Who has asked it before asks again, from a new socket."""

    def __init__(self) -> None:
        self.number = 0


class PlanClient:
    """Asks about its plans, one call after the other, until it is told to stop."""

    def __init__(
        self, name: str, endpoint: str, lives: Lives, notes: Notes, dice: Random, repeated: float = REPEATED
    ) -> None:
        self._name = name
        self._endpoint = endpoint
        self._lives = lives
        self._notes = notes
        self._dice = dice
        self._repeated = repeated
        self._numbers = count(1)
        self._context = zmq.Context()
        self._put: dict[str, dict[str, Any]] = {}
        """What was put last, by plan."""
        self._held: list[tuple[float, str, str]] = []
        """Timers that are paused: until when, their plan and their id."""
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self.failure: str | None = None

    def start(self) -> None:
        """Begins to ask."""
        self._thread.start()

    def stop(self) -> None:
        """Lets it end what it has begun. The server has to be there."""
        self._stopped.set()
        self._thread.join(PATIENCE_S)
        if self._thread.is_alive():
            self.failure = "it does not end"

    def close(self) -> None:
        """Lets go of the connection."""
        self._context.destroy(linger=0)

    def _work(self) -> None:
        try:
            for rule in RULES:
                for overlap in ("allow", "skip"):
                    self.put_anew(f"{self._name}/{rule}/{overlap}")
            while not self._stopped.wait(self._dice.expovariate(1 / REST_S)):
                self._let_go()
                plan = self._dice.choice(list(self._put))
                (doing,) = self._dice.choices(list(DOINGS), list(DOINGS.values()))
                self._do(doing, plan)
            self.close()
        except Exception as failure:  # a thread that dies in silence would make the load smaller
            self.failure = repr(failure)

    def _do(self, doing: str, plan: str) -> None:
        told = self.ask(plan, "plan.get") or {}
        pending = told.get("pending")
        if told.get("state") == "finished":
            doing = self._dice.choice(["recount", "put anew", "delete"])
        match doing:
            case "run" | "skip":
                self.ask(plan, f"plan.{doing}", key=f"{doing}/{next(self._numbers)}")
            case "put again":
                self.ask(plan, "plan.put", **self._put[plan])
            case "relabel":
                self._change(plan, label=f"label {next(self._numbers)}")
            case "recount":
                self._change(plan, count=self._drawn_count())
            case "rest":
                self.ask(plan, "plan.pause")
                time.sleep(self._dice.uniform(*RESTED_S))  # meanwhile moments pass
                self.ask(plan, "plan.resume")
            case "put anew":
                self.put_anew(plan)
            case "delete":
                self.ask(plan, "plan.delete")
                self.put_anew(plan)
            case "hold" | "cancel" if pending:
                self._touch(plan, pending["id"], is_held=doing == "hold")

    def _touch(self, plan: str, timer_id: str, *, is_held: bool) -> None:
        """Cancels the timer that a plan waits for, or pauses it for a while."""
        self.ask(plan, "timer.pause" if is_held else "timer.cancel", id=timer_id)
        if is_held:
            self._held.append((time.monotonic() + self._dice.uniform(*HELD_S), plan, timer_id))

    def put_anew(self, plan: str) -> None:
        """Puts a plan with other moments than before."""
        _, rule, overlap = plan.split("/")
        number = next(self._numbers)
        seconds = round(1 + 0.001 * number + self._dice.random(), 3)
        settings: dict[str, Any] = {"missed": self._dice.choice(["last", "all", "none"]), "overlap": overlap}
        match rule:
            case "every":
                settings["every"] = {"seconds": seconds}
            case "cron":
                settings |= {"cron": "* * * * *", "zone": "UTC", "from_ms": number}
            case "steps":
                settings["steps"] = [{"seconds": seconds, "label": "work"}, {"seconds": 1, "label": "rest"}]
        settings["count"] = self._drawn_count()
        self._put[plan] = settings
        self.ask(plan, "plan.put", **settings)

    def _drawn_count(self) -> int | None:
        return self._dice.choice([None, None, self._dice.randint(2, 12)])

    def _change(self, plan: str, **changed: Any) -> None:
        self._put[plan] = self._put[plan] | changed
        self.ask(plan, "plan.put", **self._put[plan])

    def _let_go(self) -> None:
        """Resumes or cancels a timer that was paused for long enough."""
        for held in [one for one in self._held if one[0] <= time.monotonic()]:
            self._held.remove(held)
            self.ask(held[1], self._dice.choice(["timer.resume", "timer.cancel"]), id=held[2])

    def ask(self, plan: str, method: str, **params: Any) -> dict[str, Any] | None:
        """Asks until it is told, and sometimes once more. Returns the result; None where it was an error."""
        if method.startswith("plan."):
            params["plan"] = plan
        call = next(self._numbers)
        self._notes.add(Asked(self._name, call, plan, method, params))
        message = {"jsonrpc": "2.0", "id": call, "method": method, "params": params}
        result = self._told(call, message)
        if self._dice.random() < self._repeated:
            self._told(call, message)
        return result

    def _told(self, call: int, message: dict[str, Any]) -> dict[str, Any] | None:
        end_s = time.monotonic() + PATIENCE_S
        for tries in count(1):
            life = self._lives.number
            with self._context.socket(zmq.REQ) as socket:
                socket.linger, socket.reconnect_ivl = 0, 20
                socket.connect(self._endpoint)
                socket.send_json(message)
                while life == self._lives.number and not socket.poll(LOOK_MS):
                    if time.monotonic() > end_s:
                        raise TimeoutError(f"{message['method']} was not answered within {PATIENCE_S} s")
                if not socket.poll(0):
                    continue
                reply = json.loads(socket.recv())
            error = reply["error"]["data"]["name"] if "error" in reply else None
            self._notes.add(Told(self._name, call, tries, reply.get("result"), error))
            result: dict[str, Any] | None = reply.get("result")
            return result
        raise AssertionError
