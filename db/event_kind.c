#include "db/event_kind.h"

#include <string.h>

/* The same, in the same order, in api/openapi.yaml (EventKind) and docs/events.md. */
const struct db_event_kind db_event_kinds[] = {
    {"registered", "a device is known from now on"},
    {"pending", "a device waits to be accepted"},
    {"accepted", "a device was let in"},
    {"revoked", "a device is refused from now on"},
    {"retired", "a device is out of service"},
    {"rolled-back", "a device runs a lower sequence than was recorded"},
    {"identity-mismatch", "a device says that it is of another product or hardware than is recorded"},
    {"clone-suspected", "a device's identity with another key, or from two addresses in alternation: reason, address"},
    {"key-changed", "a device came with the key that its renewed certificate announced"},
    {"key-replaced", "a pending device's key gave way to one that somebody vouches for: spki_sha256, origin, before, before_origin"},
    {"certificate-expiring", "a device's certificate, or one in a configured file, ends soon: expires_at"},
    {"certificate-issued", "a device got a certificate of this server's CA: serial"},
    {"certificate-revoked", "a certificate that was issued here is refused from now on: serial"},
    {"crl-expired", "a revocation list is older than its next update says: issuer, next_update"},
    {"deployment-confirmed", "a device runs the release: deployment, sequence"},
    {"deployment-failed", "a device could not install it: deployment, sequence, error"},
    {"deployment-rejected", "a device's user or policy said no: deployment, sequence, error"},
    {"deployment-timed-out", "a device stayed silent past the deadline: deployment, sequence"},
    {"deployment-not-assigned", "what waited for a device's answer is refused to it now: sequence, reason"},
    {"quarantined", "a device failed a release so often that it is left alone: deployment, sequence"},
    {"rollout-awaiting-approval", "a rollout is for so many devices that a second token must approve it: rollout, name, version"},
    {"rollout-approved", "a second token has approved a rollout: rollout, name, version"},
    {"rollout-scheduled", "a rollout will begin at its time: rollout, name, version"},
    {"rollout-running", "a rollout has begun, or goes on: rollout, name, version"},
    {"rollout-phase-opened", "a rollout's next phase has begun: rollout, name, version, phase"},
    {"rollout-phase-reached", "a rollout's phase has reached its success threshold: rollout, name, version, phase"},
    {"rollout-paused", "a rollout stands still, by an operator or by its error threshold: rollout, name, version, phase, reason"},
    {"rollout-completed", "a rollout is through: rollout, name, version"},
    {"rollout-stopped", "a rollout was ended by an operator: rollout, name, version"},
    {"rollout-retried", "an operator gives devices that failed another try: rollout, name, version"},
    {"image-missing", "an image cannot be served: path, sha256, error"},
    {"image-corrupt", "a scrub found an image with other bytes than its name says: sha256"},
    {"image-orphan", "a scrub found a file that no release names: sha256"},
    {"restored", "the store was put back from a backup: backup_of"},
    {"webhook-test", "an operator asked for it: webhook"},
    {"webhook-dead", "a delivery was given up; told once an hour for each webhook, and to no webhook: webhook, event, error"},
};
const size_t db_event_kind_count = ARRAY_LEN(db_event_kinds);

bool db_event_kind_known(const char *name) {
    for (size_t i = 0; i < db_event_kind_count; i++)
        if (strcmp(db_event_kinds[i].name, name) == 0)
            return true;
    return false;
}
