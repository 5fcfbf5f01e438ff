#include "agent/est.h"

#include "certs/pem.h"
#include "certs/pkcs7.h"
#include "certs/request.h"
#include "common/hex.h"
#include "common/text.h"

enum { BODY_MAX = 65536, AUTHORIZATION_MAX = 1024 };

/* "Basic base64(id:claim)"; empty without a claim. */
static bool write_authorization(const struct agent_est *est, struct buf *out, struct err *err) {
    CLEANUP(buf_wipe) struct buf pair = BUF_INIT(AUTHORIZATION_MAX);
    if (est->claim == NULL)
        return true;
    buf_printf(&pair, "%s:%s", est->id, est->claim);
    if (!buf_ok(&pair, "the claim", err))
        return false;
    buf_text(out, "Authorization: Basic ");
    base64_encode(out, pair.data, pair.len);
    return buf_ok(out, "the claim", err);
}

static bool check_certificate(const struct agent_est *est, const struct buf *certificate, struct err *err) {
    struct certs_pem_identity identity;
    if (!certs_request_matches(certificate, est->key, err) ||
        !certs_pem_device(certificate->data, certificate->len, "the new certificate", est->by_common_name, &identity, err))
        return false;
    return text_equal(identity.id, est->id) || err_set(err, ERR_IDENTITY, "the new certificate is for '%s', and this is '%s'", identity.id, est->id);
}

bool agent_est_ask(const struct agent_est *est, struct buf *ret_certificate, struct err *err) {
    CLEANUP(buf_free) struct buf request = BUF_INIT(BODY_MAX);
    CLEANUP(buf_free) struct buf body = BUF_INIT(BODY_MAX);
    CLEANUP(buf_wipe) struct buf authorization = BUF_INIT(AUTHORIZATION_MAX);
    struct agent_response response;
    if (!certs_request_make(est->key->data, est->key->len, est->id, &request, err) || !write_authorization(est, &authorization, err) ||
        !agent_transport_send(est->transport, est->path, "Content-Type: application/pkcs10", authorization.data, &request, &body, &response, err))
        return false;
    if (response.status == 202)
        return err_set(err, ERR_DEVICE_PENDING, "device '%s' waits for an administrator to accept it", est->id);
    if (response.status != 200)
        return agent_transport_refused(&response, &body, "enrolment", err);
    return certs_pkcs7_first(body.data != NULL ? body.data : "", body.len, ret_certificate, err) && check_certificate(est, ret_certificate, err);
}
