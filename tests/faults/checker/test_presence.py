"""The comparison of what watchers see with who is there."""

import time
from types import SimpleNamespace

from checker.presence import Crowd, Person, check_seen, wrong

TRUTH = {"ada": True, "bob": False}


def test_right():
    assert wrong({"ada": "dnd", "bob": "offline"}, TRUTH) == []


def test_each_way_to_be_wrong():
    assert wrong({"ada": "offline", "bob": "offline"}, TRUTH) == [("ada", "offline", True)]
    assert wrong({"ada": "online", "bob": "away"}, TRUTH) == [("bob", "away", False)]
    assert wrong({"ada": None, "bob": "offline"}, TRUTH) == [("ada", None, True)]
    assert wrong({"ada": "online"}, TRUTH) == [("bob", "untold", False)]
    assert [user for user, *_ in wrong(None, TRUTH)] == ["ada", "bob"]


def test_away_is_not_online():
    assert wrong({"ada": "away", "bob": "offline"}, {"ada": "away", "bob": "offline"}) == []
    assert wrong({"ada": "online", "bob": "online"}, {"ada": "away", "bob": "offline"}) == [("ada", "online", "away"), ("bob", "online", "offline")]
    assert wrong({}, {"ada": "offline"}, listed=True) == []


def test_frames_are_applied_in_turn():
    person = Person(SimpleNamespace(ws_urls=["a", "b"]), "eve", 1)
    person._told({"snapshot": True, "users": [{"userId": "ada", "availability": "online"}], "hiddenUserIds": ["bob"]})
    person._told({"snapshot": False, "users": [{"userId": "ada", "availability": "offline"}], "hiddenUserIds": []})
    assert person.urls == ["b", "a"] and person.seen == {"ada": "offline", "bob": None} and not person.strange
    person._told({"snapshot": True, "users": [], "hiddenUserIds": []})
    assert person.seen == {}


def test_who_is_in_no_list_of_a_channel_is_offline():
    assert wrong({"ada": "dnd"}, TRUTH, listed=True) == []
    assert wrong({"ada": "online", "bob": "online"}, TRUTH, listed=True) == [("bob", "online", False)]
    assert wrong({}, TRUTH, listed=True) == [("ada", "offline", True)]
    assert [user for user, *_ in wrong(None, TRUTH, listed=True)] == ["ada", "bob"]


def test_a_list_and_changes_behind_it():
    person = Person(SimpleNamespace(ws_urls=["a"]), "eve")
    person.focus = "room"
    frame = {"channelId": "room", "counted": False, "members": 3, "online": 1, "users": [{"userId": "ada", "availability": "online"}]}
    person._listed(frame)
    person._told({"snapshot": False, "users": [{"userId": "bob", "availability": "away"}], "hiddenUserIds": []})
    assert person.seen == {"ada": "online", "bob": "away"} and not person.strange
    person._listed(frame)  # takes the place of all of it
    assert person.seen == {"ada": "online"} and not person.strange
    for wrong_one in ({"channelId": "other"}, {"counted": True}, {"online": 2}):
        person._listed({**frame, **wrong_one})
    assert len(person.strange) == 3


async def test_only_a_hello_may_find_nothing_there():
    person = Person(SimpleNamespace(ws_urls=["a"]), "eve")
    await person._on_frame({"type": "error", "code": "unavailable"})
    assert not person.strange
    await person._on_frame({"type": "error", "code": "internal"})
    person.open = True
    await person._on_frame({"type": "error", "code": "unavailable"})
    assert len(person.strange) == 2


def test_nobody_whose_socket_stays_open_is_shown_gone():
    doors = SimpleNamespace(ws_urls=["a"])
    crowd = Crowd(doors, "x", None)
    ada, bob, watcher, reader = crowd.people[0], crowd.people[1], crowd.watchers[0], crowd.readers[0]
    reader.focus = "room"
    ada.open, ada.opened = True, time.monotonic() - 1
    crowd.freeze()
    bob.open, bob.opened = True, time.monotonic() + 1   # came later: it may be told late
    for seen in ("dnd", "offline", None):   # he does not wish to be disturbed
        watcher.seen = {ada.user: seen, bob.user: "offline"}
        watcher.on_seen(watcher)
    reader.seen = {}
    reader.on_seen(reader)
    hidden = crowd.people[2]
    hidden.open, hidden.opened = True, ada.opened
    for seen in ("offline", "online"):
        watcher.seen = {ada.user: "dnd", hidden.user: seen}
        watcher.on_seen(watcher)
    watcher.seen = {ada.user: "online", hidden.user: "offline"}
    watcher.on_seen(watcher)
    assert len(watcher.strange) == 4 and len(reader.strange) == 1
    assert [v.invariant for v in check_seen(1.0, 5, crowd)] == ["S"] * 4   # of each the first three


def test_readers_see_members_alone():
    crowd = Crowd(SimpleNamespace(ws_urls=["a"]), "x", None, people=6, watchers=1, readers=1)
    (watcher, reader), (leaver, joiner) = crowd.all[:2], crowd.people[-2:]
    assert joiner.user not in crowd.members and leaver.user in crowd.members
    reader.focus, leaver.open, joiner.open = "room", True, True
    watcher.seen = {**{p.user: p.shown for p in crowd.people}, joiner.user: None}
    reader.seen = {leaver.user: "online"}
    assert crowd.wrong() == []
    leaver.member, joiner.member = False, True
    assert crowd.wrong() == [(watcher.user, [(leaver.user, "online", None), (joiner.user, None, "online")]),
                             (reader.user, [(leaver.user, "online", "offline"), (joiner.user, "offline", "online")])]
    reader.seen, watcher.seen[joiner.user] = {joiner.user: "online"}, "online"
    for shown in "online", "offline":   # it is not enough that he is not shown as there
        watcher.seen[leaver.user] = shown
        assert [user for user, _ in crowd.wrong()] == [watcher.user]
    watcher.seen[leaver.user] = None
    assert crowd.wrong() == []


async def test_nothing_of_who_has_left():
    person = Person(SimpleNamespace(ws_urls=["a"]), "eve")
    person.seen = {}
    shown = {"snapshot": False, "users": [{"userId": "ada", "availability": "offline"}], "hiddenUserIds": []}
    person._told(shown)
    await person.bar("ada", 1)
    person._told({"snapshot": True, "users": [], "hiddenUserIds": ["ada"]})
    assert not person.strange
    person._told(shown)
    person.focus = "room"
    person._listed({"channelId": "room", "counted": False, "members": 3, "online": 1, "users": [{"userId": "ada", "availability": "online"}]})
    assert len(person.strange) == 2


def test_changes_without_a_snapshot_and_errors_are_reported():
    person = Person(SimpleNamespace(ws_urls=["a"]), "eve")
    person._told({"snapshot": False, "users": [], "hiddenUserIds": []})
    crowd = SimpleNamespace(all=[person])
    assert [v.invariant for v in check_seen(1.0, 5, crowd)] == ["S"]
    assert len(check_seen([("eve", "no socket")], 5, crowd)) == 2
