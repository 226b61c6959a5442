// If this fails, the model sees other tokens than it was trained on; or text from a user or a tool
// becomes a control token; or a long line makes encoding take minutes.
//
// The published vectors (46 texts, three vocabularies) need the shared test data; the rest runs on
// the built-in model's own tokenizer.
#include "test.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/utf8.h"
#include "engine/tokenizer.h"
#include "tiny_model.h"

#define ASSETS  HEARTH_SHARED_DIR "/assets/tokenizers"
#define HARMONY HEARTH_SHARED_DIR "/assets/chat_templates/openai-harmony/test-data"
static const char builtin[] = HEARTH_SOURCE_DIR "/engine/builtin-model/tokenizer.json";

static tokenizer *open_or_fail(const char *path)
{
    err e = {0};
    tokenizer *t = tokenizer_open(path, &e);
    if (!t) fail_msg("%s", e.msg);
    return t;
}

static tokenizer *parse_or_fail(const json_t *doc)
{
    err e = {0};
    char *text = json_dumps(doc, JSON_COMPACT);
    tokenizer *t = tokenizer_parse(text, strlen(text), "test", &e);
    if (!t) fail_msg("%s", e.msg);
    free(text);
    return t;
}

// Published vectors

// GPT-2's two files as one tokenizer.json; its merges in the spelling [left, right].
static tokenizer *open_gpt2(void)
{
    err e = {0};
    size_t n;
    char *text = file_read(ASSETS "/openai-tiktoken/assets/vocab.bpe", 1 << 24, &n, &e);
    json_t *vocab = json_load_file(ASSETS "/openai-tiktoken/assets/encoder.json", 0, NULL);
    json_t *merges = json_array();
    json_object_del(vocab, "<|endoftext|>");
    strtok(text, "\n"); // the version
    for (char *line; (line = strtok(NULL, "\n"));) {
        char *space = strchr(line, ' ');
        *space = 0;
        json_array_append_new(merges, json_pack("[s, s]", line, space + 1));
    }
    json_t *doc =
        json_pack("{s:[{s:i, s:s, s:b}], s:{s:s}, s:{s:s, s:o, s:o}}", "added_tokens", "id", 50256,
                  "content", "<|endoftext|>", "special", 1, "pre_tokenizer", "type", "ByteLevel",
                  "model", "type", "BPE", "vocab", vocab, "merges", merges);
    tokenizer *t = parse_or_fail(doc);
    json_decref(doc);
    free(text);
    return t;
}

static tokenizer *open_qwen(void)
{
    return open_or_fail(ASSETS "/derived/qwen2.5/tokenizer.json");
}

static tokenizer *open_llama3(void)
{
    return open_or_fail(ASSETS "/derived/llama3/tokenizer.json");
}

// OpenAI's o200k_harmony: a file of "base64 rank" lines as the tokenizer.json that gpt-oss has, in
// which every way to cut a token in two known ones is a merge, by the token's rank.

enum { O200K = 199998, O200K_BYTES_MAX = 256 };

// Four characters of base64 are three bytes; returns how many.
static size_t from_base64(const char *text, size_t n, unsigned char *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t n_out = 0;
    uint32_t bits = 0;
    for (size_t i = 0; i < n && text[i] != '='; i++) {
        bits = bits << 6 | (uint32_t)(strchr(digits, text[i]) - digits);
        if (i % 4) out[n_out++] = (unsigned char)(bits >> (6 - i % 4 * 2));
    }
    return n_out;
}

// Bytes in the letters of byte-level BPE.
static void spell(const unsigned char *bytes, size_t n, char *out)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t letter = 0x100;
        for (unsigned b = 0; b < bytes[i]; b++)
            letter += b < 0x21 || (b > 0x7e && b < 0xa1) || b == 0xad;
        bool printable =
            bytes[i] >= 0x21 && bytes[i] != 0xad && (bytes[i] <= 0x7e || bytes[i] >= 0xa1);
        out += utf8_put(printable ? bytes[i] : letter, out);
    }
    *out = 0;
}

static void add_merges(json_t *merges, const json_t *vocab, const unsigned char *bytes, size_t n)
{
    char left[2 * O200K_BYTES_MAX], right[2 * O200K_BYTES_MAX];
    for (size_t i = 1; i < n; i++) {
        spell(bytes, i, left);
        spell(bytes + i, n - i, right);
        if (json_object_get(vocab, left) && json_object_get(vocab, right))
            json_array_append_new(merges, json_pack("[s, s]", left, right));
    }
}

static tokenizer *open_harmony(void)
{
    static const struct {
        const char *text;
        int id;
    } added[] = {{"<|return|>", 200002}, {"<|constrain|>", 200003}, {"<|channel|>", 200005},
                 {"<|start|>", 200006},  {"<|end|>", 200007},       {"<|message|>", 200008},
                 {"<|call|>", 200012}};
    static const char pattern[] =
        "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+"
        "(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+"
        "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\\p{N}{1,3}|"
        " ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
    err e = {0};
    size_t n, id = 0;
    char *text = file_read(ASSETS "/openai-tiktoken/assets/o200k_base.tiktoken", 1 << 24, &n, &e);
    assert_non_null(text);
    json_t *vocab = json_object(), *merges = json_array(), *specials = json_array();
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"), id++) {
        unsigned char bytes[O200K_BYTES_MAX];
        char spelt[2 * O200K_BYTES_MAX];
        size_t n_base64 = strcspn(line, " ");
        assert_true(n_base64 <= O200K_BYTES_MAX);
        size_t n_byte = from_base64(line, n_base64, bytes);
        assert_int_equal(atoi(line + n_base64), id);
        add_merges(merges, vocab, bytes, n_byte);
        spell(bytes, n_byte, spelt);
        json_object_set_new(vocab, spelt, json_integer((json_int_t)id));
    }
    assert_int_equal(id, O200K);
    for (size_t i = 0; i < sizeof added / sizeof *added; i++)
        json_array_append_new(specials, json_pack("{s:i, s:s, s:b}", "id", added[i].id, "content",
                                                  added[i].text, "special", 1));
    json_t *doc = json_pack(
        "{s:o, s:{s:s, s:[{s:s, s:{s:s}, s:s, s:b}, {s:s, s:b, s:b, s:b}]}, s:{s:s, s:o, s:o}}",
        "added_tokens", specials, "pre_tokenizer", "type", "Sequence", "pretokenizers", "type",
        "Split", "pattern", "Regex", pattern, "behavior", "Isolated", "invert", 0, "type",
        "ByteLevel", "add_prefix_space", 0, "trim_offsets", 1, "use_regex", 0, "model", "type",
        "BPE", "vocab", vocab, "merges", merges);
    tokenizer *t = parse_or_fail(doc);
    json_decref(doc);
    free(text);
    return t;
}

// Ids that OpenAI's own library writes: their bytes give the same ids again.
static void check_ids(const tokenizer *t, const char *name)
{
    err e = {0};
    size_t n;
    char *path = mem_printf("%s/%s", HARMONY, name), *file = file_read(path, 1 << 20, &n, &e);
    assert_non_null(file);
    token_buf got = {0};
    buf text = buf_new(1 << 16);
    int32_t want[500];
    size_t n_want = 0;
    for (char *at = file, *next;; at = next) {
        long id = strtol(at, &next, 10);
        if (next == at) break;
        assert_true(n_want < sizeof want / sizeof *want);
        want[n_want++] = (int32_t)id;
        size_t n_byte;
        const char *bytes = tokenizer_bytes(t, (int32_t)id, &n_byte);
        assert_non_null(bytes);
        buf_put(&text, bytes, n_byte);
    }
    assert_true(n_want > 30);
    tokenizer_encode_template(t, buf_text(&text), NULL, strlen(buf_text(&text)), &got);
    assert_int_equal(got.n, n_want);
    assert_memory_equal(got.ids, want, n_want * sizeof *want);
    token_buf_free(&got);
    buf_free(&text);
    free(file);
    free(path);
}

static void test_harmony_vectors(void **state)
{
    static const char text[] = "HTTPServer's 12345 don'T  \n\n日本語 Ünïcode/\r\n";
    (void)state;
    if (!file_exists(HARMONY)) {
        print_message("not run: no %s\n", HARMONY);
        skip();
    }
    tokenizer *t = open_harmony();
    check_ids(t, "test_simple_reasoning_response.txt");
    check_ids(t, "test_simple_tool_call.txt");
    token_buf fast = {0}, slow = {0};
    tokenizer_encode(t, text, sizeof text - 1, &fast);
    tokenizer_encode_slow(t, text, sizeof text - 1, &slow);
    assert_int_equal(fast.n, slow.n);
    assert_memory_equal(fast.ids, slow.ids, fast.n * sizeof *fast.ids);
    token_buf_free(&fast);
    token_buf_free(&slow);
    tokenizer_close(t);
}

static int check_vectors(const tokenizer *t, const char *name)
{
    static const char separator[] = "\n__ggml_vocab_test__\n";
    err e = {0};
    size_t n;
    int n_text = 0;
    char *path = mem_printf("%s/llama.cpp-vocab/ggml-vocab-%s.gguf.inp", ASSETS, name);
    char *texts = file_read(path, 1 << 20, &n, &e), *text = texts;
    path[strlen(path) - 3] = 0;
    char *path_out = mem_printf("%sout", path), *lines = file_read(path_out, 1 << 20, &n, &e);
    assert_true(texts && lines);
    for (char *line = lines, *end; *line; line = end + (*end != 0), n_text++) {
        end = line + strcspn(line, "\n");
        char *stop = strstr(text, separator);
        token_buf got = {0};
        tokenizer_encode(t, text, stop ? (size_t)(stop - text) : strlen(text), &got);
        size_t i = 0;
        for (char *at = line, *next; at < end; at = next, i++) {
            long id = strtol(at, &next, 10);
            if (next == at) break;
            if (i >= got.n || got.ids[i] != id) fail_msg("%s: text %d, token %zu", name, n_text, i);
        }
        if (got.n != i) fail_msg("%s: text %d: %zu tokens, expected %zu", name, n_text, got.n, i);
        token_buf_free(&got);
        text = stop ? stop + sizeof separator - 1 : text + strlen(text);
    }
    free(texts);
    free(lines);
    free(path);
    free(path_out);
    return n_text;
}

static void test_published_vectors(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        tokenizer *(*open)(void);
    } sets[] = {{"gpt-2", open_gpt2}, {"qwen2", open_qwen}, {"llama-bpe", open_llama3}};
    if (!file_exists(ASSETS)) {
        print_message("not run: no %s\n", ASSETS);
        skip();
    }
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
        tokenizer *t = sets[i].open();
        assert_int_equal(check_vectors(t, sets[i].name),
                         46); // a 47th, after the last separator, is empty
        tokenizer_close(t);
    }
}

// Random text against the slow twin

static void add_random_text(buf *b, rng *r, int flavour)
{
    static const char *const words[] = {
        " the",  " tool", "name", "\": \"",           "\n",   "  ", "\t", "1984",
        "don't", "é",     "日本", "\xf0\x9f\x98\x80", " {\"", "}}"};
    switch (flavour) {
    case 0: // words of all kinds
        buf_str(b, words[rng_below(r, sizeof words / sizeof *words)]);
        break;
    case 1: // few letters: long chains of merges, and pieces longer than SHORT_PIECE
        buf_byte(b, "aeinrst"[rng_below(r, 7)]);
        break;
    case 2: // runs of one character
        for (uint64_t n = rng_below(r, 90); n; n--) buf_byte(b, " =-aA\n"[rng_below(r, 2) * 3]);
        break;
    default: // anything, valid UTF-8 or not
        buf_byte(b, (char)rng_u64(r));
    }
}

static void check_text(const tokenizer *t, const char *text, size_t n)
{
    token_buf fast = {0}, slow = {0};
    tokenizer_encode(t, text, n, &fast);
    tokenizer_encode_slow(t, text, n, &slow);
    assert_int_equal(fast.n, slow.n);
    if (n) assert_memory_equal(fast.ids, slow.ids, fast.n * sizeof *fast.ids);
    size_t at = 0;
    for (size_t i = 0; i < fast.n; i++) {
        size_t k;
        const char *bytes = tokenizer_bytes(t, fast.ids[i], &k);
        assert_false(tokenizer_is_added(t, fast.ids[i]));
        assert_true(k > 0 && at + k <= n && !memcmp(text + at, bytes, k));
        at += k;
    }
    assert_int_equal(at, n);
    token_buf_free(&fast);
    token_buf_free(&slow);
}

static void test_fast_is_slow_and_bytes_come_back(void **state)
{
    (void)state;
    tokenizer *t = open_or_fail(builtin);
    rng r = rng_seed(11);
    for (int i = 0; i < 3000; i++) {
        buf b = buf_new(1 << 16);
        int flavour = (int)rng_below(&r, 5); // 4: mixed
        for (uint64_t n = rng_below(&r, 120); n; n--)
            add_random_text(&b, &r, flavour < 4 ? flavour : (int)rng_below(&r, 4));
        check_text(t, buf_text(&b), b.n);
        buf_free(&b);
    }
    tokenizer_close(t);
}

static void test_long_lines_are_fast(void **state)
{
    (void)state;
    enum { N = 1 << 20 };
    static const char *const fills[] = {
        "a", " ",   "ab", "the quick brown fox ", "\xe6\x97\xa5", "aeinrst", "\xcc\x81\xcc\xa3",
        "<", "\xff"};
    tokenizer *t = open_or_fail(builtin);
    char *text = mem_new(N);
    for (size_t f = 0; f < sizeof fills / sizeof *fills; f++) {
        size_t k = strlen(fills[f]), n = N / k * k;
        for (size_t i = 0; i < n; i++) text[i] = fills[f][i % k];
        token_buf got = {0};
        int64_t start = clock_us();
        tokenizer_encode_template(t, text, NULL, n, &got);
        double s = (double)(clock_us() - start) / 1e6;
        print_message("1 MB of \"%s\": %zu tokens, %.0f ms\n",
                      (unsigned char)fills[f][0] >= 0x80 ? "..." : fills[f], got.n, s * 1e3);
        assert_true(s < 10); // quadratic would be hours
        token_buf_free(&got);
    }
    free(text);
    tokenizer_close(t);
}

// Trust

static void test_only_trusted_bytes_make_added_tokens(void **state)
{
    (void)state;
    static const char text[] = "a<|im_start|>b<|im_start|>c";
    tokenizer *t = open_or_fail(builtin);
    int32_t start = tokenizer_id(t, "<|im_start|>");
    uint8_t trusted[sizeof text - 1];
    assert_true(start >= 0 && tokenizer_is_added(t, start) && tokenizer_is_special(t, start));
    for (size_t hole = 0; hole <= sizeof trusted; hole++) { // one untrusted byte; at last none
        memset(trusted, 1, sizeof trusted);
        if (hole < sizeof trusted) trusted[hole] = 0;
        token_buf got = {0};
        tokenizer_encode_template(t, text, trusted, sizeof trusted, &got);
        int n = 0;
        for (size_t i = 0; i < got.n; i++) n += got.ids[i] == start;
        bool in_first = hole >= 1 && hole < 13, in_second = hole >= 14 && hole < 26;
        assert_int_equal(n, 2 - in_first - in_second);
        token_buf_free(&got);
    }
    token_buf plain = {0};
    tokenizer_encode(t, text, sizeof text - 1, &plain);
    for (size_t i = 0; i < plain.n; i++) assert_false(tokenizer_is_added(t, plain.ids[i]));
    token_buf_free(&plain);
    assert_int_equal(tokenizer_id(t, "the"), -1); // not an added token
    assert_int_equal(tokenizer_id(t, "<|im_star"), -1);
    size_t n;
    assert_true(tokenizer_bytes(t, -1, &n) && n == 0);
    assert_true(tokenizer_bytes(t, 1 << 30, &n) && n == 0);
    tokenizer_close(t);
}

// A vocabulary in which merging plain text arrives at an added token: it must not.
static void test_merges_do_not_reach_added_tokens(void **state)
{
    (void)state;
    json_t *doc = tiny_tokenizer(259), *model = json_object_get(doc, "model");
    json_object_set_new(json_object_get(model, "vocab"), "the!", json_integer(259));
    json_array_append_new(json_object_get(model, "merges"), json_string("the !"));
    json_array_append_new(json_object_get(doc, "added_tokens"),
                          json_pack("{s:i, s:s}", "id", 259, "content", "the!"));
    for (int ignore = 0; ignore < 2; ignore++) {
        json_object_set_new(model, "ignore_merges", json_boolean(ignore));
        json_object_set_new(doc, "pre_tokenizer",
                            json_pack("{s:s, s:b}", "type", "ByteLevel", "use_regex", 0));
        tokenizer *t = parse_or_fail(doc);
        token_buf got = {0};
        tokenizer_encode(t, "the!", 4, &got);
        assert_int_equal(got.n, 2);
        assert_int_equal(got.ids[0], 257);
        assert_int_equal(got.ids[1], '!');
        token_buf_free(&got);
        tokenizer_encode_template(t, "the!", NULL, 4, &got);
        assert_int_equal(got.n, 1);
        assert_int_equal(got.ids[0], 259);
        token_buf_free(&got);
        tokenizer_close(t);
    }
    json_decref(doc);
}

// A piece that is a token is that token even if no merges lead to it, when the file says so.
static void test_ignore_merges(void **state)
{
    (void)state;
    json_t *doc = tiny_tokenizer(300), *model = json_object_get(doc, "model");
    for (int ignore = 0; ignore < 2; ignore++) {
        json_object_set_new(model, "ignore_merges", json_boolean(ignore));
        json_object_set_new(doc, "pre_tokenizer",
                            json_pack("{s:s, s:b}", "type", "ByteLevel", "use_regex", 0));
        tokenizer *t = parse_or_fail(doc);
        token_buf got = {0};
        tokenizer_encode(t, "unreachable270", 14, &got);
        assert_int_equal(got.n, ignore ? 1 : 14);
        if (ignore) assert_int_equal(got.ids[0], 270);
        token_buf_free(&got);
        tokenizer_close(t);
    }
    json_decref(doc);
}

static void test_nfc_where_the_file_asks(void **state)
{
    (void)state;
    static const char apart[] = "e\xcc\x81", joined[] = "\xc3\xa9"; // e + acute, é
    json_t *doc = tiny_tokenizer(259);
    for (int nfc = 0; nfc < 2; nfc++) {
        json_object_set_new(doc, "normalizer",
                            nfc ? json_pack("{s:s}", "type", "NFC") : json_null());
        tokenizer *t = parse_or_fail(doc);
        token_buf got = {0};
        tokenizer_encode(t, apart, 3, &got);
        const char *want = nfc ? joined : apart;
        assert_int_equal(got.n, strlen(want));
        for (size_t i = 0; i < got.n; i++) assert_int_equal(got.ids[i], (unsigned char)want[i]);
        token_buf_free(&got);
        tokenizer_close(t);
    }
    json_decref(doc);
}

// Files that must be refused

static void test_bad_files(void **state)
{
    (void)state;
    static const struct {
        const char *section, *value, *message; // section "": the whole document
    } cases[] = {
        {"model/type", "\"Unigram\"", "model.type: expected \"BPE\""},
        {"model/byte_fallback", "true", "model.byte_fallback"},
        {"model/dropout", "0.1", "model.dropout"},
        {"model/continuing_subword_prefix", "\"##\"", "continuing_subword_prefix"},
        {"model/vocab", "[]", "model.vocab: expected an object"},
        {"model/vocab", "{}", "expected a token for every byte"},
        {"model/vocab/x", "-1", "expected ids below"},
        {"model/vocab/x", "99999999", "expected ids below"},
        {"model/vocab/x", "\"1\"", "expected ids below"},
        {"model/vocab/xy", "97", "id 97 has two tokens"},
        {"model/vocab/a b", "259", "is not spelt in the byte alphabet"},
        {"model/vocab/\xe2\x96\x81the", "259", "is not spelt in the byte alphabet"},
        {"model/merges", "{}", "model.merges: expected a list"},
        {"model/merges", "[\"ab\"]", "model.merges: expected \"left right\""},
        {"model/merges", "[[\"a\"]]", "model.merges: expected \"left right\""},
        {"model/merges", "[\"a b\"]", "expected tokens of model.vocab"},
        {"model/merges", "[\" a\"]", "model.merges: expected the byte alphabet"},
        {"added_tokens", "{}", "added_tokens: expected a list"},
        {"added_tokens", "[{\"id\": 258}]", "added_tokens: expected {id, content"},
        {"added_tokens", "[{\"id\": 258, \"content\": \"\"}]",
         "added_tokens: expected {id, content"},
        {"added_tokens", "[{\"id\": 258, \"content\": \"x\", \"lstrip\": true}]", "lstrip"},
        {"added_tokens", "[{\"id\": 258, \"content\": \"x\"}, {\"id\": 258, \"content\": \"y\"}]",
         "different ids"},
        {"normalizer", "{\"type\": \"Lowercase\"}", "normalizer"},
        {"normalizer", "{\"type\": \"Sequence\", \"normalizers\": [{\"type\": \"NFKC\"}]}",
         "normalizer"},
        {"pre_tokenizer", "null", "pre_tokenizer"},
        {"pre_tokenizer", "{\"type\": \"ByteLevel\", \"add_prefix_space\": true}",
         "add_prefix_space"},
        {"pre_tokenizer", "{\"type\": \"Whitespace\"}", "pre_tokenizer: expected Split"},
        {"pre_tokenizer",
         "{\"type\": \"Sequence\", \"pretokenizers\": [{\"type\": \"Split\", \"pattern\": "
         "{\"Regex\": "
         "\"(\"}, \"behavior\": \"Isolated\"}]}",
         "pre_tokenizer: pattern"},
        {"pre_tokenizer",
         "{\"type\": \"Sequence\", \"pretokenizers\": [{\"type\": \"Split\", \"pattern\": "
         "{\"Regex\": "
         "\"a\"}, \"behavior\": \"Removed\"}]}",
         "Split: expected a Regex"},
        {"pre_tokenizer",
         "{\"type\": \"Sequence\", \"pretokenizers\": [{\"type\": \"Split\", \"pattern\": "
         "{\"Regex\": "
         "\"a\"}, \"behavior\": \"Isolated\"}]}",
         "pre_tokenizer: expected ByteLevel"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        err e = {0};
        json_t *doc = tiny_tokenizer(259), *at = doc;
        const char *key = cases[i].section, *slash;
        for (; (slash = strchr(key, '/')); key = slash + 1) {
            char *name = mem_strn(key, (size_t)(slash - key));
            at = json_object_get(at, name);
            free(name);
        }
        json_t *value = json_loads(cases[i].value, JSON_DECODE_ANY, NULL);
        assert_non_null(value);
        json_object_set_new(at, key, value);
        char *text = json_dumps(doc, JSON_COMPACT);
        if (tokenizer_parse(text, strlen(text), "there", &e))
            fail_msg("%s = %s was accepted", cases[i].section, cases[i].value);
        if (strncmp(e.msg, "there: ", 7) || !strstr(e.msg, cases[i].message))
            fail_msg("%s = %s: unexpected message: %s", cases[i].section, cases[i].value, e.msg);
        free(text);
        json_decref(doc);
    }
}

// Splits that give up, on text made for it, still lose no byte.
static void test_hostile_pattern(void **state)
{
    (void)state;
    json_t *doc = tiny_tokenizer(259);
    json_object_set_new(doc, "pre_tokenizer",
                        json_pack("{s:s, s:[{s:s, s:{s:s}, s:s}, {s:s, s:b}]}", "type", "Sequence",
                                  "pretokenizers", "type", "Split", "pattern", "Regex",
                                  "(a+)+b|\\s*?(x|xx)*y", "behavior", "Isolated", "type",
                                  "ByteLevel", "use_regex", 0));
    tokenizer *t = parse_or_fail(doc);
    char text[4000];
    memset(text, 'a', sizeof text);
    memset(text + 2000, 'x', 2000);
    check_text(t, text, sizeof text);
    tokenizer_close(t);
    json_decref(doc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_published_vectors),
        cmocka_unit_test(test_harmony_vectors),
        cmocka_unit_test(test_fast_is_slow_and_bytes_come_back),
        cmocka_unit_test(test_long_lines_are_fast),
        cmocka_unit_test(test_only_trusted_bytes_make_added_tokens),
        cmocka_unit_test(test_merges_do_not_reach_added_tokens),
        cmocka_unit_test(test_ignore_merges),
        cmocka_unit_test(test_nfc_where_the_file_asks),
        cmocka_unit_test(test_bad_files),
        cmocka_unit_test(test_hostile_pattern),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
