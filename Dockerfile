# ctresample in a container, for the CPU or for NVIDIA's CUDA:
#
#   docker build -t ctresample .
#   docker build -t ctresample:cuda --build-arg TORCH_INDEX=https://pypi.org/simple .
#
#   docker run --rm -v "$PWD:/data" --user "$(id -u):$(id -g)" ctresample reconstruct my_ct -o first --views 25
#   docker run --rm --gpus all -v "$PWD:/data" --user "$(id -u):$(id -g)" ctresample:cuda doctor
#
# What is built by hash is that of requirements/run.lock; torch by its version, whose builds differ by their index.
ARG PYTHON=3.12

FROM python:${PYTHON}-slim AS build
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
WORKDIR /src
RUN python -m venv /opt/ctresample
ENV PATH=/opt/ctresample/bin:$PATH PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
COPY constraints.txt pyproject.toml ./
COPY requirements/run.lock requirements/run.lock
RUN pip install --require-hashes --no-deps -r requirements/run.lock \
  && pip install -c constraints.txt --index-url "$TORCH_INDEX" torch
COPY . .
RUN pip install --no-deps . && ctresample doctor

FROM python:${PYTHON}-slim
COPY --from=build /opt/ctresample /opt/ctresample
# A home that any user can write to: matplotlib and torch keep what they have worked out there.
RUN useradd --create-home --uid 1000 ctresample && chmod 1777 /home/ctresample
ENV PATH=/opt/ctresample/bin:$PATH HOME=/home/ctresample MPLBACKEND=agg
USER 1000
WORKDIR /data
ENTRYPOINT ["ctresample"]
CMD ["--help"]
