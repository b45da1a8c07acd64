"""Endpoints of the server itself: health, and with `--admin` the clock, statistics, maintenance and reset."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone

import pytest

from expect import NOT_FOUND, refused
from server import PATIENCE_SECONDS

ENDPOINTS = [("reset", {}), ("clock", None), ("clock", {"freeze": True}), ("maintain", {}), ("stats", None)]
DAY_SECONDS = 86_400


@pytest.fixture
def server(start):
    return start("--admin")


def clock(server, **change):
    answer = server.admin("clock", change or None)
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("application/json")
    assert set(answer.json) == {"now", "frozen", "offset_seconds"}
    return answer.json


def stats(server):
    answer = server.admin("stats")
    assert answer.status == 200
    assert set(answer.json) == {"secrets", "epoch", "stored_bytes"}
    return answer.json


def test_the_server_says_that_it_is_well(start):
    server = start()
    answer = server.send(method="GET", path="/health")
    assert (answer.status, answer.json) == (200, {"status": "ok"})


@pytest.mark.parametrize("path, body", ENDPOINTS)
def test_the_endpoints_are_off_unless_asked_for(path, body, start):
    server = start()
    server.client().create_secret(Name="kept")
    assert server.admin(path, body).status == 404
    assert [entry["Name"] for entry in server.client().list_secrets()["SecretList"]] == ["kept"]


@pytest.mark.parametrize("content_type", [None, "text/plain", "application/x-www-form-urlencoded"])
@pytest.mark.parametrize("path, body", [row for row in ENDPOINTS if row[1] is not None])
def test_a_page_in_a_browser_cannot_use_them(path, body, content_type, server):
    server.client().create_secret(Name="kept")
    answer = server.send(body, path=f"/_strongroom/{path}", Content_Type=content_type)
    assert 400 <= answer.status < 500
    assert [entry["Name"] for entry in server.client().list_secrets()["SecretList"]] == ["kept"]
    assert clock(server)["frozen"] is False


@pytest.mark.parametrize("path", ["reset", "maintain"])
def test_what_changes_something_is_not_done_by_get(path, server):
    server.client().create_secret(Name="kept")
    assert 400 <= server.admin(path).status < 500
    assert [entry["Name"] for entry in server.client().list_secrets()["SecretList"]] == ["kept"]


def test_reset_empties_the_whole_store(server):
    clients = [server.client("111122223333"), server.client("444455556666", region="eu-west-1")]
    first = [client.create_secret(Name="same", SecretString="old") for client in clients]
    clients[1].delete_secret(SecretId="same")
    assert stats(server)["secrets"] == 2
    assert server.admin("reset", {}).status == 200
    assert stats(server)["secrets"] == 0
    for client, before in zip(clients, first):
        assert client.list_secrets(IncludePlannedDeletion=True)["SecretList"] == []
        with refused(client, "ResourceNotFoundException", NOT_FOUND):
            client.get_secret_value(SecretId=before["ARN"])
        client.create_secret(Name="same", SecretString="new")
        assert client.get_secret_value(SecretId="same")["SecretString"] == "new"


def test_a_reset_lasts_and_leaves_nothing_behind(start, tmp_path):
    server = start("--admin")
    files = {path.name for path in tmp_path.iterdir()}
    server.client().create_secret(Name="gone", SecretString="x")
    server.admin("reset", {})
    server.client().create_secret(Name="kept", SecretString="x")
    server.kill()
    assert {path.name for path in tmp_path.iterdir()} == files
    assert [entry["Name"] for entry in start().client().list_secrets()["SecretList"]] == ["kept"]


def test_a_reset_through_a_link_empties_what_the_link_points_to(start, tmp_path):
    (tmp_path / "real").mkdir(0o700)
    (tmp_path / "store").symlink_to("real")
    server = start("--admin")
    server.client().create_secret(Name="gone", SecretString="x")
    assert server.admin("reset", {}).status == 200
    assert server.client().list_secrets()["SecretList"] == []
    assert (tmp_path / "store").is_symlink()


def test_the_server_goes_on_after_a_reset_that_failed(start, tmp_path):
    """Something stands where a reset puts the old store; a directory that is mounted cannot be moved either."""
    server = start("--admin")
    server.client().create_secret(Name="before", SecretString="x")
    for name in ["store.reset", "store.old", "store.new"]:
        (tmp_path / name).write_text("not a directory")
    server.admin("reset", {})
    client = server.client(retries={"total_max_attempts": 1})
    client.create_secret(Name="after", SecretString="x")
    assert client.get_secret_value(SecretId="after")["SecretString"] == "x"


def test_calls_that_meet_a_reset_succeed(server):
    def work(number):
        client = server.client(retries={"total_max_attempts": 1})
        for value in range(10):
            client.create_secret(Name=f"{number}-{value}", SecretString="x")
        client.close()

    with ThreadPoolExecutor(8) as pool:
        done = [pool.submit(work, number) for number in range(8)]
        for _ in range(5):
            assert server.admin("reset", {}).status == 200
        for each in done:
            each.result()
    assert stats(server)["secrets"] == len(server.client().list_secrets()["SecretList"])


def test_statistics_count(server):
    before = stats(server)
    assert before["secrets"] == 0
    client = server.client()
    client.create_secret(Name="one", SecretString="x" * 10_000)
    client.create_secret(Name="two")
    after = stats(server)
    assert after["secrets"] == 2
    assert after["epoch"] > before["epoch"]
    assert after["stored_bytes"] >= before["stored_bytes"] > 0
    client.delete_secret(SecretId="one", ForceDeleteWithoutRecovery=True)
    assert stats(server)["secrets"] == 1


def test_the_clock_runs_by_itself(server):
    before = datetime.now(timezone.utc).timestamp()
    told = clock(server)
    after = datetime.now(timezone.utc).timestamp()
    assert before - 0.002 <= told["now"] <= after + 0.002
    assert (told["frozen"], told["offset_seconds"]) == (False, 0)


def test_the_clock_is_frozen_moved_and_released(server):
    client = server.client()
    told = clock(server, freeze_at=1_700_000_000.123)
    assert (told["now"], told["frozen"]) == (1_700_000_000.123, True)
    created = client.create_secret(Name="frozen", SecretString="x")
    moment = datetime(2023, 11, 14, 22, 13, 20, 123_000, timezone.utc)
    assert client.describe_secret(SecretId="frozen")["CreatedDate"] == moment
    assert client.get_secret_value(SecretId="frozen")["CreatedDate"] == moment
    accessed = client.describe_secret(SecretId="frozen")["LastAccessedDate"]
    assert accessed == datetime(2023, 11, 14, tzinfo=timezone.utc)

    # On the wire it is a number of seconds.
    raw = server.send({"SecretId": created["ARN"]}, "DescribeSecret")
    assert b'"CreatedDate":1700000000.123' in raw.body.replace(b" ", b"")

    told = clock(server, advance_seconds=3_600)
    assert (told["now"], told["frozen"]) == (1_700_003_600.123, True)
    client.put_secret_value(SecretId="frozen", SecretString="y")
    described = client.describe_secret(SecretId="frozen")
    assert described["CreatedDate"] == moment
    assert described["LastChangedDate"] == moment + timedelta(hours=1)

    told = clock(server, release=True)
    assert (told["frozen"], told["offset_seconds"]) == (False, 0)
    assert abs(told["now"] - datetime.now(timezone.utc).timestamp()) < 60


def test_the_clock_is_frozen_where_it_is(server):
    told = clock(server, freeze=True)
    assert told["frozen"] is True
    assert abs(told["now"] - datetime.now(timezone.utc).timestamp()) < 60
    client = server.client()
    for name in ["one", "two"]:
        client.create_secret(Name=name)
    dates = {entry["CreatedDate"].timestamp() for entry in client.list_secrets()["SecretList"]}
    assert dates == {told["now"]}
    assert clock(server)["now"] == told["now"]


def test_a_clock_that_runs_is_moved_too(server):
    told = clock(server, advance_seconds=DAY_SECONDS)
    assert (told["frozen"], told["offset_seconds"]) == (False, DAY_SECONDS)
    server.client().create_secret(Name="tomorrow")
    created = server.client().describe_secret(SecretId="tomorrow")["CreatedDate"]
    assert abs(created - datetime.now(timezone.utc) - timedelta(days=1)) < timedelta(minutes=1)


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"freeze": True, "release": True},
        {"freeze_at": "now"},
        {"freeze_at": -1e300},
        {"advance_seconds": 1e300},
        {"advance_seconds": "3600"},
        {"unknown": 1},
        [],
        None,
    ],
)
def test_a_change_of_the_clock_that_says_nothing_clear_is_refused(change, server):
    before = clock(server)
    answer = server.send(change, path="/_strongroom/clock", Content_Type="application/json")
    assert answer.status == 400
    after = clock(server)
    assert (after["frozen"], after["offset_seconds"]) == (before["frozen"], before["offset_seconds"])


def test_a_recovery_window_ends(server):
    client = server.client()
    arn = client.create_secret(Name="leaving", SecretString="x")["ARN"]
    client.create_secret(Name="staying", SecretString="x")
    client.delete_secret(SecretId="leaving", RecoveryWindowInDays=7)

    clock(server, advance_seconds=7 * DAY_SECONDS - 60)
    assert server.admin("maintain", {}).status == 200
    assert "DeletedDate" in client.describe_secret(SecretId="leaving")
    assert stats(server)["secrets"] == 2

    clock(server, advance_seconds=120)
    assert server.admin("maintain", {}).status == 200
    assert stats(server)["secrets"] == 1
    for secret_id in ["leaving", arn]:
        with refused(client, "ResourceNotFoundException", NOT_FOUND):
            client.describe_secret(SecretId=secret_id)
        with refused(client, "ResourceNotFoundException", NOT_FOUND):
            client.restore_secret(SecretId=secret_id)
    assert [entry["Name"] for entry in client.list_secrets(IncludePlannedDeletion=True)["SecretList"]] == ["staying"]
    assert client.create_secret(Name="leaving", SecretString="y")["ARN"] != arn


def test_maintenance_happens_by_itself(start):
    server = start("--admin", "--maintain-every", 1)
    client = server.client()
    client.create_secret(Name="leaving", SecretString="x")
    client.delete_secret(SecretId="leaving", RecoveryWindowInDays=7)
    clock(server, advance_seconds=8 * DAY_SECONDS)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while stats(server)["secrets"] > 0:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_server_that_verifies_verifies_here_too(start, tmp_path):
    credentials = tmp_path / "credentials.json"
    credentials.write_text(
        '{"credentials": [{"access_key_id": "AKIDALICE", "secret_access_key": "s", "account": "111122223333"}]}'
    )
    credentials.chmod(0o600)
    server = start("--admin", "--verify-signatures", "--credentials", credentials)
    server.client("AKIDALICE", secret="s").create_secret(Name="kept")
    for path, body in ENDPOINTS:
        assert server.admin(path, body).status == 400
    names = [entry["Name"] for entry in server.client("AKIDALICE", secret="s").list_secrets()["SecretList"]]
    assert names == ["kept"]


@pytest.mark.parametrize("path", ["unknown", "", "clock/x", "../health"])
def test_there_are_no_other_endpoints(path, server):
    assert server.admin(path).status == 404
    assert server.admin(path, {}).status in {404, 405}
