# The service with one bundle baked in: `make image`. The stage `model` has torch and is left behind.
ARG BASE=docker.io/library/python:3.11-slim
ARG MODEL=ViT-B-32
ARG PRETRAINED=openai
ARG BUNDLE=${MODEL}-${PRETRAINED}

# a bundle fits every processor, so it is made by the one that builds
FROM --platform=${BUILDPLATFORM} ${BASE} AS model
ARG MODEL
ARG PRETRAINED
ARG BUNDLE
# torch for processors alone; what PyPI has for Linux brings CUDA along
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
WORKDIR /larder
COPY models models
COPY requirements.txt requirements-model.txt ./
# one index for torch alone: were it an extra one, either could answer for any name
RUN test -f "models/${BUNDLE}/config.json" \
 || { grep -E '^torch==' requirements-model.txt > torch.txt \
   && pip install --no-cache-dir --no-deps --index-url "${TORCH_INDEX}" -r torch.txt \
   && pip install --no-cache-dir -r requirements-model.txt; }
COPY app app
RUN test -f "models/${BUNDLE}/config.json" || python -m app models export "${MODEL}" "${PRETRAINED}"
# a checkout may be its owner's alone to read; the service runs as somebody else
RUN chmod -R a+rX "models/${BUNDLE}"

FROM ${BASE}
WORKDIR /larder
# or requirements-milvus.txt, requirements-mqtt.txt, requirements-otel.txt
ARG MORE=requirements-aws.txt
COPY requirements.txt requirements-hashes.txt requirements-pip.txt ${MORE} ./
# what OpenVINO brings for other devices than processors is never asked for: 61 MB
RUN pip install --no-cache-dir --require-hashes -r requirements-pip.txt \
 && pip install --no-cache-dir --require-hashes -c requirements-hashes.txt -r requirements.txt -r "${MORE}" \
 && find /usr/local/lib -path '*/openvino/libs/libopenvino_intel_[gn]pu_plugin.so' -delete \
 && find /usr/local/lib -path '*/openvino/libs/cache.json' -delete
COPY labels labels
ARG BUNDLE
COPY --from=model /larder/models/${BUNDLE} models/${BUNDLE}
COPY app app
# the data folder alone is written to; a volume or tmpfs over it takes its mode, whoever the service runs as
RUN chmod -R a+rX app labels && python -m compileall -q app && install -d -m 1777 data
VOLUME /larder/data
# Kubernetes overwrites LARDER_PORT with an address where a Service is called larder; then LARDER_IMAGE_PORT counts
ENV LARDER_MODEL=${BUNDLE} LARDER_HOST=0.0.0.0 LARDER_PORT=80 LARDER_IMAGE_PORT=80 TMPDIR=/larder/data
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Larder" \
      org.opencontainers.image.description="Recognises what is in a picture" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
USER 10001:10001
EXPOSE 80
STOPSIGNAL SIGTERM
HEALTHCHECK --start-period=60s --interval=10s --timeout=5s --retries=3 \
  CMD ["python", "-c", "import os, urllib.request as http; \
       port = os.environ['LARDER_PORT']; port = port if port.isdecimal() else os.environ['LARDER_IMAGE_PORT']; \
       http.build_opener(http.ProxyHandler({})).open(f'http://127.0.0.1:{port}', timeout=4)"]
CMD ["python", "-m", "app", "serve"]
