// If this fails, a tool that ships with Hearth gives a wrong answer or an error a model cannot use.
// Every row is one call through the real box.
#include "test.h"

#include "check.h"
#include "temp_dir.h"
#include "tools/tool.h"

static sandbox *box;
static tool_set *tools;
static char *workspace;
static json_t *memory; // what remember was given

static json_t *remember(void *user, const char *text, err *why)
{
    (void)user, (void)why;
    json_array_append_new(memory, json_string(text));
    return json_true();
}

static json_t *recall(void *user, const char *query, int k, err *why)
{
    (void)user, (void)k;
    if (strcmp(query, "broken") == 0) {
        err_set(why, ERR_STORE, "the store is locked");
        return NULL;
    }
    json_t *found = json_array(), *m;
    size_t i;
    json_array_foreach(memory, i, m) if (strstr(json_string_value(m), query))
        json_array_append(found, m);
    return found;
}

static const struct {
    const char *name, *text;
} files[] = {
    {"expenses.csv", "date,category,amount\n2026-01-02,food,12.50\n2026-01-03,rent,800\n"
                     "2026-01-04,food,7.5\n2026-01-05,\"travel, local\",3.20\n"},
    {"excel.csv", "\xef\xbb\xbfName;Price\r\n\"Anna \"\"A\"\"\";1,200\r\nBob;$30\r\n\r\nEve;\r\n"},
    {"multi.csv", "note,n\n\"two\nlines\",1\nplain,2"},
    {"bad.csv", "a,b\n\"open,1\n"},
    {"notes/todo.txt", "Buy milk\nCall Anna\nMILK again\n"},
    {"notes/empty.txt", ""},
    {"readme.md", "# Title\ncaf\xc3\xa9\n"},
    {"binary.dat", "abc\xff\xfe"},
};

static const struct row {
    const char *tool, *args;
    bool ok;
    const char *text; // expected; a leading ~ means: contains the rest
} rows[] = {
    {"calculate", "{'expression':'2+3*4'}", true, "14"},
    {"calculate", "{'expression':'17% of 3400'}", true, "578"},
    {"calculate", "{'expression':'499*1.2'}", true, "598.8"},
    {"calculate", "{'expression':'0.1+0.2'}", true, "0.3"},
    {"calculate", "{'expression':'(1 + 2) * -3'}", true, "-9"},
    {"calculate", "{'expression':'2^10'}", true, "1024"},
    {"calculate", "{'expression':'2**3**2'}", true, "512"},
    {"calculate", "{'expression':'-2^2'}", true, "-4"},
    {"calculate", "{'expression':'2^-1'}", true, "0.5"},
    {"calculate", "{'expression':'10/4'}", true, "2.5"},
    {"calculate", "{'expression':'10/5'}", true, "2"},
    {"calculate", "{'expression':'17 % 5'}", true, "2"},
    {"calculate", "{'expression':'17 mod 5'}", true, "2"},
    {"calculate", "{'expression':'50%'}", true, "0.5"},
    {"calculate", "{'expression':'50% * 80'}", true, "40"},
    {"calculate", "{'expression':'50% x 80'}", true, "40"},
    {"calculate", "{'expression':'15 percent of 60'}", true, "9"},
    {"calculate", "{'expression':'1,234,567 + 1'}", true, "1234568"},
    {"calculate", "{'expression':'1,234.5*2'}", true, "2469"},
    {"calculate", "{'expression':'max(1,234)'}", true, "234"},
    {"calculate", "{'expression':'sqrt(16) + abs(-2)'}", true, "6"},
    {"calculate", "{'expression':'sqrt 16'}", true, "4"},
    {"calculate", "{'expression':'round(2.567, 2)'}", true, "2.57"},
    {"calculate", "{'expression':'round(-2.5)'}", true, "-3"},
    {"calculate", "{'expression':'min(3, 1, 2)'}", true, "1"},
    {"calculate", "{'expression':'floor(2.7) + ceil(2.1)'}", true, "5"},
    {"calculate", "{'expression':'average(1, 2, 6)'}", true, "3"},
    {"calculate", "{'expression':'5!'}", true, "120"},
    {"calculate", "{'expression':'pi'}", true, "3.14159265359"},
    {"calculate", "{'expression':'3 \u00d7 4 \u00f7 2'}", true, "6"},
    {"calculate", "{'expression':'3 x 4'}", true, "12"},
    {"calculate", "{'expression':'12 + 5 ='}", true, "17"},
    {"calculate", "{'expression':'$20 + $5'}", true, "25"},
    {"calculate", "{'expression':' 7 '}", true, "7"},
    {"calculate", "{'expression':'\u20ac20 + \u00a35'}", true, "25"},
    {"calculate", "{'expression':'20 \u20ba'}", false, "~expected an operator at \"\u20ba\""},
    {"calculate", "{'expression':'abs'}", false, "~the expression ends too early"},
    {"calculate", "{'expression':'9007199254740993 + 0'}", true, "9007199254740993"},
    {"calculate", "{'expression':'1e3'}", true, "1000"},
    {"calculate", "{'expression':'.5*4'}", true, "2"},
    {"calculate", "{'expression':'9999999999 * 9999999999'}", true, "9.999999998e+19"},
    {"calculate", "{'expression':'0*-1'}", true, "0"},
    {"calculate", "{'expression':'1/0'}", false, "division by zero"},
    {"calculate", "{'expression':'5 % 0'}", false, "division by zero"},
    {"calculate", "{'expression':'2+'}", false, "~the expression ends too early"},
    {"calculate", "{'expression':'2 3'}", false, "~expected an operator at \"3\""},
    {"calculate", "{'expression':'(2'}", false, "~expected )"},
    {"calculate", "{'expression':'os.exit()'}", false, "~\"os\" is not known"},
    {"calculate", "{'expression':'10^400'}", false, "the result is too large"},
    {"calculate", "{'expression':'sqrt(-1)'}", false, "the result is not a number"},
    {"calculate", "{'expression':'sqrt(1,2)'}", false, "sqrt takes 1 argument"},
    {"calculate", "{'expression':''}", false, "calculate: wrong arguments: /expression: too short"},
    {"calculate", "{'expr':'1'}", false, "calculate: wrong arguments: /expression: missing"},
    {"calculate", "{'expression':5}", false, "~expected a string"},

    {"read_file", "{'path':'readme.md'}", true, "# Title\ncaf\xc3\xa9\n"},
    {"read_file", "{'path':' readme.md '}", true, "# Title\ncaf\xc3\xa9\n"},
    {"read_file", "{'path':'./notes//todo.txt'}", true, "~Call Anna"},
    {"read_file", "{'path':'notes/empty.txt'}", true, "(the file is empty)"},
    {"read_file", "{'path':'notes/tod.txt'}", false,
     "notes/tod.txt: no such file; did you mean notes/todo.txt?"},
    {"read_file", "{'path':'zebra.bin'}", false, "~zebra.bin: no such file; files here: bad.csv, "},
    {"read_file", "{'path':'no/such/dir.txt'}", false, "no/such/dir.txt: no such file"},
    {"read_file", "{'path':'notes'}", false, "notes: is a folder, not a file"},
    {"read_file", "{'path':'readme.md/x'}", false, "~a part of the path is a file"},
    {"read_file", "{'path':'binary.dat'}", false,
     "binary.dat: is not a text file (byte 4 is not UTF-8 text)"},
    {"read_file", "{'path':'/readme.md'}", false,
     "/readme.md: paths are relative to the workspace, as in \"readme.md\""},
    {"read_file", "{'path':'../x'}", false, "../x: is outside the workspace"},
    {"read_file", "{'path':'   '}", false, "the path is empty"},

    {"list_files", "{'path':'notes'}", true, "empty.txt\ntodo.txt"},
    {"list_files", "{}", true,
     "bad.csv\nbinary.dat\nexcel.csv\nexpenses.csv\nmulti.csv\nnotes/\nreadme.md"},
    {"list_files", "{'path':''}", true, "~notes/"},
    {"list_files", "{'path':' notes/ '}", true, "~todo.txt"},
    {"list_files", "{'path':'readme.md'}", false, "readme.md: is a file, not a folder"},
    {"list_files", "{'path':'note'}", false, "note: no such folder; did you mean notes?"},

    {"search_files", "{'query':'milk'}", true,
     "notes/todo.txt:1: Buy milk\nnotes/todo.txt:3: MILK again"},
    {"search_files", "{'query':' anna ','path':'notes/todo.txt'}", true,
     "notes/todo.txt:2: Call Anna"},
    {"search_files", "{'query':'unicorn'}", true, "no line contains \"unicorn\""},
    {"search_files", "{'query':'x','path':'nowhere'}", false, "~nowhere: no such file or folder"},

    {"csv_query", "{'path':' expenses.csv','column':'amount','operation':'sum'}", true, "823.2"},
    {"csv_query",
     "{'path':'expenses.csv','column':' Amount','operation':'sum','where':'category = food'}", true,
     "20"},
    {"csv_query",
     "{'path':'expenses.csv','column':'amount','operation':'average','where':'category=food'}",
     true, "10"},
    {"csv_query", "{'path':'expenses.csv','column':'amount','operation':'min'}", true, "3.2"},
    {"csv_query", "{'path':'expenses.csv','column':'amount','operation':'max'}", true, "800"},
    {"csv_query",
     "{'path':'expenses.csv','column':'amount','operation':'count','where':'amount > 5'}", true,
     "3"},
    {"csv_query", "{'path':'expenses.csv','column':'category','operation':'list'}", true,
     "food\nrent\nfood\ntravel, local"},
    {"csv_query",
     "{'path':'expenses.csv','column':'date','operation':'list','where':'category != food'}", true,
     "2026-01-03\n2026-01-05"},
    {"csv_query",
     "{'path':'expenses.csv','column':'date','operation':'list','where':'date <= 2026-01-02'}",
     true, "2026-01-02"},
    {"csv_query", "{'path':'excel.csv','column':'price','operation':'sum'}", true, "1230"},
    {"csv_query", "{'path':'excel.csv','column':'Name','operation':'list'}", true,
     "Anna \"A\"\nBob\nEve"},
    {"csv_query", "{'path':'multi.csv','column':'n','operation':'sum'}", true, "3"},
    {"csv_query", "{'path':'multi.csv','column':'note','operation':'list'}", true,
     "two\nlines\nplain"},
    {"csv_query", "{'path':'expenses.csv','column':'price','operation':'sum'}", false,
     "there is no column \"price\"; the columns are: date, category, amount"},
    {"csv_query", "{'path':'expenses.csv','column':'amounts','operation':'sum'}", false,
     "there is no column \"amounts\"; the columns are: date, category, amount; did you mean "
     "amount?"},
    {"csv_query", "{'path':'expenses.csv','column':'category','operation':'sum'}", false,
     "column \"category\" has \"food\", which is not a number; use count or list"},
    {"csv_query",
     "{'path':'expenses.csv','column':'amount','operation':'sum','where':'category = cars'}", false,
     "no row matches"},
    {"csv_query", "{'path':'expenses.csv','column':'amount','operation':'sum','where':'cars'}",
     false, "~where: expected something like category = food, found \"cars\""},
    {"csv_query", "{'path':'bad.csv','column':'a','operation':'count'}", false,
     "bad.csv: row 2: a quote is not closed"},
    {"csv_query", "{'path':'notes/empty.txt','column':'a','operation':'count'}", false,
     "notes/empty.txt: the file is empty"},
    {"csv_query", "{'path':'expense.csv','column':'a','operation':'count'}", false,
     "expense.csv: no such file; did you mean expenses.csv?"},
    {"csv_query", "{'path':'expenses.csv','column':'amount','operation':'median'}", false,
     "csv_query: wrong arguments: /operation: not one of the choices"},

    {"remember", "{'text':' Anna likes tea. '}", true, "saved"},
    {"remember", "{'text':'   '}", false, "text is empty"},
    {"recall", "{'query':'Anna'}", true, "Anna likes tea."},
    {"recall", "{'query':'Bob'}", true, "nothing is remembered about that"},
    {"recall", "{'query':'broken'}", false, "the store is locked"},

    {"write_file", "{'path':' out/total.txt','content':'823.2\\n'}", true,
     "wrote 6 bytes to out/total.txt"},
    {"read_file", "{'path':'out/total.txt'}", true, "823.2\n"},
    {"write_file", "{'path':'out/total.txt','content':''}", true, "wrote 0 bytes to out/total.txt"},
    {"write_file", "{'path':'notes','content':'x'}", false,
     "notes: is not a regular file but of type folder"},
    {"write_file", "{'path':'readme.md/x','content':'x'}", false, "~a part of the path is a file"},
    {"write_file", "{'path':'../escape.txt','content':'x'}", false, "~is outside the workspace"},
    {"write_file", "{'path':'x/','content':'x'}", false, "x/: the path names a folder, not a file"},
    {"now", "{}", true, "~20"},
};

static char *double_quotes(const char *s)
{
    char *copy = mem_str(s);
    for (char *p = copy; *p; p++)
        if (*p == '\'') *p = '"';
    return copy;
}

static void every_row(void **state)
{
    (void)state;
    int wrong = 0;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct row *row = &rows[i];
        const tool *t = tool_set_find(tools, row->tool);
        assert_non_null(t);
        char *text = double_quotes(row->args);
        json_t *args = json_loads(text, 0, NULL);
        assert_non_null(args);
        struct tool_result r;
        err e;
        assert_int_equal(tool_call(tools, t, args, NULL, &r, &e), 0);
        bool same = row->text[0] == '~' ? strstr(r.text, row->text + 1) != NULL
                                        : strcmp(r.text, row->text) == 0;
        if (r.ok != row->ok || !same) {
            print_message("%s %s\n  found    %d \"%s\"\n  expected %d \"%s\"\n", row->tool,
                          row->args, r.ok, r.text, row->ok, row->text);
            wrong++;
        }
        tool_result_free(&r);
        json_decref(args);
        free(text);
    }
    assert_int_equal(wrong, 0);
}

static void nothing_is_left_behind(void **state)
{
    (void)state;
    char *out = path_join(workspace, "out");
    const tool *t = tool_set_find(tools, "list_files");
    json_t *args = json_pack("{s:s}", "path", "out");
    struct tool_result r;
    err e;
    assert_int_equal(tool_call(tools, t, args, NULL, &r, &e), 0);
    assert_string_equal(r.text, "total.txt");
    char *command = mem_printf("ls -A %s | wc -l | grep -qx 1", out);
    assert_int_equal(system(command), 0); // no temporary file, which list_files would not show
    free(command);
    free(out);
    tool_result_free(&r);
    json_decref(args);
}

static void schemas_keep_to_the_plain_words(void **state)
{
    (void)state;
    static const char *const known[] = {"type",      "properties",          "required",
                                        "enum",      "description",         "minLength",
                                        "maxLength", "additionalProperties"};
    assert_int_equal(tool_set_size(tools), 9);
    for (size_t i = 0; i < tool_set_size(tools); i++) {
        const tool *t = tool_set_at(tools, i);
        assert_true(json_is_false(json_object_get(t->parameters, "additionalProperties")));
        const char *key;
        json_t *value;
        json_object_foreach((json_t *)(uintptr_t)t->parameters, key, value)
        {
            bool found = false;
            for (size_t k = 0; k < sizeof known / sizeof *known; k++)
                found |= strcmp(key, known[k]) == 0;
            assert_true(found);
        }
    }
    const char *first = NULL;
    json_t *value;
    const tool *write = tool_set_find(tools, "write_file");
    json_object_foreach(json_object_get(write->parameters, "properties"), first, value) break;
    assert_string_equal(first, "path");
}

static int open_tools(void **state)
{
    (void)state;
    err e = {ERR_NONE, ""};
    memory = json_array();
    workspace = temp_dir();
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        temp_file(workspace, files[i].name, files[i].text);
    struct sandbox_options o = {.box_path = HEARTH_BINARY_DIR "/hearth-box"};
    struct tool_host host = {.remember = remember, .recall = recall, .validate = check_args};
    const char *dirs[] = {HEARTH_SOURCE_DIR "/scripts-lua/tools"};
    box = sandbox_open(&o, &e);
    if (box) tools = tool_set_open(box, dirs, 1, workspace, &host, &e);
    if (!tools) print_message("%s\n", e.msg);
    return tools ? 0 : -1;
}

static int close_tools(void **state)
{
    (void)state;
    tool_set_close(tools);
    sandbox_close(box);
    json_decref(memory);
    temp_remove(workspace);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row),
        cmocka_unit_test(nothing_is_left_behind),
        cmocka_unit_test(schemas_keep_to_the_plain_words),
    };
    return cmocka_run_group_tests(tests, open_tools, close_tools);
}
