# syntax=docker/dockerfile:1

# docker build --target api .
# docker build --target worker .            torch from PyPI: the CUDA build on x86-64
# docker build --target worker --build-arg PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu .

FROM python:3.11-slim AS base
ENV PYTHONUNBUFFERED=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_ROOT_USER_ACTION=ignore \
    FVT_DATA_DIR=/data \
    HF_HOME=/data/huggingface
RUN useradd --system --uid 10001 --create-home fvt && install -d -o fvt -g fvt /data
WORKDIR /src
# Empty packages: the layers of the dependencies stay when only our code changes.
COPY pyproject.toml requirements.lock ./
COPY client/pyproject.toml client/
RUN mkdir -p app worker client/src/fvt_client && touch README.md client/README.md \
    app/__init__.py worker/__init__.py client/src/fvt_client/__init__.py


FROM base AS api
RUN --mount=type=cache,target=/root/.cache/pip \
    pip install --constraint requirements.lock './client[cli]' .
COPY README.md ./
COPY app app
COPY worker worker
COPY client client
RUN pip install --no-deps --force-reinstall ./client .
WORKDIR /data
USER fvt
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
CMD ["python", "-m", "app.server", "--host", "0.0.0.0", "--port", "8000"]


FROM base AS worker
ARG PIP_EXTRA_INDEX_URL=""
RUN --mount=type=cache,target=/root/.cache/pip \
    pip install --constraint requirements.lock './client[cli]' '.[worker,openvino]'
COPY README.md ./
COPY app app
COPY worker worker
COPY client client
RUN pip install --no-deps --force-reinstall ./client .
WORKDIR /data
USER fvt
# A stop hands the job back first: give it 10 s more than FVT_SHUTDOWN_SECONDS.
ENV REMAP_SIGTERM=SIGQUIT
STOPSIGNAL SIGTERM
CMD ["celery", "-A", "worker.celery_app", "worker", "-P", "prefork", "-c", "1", "-Q", "fvt", "-l", "INFO"]
