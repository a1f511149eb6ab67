# docker build -t motionfit .                     CPU image: no torch, no compiler, not root
# docker build -t motionfit:gpu --target gpu .    ONNX Runtime with its CUDA libraries
#
# docker run --rm -p 8000:8000 motionfit
# docker run --rm -p 8000:8000 --gpus all motionfit:gpu --device cuda

ARG PYTHON_VERSION=3.11

FROM docker.io/library/python:${PYTHON_VERSION}-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /source
COPY . .
RUN --mount=type=cache,target=/root/.cache/pip \
    pip wheel --no-deps --wheel-dir /wheels . \
 && python -m venv --without-pip /app

FROM build AS install-cpu
RUN --mount=type=cache,target=/root/.cache/pip \
    pip --python /app/bin/python install "$(echo /wheels/*.whl)[cpu]"

FROM docker.io/library/python:${PYTHON_VERSION}-slim AS runtime
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin motionfit
ENV PATH=/app/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    MOTIONFIT_HOST=0.0.0.0 \
    MOTIONFIT_PORT=8000
USER motionfit
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s CMD ["python", "-c", \
    "import os; from urllib.request import urlopen; urlopen(f'http://127.0.0.1:{os.environ[\"MOTIONFIT_PORT\"]}/readyz', timeout=4)"]
ENTRYPOINT ["motionfit-serve"]

FROM runtime AS cpu
COPY --from=install-cpu /app /app

FROM build AS install-gpu
RUN --mount=type=cache,target=/root/.cache/pip \
    pip --python /app/bin/python install "$(echo /wheels/*.whl)[gpu]"

FROM runtime AS gpu
# Which parts of the driver the NVIDIA Container Toolkit hands in.
ENV NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
COPY --from=install-gpu /app /app

# What a build without --target gives. Builders that make every stage up to the wanted one need
# --target cpu to stop before the GPU's.
FROM cpu
