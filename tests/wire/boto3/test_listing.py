"""Pages, filters and order."""

import pytest

from expect import members, refused

NAMES = [f"app/{number:02}" for number in range(23)]


@pytest.fixture
def many(client):
    for name in NAMES:
        client.create_secret(Name=name, SecretString=f"value of {name}")
    return NAMES


@pytest.mark.parametrize("size", [1, 7, 23, 100])
def test_the_paginator_finds_every_secret_once(size, client, many):
    pages = list(client.get_paginator("list_secrets").paginate(PaginationConfig={"PageSize": size}))
    assert [entry["Name"] for page in pages for entry in page["SecretList"]] == many
    assert all(len(page["SecretList"]) <= size for page in pages)
    assert all("NextToken" in page for page in pages[:-1])
    assert "NextToken" not in pages[-1]


def test_the_paginator_stops_and_goes_on(client, many):
    paginator = client.get_paginator("list_secrets")
    start = paginator.paginate(PaginationConfig={"PageSize": 5, "MaxItems": 12}).build_full_result()
    assert [entry["Name"] for entry in start["SecretList"]] == many[:12]
    rest = paginator.paginate(PaginationConfig={"PageSize": 5, "StartingToken": start["NextToken"]})
    assert [entry["Name"] for entry in rest.build_full_result()["SecretList"]] == many[12:]


def test_the_paginator_keeps_filters_and_order(client, many):
    pages = client.get_paginator("list_secrets").paginate(
        Filters=[{"Key": "name", "Values": ["app/1"]}],
        SortBy="name",
        SortOrder="desc",
        PaginationConfig={"PageSize": 3},
    )
    assert [entry["Name"] for entry in pages.search("SecretList[]")] == many[19:9:-1]


def test_every_paginator_of_the_client_is_known(client):
    can = {name for name in client.meta.method_to_api_mapping if client.can_paginate(name)}
    assert can == {"list_secrets", "list_resource_policies"}
    client.create_secret(Name="any")
    pages = list(client.get_paginator("list_resource_policies").paginate(SecretId="any"))
    assert [page["ResourcePolicies"] for page in pages] == [[]]


def test_a_token_is_valid_for_its_own_query_only(client, many):
    token = client.list_secrets(MaxResults=5)["NextToken"]
    for other in [
        {"SortBy": "name"},
        {"SortOrder": "desc"},
        {"Filters": [{"Key": "name", "Values": ["a"]}]},
        {"IncludePlannedDeletion": True},
    ]:
        with refused(client, "InvalidNextTokenException", "The NextToken value is invalid."):
            client.list_secrets(MaxResults=5, NextToken=token, **other)
    with refused(client, "InvalidNextTokenException", "The NextToken value is invalid."):
        client.batch_get_secret_value(Filters=[{"Key": "name", "Values": ["a"]}], NextToken=token)


def test_a_token_is_valid_for_its_own_account_and_region_only(client, server, account, many):
    token = client.list_secrets(MaxResults=5)["NextToken"]
    for other in [server.client("999999999999"), server.client(account, region="eu-west-1")]:
        with refused(other, "InvalidNextTokenException", "The NextToken value is invalid."):
            other.list_secrets(MaxResults=5, NextToken=token)


@pytest.mark.parametrize("size", [1, 6, 20])
def test_batches_are_read_page_by_page(size, client, many):
    client.create_secret(Name="app/empty")
    found, errors, more = {}, [], {}
    while True:
        page = client.batch_get_secret_value(Filters=[{"Key": "name", "Values": ["app/"]}], MaxResults=size, **more)
        assert len(page["SecretValues"]) + len(page["Errors"]) <= size
        found |= {value["Name"]: value["SecretString"] for value in page["SecretValues"]}
        errors += [(error["ErrorCode"], error["Message"]) for error in page["Errors"]]
        if "NextToken" not in page:
            break
        more = {"NextToken": page["NextToken"]}
    assert found == {name: f"value of {name}" for name in many}
    # A match without a value is reported and stops nothing.
    assert errors == [
        (
            "ResourceNotFoundException",
            "Secrets Manager can't find the specified secret value for staging label: AWSCURRENT",
        )
    ]


def test_an_entry_of_the_list_has_what_describes_it(client):
    created = client.create_secret(
        Name="whole", SecretString="one", Description="about", Tags=[{"Key": "team", "Value": "a"}]
    )
    client.create_secret(Name="bare")
    whole, bare = client.list_secrets()["SecretList"]
    assert members(whole) == {
        "ARN",
        "Name",
        "Description",
        "Tags",
        "SecretVersionsToStages",
        "CreatedDate",
        "LastChangedDate",
    }
    assert whole["SecretVersionsToStages"] == {created["VersionId"]: ["AWSCURRENT"]}
    assert members(bare) == {"ARN", "Name", "CreatedDate", "LastChangedDate"}


FILTER_ROWS = [
    ("no filter", [], ["first", "/second", "third"]),
    ("name", [("name", ["f"])], ["first"]),
    ("name with a slash", [("name", ["/"])], ["/second"]),
    ("not that name", [("name", ["!f"])], ["/second", "third"]),
    ("one of two names", [("name", ["f", "t"])], ["first", "third"]),
    ("words of the description", [("description", ["o t"])], ["first"]),
    ("tag key", [("tag-key", ["team"])], ["first", "third"]),
    ("tag value", [("tag-value", ["blue"])], ["third"]),
    ("two filters", [("tag-key", ["team"]), ("name", ["t"])], ["third"]),
    ("anywhere", [("all", ["blue"])], ["third"]),
    ("nothing matches", [("all", ["absent"])], []),
]


@pytest.mark.parametrize("filters, names", [row[1:] for row in FILTER_ROWS], ids=[row[0] for row in FILTER_ROWS])
def test_filters_select(filters, names, client):
    client.create_secret(Name="first", Description="one two", Tags=[{"Key": "team", "Value": "red"}])
    client.create_secret(Name="/second", Description="three")
    client.create_secret(Name="third", Tags=[{"Key": "team", "Value": "blue"}])
    answer = client.list_secrets(Filters=[{"Key": key, "Values": values} for key, values in filters])
    assert [entry["Name"] for entry in answer["SecretList"]] == names


@pytest.mark.parametrize(
    "order, names",
    [
        ({}, ["b", "c", "a"]),
        ({"SortOrder": "desc"}, ["a", "c", "b"]),
        ({"SortBy": "name"}, ["a", "b", "c"]),
        ({"SortBy": "name", "SortOrder": "desc"}, ["c", "b", "a"]),
        ({"SortBy": "last-changed-date"}, ["c", "a", "b"]),
    ],
)
def test_lists_have_an_order(order, names, client):
    for name in ["b", "c", "a"]:
        client.create_secret(Name=name)
    client.update_secret(SecretId="b", Description="changed last")
    assert [entry["Name"] for entry in client.list_secrets(**order)["SecretList"]] == names
