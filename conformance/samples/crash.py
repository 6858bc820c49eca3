"""`gnocchi://` over HTTP while server and publisher are killed and started again."""

import random
import threading
import time

from harness import outcome, server as live
from samples import load
from samples.publisher import Publisher

CALLS = 300
OF_CALL = 20


def run(tally: outcome.Outcome, seed: int) -> None:
    """Sends calls one after another; what is acknowledged must arrive."""
    rng = random.Random(seed)
    with live.Server(live.OURS, environment={"MAX_LIMIT": "1000", "DEFAULT_POLICIES": "false"}) as server:
        load.prepare(server)
        publisher = Publisher(f"gnocchi://?archive_policy={load.POLICY}", f"gnocchi={server.url()}")
        done = threading.Event()
        kills = [0]

        def kill_server() -> None:
            while not done.wait(rng.uniform(0.3, 1.5)):
                server.kill()
                kills[0] += 1
                done.wait(rng.uniform(0.1, 2.5))
                server.start()

        killer = threading.Thread(target=kill_server)
        killer.start()
        acknowledged: set[int] = set()
        deaths = 0
        for call in range(CALLS):
            numbers = range(call * OF_CALL, (call + 1) * OF_CALL)
            said = publisher.send(load.messages(numbers))
            if said == "ok":
                acknowledged.update(numbers)
            if call % 60 == 30:
                publisher.kill()
                deaths += 1
                publisher.start()
            time.sleep(0.02)
        done.set()
        killer.join()
        tally.check("crash: the server was killed", kills[0] >= 3, f"{kills[0]} times")
        tally.check("crash: almost all is acknowledged", len(acknowledged) >= CALLS * OF_CALL * 0.9, str(len(acknowledged)))
        counts = publisher.finish()
        tally.equal("crash: nothing is refused", counts["refused"], 0)
        print(f"crash: server killed {kills[0]} times, publisher {deaths} times, {len(acknowledged)} samples acknowledged")
        load.check(tally, "crash", server, acknowledged, 10)
