/** The bugs of the driver in user space (user/driver.c). */
import { BARRIERS, type Bug, DMA_API, PCI_RST } from './bug';

const user = (bug: Omit<Bug, 'driver'>): Bug => ({ driver: 'user', ...bug });

export const USER_BUGS: readonly Bug[] = [
  // -------------------------------------------------------------------------------------------- handing over
  user({
    name: 'fields-after-owner',
    kind: 'ring',
    what: 'The owner bit is set before the length is in the descriptor.',
    source: BARRIERS,
    change: [
      ['    descriptor->length = length;\n', ''],
      [
        '    gc_dma_sync_for_device(&channel->memory, RING + slot',
        '    descriptor->length = length;\n    gc_dma_sync_for_device(&channel->memory, RING + slot',
      ],
    ],
    line: 'descriptor->length = length;',
  }),
  user({
    name: 'owner-after-doorbell',
    kind: 'race',
    what: 'The doorbell is rung before the descriptor is given to the card.',
    source: 'reference-card.md, "Ring and doorbell"; the same order in the drivers of NVMe and Ethernet cards',
    change: [
      [
        '    gc_write_barrier();\n    descriptor->control =',
        '    channel->producer = (slot + 1) % SLOTS;\n    write_register(channel, REF_CHANNEL_DOORBELL, channel->producer);\n    descriptor->control =',
      ],
      ['sizeof(*descriptor));\n    channel->producer = (slot + 1) % SLOTS;\n', 'sizeof(*descriptor));\n'],
    ],
    line: 'descriptor->control =',
    arches: ['amd64', 'arm64'],
    named: /NOT_OWNED/,
  }),
  user({
    name: 'buffer-after-doorbell',
    kind: 'race',
    what: 'The message is written to its buffer when the card has been told to send it.',
    source: BARRIERS,
    change: [
      [
        '        gc_dma_write(&channel->memory, offset, &message, message.length);\n        gc_dma_sync_for_device(&channel->memory, offset, message.length);\n',
        '',
      ],
      [
        'message.length, 0);\n        ring_doorbell(channel);\n',
        'message.length, 0);\n        ring_doorbell(channel);\n        gc_dma_write(&channel->memory, offset, &message, message.length);\n',
      ],
    ],
    line: 'gc_dma_write(',
    arches: ['amd64', 'arm64'],
  }),
  user({
    name: 'buffer-reused',
    kind: 'race',
    what: 'All messages are sent from two buffers, also while the card still reads them.',
    source: `${DMA_API}, "Streaming DMA mappings": the buffer is the device's until it is unmapped`,
    change: [
      [
        'size_t offset = buffer_offset(channel->producer);\n        gc_dma_write(',
        'size_t offset = buffer_offset(channel->producer % 2);\n        gc_dma_write(',
      ],
    ],
    line: 'gc_dma_write(',
  }),
  user({
    name: 'doorbell-without-barrier',
    kind: 'barrier',
    what: 'The doorbell is a plain store: arm64 may let it overtake the descriptor.',
    source: BARRIERS,
    change: [
      [
        '    write_register(channel, REF_CHANNEL_DOORBELL, channel->producer);\n',
        '    *(volatile uint32_t *)(channel->driver->registers.mapped + channel->block + REF_CHANNEL_DOORBELL) =\n            channel->producer;\n',
      ],
    ],
    line: 'REF_CHANNEL_DOORBELL',
    arches: ['arm64'],
  }),
  user({
    name: 'owner-without-barrier',
    kind: 'barrier',
    what: 'No barrier between the fields of a descriptor and its owner bit: arm64 may store the owner bit first.',
    source: BARRIERS,
    change: [['    gc_write_barrier();\n    descriptor->control =', '    descriptor->control =']],
    line: 'descriptor->control =',
    arches: ['arm64'],
  }),
  user({
    name: 'two-threads-one-ring',
    kind: 'race',
    what: 'Two threads send without the lock: both may take the same slot.',
    source: 'Linux Documentation/locking; a class of reports about transmit queues',
    change: [
      [
        '    if (ok) {\n        size_t offset = buffer_offset(channel->producer);\n        gc_dma_write(',
        '    pthread_mutex_unlock(&driver->lock);\n    if (ok) {\n        size_t offset = buffer_offset(channel->producer);\n        gc_dma_write(',
      ],
      [
        '        ring_doorbell(channel);\n    }\n    pthread_mutex_unlock(&driver->lock);\n    return ok || fail(driver, "no room',
        '        ring_doorbell(channel);\n    }\n    return ok || fail(driver, "no room',
      ],
    ],
    line: 'gc_dma_write(',
  }),

  // ---------------------------------------------------------------------------------------------- completion
  user({
    name: 'sleep-in-place-of-wait',
    kind: 'race',
    what: 'A copy is taken for complete after a fixed time, without looking.',
    source: 'a class of reports: works with the card at hand, fails with a slower one',
    change: [
      [
        '    bool ok = wait_until(channel, is_idle, WAIT_MS);\n    gc_dma_sync_for_cpu(buffer, 0, COPY_BYTES);\n',
        '    nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);\n    bool ok = true;\n    gc_dma_sync_for_cpu(buffer, 0, COPY_BYTES);\n',
      ],
    ],
    line: 'if (received[i] != seed',
    named: /dma-race: .* copy\b.* reads .*Wait for the completion first/,
  }),
  user({
    name: 'completion-without-barrier',
    kind: 'barrier',
    what: 'No barrier between the look at the write-back block and the read of the data: arm64 may read the data first.',
    source: BARRIERS,
    change: [['    gc_read_barrier();\n', '']],
    line: 'gc_dma_read(',
    arches: ['arm64'],
  }),
  user({
    name: 'stale-consumer-index',
    kind: 'ring',
    what: 'A channel that is opened again keeps the consumer index of its earlier life.',
    source: 'a class of reports about rings after a reset',
    change: [['        channel->consumer = 0;\n', '']],
    line: 'if (received[i] != seed',
  }),
  user({
    name: 'index-not-wrapped',
    kind: 'ring',
    what: 'The producer index runs on past the end of the ring.',
    source: 'reference-card.md, "Ring and doorbell"; CWE-787',
    change: [['    channel->producer = (slot + 1) % SLOTS;\n', '    channel->producer = slot + 1;\n']],
    line: 'channel->producer = slot + 1;',
    named: /BAD_RING/,
  }),
  user({
    name: 'full-ring-taken-for-empty',
    kind: 'ring',
    what: 'All slots are handed over: a full ring looks like an empty one.',
    source: 'reference-card.md, "Ring and doorbell": one slot stays empty',
    change: [
      ['    return outstanding(channel) < SLOTS - 1;\n', '    return outstanding(channel) < SLOTS;\n'],
      ['    while (has_room(channel))\n', '    for (int i = 0; i < SLOTS - 1; i++)\n'],
    ],
    line: 'outstanding(channel) < SLOTS;',
  }),
  user({
    name: 'index-unchecked',
    kind: 'error handling',
    what: "The card's consumer index is used as it comes.",
    source: 'Linux Documentation/process/hardening against malicious devices; CWE-129',
    change: [
      [
        '    if (consumer >= SLOTS) /* not trusted */\n        consumer = read_register(channel, REF_CHANNEL_CONSUMER_INDEX);\n    if (consumer < SLOTS)\n        channel->consumer = consumer;\n',
        '    channel->consumer = consumer;\n',
      ],
    ],
    line: 'channel->consumer = consumer;',
    fault: {
      // Of the three parts of a write-back, STATUS and COMPLETED do not matter here.
      declarations: [
        { fault: 'dma-corrupted', channel: 'C2H0', role: 'write-back', access: 'write', xor: 0x40, occurrence: 'all' },
      ],
    },
  }),

  // ----------------------------------------------------------------------------------------------- addresses
  user({
    name: 'virtual-address',
    kind: 'address',
    what: 'The card is given the address of the buffer in the process.',
    source: `${DMA_API}, "CPU and DMA addresses"`,
    change: [
      [
        '        put(channel, address_of(channel, offset), message.length, 0);\n',
        '        put(channel, (uintptr_t)(channel->memory.bytes + offset), message.length, 0);\n',
      ],
    ],
    line: 'put(channel, (uintptr_t)',
    named: /was refused .*: unmapped/,
  }),
  user({
    name: 'address-truncated',
    kind: 'address',
    what: 'Only the low half of the address of a copy is given to the card.',
    source: `${DMA_API}; a class of reports from machines with more than 4 GiB`,
    change: [
      [
        '        put(channel, part.address, (uint32_t)part.size, offset);\n',
        '        put(channel, (uint32_t)part.address, (uint32_t)part.size, offset);\n',
      ],
    ],
    line: 'put(channel, (uint32_t)part.address',
  }),
  user({
    name: 'halves-swapped',
    kind: 'address',
    what: 'The halves of a 64-bit register are written in the wrong order.',
    source: 'Linux include/linux/io-64-nonatomic-lo-hi.h and -hi-lo.h',
    change: [
      [
        '        gc_write64(&channel->driver->registers, channel->block + REF_CHANNEL_RING_BASE,\n                address_of(channel, RING));\n',
        '        write_register(channel, REF_CHANNEL_RING_BASE, (uint32_t)(address_of(channel, RING) >> 32));\n        write_register(channel, REF_CHANNEL_RING_BASE + 4, (uint32_t)address_of(channel, RING));\n',
      ],
    ],
    line: 'write_register(channel, REF_CHANNEL_RING_BASE',
    named: /was refused .*: unmapped/,
  }),
  user({
    name: 'one-byte-too-long',
    kind: 'address',
    what: 'Each part of a copy is one byte too long: the last goes past the end of the buffer.',
    source: 'CWE-193',
    change: [
      [
        '        put(channel, part.address, (uint32_t)part.size, offset);\n',
        '        put(channel, part.address, (uint32_t)part.size + 1, offset);\n',
      ],
    ],
    line: '(uint32_t)part.size + 1',
  }),
  user({
    name: 'taken-for-contiguous',
    kind: 'address',
    what: 'A buffer of two hugepages is given to the card as one piece.',
    source: `${DMA_API}, "What memory is DMA'able?"`,
    change: [
      [
        '        struct gc_dma_segment part = gc_dma_segment_at(buffer, offset, COPY_BYTES - offset);\n',
        '        struct gc_dma_segment part = {buffer->segments[0].address, COPY_BYTES};\n',
      ],
    ],
    line: 'struct gc_dma_segment part = {',
    named: /stray-dma: .* from 0x\w+ on in .* the buffer is not contiguous/,
  }),

  // ------------------------------------------------------------------------------------------------ lifetime
  user({
    name: 'freed-before-completion',
    kind: 'lifetime',
    what: 'The source of a copy is given back while the card still reads it.',
    source: `${DMA_API}, "Streaming DMA mappings"; CWE-416`,
    change: [
      [
        '    ring_doorbell(channel);\n    bool ok = wait_until(channel, is_idle, WAIT_MS);\n    gc_dma_sync_for_cpu(buffer, 0, COPY_BYTES);\n',
        '    ring_doorbell(channel);\n    if (channel == &channel->driver->to_card)\n        gc_dma_free((struct gc_dma_buffer *)buffer);\n    bool ok = wait_until(channel, is_idle, WAIT_MS);\n    if (channel == &channel->driver->from_card)\n        gc_dma_sync_for_cpu(buffer, 0, COPY_BYTES);\n',
      ],
      ['        release(driver, &source);\n', ''],
    ],
    line: 'gc_dma_free(',
  }),
  user({
    name: 'exit-without-stop',
    kind: 'lifetime',
    what: 'The program ends, and the engines still have buffers.',
    source: `${PCI_RST}, "Stop all DMA operations"`,
    change: [
      ['    close_channel(&driver.send);\n    close_channel(&driver.receive);\n    close_card(&driver);\n', ''],
      ['static void close_card(', '__attribute__((unused)) static void close_card('],
    ],
    line: 'return ok ? 0 : 1;',
    ways: ['vfio-pci', 'uio_pci_generic'],
    named: /notice left-at-work/,
  }),
  user({
    name: 'stop-without-waiting',
    kind: 'lifetime',
    what: 'RUN is cleared, and memory is freed although the engine finishes the descriptor in hand.',
    source: `${PCI_RST}, "Stop all DMA operations"; reference-card.md, CONTROL.RUN`,
    change: [
      [
        '    write_register(channel, REF_CHANNEL_CONTROL, GHOSTCARD_REF_H2C_CONTROL_RESET_MASK);\n    while (read_register(channel, REF_CHANNEL_STATUS) & GHOSTCARD_REF_H2C_STATUS_BUSY_MASK)\n        if (gc_left_ms(deadline_ns) == 0)\n            return fail(channel->driver, "the engine at 0x%zx stays BUSY", channel->block);\n',
        '    write_register(channel, REF_CHANNEL_CONTROL, 0);\n',
      ],
      ['    uint64_t deadline_ns = gc_now_ns() + STOP_MS * UINT64_C(1000000);\n', ''],
    ],
    line: 'write_register(channel, REF_CHANNEL_CONTROL, 0);',
    named: /use-after-free: .* is running, and its ring is there/,
  }),
  user({
    name: 'freed-after-timeout',
    kind: 'lifetime',
    what: 'When no message has come in time, the buffers are freed although the engine still has them.',
    source: 'a class of reports: use after free behind a time-out; CWE-416',
    change: [
      [
        '    if (!close_channel(&driver->receive) || !open_channel(&driver->receive))\n        return false;\n',
        '    gc_dma_free(&driver->receive.memory);\n    if (!open_channel(&driver->receive))\n        return false;\n',
      ],
    ],
    line: 'gc_dma_free(&driver->receive.memory);',
  }),
  user({
    name: 'reset-without-stop',
    kind: 'lifetime',
    what: 'At the end the card is reset in place of stopping its engines, and memory freed before the reset has arrived.',
    source:
      'Linux Documentation/driver-api/device-io.rst, "posted writes"; reference-card.md: reset, and read a register',
    change: [
      [
        '    close_channel(&driver.send);\n    close_channel(&driver.receive);\n    close_card(&driver);\n',
        '    gc_write32(&driver.registers, GHOSTCARD_REF_CONTROL, GHOSTCARD_REF_CONTROL_SOFT_RESET_MASK);\n    gc_dma_free(&driver.send.memory);\n    gc_dma_free(&driver.receive.memory);\n    close_card(&driver);\n',
      ],
    ],
    line: 'gc_write32(&driver.registers, GHOSTCARD_REF_CONTROL,',
  }),
  user({
    name: 'bus-master-too-early',
    kind: 'lifetime',
    what: 'Bus mastering is enabled before the card is reset: engines go on with the rings of the driver before.',
    source: `${PCI_RST}, "Enable DMA"`,
    change: [
      [
        '    if (gc_read32(registers, GHOSTCARD_REF_ID) != GHOSTCARD_REF_ID_RESET)\n',
        '    gc_set_bus_master(driver->device, true, &error);\n    if (gc_read32(registers, GHOSTCARD_REF_ID) != GHOSTCARD_REF_ID_RESET)\n',
      ],
    ],
    line: 'gc_set_bus_master(driver->device, true, &error);',
    ways: ['uio_pci_generic'],
    after: 'exit-without-stop',
    named: /notice stale-rings/,
  }),

  // ---------------------------------------------------------------------------------------------- interrupts
  user({
    name: 'acknowledged-after-look',
    kind: 'interrupt',
    what: 'Interrupts are acknowledged after the rings were read: what completes in between is never noticed.',
    source: 'reference-card.md, "Interrupts"; a class of reports about lost interrupts',
    change: [
      [
        '        gc_write32(&driver->registers, GHOSTCARD_REF_IRQ_STATUS, status);\n        gc_read32(&driver->registers, GHOSTCARD_REF_IRQ_STATUS); /* it has arrived: the line is deasserted */\n',
        '',
      ],
      [
        '                take_completed(channels[i]);\n        pthread_cond_broadcast',
        '                take_completed(channels[i]);\n        status |= gc_read32(&driver->registers, GHOSTCARD_REF_IRQ_STATUS);\n        gc_write32(&driver->registers, GHOSTCARD_REF_IRQ_STATUS, status);\n        gc_read32(&driver->registers, GHOSTCARD_REF_IRQ_STATUS);\n        pthread_cond_broadcast',
      ],
    ],
    line: 'gc_write32(&driver->registers, GHOSTCARD_REF_IRQ_STATUS',
    ways: ['uio_pci_generic'],
  }),
  user({
    name: 'acknowledged-too-much',
    kind: 'interrupt',
    what: 'All causes are acknowledged, also those that came after the read of the status.',
    source: 'a class of reports: write 1 to clear with a constant mask',
    change: [
      [
        '        uint32_t status = gc_read32(&driver->registers, GHOSTCARD_REF_IRQ_STATUS);\n        gc_write32(&driver->registers, GHOSTCARD_REF_IRQ_STATUS, status);\n',
        '        gc_read32(&driver->registers, GHOSTCARD_REF_IRQ_STATUS);\n        gc_write32(&driver->registers, GHOSTCARD_REF_IRQ_STATUS, 0x1f);\n',
      ],
    ],
    line: 'GHOSTCARD_REF_IRQ_STATUS, 0x1f);',
    ways: ['uio_pci_generic'],
    named: /notice acknowledged-unread/,
  }),
  user({
    name: 'never-acknowledged',
    kind: 'interrupt',
    what: 'Interrupts are never acknowledged: INTx comes again at once, for ever.',
    source: 'reference-card.md, "Interrupts"; the kernel\'s "irq: nobody cared"',
    change: [
      [
        '        uint32_t status = gc_read32(&driver->registers, GHOSTCARD_REF_IRQ_STATUS);\n        gc_write32(&driver->registers, GHOSTCARD_REF_IRQ_STATUS, status);\n',
        '',
      ],
    ],
    line: 'gc_irq_rearm(',
    ways: ['uio_pci_generic'],
    named: /notice enabled-with-cause/,
  }),
  user({
    name: 'not-enabled-again',
    kind: 'interrupt',
    what: 'INTx, which the kernel has masked, is not unmasked after the interrupt.',
    source: 'Linux Documentation/driver-api/uio-howto.rst, "uio_pci_generic"',
    change: [
      ['        if (!gc_irq_rearm(driver->device, &error))\n            fail(driver, "%s", error.message);\n', ''],
    ],
    line: 'pthread_mutex_unlock(&driver->lock);',
    ways: ['uio_pci_generic'],
    named: /notice interrupt-cannot-come/,
  }),
  user({
    name: 'lost-wake-up',
    kind: 'interrupt',
    what: 'The condition is looked at before the lock is taken, and the wait then begins when the wake-up is over.',
    source: 'Linux Documentation/scheduler/completion.rst; pthread_cond_wait(3)',
    change: [
      [
        '    pthread_mutex_lock(&channel->driver->lock);\n    bool ok = wait_until(channel, has_message, timeout_ms);\n',
        '    bool is_there = has_message(channel);\n    pthread_mutex_lock(&channel->driver->lock);\n    bool ok = is_there || wait_for_change(channel, timeout_ms);\n',
      ],
      [
        'static bool receive_message(',
        'static bool wait_for_change(struct channel *channel, int timeout_ms)\n{\n    struct timespec deadline;\n    clock_gettime(CLOCK_MONOTONIC, &deadline);\n    deadline.tv_sec += timeout_ms / 1000 + 1;\n    bool is_woken = true;\n    for (uint32_t seen = channel->consumer; is_woken && channel->consumer == seen;)\n        is_woken = pthread_cond_timedwait(&channel->driver->changed, &channel->driver->lock, &deadline) == 0;\n    return is_woken;\n}\n\nstatic bool receive_message(',
      ],
    ],
    line: 'pthread_cond_timedwait(',
  }),
  user({
    name: 'enable-register-shared',
    kind: 'race',
    what: 'Two threads read, change and write the register that enables interrupts, without a lock.',
    source: 'Linux Documentation/driver-api/device-io.rst; CWE-362',
    change: [
      [
        '        enable_interrupt(channel, true);\n        write_register(channel, REF_CHANNEL_CONTROL, GHOSTCARD_REF_H2C_CONTROL_RUN_MASK);\n        channel->is_open = true;\n    }\n    pthread_mutex_unlock(&channel->driver->lock);\n',
        '        write_register(channel, REF_CHANNEL_CONTROL, GHOSTCARD_REF_H2C_CONTROL_RUN_MASK);\n        channel->is_open = true;\n    }\n    pthread_mutex_unlock(&channel->driver->lock);\n    if (ok)\n        enable_interrupt(channel, true);\n',
      ],
      [
        '    pthread_mutex_lock(&channel->driver->lock);\n    enable_interrupt(channel, false);\n',
        '    enable_interrupt(channel, false);\n    pthread_mutex_lock(&channel->driver->lock);\n',
      ],
    ],
    line: 'enable_interrupt(channel, true);',
    named: /notice lost-update/,
  }),
  user({
    name: 'no-read-back',
    kind: 'interrupt',
    what: 'INTx is enabled again before the posted acknowledgement has reached the card.',
    source: 'Linux Documentation/driver-api/device-io.rst, "posted writes"; PCIe 2.4.1',
    change: [
      [
        '        gc_read32(&driver->registers, GHOSTCARD_REF_IRQ_STATUS); /* it has arrived: the line is deasserted */\n',
        '',
      ],
    ],
    line: 'gc_irq_rearm(',
    ways: ['uio_pci_generic'],
    fault: {
      declarations: [{ fault: 'writes-posted', register: 'IRQ_STATUS', occurrence: 'all' }],
    },
  }),

  // -------------------------------------------------------------------------------------------------- errors
  user({
    name: 'error-never-read',
    kind: 'error handling',
    what: 'An engine that has halted is not looked at.',
    source: 'reference-card.md, "Errors"',
    change: [
      ['    if (channel->write_back->status & GHOSTCARD_REF_H2C_STATUS_HALTED_MASK)\n        recover(channel);\n', ''],
      ['static void recover(', '__attribute__((unused)) static void recover('],
    ],
    line: 'channel->consumer = consumer;',
    fault: {
      declarations: [{ fault: 'dma-failed', channel: 'H2C0', role: 'data', reason: 'completer-abort', occurrence: 20 }],
      expected: /halted once: BAD_HOST_ADDRESS|was refused once: completer-abort/,
    },
    named: /notice error-unread/,
  }),
  user({
    name: 'error-not-cleared',
    kind: 'error handling',
    what: 'The error of a halted engine is read, and never cleared.',
    source: 'reference-card.md, "Errors"',
    change: [
      [
        '        write_register(channel, REF_CHANNEL_STATUS, GHOSTCARD_REF_H2C_STATUS_ERROR_MASK);\n',
        '        ring_doorbell(channel);\n',
      ],
    ],
    line: 'ring_doorbell(channel);',
    fault: {
      declarations: [{ fault: 'dma-failed', channel: 'H2C0', role: 'data', reason: 'completer-abort', occurrence: 20 }],
      expected: /halted once: BAD_HOST_ADDRESS|was refused once: completer-abort/,
    },
  }),
  user({
    name: 'poll-without-limit',
    kind: 'error handling',
    what: 'The driver waits for BUSY to go away, however long that takes.',
    source: 'Linux include/linux/iopoll.h: polling with a time-out',
    change: [
      [
        '        if (gc_left_ms(deadline_ns) == 0)\n            return fail(channel->driver, "the engine at 0x%zx stays BUSY", channel->block);\n',
        '        ;\n',
      ],
      ['    uint64_t deadline_ns = gc_now_ns() + STOP_MS * UINT64_C(1000000);\n', ''],
    ],
    line: 'while (read_register(channel, REF_CHANNEL_STATUS)',
    fault: {
      declarations: [{ fault: 'field-stuck', field: 'C2H[0].STATUS.BUSY', value: 1 }],
      expected: /stays BUSY/,
    },
    named: /notice polling/,
  }),
];
