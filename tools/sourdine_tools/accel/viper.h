// What a kernel in C needs to know of MicroPython: how it calls a viper function, and nothing else.
// Source: MicroPython's py/nativeglue.h (mp_fun_table), py/objfun.h and py/bc.h (what a function object holds).

#include <stdint.h>

#define KERNEL static inline __attribute__((always_inline))

typedef uintptr_t word;

typedef struct {
    word type;
    struct {
        word type, globals;
        void *names;
        void ***objects; // the first is the table of helpers
    } *context;
} function;

enum { NONE = 0, TO_NATIVE = 3, TO_OBJECT = 4, CHECK_ARGUMENTS = 44 }; // places in the table of helpers
enum { INT = 2, UINT = 3, PTR = 4 };                                    // kinds of values

typedef word converter(word, word);

#define POINTER(i) ((void *)to_native(arguments[i], PTR))
#define INTEGER(i) ((int32_t)to_native(arguments[i], INT))
#define RETURN_INT(call) return ((converter *)helpers[TO_OBJECT])((word)(intptr_t)(call), INT)
#define RETURN_NONE(call) return call, (word)helpers[NONE]

// What MicroPython calls; another number of arguments raises TypeError, as a viper function does.
#define ENTRY(name, count)                                                   \
    __attribute__((section(".text." #name), used)) static word name##_entry( \
        function *self, word n, word keywords, const word *arguments)        \
    {                                                                        \
        void **helpers = self->context->objects[0];                          \
        converter *to_native = (converter *)helpers[TO_NATIVE];              \
        if (n != count || keywords)                                          \
            ((word(*)(word, word, word))helpers[CHECK_ARGUMENTS])(n, keywords, count << 17 | count << 1);
