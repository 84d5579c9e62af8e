FROM node:24-slim AS build
WORKDIR /promhive
COPY . .
# as the user and with the Node that will run it: compiled code is kept by both
RUN npm ci --ignore-scripts --no-audit --no-fund && chown -R node:node .
USER node
RUN node src/cli/build/main.js

FROM node:24-slim
WORKDIR /promhive
COPY --from=build --chown=node:node /promhive/package.json /promhive/LICENSE ./
COPY --from=build --chown=node:node /promhive/dist dist
COPY --from=build --chown=node:node /promhive/examples examples
COPY --from=build --chown=node:node /promhive/src/cli/promhive.js src/cli/promhive.js
COPY --from=build --chown=node:node /promhive/src/cli/build/inputs.js src/cli/build/inputs.js
COPY --from=build --chown=node:node /promhive/src/ports/node/*.js src/ports/node/
RUN mkdir -p /data && chown node:node /data
USER node
VOLUME /data
EXPOSE 9090
ENTRYPOINT ["node", "src/cli/promhive.js"]
CMD ["serve", "--config.file=examples/prometheus.yml", "--storage.tsdb.path=/data"]
