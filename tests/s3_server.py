"""Object storage for tests: moto's server, in a thread of this process."""

import atexit
import itertools
import logging
import os
import threading
from datetime import datetime, timedelta, timezone
from functools import cache

import boto3
import flask
from moto.moto_server.werkzeug_app import MotoRequestHandler, create_backend_app
from moto.s3.models import s3_backends
from werkzeug.serving import make_server

_numbers = itertools.count(1)
# The methods of all requests.
requests = []
# A function that is called with each request, and may block it.
hooks = []
VARIABLES = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "hidden-from-users",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}


@cache
def server():
    """Return the URL of the server; it is started on the first call."""
    logging.getLogger("werkzeug").setLevel(logging.CRITICAL)
    # moto's own server finds out for each request which of all services it is for.
    app = create_backend_app("s3")
    app.before_request(_note)
    started = make_server("127.0.0.1", 0, app, threaded=True, request_handler=MotoRequestHandler)
    threading.Thread(target=started.serve_forever, daemon=True).start()
    atexit.register(started.shutdown)
    return f"http://127.0.0.1:{started.port}"


def _note():
    requests.append(flask.request.method)
    for hook in hooks:
        hook(flask.request)


def variables():
    """Return the environment variables of a program that uses the server."""
    return {**VARIABLES, "AWS_ENDPOINT_URL": server()}


@cache
def _client():
    return boto3.client(
        "s3",
        endpoint_url=server(),
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",  # noqa: S106 - of the test server
    )


class TestBucket:
    """A new bucket on the server, looked at without our own code."""

    __test__ = False

    def __init__(self, name=None):
        self.name = name or f"bucket-{next(_numbers)}"
        self._client = _client()
        self._client.create_bucket(Bucket=self.name)

    @property
    def server(self):
        return server()

    @property
    def url(self):
        return f"s3://{self.name}/runs"

    def keys(self):
        """Return the names of all objects."""
        found = self._client.list_objects_v2(Bucket=self.name)
        return [one["Key"] for one in found.get("Contents", ())]

    def contents(self):
        """Return the names of contents: without the mark of the store."""
        return [key for key in self.keys() if not key.endswith("runstore.txt")]

    def get(self, key):
        return self._client.get_object(Bucket=self.name, Key=key)["Body"].read()

    def put(self, key, body):
        self._client.put_object(Bucket=self.name, Key=key, Body=body)

    def remove(self, key):
        self._client.delete_object(Bucket=self.name, Key=key)

    def delete(self):
        """Remove the bucket with its contents."""
        for key in self.keys():
            self.remove(key)
        self._client.delete_bucket(Bucket=self.name)

    def begin_upload(self, key):
        """Begin an upload of several parts that is never completed."""
        self._client.create_multipart_upload(Bucket=self.name, Key=key)

    def uploads(self):
        """Return the names of incomplete uploads."""
        found = self._client.list_multipart_uploads(Bucket=self.name)
        return [one["Key"] for one in found.get("Uploads", ())]

    def age(self, days=2):
        """Make all objects older."""
        [account] = [one for one in s3_backends.values() if self.name in one["aws"].buckets]
        for key in account["aws"].buckets[self.name].keys.values():
            key.last_modified = datetime.now(timezone.utc).replace(tzinfo=None) - timedelta(days)
