/* Which URLs a webhook may have. The address that is really connected to is checked again at every delivery (server/webhook.c). */
#ifndef PAWL_API_WEBHOOK_URL_H
#define PAWL_API_WEBHOOK_URL_H

#include "common/network.h"

enum { WEBHOOK_URL_MAX = 2048 };

/* "https://HOST[:PORT][/PATH][?QUERY]"; "http://" only if plain. No user, no fragment, printable ASCII; HOST is a name with at least one letter in
 * its last part, or an address that is public or allowed, in its one spelling. ERR_INVALID for the field "url". */
bool api_webhook_url_check(const char *url, bool plain, const struct network_list *allowed, struct err *err) MUST_USE;

#endif
