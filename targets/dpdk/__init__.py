"""DPDK's software packet type and hash, as installed: rte_net_get_ptype and rte_softrss.

    shim.c     the two functions behind vnethash.h, and the little that stands between them
    target.py  the target `dpdk`: compiles shim.c once, loads it as `lib:` does
"""
