%{
  "liberlang_python-v0.1.0-nif-2.17-aarch64-apple-darwin.so.tar.gz" =>
    "sha256:6daab98ee2cc0ceacdb77dc0a9d63b230839ce400fa977b351315b67b94131c5",
  "liberlang_python-v0.1.0-nif-2.17-aarch64-unknown-linux-gnu.so.tar.gz" =>
    "sha256:afef6cdb187c72f36321fa21af34e22b00f9cf02940754ee1be738fe3bffa7fd",
  "liberlang_python-v0.1.0-nif-2.17-aarch64-unknown-linux-musl.so.tar.gz" =>
    "sha256:c31de96536da4dc503bc9e9fb5a600338ab63b9b6d9e337b8be42c00d2cf68bf",
  "liberlang_python-v0.1.0-nif-2.17-x86_64-apple-darwin.so.tar.gz" =>
    "sha256:af17d40d27a86eb81c3b3bb52cf79ba5ddbe72486d00c4e5de41c6b069578a4c",
  "liberlang_python-v0.1.0-nif-2.17-x86_64-unknown-linux-gnu.so.tar.gz" =>
    "sha256:a16f16602bd2d910d405cd1f46cfb0e14f1b0c99a2110657b482aaceb6b8a30a",
  "liberlang_python-v0.1.0-nif-2.17-x86_64-unknown-linux-musl.so.tar.gz" =>
    "sha256:a9233ab440d92631ebc33ee398fb53e169184f3348accaa403e14bc279c817a4"
}
