#include "api/contract.h"

#include <stdint.h>

__asm__(".section .rodata\n"
        ".global api_contract\n"
        ".global api_contract_end\n"
        "api_contract:\n"
        ".incbin \"" PAWL_OPENAPI "\"\n"
        "api_contract_end:\n"
        ".byte 0\n"
        ".previous\n");

extern const char api_contract_end[];

size_t api_contract_len(void) {
    return (size_t)((uintptr_t)api_contract_end - (uintptr_t)api_contract);
}
