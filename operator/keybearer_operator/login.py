"""Who the operator is to the API server: its pod's service account, or else what KUBECONFIG names."""

import logging

import kopf

_log = logging.getLogger(__name__)


def login(settings: kopf.OperatorSettings | None = None) -> kopf.ConnectionInfo:
    """Read again at each call, because a service account's token changes. Raises kopf.LoginError."""
    settings = settings or kopf.OperatorSettings()
    info = kopf.login_with_service_account(settings=settings)
    if info is None:
        # The kubernetes package knows every way in that a KUBECONFIG can name, and is loaded for that alone.
        info = kopf.login_via_client(settings=settings, logger=_log)
    if info is None:
        raise kopf.LoginError("There is neither a service account nor a KUBECONFIG.")
    return info
