#!/bin/bash
# The whole recipe on a machine with one or more NVIDIA GPUs and PyTorch: data, training, export, scores. No network, no questions.
#
#   recipe/run.sh            everything; follows what is already running
#   recipe/run.sh collect    copies what there is so far to OUT
#   recipe/run.sh stop       ends what runs
#
# Settings, from the environment:
#   DATA     folder with public_dialogs, public_chat, public_text, sgd_test    build/train-data
#   WORK     kept between calls: shards, checkpoint, logs                      /tmp/hearth-train
#   OUT      results: weights in files below 15 MiB and small.tar.gz           WORK/out
#   MINUTES  of training                                                       10
#   INIT     model directory to start from; empty: from scratch                the shipped model
#   TRAIN_OPTIONS, EVAL_OPTIONS   more options for train.py, evaluate.py
#
# Training and generation are processes of their own: when this script is killed, they go on, and the next call follows them. When they
# are killed too, the next call goes on from the last checkpoint. Needs Python 3.10 or later with torch, numpy, tokenizers, transformers
# and safetensors. Never needed to build, test or run Hearth.
set -u
HERE=$(cd "$(dirname "$0")" && pwd)
MODEL_DIR=$(cd "$HERE/.." && pwd)
DATA=$(realpath -m "${DATA:-$HERE/../../../build/train-data}")
WORK=$(realpath -m "${WORK:-/tmp/hearth-train}")
OUT=$(realpath -m "${OUT:-$WORK/out}")
MINUTES=${MINUTES:-10}
INIT=${INIT-$MODEL_DIR}
DEVICE=${DEVICE:-cuda}
PYTHON=${PYTHON:-python3}
export PYTHONUNBUFFERED=1 HEARTH_CONTEXT=${HEARTH_CONTEXT:-4096}
export NCCL_NVLS_ENABLE=0 # no NVLink multicast: gradients are small, and not every machine lets it be used
export TORCHINDUCTOR_CACHE_DIR=${TORCHINDUCTOR_CACHE_DIR:-$WORK/inductor}
mkdir -p "$WORK/shards" "$WORK/scores" "$OUT"
cd "$HERE" || exit 1
say() { echo "[$(date +%H:%M:%S)] $*"; }

# What there is so far: at most eight files of at most 15 MiB, all that is small in one archive.
collect() {
    local from=$WORK/model
    [ -f "$WORK/trained" ] || from=$WORK/snapshot
    [ -f "$from/model.safetensors.index.json" ] && cp "$from"/model-*.safetensors "$OUT/"
    local files
    files=$(cd "$WORK" && ls -d train.log data.log train_log.jsonl trained scores eval-*.log snapshot/*.json model/*.json 2> /dev/null
        cd "$WORK" && find . -maxdepth 1 -name 'bad_batch_*.pt' -size -1024k)
    (cd "$WORK" && tar czf "$OUT/small.tar.gz.part" $files) && mv "$OUT/small.tar.gz.part" "$OUT/small.tar.gz"
}
running() { [ -f "$WORK/$1.pid" ] && kill -0 "$(cat "$WORK/$1.pid")" 2> /dev/null; }
end() { running "$1" && kill -- -"$(cat "$WORK/$1.pid")" 2> /dev/null; rm -f "$WORK/$1.pid"; }
# A process group of its own, whose number is kept.
start() {
    local name=$1
    shift
    setsid "$@" < /dev/null &
    echo $! > "$WORK/$name.pid"
}

case ${1:-all} in
all) ;;
collect) collect; exit 0 ;;
stop) end trainer; end generator; collect; exit 0 ;;
*) echo "run.sh: expected nothing, collect or stop, found \`$1\`" >&2; exit 2 ;;
esac
trap 'say "interrupted: training and generation are ended"; end trainer; end generator; collect; exit 130' INT
trap 'collect; exit 143' TERM # they go on

for file in public_dialogs public_chat public_text sgd_test; do
    ls "$DATA/$file".jsonl.* > /dev/null 2>&1 || { echo "run.sh: DATA=$DATA: there is no $file.jsonl.xz or .gz" >&2; exit 3; }
done
CPUS=$(nproc)
if [ "$DEVICE" = cpu ]; then GPUS=${GPUS:-1}; else GPUS=${GPUS:-$($PYTHON -c 'import torch; print(torch.cuda.device_count())')}; fi
[ "$GPUS" -ge 1 ] || { echo "run.sh: no GPU is visible to PyTorch" >&2; exit 7; }
WORKERS=${WORKERS:-$((CPUS > 8 ? CPUS - 3 * GPUS : CPUS > 1 ? CPUS - 1 : 1))}
SHARDS=${SHARDS:-$((1 + 1300 * GPUS / WORKERS))} # of a million tokens each: more than is trained on in ten minutes
say "$GPUS GPU(s), $CPUS CPUs, $WORKERS workers of $SHARDS shards, $MINUTES minutes of training, work in $WORK"

[ -f "$WORK/tokenizer.json" ] || cp "$MODEL_DIR/tokenizer.json" "$WORK/tokenizer.json"
[ -f "$WORK/words.txt" ] || $PYTHON pack.py words "$DATA" "$WORK" || exit 1

if [ ! -f "$WORK/trained" ]; then
    if ! running trainer; then
        end generator
        seed=$(($(cat "$WORK/seed" 2> /dev/null || echo 0) + 1))
        echo "$seed" > "$WORK/seed"
        start generator $PYTHON pack.py rows "$DATA" "$WORK" "$WORKERS" "$SHARDS" "$seed" >> "$WORK/data.log" 2>&1
        launch=($PYTHON)
        [ "$GPUS" -gt 1 ] && launch+=(-m torch.distributed.run --standalone --nproc_per_node "$GPUS")
        launch+=(train.py --work "$WORK" --minutes "$MINUTES" --template "$MODEL_DIR" --device "$DEVICE" ${TRAIN_OPTIONS:-})
        [ -n "$INIT" ] && launch+=(--init "$INIT")
        export OMP_NUM_THREADS=${OMP_NUM_THREADS:-4}
        start trainer "${launch[@]}" >> "$WORK/train.log" 2>&1
        say "training started; its log is $WORK/train.log"
    fi
    count=0
    while running trainer; do
        sleep 5
        count=$((count + 1))
        # Without new rows the old ones are learnt by heart.
        if [ $((count % 6)) = 0 ] && ! running generator && ! tail -n 1 "$WORK/data.log" | grep -q "^made in [0-9.]* s *$"; then
            say "the generator has failed, see $WORK/data.log: $(tail -n 1 "$WORK/data.log")"
        fi
        [ $((count % 6)) = 0 ] && tail -n 1 "$WORK/train.log" | cut -c1-300
        [ $((count % 12)) = 0 ] && collect
    done
    end generator
    if [ ! -f "$WORK/trained" ]; then
        tail -n 40 "$WORK/train.log"
        collect
        say "training ended early; the next call goes on from the last checkpoint"
        exit 1
    fi
    tail -n 3 "$WORK/train.log"
    collect
fi

say "evaluation"
# evaluate SETS GPU
evaluate() {
    local missing= name
    for name in ${1//,/ }; do [ -f "$WORK/scores/eval_$name.json" ] || missing=$missing,$name; done
    [ -z "$missing" ] && return
    CUDA_VISIBLE_DEVICES=$2 $PYTHON evaluate.py "$WORK/model" "$DATA" "$WORK/scores" --device "$DEVICE" --only "${missing#,}" \
        ${EVAL_OPTIONS:-} > "$WORK/eval-$2.log" 2>&1 || { say "evaluation of $missing failed"; tail -n 5 "$WORK/eval-$2.log"; }
}
if [ "$GPUS" -ge 4 ]; then
    evaluate sgd 0 & evaluate synthetic,recall 1 & evaluate desk 2 & evaluate unseen,decline 3 &
    while [ -n "$(jobs -r)" ]; do sleep 2; done
elif [ "$GPUS" -ge 2 ]; then
    evaluate sgd,recall,synthetic 0 & evaluate desk,unseen,decline 1 &
    while [ -n "$(jobs -r)" ]; do sleep 2; done
else
    evaluate recall,synthetic,sgd,decline,desk,unseen 0
fi
grep -h "^[a-z]* {" "$WORK"/eval-*.log
collect
say "done: $OUT"
ls -l "$OUT"
