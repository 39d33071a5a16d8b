/* As much of MicroPython as a native function meets: how it is called, and the helpers it calls.

A Linux program without a C library, for qemu's user mode. Its memory is a file that it shares with guest.py, which
writes code and buffers there, describes the calls in the job below and sends a byte; a byte comes back.
Compiled with RAM and RAM_SIZE, where that memory is. All its own state is there too, so that the program is
nothing but code, which needs no linker on RISC-V.

Source: MicroPython's py/nativeglue.h (the table of helpers), py/nativeglue.c, py/smallint.c, py/objfun.h. */

#include <stddef.h>
#include <stdint.h>

#if defined(__xtensa__)
enum { SYS_READ = 12, SYS_WRITE = 13, SYS_EXIT = 118, SYS_MMAP2 = 80, SYS_SIGACTION = 226 };
#else
enum { SYS_READ = 63, SYS_WRITE = 64, SYS_EXIT = 93, SYS_MMAP2 = 222, SYS_SIGACTION = 134 };
#endif

/* In start_*.S. The calls that we make have at most five arguments that are not zero. */
intptr_t system(uint32_t number, uint32_t a, uint32_t b, uint32_t c, uint32_t d, uint32_t e);

/* The compiler puts the table of helpers somewhere among a module's constants; here it is all of them. */
enum { HELPERS = 64, ARGUMENTS = 32, OBJECTS = 256 };
enum { NONE = 0, FALSE = 1, TRUE = 2, FROM_OBJECT = 3, TO_OBJECT = 4, CHECK = 44, DIVIDE = 46, MODULO = 47,
       FILL = 50, COPY = 51 }; /* mp_fun_kind_t */
enum { TYPE_OBJECT = 0, TYPE_BOOL = 1 };

/* What an object may be here: a small integer in the word itself, or one of these. */
struct box { uint32_t value, filler; };

/* guest.py writes it with struct; see _JOB there. Addresses are absolute. */
struct job {
    uint32_t entry, arguments, buffers, count; /* buffers: a bit for each argument that is an address */
    uint32_t words, results;                   /* count rows of arguments; count pairs of kind and value */
    uint32_t index;                            /* of the call that runs */
    uint32_t signal, address;                  /* what ended the program, if anything did */
};
enum { RESULT_NONE = 0, RESULT_INT = 1, RESULT_OBJECT = 2 };

struct state {
    struct job job;
    uint32_t helpers[HELPERS];
    uint32_t arguments[ARGUMENTS];
    struct box boxes[ARGUMENTS + 1];
    struct box none, no, yes;
    uint32_t objects[OBJECTS], context[4], function[4];
};
#define STATE ((struct state *)RAM)
/* Nothing is mapped there: a call of entry n of the table that we do not have ends at MISSING + 16 * n. */
#define MISSING 0x0fff0000u

static __attribute__((noinline)) uint32_t from_object(uint32_t object, uint32_t type) {
    if (object & 1 && type != TYPE_OBJECT) return (int32_t)object >> 1;
    return type == TYPE_OBJECT ? object : ((struct box *)object)->value;
}

static __attribute__((noinline)) uint32_t to_object(uint32_t value, uint32_t type) {
    if (type == TYPE_OBJECT) return value;
    if (type == TYPE_BOOL) return (uint32_t)(value ? &STATE->yes : &STATE->no);
    struct box *box = &STATE->boxes[ARGUMENTS];
    box->value = value;
    return (uint32_t)box;
}

/* Only called when the number of arguments is not the function's. */
static __attribute__((noinline)) void check(uint32_t given, uint32_t keywords, uint32_t signature) {
    ((void (*)(void))(MISSING + 16 * CHECK))();
}

static __attribute__((noinline)) int32_t divide(int32_t value, int32_t by) {
    if (value >= 0) {
        if (by < 0) value -= by + 1;
    } else if (by >= 0) {
        value -= by - 1;
    }
    return value / by;
}

static __attribute__((noinline)) int32_t modulo(int32_t value, int32_t by) {
    int32_t rest = value % by;
    return rest && (rest ^ by) < 0 ? rest + by : rest;
}

static __attribute__((noinline)) void *fill(uint8_t *at, int value, uint32_t size) {
    for (uint8_t *byte = at; size--;) {
        *byte++ = value;
        __asm__ volatile(""); /* or the compiler would call memset */
    }
    return at;
}

static __attribute__((noinline)) void *copy(uint8_t *to, const uint8_t *from, uint32_t size) {
    if (to < from) {
        for (uint32_t i = 0; i < size; i++) {
            to[i] = from[i];
            __asm__ volatile("");
        }
    } else {
        while (size--) {
            to[size] = from[size];
            __asm__ volatile("");
        }
    }
    return to;
}

/* The helpers end here. */
static __attribute__((noinline)) void stop(uint32_t status) {
    for (;;) system(SYS_EXIT, status, 0, 0, 0, 0);
}

static void caught(uint32_t signal, uint32_t *information, void *context) {
    STATE->job.signal = signal;
    STATE->job.address = information[3]; /* si_addr */
    stop(1);
}

static void catch(uint32_t signal) {
    volatile uint32_t action[8];
    for (uint32_t i = 0; i < 8; i++) action[i] = 0;
    action[0] = (uint32_t)caught;
    action[1] = 4; /* SA_SIGINFO */
    system(SYS_SIGACTION, signal, (uint32_t)action, 0, 8, 0);
}

static void give_helpers(struct state *state) {
    for (uint32_t i = 0; i < HELPERS; i++) state->helpers[i] = MISSING + 16 * i;
    state->helpers[NONE] = (uint32_t)&state->none;
    state->helpers[FALSE] = (uint32_t)&state->no;
    state->helpers[TRUE] = (uint32_t)&state->yes;
    state->no.value = 0;
    state->yes.value = 1;
    state->helpers[FROM_OBJECT] = (uint32_t)from_object;
    state->helpers[TO_OBJECT] = (uint32_t)to_object;
    state->helpers[CHECK] = (uint32_t)check;
    state->helpers[DIVIDE] = (uint32_t)divide;
    state->helpers[MODULO] = (uint32_t)modulo;
    state->helpers[FILL] = (uint32_t)fill;
    state->helpers[COPY] = (uint32_t)copy;
    state->helpers[HELPERS - 1] = (uint32_t)stop;
    for (uint32_t i = 0; i < OBJECTS; i++) state->objects[i] = (uint32_t)state->helpers;
    state->context[3] = (uint32_t)state->objects; /* mp_module_context_t: the module's two words, qstrs, objects */
    state->function[1] = (uint32_t)state->context; /* mp_obj_fun_bc_t: the type, the context */
}

static uint32_t object_of(uint32_t value, int is_buffer, struct box *box) {
    int32_t small = (int32_t)(value << 1) >> 1;
    if (!is_buffer && (uint32_t)small == value) return value << 1 | 1;
    box->value = value;
    return (uint32_t)box;
}

static void run(struct state *state) {
    struct job *job = &state->job;
    uint32_t (*function)(void *, uint32_t, uint32_t, uint32_t *) = (void *)job->entry;
    uint32_t *words = (uint32_t *)job->words, *result = (uint32_t *)job->results;
    for (job->index = 0; job->index < job->count; job->index++, words += job->arguments, result += 2) {
        for (uint32_t i = 0; i < job->arguments; i++)
            state->arguments[i] = object_of(words[i], job->buffers >> i & 1, &state->boxes[i]);
        uint32_t object = function(state->function, job->arguments, 0, state->arguments);
        if (object == (uint32_t)&state->none) {
            result[0] = RESULT_NONE;
            result[1] = 0;
        } else if (object == (uint32_t)&state->boxes[ARGUMENTS] || object == (uint32_t)&state->no ||
                   object == (uint32_t)&state->yes) {
            result[0] = RESULT_INT;
            result[1] = ((struct box *)object)->value;
        } else if (object & 1) {
            result[0] = RESULT_INT;
            result[1] = (int32_t)object >> 1;
        } else {
            result[0] = RESULT_OBJECT;
            result[1] = object;
        }
    }
}

static __attribute__((used)) void start(void) {
    uint32_t file;
    uint8_t byte;
    if (system(SYS_READ, 0, (uint32_t)&file, sizeof file, 0, 0) != sizeof file) stop(2);
    /* read, write and execute; shared, at this very address */
    if (system(SYS_MMAP2, RAM, RAM_SIZE, 7, 0x11, file) != (intptr_t)RAM) stop(3);
    for (uint32_t signal = 4; signal < 12; signal++) /* SIGILL to SIGSEGV; the kernel refuses SIGKILL */
        catch(signal);
    give_helpers(STATE);
    for (;;) {
        byte = 0;
        if (system(SYS_WRITE, 1, (uint32_t)&byte, 1, 0, 0) != 1) stop(0);
        if (system(SYS_READ, 0, (uint32_t)&byte, 1, 0, 0) != 1) stop(0);
        run(STATE);
    }
}
