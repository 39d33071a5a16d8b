/* What qemu does not say by itself: how often each instruction runs, how often each branch is taken, and that an
access is not aligned (which its RISC-V lets pass).

A plugin for qemu 7.2 and later (plugin API, version 1; declared here because Debian ships no header). Writes into the
file that guest.py shares with the guest. Arguments, in this order:
file, check, RAM, CODE, CODE_SIZE, TEXT, TEXT_SIZE, job, counts: the last two are offsets in the file.
counts: uint64 executed[CODE_SIZE], taken[CODE_SIZE], helpers[TEXT_SIZE], one cell per byte of code. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

typedef uint64_t qemu_plugin_id_t;
typedef struct qemu_info_t qemu_info_t;
typedef uint32_t qemu_plugin_meminfo_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
enum qemu_plugin_cb_flags { QEMU_PLUGIN_CB_NO_REGS };
enum qemu_plugin_op { QEMU_PLUGIN_INLINE_ADD_U64 };
enum qemu_plugin_mem_rw { QEMU_PLUGIN_MEM_R = 1, QEMU_PLUGIN_MEM_W, QEMU_PLUGIN_MEM_RW };

void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t, void (*)(qemu_plugin_id_t, struct qemu_plugin_tb *));
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *, void (*)(unsigned, void *),
                                          enum qemu_plugin_cb_flags, void *);
void qemu_plugin_register_vcpu_insn_exec_inline(struct qemu_plugin_insn *, enum qemu_plugin_op, void *, uint64_t);
void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *,
                                      void (*)(unsigned, qemu_plugin_meminfo_t, uint64_t, void *),
                                      enum qemu_plugin_cb_flags, enum qemu_plugin_mem_rw, void *);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *);
unsigned qemu_plugin_mem_size_shift(qemu_plugin_meminfo_t);

__attribute__((visibility("default"))) int qemu_plugin_version = 1;

enum { FILE_NUMBER, CHECK, RAM, CODE, CODE_SIZE, TEXT, TEXT_SIZE, JOB, COUNTS, ARGUMENTS };
static uint64_t given[ARGUMENTS];
static uint64_t *executed, *taken, *helpers;
static uint32_t *job;
enum { JOB_SIGNAL = 7, JOB_ADDRESS = 8, BUS_ERROR = 7 }; /* of struct job in runtime.c, and SIGBUS */

/* A translated block runs from its first instruction to its last; then the next block begins somewhere. */
struct block {
    uint64_t first, last, next; /* addresses of instructions; next: what follows the last one in memory */
    uint64_t *executed, *taken; /* the first instruction's cell and the last one's, if they are counted */
    bool returns;               /* the last instruction is Xtensa's retw */
};
static const struct block *before;

/* A register window that must be spilled or filled ends a block early: its last instruction begins again, and has then
been counted twice. It does so in another block, or it is a return; the only instruction of a hardware loop follows
itself in the same block. (The chip has twice as many registers as qemu's cores, and spills at other calls.) */
static void enter(unsigned cpu, void *data) {
    const struct block *block = data;
    if (before) {
        bool again = before->last == block->first && (before != block || before->returns);
        if (again) {
            if (block->executed) --*block->executed;
        } else if (before->taken && before->next != block->first) {
            ++*before->taken;
        }
    }
    before = block;
}

static void check(unsigned cpu, qemu_plugin_meminfo_t how, uint64_t address, void *data) {
    if (address & ((1u << qemu_plugin_mem_size_shift(how)) - 1)) {
        job[JOB_SIGNAL] = BUS_ERROR;
        job[JOB_ADDRESS] = address;
        _exit(1);
    }
}

static uint64_t *cell(uint64_t at) {
    if (at - given[CODE] < given[CODE_SIZE]) return &executed[at - given[CODE]];
    if (at - given[TEXT] < given[TEXT_SIZE]) return &helpers[at - given[TEXT]];
    return NULL;
}

static bool returns(const void *bytes, size_t size) {
    return !memcmp(bytes, size == 3 ? "\x90\0\0" : "\x1d\xf0", size < 3 ? 2 : 3);
}

static void translate(qemu_plugin_id_t id, struct qemu_plugin_tb *translated) {
    size_t size = qemu_plugin_tb_n_insns(translated);
    struct block *block = executed ? calloc(1, sizeof *block) : NULL;
    if (block) qemu_plugin_register_vcpu_tb_exec_cb(translated, enter, QEMU_PLUGIN_CB_NO_REGS, block);
    for (size_t i = 0; i < size; i++) {
        struct qemu_plugin_insn *instruction = qemu_plugin_tb_get_insn(translated, i);
        uint64_t at = qemu_plugin_insn_vaddr(instruction);
        bool in_code = at - given[CODE] < given[CODE_SIZE];
        if (given[CHECK] && in_code)
            qemu_plugin_register_vcpu_mem_cb(instruction, check, QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_MEM_RW, NULL);
        if (!block) continue;
        uint64_t *counter = cell(at);
        if (counter) qemu_plugin_register_vcpu_insn_exec_inline(instruction, QEMU_PLUGIN_INLINE_ADD_U64, counter, 1);
        if (i == 0) {
            block->first = at;
            block->executed = counter;
        }
        if (i == size - 1) {
            block->last = at;
            block->next = at + qemu_plugin_insn_size(instruction);
            block->returns = returns(qemu_plugin_insn_data(instruction), qemu_plugin_insn_size(instruction));
            block->taken = in_code ? &taken[at - given[CODE]] : NULL;
        }
    }
}

__attribute__((visibility("default"))) int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc,
                                                               char **argv) {
    if (argc != ARGUMENTS) return -1;
    for (int i = 0; i < ARGUMENTS; i++) given[i] = strtoull(strchr(argv[i], '=') + 1, NULL, 0);
    uint64_t size = given[COUNTS] + 8 * (2 * given[CODE_SIZE] + given[TEXT_SIZE]);
    uint8_t *shared = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, given[FILE_NUMBER], 0);
    if (shared == MAP_FAILED) return -1;
    job = (uint32_t *)(shared + given[JOB]);
    if (given[COUNTS]) {
        executed = (uint64_t *)(shared + given[COUNTS]);
        taken = executed + given[CODE_SIZE];
        helpers = taken + given[CODE_SIZE];
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, translate);
    return 0;
}
