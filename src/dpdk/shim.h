/* What Rust needs of DPDK: the headers to bind, and functions for the static inlines and thread-locals among them. */
#ifndef MILLRACE_SHIM_H
#define MILLRACE_SHIM_H

#include <rte_bus.h>
#include <rte_cycles.h>
#include <rte_dev.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_log.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>
#include <rte_thread.h>
#include <rte_version.h>

/* rte_errno of the calling thread. */
int mr_errno(void);

/* rte_eth_rx_burst and rte_eth_tx_burst. */
uint16_t mr_rx_burst(uint16_t port, uint16_t queue, struct rte_mbuf **packets, uint16_t count);
uint16_t mr_tx_burst(uint16_t port, uint16_t queue, struct rte_mbuf **packets, uint16_t count);

/* rte_pktmbuf_alloc, rte_pktmbuf_free, and a copy of a whole chain into one buffer of `pool` (NULL if it does not fit). */
struct rte_mbuf *mr_mbuf_alloc(struct rte_mempool *pool);
void mr_mbuf_free(struct rte_mbuf *mbuf);
struct rte_mbuf *mr_mbuf_copy(const struct rte_mbuf *mbuf, struct rte_mempool *pool);

/* Gives the packets in the calling thread's caches back to every pool. Before rte_thread_unregister. */
void mr_flush_caches(void);

/* rte_mempool_avail_count, and whether all of its objects are back. */
int mr_pool_is_full(const struct rte_mempool *pool);

/* Sends DPDK's log, line by line or in larger pieces, to mr_log_sink, which Rust provides. Before rte_eal_init. */
int mr_log_to_rust(void);
void mr_log_sink(const char *text, size_t length);

/* The time stamp counter. */
uint64_t mr_tsc(void);

/* The device behind an ethdev, for rte_dev_remove. NULL if there is none. */
struct rte_device *mr_device_of(uint16_t port);

/* The driver's name. */
const char *mr_driver_of(uint16_t port);

#endif
