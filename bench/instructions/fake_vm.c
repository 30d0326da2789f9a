/* A stand-in for the Erlang VM, just enough to run the NIF library in: the real one does not run under valgrind.
 *
 * Terms have the layout of the real VM where the library could look: small integers, atoms and pids are immediate words,
 * lists are cons cells, tuples and floats are boxed. Maps, binaries, references and resources are this program's own.
 *
 * What is counted is the library, not this: here, simple is good enough. Nothing is collected before its environment is
 * cleared, and the data of binaries never is. */

#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fake_vm.h"

typedef ERL_NIF_TERM Term;

enum { TAG = 3, CONS = 1, BOXED = 2, SMALL = 0xF, ATOM = 0xB, PID = 0x3 };
enum { TUPLE = 0x00, POSITIVE = 0x08, NEGATIVE = 0x0C, REF = 0x10, FLOAT = 0x18, BINARY = 0x24, MAP = 0x3C };
#define NIL ((~(Term)0 << 6) | 0x3B)

void die(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    _Exit(1);
}

/* --- Environments ---------------------------------------------------------------------------- */

typedef struct block {
    struct block *next;
    size_t used, size;
    Term words[];
} Block;

typedef struct resource {
    ErlNifResourceType *type;
    long references;
    Term words[];
} Resource;

typedef struct held {
    struct held *next;
    Resource *resource;
} Held;

struct enif_environment_t {
    Block *blocks;
    Held *held;
};

static void *allocate(size_t size) {
    void *memory = malloc(size);
    if (!memory) die("out of memory");
    return memory;
}

static Term *words(ErlNifEnv *env, size_t count) {
    Block *block = env->blocks;
    if (!block || block->size - block->used < count) {
        size_t size = count > 4000 ? count : 4000;
        block = allocate(sizeof(Block) + size * sizeof(Term));
        *block = (Block){.next = env->blocks, .size = size};
        env->blocks = block;
    }
    block->used += count;
    return block->words + block->used - count;
}

ErlNifEnv *enif_alloc_env(void) { return calloc(1, sizeof(ErlNifEnv)); }

void enif_clear_env(ErlNifEnv *env) {
    for (Block *block = env->blocks; block;) {
        Block *next = block->next;
        free(block);
        block = next;
    }
    Held *held = env->held;
    *env = (ErlNifEnv){0};
    while (held) {
        Held *next = held->next;
        enif_release_resource(held->resource->words);
        free(held);
        held = next;
    }
}

void enif_free_env(ErlNifEnv *env) {
    enif_clear_env(env);
    free(env);
}

/* --- Terms ------------------------------------------------------------------------------------ */

static int is_small(Term term) { return (term & 0xF) == SMALL; }
static int is_atom(Term term) { return (term & 0x3F) == ATOM; }
static int is_pid(Term term) { return (term & 0xF) == PID; }
static int is_cons(Term term) { return (term & TAG) == CONS; }
static Term *pointer(Term term) { return (Term *)(term & ~(Term)TAG); }
static int is_boxed(Term term, unsigned tag) { return (term & TAG) == BOXED && (*pointer(term) & 0x3F) == tag; }
static size_t arity(Term term) { return pointer(term)[-1]; }

static Term *box(ErlNifEnv *env, unsigned tag, size_t size, Term *term) {
    Term *place = words(env, size + 2);
    *place++ = size;
    /* As in the Erlang VM, all small maps have the same header. */
    *place = (Term)(tag == MAP ? 0 : size) << 6 | tag;
    *term = (Term)place | BOXED;
    return place + 1;
}

static int is_integer(Term term) { return is_small(term) || is_boxed(term, POSITIVE) || is_boxed(term, NEGATIVE); }

int enif_is_list(ErlNifEnv *env, Term term) { return term == NIL || is_cons(term); }
int enif_is_empty_list(ErlNifEnv *env, Term term) { return term == NIL; }
int enif_is_atom(ErlNifEnv *env, Term term) { return is_atom(term); }
int enif_is_map(ErlNifEnv *env, Term term) { return is_boxed(term, MAP); }
int enif_is_ref(ErlNifEnv *env, Term term) { return is_boxed(term, REF); }
int enif_is_number(ErlNifEnv *env, Term term) { return is_integer(term) || is_boxed(term, FLOAT); }
int enif_is_tuple(ErlNifEnv *env, Term term) { return is_boxed(term, TUPLE); }
int enif_is_binary(ErlNifEnv *env, Term term) { return is_boxed(term, BINARY); }
int enif_is_pid(ErlNifEnv *env, Term term) { return is_pid(term); }
int enif_is_fun(ErlNifEnv *env, Term term) { return 0; }
int enif_is_port(ErlNifEnv *env, Term term) { return 0; }

ErlNifTermType enif_term_type(ErlNifEnv *env, Term term) {
    if (is_small(term)) return ERL_NIF_TERM_TYPE_INTEGER;
    if (is_atom(term)) return ERL_NIF_TERM_TYPE_ATOM;
    if (is_pid(term)) return ERL_NIF_TERM_TYPE_PID;
    if (enif_is_list(env, term)) return ERL_NIF_TERM_TYPE_LIST;
    switch (*pointer(term) & 0x3F) {
        case TUPLE: return ERL_NIF_TERM_TYPE_TUPLE;
        case FLOAT: return ERL_NIF_TERM_TYPE_FLOAT;
        case BINARY: return ERL_NIF_TERM_TYPE_BITSTRING;
        case MAP: return ERL_NIF_TERM_TYPE_MAP;
        case REF: return ERL_NIF_TERM_TYPE_REFERENCE;
        default: return ERL_NIF_TERM_TYPE_INTEGER;
    }
}

/* Integers of up to 64 bits. */

Term enif_make_ulong(ErlNifEnv *env, unsigned long value) {
    Term term;
    if (value < 1UL << 59) return value << 4 | SMALL;
    *box(env, POSITIVE, 1, &term) = value;
    return term;
}

Term enif_make_long(ErlNifEnv *env, long value) {
    Term term;
    if (value >= 0) return enif_make_ulong(env, value);
    if (value >= -(1L << 59)) return (Term)value << 4 | SMALL;
    *box(env, NEGATIVE, 1, &term) = -(Term)value;
    return term;
}

Term enif_make_int(ErlNifEnv *env, int value) { return enif_make_long(env, value); }
Term enif_make_uint(ErlNifEnv *env, unsigned value) { return enif_make_ulong(env, value); }

int enif_get_long(ErlNifEnv *env, Term term, long *value) {
    Term limit = (Term)1 << 63;
    if (is_small(term)) return *value = (long)term >> 4, 1;
    if (is_boxed(term, POSITIVE) && arity(term) == 1 && pointer(term)[1] < limit) return *value = pointer(term)[1], 1;
    if (is_boxed(term, NEGATIVE) && arity(term) == 1 && pointer(term)[1] <= limit) return *value = -pointer(term)[1], 1;
    return 0;
}

int enif_get_ulong(ErlNifEnv *env, Term term, unsigned long *value) {
    if (is_small(term) && (long)term >= 0) return *value = term >> 4, 1;
    if (is_boxed(term, POSITIVE) && arity(term) == 1) return *value = pointer(term)[1], 1;
    return 0;
}

int enif_get_int(ErlNifEnv *env, Term term, int *value) {
    long wide;
    return enif_get_long(env, term, &wide) && wide == (int)wide && (*value = wide, 1);
}

int enif_get_uint(ErlNifEnv *env, Term term, unsigned *value) {
    unsigned long wide;
    return enif_get_ulong(env, term, &wide) && wide == (unsigned)wide && (*value = wide, 1);
}

Term enif_make_double(ErlNifEnv *env, double value) {
    Term term;
    memcpy(box(env, FLOAT, 1, &term), &value, sizeof value);
    return term;
}

int enif_get_double(ErlNifEnv *env, Term term, double *value) {
    if (!is_boxed(term, FLOAT)) return 0;
    memcpy(value, pointer(term) + 1, sizeof *value);
    return 1;
}

/* Larger ones, and all integers in the external term format: the library uses it for them alone. */

enum { VERSION = 131, SMALL_BIG = 110, LARGE_BIG = 111 };

int enif_term_to_binary(ErlNifEnv *env, Term term, ErlNifBinary *bin) {
    if (!is_boxed(term, POSITIVE) && !is_boxed(term, NEGATIVE)) die("enif_term_to_binary takes large integers only");
    unsigned char *digits = (unsigned char *)(pointer(term) + 1);
    size_t size = arity(term) * sizeof(Term);
    while (size && !digits[size - 1]) size--;
    int small = size < 256;
    unsigned char head[] = {VERSION, small ? SMALL_BIG : LARGE_BIG, size >> 24, size >> 16, size >> 8, size};
    if (small) head[2] = size;
    enif_alloc_binary((small ? 4 : 7) + size, bin);
    memcpy(bin->data, head, small ? 3 : 6);
    bin->data[small ? 3 : 6] = is_boxed(term, NEGATIVE);
    memcpy(bin->data + (small ? 4 : 7), digits, size);
    return 1;
}

size_t enif_binary_to_term(ErlNifEnv *env, const unsigned char *data, size_t size, Term *term, unsigned options) {
    int small = size > 3 && data[0] == VERSION && data[1] == SMALL_BIG, head = small ? 3 : 6;
    if (!small && (size < 7 || data[0] != VERSION || data[1] != LARGE_BIG)) return 0;
    size_t digits = size - head - 1, count = (digits + sizeof(Term) - 1) / sizeof(Term);
    Term *place = box(env, data[head] ? NEGATIVE : POSITIVE, count, term);
    memset(place, 0, count * sizeof(Term));
    memcpy(place, data + head + 1, digits);
    return size;
}

/* Atoms: an index into a table. */

static struct { char *text; size_t size; } atoms[4096];
static size_t atom_count;
static pthread_mutex_t atom_lock = PTHREAD_MUTEX_INITIALIZER;

static Term atom_of(const char *text, size_t size, int make) {
    Term term = 0;
    pthread_mutex_lock(&atom_lock);
    for (size_t i = 0; i < atom_count && !term; i++)
        if (atoms[i].size == size && !memcmp(atoms[i].text, text, size)) term = i << 6 | ATOM;
    if (!term && make) {
        if (atom_count == sizeof atoms / sizeof *atoms) die("too many atoms");
        atoms[atom_count].text = memcpy(allocate(size + 1), text, size);
        atoms[atom_count].text[size] = 0;
        atoms[atom_count].size = size;
        term = atom_count++ << 6 | ATOM;
    }
    pthread_mutex_unlock(&atom_lock);
    return term;
}

Term enif_make_atom(ErlNifEnv *env, const char *name) { return atom_of(name, strlen(name), 1); }
Term enif_make_atom_len(ErlNifEnv *env, const char *name, size_t size) { return atom_of(name, size, 1); }

int enif_make_new_atom_len(ErlNifEnv *env, const char *name, size_t size, Term *atom, ErlNifCharEncoding encoding) {
    *atom = atom_of(name, size, 1);
    return 1;
}

int enif_make_existing_atom_len(ErlNifEnv *env, const char *name, size_t size, Term *atom, ErlNifCharEncoding encoding) {
    *atom = atom_of(name, size, 0);
    return *atom != 0;
}

int enif_get_atom_length(ErlNifEnv *env, Term term, unsigned *size, ErlNifCharEncoding encoding) {
    return is_atom(term) && (*size = atoms[term >> 6].size, 1);
}

int enif_get_atom(ErlNifEnv *env, Term term, char *text, unsigned size, ErlNifCharEncoding encoding) {
    if (!is_atom(term) || atoms[term >> 6].size >= size) return 0;
    memcpy(text, atoms[term >> 6].text, atoms[term >> 6].size + 1);
    return atoms[term >> 6].size + 1;
}

/* Lists and tuples. */

Term enif_make_list_cell(ErlNifEnv *env, Term head, Term tail) {
    Term *cell = words(env, 2);
    cell[0] = head, cell[1] = tail;
    return (Term)cell | CONS;
}

Term enif_make_list_from_array(ErlNifEnv *env, const Term items[], unsigned count) {
    Term list = NIL;
    while (count--) list = enif_make_list_cell(env, items[count], list);
    return list;
}

int enif_get_list_cell(ErlNifEnv *env, Term term, Term *head, Term *tail) {
    if (!is_cons(term)) return 0;
    *head = pointer(term)[0], *tail = pointer(term)[1];
    return 1;
}

int enif_get_list_length(ErlNifEnv *env, Term term, unsigned *length) {
    for (*length = 0; is_cons(term); term = pointer(term)[1]) ++*length;
    return term == NIL;
}

Term enif_make_tuple_from_array(ErlNifEnv *env, const Term items[], unsigned count) {
    Term term;
    memcpy(box(env, TUPLE, count, &term), items, count * sizeof(Term));
    return term;
}

int enif_get_tuple(ErlNifEnv *env, Term term, int *count, const Term **items) {
    return is_boxed(term, TUPLE) && (*count = arity(term), *items = pointer(term) + 1, 1);
}

/* Binaries: size and data. */

static Term binary(ErlNifEnv *env, size_t size, unsigned char *data) {
    Term term, *place = box(env, BINARY, 2, &term);
    place[0] = size, place[1] = (Term)data;
    return term;
}

unsigned char *enif_make_new_binary(ErlNifEnv *env, size_t size, Term *term) {
    unsigned char *data = allocate(size + 1);
    *term = binary(env, size, data);
    return data;
}

int enif_inspect_binary(ErlNifEnv *env, Term term, ErlNifBinary *bin) {
    if (!is_boxed(term, BINARY)) return 0;
    *bin = (ErlNifBinary){.size = pointer(term)[1], .data = (unsigned char *)pointer(term)[2]};
    return 1;
}

int enif_alloc_binary(size_t size, ErlNifBinary *bin) {
    *bin = (ErlNifBinary){.size = size, .data = allocate(size + 1)};
    return 1;
}

Term enif_make_binary(ErlNifEnv *env, ErlNifBinary *bin) { return binary(env, bin->size, bin->data); }
void enif_release_binary(ErlNifBinary *bin) {}

/* Maps: keys and values in turn. */

static int same(Term left, Term right) {
    if (left == right) return 1;
    if ((left & TAG) != (right & TAG)) return 0;
    if (is_cons(left))
        return same(pointer(left)[0], pointer(right)[0]) && same(pointer(left)[1], pointer(right)[1]);
    if ((left & TAG) != BOXED || *pointer(left) != *pointer(right) || arity(left) != arity(right)) return 0;
    if (is_boxed(left, BINARY))
        return pointer(left)[1] == pointer(right)[1] &&
               !memcmp((void *)pointer(left)[2], (void *)pointer(right)[2], pointer(left)[1]);
    int terms = is_boxed(left, TUPLE) || is_boxed(left, MAP);
    for (size_t i = 1; i <= arity(left); i++)
        if (terms ? !same(pointer(left)[i], pointer(right)[i]) : pointer(left)[i] != pointer(right)[i]) return 0;
    return 1;
}

int enif_is_identical(Term left, Term right) { return same(left, right); }
int enif_compare(Term left, Term right) { return same(left, right) ? 0 : left < right ? -1 : 1; }

Term enif_make_new_map(ErlNifEnv *env) {
    Term term;
    box(env, MAP, 0, &term);
    return term;
}

int enif_make_map_from_arrays(ErlNifEnv *env, Term keys[], Term values[], size_t count, Term *map) {
    Term *place = box(env, MAP, 2 * count, map);
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < i; j++)
            if (same(keys[i], keys[j])) return 0;
        place[2 * i] = keys[i], place[2 * i + 1] = values[i];
    }
    return 1;
}

static Term *find(Term map, Term key) {
    for (size_t i = 1; i <= arity(map); i += 2)
        if (same(pointer(map)[i], key)) return pointer(map) + i + 1;
    return NULL;
}

int enif_make_map_put(ErlNifEnv *env, Term old, Term key, Term value, Term *map) {
    if (!is_boxed(old, MAP)) return 0;
    int known = find(old, key) != NULL;
    Term *place = box(env, MAP, arity(old) + (known ? 0 : 2), map);
    memcpy(place, pointer(old) + 1, arity(old) * sizeof(Term));
    if (!known) place[arity(old)] = key;
    *(known ? find(*map, key) : place + arity(old) + 1) = value;
    return 1;
}

int enif_get_map_size(ErlNifEnv *env, Term map, size_t *size) {
    return is_boxed(map, MAP) && (*size = arity(map) / 2, 1);
}

int enif_get_map_value(ErlNifEnv *env, Term map, Term key, Term *value) {
    Term *place = is_boxed(map, MAP) ? find(map, key) : NULL;
    return place && (*value = *place, 1);
}

int enif_map_iterator_create(ErlNifEnv *env, Term map, ErlNifMapIterator *iterator, ErlNifMapIteratorEntry entry) {
    if (!is_boxed(map, MAP)) return 0;
    size_t size = arity(map) / 2;
    *iterator = (ErlNifMapIterator){.map = map, .size = size, .idx = entry == ERL_NIF_MAP_ITERATOR_FIRST ? 0 : size - 1};
    return 1;
}

int enif_map_iterator_get_pair(ErlNifEnv *env, ErlNifMapIterator *iterator, Term *key, Term *value) {
    if (iterator->idx >= iterator->size) return 0;
    *key = pointer(iterator->map)[2 * iterator->idx + 1];
    *value = pointer(iterator->map)[2 * iterator->idx + 2];
    return 1;
}

int enif_map_iterator_next(ErlNifEnv *env, ErlNifMapIterator *iterator) { return ++iterator->idx < iterator->size; }
int enif_map_iterator_prev(ErlNifEnv *env, ErlNifMapIterator *iterator) { return --iterator->idx < iterator->size; }
void enif_map_iterator_destroy(ErlNifEnv *env, ErlNifMapIterator *iterator) {}

/* References and resources: a pointer to the resource, or null, and a number. */

static Term reference(ErlNifEnv *env, Resource *resource, Term number) {
    Term term, *place = box(env, REF, 2, &term);
    place[0] = (Term)resource, place[1] = number;
    return term;
}

Term enif_make_ref(ErlNifEnv *env) {
    static Term last;
    return reference(env, NULL, __atomic_add_fetch(&last, 1, __ATOMIC_RELAXED));
}

struct enif_resource_type_t {
    ErlNifResourceTypeInit init;
};

ErlNifResourceType *enif_init_resource_type(ErlNifEnv *env, const char *name, const ErlNifResourceTypeInit *init,
                                            ErlNifResourceFlags flags, ErlNifResourceFlags *tried) {
    ErlNifResourceType *type = allocate(sizeof *type);
    type->init = *init;
    return type;
}

static Resource *resource_of(void *object) { return (Resource *)((char *)object - sizeof(Resource)); }

void *enif_alloc_resource(ErlNifResourceType *type, size_t size) {
    Resource *resource = allocate(sizeof(Resource) + size);
    *resource = (Resource){.type = type, .references = 1};
    return resource->words;
}

void enif_keep_resource(void *object) {
    __atomic_add_fetch(&resource_of(object)->references, 1, __ATOMIC_SEQ_CST);
}

void enif_release_resource(void *object) {
    Resource *resource = resource_of(object);
    if (__atomic_sub_fetch(&resource->references, 1, __ATOMIC_SEQ_CST)) return;
    if (resource->type->init.dtor) {
        ErlNifEnv *env = enif_alloc_env();
        resource->type->init.dtor(env, object);
        enif_free_env(env);
    }
    free(resource);
}

static Term hold(ErlNifEnv *env, Resource *resource) {
    Held *held = allocate(sizeof *held);
    *held = (Held){.next = env->held, .resource = resource};
    env->held = held;
    enif_keep_resource(resource->words);
    return reference(env, resource, 0);
}

Term enif_make_resource(ErlNifEnv *env, void *object) { return hold(env, resource_of(object)); }

int enif_get_resource(ErlNifEnv *env, Term term, ErlNifResourceType *type, void **object) {
    if (!is_boxed(term, REF) || !pointer(term)[1] || ((Resource *)pointer(term)[1])->type != type) return 0;
    *object = ((Resource *)pointer(term)[1])->words;
    return 1;
}

/* --- Copies ----------------------------------------------------------------------------------- */

static Term copy_boxed(ErlNifEnv *env, Term from) {
    if (is_boxed(from, REF) && pointer(from)[1]) return hold(env, (Resource *)pointer(from)[1]);
    int terms = is_boxed(from, TUPLE) || is_boxed(from, MAP);
    Term term, *place = box(env, *pointer(from) & 0x3F, arity(from), &term);
    for (size_t i = 0; i < arity(from); i++) {
        Term word = pointer(from)[i + 1];
        place[i] = terms ? enif_make_copy(env, word) : word;
    }
    return term;
}

Term enif_make_copy(ErlNifEnv *env, Term from) {
    Term term, *place = &term;
    for (; is_cons(from); from = pointer(from)[1]) {
        Term *cell = words(env, 2);
        cell[0] = enif_make_copy(env, pointer(from)[0]);
        *place = (Term)cell | CONS;
        place = cell + 1;
    }
    *place = (from & TAG) == BOXED ? copy_boxed(env, from) : from;
    return term;
}

/* --- One process ------------------------------------------------------------------------------ */

static pthread_mutex_t mailbox_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t arrived = PTHREAD_COND_INITIALIZER;
static Message *first, **last = &first;
static pthread_t scheduler;

ErlNifPid *enif_self(ErlNifEnv *env, ErlNifPid *pid) {
    pid->pid = 1 << 4 | PID;
    return pid;
}

int enif_get_local_pid(ErlNifEnv *env, Term term, ErlNifPid *pid) { return is_pid(term) && (pid->pid = term, 1); }
int enif_whereis_pid(ErlNifEnv *env, Term name, ErlNifPid *pid) { return 0; }
int enif_consume_timeslice(ErlNifEnv *env, int percent) { return 0; }
int enif_is_process_alive(ErlNifEnv *env, ErlNifPid *pid) { return 1; }
int enif_thread_type(void) { return pthread_equal(pthread_self(), scheduler) ? ERL_NIF_THR_NORMAL_SCHEDULER : 0; }

int enif_monitor_process(ErlNifEnv *env, void *object, const ErlNifPid *pid, ErlNifMonitor *monitor) {
    if (monitor) memset(monitor, 0, sizeof *monitor);
    return 0;
}

int enif_demonitor_process(ErlNifEnv *env, void *object, const ErlNifMonitor *monitor) { return 0; }

int enif_send(ErlNifEnv *caller, const ErlNifPid *to, ErlNifEnv *env, Term term) {
    Message *message = allocate(sizeof *message);
    *message = (Message){.env = enif_alloc_env()};
    message->term = enif_make_copy(message->env, term);
    if (env) enif_clear_env(env);
    pthread_mutex_lock(&mailbox_lock);
    *last = message;
    last = &message->next;
    pthread_cond_signal(&arrived);
    pthread_mutex_unlock(&mailbox_lock);
    return 1;
}

Message *receive(void) {
    pthread_mutex_lock(&mailbox_lock);
    while (!first) pthread_cond_wait(&arrived, &mailbox_lock);
    Message *message = first;
    first = message->next;
    if (!first) last = &first;
    pthread_mutex_unlock(&mailbox_lock);
    return message;
}

void forget(Message *message) {
    enif_free_env(message->env);
    free(message);
}

void start_vm(void) { scheduler = pthread_self(); }

/* --- Failures, and what is not needed here ---------------------------------------------------- */

Term enif_make_badarg(ErlNifEnv *env) { die("badarg"); return 0; }
Term enif_raise_exception(ErlNifEnv *env, Term reason) { die("a function of the library raised"); return 0; }

Term enif_schedule_nif(ErlNifEnv *env, const char *name, int flags, Term (*run)(ErlNifEnv *, int, const Term[]), int argc,
                       const Term argv[]) {
    die("enif_schedule_nif is not made");
    return 0;
}

int enif_snprintf(char *buffer, size_t size, const char *format, ...) {
    return snprintf(buffer, size, "(a term)");
}
