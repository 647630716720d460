"""Keeps the fuzzer from sawing off the branch it sits on: it finds its own key in the lists, and
once that is revoked or narrowed every answer is 401 and nothing is tested any more."""

import json
import os
import urllib.request

import schemathesis

NOBODY = "01920000-0000-7000-8000-000000000000"


def own_ids():
    profile = urllib.request.Request(
        os.environ["MANAGEMENT"] + "/api/v1/profile", headers={"X-API-Key": os.environ["ADMIN_KEY"]}
    )
    with urllib.request.urlopen(profile, timeout=10) as answer:
        mine = json.load(answer)
    return {mine["key"]["id"], mine["user"]["id"]}


OWN = own_ids()


@schemathesis.hook
def before_call(context, case, kwargs):
    parameters = case.path_parameters or {}
    if case.method.upper() != "GET" and parameters.get("id") in OWN:
        case.path_parameters["id"] = NOBODY
