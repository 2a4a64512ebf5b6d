/* Makes QEMU take a socket for a queue of a TAP: preloaded, it answers the ioctls of TUN on SOCK_SEQPACKET sockets.
 *
 * A TAP queue gives and takes one packet a read or write, with a virtio_net_hdr in front, and so does such a socket.
 * What is asked of it besides is asked by ioctl; each answer here is that of a TAP that can do everything but steer by
 * eBPF. It is linked against nothing, so that it can be loaded beside any libc.
 */

#include <sys/syscall.h>

enum { TUN_TYPE = 0x54, EINVAL_ = 22, SOL_SOCKET_ = 1, SO_TYPE_ = 3, SOCK_SEQPACKET_ = 5, QUEUES = 8192 };

/* Numbers of linux/if_tun.h, without direction and size, which differ between architectures. */
enum {
    GETFEATURES = 207, SETOFFLOAD = 208, GETIFF = 210, GETSNDBUF = 211, SETSNDBUF = 212, GETVNETHDRSZ = 215,
    SETVNETHDRSZ = 216, SETQUEUE = 217, SETVNETLE = 220, GETVNETLE = 221, SETVNETBE = 222, GETVNETBE = 223,
    FIRST = 200, LAST = 240
};

/* IFF_TAP, IFF_NO_PI, IFF_VNET_HDR, IFF_MULTI_QUEUE */
enum { FLAGS = 0x0002 | 0x1000 | 0x4000 | 0x0100 };

extern long syscall(long number, ...);
extern int getsockopt(int fd, int level, int name, void *value, unsigned *size);
extern int *__errno_location(void);

static int header_size[QUEUES]; /* less the 10 of a fresh TAP */

static int is_queue(int fd)
{
    int type = 0, kept = *__errno_location();
    unsigned size = sizeof type;
    int failed = getsockopt(fd, SOL_SOCKET_, SO_TYPE_, &type, &size);

    *__errno_location() = kept;
    return !failed && type == SOCK_SEQPACKET_ && fd < QUEUES;
}

int ioctl(int fd, unsigned long request, void *argument)
{
    unsigned type = request >> 8 & 0xff, number = request & 0xff;
    int *value = argument;

    if (type != TUN_TYPE || number < FIRST || number > LAST || !is_queue(fd))
        return (int)syscall(SYS_ioctl, fd, request, argument);
    switch (number) {
    case GETIFF: { /* struct ifreq: a name of 16 bytes, then the flags */
        char *name = argument;
        name[0] = 'v';
        name[1] = 0;
        *(short *)(name + 16) = FLAGS;
        return 0;
    }
    case GETFEATURES:
        *(unsigned *)argument = FLAGS;
        return 0;
    case GETVNETHDRSZ:
        *value = 10 + header_size[fd];
        return 0;
    case SETVNETHDRSZ:
        header_size[fd] = *value - 10;
        return 0;
    case GETSNDBUF:
        *value = 0x7fffffff;
        return 0;
    case GETVNETLE:
    case GETVNETBE:
        *value = 0;
        return 0;
    case SETOFFLOAD:
    case SETSNDBUF:
    case SETQUEUE:
    case SETVNETLE:
    case SETVNETBE:
        return 0;
    default:
        *__errno_location() = EINVAL_;
        return -1;
    }
}
