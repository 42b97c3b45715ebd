# The project's images, a target each: backend, frontend-proxy, operator, agent, and for development sandbox.
ARG PYTHON=3.12-slim-bookworm
ARG NODE=24-bookworm-slim
ARG NGINX=1.30
ARG UV=0.9

FROM ghcr.io/astral-sh/uv:${UV} AS uv

FROM docker.io/library/node:${NODE} AS ui
WORKDIR /ui
COPY frontend-proxy/ui/package.json frontend-proxy/ui/package-lock.json ./
RUN --mount=type=cache,target=/root/.npm npm ci --no-audit --no-fund
COPY frontend-proxy/ui ./
RUN npm run build

FROM docker.io/library/python:${PYTHON} AS environment
COPY --from=uv /uv /usr/local/bin/uv
ENV UV_PYTHON=/usr/local/bin/python3 UV_PYTHON_DOWNLOADS=never UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1 \
    UV_PROJECT_ENVIRONMENT=/opt/keybearer
WORKDIR /source
# Libraries first: they change less often than our own code.
COPY pyproject.toml uv.lock ./
COPY backend/api/pyproject.toml backend/api/
COPY backend/agent/pyproject.toml backend/agent/
COPY backend/sandbox/pyproject.toml backend/sandbox/
COPY operator/pyproject.toml operator/
RUN --mount=type=cache,target=/root/.cache/uv \
    uv sync --frozen --no-dev --no-install-workspace --package keybearer --extra s3
COPY backend/api backend/api
RUN --mount=type=cache,target=/root/.cache/uv \
    uv sync --frozen --no-dev --no-editable --package keybearer --extra s3 && rm -f /opt/keybearer/.lock

FROM environment AS sandbox-environment
COPY backend/sandbox backend/sandbox
RUN --mount=type=cache,target=/root/.cache/uv \
    uv sync --frozen --no-dev --no-editable --inexact --package keybearer-sandbox \
    && rm -f /opt/keybearer/.lock

FROM environment AS operator-environment
COPY operator operator
RUN --mount=type=cache,target=/root/.cache/uv \
    uv sync --frozen --no-dev --no-editable --package keybearer-operator && rm -f /opt/keybearer/.lock

FROM environment AS agent-environment
COPY backend/agent backend/agent
RUN --mount=type=cache,target=/root/.cache/uv \
    uv sync --frozen --no-dev --no-editable --package keybearer-agent --extra worker && rm -f /opt/keybearer/.lock

FROM docker.io/library/python:${PYTHON} AS runtime
RUN groupadd --gid 10001 keybearer \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin keybearer
ENV PATH=/opt/keybearer/bin:/usr/local/bin:/usr/bin:/bin PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.source=https://github.com/keybearer/keybearer \
      org.opencontainers.image.licenses=Apache-2.0 \
      org.opencontainers.image.version=${VERSION} \
      org.opencontainers.image.revision=${REVISION}
USER 10001:10001

# Keybearer, its fake providers beside it: for development and tests alone.
FROM runtime AS sandbox
COPY --from=sandbox-environment /opt/keybearer /opt/keybearer
LABEL org.opencontainers.image.title="Keybearer sandbox" \
      org.opencontainers.image.description="Fake OAuth providers that misbehave as the real ones do; never for production"
EXPOSE 8082
ENTRYPOINT ["keybearer-sandbox"]
CMD ["--host", "0.0.0.0", "--port", "8082"]

FROM runtime AS operator
COPY --from=operator-environment /opt/keybearer /opt/keybearer
LABEL org.opencontainers.image.title="Keybearer operator" \
      org.opencontainers.image.description="Rotates Keybearer's keys and runs its agent pools"
EXPOSE 8080 9090
ENTRYPOINT ["python", "-m", "keybearer_operator"]

FROM runtime AS agent
COPY --from=agent-environment /opt/keybearer /opt/keybearer
LABEL org.opencontainers.image.title="Keybearer agent" \
      org.opencontainers.image.description="A LiveKit agent that acts for people through Keybearer"
ENV LIVEKIT_AGENTS_PRELOAD_LOCAL_INFERENCE=0
EXPOSE 8081
ENTRYPOINT ["python", "-m", "keybearer_agent.worker"]

FROM docker.io/nginxinc/nginx-unprivileged:${NGINX} AS frontend-proxy
COPY --from=ui /ui/dist /usr/share/keybearer/ui
COPY frontend-proxy/nginx/templates /etc/nginx/templates
COPY frontend-proxy/nginx/settings.sh frontend-proxy/nginx/entrypoint.sh /opt/keybearer/
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Keybearer frontend-proxy" \
      org.opencontainers.image.description="The front door: the UI, one origin, limits and security headers" \
      org.opencontainers.image.source=https://github.com/keybearer/keybearer \
      org.opencontainers.image.licenses=Apache-2.0 \
      org.opencontainers.image.version=${VERSION} \
      org.opencontainers.image.revision=${REVISION}
USER 101:101
# TLS only where TLS_DIR is set; 8081 is for probes and exporters.
EXPOSE 8080 8081 8443
STOPSIGNAL SIGQUIT
ENTRYPOINT ["/opt/keybearer/entrypoint.sh"]
CMD ["nginx", "-e", "/dev/stderr", "-c", "/tmp/nginx/nginx.conf", "-g", "daemon off;"]

# The last one, so that a build without --target makes what an installation is about.
FROM runtime AS backend
COPY --from=environment /opt/keybearer /opt/keybearer
LABEL org.opencontainers.image.title="Keybearer backend" \
      org.opencontainers.image.description="Lets AI agents act for people without ever holding their keys"
# 9090 is the internal port: metrics and health, never routed to from outside.
EXPOSE 8080 9090
ENTRYPOINT ["keybearer"]
CMD ["serve"]
