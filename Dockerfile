# syntax=docker/dockerfile:1
FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
RUN cargo build --locked --profile dist --bin housekey \
 && install -d -o 65532 -g 65532 /out/data

FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /src/target/dist/housekey /usr/local/bin/housekey
COPY --from=build --chown=65532:65532 /out/data /data
ENV HOUSEKEY_SERVER_DATA_DIR=/data \
    HOUSEKEY_SERVER_LISTEN=0.0.0.0:2583
USER 65532:65532
VOLUME /data
EXPOSE 2583
HEALTHCHECK --interval=30s --timeout=5s --start-period=5s CMD ["/usr/local/bin/housekey", "health"]
ENTRYPOINT ["/usr/local/bin/housekey"]
CMD ["serve"]
