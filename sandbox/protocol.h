// What hearth and hearth-box say to each other. Three sockets, each with one purpose:
//
//   control (SEQPACKET, one per zygote)  hearth -> zygote: box_spawn + two descriptors, per call
//   status  (SEQPACKET, one per call)    zygote -> hearth: box_report, started (with a pidfd),
//   exited channel (STREAM, one per call)       hearth <-> child: frames (frame.h)
//
// The child holds only the channel. hearth kills by the pidfd, which names that one process for
// ever, so a reused process number cannot make it kill a stranger; and only the zygote can reap, so
// the exit status has one source. Both executables come from one build: the structs are plain
// memory and `magic` catches a mix of versions.
#pragma once
#include <stdint.h>

#define BOX_MAGIC 0x48425833u

enum {
    BOX_CONTROL_FD = 3, // in the zygote
    BOX_CHANNEL_FD = 3, // in the child: its only descriptor beside 0 to 2, which are /dev/null
    BOX_RULESET_FD = 4, // the Landlock ruleset, made once by the zygote, closed by the child
    BOX_EXIT_MEMORY = 7 // what base's allocation exits with
};

struct box_hello { // first message on the control socket
    uint32_t magic;
    int32_t landlock_abi;
    uint32_t teeth;    // this executable was built for the tests
    char problem[200]; // not empty: why the zygote gives up
};

struct box_spawn {
    uint32_t magic;
    uint32_t layers_off; // 0 unless `teeth`
    int32_t cpu_ms, memory_mb, output_kb;
    int32_t fault_step, fault_errno; // 0 unless `teeth`
};

enum { REPORT_STARTED = 1, REPORT_NO_FORK = 2, REPORT_EXITED = 3 };

struct box_report {
    uint32_t magic;
    uint32_t kind;
    int32_t value; // process number, errno, wait status
};
