# Behind a slow border: docker compose build --build-arg GOPROXY=https://goproxy.cn,direct
ARG REGISTRY=docker.io
FROM ${REGISTRY}/library/golang:1.26.8 AS build
ARG GOPROXY=https://proxy.golang.org,direct
ENV CGO_ENABLED=0 GOPROXY=${GOPROXY} GOTOOLCHAIN=local
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY . .
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    go build -trimpath -ldflags "-s -w" -o /out/greentally ./cmd/greentally
RUN mkdir -p /out/data /out/communities /out/tmp && chmod 1777 /out/tmp

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /out/greentally /usr/bin/greentally
# 65532 is nobody in particular, as in distroless images.
COPY --from=build --chown=65532:65532 /out/data /data
COPY --from=build --chown=65532:65532 /out/communities /communities
COPY --from=build /out/tmp /tmp
USER 65532:65532
VOLUME /data
EXPOSE 8080
ENTRYPOINT ["/usr/bin/greentally"]
CMD ["run"]
