FROM python:3.13-slim AS build
WORKDIR /app
COPY requirements/run.txt requirements/run.txt
RUN python -m venv /venv && /venv/bin/pip install --no-cache-dir --require-hashes -r requirements/run.txt
COPY . .
RUN /venv/bin/pip install --no-cache-dir --no-deps --no-build-isolation .

FROM python:3.13-slim
RUN useradd --system --create-home --home-dir /var/lib/fitgraph fitgraph
COPY --from=build /venv /venv
ENV PATH=/venv/bin:$PATH FITGRAPH_STATE_DIR=/var/lib/fitgraph FITGRAPH_HOST=0.0.0.0
USER fitgraph
WORKDIR /var/lib/fitgraph
EXPOSE 8000
HEALTHCHECK CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz', timeout=3)"]
CMD ["fitgraph", "serve"]
