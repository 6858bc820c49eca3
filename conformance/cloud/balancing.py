"""Alarms over a real Octavia's load balancers: the health of a pool's members is read page by page, as the service, and with
Heat the members that are ill are replaced."""

import json
import subprocess
import uuid
from typing import Any

from cloud.octavia import PAGE, Octavia
from cloud.programs import Programs, python_of
from cloud.stacks import Stack, trusts
from cloud.world import Caller, Refused, World, until
from harness.outcome import Outcome

USER, PROJECT = "a-member", "a"
TYPE = "loadbalancer_member_health"
LBAAS = "/v2.0/lbaas"


class Pool:
    """A member's load balancer with one pool, whose members a health monitor looks at."""

    def __init__(self, caller: Caller, name: str) -> None:
        self.caller = caller
        body = {"name": name, "vip_subnet_id": str(uuid.uuid4())}
        self.balancer = caller.post(f"{LBAAS}/loadbalancers", {"loadbalancer": body})["loadbalancer"]["id"]
        self.id = self.order("pools", {"pool": {"loadbalancer_id": self.balancer, "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN"}})
        self.path = f"{LBAAS}/pools/{self.id}/members"
        self.order("healthmonitors", {"healthmonitor": {"pool_id": self.id, "type": "HTTP", "delay": 5, "timeout": 3, "max_retries": 2}})

    def rests(self) -> None:
        """Waits until the load balancer takes orders."""
        def is_active() -> bool:
            shown = self.caller.get(f"{LBAAS}/loadbalancers/{self.balancer}")["loadbalancer"]
            return shown["provisioning_status"] == "ACTIVE"
        until("the load balancer is active", is_active)

    def order(self, path: str, body: dict[str, Any]) -> str:
        """Has something made; its id."""
        self.rests()
        made = self.caller.post(f"{LBAAS}/{path}", body)
        self.rests()
        return made[next(iter(body))]["id"]

    def add(self, number: int) -> str:
        """A further member; its id."""
        return self.order(f"pools/{self.id}/members", {"member": {"address": f"192.0.2.{number}", "protocol_port": 80}})

    def is_managed(self, member: str, managed: bool) -> None:
        """Sets whether a member is to work at all."""
        self.rests()
        self.caller.put(f"{self.path}/{member}", {"member": {"admin_state_up": managed}})
        self.rests()

    def members(self) -> dict[str, str]:
        """The operating states of all members."""
        found: dict[str, str] = {}
        while True:
            marker = {"marker": list(found)[-1]} if found else {}
            page = self.caller.get(self.path, {"limit": PAGE, **marker})["members"]
            if not page:
                return found
            found.update({member["id"]: member["operating_status"] for member in page})


class Client:
    """`openstack alarm` of a member."""

    def __init__(self, world: World) -> None:
        self.program = python_of("cloud").parent / "openstack"
        self.environment = {
            "OS_AUTH_URL": world.identity.url, "OS_USERNAME": USER, "OS_PASSWORD": f"pw-{USER}", "OS_PROJECT_NAME": PROJECT,
            "OS_USER_DOMAIN_ID": "default", "OS_PROJECT_DOMAIN_ID": "default", "OS_IDENTITY_API_VERSION": "3",
            "OS_REGION_NAME": "RegionOne", "OS_INTERFACE": "public", "PATH": "/usr/bin:/bin",
        }

    def alarm(self, *words: str) -> Any:
        """What a command about alarms answers."""
        done = subprocess.run([self.program, "alarm", *words, "-f", "json"], env=self.environment, capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"openstack alarm {' '.join(words)}: {done.stderr[-1000:]}")
        return json.loads(done.stdout)

    def make(self, name: str, pool: str, *words: str) -> str:
        """An alarm over a pool; its id."""
        rule = ("--pool-id", pool, "--stack-id", "no-stack", "--autoscaling-group-id", "no-group")
        return self.alarm("create", "--name", name, "--type", TYPE, *rule, *words)["alarm_id"]


def health(world: World, programs: Programs, octavia: Octavia, tally: Outcome) -> None:
    """What an alarm says of a pool's members, from the first look to the end of Octavia."""
    alarms, client = world.alarms(USER, PROJECT), Client(world)
    pool = Pool(world.caller(octavia.port, USER, PROJECT), "web")
    members = [pool.add(number) for number in range(1, 2 * PAGE + 2)]
    tally.equal("all members are online", pool.members(), dict.fromkeys(members, "ONLINE"))
    alarm = client.make("health", pool.id)
    unknown = client.make("unknown", str(uuid.uuid4()))

    def reaches(state: str, what: str) -> str:
        until(what, lambda: alarms.get(f"/v2/alarms/{alarm}/state") == state)
        tally.check(what, True)
        return alarms.get(f"/v2/alarms/{alarm}")["state_reason"]

    reason = reaches("ok", "who has healthy members is ok")
    tally.equal("and says so", reason, "Transition to ok due to 0 members unhealthy, most recent: None")
    # The last page, the first one, and both.
    for ill in ([members[-1]], [members[0]], members):
        for member in ill:
            octavia.member_is(member, "ERROR")
        reason = reaches("alarm", f"{len(ill)} members that are ill are seen")
        tally.check("and counted", reason.startswith(f"Transition to alarm due to {len(ill)} members unhealthy, most recent: {{"), reason)
        tally.check("and one of them is named", any(f"'id': '{member}'" in reason for member in ill), reason)
        for member in ill:
            octavia.member_is(member, "ONLINE")
        reaches("ok", f"{len(ill)} members are well again")
    octavia.member_is(members[0], "ERROR")
    reaches("alarm", "a member is ill once more")
    pool.is_managed(members[0], False)
    reaches("ok", "who is switched off is not ill")
    kinds = [json.loads(entry["detail"])["state"] for entry in reversed(alarms.get(f"/v2/alarms/{alarm}/history"))
             if entry["type"] == "state transition"]
    tally.equal("history has each change once", kinds, ["ok"] + ["alarm", "ok"] * 4)
    alarms.put(f"/v2/alarms/{unknown}/state", "ok")
    until("nothing is known of a pool that is not there", lambda: alarms.get(f"/v2/alarms/{unknown}/state") == "insufficient data")
    reason = alarms.get(f"/v2/alarms/{unknown}")["state_reason"]
    tally.check("and Octavia's words are the reason", "not found" in reason.lower(), reason)
    programs.stop("octavia")
    reason = reaches("insufficient data", "without Octavia nothing is known")
    tally.equal("and the reason says so", reason, "failed to communicate with load balancing service")
    for name in (alarm, unknown):
        alarms.delete(f"/v2/alarms/{name}")


def healing(world: World, heat_port: int, octavia: Octavia, tally: Outcome) -> None:
    """A stack's alarm has Heat replace what belongs to a member that is ill, and nothing else."""
    alarms, heat = world.alarms(USER, PROJECT), world.caller(heat_port, USER, PROJECT)
    heat.api.prefix = f"/v1/{world.identity.find('project', PROJECT)}"
    before = trusts(world)
    pool = Pool(world.caller(octavia.port, USER, PROJECT), "healed")
    stack = Stack(heat, "healed", "balanced.yaml", {"pool": pool.id}, nested=["member.yaml"])
    alarm = stack.alarm_id("health")
    made = alarms.get(f"/v2/alarms/{alarm}")
    rule = made["loadbalancer_member_health_rule"]
    group = stack.alarm_id("group")
    tally.equal("Heat makes the alarm", (made["type"], rule), (TYPE, {"pool_id": pool.id, "stack_id": stack.id, "autoscaling_group_id": group}))
    tally.equal("its action tells Heat", [action.rstrip("/") for action in made["alarm_actions"]], ["trust+heat:"])
    tally.equal("by a trust", trusts(world) - before, 1)
    until("the alarm is ok", lambda: alarms.get(f"/v2/alarms/{alarm}/state") == "ok")
    for number in (1, 2):
        old = list(pool.members())
        tally.equal(f"healing {number}: the group has its members", len(old), 2)
        ill, well = old[0], old[1]
        octavia.member_is(ill, "ERROR")

        def is_replaced(ill: str = ill) -> bool:
            now = pool.members()
            return ill not in now and len(now) == 2 and set(now.values()) == {"ONLINE"}

        try:
            until("the member is replaced", is_replaced)
        except TimeoutError as error:
            tally.check(f"healing {number}: the member is replaced", False, f"{error}; {world.dead_letters()}; {stack.shown()}")
            return
        tally.check(f"healing {number}: the other one stays", well in pool.members(), f"{pool.members()}")
        stack.reaches("UPDATE_COMPLETE")
        until("the alarm is ok again", lambda: alarms.get(f"/v2/alarms/{alarm}/state") == "ok")
        tally.equal(f"healing {number}: the group is as large as it was", stack.size(), 2)
        events = heat.get(f"{stack.path}/events", {"nested_depth": 3})["events"]
        marked = [event for event in events if "unhealthy load balancer member" in event["resource_status_reason"]]
        tally.equal(f"healing {number}: one resource was marked", len(marked), number)
    stack.delete()
    tally.equal("the stack takes its members with it", pool.members(), {})
    tally.equal("and its trust", trusts(world) - before, 0)
    try:
        alarms.get(f"/v2/alarms/{alarm}")
        tally.check("and its alarm", False, "it is there")
    except Refused:
        tally.check("and its alarm", True)
