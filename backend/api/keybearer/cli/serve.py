"""`keybearer serve`: the production process, and with `--workers` several of them under one parent."""

from keybearer.cli import serving
from keybearer.cli import workers as many
from keybearer.kit import logs, settings
from keybearer.kit.errors import ConfigurationError


def serve(*, workers: int) -> None:
    found = settings.read()
    logs.configure(level=found.log_level, style=found.log_format)
    try:
        public = serving.listening_socket(found.host, found.port)
        internal = serving.listening_socket(found.internal_host, found.internal_port)
    except OSError as error:
        raise ConfigurationError(
            f"Port {found.port} or {found.internal_port} is in use ({error.strerror}). Stop what uses it, or set "
            "KEYBEARER_PORT and KEYBEARER_INTERNAL_PORT."
        ) from error
    if workers == 1:
        serving.run(serving.serve(found, public, internal))
    else:
        many.serve(found, public, internal, workers)
