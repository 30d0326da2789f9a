/* The stand-in for the Erlang VM: see fake_vm.c. */

#include <erl_nif.h>

/* What was sent to the one process there is. */
typedef struct message {
    struct message *next;
    ErlNifEnv *env;
    ERL_NIF_TERM term;
} Message;

void start_vm(void);
Message *receive(void);
void forget(Message *message);
_Noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));
