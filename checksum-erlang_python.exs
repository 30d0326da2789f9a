%{
  "liberlang_python-v0.1.0-nif-2.17-aarch64-apple-darwin.so.tar.gz" =>
    "sha256:78cb611c5da7975e74972764e68e272f7404e40e95530d6a2172202b970c9957",
  "liberlang_python-v0.1.0-nif-2.17-aarch64-unknown-linux-gnu.so.tar.gz" =>
    "sha256:30177b0c1b00bb02c1d52cab5bb18d62aedadf381c1da2297527ebdf1e8dde98",
  "liberlang_python-v0.1.0-nif-2.17-aarch64-unknown-linux-musl.so.tar.gz" =>
    "sha256:f011d871f42f5e8f06d97ce58aa8402e3b3d821a8ec97aefad6cf52a6a9c2608",
  "liberlang_python-v0.1.0-nif-2.17-x86_64-apple-darwin.so.tar.gz" =>
    "sha256:fc71200a5e887210c03b5db841a6163405b6d152570066e4afb9232c6443ea80",
  "liberlang_python-v0.1.0-nif-2.17-x86_64-unknown-linux-gnu.so.tar.gz" =>
    "sha256:6a290e63aec9c47517184612f7dce31d0f6e680c31eb605adb8766e9652e4abd",
  "liberlang_python-v0.1.0-nif-2.17-x86_64-unknown-linux-musl.so.tar.gz" =>
    "sha256:273f4a543520fb62258e64b4011e2641f77395eb838276672adb1b3b05c0efef"
}
