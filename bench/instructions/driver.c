/* Runs the library's paths under callgrind, one after the other, and has it write what each has cost.
 *
 *     driver PYTHON LIBPYTHON PACKAGE LIBRARY BENCH
 *
 * The executable and the library to embed, priv/python/erlang, erlang_python_nif.so, and the folder of workload.py. */

#include <dlfcn.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <valgrind/callgrind.h>

#include "fake_vm.h"

typedef ERL_NIF_TERM Term;

static ErlNifEntry *entry;
/* The calling process: emptied after each step. */
static ErlNifEnv *process;
/* What lives longer. */
static ErlNifEnv *heap;
static Term context;

/* --- Terms ------------------------------------------------------------------------------------ */

#define LENGTH(items) (sizeof(items) / sizeof *(items))
#define TUPLE(env, ...) \
    enif_make_tuple_from_array(env, (Term[]){__VA_ARGS__}, LENGTH(((Term[]){__VA_ARGS__})))
#define LIST(env, ...) enif_make_list_from_array(env, (Term[]){__VA_ARGS__}, LENGTH(((Term[]){__VA_ARGS__})))

static Term atom(const char *name) { return enif_make_atom(NULL, name); }

static Term text(ErlNifEnv *env, const char *content) {
    Term term;
    memcpy(enif_make_new_binary(env, strlen(content), &term), content, strlen(content));
    return term;
}

static Term pid(void) { return enif_self(process, &(ErlNifPid){0})->pid; }

static Term element(Term tuple, int index) {
    const Term *items;
    int count;
    if (!enif_get_tuple(NULL, tuple, &count, &items) || index >= count) die("no tuple with an element %d", index);
    return items[index];
}

static int is_tagged(Term term, const char *tag) {
    const Term *items;
    int count;
    return enif_get_tuple(NULL, term, &count, &items) && count > 0 && items[0] == atom(tag);
}

/* --- The library ------------------------------------------------------------------------------ */

typedef Term Function(ErlNifEnv *, int, const Term[]);

static Function *function(const char *name) {
    for (int i = 0; i < entry->num_of_funcs; i++)
        if (!strcmp(entry->funcs[i].name, name)) return (Function *)entry->funcs[i].fptr;
    die("the library has no function %s", name);
}

static void *opened(const char *path, int mode) {
    void *library = dlopen(path, RTLD_NOW | mode);
    if (!library) die("%s; a function of the VM that is missing belongs into bench/instructions/fake_vm.c", dlerror());
    return library;
}

static void start(char *arguments[]) {
    start_vm();
    heap = enif_alloc_env();
    process = enif_alloc_env();
    opened(arguments[2], RTLD_GLOBAL);
    entry = ((ErlNifEntry * (*)(void)) dlsym(opened(arguments[4], 0), "nif_init"))();
    if (entry->load && entry->load(heap, &(void *){0}, atom("nil"))) die("the library cannot be loaded");

    Term keys[] = {atom("executable"), atom("package"), atom("environment"), atom("memory_tuning")}, options;
    Term variable = TUPLE(heap, text(heap, "LANG"), text(heap, "C.UTF-8"));
    Term values[] = {text(heap, arguments[1]), text(heap, arguments[3]), LIST(heap, variable), atom("true")};
    enif_make_map_from_arrays(heap, keys, values, LENGTH(keys), &options);
    if (!is_tagged(function("start_runtime")(heap, 1, &options), "ok")) die("Python does not start");
}

/* A context whose thread looks for work for `spin_us` microseconds before it sleeps. */
static Term start_context(const char *bench, int spin_us) {
    Term options, keys[] = {atom("mode"), atom("max_queue"), atom("spin_us"), atom("paths"), atom("preload"), atom("decimal")};
    Term values[] = {atom("worker"),      enif_make_int(heap, 10000), enif_make_int(heap, spin_us), LIST(heap, text(heap, bench)),
                     text(heap, "import workload"), atom("false")};
    enif_make_map_from_arrays(heap, keys, values, LENGTH(keys), &options);
    Term started = function("context_start")(heap, 1, &options);
    if (!is_tagged(started, "ok")) die("the context does not start");
    Message *message = receive();
    if (element(message->term, 2) != atom("started")) die("the context did not start");
    forget(message);
    return element(started, 1);
}

enum { POLL = 64 };

/* Lets the context's thread fall asleep: whether it does in time for the next step would be left to chance, and waking it
 * is part of the path. */
static void settle(void) { usleep(2000); }

/* Hands `operation` to the context: what `submit` returns. */
static Term submit(Term operation, int flags) {
    static Function *submit;
    if (!submit) submit = function("submit");
    Term arguments[] = {context,         pid(), enif_make_ref(process), operation, atom("context"), enif_make_int(process, flags),
                        enif_make_int(process, 30000), enif_make_list_from_array(process, NULL, 0)};
    return submit(process, 8, arguments);
}

/* Waits for the outcome that is sent, answering the functions that Python calls on the way. */
static void finish(Term request) {
    Message *message = receive();
    for (; is_tagged(element(message->term, 1), "callback"); message = receive()) {
        settle();
        Term arguments[] = {request, element(element(message->term, 1), 1), TUPLE(process, atom("ok"), atom("nil"))};
        function("callback_answer")(process, 3, arguments);
        forget(message);
    }
    if (!is_tagged(element(message->term, 1), "ok")) die("an operation has failed");
    forget(message);
    enif_clear_env(process);
}

static void run(Term operation) {
    settle();
    finish(submit(operation, 0));
}

/* As callers do that expect the outcome soon; here it is there when they poll again. */
static void run_polling(Term operation) {
    settle();
    Term outcome = submit(operation, POLL);
    if (outcome == atom("poll")) {
        Term arguments[] = {atom("nil"), atom("true")};
        settle();
        outcome = function("poll")(process, 2, arguments);
    }
    if (is_tagged(outcome, "ask")) return finish(element(outcome, 1));
    if (!is_tagged(outcome, "ok")) return finish(outcome);
    enif_clear_env(process);
}

static Term call(const char *module, const char *name, Term args) {
    return TUPLE(heap, atom("call"), atom(module), atom(name), args, atom("nil"));
}

/* --- What is counted -------------------------------------------------------------------------- */

/* Counts `times` runs of `step`, each of which does so many `units`. The first ones, not counted, warm up. */
#define COUNT(name, times, units, step)                                                  \
    do {                                                                                 \
        for (int i = 0; i < 5; i++) step;                                                \
        CALLGRIND_ZERO_STATS;                                                            \
        for (int i = 0; i < (times); i++) step;                                          \
        char title[80];                                                                  \
        snprintf(title, sizeof title, "count %s %d", name, (times) * (units));           \
        CALLGRIND_DUMP_STATS_AT(title);                                                  \
    } while (0)

static void count_calls(void) {
    Term sixteen = LIST(heap, enif_make_int(heap, 16));
    Term sqrt = call("math", "sqrt", sixteen);
    Term eval = TUPLE(heap, atom("eval"), text(heap, "1 + 2"), atom("nil"));
    COUNT("call", 300, 1, run(sqrt));
    COUNT("eval", 300, 1, run(eval));
    COUNT("queued_call", 10, 50, {
        Term requests[50];
        for (int n = 0; n < 50; n++) requests[n] = submit(sqrt, 0);
        for (int n = 0; n < 50; n++) {
            Message *message = receive();
            if (!is_tagged(element(message->term, 1), "ok")) die("a queued call has failed");
            forget(message);
        }
        (void)requests;
        enif_clear_env(process);
    });
}

/* By the thread of a context that does not sleep. Its spinning is not counted: see Bench.Instructions. */
static void count_awake(void) {
    Term sqrt = call("math", "sqrt", LIST(heap, enif_make_int(heap, 16)));
    COUNT("call_awake", 300, 1, run_polling(sqrt));
}

static void count_callbacks(void) {
    Term registered[] = {text(heap, "bench_noop"), atom("true")};
    function("set_registered")(heap, 2, registered);
    Term twenty = LIST(heap, text(heap, "call_back"), enif_make_int(heap, 1), enif_make_int(heap, 20));
    COUNT("callback", 10, 20, run(call("workload", "timed", twenty)));
}

static void count_shared_state(void) {
    Term incr[] = {text(heap, "count"), enif_make_int(heap, 1)};
    Term number = LIST(heap, text(heap, "incr"), enif_make_int(heap, 1), enif_make_int(heap, 1000));
    COUNT("state_incr", 1000, 1, {
        function("state_incr")(process, 2, incr);
        enif_clear_env(process);
    });
    COUNT("state_incr_python", 2, 1000, run(call("workload", "timed", number)));
}

static Term integers(int count) {
    Term items[count];
    for (int i = 0; i < count; i++) items[i] = enif_make_int(heap, 1000000 + i);
    return enif_make_list_from_array(heap, items, count);
}

static Term floats(int count) {
    Term items[count];
    for (int i = 0; i < count; i++) items[i] = enif_make_double(heap, i * 0.5);
    return enif_make_list_from_array(heap, items, count);
}

static Term strings(int count) {
    Term items[count];
    for (int i = 0; i < count; i++) {
        char content[20];
        snprintf(content, sizeof content, "item %d", i);
        items[i] = text(heap, content);
    }
    return enif_make_list_from_array(heap, items, count);
}

static Term map(int id) {
    char name[20];
    snprintf(name, sizeof name, "name %d", id);
    Term keys[] = {text(heap, "id"), text(heap, "name"), text(heap, "tags"), text(heap, "score")}, made;
    Term values[] = {enif_make_int(heap, id), text(heap, name), LIST(heap, text(heap, "a"), text(heap, "b")),
                     enif_make_double(heap, id * 0.5)};
    enif_make_map_from_arrays(heap, keys, values, 4, &made);
    return made;
}

static Term maps(int count) {
    Term items[count];
    for (int i = 0; i < count; i++) items[i] = map(i);
    return enif_make_list_from_array(heap, items, count);
}

static void count_values(void) {
    COUNT("integers_in", 3, 1000, run(call("workload", "take", LIST(heap, integers(1000)))));
    COUNT("integers_out", 3, 10000, run(call("workload", "give", LIST(heap, text(heap, "ints_10000")))));
    COUNT("floats_in", 3, 1000, run(call("workload", "take", LIST(heap, floats(1000)))));
    COUNT("floats_out", 3, 10000, run(call("workload", "give", LIST(heap, text(heap, "floats_10000")))));
    COUNT("strings_in", 3, 1000, run(call("workload", "take", LIST(heap, strings(1000)))));
    COUNT("strings_out", 3, 10000, run(call("workload", "give", LIST(heap, text(heap, "strings_10000")))));
    COUNT("maps_in", 3, 1000, run(call("workload", "take", LIST(heap, maps(1000)))));
    COUNT("maps_out", 3, 1000, run(call("workload", "give", LIST(heap, text(heap, "maps_1000")))));
}

int main(int argc, char *argv[]) {
    if (argc != 6) die("usage: count PYTHON LIBPYTHON PACKAGE LIBRARY BENCH");
    start(argv);
    context = start_context(argv[5], 0);
    CALLGRIND_START_INSTRUMENTATION;
    count_calls();
    count_callbacks();
    count_shared_state();
    count_values();
    context = start_context(argv[5], 10000000);
    count_awake();
    /* Without waiting for threads. */
    _Exit(0);
}
