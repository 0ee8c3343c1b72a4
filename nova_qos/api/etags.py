# SPDX-License-Identifier: Apache-2.0
"""ETags of policies, and the conditions that requests make with them.

Each is the database's id and a revision: a restored database may have an old revision once more,
with other content.
"""

from typing import Any

from nova.api.openstack import wsgi
from webob import etag

from nova_qos.core import errors
from nova_qos.core.policy import Catalog, Policy


def of_catalog(catalog: Catalog) -> str:
    """The ETag of what is made of all policies, without quotes."""
    return f"{catalog.database}-{catalog.revision}"


def of_policy(catalog: Catalog, policy: Policy) -> str:
    """The ETag of one policy, without quotes; who uses it does not count."""
    return f"{catalog.database}-{policy.revision}"


def headers(tag: str) -> dict[str, str]:
    """Those of an answer with this ETag."""
    return {"ETag": f'"{tag}"'}


def is_known(request: Any, tag: str) -> bool:
    """Whether the caller has what an answer with this ETag would say."""
    text = request.headers.get("If-None-Match")
    return text is not None and _names(text, tag)


def unchanged(tag: str) -> wsgi.ResponseObject:
    """The answer to a caller who has it."""
    return wsgi.ResponseObject(None, code=304, headers=headers(tag))


def seen_by(request: Any, catalog: Catalog, policy: Policy) -> int | None:
    """The revision of the policy that a change is meant for; None: whichever it has.

    :raises PolicyChanged: If-Match does not name the one that it has now
    """
    text = request.headers.get("If-Match")
    if text is None or text.strip() == "*":
        return None
    if not _names(text, of_policy(catalog, policy)):
        raise errors.PolicyChanged(
            f"If-Match: policy {policy.name} has revision {policy.revision} by now, which is not "
            f"the one that {text[:80]} stands for. Get the policy again and repeat the change")
    return policy.revision


def _names(text: str, tag: str) -> bool:
    """Whether a header names this ETag.

    Proxies that compress make ``W/"..."`` or ``"...-gzip"`` of it. A revision is the same document
    in whatever encoding, so that they count for changes, too.
    """
    if text.strip() == "*":
        return True
    named = etag.ETagMatcher.parse(text, strong=False).etags
    return any(each == tag or each.startswith((f"{tag}-", f"{tag};")) for each in named)
