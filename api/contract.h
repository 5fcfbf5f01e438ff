/* The bytes of api/openapi.yaml, built into the program. */
#ifndef PAWL_API_CONTRACT_H
#define PAWL_API_CONTRACT_H

#include <stddef.h>

extern const char api_contract[];
size_t api_contract_len(void);

#endif
