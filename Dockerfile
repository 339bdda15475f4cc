# One image for every role: the command says which, and which project it runs.
# How to build it, run it and put a project of your own into it: docs/operating/production.md.
FROM node:22-bookworm AS build
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY scripts ./scripts
COPY src ./src
RUN node scripts/build.mjs
RUN npm prune --omit=dev --ignore-scripts --no-audit --no-fund
# Temporal's core is there for five platforms, 27 MB each.
RUN find node_modules/@temporalio/core-bridge/releases -mindepth 1 -maxdepth 1 \
  ! -name "$(uname -m)-unknown-linux-gnu" -exec rm -r {} +
# A project with a package.json of its own finds tidegate by name as well.
RUN ln -s .. node_modules/tidegate

FROM node:22-bookworm-slim
ENV NODE_ENV=production
WORKDIR /app
# Temporal's core reads the system's certificates, which the slim image leaves out.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
COPY examples ./examples
# The user node; by number, so that Kubernetes can tell that it is not root.
USER 1000:1000
EXPOSE 3000
# The process handles SIGTERM itself, also as the first of its container.
ENTRYPOINT ["node", "dist/cli/main.js"]
CMD ["ingress", "examples/acme"]
