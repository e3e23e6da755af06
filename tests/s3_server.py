"""Object storage for tests: moto's server, in a thread of this process."""

import atexit
import itertools
import logging
import os
import threading
from datetime import datetime, timedelta, timezone
from functools import cache

import flask
from botocore.loaders import JSONFileLoader
from moto.core import DEFAULT_ACCOUNT_ID
from moto.moto_server.werkzeug_app import MotoRequestHandler, create_backend_app
from moto.s3.models import s3_backends
from werkzeug.serving import make_server

# Each file system of a bucket reads descriptions of services, most of the time that it takes.
_read = cache(JSONFileLoader()._load_file)
JSONFileLoader._load_file = lambda _loader, *file: _read(*file)

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
    import boto3

    return boto3.client(
        "s3",
        endpoint_url=server(),
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",  # noqa: S106 - of the test server
    )


class TestBucket:
    """A new bucket of the server, looked at without our own code and, mostly, without requests."""

    __test__ = False

    def __init__(self, name=None):
        self.name = name or f"bucket-{next(_numbers)}"
        self._backend = s3_backends[DEFAULT_ACCOUNT_ID]["aws"]
        self.create()

    @property
    def server(self):
        return server()

    @property
    def url(self):
        return f"s3://{self.name}/runs"

    def keys(self):
        """Return the names of all objects."""
        return sorted(self._backend.get_bucket(self.name).keys)

    def contents(self):
        """Return the names of contents: without the mark of the store."""
        return [key for key in self.keys() if not key.endswith("runstore.txt")]

    def get(self, key):
        return self._backend.get_object(self.name, key).value

    def put(self, key, body):
        self._backend.put_object(self.name, key, body)

    def remove(self, key):
        self._backend.delete_object(self.name, key)

    def create(self):
        """Create the bucket, which is empty."""
        self._backend.create_bucket(self.name, VARIABLES["AWS_DEFAULT_REGION"])

    def delete(self):
        """Remove the bucket with its contents."""
        for key in self.keys():
            self.remove(key)
        self._backend.delete_bucket(self.name)

    def begin_upload(self, key):
        """Begin an upload of several parts that is never completed."""
        _client().create_multipart_upload(Bucket=self.name, Key=key)

    def uploads(self):
        """Return the names of incomplete uploads."""
        found = _client().list_multipart_uploads(Bucket=self.name)
        return [one["Key"] for one in found.get("Uploads", ())]

    def age(self, days=2):
        """Make all objects older."""
        for key in self._backend.get_bucket(self.name).keys.values():
            key.last_modified = datetime.now(timezone.utc).replace(tzinfo=None) - timedelta(days)
