/* QMP against the other end of a socket pair: lines cut anywhere, answers, events, nonsense. */
#include "tests/tools/harness.h"
#include "tools/qmp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct fixture {
    struct qmp qmp;
    int server;
    char log[1024];
};

static void on_greeting(void *context, json_t *version)
{
    struct fixture *fixture = context;
    assert_non_null(version);
    sprintf(fixture->log + strlen(fixture->log), "greeting;");
}

static void on_answer(void *context, const char *name, json_t *value, const char *error)
{
    struct fixture *fixture = context;
    char *text = value != NULL ? json_dumps(value, JSON_COMPACT) : NULL;
    sprintf(fixture->log + strlen(fixture->log), "%s=%s%s;", name, error != NULL ? "!" : "",
            error != NULL ? error : text);
    free(text);
}

static void on_event(void *context, const char *name, json_t *data)
{
    struct fixture *fixture = context;
    (void)data;
    sprintf(fixture->log + strlen(fixture->log), "*%s;", name);
}

static int set_up(void **state)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0)
        return -1;
    struct fixture *fixture = calloc(1, sizeof *fixture);
    fixture->qmp.fd = ends[0];
    fixture->qmp.sink = (struct qmp_sink){on_greeting, on_answer, on_event, fixture};
    fixture->server = ends[1];
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    qmp_close(&fixture->qmp);
    close(fixture->server);
    free(fixture);
    return 0;
}

static const char conversation[] = "{\"QMP\": {\"version\": {\"qemu\": {\"major\": 7}}}}\r\n"
                                   "{\"return\": {\"actual\": 5}, \"id\": \"query-balloon\"}\r\n"
                                   "no JSON at all\r\n"
                                   "{\"event\": \"STOP\", \"timestamp\": {}}\r\n"
                                   "{\"error\": {\"desc\": \"too much\"}, \"id\": \"balloon\"}\r\n"
                                   "{\"return\": {}}\r\n";
static const char understood[] = "greeting;query-balloon={\"actual\":5};*STOP;balloon=!too much;";

static void test_a_conversation(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(write(fixture->server, conversation, strlen(conversation)), (ssize_t)strlen(conversation));
    qmp_receive(&fixture->qmp);
    assert_string_equal(fixture->log, understood);
}

static void test_byte_by_byte(void **state)
{
    struct fixture *fixture = *state;
    for (size_t i = 0; i < strlen(conversation); i++) {
        assert_int_equal(write(fixture->server, conversation + i, 1), 1);
        qmp_receive(&fixture->qmp);
    }
    assert_string_equal(fixture->log, understood);
}

static void test_cut_anywhere(void **state)
{
    struct fixture *fixture = *state;
    for (size_t cut = 1; cut < strlen(conversation); cut++) {
        fixture->log[0] = '\0';
        assert_int_equal(write(fixture->server, conversation, cut), (ssize_t)cut);
        qmp_receive(&fixture->qmp);
        const size_t rest = strlen(conversation) - cut;
        assert_int_equal(write(fixture->server, conversation + cut, rest), (ssize_t)rest);
        qmp_receive(&fixture->qmp);
        assert_string_equal(fixture->log, understood);
    }
}

static void test_a_line_without_end_is_dropped(void **state)
{
    struct fixture *fixture = *state;
    char noise[1024];
    memset(noise, 'x', sizeof noise);
    for (size_t i = 0; i < 2ul * QMP_LINE_LIMIT / sizeof noise; i++) {
        assert_int_equal(write(fixture->server, noise, sizeof noise), (ssize_t)sizeof noise);
        qmp_receive(&fixture->qmp);
    }
    assert_int_equal(write(fixture->server, "\n", 1), 1);
    assert_int_equal(write(fixture->server, conversation, strlen(conversation)), (ssize_t)strlen(conversation));
    qmp_receive(&fixture->qmp);
    assert_string_equal(fixture->log, understood);
}

static void test_commands(void **state)
{
    struct fixture *fixture = *state;
    assert_true(qmp_send(&fixture->qmp, "balloon", json_pack("{s:I}", "value", (json_int_t)1 << 30)));
    char text[256];
    const ssize_t length = read(fixture->server, text, sizeof text - 1);
    text[length] = '\0';
    json_t *command = json_loads(text, 0, NULL);
    json_t *expected =
        json_loads("{\"execute\": \"balloon\", \"id\": \"balloon\", \"arguments\": {\"value\": 1073741824}}", 0, NULL);
    assert_true(json_equal(command, expected));
    assert_int_equal(text[length - 1], '\n');
    json_decref(command);
    json_decref(expected);
}

static void test_the_other_side_goes(void **state)
{
    struct fixture *fixture = *state;
    shutdown(fixture->server, SHUT_RDWR);
    qmp_receive(&fixture->qmp);
    assert_int_equal(fixture->qmp.fd, -1);
    assert_false(qmp_send(&fixture->qmp, "quit", NULL));
    qmp_receive(&fixture->qmp);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_conversation, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_byte_by_byte, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_cut_anywhere, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_line_without_end_is_dropped, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_commands, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_the_other_side_goes, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("tools/qmp", tests, NULL, NULL);
}
