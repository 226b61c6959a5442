// If this fails: a denied tool runs, text from a tool drives the terminal, or a workspace copy
// follows links out of its folder.
#include "test.h"

#include "base/file.h"
#include "policy.h"
#include "screen.h"
#include "workspace.h"

#include <sys/stat.h>
#include <unistd.h>

static void test_policy_the_last_rule_that_names_the_tool_wins(void **state)
{
    (void)state;
    json_t *rw = json_pack("{s:s}", "fs", "rw"), *none = json_object();
    tool write = {.name = "write_file", .capabilities = rw, .effect = EFFECT_IDEMPOTENT};
    tool read = {.name = "read_file", .capabilities = none, .effect = EFFECT_PURE};
    tool mail = {.name = "mail", .capabilities = none, .effect = EFFECT_ONCE};
    assert_int_equal(policy_decide(NULL, 0, &write), POLICY_ASK);
    assert_int_equal(policy_decide(NULL, 0, &mail), POLICY_ASK);
    assert_int_equal(policy_decide(NULL, 0, &read), POLICY_ALLOW);
    struct policy_rule rules[] = {
        {"*", POLICY_DENY}, {"write_file", POLICY_ALLOW}, {"read_file", POLICY_ASK}};
    assert_int_equal(policy_decide(rules, 3, &write), POLICY_ALLOW);
    assert_int_equal(policy_decide(rules, 3, &read), POLICY_ASK);
    assert_int_equal(policy_decide(rules, 3, &mail), POLICY_DENY);
    assert_int_equal(policy_of("deny"), POLICY_DENY);
    assert_int_equal(policy_of("Deny"), -1);
    json_decref(rw);
    json_decref(none);
}

static void test_screen_text_cannot_drive_a_terminal(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out;
    } rows[] = {
        {"plain\n\ttext \xc3\xa9", "plain\n\ttext \xc3\xa9"},
        {"\033]52;c;AAAA\007", "\\u{1b}]52;c;AAAA\\u{7}"}, // writes the clipboard
        {"a\rb\b", "a\\u{d}b\\u{8}"},                      // hides what was there
        {"\xc2\x9b"
         "2J",
         "\\u{9b}2J"}, // C1 control
        {"\xe2\x80\xae"
         "abc",
         "\\u{202e}abc"},                   // right-to-left override
        {"\xf3\xa0\x81\xa1", "\\u{e0061}"}, // tag character
        {"\xff", "\\xff"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char *text = NULL;
        size_t n = 0;
        FILE *f = open_memstream(&text, &n);
        screen_text(f, rows[i].in, strlen(rows[i].in));
        fclose(f);
        assert_string_equal(text, rows[i].out);
        free(text);
    }
}

static int entries(const char *dir)
{
    char command[160];
    snprintf(command, sizeof command, "ls -A '%s' | wc -l", dir);
    FILE *p = popen(command, "r");
    int n = -1;
    assert_int_equal(fscanf(p, "%d", &n), 1);
    pclose(p);
    return n;
}

static void test_workspace_copy(void **state)
{
    (void)state;
    char root[] = "/tmp/hearth-workspace-XXXXXX";
    assert_non_null(mkdtemp(root));
    err e = {0};
    size_t n;
    char *from = path_join(root, "from"), *to = path_join(root, "to"),
         *sub = path_join(from, "sub"), *file = path_join(sub, "a.txt"),
         *link = path_join(from, "link");
    assert_int_equal(file_mkdirs(sub, &e), 0);
    assert_int_equal(file_mkdirs(to, &e), 0);
    assert_int_equal(file_replace(file, "text", 4, &e), 0);
    char *copy = workspace_copy(from, to, &e);
    assert_non_null(copy);
    char *copied = path_join(copy, "sub/a.txt"), *text = file_read(copied, 100, &n, &e);
    assert_string_equal(text, "text");
    assert_int_equal(entries(to), 1);

    assert_int_equal(symlink("/etc/passwd", link), 0);
    assert_null(workspace_copy(from, to, &e));
    assert_non_null(strstr(e.msg, "symbolic link"));
    assert_int_equal(entries(to), 1); // nothing half-copied stays
    assert_null(workspace_copy("/nonexistent", to, &e));
    assert_int_equal(e.code, ERR_INPUT);
    assert_int_equal(entries(to), 1);
    free(text);
    free(copied);
    free(copy);
    free(link);
    free(file);
    free(sub);
    free(to);
    free(from);
    file_remove_tree(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_policy_the_last_rule_that_names_the_tool_wins),
        cmocka_unit_test(test_screen_text_cannot_drive_a_terminal),
        cmocka_unit_test(test_workspace_copy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
