FROM node:24-slim
WORKDIR /promhive
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --no-audit --no-fund
COPY . .
RUN mkdir -p /data && chown node:node /data
USER node
VOLUME /data
EXPOSE 9090
ENTRYPOINT ["node", "src/cli/promhive.ts"]
CMD ["serve", "--config.file=examples/prometheus.yml", "--storage.tsdb.path=/data"]
