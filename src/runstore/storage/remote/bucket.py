"""Access to object storage by fsspec: upload, reading, listing and removal of single objects.

fsspec is loaded on first use. Credentials, endpoint and region are found by its libraries: in the
environment, `~/.aws`, and the configuration of fsspec.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Any, BinaryIO

from runstore.errors import MissingExtraError, StoreError, StoreUnavailableError, genuine
from runstore.extras import library
from runstore.storage.files.objects import Contents
from runstore.value_classes import NamedTuple

_CHUNK_BYTES = 1 << 20
_TEXT_BYTES = 1 << 16
# Two parts are in memory during an upload. An upload has at most 10,000 parts.
# Source: Amazon S3 User Guide, Multipart upload limits.
_PART_BYTES, _MOST_PARTS = 16 << 20, 9_000
# A program that is recording does not wait for long: for a connection, and for an answer with all
# attempts. More time is left for sending, as the network may be slow.
_CONNECT_S, _ANSWER_S, _ATTEMPTS = 3, 20, 3
_SLOWEST_BYTES_PER_S = 1 << 17
# S3 sends spaces until it is done, which may take minutes.
# Source: Amazon S3 API Reference, CompleteMultipartUpload.
_LONG = "complete_multipart_upload"
# Programs do not wait again for a bucket that was away just now. Saving, which can do without it,
# does so for as many seconds for each second of waiting, up to the longest pause.
_PAUSE_S, _LONGEST_PAUSE_S = 30.0, 600.0
_SHARD = re.compile("[0-9a-f]{2}")
_PASSWORD = re.compile("//[^/@ ]*@")
# Uploads that were cut off, by a crash, for example.
_OLD_UPLOAD_S = 86_400
# The file system of S3, by process: buckets share connections and credentials.
_opened_s3: dict[int, Any] = {}
_KEPT = "The data in the bucket was not changed."
_HINT = (
    "Check the bucket, the network and your credentials: the environment, ~/.aws or the"
    " configuration of fsspec."
)


class StoredObject(NamedTuple):
    """An object in a bucket.

    Attributes:
        key: Its name below the prefix.
        size_bytes: Its size.
        modified_at: When it was written, in seconds since 1970; None if unknown.
        etag: A fingerprint that S3 makes of its contents; None if there is none.
    """

    key: str
    size_bytes: int
    modified_at: float | None
    etag: str | None


class Bucket:
    """The objects below one prefix of a bucket.

    Args:
        url: A URL of fsspec, such as `s3://bucket/prefix`.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._opened: tuple[int, Any, str] | None = None
        self._away_until = 0.0
        self._saving_from = 0.0
        self._told = ""

    # Files

    def check_saving(self) -> None:
        """Raise StoreUnavailableError if the bucket was away, and saving does not wait again."""
        if time.monotonic() < self._saving_from:
            raise self._away()

    def note_away(self, told: str, waited_s: float) -> None:
        """Do not wait again for a while, after an attempt that took some seconds."""
        now = time.monotonic()
        self._told = told
        self._away_until = now + _PAUSE_S
        self._saving_from = now + min(_PAUSE_S * max(waited_s, 1), _LONGEST_PAUSE_S)

    def deliver(self, source: BinaryIO, key: str, contents: Contents) -> None:
        """Upload a file from its position on, unless the bucket has the same; durable on return.

        An object appears when it is complete. Memory does not depend on the size of the file.

        Raises:
            StoreUnavailableError: The upload failed.
        """
        found, begin = self.find(key), source.tell()
        if (
            found is not None
            and found.size_bytes == contents.size_bytes
            and found.etag in {None, _etag(source, contents.size_bytes)}
        ):
            return
        source.seek(begin)
        self._upload(source, key, contents)
        # S3 confirms the whole object; other systems may not.
        found = None if self._is_s3 else self.find(key)
        if not self._is_s3 and (found is None or found.size_bytes != contents.size_bytes):
            raise self._failure("the uploaded object is incomplete")

    def _upload(self, source: BinaryIO, key: str, contents: Contents) -> None:
        digest = hashlib.sha256()
        target: Any = None
        try:
            with self._using() as (fs, root):
                options = {"block_size": _part_bytes(contents.size_bytes)}
                target = fs.open(f"{root}/{key}", "wb", **options)
                while some := source.read(_CHUNK_BYTES):
                    digest.update(some)
                    target.write(some)
                if digest.hexdigest() != contents.digest:
                    raise self._failure("the file was changed during the upload")  # noqa: TRY301
                target.close()
        except BaseException:  # its finalizer would complete the upload
            if target is not None:
                self._give_up(target)
            raise

    def _give_up(self, target: Any) -> None:
        """Discard an unfinished upload, unless the bucket is away."""
        target.closed = True
        # Its parts remain invisible otherwise, and are removed by garbage collection.
        with suppress(StoreUnavailableError), self._using():
            target.discard()

    def find(self, key: str) -> StoredObject | None:
        """Return the object with this name; None if there is none.

        Raises:
            StoreUnavailableError: The bucket cannot be used.
        """
        with self._using() as (fs, root):
            try:
                return _stored(key, _about(fs, f"{root}/{key}"))
            except FileNotFoundError:
                return None

    def read(self, key: str, target: BinaryIO, size_bytes: int) -> tuple[str, int]:
        """Copy an object to a file, and return the SHA-256 in hex and the bytes read.

        An object of another size is not read.

        Raises:
            FileNotFoundError: There is none.
            StoreUnavailableError: The bucket cannot be used.
        """
        digest, size = hashlib.sha256(), 0
        with (
            self._using(is_missing=FileNotFoundError) as (fs, root),
            fs.open(f"{root}/{key}", "rb", cache_type="none") as source,
        ):
            if source.size != size_bytes:
                return digest.hexdigest(), source.size
            while some := source.read(8 * _CHUNK_BYTES):
                digest.update(some)
                target.write(some)
                size += len(some)
        return digest.hexdigest(), size

    def text(self, key: str) -> str | None:
        """Return a short text, up to 64 KiB; None if there is none."""
        with self._using() as (fs, root):
            try:
                # With a range, s3fs does not ask for the size first.
                found = fs.cat_file(f"{root}/{key}", start=0, end=_TEXT_BYTES)
                return bytes(found).decode(errors="replace")
            except FileNotFoundError:
                return None

    def put_text(self, key: str, text: str) -> None:
        """Store a short text; durable on return."""
        with self._using() as (fs, root):
            fs.pipe_file(f"{root}/{key}", text.encode())

    def remove(self, key: str) -> bool:
        """Remove an object; return whether it existed."""
        with self._using() as (fs, root):
            try:
                fs.rm_file(f"{root}/{key}")
            except FileNotFoundError:
                return False
        return True

    def entries(self) -> Iterator[StoredObject]:
        """Yield the objects, folder by folder; foreign folders are yielded, but not read."""
        for one in self._listed(""):
            if one.key.endswith("/") and _SHARD.fullmatch(one.key[:-1]):
                yield from self._listed(one.key)
            else:
                yield one

    def _listed(self, folder: str) -> Iterator[StoredObject]:
        with self._using() as (fs, root):
            place = f"{root}/{folder}".rstrip("/")
            try:
                found = fs.ls(place, detail=True, refresh=True)
            except FileNotFoundError:
                return
        for one in found:
            name = str(one["name"]).rstrip("/")
            key = name.removeprefix(root).lstrip("/")
            if name != place:  # a placeholder of the folder itself
                yield _stored(f"{key}/" if one["type"] == "directory" else key, one)

    def remove_old_uploads(self) -> None:
        """Remove incomplete uploads of the day before and earlier; they cost space in S3."""
        with self._using() as (fs, root):
            if not hasattr(fs, "call_s3"):
                return
            bucket, _, prefix = root.partition("/")
            about = {"Bucket": bucket, "Prefix": f"{prefix}/" if prefix else ""}
            for one in fs.call_s3("list_multipart_uploads", **about).get("Uploads") or ():
                key = one["Key"].removeprefix(about["Prefix"])
                if re.fullmatch("[0-9a-f]{2}/[0-9a-f]{62}", key) and (
                    time.time() - one["Initiated"].timestamp() > _OLD_UPLOAD_S
                ):
                    fs.call_s3(
                        "abort_multipart_upload",
                        Bucket=bucket,
                        Key=one["Key"],
                        UploadId=one["UploadId"],
                    )

    # The library

    @property
    def _is_s3(self) -> bool:
        return self.url.startswith("s3://")

    def _system(self) -> tuple[Any, str]:
        """Return the file system of this process, and the path of the prefix in it."""
        if self._opened is None or self._opened[0] != os.getpid():
            if self._is_s3:
                fs, root = _s3(), self.url.partition("://")[2]
            else:
                core = library("fsspec.core", "s3")
                fs, root = core.url_to_fs(
                    self.url, skip_instance_cache=True, use_listings_cache=False
                )
            self._opened = os.getpid(), fs, str(root).rstrip("/")
        return self._opened[1:]

    @contextmanager
    def _using(
        self, is_missing: type[FileNotFoundError] | tuple[()] = ()
    ) -> Iterator[tuple[Any, str]]:
        """Use the file system of this process, and the path of the prefix in it.

        Errors of the library are raised as our own, except for that about a missing object.
        """
        begin = time.monotonic()
        if begin < self._away_until:
            raise self._away()
        try:
            yield self._system()
        except (StoreError, MissingExtraError) as error:
            if isinstance(error, StoreError):
                raise
            failed = self._failure(error.what.rstrip("."))
            failed.hint = error.hint
            raise failed from error
        except is_missing:
            raise
        except genuine(Exception) as error:  # each file system of fsspec has exceptions of its own
            failed = self._failure(_reason(error))
            if not isinstance(error, (FileNotFoundError, PermissionError)):
                self.note_away(failed.what, time.monotonic() - begin)
                self._opened = None
                _opened_s3.clear()  # it remembers credentials
            raise failed from error

    def _failure(self, because: str) -> StoreUnavailableError:
        return _unavailable(f"{self.url} cannot be used: {because}.")

    def _away(self) -> StoreUnavailableError:
        return _unavailable(self._told)


def _unavailable(what: str) -> StoreUnavailableError:
    return StoreUnavailableError(what, kept=_KEPT, hint=_HINT)


def _s3() -> Any:
    """Return the file system of S3 in this process."""
    if os.getpid() not in _opened_s3:
        configured = library("fsspec.config", "s3").conf.get("s3", {}).get("config_kwargs", {})
        usual = {
            "connect_timeout": _CONNECT_S,
            "read_timeout": _ANSWER_S,
            "retries": {"mode": "standard", "total_max_attempts": _ATTEMPTS},
        }
        settings = {**usual, **configured}
        fs = _patient_s3(settings["read_timeout"])(
            skip_instance_cache=True,
            use_listings_cache=False,
            fixed_upload_size=True,
            config_kwargs=settings,
        )
        fs.retries = 1  # the library below tries again
        _opened_s3.clear()
        _opened_s3[os.getpid()] = fs
    return _opened_s3[os.getpid()]


def _patient_s3(answer_s: float) -> Any:
    """Return a class of file systems that limit the time of each request with all its attempts."""
    import asyncio

    wrapped = library("fsspec.asyn", "s3").sync_wrapper

    class PatientS3(library("s3fs", "s3").S3FileSystem):  # type: ignore[misc]
        async def _call_s3(self, method: str, *options: Any, **more: Any) -> Any:
            await self.set_session()  # loads modules for a second
            await self.get_s3(more.get("Bucket"))
            answer = super()._call_s3(method, *options, **more)
            if method == _LONG:
                return await answer
            size_bytes = len(more.get("Body") or b"")
            limit_s = answer_s + size_bytes / _SLOWEST_BYTES_PER_S
            try:
                return await asyncio.wait_for(answer, limit_s)
            except asyncio.TimeoutError as error:
                raise ConnectionError(f"it did not answer within {limit_s:g} s") from error

        call_s3 = wrapped(_call_s3)

    return PatientS3


def _about(fs: Any, path: str) -> dict[str, Any]:
    """Return what a file system knows of an object.

    Raises:
        FileNotFoundError: There is none.
    """
    if not hasattr(fs, "call_s3"):
        return dict(fs.info(path))
    # If there is none, `info` would list the bucket for a folder with this name.
    bucket, name, _ = fs.split_path(path)
    found = fs.call_s3("head_object", fs.kwargs, Bucket=bucket, Key=name, **fs.req_kw)
    return {**found, "size": found["ContentLength"]}


def _reason(error: Exception) -> str:
    """Return the reason in an error of the library, in one line and without passwords."""
    if isinstance(error, FileNotFoundError):
        return "the bucket does not exist"
    text = " ".join(str(error).split()) or type(error).__name__
    return _PASSWORD.sub("//***@", text).rstrip(".")


def _part_bytes(size_bytes: int) -> int:
    wanted = -(-size_bytes // _MOST_PARTS)
    return max(_PART_BYTES, -(-wanted // _CHUNK_BYTES) * _CHUNK_BYTES)


def _etag(file: BinaryIO, size_bytes: int) -> str:
    """Return the fingerprint that S3 has of a file that was uploaded as here.

    Source: Amazon S3 API Reference, Object, ETag. It differs if S3 encrypts with keys of its own;
    then the file is uploaded again.
    """
    part_bytes = _part_bytes(size_bytes)
    parts: list[bytes] = []
    while True:
        digest, left = hashlib.md5(usedforsecurity=False), part_bytes
        while left and (some := file.read(min(left, _CHUNK_BYTES))):
            digest.update(some)
            left -= len(some)
        if left == part_bytes and parts:
            break
        parts.append(digest.digest())
        if left:
            break
    if size_bytes < part_bytes:
        return parts[0].hex()
    whole = hashlib.md5(b"".join(parts), usedforsecurity=False).hexdigest()
    return f"{whole}-{len(parts)}"


def _stored(key: str, about: dict[str, Any]) -> StoredObject:
    modified = about.get("LastModified") or about.get("mtime") or about.get("last_modified")
    if isinstance(modified, datetime):
        modified = modified.timestamp()
    etag = about.get("ETag")
    return StoredObject(
        key,
        int(about.get("size") or 0),
        modified if isinstance(modified, (int, float)) else None,
        etag.strip('"') if isinstance(etag, str) else None,
    )
