#!/bin/sh
# Runs one compiled model, compiling and linking it first where that has not been done yet.
#
#     run.sh MODELS_DIR MODEL [--once] [--min-time S] [--min-reps N]      see runner.c
#     run.sh --build MODELS_DIR MODEL...                                  only compile and link
#
# Environment:
#     KILN           the kiln binary                          (default: target/release/kiln, else kiln in the PATH)
#     KILN_FLAGS     further flags for `kiln compile`         (default: --cpu native)
#     KILN_INCLUDE   the folder of kiln.h                     (default: runtime-stub/include)
#     BUILD_DIR      where the programs go                    (default: MODELS_DIR/cache/kiln)
#     CC             the C compiler                           (default: cc)
#     OMP_NUM_THREADS  1 compiles for one thread, anything else with threads
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$here/../..

# error "reason" for the program that reads our output, and the end
die() {
    printf 'ERROR "%s"\n' "$(printf %s "$1" | tr '\n"\\' ' /  ' | cut -c 1-400)"
    exit 1
}

find_kiln() {
    if [ -n "${KILN:-}" ]; then echo "$KILN"
    elif [ -x "$root/target/release/kiln" ]; then echo "$root/target/release/kiln"
    else command -v kiln
    fi
}

# input_types MODEL.json: one line for each input, such as f32[1,3,224,224]
input_types() {
    tr -d ' \n' < "$1" |
        sed 's/.*"inputs":\[\(.*\)\],"outputs".*/\1/; s/},{/}\n{/g' |
        sed -n 's/.*"shape":\(\[[0-9,]*\]\),"dtype":"\([a-z0-9]*\)".*/\2\1/p' |
        sed 's/^float/f/; s/^uint/u/; s/^int/i/'
}

# input_flags MODEL JSON: the --input flags, one a line; the names are those of the model's own signature
input_flags() {
    case $1 in
        bert*) name=input_ids ;;
        *) name=x ;;
    esac
    input_types "$2" | sed "s/^/--input=$name=/"
}

build() {
    model=$1
    archive=$models/$model.pt
    [ -f "$archive" ] || die "there is no $model.pt"
    ident=$(printf %s "$model" | tr -c 'A-Za-z0-9_' '_')
    out=$build/$model
    mkdir -p "$out"
    if [ "${OMP_NUM_THREADS:-1}" = 1 ]; then threads=off; else threads=on; fi

    begin=$(date +%s.%N)
    # shellcheck disable=SC2046,SC2086  # flags without spaces, meant to be split
    "$kiln" compile "$archive" -o "$out" --name "$ident" --emit lib,header --threads "$threads" \
        $(input_flags "$model" "$models/$model.json") ${KILN_FLAGS:---cpu native} > "$out/log" 2>&1 ||
        die "kiln compile: $(grep -m 1 ^error "$out/log" || tail -n 1 "$out/log")"
    end=$(date +%s.%N)
    # A model of tensors only is called by views and needs nothing else; others through values of any type.
    tensors=
    if grep -q "${ident}_forward_tensors" "$out/$ident.h"; then tensors=-DMODEL_TENSORS; fi
    # shellcheck disable=SC2086  # empty or one flag
    ${CC:-cc} $tensors -O2 -std=c11 -Wall -Wextra -I "${KILN_INCLUDE:-$root/runtime-stub/include}" -I "$out" \
        -DMODEL="$ident" -DMODEL_HEADER="\"$ident.h\"" "$here/runner.c" "$out/lib$ident.a" \
        -s -Wl,--gc-sections -lpthread -lm -o "$out/runner.new" >> "$out/log" 2>&1 ||
        die "linking: $(grep -m 1 -i error "$out/log")"
    echo "KILN_COMPILE_SECONDS=$(echo "$begin $end" | awk '{ printf "%.3f", $2 - $1 }')" > "$out/facts"
    echo "KILN_VERSION=$("$kiln" --version | awk '{ print $NF }')" >> "$out/facts"
    mv "$out/runner.new" "$out/runner"
}

only_build=
if [ "${1:-}" = --build ]; then only_build=yes; shift; fi
[ $# -ge 2 ] || { sed -n '2,14s/^# \{0,1\}//p' "$0" >&2; exit 2; }
kiln=$(find_kiln) || die "no kiln binary: build it with cargo build --release, or set KILN"
models=$1
build=${BUILD_DIR:-$models/cache/kiln}/${OMP_NUM_THREADS:-1}
if [ -n "$only_build" ]; then
    shift
    for model in "$@"; do (build "$model") && echo "built $model"; done
    exit
fi
runner=$build/$2/runner
if [ ! -x "$runner" ] || [ "$kiln" -nt "$runner" ] || [ "$models/$2.pt" -nt "$runner" ]; then build "$2"; fi
. "$build/$2/facts"
export KILN_COMPILE_SECONDS KILN_VERSION
exec "$runner" "$@"
