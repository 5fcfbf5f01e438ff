#include "fleet/phase.h"

#include <stdio.h>

static bool refuse(struct err *err, size_t index, const char *expected) {
    char field[ERR_FIELD_SIZE];

    snprintf(field, sizeof field, "phases[%zu]", index);
    return err_set_field(err, ERR_INVALID, field, "%s: %s", field, expected);
}

bool fleet_phase_check(const struct fleet_phase_size *phases, size_t count, struct err *err) {
    int64_t percent = 0;
    bool by_devices = false;

    if (count == 0 || count > FLEET_PHASE_MAX)
        return err_set_field(err, ERR_INVALID, "phases", "a rollout has 1 to %d phases, not %zu", FLEET_PHASE_MAX, count);
    for (size_t i = 0; i < count; i++) {
        switch (phases[i].unit) {
        case FLEET_PHASE_PERCENT:
            if (phases[i].amount < 1 || phases[i].amount > 100)
                return refuse(err, i, "a percentage must be 1 to 100");
            percent += phases[i].amount;
            break;
        case FLEET_PHASE_DEVICES:
            if (phases[i].amount < 1)
                return refuse(err, i, "a number of devices must be 1 or more");
            by_devices = true;
            break;
        case FLEET_PHASE_REST:
            if (i + 1 < count)
                return refuse(err, i, "only the last phase can be the rest");
            break;
        case FLEET_PHASE_NOTHING:
        default:
            return refuse(err, i, "a phase is a percentage, a number of devices, or the rest");
        }
    }
    bool has_rest = phases[count - 1].unit == FLEET_PHASE_REST;
    if (has_rest ? percent >= 100 : percent > 100)
        return err_set_field(err, ERR_INVALID, "phases", "the percentages add up to %lld; %s", (long long)percent,
                             has_rest ? "with a rest behind them they must stay below 100" : "they must give 100");
    if (!has_rest && by_devices)
        return err_set_field(err, ERR_INVALID, "phases", "phases by number of devices need the rest as the last phase");
    if (!has_rest && percent != 100)
        return err_set_field(err, ERR_INVALID, "phases", "the percentages add up to %lld; they must give 100, or end with the rest",
                             (long long)percent);
    return true;
}

/* FNV-1a over the id, then the finalizer of SplitMix64, which spreads every bit over all 64. */
uint64_t fleet_phase_hash(const char *device_id, uint64_t salt) {
    uint64_t hash = UINT64_C(0xcbf29ce484222325);

    for (const unsigned char *c = (const unsigned char *)device_id; *c != '\0'; c++)
        hash = (hash ^ *c) * UINT64_C(0x100000001b3);
    hash ^= salt * UINT64_C(0x9e3779b97f4a7c15);
    hash = (hash ^ (hash >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    hash = (hash ^ (hash >> 27)) * UINT64_C(0x94d049bb133111eb);
    return hash ^ (hash >> 31);
}

int64_t fleet_phase_end(const struct fleet_phase_size *phases, size_t count, size_t phase, int64_t total) {
    int64_t percent = 0, devices = 0;

    for (size_t i = 0; i <= phase && i < count; i++)
        if (phases[i].unit == FLEET_PHASE_PERCENT)
            percent += phases[i].amount;
        else if (phases[i].unit == FLEET_PHASE_DEVICES)
            devices = devices > total - phases[i].amount ? total : devices + phases[i].amount;
        else
            return total;
    int64_t end = devices + total / 100 * percent + (total % 100 * percent + 99) / 100;
    return end > total ? total : end;
}

size_t fleet_phase_of(const struct fleet_phase_size *phases, size_t count, int64_t rank, int64_t total) {
    for (size_t i = 0; i + 1 < count; i++)
        if (rank < fleet_phase_end(phases, count, i, total))
            return i;
    return count > 0 ? count - 1 : 0;
}

int64_t fleet_phase_rank_of_hash(uint64_t hash, int64_t total) {
    return total > 0 ? (int64_t)((unsigned __int128)hash * (uint64_t)total >> 64) : 0;
}
