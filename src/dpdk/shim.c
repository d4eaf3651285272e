#define _GNU_SOURCE
#include <stdio.h>

#include "shim.h"

int mr_errno(void) {
    return rte_errno;
}

uint16_t mr_rx_burst(uint16_t port, uint16_t queue, struct rte_mbuf **packets, uint16_t count) {
    return rte_eth_rx_burst(port, queue, packets, count);
}

uint16_t mr_tx_burst(uint16_t port, uint16_t queue, struct rte_mbuf **packets, uint16_t count) {
    return rte_eth_tx_burst(port, queue, packets, count);
}

struct rte_mbuf *mr_mbuf_alloc(struct rte_mempool *pool) {
    return rte_pktmbuf_alloc(pool);
}

void mr_mbuf_free(struct rte_mbuf *mbuf) {
    rte_pktmbuf_free(mbuf);
}

struct rte_mbuf *mr_mbuf_copy(const struct rte_mbuf *mbuf, struct rte_mempool *pool) {
    struct rte_mbuf *copy = rte_pktmbuf_alloc(pool);
    char *to;

    if (copy == NULL)
        return NULL;
    to = rte_pktmbuf_append(copy, 0);
    if (mbuf->pkt_len > rte_pktmbuf_tailroom(copy)) {
        rte_pktmbuf_free(copy);
        return NULL;
    }
    for (const struct rte_mbuf *segment = mbuf; segment != NULL; segment = segment->next) {
        rte_memcpy(to, rte_pktmbuf_mtod(segment, const void *), segment->data_len);
        to += segment->data_len;
    }
    copy->data_len = (uint16_t)mbuf->pkt_len;
    copy->pkt_len = mbuf->pkt_len;
    copy->port = mbuf->port;
    copy->ol_flags = mbuf->ol_flags & ~(RTE_MBUF_F_EXTERNAL | RTE_MBUF_F_INDIRECT);
    copy->packet_type = mbuf->packet_type;
    copy->vlan_tci = mbuf->vlan_tci;
    copy->vlan_tci_outer = mbuf->vlan_tci_outer;
    copy->hash = mbuf->hash;
    copy->tx_offload = mbuf->tx_offload;
    return copy;
}

static void flush_one(struct rte_mempool *pool, void *unused) {
    struct rte_mempool_cache *cache = rte_mempool_default_cache(pool, rte_lcore_id());

    (void)unused;
    if (cache != NULL)
        rte_mempool_cache_flush(cache, pool);
}

void mr_flush_caches(void) {
    rte_mempool_walk(flush_one, NULL);
}

int mr_pool_is_full(const struct rte_mempool *pool) {
    return rte_mempool_full(pool);
}

static ssize_t sink(void *unused, const char *text, size_t length) {
    (void)unused;
    mr_log_sink(text, length);
    return (ssize_t)length;
}

int mr_log_to_rust(void) {
    cookie_io_functions_t functions = {.write = sink};
    FILE *stream = fopencookie(NULL, "w", functions);

    if (stream == NULL)
        return -1;
    setvbuf(stream, NULL, _IOLBF, 0);
    return rte_openlog_stream(stream);
}

uint64_t mr_tsc(void) {
    return rte_rdtsc();
}

struct rte_device *mr_device_of(uint16_t port) {
    struct rte_eth_dev_info info;

    return rte_eth_dev_info_get(port, &info) == 0 ? info.device : NULL;
}

const char *mr_driver_of(uint16_t port) {
    struct rte_eth_dev_info info;

    return rte_eth_dev_info_get(port, &info) == 0 ? info.driver_name : NULL;
}
