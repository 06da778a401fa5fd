# A server of the study's models, without TensorFlow: docker build -t eco . && docker run -p 8000:8000 eco
FROM python:3.12-slim
WORKDIR /study
COPY pyproject.toml README.md LICENSE ./
COPY eco eco
RUN pip install --no-cache-dir '.[serve]' && rm -rf eco build *.egg-info
COPY params.yaml ./
COPY data/*.json data/labels.npz data/
COPY data/predictions data/predictions
COPY metrics/*.json metrics/
COPY plots/*.json plots/
COPY models/calibrated models/calibrated
COPY models/routers models/routers
USER nobody
EXPOSE 8000
HEALTHCHECK CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://localhost:8000/v2/health/ready', timeout=5)"]
ENTRYPOINT ["eco", "serve", "--host", "0.0.0.0"]
CMD ["--strategy", "tuned"]
