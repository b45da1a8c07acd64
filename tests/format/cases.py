"""Secrets of every kind, for stores and records that the script writes."""

import uuid

from forgeries import fixed
from strongroom_records import DAY

NOW = 1_700_000_000_000
TODAY = NOW // DAY * DAY


def secret(name, account="111122223333", region="eu-central-1", **members):
    arn = f"arn:aws:secretsmanager:{region}:{account}:secret:{name}-AbCdEf"
    default = {"given": None, "provider": "static", "version": "1", "recovery": False}
    default["arn"] = f"arn:aws:kms:{region}:{account}:alias/aws/secretsmanager"
    out = {"account": account, "region": region, "uid": fixed(f"uid of {name} {account}", 16), "name": name, "arn": arn}
    out |= {"description": None, "kms_key_id": None, "type": None, "tags": None, "created": NOW - 5000}
    out |= {"changed": NOW - 4000, "accessed": None, "deletion": None, "owner": None, "primary": None}
    out |= {"links": links(), "rotation": None, "policies": []}
    return out | {"keys": [default], "versions": [], "labels": []} | members


def version(number, content=None, **members):
    id_ = str(uuid.UUID(bytes=fixed(f"version {number}", 16), version=4))
    return {"id": id_, "created": NOW - 5000 + number, "accessed": None, "content": content} | members


def links(regions=(), accounts=(), primary=None):
    return {"regions": list(regions), "accounts": list(accounts), "primary": primary}


def state(status, message=None, due=None, failures=0):
    return {"status": status, "message": message, "due": due, "failures": failures}


FUNCTION = "arn:aws:lambda:eu-central-1:111122223333:function:rotate"


def rotation(rules=None, **members):
    """One that is enabled and was never carried out. `rules` are days, duration and expression."""
    out = {"enabled": True, "function": FUNCTION, "rules": None, "metadata": None, "role": None, "rotated": None}
    out |= {"configured": NOW - 4000, "counts_from": NOW - 4000, "window": None, "next": None, "days": None}
    if rules:
        out["rules"] = dict(zip(("days", "duration", "expression"), rules, strict=True))
    return out | {"running": None} | members


def running(of, **members):
    out = {"version": of["id"], "test": False, "token": str(uuid.UUID(bytes=fixed("rotation token", 16), version=4))}
    return out | {"attempts": 0, "next": None, "until": None, "failure": None} | members


TEXT, BYTES = {"binary": False, "keys": [0]}, {"binary": True, "keys": [0]}


def cases():
    """Secrets with the values of their versions."""
    other = {"given": "alias/other", "provider": "static", "version": "1", "recovery": False}
    other["arn"] = "arn:aws:kms:eu-central-1:111122223333:alias/other"
    lost = {"given": "lost", "provider": "not there", "version": "", "recovery": False}
    lost["arn"] = "arn:aws:kms:eu-central-1:111122223333:key/lost"
    recovery = {"given": "alias/recovery", "provider": "static", "version": "1", "recovery": True}
    recovery["arn"] = "arn:aws:kms:us-east-1:000000000000:alias/recovery"
    plain = secret("plain", versions=[version(1, TEXT)], labels=[("AWSCURRENT", 0)])
    keys = [plain["keys"][0], other, lost, recovery]
    various = [
        version(4, {"binary": False, "keys": [0]}),
        version(5, {"binary": True, "keys": [0, 1, 3]}, accessed=TODAY - DAY),
        version(6, {"binary": False, "keys": [2, 3]}),
        version(7),
    ]
    current = [("AWSCURRENT", 0)]
    many = [version(10 + i, TEXT) for i in range(60)]
    return [
        (plain, ["one"]),
        (secret("empty"), []),
        (secret("bytes", versions=[version(2, BYTES)], labels=current), [bytes(range(256))]),
        (secret("other/tenant", "444455556666", "us-gov-west-1", versions=[version(3, TEXT)], labels=current), ["gov"]),
        (
            secret("everything", kms_key_id="alias/other", accessed=TODAY - DAY)
            | {"tags": [["Name", "x" * 256], ["ключ", ""]]}
            | {"description": "ü" * 1024, "type": "Partner", "owner": "rds", "primary": "eu-central-1", "keys": keys}
            | {"versions": various, "labels": [("AWSCURRENT", 2), ("AWSPREVIOUS", 1), ("größe", 1), ("AWSPENDING", 3)]},
            ["deprecated", b"\0" * 252, "the first key is lost", None],
        ),
        (
            secret("scheduled", tags=[], changed=NOW, deletion=NOW + 7 * DAY)
            | {"versions": [version(8, TEXT)], "labels": current},
            ["may be restored"],
        ),
        (
            secret("scheduled-too", changed=NOW, deletion=NOW + 30 * DAY, versions=[version(70, TEXT)], labels=current),
            ["may be restored, too"],
        ),
        (
            secret("many", versions=many, labels=[("AWSPREVIOUS", 58), ("AWSCURRENT", 59)]),
            [f"value {i}" for i in range(60)],
        ),
        (
            secret("long ago", created=-62_135_596_800_000, changed=-1, versions=[version(9, TEXT, created=-1)])
            | {"name": "long-ago", "arn": "arn:aws:secretsmanager:eu-central-1:111122223333:secret:long-ago-AbCdEf"}
            | {"labels": current},
            ["x" * 4096],
        ),
        *rotating(),
        *governed(),
        *replicated(),
    ]


def policy(effect, principal, action="secretsmanager:GetSecretValue", before="", after=""):
    """A document of one statement, with white space of one's choice."""
    statement = f'{{"Effect": "{effect}", "Principal": {principal}, "Action": "{action}", "Resource": "*"}}'
    return f'{before}{{"Version": "2012-10-17",{before}"Statement": [{statement}]}}{after}'


def governed():
    """Secrets with policies, with the values of their versions."""
    current = [("AWSCURRENT", 0)]
    reader = '{"AWS": "arn:aws:iam::444455556666:role/readers/nightly"}'
    documents = [
        ["default", policy("Allow", reader, before=" \t\r\n", after="\n" * 300)],
        ["CrossAccount", policy("Deny", '"*"', "secretsmanager:Delete*")],
        ["a-Replica_1", policy("Allow", '{"AWS": "444455556666"}', "secretsmanager:*")],
    ]
    sid = '{"Statement": {"Sid": "größer, 秘密", "Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}}'
    return [
        (
            secret("governed/by-many", policies=documents, versions=[version(90, TEXT)], labels=current),
            ["who may read it is written down"],
        ),
        (secret("governed/by-service", policies=documents[1:2], owner="rds", keys=[]), []),
        (
            secret("governed/scheduled", policies=[["default", sid]], changed=NOW, deletion=NOW + 9 * DAY)
            | {"versions": [version(91, TEXT)], "labels": current},
            ["may be restored with its policy"],
        ),
    ]


def replicated():
    """Secrets with replicas, and replicas, with the values of their versions."""
    current, home, name = [("AWSCURRENT", 0)], "eu-central-1", "replicated/primary"
    arn, other = (
        f"arn:aws:secretsmanager:eu-central-1:{account}:secret:{name}-AbCdEf"
        for account, name in (("111122223333", name), ("444455556666", "replicated/account"))
    )
    failed = {"message": "größer " * 100, "due": NOW + 3_600_000, "failures": 2**32 - 1}
    regions = [
        {"region": "eu-west-1", "kms_key_id": None, "overwrite": False, "rekeyed": False, "state": state("InSync")},
        {"region": "eu-west-2", "kms_key_id": "alias/other", "overwrite": True, "rekeyed": True, "state": state("Failed", **failed)},
        {"region": "us-west-2", "kms_key_id": "alias/third", "overwrite": False, "rekeyed": False, "state": state("InProgress", due=NOW + 120_000)},
    ]
    role = "arn:aws:iam::111122223333:role/replicates"
    account = {"replica": other, "role": role, "same_organization": False, "state": state("Failed", "refused")}
    detached = account | {"role": None, "same_organization": True, "state": state("Detached")}
    ahead = [TODAY + DAY, TODAY + 2 * DAY]
    planned = rotation((1000, None, None), window=ahead, next=ahead[1] - 1000, days=1000)
    replica = {"region": "eu-west-1", "primary": home}
    accept = policy("Allow", '{"AWS": "arn:aws:iam::111122223333:root"}', "secretsmanager:*")

    def follows(status, message=None):
        return links(primary={"arn": arn, "status": status, "message": message})

    return [
        (
            secret(name, primary=home, links=links(regions, [account]), versions=[version(92, TEXT)], labels=current),
            ["is there four times"],
        ),
        (
            secret(name, **replica, uid=fixed("uid of a replica", 16), versions=[version(92, TEXT)], labels=current),
            ["is there four times"],
        ),
        (
            secret("replicated/account", "444455556666", links=follows("Failed", "refused"), labels=current)
            | {"policies": [["cross-account-replication", accept]], "versions": [version(92, TEXT)]},
            ["is there four times"],
        ),
        (secret("replicated/waits", "444455556666", links=follows("Pending"), keys=[]), []),
        (
            secret("replicated/scheduled", primary=home, links=links(accounts=[detached]), changed=NOW)
            | {"deletion": NOW + 10 * DAY, "versions": [version(93, TEXT)], "labels": current},
            ["may be restored without its replica"],
        ),
        # Nothing is due of a replica: neither its rotation, nor the removal of versions.
        (
            secret("replicated/much", **replica, rotation=planned, keys=[])
            | {"versions": [version(100 + i) for i in range(101)]},
            [None] * 101,
        ),
    ]


def rotating():
    """Secrets that rotate, or did, with the values of their versions."""
    labels = [("AWSCURRENT", 0), ("AWSPENDING", 1)]
    whole, waiting, tested = ([version(at, TEXT), version(at + 1)] for at in (80, 82, 84))
    half = version(87, TEXT)
    tuesdays, window = (
        (None, "3h", "cron(0 8 ? * TUE#3 *)"),
        [TODAY + 7 * DAY + 28_800_000, TODAY + 7 * DAY + 39_600_000],
    )
    by_tuesdays = {"window": window, "next": window[1] - 1000, "days": 35}
    by_days = {"window": [TODAY + DAY, TODAY + 2 * DAY], "next": TODAY + 2 * DAY - 1000, "days": 1000}
    everything = rotation(tuesdays, **by_tuesdays, role="arn:aws:iam::111122223333:role/partner", rotated=-1)
    everything |= {"metadata": [["Name", "x" * 2048], ["ключ", "w"]], "configured": -(2**40), "counts_from": 251}
    next_, failure = {"next": NOW + 60_000, "until": NOW + 3_600_000}, [NOW - 1, "größer " * 100]
    everything["running"] = running(whole[1], attempts=2**32 - 1, **next_, failure=failure)
    nothing = rotation(function=None, enabled=False)
    by_rate = rotation((None, None, "rate(12 hours)"), window=[TODAY + DAY, TODAY + DAY + 3_600_000], days=1)
    return [
        (
            secret("rotates/everything", type="Partner", rotation=everything, versions=whole, labels=labels),
            ["new", None],
        ),
        (secret("rotates/nothing", rotation=nothing, keys=[]), []),
        (
            secret("rotates/waits", rotation=rotation((1000, None, None), **by_days, rotated=NOW - 3 * DAY))
            | {"versions": waiting, "labels": labels},
            ["waits for its next window", None],
        ),
        (
            secret("rotates/tested", rotation=rotation(running=running(tested[1], test=True, next=NOW + 1)))
            | {"versions": tested, "labels": labels},
            ["is tried", None],
        ),
        (
            secret("rotates/half", owner="rds", rotation=by_rate | {"function": None, "metadata": []})
            | {"versions": [version(86, TEXT), half], "labels": labels},
            ["managed", "has its value"],
        ),
        (
            secret(
                "rotates/scheduled", changed=NOW, deletion=NOW + 8 * DAY, rotation=rotation((1, "24h", None), **by_days)
            )
            | {"versions": [version(88, TEXT)], "labels": labels[:1]},
            ["does not rotate"],
        ),
    ]
