"""Channels and members through REST: what they become in the log, in Postgres and in the buckets."""

import uuid

import httpx
import pytest
from support.log import Log, database
from support.stack import wait_until


def new_channel():
    return "c-" + uuid.uuid4().hex[:12]


def test_bad_requests_are_named(stack):
    with stack.rest("ada") as rest, stack.rest("root", admin=True) as admin:
        def refused(status, names, answer):
            assert answer.status_code == status, answer.text
            assert names in answer.json()["detail"], answer.text

        refused(400, "name", rest.post("/api/channels", json={"kind": "open"}))
        refused(400, "name", rest.post("/api/channels", json={"name": "x" * 200}))
        refused(400, "id", rest.post("/api/channels", json={"name": "x", "id": "a.b"}))
        refused(400, "topic", rest.post("/api/channels", json={"name": "x", "topic": "x" * 2000}))
        refused(400, "everyone", rest.post("/api/channels", json={"name": "x", "everyone": True}))
        refused(400, "ownerId", rest.post("/api/channels", json={"name": "x", "ownerId": "bob"}))
        refused(400, "members", rest.post("/api/channels", json={"name": "x", "members": ["a b"]}))
        refused(400, "members", rest.post("/api/channels", json={"name": "x", "kind": "direct"}))
        refused(400, "members", rest.post("/api/channels", json={"name": "x", "members": [f"u{i}" for i in range(101)]}))
        refused(409, "general", rest.post("/api/channels", json={"name": "x", "id": "general"}))
        refused(400, "scope", rest.get("/api/channels", params={"scope": "all"}))
        refused(400, "limit", rest.get("/api/channels", params={"limit": "abc"}))
        refused(400, "after", rest.get("/api/channels", params={"after": "a b"}))
        channel = stack.channel("ada")
        refused(400, "userId", rest.post(f"/api/channels/{channel}/members", json={"userId": "a b"}))
        refused(400, "role", rest.post(f"/api/channels/{channel}/members", json={"userId": "bob", "role": "king"}))
        refused(400, "name", rest.patch(f"/api/channels/{channel}", json={"name": ""}))
        refused(409, "only owner", rest.post(f"/api/channels/{stack.channel('ada', members=['bob'])}/leave"))
        refused(404, "not a member", rest.delete(f"/api/channels/{channel}/members/nobody"))
        # and what administrators may
        made = admin.post("/api/channels", json={"name": "all hands", "everyone": True, "ownerId": "bob", "members": ["eve"]})
        assert made.status_code == 201
        members = admin.get(f"/api/channels/{made.json()['id']}/members").json()
        assert [(m["userId"], m["role"]) for m in members["members"]] == [("bob", "owner"), ("eve", "member")] and members["everyone"]
        assert admin.get(f"/api/channels/{channel}/messages").status_code == 403
        assert admin.patch(f"/api/channels/{made.json()['id']}", json={"archived": True}).status_code == 200


async def test_changes_are_events_and_entries_of_the_buckets(stack):
    channel = new_channel()
    async with Log(stack) as log:
        with stack.rest("ada") as ada, stack.rest("bob") as bob, stack.rest("root", admin=True) as admin:
            assert ada.post("/api/channels", json={"id": channel, "name": "one", "members": ["bob"]}).status_code == 201
            value, _ = await log.channel(channel)
            assert value.name == "one" and value.version == 1 and value.created_by == "ada"
            assert ada.patch(f"/api/channels/{channel}", json={"name": "two"}).status_code == 200
            assert bob.patch(f"/api/channels/{channel}", json={"name": "three"}).status_code == 403
            assert ada.post(f"/api/channels/{channel}/members", json={"userId": "bob", "role": "moderator"}).status_code == 200
            assert bob.patch(f"/api/channels/{channel}", json={"topic": "now I may"}).status_code == 200
            assert bob.post(f"/api/channels/{channel}/leave").status_code == 204
            value, _ = await log.channel(channel)
            assert (value.name, value.topic, value.version) == ("two", "now I may", 3)
            mine, _ = await log.memberships("bob")
            entry = next(m for m in mine.memberships if m.channel_id == channel)
            assert entry.role == 0 and entry.version == 3 and entry.left_seq > 0
            # open to everyone, and not any more
            assert (await log.channel("everyone." + channel))[0] is None
            assert admin.patch(f"/api/channels/{channel}", json={"everyone": True}).status_code == 200
            assert (await log.channel("everyone." + channel))[0].version == 4
            assert admin.patch(f"/api/channels/{channel}", json={"everyone": False}).status_code == 200
            assert (await log.channel("everyone." + channel))[0] is None
            assert admin.patch(f"/api/channels/{channel}", json={"everyone": True}).status_code == 200
            assert (await log.channel("everyone." + channel))[0].version == 6
        kinds = [e.WhichOneof("body") for _, e in await log.events(channel)]
        assert kinds == ["channel_changed", "member_joined", "member_joined", "channel_changed", "member_changed", "channel_changed",
                         "member_left", "channel_changed", "channel_changed", "channel_changed"]
        with database(stack) as db:
            wait_until(lambda: db.execute("SELECT count(*) FROM outbox WHERE channel_id = %s", [channel]).fetchone() == (0,), what="an empty outbox")
            wait_until(lambda: db.execute("SELECT count(*) FROM dirty").fetchone() == (0,), what="buckets that are up to date")


def test_many_at_once(stack):
    """Changes of one channel from all sides come one after the other; nobody is lost."""
    from concurrent.futures import ThreadPoolExecutor
    channel = stack.channel("ada", kind="open")

    def join(i):
        with stack.rest(f"joiner-{i}") as rest:
            return rest.post(f"/api/channels/{channel}/join").status_code

    with ThreadPoolExecutor(20) as pool:
        assert set(pool.map(join, range(40))) == {200}
    with stack.rest("ada") as rest:
        members, after = [], None
        while after != "":
            got = rest.get(f"/api/channels/{channel}/members", params={"limit": 7, **({"after": after} if after else {})}).json()
            members, after = members + got["members"], got["next"]
        assert len(members) == 41 and len({m["userId"] for m in members}) == 41
        own = [c["channel"]["id"] for c in rest.get("/api/channels", params={"limit": 500}).json()["channels"]]
        assert channel in own and own == sorted(own)
    events, _ = stack.all_events("ada", channel)
    assert len([e for e in events if "memberJoined" in e]) == 41
    with stack.rest("joiner-1") as rest:
        assert [c["channel"]["id"] for c in rest.get("/api/channels").json()["channels"] if c["channel"]["id"] == channel] == [channel]


def test_who_has_only_read_has_a_name(stack):
    """Somebody whom others brought in, and who has not written yet, is called what his token says."""
    bob, eve = ("reader-" + uuid.uuid4().hex[:8] for _ in range(2))
    channel = stack.channel("ada", members=[bob, eve])

    def names():
        with stack.rest("ada") as ada:
            return {m["userId"]: m["name"] for m in ada.get(f"/api/channels/{channel}/members").json()["members"]}

    def reads(user, name, status=200):
        with stack.rest(token=stack.token(user, name=name)) as rest:
            assert rest.get(f"/api/channels/{channel}/messages").status_code == status

    assert (names()[bob], names()[eve]) == ("", "")
    reads(bob, "Bob B.")
    wait_until(lambda: names()[bob] == "Bob B.", what="the name of the token")
    reads(bob, "Bob C.")
    wait_until(lambda: names()[bob] == "Bob C.", what="the name of the newer token")
    reads(bob, None)  # has no name: the known one stays
    stranger = "stranger-" + uuid.uuid4().hex[:8]
    reads(stranger, "Stranger", 403)
    reads(eve, "Eve")  # the names are kept in their order
    wait_until(lambda: names()[eve] == "Eve", what="the name of the token")
    assert names()[bob] == "Bob C."
    with database(stack) as db:
        assert db.execute("SELECT count(*) FROM users WHERE id = %s", [stranger]).fetchone() == (0,)


@pytest.mark.parametrize("name, status", [("Ada", 200), ("日本語の名前", 200), ("x" * 64, 200), ("x" * 65, 400), ("", 400), (" x", 400), ("a\nb", 400)])
def test_demo_session(stack, name, status):
    answer = httpx.post(stack.base_url + "/api/demo/session", json={"name": name})
    assert answer.status_code == status, answer.text
    if status == 200:
        session = answer.json()
        assert session["name"] == name and session["userId"]
        with stack.rest(token=session["token"]) as rest:
            me = rest.get("/api/me").json()
            assert me["userId"] == session["userId"] and me["name"] == name and not me["admin"]
            assert rest.get("/api/channels/general/messages").status_code == 200
    else:
        assert "name" in answer.json()["detail"]
