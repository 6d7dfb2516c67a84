#!/usr/bin/env bash
# A real llama.cpp server on a model of half a megabyte with random weights. What it needs comes from the Python package index.
#
#   tests/llama/server.sh build            builds it where it is not built: once, six minutes of both cores or so
#   tests/llama/server.sh PORT KIND        runs it; PORT 0 is any free one, which its log tells
#
#   text     words, and then an end      endless  never ends            embed    vectors
#   tools    calls tools, writes JSON    raw      control bytes and broken characters
#
# LLAMA_CACHE=DIR: where it is kept; ~/.cache/labman-llama by default.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${LLAMA_CACHE:-$HOME/.cache/labman-llama}
# Whose source package has llama.cpp in it.
version=0.3.36
source=$cache/llama_cpp_python-$version/vendor/llama.cpp
server=$cache/build/bin/llama-server
python=$cache/venv/bin/python

build() {
    [ ! -x "$server" ] || return 0
    mkdir -p "$cache"
    # Each is taken for done once it is: an earlier run may have been cut short.
    if [ ! -e "$cache/installed" ]; then
        rm -rf "$cache/venv"
        python3 -m venv "$cache/venv"
        "$cache/venv/bin/pip" install --quiet --disable-pip-version-check cmake==4.4.5 ninja==1.13.2 gguf==0.19.0 numpy==2.4.6
        touch "$cache/installed"
    fi
    if [ ! -d "$source" ]; then
        "$cache/venv/bin/pip" download --quiet --disable-pip-version-check --no-deps --no-binary llama-cpp-python \
            "llama-cpp-python==$version" -d "$cache/sdist"
        rm -rf "$cache/unpacked"
        mkdir "$cache/unpacked"
        tar xzf "$cache/sdist/llama_cpp_python-$version.tar.gz" -C "$cache/unpacked"
        mv "$cache/unpacked/llama_cpp_python-$version" "$cache/"
    fi
    echo "building llama.cpp in $cache" >&2
    # Hardly optimised: it is half the time, and the model is tiny.
    PATH=$cache/venv/bin:$PATH cmake -S "$source" -B "$cache/build" -G Ninja -DCMAKE_BUILD_TYPE=Release \
        -DCMAKE_CXX_FLAGS_RELEASE="-O1 -DNDEBUG" -DCMAKE_C_FLAGS_RELEASE="-O2 -DNDEBUG" -DBUILD_SHARED_LIBS=ON \
        -DGGML_NATIVE=OFF -DGGML_OPENMP=OFF -DLLAMA_OPENSSL=OFF -DLLAMA_CURL=OFF -DLLAMA_BUILD_TESTS=OFF \
        -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_APP=OFF -DLLAMA_BUILD_UI=OFF -DLLAMA_USE_PREBUILT_UI=OFF \
        -DLLAMA_BUILD_TOOLS=ON -DLLAMA_BUILD_SERVER=ON >"$cache/build.log"
    PATH=$cache/venv/bin:$PATH cmake --build "$cache/build" --target llama-server -j "$(nproc)" >>"$cache/build.log"
}

# Two at once would build it into each other.
mkdir -p "$cache"
exec 9>"$cache/lock"
flock 9
build
exec 9>&-
[ "$1" != build ] || exit 0

port=$1 kind=$2 model=() serve=()
case $kind in
text) ;;
tools)
    model=(--ends-json 5)
    serve=(--chat-template-file "$source/models/templates/meta-llama-Llama-3.3-70B-Instruct.jinja")
    ;;
endless) model=(--ends -8) ;;
raw) model=(--raw) ;;
embed) serve=(--embeddings --pooling mean) ;;
*) echo "there is no kind $kind; there are: text, tools, endless, raw, embed" >&2 && exit 2 ;;
esac
file=$cache/tiny-$kind.gguf
"$python" "$here/tiny_model.py" --name "tiny-$kind" --out "$file.$$" "${model[@]}"
mv "$file.$$" "$file"
exec "$server" --model "$file" --alias "tiny-$kind" --host 127.0.0.1 --port "$port" --api-key sk-test --ctx-size 8192 --parallel 4 \
    --threads 1 --threads-batch 1 --poll 0 --jinja --no-webui "${serve[@]}"
