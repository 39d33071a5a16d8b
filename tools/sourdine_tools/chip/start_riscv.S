/* Enters the program, and calls Linux: the number in a7, arguments in a0 to a5.

Stands at the head of the compiled runtime.c, in one section, so that every reference is the assembler's to resolve. */
    .text
    .align 2
    j start

system:
    mv a7, a0
    mv a0, a1
    mv a1, a2
    mv a2, a3
    mv a3, a4
    mv a4, a5
    li a5, 0
    ecall
    ret
