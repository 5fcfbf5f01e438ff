/* `pawl-agent status`: what the state file says, for people and for scripts. Reads only. */
#ifndef PAWL_AGENT_STATUS_H
#define PAWL_AGENT_STATUS_H

#include "agent/settings.h"
#include "agent/state.h"

/* running: the slot, or NULL when it is unknown. */
void agent_status_text(const struct agent_settings *settings, const struct agent_state *state, const char *running, struct buf *out);

/* {"phase":…,"product":…,"running":…,"download_bytes":…,"state":{…}}, the last as it stands in the file. */
bool agent_status_json(const struct agent_settings *settings, const struct agent_state *state, const char *running, struct buf *out,
                       struct err *err) MUST_USE;

/* "idle", or the phase of the trial. */
const char *agent_status_phase(const struct agent_state *state);

#endif
