# The broker, the millrace command and the load tester in one image; see docs/docker.md.

FROM node:20-bookworm-slim AS base
LABEL org.millrace.stage=build

FROM base AS sources
WORKDIR /millrace
COPY . .

# What `npm ci` depends on, so that a changed source file does not install everything again.
FROM sources AS manifests
RUN find . -mindepth 2 -type f -not -path './native/*' -not -name package.json -delete

FROM base AS build
RUN apt-get update \
  && apt-get install -y --no-install-recommends g++ make python3 \
  && rm -rf /var/lib/apt/lists/*
WORKDIR /millrace
COPY --from=manifests /millrace .
# The install goes on where the native module cannot be built; an image without it is not wanted.
RUN npm ci && test -f native/build/Release/millrace_native.node
COPY --from=sources /millrace .
RUN npx tsc --build $(node -p "require('./package.json').workspaces.join(' ')") \
  && npm run --workspace bench build:reference \
  && npm prune --omit=dev
# What running needs: not the sources, nor what compiling left.
RUN rm -rf */src */tsconfig* tsconfig.json native/lib native/binding.gyp native/install.js \
  && find native/build -type f -not -path native/build/Release/millrace_native.node -delete \
  && find . -name '*.tsbuildinfo' -delete \
  && find . -type d -empty -delete \
  && install -d -o node -g node /data

FROM node:20-bookworm-slim
LABEL org.opencontainers.image.title=millrace \
  org.opencontainers.image.licenses=Apache-2.0
COPY --from=build /millrace /millrace
COPY --from=build --chown=node:node /data /data
# Five seconds of draining leave the storage time to close within the ten of `docker stop`.
ENV PATH=/millrace/docker:/millrace/node_modules/.bin:$PATH \
  NODE_ENV=production \
  MILLRACE_DATA_DIR=/data \
  MILLRACE_LISTEN=0.0.0.0:7070 \
  MILLRACE_HTTP=0.0.0.0:7071 \
  MILLRACE_DRAIN_TIMEOUT_MS=5000
USER node
WORKDIR /data
VOLUME /data
EXPOSE 7070 7071
HEALTHCHECK --interval=10s --timeout=5s --start-period=300s CMD ["/millrace/docker/healthcheck"]
CMD ["millrace-broker"]
