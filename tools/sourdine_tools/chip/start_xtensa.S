/* Enters the program, and calls Linux: the number in a2, arguments in a6, a3, a4, a5, a8, a9 (windowed registers). */
    .text
    .align 4
    .global _start
_start:
    movi a0, 0 /* nobody called us: to spill the window of a call4 takes no frame before it */
    movi a4, start
    callx4 a4

    .align 4
system:
    entry a1, 32
    mov a8, a6
    mov a9, a7
    mov a6, a3
    mov a3, a4
    mov a4, a5
    mov a5, a8
    mov a8, a9
    movi a9, 0
    syscall
    retw
