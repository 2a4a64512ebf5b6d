#!/bin/bash -eu
# Builds the fuzz targets into $OUT, each with its seeds, its dictionary and its options, as OSS-Fuzz and ClusterFuzzLite
# expect it. They set SRC, OUT and WORK, and have `compile_python_fuzzer`; without that, a target is a script that runs
# this tree, which is enough for libFuzzer on a machine of one's own:
#
#     SRC=.. OUT=build/fuzzers PYTHON=.venv/bin/python .clusterfuzzlite/build.sh
#     build/fuzzers/twin_fuzzer -runs=100000 -dict=build/fuzzers/twin_fuzzer.dict
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
[ -d "$here/fuzzers" ] || here=$SRC/vnethash/.clusterfuzzlite # build.sh was copied beside the tree
python=${PYTHON:-python3}
mkdir -p "$OUT"

if command -v compile_python_fuzzer >/dev/null; then
    "$python" -m pip install --quiet "$(dirname "$here")[fuzz,fast]"
fi
"$python" "$here/corpora.py" "$OUT"

for path in "$here"/fuzzers/*_fuzzer.py; do
    name=$(basename -s .py "$path")
    if command -v compile_python_fuzzer >/dev/null; then
        # Questions, schemas and templates are read from files, and the twin is compiled from source when it runs.
        compile_python_fuzzer "$path" --paths "$here/fuzzers" --collect-all vnethash --collect-all numba \
            --collect-all llvmlite
    else
        printf '#!/bin/sh\n# LLVMFuzzerTestOneInput\nexec "%s" "%s" "$@"\n' "$(command -v "$python")" "$path" >"$OUT/$name"
        chmod +x "$OUT/$name"
    fi
done
