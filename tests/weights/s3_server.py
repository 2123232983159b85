"""A real S3 server of moto's in a process of its own, which lets in only those who have the key."""

from __future__ import annotations

import functools
import re
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

BUCKET = "models"


@dataclass(frozen=True)
class S3Server:
    """Its address, and a pair of keys that it knows."""

    address: str
    access_key: str
    secret_key: str

    def objects(self) -> list[str]:
        """Keys of all objects in the bucket."""
        return sorted(one["Key"] for one in client_of(self).list_objects_v2(Bucket=BUCKET).get("Contents", []))

    def empty(self) -> None:
        """Delete all objects in the bucket."""
        for key in self.objects():
            client_of(self).delete_object(Bucket=BUCKET, Key=key)


@functools.cache
def client_of(server: S3Server) -> Any:
    """A client that is let in."""
    import botocore.session

    return botocore.session.Session().create_client(
        "s3", region_name="us-east-1", endpoint_url=server.address, aws_access_key_id=server.access_key,
        aws_secret_access_key=server.secret_key,
    )  # fmt: skip


@contextmanager
def serve_s3() -> Iterator[S3Server]:
    """Start it on a free port, make a person with a key and an empty bucket, and stop it at the end."""
    with subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"], stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stderr is not None
            address = next(found[0] for line in process.stderr if (found := re.search(r"http://127[.0-9:]+", line)))
            threading.Thread(target=process.stderr.read, daemon=True).start()  # a full pipe would stop the server
            yield _with_a_person(address)
        finally:
            process.kill()


def _with_a_person(address: str) -> S3Server:
    import botocore.session

    anybody = {"region_name": "us-east-1", "aws_access_key_id": "a", "aws_secret_access_key": "b"}
    session = botocore.session.Session()
    iam = session.create_client("iam", endpoint_url=address, **anybody)
    iam.create_user(UserName="person")
    policy = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}'
    iam.put_user_policy(UserName="person", PolicyName="all", PolicyDocument=policy)
    made = iam.create_access_key(UserName="person")["AccessKey"]
    session.create_client("s3", endpoint_url=address, **anybody).create_bucket(Bucket=BUCKET)
    plain = {"Content-Type": "text/plain"}
    count_keys = urllib.request.Request(f"{address}/moto-api/reset-auth", data=b"0", headers=plain)
    urllib.request.urlopen(count_keys, timeout=10).close()  # from now on
    return S3Server(address, made["AccessKeyId"], made["SecretAccessKey"])
