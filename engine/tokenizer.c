// Byte-level BPE. A text goes through four steps, each of which only cuts or replaces:
//
//   added tokens    cut out first, and only where every byte is trusted
//   normalise       NFC, where the file asks for it
//   split           one or more regular expressions, in order, each cutting the pieces of the last
//   merge           within a piece, bytes join to tokens by the ranks of the merge list
//
// Merging is defined as: join the pair of neighbours with the lowest rank, the leftmost of equals,
// until no pair has a rank. Short pieces do just that. Long ones (a megabyte without a space is one
// piece) keep the pairs in a heap ordered by (rank, position) over a doubly linked list, so that
// the cost is n log n; an entry whose pair has changed meanwhile is recognised and dropped.
//
// Text need not be valid UTF-8: the regular expressions see only its valid runs, and the bytes
// between them are merged as pieces of their own. So every byte string has ids, and the tokens'
// bytes, put together, give back the (normalised) text.
//
// Added tokens cannot come out of ordinary text. Their names are not in the table of whole pieces,
// and a merge that would make one is not loaded.
//
// One known deviation: \s here means PCRE2's set, which has U+180E (a Mongolian separator that
// Unicode no longer counts as space) beside what other implementations have.
#include "engine/tokenizer.h"

#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/utf8.h"

#include <assert.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

enum {
    FILE_BYTES_MAX = 256 << 20,
    IDS_MAX = 1 << 22,
    SPLITS_MAX = 8,
    SHORT_PIECE = 48,    // symbols up to which scanning beats the heap
    MARK_RUN_MAX = 1024, // see normalise
    JIT_STACK_BYTES = 1 << 20,
    MATCH_STEPS_MAX = 50000000, // a hostile pattern gives up here
};

// GPT-2's pattern, which ByteLevel uses when it is told to split by itself.
static const char gpt2_pattern[] =
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

struct entry {
    const char *bytes; // NULL: no such id
    uint32_t n;
    bool is_added, is_special;
};

// One slot of the merge table: a pair of ids, its rank, and what it becomes.
struct merge {
    uint64_t pair; // left << 32 | right; PAIR_NONE: empty
    uint32_t rank;
    int32_t id;
};
#define PAIR_NONE UINT64_MAX

struct tokenizer {
    struct entry *entries; // [n_id]
    int n_id;
    char *bytes; // all entries' bytes in one block
    int32_t of_byte[256];

    struct merge *merges; // open addressing, 2^merge_bits slots
    int merge_bits;
    int32_t *whole; // bytes -> id, open addressing, 2^whole_bits slots, -1: empty
    int whole_bits;

    int32_t *added; // [n_added] ids, the longest content first
    int n_added;
    bool added_first[256]; // some added token begins with this byte

    bool ignore_merges; // a piece that is a token is that token
    bool nfc;
    pcre2_code *splits[SPLITS_MAX];
    int n_split;
    int32_t eos;
};

// Small parts

void token_buf_free(token_buf *t)
{
    free(t->ids);
    *t = (token_buf){0};
}

void token_buf_push(token_buf *t, int32_t id)
{
    if (t->n == t->cap) {
        t->cap = t->cap ? 2 * t->cap : 64;
        t->ids = mem_grow(t->ids, t->cap * sizeof *t->ids);
    }
    t->ids[t->n++] = id;
}

static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 32) * 0xd6e8feb86659fd93u;
    return (x ^ x >> 32) * 0xd6e8feb86659fd93u;
}

static uint64_t hash_bytes(const char *p, size_t n)
{
    uint64_t h = n;
    for (size_t i = 0; i < n; i++) h = (h ^ (unsigned char)p[i]) * 0x100000001b3u;
    return mix(h);
}

static int bits_for(size_t n)
{
    int bits = 4;
    while (((size_t)1 << bits) < 2 * n) bits++;
    return bits;
}

static const struct merge *find_merge(const tokenizer *t, int32_t left, int32_t right)
{
    uint64_t pair = (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
    size_t last = ((size_t)1 << t->merge_bits) - 1;
    for (size_t i = mix(pair) & last;; i = (i + 1) & last) {
        if (t->merges[i].pair == pair) return &t->merges[i];
        if (t->merges[i].pair == PAIR_NONE) return NULL;
    }
}

// The slot that holds the id of these bytes, or the empty one where it would go.
static int32_t *find_whole(const tokenizer *t, const char *p, size_t n)
{
    size_t last = ((size_t)1 << t->whole_bits) - 1;
    for (size_t i = hash_bytes(p, n) & last;; i = (i + 1) & last) {
        int32_t id = t->whole[i];
        if (id < 0) return &t->whole[i];
        if (t->entries[id].n == n && !memcmp(t->entries[id].bytes, p, n)) return &t->whole[i];
    }
}

// Loading

struct loader {
    tokenizer *t;
    const char *where;
    err *e;
    int byte_of[0x200]; // code point of the byte alphabet -> byte, or -1
};

// GPT-2's alphabet: a printable Latin-1 byte is its own character, the others follow from U+0100.
static void make_byte_alphabet(struct loader *ld)
{
    uint32_t next = 0x100;
    for (int i = 0; i < 0x200; i++) ld->byte_of[i] = -1;
    for (int b = 0; b < 256; b++) {
        bool printable = (b >= 0x21 && b <= 0x7e) || (b >= 0xa1 && b != 0xad);
        ld->byte_of[printable ? (uint32_t)b : next++] = b;
    }
}

// Turns a token as the file spells it into its bytes; -1 when it is not spelt in the alphabet.
static int decode_token(const struct loader *ld, const char *s, size_t n, char *out)
{
    int n_out = 0;
    while (n) {
        uint32_t cp;
        int k = utf8_decode(s, n, &cp);
        if (k == 0 || cp >= 0x200 || ld->byte_of[cp] < 0) return -1;
        out[n_out++] = (char)ld->byte_of[cp];
        s += k;
        n -= (size_t)k;
    }
    return n_out;
}

static int load_fail(const struct loader *ld, const char *what, const json_t *found)
{
    char *text = found ? json_dumps(found, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
    err_set(ld->e, ERR_INPUT, "%s: %s, found %.80s", ld->where, what, text ? text : "nothing");
    free(text);
    return -1;
}

static bool is_absent(const json_t *v)
{
    return !v || json_is_null(v);
}

// Number of ids: one more than the largest. *n_bytes bounds the memory of all contents.
static int measure(const struct loader *ld, const json_t *vocab, const json_t *added,
                   size_t *n_bytes)
{
    const char *key;
    json_t *v;
    size_t i;
    json_int_t largest = -1;
    *n_bytes = 1;
    json_object_foreach((json_t *)vocab, key, v)
    {
        if (!json_is_integer(v) || json_integer_value(v) < 0 || json_integer_value(v) >= IDS_MAX)
            return load_fail(ld, "model.vocab: expected ids below 4194304", v);
        if (json_integer_value(v) > largest) largest = json_integer_value(v);
        *n_bytes += strlen(key) + 1;
    }
    json_array_foreach((json_t *)added, i, v)
    {
        json_t *id = json_object_get(v, "id"), *content = json_object_get(v, "content");
        if (!json_is_integer(id) || json_integer_value(id) < 0 ||
            json_integer_value(id) >= IDS_MAX || !json_is_string(content) ||
            json_string_length(content) == 0)
            return load_fail(ld, "added_tokens: expected {id, content, ...}", v);
        if (json_integer_value(id) > largest) largest = json_integer_value(id);
        *n_bytes += json_string_length(content) + 1;
    }
    if (largest < 0) return load_fail(ld, "model.vocab: expected tokens", vocab);
    return (int)largest + 1;
}

static int load_added(struct loader *ld, const json_t *added, char **at)
{
    static const char *const flags[] = {"lstrip", "rstrip", "single_word"};
    tokenizer *t = ld->t;
    size_t i;
    json_t *v;
    t->added = mem_new((json_array_size(added) + 1) * sizeof *t->added);
    json_array_foreach((json_t *)added, i, v)
    {
        const json_t *content = json_object_get(v, "content");
        struct entry *x = &t->entries[json_integer_value(json_object_get(v, "id"))];
        for (size_t f = 0; f < sizeof flags / sizeof *flags; f++)
            if (json_is_true(json_object_get(v, flags[f])))
                return load_fail(ld, "added_tokens: lstrip, rstrip and single_word must be false",
                                 v);
        if (x->is_added) return load_fail(ld, "added_tokens: expected different ids", v);
        x->n = (uint32_t)json_string_length(content);
        x->bytes = memcpy(*at, json_string_value(content), x->n);
        x->is_added = true;
        x->is_special = json_is_true(json_object_get(v, "special"));
        *at += x->n + 1;
        t->added[t->n_added++] = (int32_t)(x - t->entries);
        t->added_first[(unsigned char)x->bytes[0]] = true;
    }
    return 0;
}

static int load_vocab(struct loader *ld, const json_t *vocab, char **at)
{
    tokenizer *t = ld->t;
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)vocab, key, v)
    {
        struct entry *x = &t->entries[json_integer_value(v)];
        if (x->is_added) continue; // listed in both: the plain content counts
        int n = decode_token(ld, key, strlen(key), *at);
        if (n <= 0)
            return err_set(ld->e, ERR_INPUT,
                           "%s: model.vocab: token %.60s is not spelt in the byte alphabet; only "
                           "byte-level BPE is supported",
                           ld->where, key);
        if (x->bytes)
            return err_set(ld->e, ERR_INPUT, "%s: model.vocab: id %d has two tokens", ld->where,
                           (int)(x - t->entries));
        x->n = (uint32_t)n;
        x->bytes = *at;
        *at += n + 1;
    }
    return 0;
}

static int index_vocab(struct loader *ld)
{
    tokenizer *t = ld->t;
    t->whole_bits = bits_for((size_t)t->n_id);
    t->whole = mem_new(sizeof *t->whole << t->whole_bits);
    memset(t->whole, 0xff, sizeof *t->whole << t->whole_bits);
    for (int id = 0; id < t->n_id; id++) {
        const struct entry *x = &t->entries[id];
        if (!x->bytes || x->is_added) continue;
        int32_t *slot = find_whole(t, x->bytes, x->n);
        if (*slot >= 0)
            return err_set(ld->e, ERR_INPUT, "%s: model.vocab: ids %d and %d have the same bytes",
                           ld->where, *slot, id);
        *slot = id;
    }
    for (int b = 0; b < 256; b++) {
        char c = (char)b;
        t->of_byte[b] = *find_whole(t, &c, 1);
        if (t->of_byte[b] < 0)
            return err_set(
                ld->e, ERR_INPUT,
                "%s: model.vocab: expected a token for every byte, found none for 0x%02x",
                ld->where, b);
    }
    return 0;
}

// A merge is "left right" or ["left", "right"].
static bool split_merge(const json_t *v, const char **left, size_t *n_left, const char **right,
                        size_t *n_right)
{
    if (json_is_array(v) && json_array_size(v) == 2 && json_is_string(json_array_get(v, 0)) &&
        json_is_string(json_array_get(v, 1))) {
        *left = json_string_value(json_array_get(v, 0));
        *n_left = json_string_length(json_array_get(v, 0));
        *right = json_string_value(json_array_get(v, 1));
        *n_right = json_string_length(json_array_get(v, 1));
        return true;
    }
    const char *s = json_string_value(v), *space = s ? strchr(s, ' ') : NULL;
    if (!space) return false;
    *left = s;
    *n_left = (size_t)(space - s);
    *right = space + 1;
    *n_right = strlen(space + 1);
    return true;
}

static void put_merge(tokenizer *t, uint64_t pair, uint32_t rank, int32_t id)
{
    size_t last = ((size_t)1 << t->merge_bits) - 1, i = mix(pair) & last;
    while (t->merges[i].pair != PAIR_NONE) {
        if (t->merges[i].pair == pair) return; // the first of two is the stronger
        i = (i + 1) & last;
    }
    t->merges[i] = (struct merge){pair, rank, id};
}

static bool is_added_text(const tokenizer *t, const char *p, size_t n)
{
    for (int i = 0; i < t->n_added; i++) {
        const struct entry *x = &t->entries[t->added[i]];
        if (x->n == n && !memcmp(x->bytes, p, n)) return true;
    }
    return false;
}

static int load_merge(struct loader *ld, const json_t *v, uint32_t rank, buf *room)
{
    tokenizer *t = ld->t;
    const char *left, *right;
    size_t n_left, n_right;
    if (!split_merge(v, &left, &n_left, &right, &n_right))
        return load_fail(ld, "model.merges: expected \"left right\" or [left, right]", v);
    buf_clear(room);
    buf_put(room, left, n_left);
    buf_put(room, right, n_right);
    buf_byte(room, 0);
    if (room->full) return load_fail(ld, "model.merges: expected less than 1 MB", NULL);
    // Decoding shortens or keeps, so both halves fit where they stand.
    int l = decode_token(ld, left, n_left, room->p);
    int r = l < 0 ? -1 : decode_token(ld, right, n_right, room->p + l);
    if (l <= 0 || r <= 0) return load_fail(ld, "model.merges: expected the byte alphabet", v);
    const struct {
        const char *p;
        size_t n;
    } parts[3] = {{room->p, (size_t)l}, {room->p + l, (size_t)r}, {room->p, (size_t)(l + r)}};
    int32_t ids[3];
    for (int i = 0; i < 3; i++) {
        ids[i] = *find_whole(t, parts[i].p, parts[i].n);
        if (ids[i] >= 0) continue;
        if (is_added_text(t, parts[i].p, parts[i].n)) return 0;
        return load_fail(ld,
                         "model.merges: expected tokens of model.vocab on both sides and as "
                         "the result",
                         v);
    }
    put_merge(t, (uint64_t)(uint32_t)ids[0] << 32 | (uint32_t)ids[1], rank, ids[2]);
    return 0;
}

static int load_merges(struct loader *ld, const json_t *merges)
{
    tokenizer *t = ld->t;
    size_t i, n = json_array_size(merges);
    json_t *v;
    buf room = buf_new(1 << 20);
    if (!json_is_array(merges) || n > UINT32_MAX / 4)
        return load_fail(ld, "model.merges: expected a list", NULL);
    t->merge_bits = bits_for(n);
    t->merges = mem_new(sizeof *t->merges << t->merge_bits);
    for (size_t s = 0; s < (size_t)1 << t->merge_bits; s++) t->merges[s].pair = PAIR_NONE;
    int rc = 0;
    json_array_foreach((json_t *)merges, i, v)
    {
        if ((rc = load_merge(ld, v, (uint32_t)i, &room))) break;
    }
    buf_free(&room);
    return rc;
}

static int load_normalizer(struct loader *ld, const json_t *v)
{
    if (is_absent(v)) return 0;
    const char *type = json_string_value(json_object_get(v, "type"));
    if (type && !strcmp(type, "NFC")) {
        ld->t->nfc = true;
        return 0;
    }
    size_t i;
    json_t *part;
    const json_t *parts = json_object_get(v, "normalizers");
    if (!type || strcmp(type, "Sequence") || !json_is_array(parts))
        return load_fail(ld, "normalizer: expected null, NFC or a sequence of these", v);
    json_array_foreach((json_t *)parts, i, part)
    {
        const char *inner = json_string_value(json_object_get(part, "type"));
        if (!inner || strcmp(inner, "NFC"))
            return load_fail(ld, "normalizer: expected only NFC in the sequence", part);
        ld->t->nfc = true;
    }
    return 0;
}

static int add_split(struct loader *ld, const char *pattern, size_t n)
{
    tokenizer *t = ld->t;
    int code;
    PCRE2_SIZE at;
    if (t->n_split == SPLITS_MAX) return load_fail(ld, "pre_tokenizer: at most 8 splits", NULL);
    pcre2_code *re = pcre2_compile(
        (PCRE2_SPTR)pattern, n, PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C, &code, &at, NULL);
    if (!re) {
        PCRE2_UCHAR text[128];
        pcre2_get_error_message(code, text, sizeof text);
        return err_set(ld->e, ERR_INPUT, "%s: pre_tokenizer: pattern, offset %zu: %s", ld->where,
                       (size_t)at, (const char *)text);
    }
    pcre2_jit_compile(re, PCRE2_JIT_COMPLETE); // slower without; same matches
    t->splits[t->n_split++] = re;
    return 0;
}

static int load_byte_level(struct loader *ld, const json_t *v)
{
    if (json_is_true(json_object_get(v, "add_prefix_space")))
        return load_fail(ld, "pre_tokenizer: ByteLevel: expected add_prefix_space false", v);
    json_t *own = json_object_get(v, "use_regex"); // absent means true
    return json_is_false(own) ? 0 : add_split(ld, gpt2_pattern, sizeof gpt2_pattern - 1);
}

static int load_split(struct loader *ld, const json_t *v)
{
    const json_t *re = json_object_get(json_object_get(v, "pattern"), "Regex");
    const char *behavior = json_string_value(json_object_get(v, "behavior"));
    if (!json_is_string(re) || !behavior || strcmp(behavior, "Isolated") ||
        json_is_true(json_object_get(v, "invert")))
        return load_fail(ld,
                         "pre_tokenizer: Split: expected a Regex, behavior Isolated, not "
                         "inverted",
                         v);
    return add_split(ld, json_string_value(re), json_string_length(re));
}

// *byte_level: a ByteLevel has been seen, after which nothing may follow.
static int load_pre_tokenizer(struct loader *ld, const json_t *v, bool *byte_level, int depth)
{
    const char *type = json_string_value(json_object_get(v, "type"));
    if (type && !*byte_level && !strcmp(type, "ByteLevel")) {
        *byte_level = true;
        return load_byte_level(ld, v);
    }
    if (type && !*byte_level && !strcmp(type, "Split")) return load_split(ld, v);
    const json_t *parts = json_object_get(v, "pretokenizers");
    if (!type || strcmp(type, "Sequence") || depth > 0 || !json_is_array(parts))
        return load_fail(ld, "pre_tokenizer: expected Split parts and then ByteLevel", v);
    size_t i;
    json_t *part;
    json_array_foreach((json_t *)parts, i, part)
    {
        if (load_pre_tokenizer(ld, part, byte_level, depth + 1)) return -1;
    }
    return 0;
}

static int check_model(struct loader *ld, const json_t *model)
{
    static const char *const affixes[] = {"continuing_subword_prefix", "end_of_word_suffix"};
    const char *type = json_string_value(json_object_get(model, "type"));
    if (!json_is_object(model) || (type && strcmp(type, "BPE")))
        return load_fail(ld, "model.type: expected \"BPE\"", json_object_get(model, "type"));
    if (!json_is_object(json_object_get(model, "vocab")))
        return load_fail(ld, "model.vocab: expected an object", json_object_get(model, "vocab"));
    const json_t *dropout = json_object_get(model, "dropout");
    if (!is_absent(dropout) && json_number_value(dropout) != 0)
        return load_fail(ld, "model.dropout: expected null", dropout);
    if (json_is_true(json_object_get(model, "byte_fallback")))
        return load_fail(ld, "model.byte_fallback: only byte-level BPE is supported",
                         json_object_get(model, "byte_fallback"));
    for (size_t i = 0; i < sizeof affixes / sizeof *affixes; i++) {
        const json_t *v = json_object_get(model, affixes[i]);
        if (!is_absent(v) && json_string_length(v) != 0)
            return load_fail(ld,
                             "model: continuing_subword_prefix and end_of_word_suffix: "
                             "expected none",
                             v);
    }
    ld->t->ignore_merges = json_is_true(json_object_get(model, "ignore_merges"));
    return 0;
}

static int longer_first(const void *a, const void *b, void *entries)
{
    const struct entry *x = (struct entry *)entries + *(const int32_t *)a,
                       *y = (struct entry *)entries + *(const int32_t *)b;
    if (x->n != y->n) return x->n > y->n ? -1 : 1;
    return memcmp(x->bytes, y->bytes, x->n);
}

static int load_all(struct loader *ld, const json_t *doc)
{
    tokenizer *t = ld->t;
    const json_t *model = json_object_get(doc, "model");
    const json_t *added = json_object_get(doc, "added_tokens");
    bool byte_level = false;
    size_t n_bytes;
    if (check_model(ld, model)) return -1;
    const json_t *vocab = json_object_get(model, "vocab");
    if (!is_absent(added) && !json_is_array(added))
        return load_fail(ld, "added_tokens: expected a list", added);
    if ((t->n_id = measure(ld, vocab, added, &n_bytes)) < 0) return -1;
    t->entries = mem_new((size_t)t->n_id * sizeof *t->entries);
    char *at = t->bytes = mem_new(n_bytes);
    if (load_added(ld, added, &at) || load_vocab(ld, vocab, &at) || index_vocab(ld) ||
        load_merges(ld, json_object_get(model, "merges")) ||
        load_normalizer(ld, json_object_get(doc, "normalizer")) ||
        load_pre_tokenizer(ld, json_object_get(doc, "pre_tokenizer"), &byte_level, 0))
        return -1;
    if (!byte_level)
        return load_fail(ld, "pre_tokenizer: expected ByteLevel",
                         json_object_get(doc, "pre_tokenizer"));
    qsort_r(t->added, (size_t)t->n_added, sizeof *t->added, longer_first, t->entries);
    return 0;
}

tokenizer *tokenizer_parse(const char *json, size_t n, const char *where, err *e)
{
    json_error_t je;
    json_t *doc = json_loadb(json, n, JSON_REJECT_DUPLICATES, &je);
    if (!doc) {
        err_set(e, ERR_INPUT, "%s: line %d: %s", where, je.line, je.text);
        return NULL;
    }
    struct loader ld = {.t = mem_new(sizeof(tokenizer)), .where = where, .e = e};
    ld.t->eos = -1;
    make_byte_alphabet(&ld);
    int rc = load_all(&ld, doc);
    json_decref(doc);
    if (!rc) return ld.t;
    tokenizer_close(ld.t);
    return NULL;
}

tokenizer *tokenizer_open(const char *path, err *e)
{
    size_t n;
    char *text = file_read(path, FILE_BYTES_MAX, &n, e);
    if (!text) return NULL;
    tokenizer *t = tokenizer_parse(text, n, path, e);
    free(text);
    return t;
}

void tokenizer_close(tokenizer *t)
{
    if (!t) return;
    for (int i = 0; i < t->n_split; i++) pcre2_code_free(t->splits[i]);
    free(t->entries);
    free(t->bytes);
    free(t->merges);
    free(t->whole);
    free(t->added);
    free(t);
}

// Merging

typedef void (*merge_fn)(const tokenizer *t, const char *p, size_t n, token_buf *out);

// Straight from the definition: find the lowest rank, join, again.
static void merge_scan(const tokenizer *t, const char *p, size_t n, token_buf *out)
{
    size_t first = out->n;
    for (size_t i = 0; i < n; i++) token_buf_push(out, t->of_byte[(unsigned char)p[i]]);
    for (;;) {
        const struct merge *best = NULL;
        size_t at = 0;
        for (size_t i = first; i + 1 < out->n; i++) {
            const struct merge *m = find_merge(t, out->ids[i], out->ids[i + 1]);
            if (m && (!best || m->rank < best->rank)) {
                best = m;
                at = i;
            }
        }
        if (!best) return;
        out->ids[at] = best->id;
        memmove(out->ids + at + 1, out->ids + at + 2, (out->n - at - 2) * sizeof *out->ids);
        out->n--;
    }
}

struct symbol {
    int32_t id;           // -1: joined into its left neighbour
    uint32_t left, right; // neighbours; SYMBOL_NONE at the ends
};
#define SYMBOL_NONE UINT32_MAX

struct candidate_pair {
    uint32_t rank, at; // `at`: the left symbol
    uint64_t pair;     // ids when it was pushed
};

struct pair_heap {
    struct candidate_pair *p; // [cap]
    size_t n, cap;
};

static bool pair_before(const struct candidate_pair *a, const struct candidate_pair *b)
{
    return a->rank != b->rank ? a->rank < b->rank : a->at < b->at;
}

static void heap_push(struct pair_heap *h, struct candidate_pair x)
{
    if (h->n == h->cap) {
        h->cap = h->cap ? 2 * h->cap : 256;
        h->p = mem_grow(h->p, h->cap * sizeof *h->p);
    }
    size_t i = h->n++;
    for (; i && pair_before(&x, &h->p[(i - 1) / 2]); i = (i - 1) / 2) h->p[i] = h->p[(i - 1) / 2];
    h->p[i] = x;
}

static struct candidate_pair heap_pop(struct pair_heap *h)
{
    struct candidate_pair top = h->p[0], x = h->p[--h->n];
    size_t i = 0;
    for (size_t child; (child = 2 * i + 1) < h->n; i = child) {
        if (child + 1 < h->n && pair_before(&h->p[child + 1], &h->p[child])) child++;
        if (!pair_before(&h->p[child], &x)) break;
        h->p[i] = h->p[child];
    }
    h->p[i] = x;
    return top;
}

static void push_pair(const tokenizer *t, struct pair_heap *h, const struct symbol *s, uint32_t at)
{
    if (at == SYMBOL_NONE || s[at].right == SYMBOL_NONE) return;
    const struct merge *m = find_merge(t, s[at].id, s[s[at].right].id);
    if (m) heap_push(h, (struct candidate_pair){m->rank, at, m->pair});
}

static void merge_heap(const tokenizer *t, const char *p, size_t n, token_buf *out)
{
    assert(n < SYMBOL_NONE);
    struct symbol *s = mem_new(n * sizeof *s);
    struct pair_heap heap = {0};
    for (uint32_t i = 0; i < n; i++)
        s[i] = (struct symbol){t->of_byte[(unsigned char)p[i]], i ? i - 1 : SYMBOL_NONE,
                               i + 1 < n ? i + 1 : SYMBOL_NONE};
    for (uint32_t i = 0; i < n; i++) push_pair(t, &heap, s, i);
    while (heap.n) {
        struct candidate_pair c = heap_pop(&heap);
        struct symbol *a = &s[c.at];
        if (a->id < 0 || a->right == SYMBOL_NONE) continue;
        struct symbol *b = &s[a->right];
        if (c.pair != ((uint64_t)(uint32_t)a->id << 32 | (uint32_t)b->id)) continue;
        a->id = find_merge(t, a->id, b->id)->id;
        a->right = b->right;
        b->id = -1;
        if (a->right != SYMBOL_NONE) s[a->right].left = c.at;
        push_pair(t, &heap, s, a->left);
        push_pair(t, &heap, s, c.at);
    }
    for (size_t i = 0; i < n; i++)
        if (s[i].id >= 0) token_buf_push(out, s[i].id);
    free(heap.p);
    free(s);
}

static void merge_fast(const tokenizer *t, const char *p, size_t n, token_buf *out)
{
    if (n <= SHORT_PIECE)
        merge_scan(t, p, n, out);
    else
        merge_heap(t, p, n, out);
}

// Splitting

struct encoder {
    const tokenizer *t;
    merge_fn merge;
    pcre2_match_data *found;
    pcre2_match_context *context;
    pcre2_jit_stack *stack;
    token_buf *out;
};

static void encode_piece(struct encoder *en, const char *p, size_t n)
{
    if (en->t->ignore_merges) {
        int32_t id = *find_whole(en->t, p, n);
        if (id >= 0) {
            token_buf_push(en->out, id);
            return;
        }
    }
    while (n >= SYMBOL_NONE) { // positions are 32 bits wide
        en->merge(en->t, p, SYMBOL_NONE - 1, en->out);
        p += SYMBOL_NONE - 1;
        n -= SYMBOL_NONE - 1;
    }
    en->merge(en->t, p, n, en->out);
}

// The next non-empty match in p[from..n). When a pattern gives up there is none, and the rest is
// one piece: other cuts, but all bytes.
static bool next_match(struct encoder *en, const pcre2_code *re, const char *p, size_t n,
                       size_t from, size_t *begin, size_t *end)
{
    const uint32_t options = PCRE2_NO_UTF_CHECK | PCRE2_NOTEMPTY;
    int rc = pcre2_match(re, (PCRE2_SPTR)p, n, from, options, en->found, en->context);
    if (rc == PCRE2_ERROR_JIT_STACKLIMIT)
        rc =
            pcre2_match(re, (PCRE2_SPTR)p, n, from, options | PCRE2_NO_JIT, en->found, en->context);
    if (rc < 0) return false;
    const PCRE2_SIZE *range = pcre2_get_ovector_pointer(en->found);
    *begin = range[0];
    *end = range[1];
    return *begin >= from && *end > *begin; // \K could say otherwise
}

// Cuts p[0..n), valid UTF-8, by split `i` and what follows it; matches and the text between them
// are pieces alike.
static void split_text(struct encoder *en, int i, const char *p, size_t n)
{
    size_t at = 0, begin, end;
    if (i == en->t->n_split) {
        encode_piece(en, p, n);
        return;
    }
    while (at < n && next_match(en, en->t->splits[i], p, n, at, &begin, &end)) {
        if (begin > at) split_text(en, i + 1, p + at, begin - at);
        split_text(en, i + 1, p + begin, end - begin);
        at = end;
    }
    if (at < n) split_text(en, i + 1, p + at, n - at);
}

static bool is_ascii(const char *p, size_t n)
{
    unsigned char any = 0;
    for (size_t i = 0; i < n; i++) any |= (unsigned char)p[i];
    return any < 0x80;
}

// The longest run of combining marks. Ordering such a run takes time quadratic in its length, which
// only hostile text reaches; NFC is left out for it.
static size_t longest_mark_run(const char *p, size_t n)
{
    size_t longest = 0, run = 0;
    uint32_t cp;
    for (int k; n && (k = utf8_decode(p, n, &cp)) > 0; p += k, n -= (size_t)k) {
        run = utf8proc_get_property((utf8proc_int32_t)cp)->combining_class ? run + 1 : 0;
        if (run > longest) longest = run;
    }
    return longest;
}

static void encode_valid(struct encoder *en, const char *p, size_t n)
{
    utf8proc_uint8_t *normal = NULL;
    if (en->t->nfc && !is_ascii(p, n) && longest_mark_run(p, n) <= MARK_RUN_MAX) {
        utf8proc_ssize_t k = utf8proc_map((const utf8proc_uint8_t *)p, (utf8proc_ssize_t)n, &normal,
                                          UTF8PROC_STABLE | UTF8PROC_COMPOSE);
        if (k >= 0) {
            p = (const char *)normal;
            n = (size_t)k;
        }
    }
    split_text(en, 0, p, n);
    free(normal);
}

static void encode_plain(struct encoder *en, const char *p, size_t n)
{
    while (n) {
        size_t valid = utf8_valid_prefix(p, n), bad = 0;
        if (valid) encode_valid(en, p, valid);
        p += valid;
        n -= valid;
        while (bad < n && utf8_valid_prefix(p + bad, n - bad < 4 ? n - bad : 4) == 0) bad++;
        if (bad) encode_piece(en, p, bad);
        p += bad;
        n -= bad;
    }
}

static struct encoder encoder_start(const tokenizer *t, merge_fn merge, token_buf *out)
{
    struct encoder en = {.t = t, .merge = merge, .out = out};
    en.found = pcre2_match_data_create(1, NULL);
    en.context = pcre2_match_context_create(NULL);
    en.stack = pcre2_jit_stack_create(32 << 10, JIT_STACK_BYTES, NULL);
    assert(en.found && en.context);
    pcre2_set_match_limit(en.context, MATCH_STEPS_MAX);
    if (en.stack) pcre2_jit_stack_assign(en.context, NULL, en.stack);
    return en;
}

static void encoder_end(struct encoder *en)
{
    pcre2_match_data_free(en->found);
    pcre2_match_context_free(en->context);
    pcre2_jit_stack_free(en->stack);
}

void tokenizer_encode(const tokenizer *t, const char *text, size_t n, token_buf *out)
{
    struct encoder en = encoder_start(t, merge_fast, out);
    encode_plain(&en, text, n);
    encoder_end(&en);
}

void tokenizer_encode_slow(const tokenizer *t, const char *text, size_t n, token_buf *out)
{
    struct encoder en = encoder_start(t, merge_scan, out);
    encode_plain(&en, text, n);
    encoder_end(&en);
}

static bool all_trusted(const uint8_t *trusted, size_t n)
{
    for (size_t i = 0; trusted && i < n; i++)
        if (!trusted[i]) return false;
    return true;
}

// The longest added token that begins at p; -1 when none does.
static int32_t added_at(const tokenizer *t, const char *p, const uint8_t *trusted, size_t n)
{
    if (!t->added_first[(unsigned char)*p] || (trusted && !*trusted)) return -1;
    for (int i = 0; i < t->n_added; i++) {
        const struct entry *x = &t->entries[t->added[i]];
        if (x->n <= n && x->bytes[0] == *p && !memcmp(x->bytes, p, x->n) &&
            all_trusted(trusted, x->n))
            return t->added[i];
    }
    return -1;
}

void tokenizer_encode_template(const tokenizer *t, const char *text, const uint8_t *trusted,
                               size_t n, token_buf *out)
{
    struct encoder en = encoder_start(t, merge_fast, out);
    size_t from = 0, at = 0;
    while (at < n) {
        int32_t id = added_at(t, text + at, trusted ? trusted + at : NULL, n - at);
        if (id < 0) {
            at++;
            continue;
        }
        encode_plain(&en, text + from, at - from);
        token_buf_push(out, id);
        from = at += t->entries[id].n;
    }
    encode_plain(&en, text + from, n - from);
    encoder_end(&en);
}

// Looking at tokens

int tokenizer_size(const tokenizer *t)
{
    return t->n_id;
}

static const struct entry *entry_of(const tokenizer *t, int32_t id)
{
    static const struct entry none = {.bytes = ""};
    bool known = id >= 0 && id < t->n_id && t->entries[id].bytes;
    return known ? &t->entries[id] : &none;
}

const char *tokenizer_bytes(const tokenizer *t, int32_t id, size_t *n)
{
    const struct entry *x = entry_of(t, id);
    *n = x->n;
    return x->bytes;
}

bool tokenizer_is_added(const tokenizer *t, int32_t id)
{
    return entry_of(t, id)->is_added;
}

bool tokenizer_is_special(const tokenizer *t, int32_t id)
{
    return entry_of(t, id)->is_special;
}

int32_t tokenizer_id(const tokenizer *t, const char *content)
{
    size_t n = strlen(content);
    for (int i = 0; i < t->n_added; i++) {
        const struct entry *x = &t->entries[t->added[i]];
        if (x->n == n && !memcmp(x->bytes, content, n)) return t->added[i];
    }
    return -1;
}

int32_t tokenizer_eos(const tokenizer *t)
{
    return t->eos;
}

void tokenizer_set_eos(tokenizer *t, int32_t id)
{
    t->eos = id;
}
