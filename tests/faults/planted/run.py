"""Runs each plant and says whether the checker found it, and nothing that was not there."""

import asyncio

from checker.clients import Doors
from fault import Fault, Run, execute

from .plants import PLANTS
from .proxy import Proxy


class Planted(Fault):
    about = "a planted fault"
    rate = 80

    def __init__(self, plant):
        self.plant, self.name, self.bound_s = plant, plant.name, plant.bound_s

    async def inject(self, run):
        plant, load = self.plant, run.load
        plant.victim, plant.owner = load.members[1].user, load.owner
        plant.stranger, plant.removed = (o.client.user for o in load.outsiders)
        if plant.expect == "V":
            run.mends_itself()  # however long the rest of this takes
        await plant.arm()
        await load.traffic(60)

    async def verify(self, run):
        for text in self.plant.did[:1]:
            run.show(str(text))
        return []


async def run_plant(plant, stack, seed):
    plant.stack = stack
    proxy = plant.proxy = await Proxy(stack.base_url, stack.ws_url, plant).start()
    run = Run(Planted(plant), stack, seed, Doors(proxy.http_url, [proxy.ws_url], stack.token))
    # connections to the proxy are sessions at the gateway: what it saw of the owner's token it has from the first request on
    plant.owner = run.load.owner
    plant.victim = f"user1-{run.load.run}"
    try:
        return await execute(run), run
    finally:
        await plant.done()
        await proxy.stop()


def judge(plant, outcome):
    """None when the checker was right, else what it got wrong."""
    found = {v.invariant for v in outcome.violations}
    if outcome.error:
        return outcome.error
    if plant.expect and plant.expect not in found:
        return f"not found; it reported {''.join(sorted(found)) or 'nothing'}"
    if found - set(plant.expect + plant.also):
        return f"it also reported {''.join(sorted(found - set(plant.expect + plant.also)))}: {outcome.violations[:3]}"
    return None


def run_all(stack, seed, only=None):
    """Returns the names of the plants about which the checker was wrong."""
    wrong = []
    for name in only or PLANTS:
        plant = PLANTS[name]()
        outcome, run = asyncio.run(run_plant(plant, stack, seed))
        verdict = judge(plant, outcome)
        said = next((v.what for v in outcome.violations if v.invariant == plant.expect), "nothing, as it should")
        print(f"{'ok   ' if verdict is None else 'WRONG'} {name:20} {plant.expect or '-'}  {plant.about} ({outcome.took_s:.0f} s)")
        print(f"        planted: {'; '.join(outcome.shown)}\n        found:   {verdict or said}", flush=True)
        if verdict is not None:
            wrong.append(name)
    print(f"\n{len(only or PLANTS)} planted faults, {len(wrong)} not reported as they should be" + (f": {', '.join(wrong)}" if wrong else ""))
    return wrong
