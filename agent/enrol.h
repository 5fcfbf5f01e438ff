/* How the device gets its certificate and keeps it good, when the configuration has an enrolment listener: key and certificate are made and kept in
 * the state folder, `identity/`, and nowhere else.
 *
 * current.pem   the private key and its certificate, in one file: who the device is. Replaced in one rename.
 * next.key      the key of a certificate that was asked for: kept until it has come, so that a lost answer can be asked for again.
 * next.pem      a key and its new certificate, until the server has accepted it once. */
#ifndef PAWL_AGENT_ENROL_H
#define PAWL_AGENT_ENROL_H

#include "agent/update.h"

/* Sees to it that current.pem is there: asks for a certificate with the claim, the factory's certificate, or nothing but the key. The state folder's
 * lock is the caller's. True at once without [enrolment] url. ERR_DEVICE_PENDING: an administrator must accept the device; *ret_retry_after_s (0: not
 * said) is the server's word when it fails. */
bool agent_enrol_ensure(const struct agent_settings *settings, const volatile sig_atomic_t *stop, int64_t *ret_retry_after_s,
                        struct err *err) MUST_USE;

/* True for a device that enrols by itself and has not yet. */
bool agent_enrol_due(const struct agent_settings *settings) MUST_USE;

/* At the beginning of a pass: a new certificate that waits is tried, and taken when the server accepts it; from two thirds of the certificate's life
 * on, the next one is asked for. What fails is told in the log and tried again in the next pass: the old one is still there. */
void agent_enrol_renew(struct agent *agent);

#endif
