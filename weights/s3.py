"""A bucket of Amazon S3, or of what speaks its language: MinIO, Ceph, R2 and others.

Who may come in is told by the environment or the usual files of AWS, and never by us. Machines in Amazon's cloud have a
service that hands out keys to whoever asks; it is asked only where AWS_EC2_METADATA_DISABLED says "false".
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..core.errors import AuthError, DataError, LensmithError, NotFoundError, UsageError, is_disk_full
from ..core.redact import register_secret
from .places import missing, need_sensible

CONNECT_SECONDS = 5
READ_SECONDS = 40
_TRIES = 2  # of the library, and as many again of the one below it
_PART_BYTES = 5 << 20  # the smallest that S3 takes: on a slow line a part must be through before READ_SECONDS
_ENDPOINT = re.compile(r"https?://[A-Za-z0-9.\[\]:_-]+/?")
_STANDING = {"env", "shared-credentials-file", "config-file"}  # ways to get keys that ask nobody
_WHO = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE for a profile in ~/.aws"


class S3Place:
    """See `places.Place`."""

    def __init__(self, bucket: str, prefix: str, endpoint: str | None) -> None:
        """Raises UsageError for an endpoint that is none, AuthError without credentials."""
        os.environ.setdefault("AWS_EC2_METADATA_DISABLED", "true")
        endpoint = endpoint or os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or None
        if endpoint is not None and not _ENDPOINT.fullmatch(endpoint):
            raise UsageError("The address of a store is http(s)://HOST:PORT.", where="--endpoint-url")
        self.bucket = bucket
        self._root = "/".join(part for part in (bucket, prefix) if part)
        self.address = f"s3://{self._root}"
        self._where = f"{self.address} at {endpoint}" if endpoint else self.address
        self._need_credentials()
        with self._told():
            self._files = self._connect(endpoint)

    def _need_credentials(self) -> None:
        """Find out who asks before anybody is asked, and keep the keys out of all that is printed."""
        import botocore.session
        from botocore.exceptions import BotoCoreError

        try:
            found = botocore.session.Session().get_credentials()
        except BotoCoreError as error:
            raise AuthError(f"The credentials cannot be read: {error}", where=self._where, next_step=_WHO) from None
        if found is None:
            raise AuthError("There are no credentials for this store.", where=self._where, next_step=_WHO)
        if found.method in _STANDING:
            for secret in (found.access_key, found.secret_key, found.token):
                register_secret(secret)

    def _connect(self, endpoint: str | None) -> Any:
        import s3fs

        addressing = {"addressing_style": "path"} if endpoint else {}  # stores of one's own seldom have names in DNS
        files = s3fs.S3FileSystem(
            endpoint_url=endpoint,
            skip_instance_cache=True,
            use_listings_cache=False,
            default_fill_cache=False,
            config_kwargs={
                "connect_timeout": CONNECT_SECONDS,
                "read_timeout": READ_SECONDS,
                "retries": {"total_max_attempts": _TRIES, "mode": "standard"},
                "s3": addressing,
                "request_checksum_calculation": "when_required",  # several stores do not know Amazon's newest ones
                "response_checksum_validation": "when_required",
            },
        )
        files.retries = _TRIES
        return files

    def _key(self, path: str) -> str:
        return f"{self._root}/{path}"

    def read(self, path: str, most: int) -> bytes | None:
        """See `Place`."""
        size = self.size(path)
        if size is None:
            return None
        if size > most:
            raise DataError("This file is far larger than any of its kind.", where=f"s3://{self._key(path)}")
        with self._told():
            return self._files.cat_file(self._key(path))

    def size(self, path: str) -> int | None:
        """See `Place`."""
        with self._told():
            try:
                # A whole listing would be asked for by `info`, and a folder would have a size.
                answer = self._files.call_s3("head_object", Bucket=self.bucket, Key=self._in_bucket(path))
            except FileNotFoundError:
                self._need_bucket()
                return None
            return int(answer["ContentLength"])

    def _in_bucket(self, path: str) -> str:
        return self._key(path).partition("/")[2]

    def _need_bucket(self) -> None:
        """Tell a file that is not there from a bucket that is not there, which a look at a file does not."""
        try:
            self._files.call_s3("list_objects_v2", Bucket=self.bucket, MaxKeys=1)
        except FileNotFoundError:
            raise NotFoundError(
                f"There is no bucket '{self.bucket}' in this store.",
                where=self._where,
                next_step="make the bucket first, with the store's own tools, or correct its name",
            ) from None
        except PermissionError:
            return  # who may not list may still read and write

    def put(self, file: Path, path: str) -> None:
        """See `Place`."""
        with self._told():
            self._files.put_file(str(file), self._key(path), chunksize=_PART_BYTES, max_concurrency=1)

    def get(self, path: str, file: Path) -> None:
        """See `Place`."""
        size = self.size(path)
        if size is None:
            raise missing(f"s3://{self._key(path)}")
        need_sensible(size, f"s3://{self._key(path)}")
        with self._told():
            self._files.get_file(self._key(path), str(file))

    def remove(self, paths: list[str]) -> None:
        """See `Place`."""
        with self._told():
            for path in paths:
                self._files.call_s3("delete_object", Bucket=self.bucket, Key=self._in_bucket(path))

    def names(self) -> list[str]:
        """See `Place`."""
        with self._told():
            try:
                return sorted(Path(one).name for one in self._files.ls(self._root, detail=False, refresh=True))
            except (FileNotFoundError, PermissionError):
                return []

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Whatever goes wrong between here and the store, as one sentence for the person."""
        from aiohttp import ClientError
        from botocore.exceptions import BotoCoreError, HTTPClientError, NoCredentialsError, SSLError
        from botocore.exceptions import ConnectionError as NoConnection

        try:
            yield
        except LensmithError:
            raise
        except FileNotFoundError as error:
            if error.filename is not None:
                raise  # on this machine
            raise missing(self._where) from None
        except (PermissionError, NoCredentialsError) as error:
            if isinstance(error, PermissionError) and error.filename is not None:
                raise  # of a file on this machine
            raise AuthError(
                f"The store does not let you in: {_said(error)}", where=self._where, next_step=_WHO
            ) from None
        except SSLError:
            raise self._unreachable("no safe connection could be made") from None
        except (NoConnection, HTTPClientError, ClientError, TimeoutError) as error:
            raise self._unreachable(f"{_said(error)}") from None
        except BotoCoreError as error:
            raise LensmithError(f"The store cannot be used: {_said(error)}", where=self._where) from None
        except OSError as error:
            if is_disk_full(error) or error.filename is not None:
                raise
            raise LensmithError(f"The store refuses this: {_said(error)}", where=self._where) from None

    def _unreachable(self, reason: str) -> LensmithError:
        return LensmithError(
            f"The store does not answer: {reason}.",
            where=self._where,
            next_step="see that it runs and that --endpoint-url (or AWS_ENDPOINT_URL) is its address, then try again",
        )


def _said(error: Exception) -> str:
    return next((line.strip()[:200] for line in str(error).splitlines() if line.strip()), type(error).__name__)
