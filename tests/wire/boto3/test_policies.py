"""Resource policies: attached, shown, listed, validated, refused and detached."""

import json

import pytest

from expect import BAD_NAME, MARKED, NOT_FOUND, members, refused
from test_operations import arn_of

SYNTAX = "This resource policy contains a syntax error."
PRINCIPAL = "This resource policy contains an unsupported principal."
SERVICE = "This resource policy contains an invalid service principal."
LOCK_OUT = "Your requested changes will not allow you to manage this secret in the future."
PUBLIC = "You can't attach a resource-based policy that allows broad access to the secret."
BROAD = (
    "This resource policy grants broad access to your secret. Secrets Manager does not allow creating and applying such "
    "policies in the console."
)


def policy(principal="arn:aws:iam::123456789012:root", effect="Allow", **more):
    statement = {"Effect": effect, "Principal": {"AWS": principal}, "Action": "secretsmanager:*", "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement | more]}, indent=1, ensure_ascii=False)


@pytest.fixture
def secret(client):
    client.create_secret(Name="s", SecretString="one")
    return "s"


def attached(client, secret):
    return client.get_resource_policy(SecretId=secret).get("ResourcePolicy")


@pytest.mark.parametrize("name", [{}, {"PolicyName": "default"}], ids=["no name", "default"])
def test_a_policy_is_attached_shown_listed_and_detached(name, client, secret, account):
    text = "\n\t" + policy(Sid="größer, 秘密, 🔑") + " \r\n"
    put = client.put_resource_policy(SecretId=secret, ResourcePolicy=text, BlockPublicPolicy=True, **name)
    assert members(put) == {"ARN", "Name", "PolicyName"}
    assert arn_of(account, "s").fullmatch(put["ARN"])
    assert (put["Name"], put["PolicyName"]) == ("s", "default")
    got = client.get_resource_policy(SecretId=put["ARN"], **name)
    assert members(got) == {"ARN", "Name", "PolicyName", "ResourcePolicy"}
    assert (got["ARN"], got["Name"], got["PolicyName"]) == (put["ARN"], "s", "default")
    assert got["ResourcePolicy"] == text
    listed = client.list_resource_policies(SecretId=secret, MaxResults=1)
    assert members(listed) == {"ResourcePolicies"}
    assert listed["ResourcePolicies"] == [{"PolicyName": "default"}]
    deleted = client.delete_resource_policy(SecretId=secret, **name)
    assert members(deleted) == {"ARN", "Name", "PolicyName"}
    assert (deleted["ARN"], deleted["PolicyName"]) == (put["ARN"], "default")
    assert members(client.get_resource_policy(SecretId=secret)) == {"ARN", "Name", "PolicyName"}
    assert client.list_resource_policies(SecretId=secret)["ResourcePolicies"] == []


def test_a_policy_takes_the_place_of_the_one_before_and_changes_the_date(client, secret):
    def changed():
        return client.describe_secret(SecretId=secret)["LastChangedDate"]

    dates = [changed()]
    for text in [policy(), policy("123456789012"), policy("123456789012")]:
        client.put_resource_policy(SecretId=secret, ResourcePolicy=text)
        assert attached(client, secret) == text
        dates.append(changed())
    client.delete_resource_policy(SecretId=secret)
    dates.append(changed())
    assert dates == sorted(set(dates))
    client.delete_resource_policy(SecretId=secret)
    assert changed() == dates[-1]


REFUSED = [
    ("not JSON", "policy", "MalformedPolicyDocumentException", SYNTAX),
    ("no policy", "{}", "MalformedPolicyDocumentException", SYNTAX),
    ("an unknown effect", policy(effect="Permit"), "MalformedPolicyDocumentException", SYNTAX),
    ("a principal that is none", policy("alice"), "MalformedPolicyDocumentException", PRINCIPAL),
    (
        "a service that is none",
        policy(Principal={"Service": "alice"}),
        "MalformedPolicyDocumentException",
        SERVICE,
    ),
    ("a lock-out", policy("*", effect="Deny"), "InvalidParameterException", LOCK_OUT),
    ("broad access", policy("*"), "PublicPolicyException", PUBLIC),
]


@pytest.mark.parametrize("text, code, message", [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_what_is_refused_leaves_the_former_policy(text, code, message, client, secret):
    client.put_resource_policy(SecretId=secret, ResourcePolicy=policy())
    with refused(client, code, message):
        client.put_resource_policy(SecretId=secret, ResourcePolicy=text, BlockPublicPolicy=True)
    assert attached(client, secret) == policy()


def test_broad_access_is_blocked_only_on_request(client, secret):
    for block in [{}, {"BlockPublicPolicy": False}]:
        client.put_resource_policy(SecretId=secret, ResourcePolicy=policy("*"), **block)
    confined = policy("*", Condition={"StringEquals": {"aws:SourceVpc": "vpc-1"}})
    client.put_resource_policy(SecretId=secret, ResourcePolicy=confined, BlockPublicPolicy=True)
    assert attached(client, secret) == confined


def test_only_the_default_policy_can_be_changed(client, secret):
    with refused(client, "InvalidParameterException"):
        client.put_resource_policy(SecretId=secret, ResourcePolicy=policy(), PolicyName="other")
    with refused(client, "InvalidParameterException"):
        client.delete_resource_policy(SecretId=secret, PolicyName="other")
    with refused(client, "ResourceNotFoundException", NOT_FOUND):
        client.get_resource_policy(SecretId=secret, PolicyName="other")
    with refused(client, "InvalidNextTokenException"):
        client.list_resource_policies(SecretId=secret, NextToken="mine")


CALLS = {
    "put_resource_policy": {"ResourcePolicy": policy()},
    "get_resource_policy": {},
    "delete_resource_policy": {},
    "list_resource_policies": {},
    "validate_resource_policy": {"ResourcePolicy": policy()},
}


@pytest.mark.parametrize("operation", CALLS)
def test_the_secret_must_be_there_and_not_be_deleted(operation, client, secret):
    call = getattr(client, operation)
    with refused(client, "ResourceNotFoundException", NOT_FOUND):
        call(SecretId="missing", **CALLS[operation])
    with refused(client, "ValidationException", BAD_NAME):
        call(SecretId="Inv Name", **CALLS[operation])
    call(SecretId=secret, **CALLS[operation])
    client.delete_secret(SecretId=secret)
    with refused(client, "InvalidRequestException", MARKED):
        call(SecretId=secret, **CALLS[operation])


@pytest.mark.parametrize("target", [{}, {"SecretId": "s"}], ids=["no secret", "a secret"])
def test_a_policy_is_validated_and_not_stored(target, client, secret):
    def validate(text):
        answer = client.validate_resource_policy(ResourcePolicy=text, **target)
        assert members(answer) == {"PolicyValidationPassed", "ValidationErrors"}
        failed = [(entry["CheckName"], entry["ErrorMessage"]) for entry in answer["ValidationErrors"]]
        assert answer["PolicyValidationPassed"] == (failed == [])
        return failed

    assert validate(policy()) == []
    assert validate(policy("*")) == [("BlockPublicPolicyCheck", BROAD)]
    assert validate(policy("*", effect="Deny")) == [("LockOutCheck", LOCK_OUT)]
    assert validate(policy("alice")) == [("SyntaxCheck", PRINCIPAL)]
    assert validate("{}") == [("SyntaxCheck", SYNTAX)]
    with refused(client, "MalformedPolicyDocumentException", SYNTAX):
        validate("policy")
    assert attached(client, secret) is None


def test_a_policy_has_at_most_20480_characters(unchecked, secret):
    longest = policy() + " " * (20_480 - len(policy()))
    unchecked.put_resource_policy(SecretId=secret, ResourcePolicy=longest)
    for text, limit in [(longest + " ", "less than or equal to 20480"), ("", "greater than or equal to 1")]:
        with refused(unchecked, "ValidationException") as caught:
            unchecked.put_resource_policy(SecretId=secret, ResourcePolicy=text)
        message = caught.value.response["Error"]["Message"]
        assert message.startswith("1 validation error detected: Value '")
        assert message.endswith(f"' at 'resourcePolicy' failed to satisfy constraint: Member must have length {limit}")
    assert attached(unchecked, secret) == longest


def test_accounts_and_regions_have_their_own(server, account, client, secret):
    client.put_resource_policy(SecretId=secret, ResourcePolicy=policy())
    elsewhere = server.client(account, "eu-west-1")
    elsewhere.create_secret(Name=secret)
    assert attached(elsewhere, secret) is None


def test_policies_outlive_the_server(start, account):
    server = start()
    client = server.client(account)
    client.create_secret(Name="s")
    client.put_resource_policy(SecretId="s", ResourcePolicy=policy())
    server.kill()
    assert attached(start().client(account), "s") == policy()
