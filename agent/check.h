/* Asking the server what to do, and believing the answer only when the directive key signed it for this device, this nonce and now. */
#ifndef PAWL_AGENT_CHECK_H
#define PAWL_AGENT_CHECK_H

#include "agent/settings.h"
#include "agent/state.h"
#include "agent/transport.h"
#include "certs/pem.h"
#include "trust/client.h"
#include "trust/directive.h"

/* The metadata files of /tuf/ through this connection. */
struct tuf_fetch agent_check_fetch(struct agent_transport *transport);

/* GET /check with a fresh nonce; verifies; persists `issued` as the new lowest. now is not asked with clock = none. */
bool agent_check_directive(const struct agent_settings *settings, const struct certs_pem_identity *identity, struct agent_state *state,
                           struct agent_transport *transport, const struct signers *signers, int64_t now, struct arena *arena,
                           struct directive *ret_directive, struct err *err) MUST_USE;

/* What makes a release eligible on this device (trust.md §5 step 4), pure. ERR_TARGET (another product), ERR_HARDWARE, ERR_STEPPING_STONE,
 * ERR_ROLLBACK (below the floor), ERR_DECRYPT (sealed, and no identity here), ERR_SELFTEST when it has failed too often here. */
bool agent_check_eligible(const struct agent_settings *settings, const struct agent_state *state, const struct release *release,
                          struct err *err) MUST_USE;

/* Is it what was confirmed here, bit for bit? */
bool agent_check_is_repair(const struct agent_state *state, const struct release *release);

/* Installing what is confirmed over itself heals a device; again and again it wears its memory out. ERR_TARGET within a day of the last time; pure.
 */
bool agent_check_repair(const struct agent_state *state, const struct release *release, int64_t now, struct err *err) MUST_USE;

#endif
